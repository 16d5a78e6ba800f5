"""Probabilistic concurrency testing: random priorities, lowered at random places (Burckhardt et al., ASPLOS 2010).

A race that d orderings of two steps each bring about has depth d. Drawing priorities for n actors, and d - 1 of
the k moves at which the actor that would go is put behind all others, meets it with a probability of at least
1/(n k^(d-1)) in each schedule.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from stress.core.registry import SCHEDULERS
from stress.schedulers.registered import Registered
from stress.schedulers.skip import without

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.core.step import Move
    from stress.core.trace import Trace

_THE_END = ""
"""Stands for the end of a run among the actors: it too has a priority, where the environment could act instead."""


class Priorities:
    """Who goes first in one schedule.

    ``changes`` are the moves, counted from 1, at which the actor that would go gets a lower priority: all of these are
    below every priority of the beginning, and that of a later place in ``changes`` is above that of an earlier one.
    ``insert`` says where an actor that is new gets its place among so many others, 0 being the highest.
    """

    def __init__(self, changes: Sequence[int], insert: Callable[[int], int]) -> None:
        """Begin with no actor."""
        self._changes = tuple(changes)
        self._insert = insert
        self._high: list[str] = []
        self._low: dict[str, int] = {}
        self._step = 0

    def pick(self, actors: Sequence[str]) -> str:
        """Give the one that makes the next move, of those that can."""
        for actor in actors:
            if actor not in self._high:
                self._high.insert(self._insert(len(self._high)), actor)
        self._step += 1
        top = max(actors, key=self._height)
        for number, step in enumerate(self._changes):
            if step == self._step:
                self._low[top] = number
                top = max(actors, key=self._height)
        return top

    def _height(self, actor: str) -> tuple[bool, int]:
        if actor in self._low:
            return False, self._low[actor]
        return True, -self._high.index(actor)


class Pct:
    """Draws ``schedules`` schedules from ``seed`` (None: endless) that meet each race of ``depth`` with a probability.

    The first schedule has no changes of priority, as nothing is known of how many moves there are. ``skip`` names
    actors that never act. ``actors`` and ``steps`` are n and k, the most that a schedule has shown so far.
    """

    name = "pct"

    def __init__(
        self, seed: int, schedules: int | None = None, *, depth: int = 3, skip: frozenset[str] = frozenset()
    ) -> None:
        """Seed the generator.

        Raises:
            ValueError: when the depth is less than 1.

        """
        if depth < 1:
            raise ValueError(f"a race has a depth of 1 or more, not {depth}")
        self.depth = depth
        self._random = random.Random(seed)
        self._left = schedules
        self._skip = skip
        self._shown: set[str] = set()
        self.schedules = self.actors = self.steps = 0
        self._priorities = self._draw()

    @property
    def bound(self) -> float | None:
        """The least probability with which one schedule meets a race of this depth; None before the first schedule.

        It is 1/(n k^(d-1)), with the n and k that were measured.
        """
        return 1 / (self.actors * self.steps ** (self.depth - 1)) if self.steps else None

    def more(self) -> bool:
        """Draw priorities for the next schedule, unless all are drawn."""
        self._priorities = self._draw()
        self._shown.clear()
        return self._left is None or self.schedules < self._left

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Give a move of the actor with the highest priority; of several moves of that actor, any."""
        able = without(moves, self._skip, done=done)
        actors = list(dict.fromkeys(move.actor for move in able)) + [_THE_END] * done
        self._shown.update(actors)
        top = self._priorities.pick(actors)
        own = [move for move in able if move.actor == top]
        return own[self._random.randrange(len(own))] if own else None

    def learn(self, trace: Trace) -> None:
        """Count the schedule, its actors and its moves."""
        self.schedules += 1
        self.actors = max(self.actors, len(self._shown))
        self.steps = max(self.steps, len(trace.moves))

    def _draw(self) -> Priorities:
        changes = [self._random.randint(1, self.steps) for _ in range(self.depth - 1)] if self.steps else []
        return Priorities(changes, lambda others: self._random.randint(0, others))


SCHEDULERS.register("pct", Registered(lambda search: Pct(search.seed, skip=search.skip)))
