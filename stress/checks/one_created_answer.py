"""Exactly one client is answered that it created each active record (R2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.checks._declare import Reads, invariant, missing
from stress.checks._epochs import judge_each, names
from stress.core.verdict import Violation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.trace import Answer, Snapshot, Trace


@invariant(
    "one_created_answer",
    demands="Exactly one client is answered that it created each record.",
    reads={Reads.RECORDS, Reads.ANSWERS},
    needs={Reads.CREATED},
    names={"created"},
    each_epoch=True,
    default=True,
)
def check(trace: Trace) -> list[Violation]:
    """Count the answers that say created, for each record; all of them where answers name no record."""
    return judge_each(trace, _all_together if missing({Reads.NAMES}, trace) else _judge)


def _all_together(number: int, snapshot: Snapshot, answers: Sequence[Answer]) -> list[Violation]:
    """Judge answers that name no record: each active record has one that says created; of records unseen there is one.

    Where no answer says created the record may have been there before.
    """
    created = [answer for answer in answers if answer.created]
    most = max(1, len(snapshot.records or ()))
    if len(created) <= most:
        return []
    expected = "1 answer says created" if most == 1 else f"{most} answers say created"
    observed = f"{len(created)} of {len(answers)}"
    return [Violation("one_created_answer", expected, observed, names(created), epoch=number)]


def _judge(number: int, snapshot: Snapshot, answers: Sequence[Answer]) -> list[Violation]:
    records = (
        snapshot.records if snapshot.records is not None else sorted({one.record for one in answers if one.record})
    )
    found = []
    for record in dict.fromkeys(records):
        mine = [answer for answer in answers if answer.record == record]
        created = [answer for answer in mine if answer.created]
        if len(created) != 1:
            expected, observed = f"1 answer says created {record}", f"{len(created)} of {len(mine)}"
            found.append(Violation("one_created_answer", expected, observed, names(created or mine), epoch=number))
    return found
