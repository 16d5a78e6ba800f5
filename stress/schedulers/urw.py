"""A random walk that makes all schedules equally likely, or all schedules of what matters (Zhao et al., ASPLOS 2025).

A plain walk lets each actor go with the same probability, so that schedules in which a short actor waits for a long one
are hardly ever drawn. Here an actor goes with a probability in proportion to the moves that it still has ("Selectively
uniform concurrency testing": URW, and SURW where only some moves count).
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from stress.core.registry import SCHEDULERS
from stress.core.step import START, WHOLE, Access
from stress.core.trace import Kind
from stress.schedulers.base import keep_going
from stress.schedulers.registered import Registered
from stress.schedulers.skip import without

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stress.core.step import Move
    from stress.core.trace import Event, Trace


class Urw:
    """Draws ``schedules`` schedules from ``seed`` (None: without end), the first being the one that it learns from.

    In the first schedule each request runs alone, one after another; how many moves each has is remembered. An actor
    that has more moves than that in another schedule counts as having one more. With ``selective`` only moves on
    objects that two actors touch, one of them not only reading, are counted, and the order of these is what is uniform:
    the actor that makes the next such move is drawn, and others that come to one wait (SURW). ``skip`` names actors
    that never act.
    """

    name = "urw"

    def __init__(
        self,
        seed: int,
        schedules: int | None = None,
        *,
        selective: bool = False,
        skip: frozenset[str] = frozenset(),
    ) -> None:
        """Seed the generator."""
        if selective:
            self.name = "surw"
        self._random = random.Random(seed)
        self._most = schedules
        self._selective = selective
        self._skip = skip
        self._all: Counter[str] | None = None
        self._private: set[tuple[str, str]] = set()
        self._made: Counter[str] = Counter()
        self._current: str | None = None
        self.schedules = 0

    def more(self) -> bool:
        """Begin the next draw, unless all are drawn."""
        self._made.clear()
        self._current = None
        return self._most is None or self.schedules < self._most

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Draw the actor of the next move that counts, and let the others go on as far as theirs do not."""
        able = without(moves, self._skip, done=done)
        if self._all is None:
            return None if done else self._go_on(able)
        if done:
            drawn = self._random.randrange(len(able) + 1)
            return able[drawn] if drawn < len(able) else None
        if all(move.actor != self._current for move in able):
            self._current = self._draw(able)
        free = [move for move in able if move.actor == self._current or not self._counts(move)]
        move = free[self._random.randrange(len(free))]
        if self._counts(move):
            self._made[move.actor] += 1
            self._current = None
        return move

    def learn(self, trace: Trace) -> None:
        """Count the schedule; from the first, learn how many moves each actor has."""
        self.schedules += 1
        if self._all is None:
            if self._selective:
                self._private = _private(trace.events) | {(START, "")}
            self._all = Counter(move.actor for move in trace.moves if self._counts(move))

    def _counts(self, move: Move) -> bool:
        """Return whether a move is one of those whose order is uniform; what was never seen is."""
        return move[1:3] not in self._private

    def _go_on(self, able: Sequence[Move]) -> Move:
        move = keep_going(able, self._current)[0]
        self._current = move.actor
        return move

    def _draw(self, able: Sequence[Move]) -> str:
        """Draw an actor with a probability in proportion to the moves that it still has."""
        assert self._all is not None  # noqa: S101 - drawn only after the first schedule
        about = {move.actor: False for move in able}
        for move in able:
            about[move.actor] |= self._counts(move)
        actors = list(about)
        left = [max(self._all[actor] - self._made[actor], about[actor]) for actor in actors]
        # Where nobody has a move that counts, all are alike.
        return self._random.choices(actors, left if any(left) else None)[0]


def _private(events: Iterable[Event]) -> set[tuple[str, str]]:
    """Name the steps, by command and objects, whose objects no other actor touches, or all only read."""
    steps = [event for event in events if event.kind is Kind.STEP]
    users: dict[str, set[str]] = {}
    written: set[str] = set()
    for event in steps:
        for touch in event.touches:
            users.setdefault(touch.object, set()).add(event.actor)
            if touch.access is not Access.READ:
                written.add(touch.object)
    if WHOLE in users:
        return set()
    return {
        (event.command, event.object)
        for event in steps
        if all(len(users[touch.object]) == 1 or touch.object not in written for touch in event.touches)
    }


SCHEDULERS.register("urw", Registered(lambda search: Urw(search.seed, skip=search.skip)))
SCHEDULERS.register("surw", Registered(lambda search: Urw(search.seed, selective=True, skip=search.skip)))
