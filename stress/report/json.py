"""The JSON of a report: result.json and the lines of trace.ndjson."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from stress.report.explain.endings import lines_of, listing
from stress.report.explain.steps import said, shown
from stress.report.explain.story import story
from stress.report.explain.telling import pattern
from stress.report.explain.unordered import BURST_FILE
from stress.report.explain.words import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.trace import Trace
    from stress.core.verdict import Evidence
    from stress.report.events import Finding, Result


def document(result: Result) -> dict[str, Any]:
    """Give the content of result.json; texts are masked, files are named relative to its folder."""
    value: dict[str, Any] = plain(
        {
            "scenario": result.scenario.name,
            "target": result.target.name,
            "executor": result.executor,
            "verdict": result.verdict.ruling,
            "reason": result.verdict.reason,
            "expected": result.expected,
            "as_expected": result.as_expected,
            "violations": [one for finding in result.findings for one in _violations(finding)] + _in_bursts(result),
            "missing": result.missing,
            "goals": {
                "met": list(dict.fromkeys(name for one in result.findings for name in one.races)),
                "not_met": result.open_goals,
            },
            "unexpected": result.unexpected,
            "search": _search(result),
            "schedule_file": schedule_name(1) if result.findings else None,
            "findings": [_finding(number, one) for number, one in enumerate(result.findings, start=1)],
            "unordered": _unordered(result),
            "outcomes": listing(result.outcomes),
            "faults": result.faults,
            "notes": result.notes,
            "seed": result.seed,
        }
    )
    return value


def schedule_name(number: int) -> str:
    """Name the schedule file of a finding, counted from 1."""
    return "schedule.txt" if number == 1 else f"schedule-{number}.txt"


def schedule_path(folder: str, number: int) -> str:
    """Give the path of the schedule file of a finding, counted from 1; empty where no folder was written."""
    return f"{folder}/{schedule_name(number)}" if folder else ""


def lines(trace: Trace) -> str:
    """Give trace.ndjson: one event a line, then one answer a line, then one state a line for each epoch."""
    kinds: Sequence[tuple[str, Sequence[object]]] = (
        ("event", trace.events),
        ("answer", trace.answers),
        ("state", trace.epochs),
    )
    return "".join(json.dumps({kind: plain(one)}) + "\n" for kind, several in kinds for one in several)


def _violations(finding: Finding) -> list[dict[str, Any]]:
    return [{**plain(violation), "cause": finding.cause} for violation in finding.violations]


def _in_bursts(result: Result) -> list[dict[str, Any]]:
    bare = result.unordered
    return [{**plain(one), "cause": bare.cause} for one in bare.violations] if bare is not None else []


def _unordered(result: Result) -> dict[str, Any] | None:
    """Give a race without a schedule: how often it was seen, a burst and its control."""
    bare = result.unordered
    if bare is None:
        return None
    traces = {"burst": bare.trace, "control": bare.control}
    reported = {name: {"answers": plain(one.answers), "states": plain(one.epochs)} for name, one in traces.items()}
    return {"burst_file": BURST_FILE, "seen": plain(bare.bursts), **reported}


def _finding(number: int, finding: Finding) -> dict[str, Any]:
    return {
        "schedule_file": schedule_name(number),
        "races": finding.races,
        "invariants": finding.invariants,
        "pattern": pattern(finding.trace, finding.violations),
        "story": story(finding.trace, finding.violations),
        "cause": finding.cause,
        "executor": finding.executor,
        "confirmed": finding.confirmed,
        "failed_again": finding.replays[0],
        "replays": finding.replays[1],
        "fresh": finding.schedule.head.fresh,
        "preemptions": finding.schedule.preemptions(),
        "nearest": _nearest(finding),
        "lines": {
            str(event.index): {"actor": event.actor, "step": said(event), "lines": event.lines}
            for event in shown(finding.trace)
            if event.lines
        },
    }


def _nearest(finding: Finding) -> dict[str, Any] | None:
    nearest = finding.nearest
    if nearest is None:
        return None
    return {"moved": nearest.moved, "breaks": str(nearest), "schedule": lines_of(nearest.moves)}


def _search(result: Result) -> dict[str, Any]:
    """Sum up the search: what one executor exhausted is exhausted, as in the verdict; then each executor by itself."""
    evidence = result.verdict.evidence
    return {
        "scheduler": ", ".join(dict.fromkeys(one.scheduler for one in evidence)),
        "schedules": sum(one.schedules + one.sampled for one in evidence),
        "classes": max((one.classes or one.total for one in evidence if one.total is not None), default=None),
        "exhausted": any(one.exhausted for one in evidence),
        "bound": max((one.bound for one in evidence if one.bound is not None), default=None),
        "seconds": round(result.seconds or sum(one.seconds for one in evidence), 3),
        "covered": covered(evidence),
        "evidence": [{**plain(one), "covered": one.covered} for one in evidence],
    }


def covered(evidence: Sequence[Evidence]) -> str:
    """Say in words how much was covered; with several executors, by which."""
    if len(evidence) == 1:
        return evidence[0].covered
    return "; ".join(f"{one.executor}: {one.covered}" for one in evidence)


def summed(result: Result) -> str:
    """Say in words how much was covered and what was not checked; first of all why nothing is concluded, if so."""
    evidence = result.verdict.evidence
    words = f"{covered(evidence)}{unchecked(evidence)}"
    if result.verdict.ruling != "inconclusive":
        return words
    reason = result.verdict.reason
    return reason if not words or words in reason else f"{reason}; {words}"


def not_met(result: Result) -> str:
    """Name the goals that no run met, in words; nothing where there are none."""
    return f"goals not met: {', '.join(result.open_goals)}" if result.open_goals else ""


def reasons(result: Result) -> tuple[str, ...]:
    """Give why nothing is concluded, or not all."""
    unknown = result.verdict.ruling == "inconclusive"
    return tuple(dict.fromkeys((*result.faults, *([result.verdict.reason] if unknown else []))))


def unchecked(evidence: Sequence[Evidence]) -> str:
    """Name the checks that could not be run, to stand beside what was covered; nothing when all were."""
    names = list(dict.fromkeys(name for one in evidence for name in one.not_checked))
    return f"; not checked: {', '.join(names)}" if names else ""
