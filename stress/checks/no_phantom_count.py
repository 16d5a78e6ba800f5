"""No duplicate is answered a count that it did not store itself (R6, R9): a write that failed stores nothing."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from stress.checks._contradiction import last_step
from stress.checks._declare import Reads, invariant
from stress.core.outcomes import How
from stress.core.trace import Kind
from stress.core.verdict import Violation

if TYPE_CHECKING:
    from stress.core.trace import Trace

_READS = ("get", "list")
_STORED = re.compile(r"(\S+) .*?(\w+)=(\d+)")


@invariant(
    "no_phantom_count",
    demands="No client is answered a count that was never stored.",
    reads={Reads.ANSWERS, Reads.STEPS},
    needs={Reads.NAMES, Reads.CREATED},
)
def check(trace: Trace) -> list[Violation]:
    """Compare the count in each answer with what its request wrote; a store that shows no counts is not judged."""
    stored: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    shown = False
    for event in trace.events:
        outcome = event.outcome
        if event.kind is not Kind.STEP or event.actor.startswith("watch:") or outcome.how is not How.OK:
            continue
        if isinstance(outcome.value, str) and (seen := _STORED.match(outcome.value)):
            shown = True
            if not event.command.startswith(_READS):
                stored[event.actor, seen[1]].add(int(seen[3]))
    return [
        Violation(
            "no_phantom_count",
            f"a count of {answer.record} that it stored: {_listed(stored[answer.actor, answer.record])}",
            f"{answer.count} answered to {answer.actor}",
            (answer.actor,),
            last_step(trace, answer.actor),
        )
        for answer in trace.answers
        if shown and answer.duplicate and answer.record is not None and answer.count is not None
        if answer.count not in stored[answer.actor, answer.record]
    ]


def _listed(counts: set[int]) -> str:
    return ", ".join(map(str, sorted(counts))) or "none"
