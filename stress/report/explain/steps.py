"""The steps of a trace as reports speak of them: which conflict, which came between two others, what each says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stress.core.outcomes import How
from stress.core.step import WHOLE, Access
from stress.core.trace import Kind
from stress.report.explain.words import short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.trace import Event, Trace
    from stress.core.verdict import Violation

_BEFORE = "before"
COLLECTION = "/*"
"""How the name of a collection of the Kubernetes API ends."""
_REMAINING = ("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME")
"""What looks at how long a key lasts has not looked at what it holds."""
ACTS = {
    "clock": "moves on to the next second",
    "cleanup": "deletes the records",
    "expiry": "lets a key run out",
}
"""What an actor of the environment does, in words."""


class Between(NamedTuple):
    """What a story is about: a step of one actor that came between two steps of another.

    ``saw`` and ``came`` conflict on ``object``; ``then`` is where the actor of ``saw`` went on, knowing nothing of it.
    All three are indexes of events.
    """

    saw: int
    came: int
    then: int
    object: str


def between(trace: Trace, violations: Sequence[Violation] = ()) -> Between | None:
    """Find the step that came between two steps of another actor; None when no request was interrupted so.

    Preferred is a plain read whose actor then changes what it had read, of actors that the first violation names.
    """
    named = set(violations[0].answers) if violations else set()
    events = trace.events
    best: tuple[tuple[bool, ...], Between] | None = None
    for came in (event for event in events if event.kind is Kind.STEP and not refused(event)):
        for actor in dict.fromkeys(event.actor for event in events if event.actor != came.actor):
            found = _around(trace.steps_of(actor), came)
            if found is None:
                continue
            saw, then = events[found.saw], events[found.then]
            worth = (
                {actor, came.actor} <= named,
                _only_reads(saw, found.object),
                found.object in common(came, then),
                not _only_reads(then, found.object),
                not saw_nothing(came),
            )
            if best is None or worth > best[0]:
                best = (worth, found)
    return best[1] if best else None


def of_kubernetes(event: Event) -> bool:
    """Tell whether a step is a request to the Kubernetes API; commands of Redis have capitals."""
    return event.command[:1].islower()


def refused(event: Event) -> bool:
    """Tell whether a step changed nothing although it could have: a transaction, a creation, a request that failed."""
    came = event.outcome
    return came.error or (came.how in (How.ABSENT, How.REFUSED) and came.value in (None, ()))


def saw_nothing(event: Event) -> bool:
    """Tell whether a step found that nothing is there, or that nothing was done."""
    return event.outcome.how in (How.ABSENT, How.REFUSED)


def common(first: Event, second: Event) -> list[str]:
    """Name the objects on which two steps conflict: both touch it, and one does not only read it.

    Two changes of a collection are none for people: they are of two objects in it, or conflict on the one object too.
    """
    return [
        theirs.object if mine.object == WHOLE else mine.object
        for mine in first.touches
        for theirs in second.touches
        if (mine.object == theirs.object or WHOLE in (mine.object, theirs.object))
        and not (mine.access is Access.READ and theirs.access is Access.READ)
        and not (mine.object.endswith(COLLECTION) and Access.READ not in (mine.access, theirs.access))
    ]


def conflicting(trace: Trace) -> frozenset[int]:
    """Give the indexes of all steps that conflict with a step of another actor in flight at the same time."""
    steps = [event for event in shown(trace) if event.kind is Kind.STEP]
    return frozenset(
        one.index for one in steps if any(one.actor != other.actor and common(one, other) for other in steps)
    )


def _around(mine: Sequence[Event], came: Event) -> Between | None:
    earlier = [event for event in mine if event.index < came.index and common(event, came)]
    later = [event for event in mine if event.index > came.index]
    if not earlier or not later:
        return None
    reads = [event for event in earlier if any(_only_reads(event, name) for name in common(event, came))]
    saw = (reads or earlier)[-1]
    then = next((event for event in later if common(event, came) and event.command not in _REMAINING), later[0])
    both = [name for name in common(saw, came) if name in common(came, then)]
    return Between(saw.index, came.index, then.index, (both or common(saw, came))[0])


def _only_reads(event: Event, name: str) -> bool:
    return all(touch.access is Access.READ for touch in event.touches if touch.object in (name, WHOLE))


def shown(trace: Trace) -> list[Event]:
    """Give the events that are shown: all but those of the requests answered before the concurrent ones."""
    return [event for event in trace.events if not event.actor.startswith(_BEFORE)]


def said(event: Event) -> str:
    """Give what one event says in a column: a command and its reply, an answer, what the environment did."""
    if event.kind is Kind.START:
        return "starts"
    if event.kind is Kind.ANSWER:
        return f"is answered {event.command if event.command != '0' else 'nothing'}"
    if event.kind is Kind.BLOCKED:
        return "is blocked"
    if event.kind is Kind.ENVIRONMENT:
        return ACTS.get(event.actor, "acts")
    return short(event.command, event.object, event.text)
