"""Writes that are tried again and refused again: each attempt came after another had changed what it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.outcomes import How
from stress.core.step import Access
from stress.report.explain.deeds import access_to, changes, deed, made, reads, touched_by_another, unknown, written
from stress.report.explain.deliveries import UNHEARD, unheard
from stress.report.explain.pattern import Pattern, Telling
from stress.report.explain.words import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.trace import Event, Trace

_WATCH = "WATCH"
"""A transaction of Redis is refused for what changed since then, whatever was read later."""


def attempts(trace: Trace, actor: str) -> list[Event]:
    """Give the attempts of the last write of an actor that was refused until the end: same command, same object."""
    steps = [one for one in trace.steps_of(actor) if written(one) and not made(one) and not unknown(one)]
    last = next((one for one in reversed(steps) if one.outcome.how is How.REFUSED), None)
    if last is None:
        return []
    alike = [one for one in steps if (one.command, one.object) == (last.command, last.object)]
    done = max((at + 1 for at, one in enumerate(alike) if one.outcome.how is not How.REFUSED), default=0)
    return alike[done:]


def refused_each_time(trace: Trace, tries: Sequence[Event]) -> Telling | None:
    """Tell of attempts each of which came after another's change; None where one was refused for another reason."""
    last, name = tries[-1], written(tries[-1])
    others = [found for one in tries if (found := _overtaken(trace, one, name)) is not None]
    if len(others) < len(tries):
        return None
    steps = tuple(sorted({*(one.index for one in others), *(one.index for one in tries)}))
    code = str(last.outcome.value or "").split(" ")[0] if last.outcome.error else ""
    times = sum(one.times for one in tries)
    often = "" if times == 1 else f" in all {times} attempts"
    what = f"{deed(last, name)} was refused{f' ({code})' if code else ''}{often}"
    actors, who = (last.actor,), listed(list(dict.fromkeys(one.actor for one in others)))
    if len(set(others)) == 1 and (later := unheard(trace, others[0], last)) is not None:
        cause = f"{what} after {deed(others[0])} had changed it and {UNHEARD}"
        return Telling(Pattern.STALE_READ, (*steps, *later), cause, actors, actors)
    looks = [one for one in trace.steps_of(last.actor) if reads(one) and access_to(one, name)]
    if looks and times == len(tries):
        looked = "watched" if any(one.command == _WATCH for one in looks) else "read"
        each = "" if times == 1 else " each time"
        cause = f"{what}, as {who} had changed it{each} since {last.actor} {looked} it"
    else:
        cause = f"{what} after {who} had changed it"
    return Telling(Pattern.LOST_UPDATE, steps, cause, actors, actors)


def _overtaken(trace: Trace, attempt: Event, name: str) -> Event | None:
    """Give the last change of an object by another before an attempt, since its actor had last read it if it did."""
    mine = trace.steps_of(attempt.actor)
    looks = [one for one in mine if one.index < attempt.index and access_to(one, name) is Access.READ]
    since = [one.index for one in looks if one.command == _WATCH] or [one.index for one in looks]
    came = [
        one
        for one in trace.events[max(since, default=0) : attempt.index]
        if touched_by_another(one, attempt, name) and changes(one)
    ]
    return came[-1] if came else None
