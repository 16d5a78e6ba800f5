"""The name of a race: which of the well-known patterns the steps of a failing order follow.

A name is derived from what the steps touch, what they were told, and what the environment did, never from the names of
scenarios and targets. The races of the Gateway contract (section 3) are what the patterns were chosen for.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

from stress.report.story import COLLECTION, between, common, of_kubernetes, refused, saw_nothing, story
from stress.report.words import SCRIPTS
from stress.step import Access
from stress.trace import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stress.report.story import Between
    from stress.trace import Answer, Event, Trace
    from stress.verdict import Violation


class Pattern(StrEnum):
    """A well-known way in which steps get into each other's way."""

    LOST_UPDATE = "lost update"
    CHECK_THEN_ACT = "check-then-act"
    NAME_COLLISION = "name collision"
    STALE_READ = "stale read"
    LOCK_EXPIRY = "lock expiry"
    REENTRANT_LOCK = "re-entrant lock"
    DELETE_UNDER_FOOT = "delete under foot"

    @property
    def meaning(self) -> str:
        """What happens, in one sentence."""
        return _MEANINGS[self]


_MEANINGS = {
    Pattern.LOST_UPDATE: "A value is read, changed and written back, while another write to it takes place.",
    Pattern.CHECK_THEN_ACT: "Something is looked for and not found, and before it is made another makes it too.",
    Pattern.NAME_COLLISION: "Two make something of the same name, and who is refused goes on as if it were the maker.",
    Pattern.STALE_READ: "A decision rests on what was read before somebody else changed it.",
    Pattern.LOCK_EXPIRY: "A lock runs out, or is taken over, while its holder is still at work.",
    Pattern.REENTRANT_LOCK: "A lock that one request holds lets another request in.",
    Pattern.DELETE_UNDER_FOOT: "What a request has seen is deleted before it is done with it.",
}
_LOCK = re.compile(r"(^leases/.)|((^|[^a-z])(lock|mutex|lease)([^a-z]|$))", re.IGNORECASE)
_DELETING = ("cleanup", "expiry")
_HITS = ("hit", "count")
_CREATED = "create"


def pattern(trace: Trace, violations: Sequence[Violation]) -> Pattern | None:
    """Name the pattern of a failing order; None where no step came between and the environment did nothing."""
    found = between(trace, violations)
    steps = [event for event in trace.events if event.kind is Kind.STEP]
    if (deleted := _environment(trace, found)) is not None:
        return deleted
    for lock in dict.fromkeys(name for step in steps for name in _locks(step)):
        if (named := _lock(lock, steps)) is not None:
            return named
    if _stale(trace, steps):
        return Pattern.STALE_READ
    if found is None:
        return _without_reads(trace, steps)
    return _of_steps(trace, found, violations)


def told(trace: Trace, violations: Sequence[Violation]) -> str:
    """Tell the story after the name of its pattern, if it has one."""
    named = pattern(trace, violations)
    sentence = story(trace, violations)
    return f"{titled(named)}: {sentence}" if named else sentence


def titled(named: Pattern) -> str:
    """Give a name with a capital, as a sentence begins."""
    return named[:1].upper() + named[1:]


# --- the environment ---------------------------------------------------------------------------------


def _environment(trace: Trace, found: Between | None) -> Pattern | None:
    """Name what an act of the environment did: a lock ran out, or something else was deleted or changed."""
    acts = [event for event in trace.events if event.kind is Kind.ENVIRONMENT]
    inside = [one for one in acts if found is None or found.saw < one.index < found.then]
    deleting = [one for one in inside if one.actor in _DELETING]
    if deleting:
        held = _held_at(deleting[0].index, trace)
        return Pattern.LOCK_EXPIRY if held and deleting[0].actor == "expiry" else Pattern.DELETE_UNDER_FOOT
    writing = any(one.actor == "writer" for one in acts)
    return Pattern.STALE_READ if found is None and writing else None


def _held_at(index: int, trace: Trace) -> bool:
    """Tell whether some lock was taken, and not given back, before an event."""
    held: set[str] = set()
    for event in trace.events[:index]:
        for name in _locks(event) if event.kind is Kind.STEP else ():
            if _takes(event, name):
                held.add(name)
            elif _deletes(event, name):
                held.discard(name)
    return bool(held)


# --- locks -------------------------------------------------------------------------------------------


def _locks(event: Event) -> list[str]:
    """Name the locks among what a step touches: leases, and keys that are called so."""
    return [
        touch.object for touch in event.touches if _LOCK.search(touch.object) and not touch.object.endswith(COLLECTION)
    ]


def _access(event: Event, name: str) -> Access | None:
    return next((touch.access for touch in event.touches if touch.object == name), None)


def _takes(event: Event, name: str) -> bool:
    return _access(event, name) is Access.CREATE and not _refused(event)


def _deletes(event: Event, name: str) -> bool:
    return _access(event, name) is Access.DELETE and not _refused(event)


def _refused(event: Event) -> bool:
    """Tell whether a step changed nothing; a creation in Redis, or a deletion, says so by 0 too."""
    counts = any(touch.access in (Access.CREATE, Access.DELETE) for touch in event.touches)
    return refused(event) or (counts and event.reply == "0")


