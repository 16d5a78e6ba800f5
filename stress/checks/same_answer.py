"""All accepted requests are answered the same result, as idempotent services do: a later one gets the first's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.checks._declare import Reads, invariant
from stress.checks._epochs import judge_each, names
from stress.core.verdict import Violation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.trace import Answer, Snapshot, Trace


@invariant(
    "same_answer",
    demands="All accepted answers name the same result.",
    reads={Reads.ANSWERS},
    needs={Reads.NAMES},
    names={"accepted"},
    each_epoch=True,
)
def check(trace: Trace) -> list[Violation]:
    """Compare the records that accepted answers name."""
    return judge_each(trace, _judge)


def _judge(number: int, snapshot: Snapshot, answers: Sequence[Answer]) -> list[Violation]:
    del snapshot
    named = sorted({answer.record for answer in answers if answer.record})
    if len(named) <= 1:
        return []
    return [Violation("same_answer", "the same result in all answers", ", ".join(named), names(answers), (), number)]
