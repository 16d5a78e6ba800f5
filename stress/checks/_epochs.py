"""Counting per epoch: an answer whose steps straddle several may belong to any one of them.

Nor is it known what became of a request whose client hung up: it may have had an effect or none.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from stress.checks._contradiction import steps_between

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.core.trace import Answer, Snapshot, Trace
    from stress.core.verdict import Violation

    Judge = Callable[[int, Snapshot, Sequence[Answer]], list[Violation]]

_MOST_ASSIGNMENTS = 4096
_ACCEPTED = 200


class _Placed(NamedTuple):
    """An answer, and the epoch that its effect is assigned to."""

    answer: Answer
    epoch: int


def judge_each(trace: Trace, judge: Judge) -> list[Violation]:
    """Judge each epoch with the accepted answers that belong to it.

    A request whose client hung up is judged as if it had had no effect, or been accepted in any way. Violations are
    given only when no assignment of such requests and of straddling answers satisfies the judge everywhere; they are
    those of the assignment with the fewest. An answer is tried first in its latest epoch, where its effect
    stayed.
    """
    best: list[Violation] | None = None
    for taken in product(*_answers_of(trace)):
        found: list[Violation] = []
        for number, snapshot in enumerate(trace.epochs):
            mine = [one.answer for one in taken if one is not None and one.epoch == number]
            found += judge(number, snapshot, mine)
        if not found:
            return []
        if best is None or len(found) < len(best):
            best = found
    return [replace(one, steps=steps_between(trace, one.answers, one.epoch)) for one in best or []]


def _answers_of(trace: Trace) -> list[list[_Placed | None]]:
    """Give for each accepted answer, and for each client that hung up, what is to be tried; None stands for nothing."""
    found: list[list[_Placed | None]] = []
    for answer in trace.answers:
        if answer.hung_up:
            found.append([None, *_unheard(trace, answer)])
        elif answer.accepted:
            found.append([_Placed(answer, place) for place in answer.epochs[::-1]])
    return found


def _unheard(trace: Trace, answer: Answer) -> list[_Placed]:
    """Give what a client that hung up might have been answered; its request may have taken effect at any later time."""
    assumed = replace(answer, status=_ACCEPTED, ended=max(one.ended for one in trace.answers))
    unnamed: list[str | None] = [None]
    return [
        _Placed(replace(assumed, record=record, created=created, duplicate=not created), place)
        for place in answer.epochs[::-1]
        for record in _records(trace) or unnamed
        for created in (True, False)
    ]


def _records(trace: Trace) -> list[str]:
    """Name the records that states show or answers have."""
    seen = [name for state in trace.epochs for name in (*(state.records or ()), *(state.hits or ()))]
    return list(dict.fromkeys([*seen, *(one.record for one in trace.answers if one.record is not None)]))


def undecided(trace: Trace) -> bool:
    """Whether there are more ways to assign answers than can be tried: then nothing is said, least a violation."""
    if len(trace.epochs) == 1 and not any(answer.hung_up for answer in trace.answers):
        return False
    return prod(len(tried) for tried in _answers_of(trace)) > _MOST_ASSIGNMENTS


def names(answers: Sequence[Answer]) -> tuple[str, ...]:
    """Name the actors of answers, each once, sorted."""
    return tuple(sorted({answer.actor for answer in answers}))
