"""The stored count of a record equals the number of accepted answers that name it (T2, R6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.checks._declare import Reads, invariant
from stress.checks._epochs import judge_each, names
from stress.core.verdict import Violation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.trace import Answer, Snapshot, Trace


@invariant(
    "hits_equal_answers",
    demands="The stored count of a record equals the number of hits that clients were answered are accepted.",
    reads={Reads.HITS, Reads.ANSWERS},
    needs={Reads.HITS},
    names={"accepted"},
    each_epoch=True,
    default=True,
)
def check(trace: Trace) -> list[Violation]:
    """Compare each record's stored hits with what clients were answered; of all together where an answer names none."""
    return judge_each(trace, _judge)


def _judge(number: int, snapshot: Snapshot, answers: Sequence[Answer]) -> list[Violation]:
    hits = snapshot.hits or {}
    records = sorted({*hits, *(answer.record for answer in answers if answer.record)})
    if len(records) > 1 and not all(answer.record for answer in answers):
        known = [stored for stored in hits.values() if stored is not None]
        hits = {"all records": sum(known) if len(known) == len(hits) else None}
        groups = {"all records": list(answers)}
    elif len(records) == 1:
        groups = {records[0]: list(answers)}  # one that names none can only mean this one
    else:
        groups = {record: [answer for answer in answers if answer.record == record] for record in records}
    found = []
    for record, mine in groups.items():
        stored = hits.get(record, 0)
        if stored is None and snapshot.ended_by:
            continue  # its status was still to be written when somebody else ended it
        least, most = sum(answer.counts for answer in mine), len(mine)  # who was refused may have been counted
        if stored is None or not least <= stored <= most:
            expected = f"{least}{f' to {most}' if most > least else ''} hits of {record}"
            observed = "no number" if stored is None else str(stored)
            found.append(Violation("hits_equal_answers", expected, observed, names(mine), epoch=number))
    return found
