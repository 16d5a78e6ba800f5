"""A scheduler for tests: one schedule, given by the names of its actors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.step import Move
    from stress.core.trace import Trace


class Follow:
    """Lets actors move as a word says, by whatever step they show, and then in the order of their names."""

    name = "follow"

    def __init__(self, actors: str) -> None:
        """Take the word."""
        self._actors = iter(actors.split())

    def more(self) -> bool:
        """Have one schedule only."""
        return True

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Take the next actor's move."""
        actor = next(self._actors, None)
        if actor is None:
            return None if done else moves[0]
        return next(move for move in moves if move.actor == actor)

    def learn(self, trace: Trace) -> None:
        """Learn nothing."""
