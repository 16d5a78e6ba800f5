"""Every active record has a count: the one that created it has also written its status (R2, R5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.checks._declare import Reads, invariant
from stress.core.verdict import Violation

if TYPE_CHECKING:
    from stress.core.trace import Trace


@invariant(
    "status_initialised",
    demands="Every active record has a count.",
    reads={Reads.HITS},
    needs={Reads.HITS},
)
def check(trace: Trace) -> list[Violation]:
    """Look for records without a number; one that somebody else deleted needs none."""
    return [
        Violation("status_initialised", f"a stored count of {record}", "none", epoch=number)
        for number, snapshot in enumerate(trace.epochs)
        if not snapshot.ended_by
        for record, hits in sorted((snapshot.hits or {}).items())
        if hits is None
    ]
