"""The counts told to duplicates of one record are 2…N without repeats (R6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.checks._incarnations import judge_each, names
from stress.verdict import Violation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.trace import Answer, Snapshot, Trace

NEEDS: frozenset[str] = frozenset()


def check(trace: Trace) -> list[Violation]:
    """Compare the counts in duplicate answers, record by record; answers without a count say nothing."""
    return judge_each(trace, _judge)


def _judge(number: int, snapshot: Snapshot, answers: Sequence[Answer]) -> list[Violation]:
    del snapshot
    found = []
    for record in sorted({answer.record for answer in answers if answer.record}):
        mine = [answer for answer in answers if answer.record == record]
        duplicates = [answer for answer in mine if answer.duplicate and answer.count is not None]
        counts = sorted(answer.count or 0 for answer in duplicates)
        created = sum(answer.created for answer in mine)
        # Other answers may have said created: those hits have numbers too, which only their clients could tell.
        allowed = set(range(2, len(mine) + 1))
        wrong = (
            len(set(counts)) != len(counts) or not set(counts) <= allowed or (created == 1 and set(counts) != allowed)
        )
        if wrong and len(duplicates) + created == len(mine):
            expected = f"counts {sorted(allowed)} of {record}"
            found.append(Violation("distinct_counts", expected, str(counts), names(duplicates), incarnation=number))
    return found
