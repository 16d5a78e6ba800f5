"""Where a signal was accepted there is exactly one active record, and elsewhere none (R1, L1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.checks._declare import Reads, invariant
from stress.checks._epochs import judge_each, names
from stress.core.verdict import Violation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.trace import Answer, Snapshot, Trace


@invariant(
    "one_active_record",
    demands="A signal that was accepted has exactly one active record.",
    reads={Reads.RECORDS, Reads.ANSWERS},
    needs_one={Reads.RECORDS, Reads.NAMES},
    names={"accepted"},
    each_epoch=True,
    default=True,
)
def check(trace: Trace) -> list[Violation]:
    """Count active records; a target that does not show its records is judged by the names in its answers."""
    return judge_each(trace, _judge)


def _judge(number: int, snapshot: Snapshot, answers: Sequence[Answer]) -> list[Violation]:
    named = {answer.record for answer in answers if answer.record}
    records = sorted(named) if snapshot.records is None else list(snapshot.records)
    expected = 1 if answers else 0
    if len(records) == expected or (snapshot.records is None and not records):
        return []
    seen = f"{len(records)}: {', '.join(records)}" if records else "0"
    return [Violation("one_active_record", f"{expected} active record", seen, names(answers), epoch=number)]
