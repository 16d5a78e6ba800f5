"""The counts answered to duplicates of one record are 2…N without repeats (R6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.checks._declare import Reads, invariant
from stress.checks._epochs import judge_each, names
from stress.core.verdict import Violation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.trace import Answer, Snapshot, Trace


@invariant(
    "distinct_counts",
    demands="No two duplicates are answered the same count, and none is left out.",
    reads={Reads.ANSWERS},
    needs={Reads.NAMES, Reads.CREATED},
    names={"accepted"},
    each_epoch=True,
    default=True,
)
def check(trace: Trace) -> list[Violation]:
    """Compare the counts in duplicate answers, record by record; answers without a count say nothing."""
    return judge_each(trace, _judge)


def _judge(number: int, snapshot: Snapshot, answers: Sequence[Answer]) -> list[Violation]:
    del snapshot
    found = []
    for record in sorted({answer.record for answer in answers if answer.record}):
        mine = [answer for answer in answers if answer.record == record]
        duplicates = [answer for answer in mine if answer.duplicate and answer.counts and answer.count is not None]
        counts = sorted(answer.count for answer in duplicates if answer.count is not None)
        allowed = list(range(2, len(mine) + 1))
        # Of N hits one created the record; the others, where all have a count, fill 2…N without a gap.
        if len(set(counts)) < len(counts) or not set(counts) <= set(allowed):
            expected = f"counts {allowed} of {record}"
            found.append(Violation("distinct_counts", expected, str(counts), names(duplicates), epoch=number))
    return found
