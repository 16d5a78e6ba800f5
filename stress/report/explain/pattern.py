"""The name of a race: which of the well-known patterns the steps of a failing order follow, and which steps show it.

A name is derived from what the steps touch, what they were told, and what the environment did, never from the names of
scenarios and targets. The races of the Gateway contract (section 3) are what the patterns were chosen for.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from stress.core.step import Access
from stress.core.trace import Kind
from stress.report.explain.locks import changes, held_after, locks, lost_lock, refuses
from stress.report.explain.steps import between, common, of_kubernetes, refused, saw_nothing
from stress.report.explain.words import SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stress.core.trace import Answer, Event, Trace
    from stress.core.verdict import Violation
    from stress.report.explain.steps import Between


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
_DELETING = ("cleanup", "expiry")
_HITS = ("hit", "count")
_CREATED = "create"


class Telling(NamedTuple):
    """What a story is about: the pattern (None: none is known), and the indexes of the events that show it.

    ``between`` are the steps that got between each other, where it is about such. ``cause`` says what happened where
    that is told in other words than by these steps; ``actors`` are whom it concerns then.
    """

    pattern: Pattern | None
    steps: tuple[int, ...]
    between: Between | None = None
    cause: str = ""
    actors: tuple[str, ...] = ()


def telling(trace: Trace, violations: Sequence[Violation]) -> Telling:
    """Find what the story of a failing order is about."""
    found = between(trace, violations)
    steps = [event for event in trace.events if event.kind is Kind.STEP]
    acts = [event for event in trace.events if event.kind is Kind.ENVIRONMENT]
    acted = tuple(event.index for event in acts)
    if (named := _environment(trace, found, acts)) is not None:
        return Telling(named, tuple(one.index for one in acts if one.actor != "clock"), found)
    for special in (_locked(steps), _stale(trace, steps)):
        if special is not None:
            return special
    if found is None:
        return Telling(_without_reads(trace, steps), acted)
    return Telling(_of_steps(trace, found, violations), found[:3], found)


def pattern(trace: Trace, violations: Sequence[Violation]) -> Pattern | None:
    """Name the pattern of a failing order; None where no step came between and the environment did nothing."""
    return telling(trace, violations).pattern


def titled(named: Pattern) -> str:
    """Give a name with a capital, as a sentence begins."""
    return named[:1].upper() + named[1:]


# --- the environment and locks -----------------------------------------------------------------------


def _environment(trace: Trace, found: Between | None, acts: Sequence[Event]) -> Pattern | None:
    """Name what an act of the environment did: a lock ran out, or something else was deleted or changed."""
    inside = [one for one in acts if found is None or found.saw < one.index < found.then]
    deleting = [one for one in inside if one.actor in _DELETING]
    if deleting:
        held = held_after(trace.events[: deleting[0].index])
        return Pattern.LOCK_EXPIRY if held and deleting[0].actor == "expiry" else Pattern.DELETE_UNDER_FOOT
    writing = any(one.actor == "writer" for one in acts)
    return Pattern.STALE_READ if found is None and writing else None


def _locked(steps: Sequence[Event]) -> Telling | None:
    for name in dict.fromkeys(name for step in steps for name in locks(step)):
        lost = lost_lock(name, steps)
        if lost is not None:
            indexes = tuple(step.index for step in lost.steps)
            actors = tuple(dict.fromkeys(step.actor for step in lost.steps))
            return Telling(Pattern(lost.how), indexes, None, lost.told, actors)
    return None


# --- caches ------------------------------------------------------------------------------------------


def _stale(trace: Trace, steps: Sequence[Event]) -> Telling | None:
    """Find who acted on a cache that had not been told of a write; only Kubernetes has such caches."""
    for write in steps:
        if not (of_kubernetes(write) and changes(write)):
            continue
        for after in _ends(trace, steps, write):
            if _ignored(trace, write, after):
                actors = tuple(dict.fromkeys((write.actor, after.actor)))
                return Telling(Pattern.STALE_READ, (write.index, after.index), None, _unknown(write, after), actors)
    return None


def _unknown(write: Event, after: Event) -> str:
    """Say who did not know of what."""
    what = f"{write.actor}'s {write.command} of {write.object}"
    if after.kind is Kind.ANSWER:
        return f"{write.actor} was answered before the cache knew of its own {write.command} of {write.object}"
    refusal = f", which was refused ({str(after.outcome.value).split(' ')[0]})," if refused(after) else ""
    return f"{what} was not known to the cache when {after.actor}'s {after.command}{refusal} came"


def _ends(trace: Trace, steps: Sequence[Event], write: Event) -> Iterator[Event]:
    """Give what acts after a write as if it had not been: steps that are refused, creations, answers of no avail."""
    for step in steps:
        if step.index <= write.index or step.actor == write.actor or not _shared(write, step):
            continue
        began = next(event.index for event in trace.events if event.actor == step.actor)
        if (refuses(step) or began > write.index) and any(touch.access is not Access.READ for touch in step.touches):
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
    if changes(saw) and (named := _without_reads(trace, trace.events)) is not None:
        return named
    if _access(came, found.object) is Access.DELETE or (came.command == "delete" and of_kubernetes(came)):
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


def _access(event: Event, name: str) -> Access | None:
    return next((touch.access for touch in event.touches if touch.object == name), None)


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
