"""The stored count of a record equals the number of accepted answers that name it (T2, R6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.checks._declare import Reads, invariant
from stress.checks._incarnations import judge_each, names
from stress.core.verdict import Violation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.trace import Answer, Snapshot, Trace


@invariant(
    "hits_equal_answers",
    demands="The stored count of a record equals the number of hits that clients were told are accepted.",
    reads={Reads.HITS, Reads.ANSWERS},
    needs={Reads.HITS},
    each_incarnation=True,
    default=True,
)
def check(trace: Trace) -> list[Violation]:
    """Compare each record's stored hits with what clients were told."""
    return judge_each(trace, _judge)


def _judge(number: int, snapshot: Snapshot, answers: Sequence[Answer]) -> list[Violation]:
    hits = snapshot.hits or {}
    found = []
    for record in sorted({*hits, *(answer.record for answer in answers if answer.record)}):
        mine = [answer for answer in answers if answer.record == record]
        stored = hits.get(record, 0)
        if stored is None and snapshot.ended_by:
            continue  # its status was still to be written when somebody else ended it
        if stored != len(mine):
            expected, observed = f"{len(mine)} hits of {record}", "no number" if stored is None else str(stored)
            found.append(Violation("hits_equal_answers", expected, observed, names(mine), incarnation=number))
    return found
