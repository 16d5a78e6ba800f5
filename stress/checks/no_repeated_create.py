"""A create that found the name taken is not tried again (R10), whatever digits the name holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.checks._declare import Reads, invariant
from stress.core.outcomes import How
from stress.core.trace import Kind
from stress.core.verdict import Violation

if TYPE_CHECKING:
    from stress.core.trace import Event, Trace

_EXISTS = "409 "


@invariant(
    "no_repeated_create",
    demands="A create that is refused, as the object exists, is not sent again.",
    reads={Reads.STEPS},
)
def check(trace: Trace) -> list[Violation]:
    """Look for a create that its request has just sent, was refused, and sends again."""
    before: dict[str, Event] = {}
    found = []
    for event in trace.events:
        if event.kind is not Kind.STEP:
            continue
        last = before.get(event.actor)
        before[event.actor] = event
        if last is not None and _refused(last) and (last.command, last.object) == (event.command, event.object):
            said = f"{event.actor} sends it again after {last.reply or last.outcome.value}"
            steps = (last.index, event.index)
            found.append(Violation("no_repeated_create", f"one create of {event.object}", said, (event.actor,), steps))
    return found[:1]


def _refused(event: Event) -> bool:
    """Return whether a step is a create in the Kubernetes API that found the name taken."""
    outcome = event.outcome
    return event.command == "create" and outcome.how is How.REFUSED and str(outcome.value).startswith(_EXISTS)
