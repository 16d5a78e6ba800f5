"""Who claims a key finishes it or gives it back: no marker of a request in flight stays when all are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.checks._declare import Reads, invariant
from stress.core.outcomes import How
from stress.core.step import WHOLE, Access
from stress.core.trace import Kind
from stress.core.verdict import Violation

if TYPE_CHECKING:
    from stress.core.trace import Event, Trace

_CLAIMS = frozenset({"SET", "SETNX", "HSETNX", "MSETNX"})
"""Commands that set what is not there."""
_ONLY_TIMES = frozenset({"EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT", "PERSIST"})
"""Commands that change nothing but how long a key lives."""


@invariant(
    "nothing_left_processing",
    demands="A key that is claimed (SET NX) is written again or deleted by the end.",
    reads={Reads.STEPS},
)
def check(trace: Trace) -> list[Violation]:
    """Follow each key from its claim to the next change of it, by any actor.

    A claim is a command that sets a key only if it is not there, and did. What went down in one step with others that
    were refused may be none, and a key is as good as deleted when somebody else deleted or ended records after it.
    """
    claimed: dict[str, Event] = {}
    for event in trace.events:
        if event.kind not in (Kind.STEP, Kind.ENVIRONMENT) or event.outcome.how is not How.OK:
            continue
        commands = set(event.command.split("+"))
        if commands <= _ONLY_TIMES:
            continue
        for touch in event.touches:
            if touch.object == WHOLE and touch.access is not Access.READ:
                claimed.clear()
            elif touch.access in (Access.WRITE, Access.DELETE):
                claimed.pop(touch.object, None)
            elif touch.access is Access.CREATE and commands <= _CLAIMS and not _partly_refused(event):
                claimed[touch.object] = event
    last = len(trace.epochs) - 1
    return [
        Violation(
            "nothing_left_processing",
            f"{name} written again or deleted",
            f"left as {event.actor} claimed it",
            (event.actor,),
            (event.index,),
            event.epoch,
        )
        for name, event in claimed.items()
        if event.epoch == last
    ]


def _partly_refused(event: Event) -> bool:
    """Tell whether one of several commands in a step was refused."""
    return any(part.how is not How.OK for part in event.outcome.parts)
