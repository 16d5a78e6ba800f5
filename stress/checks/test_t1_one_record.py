"""What the failing test T1 asserts: every answer is 201 or 202, and one record is there when it looks (contract 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.checks._contradiction import steps_between
from stress.checks._declare import Reads, invariant
from stress.checks._epochs import names
from stress.core.verdict import Violation

if TYPE_CHECKING:
    from stress.core.trace import Trace


@invariant(
    "test_t1_one_record",
    demands="The test finds one record, and every answer is 201 or 202.",
    reads={Reads.RECORDS, Reads.ANSWERS},
    needs={Reads.RECORDS},
    environment=True,
)
def check(trace: Trace) -> list[Violation]:
    """Read answers and the final state as the test does, no matter which actor changed it."""
    wrong = [answer for answer in trace.answers if not (answer.created or answer.duplicate or answer.either)]
    records = trace.final.records or ()
    if not wrong and len(records) == 1:
        return []
    seen = f"{len(records)}, and {len(wrong)} other answers" if wrong else str(len(records))
    actors = names(trace.answers if len(records) != 1 else wrong)
    steps = steps_between(trace, actors)
    return [Violation("test_t1_one_record", "1 record and only 201 or 202", seen, actors, steps)]
