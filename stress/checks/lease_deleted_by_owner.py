"""A request that deletes a lease holds it: the last that created it or took it over (L2, L3, L4)."""

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
    "lease_deleted_by_owner",
    demands="A request that deletes a lock holds it.",
    reads={Reads.STEPS},
)
def check(trace: Trace) -> list[Violation]:
    """Follow each lease through the steps that took effect; one that expired is still its holder's until taken over."""
    holders: dict[str, Event] = {}
    found = []
    for event in trace.events:
        if event.kind is not Kind.STEP or not event.object.startswith(_LEASES) or event.outcome.how is not How.OK:
            continue
        holder = holders.get(event.object)
        if event.command in ("create", "update", "patch"):
            holders[event.object] = event
        elif event.command == "delete":
            if holder is not None and holder.actor != event.actor:
                expected, observed = f"{event.object} deleted by {holder.actor}, who held it", f"by {event.actor}"
                actors = tuple(sorted({holder.actor, event.actor}))
                steps = (holder.index, event.index)
                found.append(Violation("lease_deleted_by_owner", expected, observed, actors, steps))
            holders.pop(event.object, None)
    return found
