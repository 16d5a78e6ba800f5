"""The story of a failing order in one sentence: whose step came between whose, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.masking import mask_text
from stress.core.trace import Kind
from stress.core.verdict import counted
from stress.report.explain.pattern import telling, titled
from stress.report.explain.steps import saw_nothing
from stress.report.explain.words import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from stress.core.trace import Answer, Event, Trace
    from stress.core.verdict import Violation

ASSERTION = "test_"
"""How the name of a check begins that is what a test asserts; what the Gateway itself broke says more."""


def story(trace: Trace, violations: Sequence[Violation]) -> str:
    """Tell in one sentence which steps conflict and what came of it."""
    cause, told = _cause(trace, violations)
    broken = [one for one in violations if not one.invariant.startswith(ASSERTION)] or violations
    effects = list(dict.fromkeys(effect for one in broken for effect in _effects(trace, one)))
    effects = [one for one in effects if one not in told]
    effects = [one for one in (told, *effects) if one] or ["nothing that was checked is broken"]
    what = f"{', '.join(effects[:-1])}, and {effects[-1]}" if len(effects) > 1 else effects[0]
    sentence = f"{cause}; {what}." if cause else f"{what}."
    return sentence[:1].upper() + sentence[1:]


def told(trace: Trace, violations: Sequence[Violation]) -> str:
    """Tell the story after the name of its pattern, if it has one."""
    named = telling(trace, violations).pattern
    sentence = story(trace, violations)
    return f"{titled(named)}: {sentence}" if named else sentence


def _cause(trace: Trace, violations: Sequence[Violation]) -> tuple[str, str]:
    """Say what came between, and what those whom it concerns were answered."""
    about = telling(trace, violations)
    found = about.between
    if about.cause:
        clock = [event for event in trace.events if event.actor == "clock" and event.kind is Kind.ENVIRONMENT]
        words = [about.cause, *(f"while {_environment(one, trace)}" for one in clock[:1])]
        return ", ".join(words), _told(trace, about.actors)
    others = [event for event in trace.events if event.kind is Kind.ENVIRONMENT]
    deleting = [event for event in others if event.actor != "clock"]
    if deleting and (found is None or any(found.saw < event.index < found.then for event in deleting)):
        return f"{_environment(deleting[0], trace)} {_where(deleting[0], trace)}", ""
    if found is None:
        return (f"{_environment(others[0], trace)} {_where(others[0], trace)}" if others else ""), ""
    saw, came, then = (trace.events[index] for index in found[:3])
    seen = f", which saw {_cut(saw.reply)}," if saw.reply else ""
    told = f"{_deed(came, saw, found.object, trace)} between {saw.actor}'s {saw.command}{seen}"
    told += f" and {saw.actor}'s {then.command}"
    if any(found.saw < event.index < found.then for event in others):
        told += f", while {_environment(others[0], trace)}"
    return told, _told(trace, (saw.actor, came.actor))


def _deed(came: Event, saw: Event, name: str, trace: Trace) -> str:
    """Say what a step did: a creation only where its text names the record that its client was told it created."""
    answer = _answer(trace, came.actor)
    if answer is not None and answer.created and answer.record and answer.record in came.text:
        first = next(event for event in trace.steps_of(came.actor) if answer.record in event.text)
        if first is came and saw_nothing(saw):
            return f"{came.actor} created the record ({came.command})"
    return f"{came.actor}'s {came.command} changed {name}"


def _environment(event: Event, trace: Trace) -> str:
    if event.actor == "clock":
        return "the clock moved on to the next second"
    did = {"cleanup": "cleanup deleted the records", "expiry": "expiry let a key run out"}
    ended = event.incarnation < len(trace.incarnations) - 1
    return did.get(event.actor, f"{event.actor} acted") if ended else f"{event.actor} acted"


def _where(event: Event, trace: Trace) -> str:
    before = [one for one in trace.events[: event.index] if one.kind in (Kind.STEP, Kind.ANSWER)]
    after = [one for one in trace.events[event.index + 1 :] if one.kind in (Kind.STEP, Kind.ANSWER)]
    words = [f"after {_name(before[-1])}"] if before else []
    words += [f"before {_name(after[0])}"] if after else []
    return " and ".join(words)


def _name(event: Event) -> str:
    return f"{event.actor} was answered" if event.kind is Kind.ANSWER else f"{event.actor}'s {event.command}"


def _told(trace: Trace, actors: Iterable[str]) -> str:
    answers = [answer for answer in (_answer(trace, actor) for actor in actors) if answer is not None]
    statuses = {answer.status for answer in answers}
    if len(answers) == 2 and len(statuses) == 1:  # noqa: PLR2004 - both of the two
        return f"both were answered {_status(answers[0])}"
    return listed([f"{answer.actor} was answered {_status(answer)}" for answer in answers])


def _status(answer: Answer) -> str:
    return str(answer.status) if answer.status else f"nothing ({_cut(answer.error)})"


def _answer(trace: Trace, actor: str) -> Answer | None:
    return next((answer for answer in trace.answers if answer.actor == actor), None)


def _effects(trace: Trace, violation: Violation) -> list[str]:
    """Say what came of it; for the bundled checks in words, for any other with what it says itself."""
    if violation.observed in (one.without_record for one in trace.answers if one.nameless):
        return [violation.observed]
    if violation.invariant in _WORDS:
        return _WORDS[violation.invariant](trace, violation)
    if violation.invariant.startswith(ASSERTION):
        return [f"the test expects {violation.expected} and sees {violation.observed}"]
    return _as_it_says(violation)


def _as_it_says(violation: Violation) -> list[str]:
    return [f"expected {violation.expected}, observed {violation.observed}"]


def _records(trace: Trace, violation: Violation) -> list[str]:
    last = len(trace.incarnations) - 1
    snapshot = trace.incarnations[min(violation.incarnation, last)]
    if snapshot.records is None:
        return _as_it_says(violation)
    left = "left" if violation.incarnation >= last else f"there before {snapshot.ended_by}"
    count = len(snapshot.records)
    return [f"{count or 'no'} active record{'s are' if count > 1 else ' is'} {left}"]


def _created(trace: Trace, violation: Violation) -> list[str]:
    told = sorted(answer.actor for answer in trace.answers if answer.created and answer.actor in violation.answers)
    if len(told) > 1:
        return [f"{listed(told)} were told that each created the record"]
    return ["nobody was told of having created the record"]


def _hits(trace: Trace, violation: Violation) -> list[str]:
    del trace
    answered = len(violation.answers)
    were = "was" if answered == 1 else "were"
    if not violation.observed.isdecimal():
        return [f"{violation.observed} is stored for the {counted(answered, 'hit')} that {were} answered"]
    stored = f"{violation.observed} {'hit is' if violation.observed == '1' else 'hits are'} stored"
    return [f"{stored} of the {answered} that {were} answered"]


def _counts(trace: Trace, violation: Violation) -> list[str]:
    del trace
    return [f"the counts told are {violation.observed.strip('[]')}"]


def _order(trace: Trace, violation: Violation) -> list[str]:
    del trace, violation
    return ["no order of the hits explains the counts told"]


def _errors(trace: Trace, violation: Violation) -> list[str]:
    told = [answer for answer in trace.answers if answer.actor in violation.answers]
    return [f"{answer.actor} was answered {_status(answer)}" for answer in told]


def _results(trace: Trace, violation: Violation) -> list[str]:
    told = [answer for answer in trace.answers if answer.actor in violation.answers and answer.record]
    return [listed([f"{answer.actor} was told {answer.record}" for answer in told])]


_WORDS: Mapping[str, Callable[[Trace, Violation], list[str]]] = {
    "no_server_error": _errors,
    "one_active_record": _records,
    "one_created_answer": _created,
    "hits_equal_answers": _hits,
    "distinct_counts": _counts,
    "linearizable_hits": _order,
    "same_answer": _results,
}


def _cut(text: str, most: int = 40) -> str:
    # Masked before it is cut: of half a URL nobody could tell that it holds a password.
    flat = " ".join(mask_text(text).split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"
