"""What the story of a failing schedule is about: its pattern, the steps that show it, and the sentence about them.

The story depends on what is broken, and is made from typed outcomes: who was refused, who found nothing, what was
seen and what was left. Each of these tells nothing where the steps do not show it, and the next one is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.outcomes import How
from stress.core.step import REPLY, Access
from stress.core.trace import Kind
from stress.report.explain.creations import both_made, makers
from stress.report.explain.deeds import (
    access_to,
    changes,
    deed,
    made,
    plain,
    reads,
    refused,
    reported,
    touched_by_another,
    unknown,
    written,
)
from stress.report.explain.deliveries import UNHEARD, unheard
from stress.report.explain.environment import acted, clock_between
from stress.report.explain.locks import lost_locks
from stress.report.explain.pattern import Pattern, Telling
from stress.report.explain.retries import attempts, refused_each_time
from stress.report.explain.steps import COLLECTION, between, common, of_kubernetes, saw_nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.core.trace import Answer, Event, Trace
    from stress.core.verdict import Violation
    from stress.report.explain.steps import Between

ASSERTION = "test_"
"""How the name of a check begins that is what a test asserts; what the Gateway itself broke says more."""
_HITS = ("hit", "count", "status_initialised")
_MADE = ("record", "created")
_PAUSES = ("EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT", "PERSIST")
_SERVER_ERRORS = 500


def telling(trace: Trace, violations: Sequence[Violation]) -> Telling:
    """Find what the story of a failing schedule is about."""
    broken = sorted(violations, key=lambda one: one.invariant.startswith(ASSERTION))
    lead = broken[0] if broken else None
    found = between(trace, broken)
    if lead is not None and (lost := _locked(trace, lead)) is not None:
        return _with_clock(trace, lost)
    if (act := acted(trace, found)) is not None:
        return Telling(act.pattern, act.steps, act.reported)
    for find in _FINDERS if lead is not None else ():
        assert lead is not None  # noqa: S101 - said above
        if (one := find(trace, lead)) is not None:
            return _with_clock(trace, one)
    if found is None:
        return Telling(None)
    return _with_clock(trace, _of_steps(trace, found, broken))


def pattern(trace: Trace, violations: Sequence[Violation]) -> Pattern | None:
    """Name the pattern of a failing schedule; None where its steps show none that is known."""
    return telling(trace, violations).pattern


def _with_clock(trace: Trace, one: Telling) -> Telling:
    asked = [index for index in one.steps if not trace.events[index].actor.startswith("watch")]
    return one._replace(steps=tuple(sorted(one.steps)), cause=one.cause + clock_between(trace, asked, one.actors))


# --- locks -------------------------------------------------------------------------------------------


def _locked(trace: Trace, lead: Violation) -> Telling | None:
    """Tell of a lock that let another in, of those whom the violation is about."""
    for lost in lost_locks(trace.events):
        actors = tuple(dict.fromkeys(step.actor for step in lost.steps if step.kind is Kind.STEP))
        indexes = tuple(step.index for step in lost.steps)
        about = set(lead.steps) <= set(indexes) if _of_leases(lead) else set(actors) <= set(lead.answers or actors)
        if about:
            return Telling(lost.how, indexes, lost.reported, actors)
    return None


def _of_leases(lead: Violation) -> bool:
    return lead.invariant.startswith("lease") and bool(lead.steps)


# --- hits --------------------------------------------------------------------------------------------


def _gave_up(trace: Trace, lead: Violation) -> Telling | None:
    """Tell of a write that was refused each time, of one whose client was answered that its hit is taken care of."""
    asked = [one for one in _answers(trace, lead) if one.counts] if _about(lead, _HITS) else []
    for answer in asked:
        tries = attempts(trace, answer.actor)
        later = trace.steps_of(answer.actor) if tries else []
        done = [one for one in later if one.index > tries[-1].index and written(one) == written(tries[-1])]
        if tries and not done and (one := refused_each_time(trace, tries)) is not None:
            return one
    return None


def _unwritten(trace: Trace, lead: Violation) -> Telling | None:
    """Tell of who made a record, wrote nothing more to it, and was answered before any watch reported it."""
    if not _about(lead, _HITS):
        return None
    for answer in _answers(trace, lead):
        steps = [one for one in trace.steps_of(answer.actor) if one.command != REPLY]
        write = next((one for one in steps if made(one) and changes(one) and of_kubernetes(one)), None)
        if write is None or steps[-1] is not write or not answer.created:
            continue
        end = trace.events[answer.ended]
        later = unheard(trace, write, end)
        if later is not None:
            cause = f"{answer.actor} wrote nothing to {made(write)} after its {write.command} of it, and was answered "
            cause += f"{answer.status} {UNHEARD}"
            return Telling(Pattern.STALE_READ, (write.index, end.index, *later), cause)
    return None


# --- errors ------------------------------------------------------------------------------------------


def _failed(trace: Trace, lead: Violation) -> Telling | None:
    """Tell of the last step of who was answered with an error: why it was refused, or found nothing."""
    answers = [one for one in _answers(trace, lead) if one.status >= _SERVER_ERRORS]
    if not answers or lead.invariant != "no_server_error":
        return None
    steps, tries = trace.steps_of(answers[0].actor), attempts(trace, answers[0].actor)
    if len(tries) > 1 and (one := refused_each_time(trace, tries)) is not None:
        return one
    last = next((one for one in reversed(steps) if refused(one) and not unknown(one)), None)
    if last is None or last is not steps[-1]:
        return None
    names = [touch.object for touch in last.touches if not touch.object.endswith(COLLECTION)]
    return next((one for name in names if (one := _last(trace, last, name)) is not None), None)


def _last(trace: Trace, last: Event, name: str) -> Telling | None:
    """Tell why a step was refused, or found nothing, by what another did to an object before or after it."""
    others = [one for one in trace.events if touched_by_another(one, last, name) and changes(one)]
    before = [one for one in others if one.index < last.index]
    after = [one for one in others if one.index > last.index]
    if before and (last.outcome.error or last.outcome.how is How.REFUSED):
        return _refused_after(trace, before[-1], last, name)
    if before and access_to(before[-1], name) is Access.DELETE:
        cause = plain(f"{reported(last, name)} came after {deed(before[-1])} of it")
        actors = before[-1].actor, last.actor
        return Telling(Pattern.DELETE_UNDER_FOOT, (before[-1].index, last.index), cause, actors)
    return _torn(trace, last, after[0], name) if after and reads(last) else None


def _refused_after(trace: Trace, write: Event, last: Event, name: str) -> Telling:
    actors = write.actor, last.actor
    cause = f"{reported(last, name)} came after {deed(write)} of it"
    later = unheard(trace, write, last)
    if later is not None:
        steps = (write.index, last.index, *later)
        return Telling(Pattern.STALE_READ, steps, f"{cause} and {UNHEARD}", actors)
    same = Pattern.NAME_COLLISION if made(last) == name == made(write) else None
    gone = access_to(write, name) is Access.DELETE
    return Telling(Pattern.DELETE_UNDER_FOOT if gone else same, (write.index, last.index), cause, actors)


def _torn(trace: Trace, last: Event, after: Event, name: str) -> Telling:
    """Tell of who found nothing before another wrote it: where it had seen another write of the same, of both."""
    cause = f"{reported(last, name)} came before {deed(after)} of it"
    for saw in reversed([one for one in trace.steps_of(last.actor) if one.index < last.index and reads(one)]):
        wrote = [one for one in trace.steps_of(after.actor) if one.index < saw.index and common(one, saw)]
        if wrote and not saw_nothing(saw):
            also = common(wrote[-1], saw)[0]
            cause = f"{reported(saw, also)} came after {deed(wrote[-1])} of it, and {cause}"
            steps = wrote[-1].index, saw.index, last.index, after.index
            return Telling(Pattern.TORN_READ, steps, cause, (after.actor, last.actor))
    return Telling(None, (last.index, after.index), cause, (after.actor, last.actor))


# --- creations ---------------------------------------------------------------------------------------


def _twice_made(trace: Trace, lead: Violation) -> Telling | None:
    """Tell of two who made something: of one name, where the second was refused, or each its own."""
    claimed = {answer.actor for answer in _answers(trace, lead) if answer.created} if _about(lead, _MADE) else set()
    return next((one for pair in makers(trace, claimed) if (one := both_made(trace, *pair)) is not None), None)


# --- steps -------------------------------------------------------------------------------------------


def _of_steps(trace: Trace, found: Between, broken: Sequence[Violation]) -> Telling:
    """Tell of the step that came between two others."""
    saw, came, then = (trace.events[index] for index in found[:3])
    named = _pattern_of(trace, found, broken)
    name = came.object if found.object.endswith(COLLECTION) and changes(came) and came.object else found.object
    same = access_to(then, name) is not None
    what = reported(then, "" if same else then.object)
    if _created(trace, came, saw):
        cause = f"{came.actor} created the record ({came.command}) between {reported(saw)} and {what}"
    elif reads(came) or unknown(came) or refused(came) or came.command.split("+")[0] in _PAUSES:
        cause = f"{reported(came, name)} came between {reported(saw)} and {what}"
    else:
        cause = f"{deed(came)} changed {name} between {reported(saw)} and {what}"
    repeat = (then.actor,) if refused(then) and made(then) else ()
    return Telling(named, found[:3], plain(cause), (saw.actor, came.actor), repeat)


def _created(trace: Trace, came: Event, saw: Event) -> bool:
    """Tell whether a step created the record: the first whose text names that of which its client was answered so."""
    answer = next((one for one in trace.answers if one.actor == came.actor), None)
    if answer is None or not answer.created or not answer.record or answer.record not in came.text or refused(came):
        return False
    first = next(event for event in trace.steps_of(came.actor) if answer.record in event.text)
    return first is came and saw_nothing(saw)


def _pattern_of(trace: Trace, found: Between, broken: Sequence[Violation]) -> Pattern | None:
    saw, came, then = (trace.events[index] for index in found[:3])
    if access_to(came, found.object) is Access.DELETE and changes(came):
        return Pattern.DELETE_UNDER_FOOT
    if reads(came):
        return Pattern.TORN_READ if not reads(then) else None
    overwrites = bool(common(came, then)) and access_to(then, found.object) is Access.WRITE and _overwrites(then)
    counts = any(_about(one, _HITS) for one in broken)
    if overwrites and reads(saw) and (counts or not saw_nothing(saw)):
        return Pattern.LOST_UPDATE
    return Pattern.NAME_COLLISION if _same_name(trace) and saw_nothing(then) else Pattern.CHECK_THEN_ACT


def _overwrites(event: Event) -> bool:
    """Tell whether a write replaces what stood there: it does not add to it, was not turned down, and is no script."""
    adds = "INCR" in event.command or event.command in ("SADD", "RPUSH", "LPUSH", "ZADD", "APPEND")
    return not (adds or refused(event) or unknown(event))


def _same_name(trace: Trace) -> bool:
    """Tell whether several clients were answered that each made the record of one name."""
    names = [answer.record for answer in trace.answers if answer.created and answer.record is not None]
    return len(set(names)) < len(names)


# --- small things ------------------------------------------------------------------------------------


def _about(lead: Violation, words: Sequence[str]) -> bool:
    return any(word in lead.invariant for word in words)


def _answers(trace: Trace, lead: Violation) -> list[Answer]:
    """Give the answers that a violation is about; all, where it names none."""
    return [one for one in trace.answers if not lead.answers or one.actor in lead.answers]


_FINDERS: tuple[Callable[[Trace, Violation], Telling | None], ...] = (
    _gave_up,
    _failed,
    _twice_made,
    _unwritten,
)
"""Each tells of one kind of race, or of none."""
