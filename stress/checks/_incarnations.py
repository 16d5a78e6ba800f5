"""Counting per incarnation: an answer whose steps straddle several may belong to any one of them."""

from __future__ import annotations

from itertools import islice, product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.trace import Answer, Snapshot, Trace
    from stress.verdict import Violation

_MOST_ASSIGNMENTS = 4096


def judge_each(trace: Trace, judge: Callable[[int, Snapshot, Sequence[Answer]], list[Violation]]) -> list[Violation]:
    """Judge each incarnation with the accepted answers that belong to it.

    Violations are given only when no assignment of straddling answers satisfies the judge everywhere; they are those
    of the assignment with the fewest.
    """
    accepted = [answer for answer in trace.answers if answer.accepted]
    best: list[Violation] | None = None
    for places in islice(product(*(answer.incarnations for answer in accepted)), _MOST_ASSIGNMENTS):
        found: list[Violation] = []
        for number, snapshot in enumerate(trace.incarnations):
            mine = [answer for answer, place in zip(accepted, places, strict=True) if place == number]
            found += judge(number, snapshot, mine)
        if not found:
            return []
        if best is None or len(found) < len(best):
            best = found
    return best or []


def names(answers: Sequence[Answer]) -> tuple[str, ...]:
    """Name the actors of answers, each once, sorted."""
    return tuple(sorted({answer.actor for answer in answers}))
