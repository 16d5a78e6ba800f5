"""What requests with one idempotency key ask for is done once: one record, or a counter that stands at 1."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from stress.checks._declare import Reads, invariant
from stress.checks._epochs import judge_each, names
from stress.core.trace import Kind
from stress.core.verdict import Violation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.trace import Answer, Snapshot, Trace


@invariant(
    "one_effect",
    demands="What was accepted has had its effect exactly once; what was not, at most once.",
    reads={Reads.RECORDS, Reads.HITS, Reads.ANSWERS},
    needs_one={Reads.RECORDS, Reads.HITS},
    each_epoch=True,
)
def check(trace: Trace) -> list[Violation]:
    """Count effects: the hits of all records where a target reads them, else the records.

    Somebody else may have ended a key and left its effect, so each time one more is right: a cleanup that ended
    records is none of these.
    """
    acted = sum(event.kind is Kind.ENVIRONMENT and event.actor in ("expiry", "cleanup") for event in trace.events)
    ended = sum(one.ended_by == "cleanup" for one in trace.epochs)
    return judge_each(trace, partial(_judge, 1 + acted - ended))


def _judge(most: int, number: int, snapshot: Snapshot, answers: Sequence[Answer]) -> list[Violation]:
    least = 1 if answers else 0
    seen = _effects(snapshot)
    if least <= seen <= most:
        return []
    expected = f"{least} effect" if least == most else f"{least} to {most} effects"
    return [Violation("one_effect", expected, str(seen), names(answers), epoch=number)]


def _effects(snapshot: Snapshot) -> int:
    """Count what was done: a record without a number of hits counts as none."""
    if snapshot.hits is not None:
        return sum(count or 0 for count in snapshot.hits.values())
    return len(snapshot.records or ())