def _lock(name: str, steps: Sequence[Event]) -> Pattern | None:
    """Follow one lock: who holds it, who enters although another holds it, who takes or deletes it from another."""
    holder, looked, entered = "", {}, set[str]()
    taken = 0
    for step in steps:
        access = _access(step, name)
        if _takes(step, name):
            if holder and holder != step.actor:
                return Pattern.LOCK_EXPIRY
            holder, taken = step.actor, step.index
            entered.clear()
        elif access is Access.READ and not saw_nothing(step):
            looked[step.actor] = step.index
            if holder and step.actor != holder:
                entered.add(step.actor)
        elif _deletes(step, name) and holder:
            if step.actor != holder and looked.get(step.actor, taken) < taken:
                return Pattern.DELETE_UNDER_FOOT
            holder = ""
        elif access is Access.WRITE and not refused(step) and holder not in ("", step.actor):
            return Pattern.LOCK_EXPIRY  # a lease that another holds is taken over
        elif holder and step.actor in entered and access is None and _changes(step):
            return Pattern.REENTRANT_LOCK
    return None


def _changes(event: Event) -> bool:
    return any(touch.access is not Access.READ for touch in event.touches) and not _refused(event)


# --- caches ------------------------------------------------------------------------------------------


def _stale(trace: Trace, steps: Sequence[Event]) -> bool:
    """Tell whether somebody acted on a cache that had not been told of a write; only Kubernetes has such caches."""
    return any(
        _ignored(trace, write, step)
        for write in steps
        if of_kubernetes(write) and _changes(write)
        for step in _ends(trace, steps, write)
    )


def _ends(trace: Trace, steps: Sequence[Event], write: Event) -> Iterator[Event]:
    """Give what acts after a write as if it had not been: steps that are refused, creations, answers of no avail."""
    for step in steps:
        if step.index <= write.index or step.actor == write.actor or not _shared(write, step):
            continue
        began = next(event.index for event in trace.events if event.actor == step.actor)
        if (_refused(step) or began > write.index) and any(touch.access is not Access.READ for touch in step.touches):
            yield step
    answer = next((one for one in trace.answers if one.actor == write.actor), None)
    if write.command == _CREATED and answer is not None and not _updates(steps, write):
        yield trace.events[answer.ended]


def _shared(one: Event, other: Event) -> bool:
    """Tell whether two steps touch a common object or collection."""
    return not {touch.object for touch in one.touches}.isdisjoint(touch.object for touch in other.touches)


def _updates(steps: Sequence[Event], write: Event) -> bool:
    """Tell whether the maker of an object had any step after it."""
    return any(step.actor == write.actor and step.index > write.index for step in steps)


def _ignored(trace: Trace, write: Event, after: Event) -> bool:
    """Tell whether a write was not known where it mattered.

    That is: nobody read it live in between, no watch told of it before, and a watch is what the Gateway relies on.
    """
    name = write.touches[0].object
    mine = [one for one in trace.events[: after.index] if one.actor == after.actor and one.kind is Kind.STEP]
    live = [one for one in mine if any(touch.access is Access.READ for touch in one.touches) and _shared(write, one)]
    if any(one.index > write.index for one in live):
        return False
    watching = [one for one in trace.events if one.actor.startswith("watch")]
    if not watching and (live or after.kind is not Kind.STEP):
        return False
    heard = [one for one in watching if one.object in (name, write.object) and one.index > write.index]
    if not heard and after.actor == write.actor:
        return False
    return not any(one.index < after.index for one in heard)


# --- steps -------------------------------------------------------------------------------------------


def _without_reads(trace: Trace, steps: Sequence[Event]) -> Pattern | None:
    """Name what two did whose reads are not seen: both made the same, or each made its own."""
    if _same_name(trace):
        return Pattern.NAME_COLLISION
    makers = [one for one in steps if any(touch.access is Access.CREATE for touch in one.touches)]
    several = {one.actor for one in makers if not refused(one) and (told := _answer(trace, one.actor)) and told.created}
    return Pattern.CHECK_THEN_ACT if len(several) > 1 else None


def _of_steps(trace: Trace, found: Between, violations: Sequence[Violation]) -> Pattern:
    """Name what was done around the step that came between."""
    saw, came, then = (trace.events[index] for index in found[:3])
    if _changes(saw) and (named := _without_reads(trace, trace.events)) is not None:
        return named
    if _deletes(came, found.object) or (came.command == "delete" and of_kubernetes(came)):
        return Pattern.DELETE_UNDER_FOOT
    overwrites = bool(common(came, then)) and _access(then, found.object) is Access.WRITE and _overwrites(then)
    counts = any(word in one.invariant for one in violations for word in _HITS)
    gave_up = of_kubernetes(then) and refused(then)  # tried until it gave up
    if counts and overwrites:
        return Pattern.LOST_UPDATE
    if _same_name(trace):
        return Pattern.NAME_COLLISION
    if saw_nothing(saw) and not (counts and gave_up):
        return Pattern.CHECK_THEN_ACT
    return Pattern.LOST_UPDATE if overwrites or (counts and gave_up) else Pattern.STALE_READ


def _overwrites(event: Event) -> bool:
    """Tell whether a write replaces what stood there: it does not add to it, and no script turned it down."""
    adds = "INCR" in event.command or event.command in ("SADD", "RPUSH", "LPUSH", "ZADD", "APPEND")
    turned_down = event.command.startswith(SCRIPTS) and saw_nothing(event)
    return not (adds or turned_down or refused(event))


def _same_name(trace: Trace) -> bool:
    """Tell whether several clients were told that each made the record of one name."""
    names = [answer.record for answer in trace.answers if answer.created and answer.record is not None]
    return len(set(names)) < len(names)


def _answer(trace: Trace, actor: str) -> Answer | None:
    return next((answer for answer in trace.answers if answer.actor == actor), None)
