"""Which steps contradict each other: of requests in flight together, those on one object that one of them changes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from stress.core.step import WHOLE, Access
from stress.core.trace import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stress.core.trace import Answer, Event, Trace


def steps_between(trace: Trace, actors: Sequence[str], epoch: int | None = None) -> tuple[int, ...]:
    """Give the indexes of the events that a violation about some actors' answers comes from, in order.

    They are the steps that conflict between those actors while both were in flight, in one epoch or in all.
    Where none do, they are the actors' steps that changed anything. What the environment did to records is always
    among them.
    """
    together = _in_flight_together([answer for answer in trace.answers if answer.actor in set(actors)])
    steps: list[Event] = []
    outside: list[int] = []
    for event in trace.events:
        if event.kind is Kind.ENVIRONMENT:
            if event.actor != "clock":
                outside.append(event.index)
        elif event.kind is Kind.STEP and event.actor in actors and epoch in (None, event.epoch):
            steps.append(event)
    found = _conflicting([event for event in steps if event.actor in together]) or {
        event.index for event in steps if any(touch.access is not Access.READ for touch in event.touches)
    }
    return tuple(sorted({*found, *outside}))


def last_step(trace: Trace, actor: str) -> tuple[int, ...]:
    """Give the index of the last step before an actor was answered; nothing when it had none."""
    return tuple(event.index for event in trace.steps_of(actor)[-1:])


def _in_flight_together(answers: Sequence[Answer]) -> set[str]:
    """Name the actors whose request was in flight while another's was."""
    return {
        one.actor
        for one in answers
        if any(one is not other and one.started < other.ended and other.started < one.ended for other in answers)
    }


def _conflicting(steps: Sequence[Event]) -> set[int]:
    """Find steps that touch an object which another actor's step touches too, where one of both changes it."""
    touching: defaultdict[str, list[tuple[Event, bool]]] = defaultdict(list)
    for event in steps:
        for touch in event.touches:
            touching[touch.object].append((event, touch.access is not Access.READ))
    everywhere = touching.pop(WHOLE, [])
    groups: Iterable[list[tuple[Event, bool]]] = [
        *([*on_one, *everywhere] for on_one in touching.values()),
        everywhere,
    ]
    found: set[int] = set()
    for group in groups:
        users = {event.actor for event, _ in group}
        changers = {event.actor for event, changes in group if changes}
        found |= {event.index for event, changes in group if (users if changes else changers) - {event.actor}}
    return found
