"""Requests one after another, before any search: they show what is normal for a target (DESIGN section 4)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stress.core.step import START, Move
from stress.executors.asked import Asked, Crossed, new_fresh
from stress.executors.live.alone import Alone
from stress.executors.live.drive import CROSSINGS
from stress.schedulers.interleaving import Interleaving

if TYPE_CHECKING:
    from stress.core.trace import Snapshot, Trace
    from stress.executors.live.executor import WireWorld

_SAMPLES = 3
"""How many sequential runs a target that is not bundled has: what is common to three samples is no accident."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sequential run: its trace, and the state before the first request and after each.

    ``before`` is whether a command came through the gate while the requests were sent that come before; ``late`` how
    many seconds after the last answer the last command came (0: none came, or nobody watched).
    """

    trace: Trace
    states: tuple[Snapshot, ...]
    before: bool = False
    late: float = 0.0


@dataclass(frozen=True, slots=True)
class Learned:
    """What is normal for a target.

    ``settle`` is how many seconds it may work on after an answer (0: it does not).
    """

    samples: tuple[Sample, ...] = ()
    settle: float = 0.0


class Sequential(Alone):
    """Each request alone, every event of a watch delivered as soon as it is there, state read in quiescence.

    With ``watching`` the deployment is watched for one patience after the last answer: ``late`` is how many seconds
    after it the last store command came (0: none came).
    """

    def __init__(self, world: WireWorld, *, watching: bool) -> None:
        """Prepare a run with new values."""
        super().__init__(world, Asked(Interleaving(()), new_fresh()))
        self.states: list[Snapshot] = []
        self.late = 0.0
        self.before = False
        self._watching = watching

    async def _note_passed(self) -> None:
        self.before = self.before or bool(self._passed)
        await super()._note_passed()

    async def _loop(self) -> None:
        await self._note_passed()
        self.states.append(await self._observe())
        for request in self._requests.values():
            await self._go(Move(request.actor, START, ""))
            while not request.answered and not self._faulty():
                if (move := self._kindest()) is not None:
                    await self._go(move)
                elif not await self._wake():
                    self._fault = "the Gateway hangs: " + self._stuck() + f" for {self._world.patience:g} s"
            await self._until_quiescent()
            if self._faulty():
                return
            self.states.append(await self._observe())
        if self._watching:
            await self._watch()

    async def _until_quiescent(self) -> None:
        """Let through what is there after an answer: events, and what its Gateway does then; not for ever."""
        until = time.perf_counter() + self._world.patience
        while not self._faulty() and time.perf_counter() < until and (move := self._kindest()) is not None:
            await self._go(move)

    async def _go(self, move: Move) -> None:
        await self._apply(move)
        self._note_second()

    def moves(self) -> list[Move]:
        """List what is there already: no request begins by itself, and the environment does not act."""
        requests = (*self._requests, "watch")
        return [one for one in super().moves() if one.command != START and one.actor.partition(":")[0] in requests]

    def _kindest(self) -> Move | None:
        """Choose what is there, events of watches first; None where nothing is."""
        return min(self.moves(), key=lambda move: not move.actor.startswith("watch:"), default=None)

    async def _watch(self) -> None:
        """See whether commands come after the last answer, and let them through."""
        answered = time.perf_counter()
        until = answered + self._world.patience
        while time.perf_counter() < until and not self._faulty():
            if (move := self._kindest()) is not None:
                self.late = time.perf_counter() - answered
                await self._go(move)
                continue
            seen = self._signal.count
            for number, replica in self._world.replicas.items():
                if self._gate.unsettled(number):
                    await self._take_in(replica)
            if self._kindest() is None:
                await self._signal.wait(seen, until - time.perf_counter())


async def preflight(world: WireWorld) -> Learned:
    """Send what the scenario would send, one request after another, and learn from it.

    A bundled Gateway is known: it is asked once, and not watched.
    """
    bundled = world.target.protocol is not None
    most = 1 if bundled else _SAMPLES
    return Learned(tuple([await _sample(world, watching=not (number or bundled)) for number in range(most)]))


async def _sample(world: WireWorld, *, watching: bool) -> Sample:
    for _ in range(CROSSINGS):
        drive = world.begun(Sequential(world, watching=watching))
        try:
            return Sample(await drive.run(), tuple(drive.states), drive.before, drive.late)
        except Crossed:
            continue
        finally:
            await world.forget(drive.written)
    trace = drive.abandoned(f"the run crossed a second unasked {CROSSINGS} times")
    return Sample(trace, tuple(drive.states))
