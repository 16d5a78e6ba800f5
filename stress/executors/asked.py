"""A schedule that is asked for on the wire, and what was chosen in it, so that it can be run again in the same way."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, NamedTuple

from stress.schedulers.base import Diverged
from stress.schedulers.lookahead import Planned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.step import Move
    from stress.core.trace import Trace
    from stress.schedulers.base import Scheduler


MOST_STEPS = 1000
"""How many steps one request may take in a schedule; who waits in the store by asking again and again takes no end."""


def endless(actor: str, steps: int) -> str:
    """Say that a request tries again for ever, once it has taken too many steps; empty before."""
    return f"{actor} took {steps} steps and has no answer yet: it tries again for ever" if steps >= MOST_STEPS else ""


def new_fresh() -> str:
    """Make a value of ``{fresh}`` that no other schedule has."""
    return uuid.uuid4().hex[:12]


class Crossed(Exception):
    """The wall clock went into another second unasked, and a name that depends on the second shows it."""


class Probed(Exception):
    """A run was spent on finding out how a request ends that asks the same again and again; it begins again."""


class Asked(NamedTuple):
    """A schedule to run: who chooses it, the value of ``{fresh}`` (empty: a new one), and who may act besides.

    ``also`` are environment actors that may act once although the scenario does not name them.
    """

    scheduler: Scheduler
    fresh: str = ""
    also: frozenset[str] = frozenset()


class ChoiceLog:
    """Remembers what a scheduler chose, so that a run that must be repeated makes the same choices.

    One that can choose again (`stress.schedulers.lookahead.Planned`) is asked to: it keeps what was possible.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        """Remember nothing yet of a scheduler that is about to choose."""
        self.name = scheduler.name
        self._scheduler = scheduler
        self._chosen: list[Move | None] = []
        self._at = 0

    def restart(self) -> None:
        """Begin from the first choice; one that was not possible is asked for again."""
        self._at = 0
        if isinstance(self._scheduler, Planned):
            self._scheduler.restart()
            self._chosen.clear()

    def more(self) -> bool:
        """Begin; there is one schedule."""
        return True

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Choose as before, then as the scheduler does.

        Raises:
            Diverged: when the scheduler does, or when what it chose before is not possible now.

        """
        if self._at == len(self._chosen):
            self._chosen.append(self._scheduler.choose(moves, done=done))
        self._at += 1
        chosen = self._chosen[self._at - 1]
        if chosen is not None and chosen not in moves:
            raise Diverged(self._at, str(chosen), moves)
        return chosen

    def learn(self, trace: Trace) -> None:
        """Let the scheduler learn."""
        self._scheduler.learn(trace)
