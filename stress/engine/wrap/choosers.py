"""Who goes next in one start: in step, one after another, drawn, or as a schedule says."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol

from stress.core.step import Move
from stress.engine.wrap.schedule import CLOCK, FOREIGN, Turn
from stress.schedulers.pct import Pct
from stress.schedulers.random_walk import Walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.schedulers.base import Scheduler

WAIT = Turn("wait")
"""Nobody goes now: who should go has not shown its step yet."""


class Chooser(Protocol):
    """Chooses at each point at which all that runs sleeps and commands are parked."""

    @property
    def clock(self) -> bool:
        """Whether a clock step is still to come."""

    @property
    def diverged(self) -> str:
        """Where the schedule could not be followed; empty while it is."""

    def choose(self, able: Sequence[Turn], *, late: bool) -> Turn:
        """Give one of those that can go, of the clock or of a foreign write; or ``WAIT``, unless it is ``late``."""


class Serial:
    """Each actor goes on for as long as it can; then the first in the ``ranking``, then by name."""

    def __init__(self, ranking: Sequence[str] = ()) -> None:
        """Begin with nobody."""
        self.clock, self.diverged = False, ""
        self._ranking, self._current = list(ranking), ""

    def choose(self, able: Sequence[Turn], *, late: bool = False) -> Turn:
        """Keep the current actor."""
        del late
        chosen = min(able, key=lambda turn: (turn.actor != self._current, self._rank(turn.actor), turn.actor))
        self._current = chosen.actor
        return chosen

    def _rank(self, actor: str) -> int:
        return self._ranking.index(actor) if actor in self._ranking else len(self._ranking)


class InStep:
    """Of those that can go the one that has taken the fewest steps since there was a choice."""

    def __init__(self) -> None:
        """Begin with no steps."""
        self.clock, self.diverged = False, ""
        self._taken: Counter[str] = Counter()

    def choose(self, able: Sequence[Turn], *, late: bool = False) -> Turn:
        """Let all come equally far."""
        del late
        if len(able) == 1:
            return able[0]
        chosen = min(able, key=lambda turn: (self._taken[turn.actor], turn.actor))
        self._taken[chosen.actor] += 1
        return chosen


class Drawn:
    """What a random scheduler draws from ``seed``: PCT, or a random walk."""

    def __init__(self, kind: str, seed: int, actors: int, choices: int) -> None:
        """Take how many actors and choices a start has shown so far, for PCT."""
        self.clock, self.diverged = False, ""
        if kind == "pct":
            pct = Pct(seed)
            pct.actors, pct.steps = actors, choices
            self._scheduler: Scheduler = pct
        else:
            self._scheduler = Walk(seed)
        self._scheduler.more()

    def choose(self, able: Sequence[Turn], *, late: bool = False) -> Turn:
        """Draw one where there are several."""
        del late
        if len(able) == 1:
            return able[0]
        moves = [Move(turn.actor, turn.command, turn.objects) for turn in able]
        drawn = self._scheduler.choose(moves, done=False)
        return able[moves.index(drawn)] if drawn is not None else able[0]


class WithClock:
    """Another chooser, with one clock step before its choice number ``at`` (from 1; a choice is between several)."""

    def __init__(self, chooser: Chooser, at: int) -> None:
        """Begin before the first choice."""
        self._chooser, self._at, self._choices = chooser, at, 0
        self.clock = True

    @property
    def diverged(self) -> str:
        """Where the schedule could not be followed."""
        return self._chooser.diverged

    def choose(self, able: Sequence[Turn], *, late: bool = False) -> Turn:
        """Let the clock go once."""
        if len(able) > 1 and self.clock:
            self._choices += 1
            if self._choices == self._at:
                self.clock = False
                return Turn(CLOCK)
        return self._chooser.choose(able, late=late)


class Letters:
    """Follows a schedule in letters: each lets an actor take whatever step it shows; then one after another.

    A letter whose actor can't go is skipped. ``foreign`` are the writes behind the letters ``foreign``, in their order.
    """

    def __init__(self, letters: Sequence[str], foreign: Sequence[Turn] = ()) -> None:
        """Begin at the first letter."""
        self.diverged = ""
        self._letters, self._foreign, self._at = list(letters), list(foreign), 0
        self._rest = Serial()

    @property
    def clock(self) -> bool:
        """Whether a clock step is still to come."""
        return CLOCK in self._letters[self._at :]

    def choose(self, able: Sequence[Turn], *, late: bool = False) -> Turn:
        """Take the next letter that somebody can follow."""
        del late
        while self._at < len(self._letters):
            letter = self._letters[self._at]
            self._at += 1
            if letter == CLOCK:
                return Turn(CLOCK)
            if letter == FOREIGN:
                return self._foreign.pop(0)
            found = next((turn for turn in able if turn.actor == letter), None)
            if found is not None:
                self._rest.choose([found])
                return found
        return self._rest.choose(able)


class Replay:
    """Follows the turns of a schedule exactly; behind its end one after another.

    Two actors that have done the same so far are alike: where the next step is parked under the other's name, they
    exchange names. Where a step does not come in time the schedule is left: ``diverged`` says where.
    """

    def __init__(self, turns: Sequence[Turn]) -> None:
        """Begin at the first turn."""
        self.diverged = ""
        self._turns, self._at = list(turns), 0
        self._done: dict[str, list[tuple[str, str]]] = {}
        self._names: dict[str, str] = {}
        self._rest = Serial()

    @property
    def clock(self) -> bool:
        """Whether a clock step is still to come."""
        return any(turn.actor == CLOCK for turn in self._turns[self._at :])

    @property
    def left(self) -> int:
        """How many turns were not taken."""
        return 0 if self.diverged else len(self._turns) - self._at

    def choose(self, able: Sequence[Turn], *, late: bool = False) -> Turn:
        """Give the next turn of the schedule."""
        if self.diverged or self._at >= len(self._turns):
            return self._rest.choose(able)
        wanted = self._turns[self._at]
        if wanted.actor in (CLOCK, FOREIGN):
            self._at += 1
            return wanted
        found = self._find(wanted, able)
        if found is not None:
            self._at += 1
            self._done.setdefault(found.actor, []).append((found.command, found.text))
            self._rest.choose([found])
            return found
        if self._polls(wanted, able):
            self._at = len(self._turns)
            return self._rest.choose(able)
        if not late:
            return WAIT
        seen = ", ".join(turn.shown for turn in able)
        self.diverged = f"step {self._at + 1}: expected {wanted.shown}, parked: {seen}"
        return self._rest.choose(able)

    def _polls(self, wanted: Turn, able: Sequence[Turn]) -> bool:
        """Tell whether the only one left asks for the same more or less often than before, as tests do at their end."""
        rest = {self._names.get(turn.actor, turn.actor) for turn in self._turns[self._at :]}
        last = self._turns[self._at - 1] if self._at else wanted
        if len(able) != 1 or rest != {able[0].actor} or last.actor != wanted.actor:
            return False
        return wanted.fits(last) or able[0].fits(last._replace(actor=able[0].actor))

    def _find(self, wanted: Turn, able: Sequence[Turn]) -> Turn | None:
        own = self._names.get(wanted.actor, wanted.actor)
        mine = next((turn for turn in able if turn.actor == own and turn.fits(wanted._replace(actor=own))), None)
        if mine is not None and (not wanted.text or mine.text == wanted.text):
            return mine
        for turn in able:
            alike = self._done.get(turn.actor, []) == self._done.get(own, [])
            fits = turn.fits(wanted._replace(actor=turn.actor))
            if turn.actor != own and alike and fits and (mine is None or turn.text == wanted.text):
                self._exchange(wanted.actor, own, turn.actor)
                return turn
        return mine

    def _exchange(self, wanted: str, own: str, other: str) -> None:
        whose = next((name for name, actor in self._names.items() if actor == other), other)
        self._names[wanted], self._names[whose] = other, own
