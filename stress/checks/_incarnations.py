"""Counting per incarnation: an answer whose steps straddle several may belong to any one of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from stress.checks._contradiction import steps_between

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.core.trace import Answer, Snapshot, Trace
    from stress.core.verdict import Violation

    Judge = Callable[[int, Snapshot, Sequence[Answer]], list[Violation]]

_MOST_ASSIGNMENTS = 4096


def judge_each(trace: Trace, judge: Judge) -> list[Violation]:
    """Judge each incarnation with the accepted answers that belong to it.

    Violations are given only when no assignment of straddling answers satisfies the judge everywhere; they are those
    of the assignment with the fewest. An answer is tried first in its latest incarnation, where its effect stayed.
    """
    accepted = [answer for answer in trace.answers if answer.accepted]
    best: list[Violation] | None = None
    for places in product(*(answer.incarnations[::-1] for answer in accepted)):
        found: list[Violation] = []
        for number, snapshot in enumerate(trace.incarnations):
            mine = [answer for answer, place in zip(accepted, places, strict=True) if place == number]
            found += judge(number, snapshot, mine)
        if not found:
            return []
        if best is None or len(found) < len(best):
            best = found
    return [replace(one, steps=steps_between(trace, one.answers, one.incarnation)) for one in best or []]


def undecided(trace: Trace) -> bool:
    """Tell whether answers straddle in more ways than can be tried: then nothing may be said, least a violation."""
    if len(trace.incarnations) == 1:
        return False
    return prod(len(answer.incarnations) for answer in trace.answers if answer.accepted) > _MOST_ASSIGNMENTS


def names(answers: Sequence[Answer]) -> tuple[str, ...]:
    """Name the actors of answers, each once, sorted."""
    return tuple(sorted({answer.actor for answer in answers}))
