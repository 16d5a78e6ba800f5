"""index.html of a pair and of a run: one file each, readable offline, without a script or any other file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stress.report.beside import beside, breaks
from stress.report.document import covered, order_name, repeated, unchecked
from stress.report.endings import draws, endings, lines_of, percent
from stress.report.race import CAUSES
from stress.report.story import between, conflicting, said, shown, story
from stress.report.words import clean, masked_lines, replay_command
from stress.verdict import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.report.endings import Ending
    from stress.result import Finding, Result
    from stress.step import Move
    from stress.trace import Trace
    from stress.verdict import Violation

_MOST = 40
"""How many outcomes a page shows; result.json has all."""
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
        covered=covered(result.verdict.evidence) + repeated(result.verdict.evidence),
        draws=draws(result.verdict.evidence),
        map=_map(result),
        unchecked=unchecked(result.verdict.evidence).removeprefix("; "),
    )


def overview_page(results: Sequence[Result], links: Sequence[str]) -> str:
    """Give the page of a whole run; ``links`` are the folders of the pairs, relative to it."""
    rows = [
        {
            "result": result,
            "link": link,
            "covered": "".join(tell(result.verdict.evidence) for tell in (covered, repeated, unchecked)),
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
        "breaks": breaks(finding.nearest) if finding.nearest else "",
        "beside": beside(finding.order.moves, finding.nearest) if finding.nearest else [],
        "movers": list(dict.fromkeys(move.actor for move in _moves(finding))),
        **_trace(finding.trace, finding.violations),
    }


def _moves(finding: Finding) -> list[Move]:
    """List the moves of the failing order, and of the nearest passing one if there is one."""
    return [*finding.order.moves, *(finding.nearest.moves if finding.nearest else ())]


def _map(result: Result) -> dict[str, Any]:
    """Give the outcome map as rows: what it is in words, two figures and how long their bars are, and an example."""
    found = endings(result, _MOST)
    total = sum(row.orders for row in result.outcomes)
    rows = [
        {
            "told": one.told,
            "race": one.raced,
            "orders": one.orders,
            "share": percent(one.share),
            "orders_bar": f"{100 * one.orders / total:.1f}%",
            "share_bar": f"{100 * (one.share or 0):.1f}%",
            "example": masked_lines("\n".join(lines_of(one.example))),
        }
        for one in found.shown
    ]
    return {
        "rows": rows,
        "renamed": found.renamed,
        "races": found.raced,
        "drawn": any(row.share is not None for row in result.outcomes),
        "rest": _rest(found.rest) if found.rest else "",
    }


def _rest(rest: Ending) -> str:
    told = f"and {rest.told}: {counted(rest.orders, 'order')}"
    return told if rest.share is None else f"{told}, share {percent(rest.share)}"


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
