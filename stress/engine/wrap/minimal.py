"""From a start that failed to one that is small, fails again, and has a neighbour that passes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stress.engine.wrap.answer import common
from stress.engine.wrap.choosers import Letters
from stress.engine.wrap.schedule import CLOCK, FOREIGN, of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from stress.engine.wrap.choosers import Chooser
    from stress.engine.wrap.start import Ended

    Run = Callable[[Chooser], Awaitable[Ended]]

_UNASKED = 2


def size(ended: Ended) -> tuple[int, int, int, int]:
    """Tell how small a schedule is: foreign writes, clock steps, preemptions, steps.

    Where a second began unasked that may be why it failed, and no replay has that: it counts as several clock steps.
    """
    schedule = of(ended.turns)
    letters = schedule.letters
    return letters.count(FOREIGN), letters.count(CLOCK) + _UNASKED * ended.crossed, schedule.preemptions(), len(letters)


async def small(failing: Ended, run: Run, until: float, passing: list[Ended]) -> Ended:
    """Make a failing start smaller by runs of ``run``, until ``until`` (`time.monotonic`).

    First shorter beginnings of its schedule, each gone on with one after another, fewest preemptions first; then
    without each of its blocks. What passes on the way goes to ``passing``.
    """
    best = failing

    async def fails(letters: Sequence[str], best: Ended) -> Ended | None:
        foreign = [turn for turn in best.turns if turn.actor == FOREIGN]
        ended = await run(Letters(letters, foreign))
        if ended.passed:
            passing.append(ended)
        return ended if ended.failed and size(ended) < size(best) else None

    letters = of(best.turns).letters
    if CLOCK in letters and time.monotonic() < until:
        best = await fails([one for one in letters if one != CLOCK], best) or best
    for end in _preemptions(of(best.turns).letters):
        if time.monotonic() > until:
            return best
        if (shorter := await fails(of(best.turns).letters[:end], best)) is not None:
            best = shorter
            break
    at = 0
    while time.monotonic() < until and at < len(blocks := _blocks(of(best.turns).letters)):
        kept = [letter for number, block in enumerate(blocks) if number != at for letter in block]
        smaller = await fails(kept, best) if len(blocks) > 1 else None
        at = at if smaller is not None else at + 1
        best = smaller or best
    return best


def _preemptions(letters: Sequence[str]) -> list[int]:
    """Give the lengths of the beginnings that end right behind a change of the actor, the shortest first."""
    return [at + 1 for at in range(len(letters)) if at == 0 or letters[at] != letters[at - 1]]


def _blocks(letters: Sequence[str]) -> list[list[str]]:
    found: list[list[str]] = []
    for letter in letters:
        if found and found[-1][-1] == letter:
            found[-1].append(letter)
        else:
            found.append([letter])
    return found


def nearest(fails: Ended, passing: Sequence[Ended]) -> Ended | None:
    """Give the passing start that has most steps in common with a failing one, and is least different otherwise."""
    clocks = of(fails.turns).letters.count(CLOCK)

    def closeness(ended: Ended) -> tuple[int, int, int]:
        other = of(ended.turns).letters.count(CLOCK)
        return common(fails, ended), -abs(clocks - other), -len(ended.turns)

    return max(passing, key=closeness, default=None)
