"""What the environment did, in words: where it acted, and what that did to requests in flight."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stress.core.trace import Kind
from stress.report.explain.deeds import deed
from stress.report.explain.locks import held_by, locks
from stress.report.explain.pattern import Pattern
from stress.report.explain.words import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.trace import Event, Trace
    from stress.report.explain.steps import Between

_CLOCK = "clock"
_DELETING = ("cleanup", "expiry")
_DID = {"cleanup": "cleanup deleted the records", "expiry": "expiry let a key run out"}
_MOVED = "the clock moved on to the next second"


class Act(NamedTuple):
    """An act of the environment: its pattern, the indexes of the events that are named, and what happened in words."""

    pattern: Pattern | None
    steps: tuple[int, ...]
    reported: str


def acted(trace: Trace, found: Between | None) -> Act | None:
    """Tell of the first act but the clock's that came between; of the clock where nothing else did."""
    acts = [one for one in trace.events if one.kind is Kind.ENVIRONMENT]
    others = [one for one in acts if one.actor != _CLOCK]
    inside = [one for one in others if found is None or found.saw < one.index < found.then]
    if inside:
        return _act(trace, inside[0])
    return _act(trace, acts[0]) if acts and found is None and not _unseen(trace) else None


def clock_between(trace: Trace, steps: Sequence[int], actors: Sequence[str]) -> str:
    """Say that the clock moved on between the steps that a story names; nothing where that made no difference.

    It did where these actors were answered with different records. Of those who share one it is not known.
    """
    between = [
        one
        for one in trace.events
        if one.kind is Kind.ENVIRONMENT and one.actor == _CLOCK and steps and min(steps) < one.index < max(steps)
    ]
    reported = [answer.record for answer in trace.answers if answer.actor in actors]
    differ = len(set(reported)) == len(reported) and None not in reported
    return f", while {_MOVED}" if between and differ else ""


def _unseen(trace: Trace) -> bool:
    """Tell whether several requests had steps: then the clock alone is not what happened."""
    return len({one.actor for one in trace.events if one.kind is Kind.STEP and not one.actor.startswith("watch")}) > 1


def _act(trace: Trace, act: Event) -> Act:
    before = [one for one in trace.events[: act.index] if one.kind in (Kind.STEP, Kind.ANSWER)]
    after = [one for one in trace.events[act.index + 1 :] if one.kind in (Kind.STEP, Kind.ANSWER)]
    held = held_by(trace.events[: act.index]) if act.actor == "expiry" else None
    named = [*before[-1:], *after[:1]]
    words = [f"after {_name(one)}" for one in before[-1:]] + [f"before {_name(one)}" for one in after[:1]]
    if held is not None:
        words.insert(0, f"after {deed(held, locks(held)[0])}")
        words = words if held is not before[-1] else [words[0], *words[2:]]
        named.append(held)
    reported = f"{_words(act, trace)} {listed(words)}".rstrip()
    return Act(_pattern(trace, act, held), tuple(sorted({act.index, *(one.index for one in named)})), reported)


def _pattern(trace: Trace, act: Event, held: Event | None) -> Pattern | None:
    if held is not None:
        return Pattern.LOCK_EXPIRY
    if act.actor in _DELETING:
        return Pattern.DELETE_UNDER_FOOT
    spans = [trace.steps_of(actor) for actor in {one.actor for one in trace.events}]
    inside = any(steps and steps[0].index < act.index < steps[-1].index for steps in spans)
    return Pattern.CHECK_THEN_ACT if act.actor == "writer" and inside else None


def _words(event: Event, trace: Trace) -> str:
    if event.actor == _CLOCK:
        return _MOVED
    if event.actor.startswith("client:"):
        return f"{event.actor.partition(':')[2]}'s client hung up"
    ended = event.epoch < len(trace.epochs) - 1
    return _DID.get(event.actor, f"{event.actor} acted") if ended else f"{event.actor} acted"


def _name(event: Event) -> str:
    return f"{event.actor} was answered" if event.kind is Kind.ANSWER else deed(event)
