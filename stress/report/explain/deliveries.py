"""What watches delivered, and when: only so may a story say that somebody did not know of a write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.trace import Kind
from stress.report.explain.deeds import reads

if TYPE_CHECKING:
    from stress.core.trace import Event, Trace

UNHEARD = "before any watch event of it was delivered"
"""What is said of who went on after a write that no watch had reported."""


def unheard(trace: Trace, write: Event, until: Event) -> tuple[int, ...] | None:
    """Tell whether, when something happened, no watch had reported a write and its actor had not looked at it live.

    That is known where a watch delivers an event of the same object later, or still has one when all is over. Gives the
    index of that later event, none where it never came in this run; None where it is not known, or not so.
    """
    names = {touch.object for touch in write.touches} | {write.object}
    reported = [one for one in trace.events if one.actor.startswith("watch") and one.object in names]
    later = [one.index for one in reported if one.index > until.index]
    if any(write.index < one.index < until.index for one in reported):
        return None
    if not later and not any(move.object in names for move in trace.held):
        return None
    mine = [one for one in trace.steps_of(until.actor) if write.index < one.index < until.index]
    live = any(reads(one) and not names.isdisjoint(touch.object for touch in one.touches) for one in mine)
    return None if live else tuple(later[:1])


def begun(trace: Trace, actor: str) -> Event | None:
    """Give the first event of an actor: its start, where that is in the trace."""
    return next((one for one in trace.events if one.actor == actor and one.kind is not Kind.ANSWER), None)
