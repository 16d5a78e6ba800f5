"""Locks: leases and keys that are called so, who took them, and how somebody else gets in all the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from stress.core.step import Access
from stress.core.trace import Kind
from stress.report.explain.deeds import access_to, changes, deed, made, makes, refused, unknown
from stress.report.explain.pattern import Pattern
from stress.report.explain.steps import COLLECTION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.trace import Event

_LOCK = re.compile(r"(^leases/.)|((^|[^a-z])(lock|mutex|lease)([^a-z]|$))", re.IGNORECASE)
_TIMES = ("EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT", "PERSIST")
"""They change how long a lock lasts, not whose it is."""
_RAN_OUT = "expiry acted"


class Lost(NamedTuple):
    """A lock that did not keep others out: how, the steps that show it in their order, and what happened in words."""

    how: Pattern
    steps: tuple[Event, ...]
    reported: str


def locks(event: Event) -> list[str]:
    """Name the locks among what a step touches."""
    names = (touch.object for touch in event.touches)
    return [name for name in names if _LOCK.search(name) and not name.endswith(COLLECTION)]


def lost_locks(events: Sequence[Event]) -> list[Lost]:
    """Follow every lock through all events; list how each did not keep others out."""
    names = dict.fromkeys(name for event in events for name in locks(event))
    followed = [_Followed(name) for name in names]
    return [lost for one in followed for event in events if (lost := one.note(event)) is not None]


def held_by(events: Sequence[Event]) -> Event | None:
    """Give the step that took the last lock that was not given back in these events."""
    held: dict[str, Event] = {}
    for event in events:
        for name in locks(event):
            if makes(event, name):
                held[name] = event
            elif access_to(event, name) is Access.DELETE and not refused(event):
                held.pop(name, None)
    return list(held.values())[-1] if held else None


class _Followed:
    """One lock, followed through all events. Who was refused it, or sleeps, is not taken for one who went in."""

    def __init__(self, name: str) -> None:
        """Begin with nobody who holds it."""
        self._name = name
        self._held: Event | None = None
        self._expired: Event | None = None
        self._looked: dict[str, Event] = {}

    def note(self, event: Event) -> Lost | None:
        """Take in what happened next; tell of it where the lock did not keep somebody out."""
        if event.kind is Kind.BLOCKED:
            self._looked.pop(event.actor, None)
        elif event.kind is Kind.ENVIRONMENT and event.actor == "expiry" and self._held is not None:
            self._expired = event
        elif event.kind is Kind.STEP:
            return self._step(event) if access_to(event, self._name) is not None else self._beside(event)
        return None

    def _step(self, event: Event) -> Lost | None:
        """Take in a step on the lock itself."""
        held, looks, found = self._held, self._looked.get(event.actor), None
        access, another = access_to(event, self._name), held is not None and held.actor != event.actor
        if unknown(event):
            self._held = self._expired = None
            self._looked.clear()
        elif makes(event, self._name) or (another and _takes_over(event, self._name)):
            found = self._taken(held, event) if held is not None and another else None
            self._held, self._expired = event, self._expired if found else None
        elif refused(event):
            self._looked.pop(event.actor, None)
        elif access is Access.READ:
            self._looked[event.actor] = event
        elif access is Access.DELETE:
            found = self._deleted(held, looks, event) if held is not None and another and looks is not None else None
            self._held = self._expired = None
        return found

    def _beside(self, event: Event) -> Lost | None:
        """Take in a step on something else: making it is what a lock is for; hits are counted outside of locks too."""
        held, looks = self._held, self._looked.get(event.actor)
        if held is None or looks is None or not held.index < looks.index or held.actor == event.actor:
            return None
        if not made(event) or not changes(event):
            return None
        reported = f"{deed(looks)} saw {self._name}, which {held.actor} had taken and not given back, and {deed(event)}"
        reported += f" of {made(event)} followed all the same"
        return Lost(Pattern.REENTRANT_LOCK, (held, looks, event), reported)

    def _taken(self, held: Event, event: Event) -> Lost:
        reported = f"{deed(event)} took {self._name}, which {held.actor} had taken"
        if self._expired is None:
            return Lost(Pattern.LOCK_TAKEN, (held, event), f"{reported} and nobody had deleted")
        return Lost(Pattern.LOCK_EXPIRY, (held, self._expired, event), f"{reported} before {_RAN_OUT}")

    def _deleted(self, held: Event, looks: Event, event: Event) -> Lost:
        """Tell of who deletes a lock of another: it was made since that one looked, or is taken for its own."""
        reported = f"{deed(event)} deleted {self._name}, which {held.actor} had taken"
        if held.index < looks.index:
            return Lost(Pattern.REENTRANT_LOCK, (held, looks, event), reported)
        if self._expired is None:
            return Lost(Pattern.DELETE_UNDER_FOOT, (looks, held, event), f"{reported} after {deed(looks)} of it")
        steps = tuple(sorted((self._expired, looks, held, event), key=lambda one: one.index))
        return Lost(Pattern.LOCK_EXPIRY, steps, f"{reported} after {_RAN_OUT} and after {deed(looks)} of it")


def _takes_over(event: Event, name: str) -> bool:
    return access_to(event, name) is Access.WRITE and not refused(event) and event.command not in _TIMES
