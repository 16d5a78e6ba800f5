"""What a failing test says: the story, as the terminal prints it."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console

from stress.core.masking import clean
from stress.report.events import Finished
from stress.report.terminal import Terminal

if TYPE_CHECKING:
    from stress.report.events import Result

_WIDTH = 80


def reported(result: Result, folder: str) -> str:
    """Tell what a search came to and why that is not what was expected; ``folder`` is its report (empty: none)."""
    text = StringIO()
    console = Console(file=text, width=_WIDTH, force_terminal=False, color_system=None, highlight=False, soft_wrap=True)
    Terminal(console).handle(Finished(result, folder))
    verdict = result.verdict
    where = f"{result.scenario.name} on {result.target.name}"
    lines = [
        clean(f"{where}: expected {result.expected or 'a search'}, and it is {verdict.ruling}: {verdict.reason}"),
        "",
        *text.getvalue().splitlines(),
        *(f"expected but not found: {name}" for name in result.missing),
        *([clean(f"report: {folder}/index.html")] if folder else []),
    ]
    return "\n".join(lines)
