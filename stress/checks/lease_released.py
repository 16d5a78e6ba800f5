"""No lease is left behind once every request is answered or its client has hung up (L5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.checks._declare import Reads, invariant
from stress.core.outcomes import How
from stress.core.trace import Kind
from stress.core.verdict import Violation

if TYPE_CHECKING:
    from stress.core.trace import Event, Trace

_LEASES = "leases/"


@invariant(
    "lease_released",
    demands="No lock is left behind when every request is over.",
    reads={Reads.STEPS},
)
def check(trace: Trace) -> list[Violation]:
    """Follow each lease from its making to its deletion."""
    held: dict[str, Event] = {}
    for event in trace.events:
        if event.kind is Kind.STEP and event.object.startswith(_LEASES) and event.outcome.how is How.OK:
            if event.command in ("create", "update", "patch"):
                held[event.object] = event
            elif event.command == "delete":
                held.pop(event.object, None)
    return [
        Violation("lease_released", f"{name} deleted", f"still held by {event.actor}", (event.actor,), (event.index,))
        for name, event in held.items()
    ]
