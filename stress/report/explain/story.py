"""The story of a failing schedule in one sentence: whose step came between whose, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.verdict import counted
from stress.report.explain.deeds import cut
from stress.report.explain.pattern import titled
from stress.report.explain.telling import ASSERTION, telling
from stress.report.explain.words import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stress.core.trace import Answer, Trace
    from stress.core.verdict import Violation
    from stress.report.explain.pattern import Telling


def story(trace: Trace, violations: Sequence[Violation]) -> str:
    """Tell in one sentence which steps conflict and what came of it."""
    about = telling(trace, violations)
    reported = _reported(trace, about)
    broken = [one for one in violations if not one.invariant.startswith(ASSERTION)] or violations
    effects = list(dict.fromkeys(effect for one in broken for effect in _effects(trace, one)))
    effects = [one for one in effects if one not in reported]
    effects = [one for one in (reported, *effects) if one] or ["nothing that was checked is broken"]
    what = f"{', '.join(effects[:-1])}, and {effects[-1]}" if len(effects) > 1 else effects[0]
    sentence = f"{about.cause}; {what}." if about.cause else f"{what}."
    return sentence[:1].upper() + sentence[1:]


def reported(trace: Trace, violations: Sequence[Violation]) -> str:
    """Tell the story after the name of its pattern, if it has one."""
    named = telling(trace, violations).pattern
    sentence = story(trace, violations)
    return f"{titled(named)}: {sentence}" if named else sentence


def _reported(trace: Trace, about: Telling) -> str:
    """Say what those were answered whom a story concerns; of who was refused and succeeds, that it did all the same."""
    answers = [one for one in trace.answers if one.actor in about.actors]
    answers.sort(key=lambda one: about.actors.index(one.actor))
    repeat = [one.actor for one in answers if one.actor in about.refused and one.accepted]
    statuses = {answer.status for answer in answers}
    if len(answers) == 2 and len(statuses) == 1 and not repeat:  # noqa: PLR2004 - both of the two
        return f"both were answered {_status(answers[0])}"
    return listed(
        [f"{one.actor} was answered {_status(one)}{' all the same' if one.actor in repeat else ''}" for one in answers]
    )


def _status(answer: Answer) -> str:
    return str(answer.status) if answer.status else f"nothing ({cut(answer.error)})"


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
    last = len(trace.epochs) - 1
    snapshot = trace.epochs[min(violation.epoch, last)]
    if snapshot.records is None:
        return _as_it_says(violation)
    left = "left" if violation.epoch >= last else f"there before {snapshot.ended_by}"
    count = len(snapshot.records)
    return [f"{count or 'no'} active record{'s are' if count > 1 else ' is'} {left}"]


def _created(trace: Trace, violation: Violation) -> list[str]:
    reported = sorted(answer.actor for answer in trace.answers if answer.created and answer.actor in violation.answers)
    if len(reported) > 1:
        return [f"{listed(reported)} were each answered that they created the record"]
    return ["no client was answered that it created the record"]


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
    return [f"the counts answered are {violation.observed.strip('[]')}"]


def _schedule(trace: Trace, violation: Violation) -> list[str]:
    del trace, violation
    return ["no schedule of the hits explains the counts answered"]


def _errors(trace: Trace, violation: Violation) -> list[str]:
    reported = [answer for answer in trace.answers if answer.actor in violation.answers]
    return [f"{answer.actor} was answered {_status(answer)}" for answer in reported]


def _results(trace: Trace, violation: Violation) -> list[str]:
    reported = [answer for answer in trace.answers if answer.actor in violation.answers and answer.record]
    return [listed([f"{answer.actor} was answered {answer.record}" for answer in reported])]


_WORDS: Mapping[str, Callable[[Trace, Violation], list[str]]] = {
    "no_server_error": _errors,
    "one_active_record": _records,
    "one_created_answer": _created,
    "hits_equal_answers": _hits,
    "distinct_counts": _counts,
    "linearizable_hits": _schedule,
    "same_answer": _results,
}
