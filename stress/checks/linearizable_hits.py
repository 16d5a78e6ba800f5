"""The hits of a record behave as one counter: some schedule of the answers explains every count that was answered.

Each accepted answer is an increment: it returned its count, 1 when it said created. The history is linearizable
(Herlihy and Wing, TOPLAS 1990) when the increments have a schedule in which the k-th returned k and the one that was
answered before another was sent stands before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.checks._declare import Reads, invariant
from stress.checks._epochs import judge_each, names
from stress.core.verdict import Violation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.trace import Answer, Snapshot, Trace


@invariant(
    "linearizable_hits",
    demands="The hits behave as one counter: some schedule of the answers explains every count answered.",
    reads={Reads.ANSWERS, Reads.PRECEDENCE},
    needs={Reads.NAMES, Reads.CREATED},
    names={"accepted"},
    each_epoch=True,
    default=True,
)
def check(trace: Trace) -> list[Violation]:
    """Look for a schedule of the increments, record by record; an answer without a count constrains time alone."""
    return judge_each(trace, _judge)


def _judge(number: int, snapshot: Snapshot, answers: Sequence[Answer]) -> list[Violation]:
    del snapshot
    found = []
    for record in sorted({answer.record for answer in answers if answer.record}):
        mine = [answer for answer in answers if answer.record == record and answer.counts]
        if not linearizable(mine):
            expected = f"a schedule of {len(mine)} hits of {record} in which the k-th was answered k"
            history = ", ".join(f"{one.actor} {_shown(returned(one))}" for one in sorted(mine, key=_sent))
            found.append(Violation("linearizable_hits", expected, history, names(mine), epoch=number))
    return found


def linearizable(answers: Sequence[Answer]) -> bool:
    """Return whether answers are those of one counter that began at 0.

    Position by position as Wing and Gong do it (JPDC 1993), without going back: an increment that returned k has but
    one position, and of those without a count, the one that was answered first may go first (an exchange argument:
    swapping two of them so breaks no precedence).
    """
    left = list(answers)
    for position in range(1, len(left) + 1):
        deadline = min(answer.ended for answer in left)
        possible = [answer for answer in left if answer.started <= deadline and returned(answer) in (None, position)]
        if not possible:
            return False
        # The one that returned this very position has no other.
        left.remove(min(possible, key=lambda answer: (returned(answer) is None, answer.ended)))
    return True


def returned(answer: Answer) -> int | None:
    """Give the count that an increment returned: 1 for a creation, None where the answer has none."""
    return 1 if answer.created else answer.count


def _sent(answer: Answer) -> int:
    return answer.started


def _shown(count: int | None) -> str:
    return "-" if count is None else str(count)
