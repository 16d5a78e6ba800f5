"""A delete removes the very lease that its request made, took over or read, and not one made since (L3, L4)."""

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
    "lease_deleted_as_seen",
    demands="A request that deletes a lock deletes the one that it saw.",
    reads={Reads.STEPS},
)
def check(trace: Trace) -> list[Violation]:
    """Follow each lease from its making or taking over to the next; a delete that was refused removes nothing."""
    made: dict[str, Event] = {}
    seen: dict[str, set[str]] = {}
    found = []
    for event in trace.events:
        if event.kind is not Kind.STEP or not event.object.startswith(_LEASES) or event.outcome.how is not How.OK:
            continue
        if event.command in ("create", "update", "patch"):
            made[event.object], seen[event.object] = event, {event.actor}
        elif event.command == "get":
            seen.setdefault(event.object, set()).add(event.actor)
        elif event.command == "delete":
            holder = made.pop(event.object, None)
            if holder is not None and event.actor not in seen[event.object]:
                expected = f"{event.object} of {holder.actor} to stay"
                actors = tuple(sorted({holder.actor, event.actor}))
                steps = (holder.index, event.index)
                found.append(Violation("lease_deleted_as_seen", expected, f"deleted by {event.actor}", actors, steps))
            seen.pop(event.object, None)
    return found
