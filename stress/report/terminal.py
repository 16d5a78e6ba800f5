"""The terminal: a progress line, the story of each race as columns, a table at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stress.result import Finished, Progress
from stress.verdict import Cause

if TYPE_CHECKING:
    from stress.result import Finding, Happening, Result
    from stress.trace import Trace

_WIDTH = 26


class Terminal:
    """Writes to a console; without a terminal there is no progress line and no colour."""

    def __init__(self, console: Console | None = None) -> None:
        """Write to standard output unless told otherwise."""
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._line = False

    def handle(self, happening: Happening) -> None:
        """Show one happening."""
        if isinstance(happening, Progress) and self._console.is_terminal:
            line = (
                f"{happening.scenario} on {happening.target}: {happening.orders} orders, {happening.rate:.0f}/s, "
                f"{happening.outcomes} outcomes, {happening.left:.0f} s left"
            )
            self._console.print(Text(clean(line)), end="\r")
            self._line = True
        elif isinstance(happening, Finished):
            self._clear()
            for finding in happening.result.findings:
                self._race(happening.result, finding, happening.folder)
            for fault in happening.result.faults:
                self._console.print(
                    Text(clean(f"inconclusive: {happening.result.scenario.name}: {fault}"), style="yellow")
                )

    def table(self, results: list[Result]) -> None:
        """Show one row for each pair."""
        table = Table("scenario", "target", "verdict", "as expected", "covered")
        for result in results:
            covered = "; ".join(evidence.covered for evidence in result.verdict.evidence)
            row = (
                result.scenario.name,
                result.target.name,
                str(result.verdict.ruling),
                "yes" if result.as_expected else "NO",
                covered,
            )
            table.add_row(*(Text(clean(cell)) for cell in row))
        self._console.print(table)

    def say(self, line: str) -> None:
        """Write one line."""
        self._clear()
        self._console.print(Text(clean(line)))

    def _clear(self) -> None:
        if self._line:
            self._console.print(" " * 100, end="\r")
            self._line = False

    def _race(self, result: Result, finding: Finding, folder: str) -> None:
        self.say(f"RACE {', '.join(finding.invariants)}: {result.scenario.name} on {result.target.name}")
        self.say(f"  {result.scenario.story}")
        for row in columns(finding.trace):
            self.say("  " + row)
        for violation in finding.violations:
            self.say(f"  {violation.invariant}: expected {violation.expected}; observed {violation.observed}")
        if finding.cause is Cause.ENVIRONMENT:
            self.say("  cause: environment. No change in the Gateway can help: isolate the test.")
        self.say(f"  failed again in {finding.replays[0]} of {finding.replays[1]} replays")
        if folder:
            self.say(f"  replay: stress-gateway replay {folder}/order.txt")


def columns(trace: Trace) -> list[str]:
    """Write a trace as columns, one for each actor and one row for each thing that happened."""
    actors = list(dict.fromkeys(event.actor for event in trace.events))
    rows = ["".join(actor.ljust(_WIDTH) for actor in actors).rstrip()]
    for event in trace.events:
        cell = event.command if not event.reply else f"{event.command} -> {event.reply}"
        short = cell if len(cell) < _WIDTH else cell[: _WIDTH - 2] + "…"
        rows.append((" " * _WIDTH * actors.index(event.actor) + short).rstrip())
    return rows


def clean(text: str) -> str:
    """Show control characters (and so terminal escapes) as what they are."""
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)
