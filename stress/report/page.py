"""index.html of a pair and of a run: one file each, readable offline, without a script or any other file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stress.report.document import covered, order_name, unchecked
from stress.report.race import CAUSES
from stress.report.story import between, conflicting, said, shown, story
from stress.report.words import clean, replay_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.result import Finding, Result
    from stress.trace import Trace
    from stress.verdict import Violation

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["clean"] = lambda value: clean(str(value))


def pair_page(result: Result, folder: str) -> str:
    """Give the page of one scenario on one target; ``folder`` is where its files are, for the replay commands."""
    findings = [_finding(number, one, folder) for number, one in enumerate(result.findings, start=1)]
    last = None
    if result.verdict.ruling == "inconclusive" and not findings and result.last_trace is not None:
        last = _trace(result.last_trace, ())
    return _TEMPLATES.get_template("pair.html").render(
        title=f"{result.scenario.name} on {result.target.name}",
        result=result,
        findings=findings,
        last=last,
        covered=covered(result.verdict.evidence),
        unchecked=unchecked(result.verdict.evidence).removeprefix("; "),
    )


def overview_page(results: Sequence[Result], links: Sequence[str]) -> str:
    """Give the page of a whole run; ``links`` are the folders of the pairs, relative to it."""
    rows = [
        {
            "result": result,
            "link": link,
            "covered": covered(result.verdict.evidence) + unchecked(result.verdict.evidence),
            "stories": [story(one.trace, one.violations) for one in result.findings],
        }
        for result, link in zip(results, links, strict=True)
    ]
    return _TEMPLATES.get_template("overview.html").render(
        title="gateway-stress",
        rows=rows,
        good=sum(result.as_expected for result in results),
    )


def _finding(number: int, finding: Finding, folder: str) -> dict[str, Any]:
    return {
        "number": number,
        "invariants": ", ".join(finding.invariants),
        "story": story(finding.trace, finding.violations),
        "violations": finding.violations,
        "cause": CAUSES[finding.cause],
        "replay": replay_command(f"{folder}/{order_name(number)}"),
        "replays": finding.replays,
        "switches": finding.order.switches(),
        "world": finding.world,
        "confirmed": finding.confirmed,
        **_trace(finding.trace, finding.violations),
    }


def _trace(trace: Trace, violations: Sequence[Violation]) -> dict[str, Any]:
    """Give a trace as rows, a cell for each actor, with its answers and states."""
    events = shown(trace)
    actors = list(dict.fromkeys(event.actor for event in events))
    found = between(trace, violations) if violations else None
    told = {found.saw, found.came, found.then} if found else set()
    conflicts = conflicting(trace)
    rows = [
        {
            "number": number,
            "column": actors.index(event.actor),
            "text": said(event),
            "whole": event.text if event.text != event.command else "",
            "reply": event.reply,
            "kind": str(event.kind),
            "style": "told" if event.index in told else "conflict" if event.index in conflicts else "",
            "released": event.released,
        }
        for number, event in enumerate(events, start=1)
    ]
    return {
        "actors": actors,
        "rows": rows,
        "answers": trace.answers,
        "states": trace.incarnations,
        "fault": trace.fault,
        "conflicts": bool(conflicts),
        "marked": bool(told),
    }
