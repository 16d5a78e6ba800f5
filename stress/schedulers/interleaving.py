"""One schedule as small integers, 0 = keep going: what hypothesis draws, without needing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.registry import SCHEDULERS
from stress.schedulers.base import keep_going
from stress.schedulers.registered import Registered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.step import Move
    from stress.core.trace import Trace


class Interleaving:
    """One schedule as numbers: at each move, how many of the possible moves to pass over. Past its end: keep going.

    The moves stand with the current actor first and the environment last; a number larger than there are moves
    counts on from the first.
    """

    name = "hypothesis"

    def __init__(self, numbers: Sequence[int]) -> None:
        """Take the numbers."""
        self._numbers = tuple(numbers)
        self._at = 0
        self._current: str | None = None

    def __repr__(self) -> str:
        """Give what hypothesis prints of a failing example."""
        return f"Interleaving({list(self._numbers)})"

    def more(self) -> bool:
        """Begin again."""
        self._at, self._current = 0, None
        return True

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Pass over as many moves as the next number says; with ``done``, 0 ends the run."""
        number = self._numbers[self._at] if self._at < len(self._numbers) else 0
        self._at += 1
        ranked: list[Move | None] = [*([None] if done else []), *keep_going(moves, self._current)]
        chosen = ranked[number % len(ranked)]
        self._current = chosen.actor if chosen else None
        return chosen

    def learn(self, trace: Trace) -> None:
        """Nothing to learn: hypothesis does."""


# Those that hypothesis draws; `stress.engine.draw` asks it.
SCHEDULERS.register("hypothesis", Registered(lambda _: Interleaving(())))
