"""An adversary for late writes: its victim is held before it writes what it knows, until others have written it.

Code that reads something and writes it in a later step is right only while nothing comes between, such as who deletes
a lock that it has just seen to be its own (races L3 and L4 of the Gateway). The more others write meanwhile, the deeper
the schedule hides among those with few preemptions; an adversary goes there at once, as active testing does
(RaceFuzzer, Sen, PLDI 2008; CTrigger, Park, Lu and Zhou, ASPLOS 2009: a remote write between two local accesses).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from stress.schedulers.adversaries.accesses import Accesses, action_of, common, meet, victims_of
from stress.schedulers.base import is_environment, is_request, keep_going

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from stress.core.step import Move
    from stress.core.trace import Trace
    from stress.schedulers.adversaries.accesses import Action

_CHANGING = ("expiry", "cleanup", "writer")
"""Actors of the environment that change what is stored."""
_CROWD = 3
"""From how many requests on one is held where only they write: two come between each other with two preemptions."""


class HeldBack(NamedTuple):
    """Who is held before which of its late writes, and until when.

    ``victim`` goes first, until it is about to make its late write number ``write`` (from 1): to something that it read
    or wrote in an earlier step. It is held there until other requests have written the same ``writes`` times, or can do
    no more. With ``changing`` the environment changes what is stored first, while it is held.
    """

    writes: int
    victim: str
    write: int
    changing: bool


class Overtake:
    """Runs one schedule for each late write of each request and each number of writes that overtake it, fewest first.

    It learns from a schedule that somebody else ran, in which all requests went one after another: `learn` without
    `more` before. What was the same there comes last, and of those ``alike`` one is enough. ``held`` is who is held
    now.
    """

    def __init__(self, alike: Collection[str] = ()) -> None:
        """Know nothing yet."""
        self._alike = alike
        self._accesses = Accesses()
        self._left: deque[HeldBack] = deque()
        self.held: HeldBack | None = None
        self._begin()

    def _begin(self) -> None:
        """Begin a schedule: ``_known`` is what the victim read or wrote, ``_wanted`` what it is held for."""
        self._current: str | None = None
        self._known: set[str] = set()
        self._wanted: set[str] = set()
        self._late = self._writes = 0
        self._acted: set[str] = set()
        self._released = False

    def more(self) -> bool:
        """Take the next one to hold, if one is left."""
        self._begin()
        self.held = self._left.popleft() if self._left else None
        return self.held is not None

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Let the victim go on until it is about to make the late write, then others, then the victim again."""
        if done or self.held is None:
            return None
        move = self._next(moves, self.held)
        action = action_of(move)
        if move.actor == self.held.victim:
            self._known |= self._accesses.read_by(action) | self._accesses.written_by(action)
        elif is_request(move.actor) and meet(self._wanted, self._accesses.written_by(action)):
            self._writes += 1
        self._current = move.actor
        return move

    def learn(self, trace: Trace, changing: Collection[str] = ()) -> None:
        """Take in what each step reads and writes; find in the first schedule who can be held, and where.

        ``changing`` are the actors that could act in it.
        """
        plans = self._accesses.note(trace)
        if self.held is None:
            self._plan(plans, with_change=any(actor in _CHANGING for actor in changing))
        elif self._writes >= self.held.writes:  # more may be possible
            self._left.append(self.held._replace(writes=self.held.writes + 1))

    def _plan(self, plans: dict[str, list[Action]], *, with_change: bool) -> None:
        """Hold each request that is not like one before at each late write, the last ones first."""
        able = {actor: self._late_writes(plan) for actor, plan in plans.items() if is_request(actor)}
        victims = victims_of(able, plans, self._alike)
        # Who goes first does what the first one did, whatever it did in its turn.
        most = max(able.values(), default=0)
        ways = ([True] if with_change else []) + ([False] if len(able) >= _CROWD else [])
        self._left.extend(
            HeldBack(1, victim, write, acts) for write in range(most, 0, -1) for acts in ways for victim in victims
        )

    def _late_writes(self, plan: Sequence[Action]) -> int:
        """Count the steps that write what the actor knows by then."""
        known: set[str] = set()
        late = 0
        for action in plan:
            late += meet(known, self._accesses.written_by(action))
            known |= self._accesses.read_by(action) | self._accesses.written_by(action)
        return late

    def _next(self, moves: Sequence[Move], held: HeldBack) -> Move:
        ranked = keep_going(moves, self._current)
        own = [move for move in moves if move.actor == held.victim]
        if not own:
            return ranked[0]
        if self._released or not (self._wanted or self._is_held(own[0], held)):
            return own[0]
        if self._writes < held.writes:
            for move in ranked:
                if held.changing and move.actor in _CHANGING and move.actor not in self._acted:
                    self._acted.add(move.actor)
                    return move
            for move in ranked:
                if move.actor != held.victim and not is_environment(move):
                    return move
        self._released = True
        return own[0]

    def _is_held(self, move: Move, held: HeldBack) -> bool:
        """Return whether a victim's next step is the late write before which it is held."""
        late = common(self._known, self._accesses.written_by(action_of(move)))
        self._late += bool(late)
        if self._late == held.write:
            self._wanted = late
        return bool(self._wanted)
