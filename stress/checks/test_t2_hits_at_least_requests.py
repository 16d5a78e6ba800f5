"""What the failing test T2 asserts: the first record's count is at least the number of requests (contract 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.checks._contradiction import steps_between
from stress.checks._declare import Reads, invariant
from stress.checks._epochs import names
from stress.core.verdict import Violation

if TYPE_CHECKING:
    from stress.core.trace import Trace


@invariant(
    "test_t2_hits_at_least_requests",
    demands="The test finds a count that is no less than the number of requests.",
    reads={Reads.RECORDS, Reads.HITS},
    needs={Reads.RECORDS, Reads.HITS},
    environment=True,
)
def check(trace: Trace) -> list[Violation]:
    """Read the final state as the test does: no record counts as 0."""
    records, hits = trace.final.records or (), trace.final.hits or {}
    count = (hits.get(records[0]) if records else 0) or 0
    if count >= trace.requests:
        return []
    actors = names(trace.answers)
    expected, steps = f"a count of at least {trace.requests}", steps_between(trace, actors)
    return [Violation("test_t2_hits_at_least_requests", expected, str(count), actors, steps)]
