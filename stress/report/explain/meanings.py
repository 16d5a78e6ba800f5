"""What the checks demand, and what a search leaves open, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.registry import CHECKS
from stress.core.verdict import counted

if TYPE_CHECKING:
    from stress.report.events import Result


def in_words(invariant: str) -> str:
    """Say what a check demands; nothing of one that has no words here."""
    return CHECKS[invariant].demands if invariant in CHECKS.names() else ""


def uncontrolled(result: Result) -> list[str]:
    """List what the search did not control, so that nobody takes it for covered."""
    evidence, scenario = result.verdict.evidence, result.scenario
    executors = {one.executor for one in evidence}
    sentences = ["What a Gateway does between two store commands is not ordered: its threads, its timers, its memory."]
    if "live" in executors:
        sentences.append("What the target calls background passes ungated, such as PING.")
    if executors == {"model"}:
        sentences.append("Nothing was run on the wire.")
    if scenario.earlier:
        sentences.append(f"{counted(scenario.earlier.requests, 'request')} came before the others, one after another.")
    if any(one.shared_only for one in evidence):
        sentences.append("It is assumed that requests share only the store.")
    crossed = (finding.trace.crossed_second for finding in result.findings)
    sentences += [
        f"Another second began unasked at move {at + 1} of a failing schedule." for at in crossed if at is not None
    ]
    if names := list(dict.fromkeys(name for one in evidence for name in one.not_checked)):
        sentences.append(f"Not checked: {', '.join(names)}.")
    return sentences
