"""Two who make something, although there should be one: of one name, or each its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.trace import Kind
from stress.report.explain.deeds import deed, made, plain, reads, refused, reported, unknown
from stress.report.explain.deliveries import UNHEARD, begun, unheard
from stress.report.explain.pattern import Pattern, Telling
from stress.report.explain.steps import common, saw_nothing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from stress.core.trace import Event, Trace


def makers(trace: Trace, claimed: Collection[str]) -> Iterator[tuple[Event, Event]]:
    """Give pairs of steps of two of these actors, which were answered that they created, in their order."""
    steps = [one for one in trace.events if one.kind is Kind.STEP and one.actor in claimed]
    both = [one for one in steps if _made_record(trace, one)]
    for second in both:
        for first in both:
            if first.index < second.index and first.actor != second.actor and not refused(first):
                if refused(second) and made(first) != made(second):
                    continue
                yield first, second


def _made_record(trace: Trace, one: Event) -> bool:
    """Tell whether a step made, or would have made, the record that its client was answered with."""
    answer = next(answer for answer in trace.answers if answer.actor == one.actor)
    return bool(made(one)) and not unknown(one) and answer.record is not None and answer.record in made(one)


def both_made(trace: Trace, first: Event, second: Event) -> Telling | None:
    """Tell how the second came to make it: it had looked before the first did, had begun before, or had not heard."""
    same = made(first) == made(second)
    collided = Pattern.NAME_COLLISION if same and refused(second) else Pattern.CHECK_THEN_ACT
    actors, repeat = (first.actor, second.actor), (second.actor,) if refused(second) else ()
    begins = begun(trace, second.actor)
    looks = [one for one in trace.steps_of(second.actor) if one.index < second.index and reads(one)]
    looks = [one for one in looks if common(one, first)]
    if looks:
        saw = looks[-1]
        if saw.index > first.index or not saw_nothing(saw):
            return None
        then = reported(second, "it" if same else made(second))
        cause = f"{deed(first, made(first))} came between {reported(saw)} and {then}"
        return Telling(collided, (saw.index, first.index, second.index), plain(cause), actors, repeat)
    if begins is not None and begins.index < first.index:
        then = reported(second, "it" if same else made(second))
        cause = f"{deed(first, made(first))} came between {second.actor}'s start and {then}"
        return Telling(collided, (begins.index, first.index, second.index), plain(cause), actors, repeat)
    return _not_heard(trace, first, second) or (
        Telling(collided, (first.index, second.index), _after(first, second), actors, repeat) if same else None
    )


def _not_heard(trace: Trace, first: Event, second: Event) -> Telling | None:
    """Tell of who made it although another had, when no watch had reported that, or when it began none had."""
    actors, repeat = (first.actor, second.actor), (second.actor,) if refused(second) else ()
    begins = begun(trace, second.actor)
    if (later := unheard(trace, first, second)) is not None:
        steps = (first.index, second.index, *later)
        return Telling(Pattern.STALE_READ, steps, f"{_after(first, second)} and {UNHEARD}", actors, repeat)
    if begins is None or (later := unheard(trace, first, begins)) is None:
        return None
    cause = f"{second.actor} started after {deed(first, made(first))} and {UNHEARD}, and then came "
    cause += plain(reported(second, made(second)))
    return Telling(Pattern.STALE_READ, (first.index, begins.index, second.index, *later), cause, actors, repeat)


def _after(first: Event, second: Event) -> str:
    name = "it" if made(first) == made(second) else made(first)
    return f"{reported(second, made(second))} came after {deed(first, name)}"
