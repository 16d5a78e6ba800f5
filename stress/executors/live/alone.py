"""One order alone on the wire: who was let go has shown everything when its process is quiet (DESIGN section 4)."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from stress.core.step import START
from stress.core.trace import Kind
from stress.executors.live.attribution import Request
from stress.executors.live.blocked import GLANCE_SECONDS
from stress.executors.live.drive import LOOKS, STORE_SECONDS, Drive

if TYPE_CHECKING:
    from stress.executors.asked import Asked
    from stress.executors.live.executor import WireWorld
    from stress.processes.quiescence import Sleep
    from stress.processes.replicas import Replica


class Alone(Drive):
    """A run beside which nothing else happens on its world, which is at rest before and after."""

    def __init__(self, world: WireWorld, asked: Asked) -> None:
        """Prepare a run on the world's own connections."""
        super().__init__(world, asked, world.clients, world.gate.signal)

    async def _until_shown(self, request: Request) -> None:
        """Wait until an actor that was let go shows a step or its end, or is known to be blocked."""
        actor, replica = request.actor, self._world.replicas[request.replica]
        request.blocked = False
        begun = time.perf_counter()
        before = self._world.waits.last(replica)
        looks = 0
        while not self._faulty():
            seen = self._signal.count
            if self._finished or self._gate.unsettled(request.replica):
                await self._world.waits.calm(replica, self._signal)
                await self._take_in(replica)
                request = self._requests[actor]
                # A message that it caused says nothing of what it does next itself.
                if request.answered or any(one.actor == request.actor and not one.pushed for one in self._frames):
                    return
                continue
            if await self._signal.wait(seen, GLANCE_SECONDS):
                looks = 0
                continue
            waited = time.perf_counter() - begun
            looks = looks + 1 if self._asleep(request, begun + self._world.patience, before) else 0
            if looks >= LOOKS or waited > self._world.patience * (1 if replica.watch is None else STORE_SECONDS):
                if not request.answered and all(one.actor != request.actor for one in self._frames):
                    self._block(request, waited)
                return

    def _asleep(self, request: Request, until: float, before: Sleep | None) -> bool:
        replica, so_far = (
            self._world.replicas[request.replica],
            (tuple(self._record.moves), tuple(request.done)),
        )
        if request.client.answering or self._gate.owed(replica.number):
            return False  # it is about to be woken
        return self._world.waits.asleep(replica, until, before, *so_far)

    def _block(self, request: Request, waited: float) -> None:
        request.blocked = True
        self._world.waits.blocked(waited, tuple(self._record.moves), tuple(request.done))
        self._record.event(Kind.BLOCKED, request.actor, "blocked")

    async def _take_in(self, replica: Replica) -> None:
        """Give every new frame its actor, and write down every new answer."""
        for frame in self._gate.settle(replica.number):
            await self._own(frame)
        if any(frame.waiting for frame in self._frames):  # is its reply here already, or does it wait?
            await self._gate.catch_up()
        self._recognise()
        if self._finished:
            await self._answers()

    def _recognise(self) -> None:
        """See by an answer which of two requests was let go when nothing told them apart; that one has the name."""
        one = self._running
        if one is None or one.answered or one in self._finished:
            return
        for other in [done for done in self._finished if self._attribution.alike(one, done)][:1]:
            one.exchange(other)
            self._requests[one.actor], self._requests[other.actor] = one, other
            self._running = other

    async def _before(self) -> None:
        """Send the requests that come before the concurrent ones, one after another, the gate open."""
        first = next(iter(self._requests.values()))
        await self._world.site.state.prepare(self._values, self.written)
        if self._watched:
            await self._world.at_rest()
        self._gate.passing = self._passed
        try:
            for number in range(1, self._world.scenario.before + 1):
                request = Request(f"before{number}", first.replica, first.client)
                request.started = self._record.event(Kind.START, request.actor, START)
                await asyncio.wait([self._send(request)])
                self._finished.clear()
                await self._world.waits.calm(self._world.replicas[request.replica], self._signal)
                self._answer(request)
            if self._watched:
                await self._world.at_rest()
        finally:
            self._gate.passing = None
        self._gate.close()

    async def _wake(self) -> bool:
        """Everyone who is left is blocked: wait, up to the patience, for one of them to go on."""
        deadline = time.perf_counter() + self._world.patience
        self._running = None
        while time.perf_counter() < deadline and not self._faulty():
            seen = self._signal.count
            if any(move.actor in self._requests for move in self.moves()):
                return True  # the store has answered one that waited there
            for replica in self._world.replicas.values():
                if self._finished or self._gate.unsettled(replica.number):
                    await self._world.waits.calm(replica, self._signal)
                    await self._take_in(replica)
                    return True
            await self._signal.wait(seen, deadline - time.perf_counter())
        return self._faulty()

    async def _rest(self) -> None:
        """Let everything through and wait for the answers, so that the next run begins at rest.

        What requests write that had more to do is noted, so that it can be deleted, unless the store is lost.
        """
        await self._note_passed()
        tasks = self._unanswered
        lost = self._gate.fault or self._death()
        if lost or not tasks:
            self._gate.reopen()
        if tasks:
            answers = asyncio.ensure_future(asyncio.wait(tasks, timeout=self._rest_seconds))
            if not lost:
                await self._world.escort(answers, self._fresh, self._fingerprint, self.written)
            _, late = await answers
            for task in late:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
