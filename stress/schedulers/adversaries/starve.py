"""An adversary for retries: whenever its victim is about to write what it has read, somebody else writes that first.

Code that reads, then writes only if nothing has changed, tries again when it lost, and gives up after some attempts.
An attempt is lost only where another write falls between its read and its write, each time; drawn schedules practically
never do that, and an adversary always can: such a loop is not wait-free (Herlihy, TOPLAS 1991). Race R6 of the Gateway:
four attempts, five writers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.registry import SCHEDULERS
from stress.schedulers.adversaries.accesses import Accesses, action_of, common, meet, victims_of
from stress.schedulers.base import is_environment, keep_going
from stress.schedulers.registered import Registered

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from stress.core.step import Move
    from stress.core.trace import Trace
    from stress.schedulers.adversaries.accesses import Action


class Starve:
    """Runs all requests one after another to learn what they do, then starves one of them in each schedule.

    Who reads an object and writes it in a later step can be a victim. Victims that did the same as one before come
    last, as identical requests do. So there are at most as many schedules as requests, after the first; of those
    ``alike`` one is enough. ``victim`` is who is starved now. What steps read and write is learned from every trace.
    """

    name = "starve"

    def __init__(self, alike: Collection[str] = ()) -> None:
        """Know nothing yet."""
        self._alike = alike
        self.victim: str | None = None
        self.schedules = 0
        self._victims: list[str] = []
        self._accesses = Accesses()
        self._plans: dict[str, list[Action]] = {}
        self._begin()

    def _begin(self) -> None:
        """Begin a schedule: ``_fresh`` is what the victim read and nobody wrote since, ``_wanted`` what to write."""
        self._current: str | None = None
        self._wanted: set[str] = set()
        self._fresh: set[str] = set()
        self._taken: dict[str, list[Action]] = {}

    def more(self) -> bool:
        """Take the next victim, if one is left; the first schedule has none."""
        self._begin()
        if not self.schedules:
            return True
        self.victim = self._victims.pop(0) if self._victims else None
        return self.victim is not None

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Let the victim go on until it is about to write what it has read, then one who will write the same."""
        if done:
            return None
        move = self._next(moves)
        action = action_of(move)
        self._taken.setdefault(move.actor, []).append(action)
        self._current = move.actor
        written = self._accesses.written_by(action)
        self._fresh = {one for one in self._fresh if not meet({one}, written)}
        if move.actor == self.victim:
            self._fresh |= self._accesses.read_by(action)
        if meet(self._wanted, written):
            self._wanted = set()
        return move

    def learn(self, trace: Trace) -> None:
        """Learn what each step reads and writes, and what each request did; find the victims in the first schedule."""
        plans = self._accesses.note(trace)
        if not self.schedules:
            self._begin()
            self._plans = plans
            self._victims = victims_of(filter(self._starvable, plans), plans, self._alike)
        self.schedules += 1

    def _starvable(self, actor: str) -> bool:
        """Return whether an actor reads something, then writes it in a later step, and another actor writes it too."""
        read: set[str] = set()
        for action in self._plans[actor]:
            both = common(read, self._accesses.written_by(action))
            if any(other != actor and self._left(other, both) for other in self._plans):
                return True
            read |= self._accesses.read_by(action)
        return False

    def _left(self, actor: str, objects: set[str]) -> bool:
        """Return whether an actor, as far as is known, has yet to write one of the objects."""
        plan, taken = (
            sum(meet(objects, self._accesses.written_by(action)) for action in actions)
            for actions in (self._plans.get(actor, []), self._taken.get(actor, []))
        )
        return plan > taken

    def _next(self, moves: Sequence[Move]) -> Move:
        ranked = keep_going(moves, self._current)
        own = [move for move in moves if move.actor == self.victim]
        if not own:
            return ranked[0]
        if self._wanted and ranked[0].actor == self._current != self.victim:
            return ranked[0]  # on its way to the write
        for move in own:
            self._wanted = common(self._fresh, self._accesses.written_by(action_of(move)))
            if not self._wanted:
                return move
        others = [
            move
            for move in ranked
            if move.actor != self.victim and not is_environment(move) and self._left(move.actor, self._wanted)
        ]
        if others:
            return others[0]
        self._wanted = set()
        return own[0]


# Who starves does not draw: the victims are dealt out to the parts of a search.
SCHEDULERS.register("starve", Registered(lambda _: Starve()))
