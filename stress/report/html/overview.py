"""index.html of a whole run: every case, and what its last runs came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.verdict import counted
from stress.report.explain.story import reported
from stress.report.html.rendering import rendered
from stress.report.html.trace import cutting
from stress.report.json import summed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stress.report.events import Result
    from stress.report.history import Run

_LETTERS = 600
_SCRIPTS = ("common.js", "cases.js")


def overview_page(
    results: Sequence[Result],
    links: Sequence[str],
    earlier: Mapping[tuple[str, str], Sequence[Run]] | None = None,
) -> str:
    """Give the page; ``links`` are the folders of the cases, ``earlier`` the runs of each, the newest last.

    Links lead to neighbours of the folder that the page is in.
    """
    cut = cutting(_LETTERS)
    rows = [
        {
            "result": result,
            "link": link,
            "covered": summed(result),
            "races": ", ".join(dict.fromkeys(name for one in result.findings for name in one.races)),
            "stories": [reported(one.trace, one.violations) for one in result.findings],
            "ran": counted(sum(one.schedules + one.sampled for one in result.verdict.evidence), "schedule"),
            "runs": (earlier or {}).get((cut(result.scenario.name), cut(result.target.name)), ()),
        }
        for result, link in zip(results, links, strict=True)
    ]
    return rendered(
        "overview.html",
        _SCRIPTS,
        title="gateway-stress: all cases",
        rows=rows,
        cut=cut,
        good=sum(result.as_expected for result in results),
        history=any(row["runs"] for row in rows),
    )
