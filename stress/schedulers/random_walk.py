"""A uniform random walk: at each point every possible move is equally likely. Seeded, so a search can be repeated."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from stress.core.registry import SCHEDULERS
from stress.schedulers.base import is_environment
from stress.schedulers.registered import Registered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.step import Move
    from stress.core.trace import Trace


class Walk:
    """Draws ``schedules`` random schedules from ``seed`` (None: without end). ``skip`` names actors that never act."""

    name = "random_walk"

    def __init__(self, seed: int, schedules: int | None = None, *, skip: frozenset[str] = frozenset()) -> None:
        """Seed the generator."""
        self._random = random.Random(seed)
        self._left = schedules
        self._skip = skip
        self.schedules = 0

    def more(self) -> bool:
        """Begin the next draw, unless all are drawn."""
        return self._left is None or self.schedules < self._left

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Draw one of the moves; when all requests are done, ending is one more possibility."""
        able: Sequence[Move] = moves
        if self._skip:
            able = [move for move in moves if move.actor not in self._skip]
            able = able or ([] if done else [move for move in moves if not is_environment(move)] or moves)
        drawn = int(self._random.random() * (len(able) + done))
        return able[drawn] if drawn < len(able) else None

    def learn(self, trace: Trace) -> None:  # noqa: ARG002 - the interface of schedulers
        """Count the schedule."""
        self.schedules += 1


SCHEDULERS.register("random_walk", Registered(lambda search: Walk(search.seed, skip=search.skip)))
