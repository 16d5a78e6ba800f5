"""Locks: leases and keys that are called so, who holds them, and how somebody else gets in all the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from stress.core.outcomes import How
from stress.core.step import Access
from stress.report.explain.steps import COLLECTION, saw_nothing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.trace import Event

EXPIRED, ENTERED, DELETED = "lock expiry", "re-entrant lock", "delete under foot"
"""How a lock that is held lets another in; the names of patterns."""
_LOCK = re.compile(r"(^leases/.)|((^|[^a-z])(lock|mutex|lease)([^a-z]|$))", re.IGNORECASE)


class Lost(NamedTuple):
    """A lock that did not keep others out: how, the steps that show it, and what happened in words."""

    how: str
    steps: tuple[Event, ...]
    told: str


def locks(event: Event) -> list[str]:
    """Name the locks among what a step touches."""
    names = (touch.object for touch in event.touches)
    return [name for name in names if _LOCK.search(name) and not name.endswith(COLLECTION)]


def takes(event: Event, name: str) -> bool:
    """Tell whether a step takes a lock: it makes what was not there."""
    return _access(event, name) is Access.CREATE and not refuses(event)


def refuses(event: Event) -> bool:
    """Tell whether a step changed nothing."""
    return event.outcome.how in (How.ABSENT, How.REFUSED)


def changes(event: Event) -> bool:
    """Tell whether a step changed anything."""
    return any(touch.access is not Access.READ for touch in event.touches) and not refuses(event)


def lost_lock(name: str, steps: Sequence[Event]) -> Lost | None:
    """Follow one lock through all steps; give how it was lost, or None: it kept everybody out."""
    held: Event | None = None
    looked: dict[str, Event] = {}
    for step in steps:
        access, looks = _access(step, name), looked.get(step.actor)
        other = held is not None and held.actor != step.actor
        if takes(step, name):
            if held and other:
                return Lost(EXPIRED, (held, step), _told(step, name, held, "took"))
            held = step
        elif access is Access.READ and not saw_nothing(step):
            looked[step.actor] = step
        elif access is Access.DELETE and not refuses(step) and held:
            if other and looks and looks.index < held.index:
                return Lost(DELETED, (looks, held, step), _told(step, name, held, "deleted"))
            held = None
        elif access is Access.WRITE and not refuses(step) and held and other:
            return Lost(EXPIRED, (held, step), _told(step, name, held, "took over"))
        elif access is None and held and other and looks and looks.index > held.index and changes(step):
            told = f"{step.actor}'s {looks.command} saw {name}, which {held.actor} holds, and went in all the same"
            return Lost(ENTERED, (held, looks, step), told)
    return None


def held_after(events: Sequence[Event]) -> bool:
    """Tell whether some lock was taken, and not given back, in these events."""
    held: set[str] = set()
    for event in events:
        for name in locks(event):
            if takes(event, name):
                held.add(name)
            elif _access(event, name) is Access.DELETE and not refuses(event):
                held.discard(name)
    return bool(held)


def _told(step: Event, name: str, held: Event, did: str) -> str:
    return f"{step.actor}'s {step.command} {did} {name}, which {held.actor} holds"


def _access(event: Event, name: str) -> Access | None:
    return next((touch.access for touch in event.touches if touch.object == name), None)
