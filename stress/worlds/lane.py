"""One order on the wire beside others: who was let go has shown everything when it has shown what it always does."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from stress.gate.gate import Signal
from stress.step import START
from stress.trace import Kind
from stress.worlds.attribution import Request
from stress.worlds.drive import LOOKS, STORE_SECONDS, Drive
from stress.worlds.habits import carries, habit_of, marks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stress.gate.gate import Frame
    from stress.step import Move
    from stress.trace import Trace
    from stress.worlds.asked import Asked
    from stress.worlds.client import Client
    from stress.worlds.replicas import Replica
    from stress.worlds.wire import WireWorld


_GLANCE_SECONDS = 0.02
"""How long a request may take before it is looked at whether it waits: beside others it is served later than alone."""


class Doubt(Exception):
    """A run beside others can't be trusted, or not be gone on with: the order must run alone.

    ``usual`` where that is no sign of anything wrong, ``waited`` where a request showed nothing and its process slept.
    """

    def __init__(self, why: str, *, usual: bool = False, waited: bool = False) -> None:
        """Say why."""
        self.usual, self.waited = usual, waited
        super().__init__(why)


class Lane(Drive):
    """A run whose frames are told apart from those of other orders by what they carry; `take` is given them.

    ``doubt`` is set from outside when something happened that may concern every order that is under way. ``idle`` while
    it waits for the clock.
    """

    def __init__(self, world: WireWorld, asked: Asked, clients: Mapping[str, Client], idle: Callable[[], None]) -> None:
        """Prepare a run on connections of its own, with a fresh value that no other order has now.

        ``idle`` is called when it begins to wait for the clock, and does nothing until then.
        """
        super().__init__(world, asked, clients, Signal(awake=False))
        self.idle = False
        self._begin_idle = idle
        self._marks = marks_of(world.marks, asked.fresh)
        self.doubt = ""
        self._arrived: list[Frame] = []

    def take(self, frame: Frame) -> None:
        """Take in a frame of this order, which is parked."""
        self._arrived.append(frame)
        self._signal.notify()

    def owns(self, frame: Frame) -> bool:
        """Tell whether a frame carries what those of this order carry."""
        return carries(frame, self._marks)

    def look(self) -> None:
        """Look again at what may have happened to store and Gateway."""
        self._signal.notify()

    @property
    def lost(self) -> bool:
        """Tell whether something is wrong with the store or a Gateway, and so with every order."""
        return bool(self._gate.fault) or self._world.site.hurt

    async def run(self) -> Trace:
        """Follow the explorer to the end.

        Raises:
            Crossed: see there.
            Doubt: when the order must run alone.

        """
        trace = await super().run()
        if not trace.fault:
            self._expect_nothing()
        return trace

    def _expect_nothing(self) -> None:
        if self.doubt or self._arrived:
            raise Doubt(self.doubt or f"{self._arrived[0].command} came after all was shown")

    async def _apply(self, move: Move) -> None:
        self._expect_nothing()
        await super()._apply(move)

    async def _act(self, move: Move) -> None:
        if move.actor == "clock":
            self.idle = True
            self._begin_idle()
        await super()._act(move)
        self.idle = False

    async def _until_shown(self, request: Request) -> None:
        replica, habits = self._world.replicas[request.replica], self._world.habits
        habit = habits.after(request)
        if habit is None:
            varies = habits.varies(request)
            raise Doubt("a request goes on in several ways from one point" if varies else "", usual=not varies)
        frames, ends = habit.frames, habit.answer is not None
        begun, looks = time.perf_counter(), 0
        while not self._faulty():
            seen = self._signal.count
            if self.doubt or len(self._arrived) > frames or (self._finished and not ends):
                raise Doubt(self.doubt or "a request shows what it never did")
            if len(self._arrived) == frames and bool(self._finished) == ends:
                await self._take_in(replica)
                if not self._fault and habit_of(request) != habit:
                    raise Doubt("a request shows what it never did")
                return
            if await self._signal.wait(seen, _GLANCE_SECONDS):
                looks = 0
                continue
            waited = time.perf_counter() - begun
            looks = looks + 1 if self._asleep(request, begun + self._world.patience) else 0
            if looks >= LOOKS or waited > self._world.patience * STORE_SECONDS:
                raise Doubt("a request waits", waited=True)

    def _asleep(self, request: Request, until: float) -> bool:
        waits, replica = self._world.waits, self._world.replicas[request.replica]
        if request.client.answering:
            return False
        return waits.asleep(replica, until, waits.last(replica), tuple(self._record.moves), tuple(request.done))

    async def _take_in(self, replica: Replica) -> None:  # noqa: ARG002 - frames of all replicas are given to the lane
        arrived, self._arrived = self._arrived, []
        for frame in arrived:
            await self._own(frame)
        await self._answers()

    async def _wake(self) -> bool:
        raise Doubt("all requests wait")

    async def _before(self) -> None:
        first = next(iter(self._requests.values()))
        await self._world.site.state.prepare(self._values, self.written)
        await self._world.site.state.at_rest()
        for number in range(1, self._world.scenario.before + 1):
            request = Request(f"before{number}", first.replica, first.client)
            request.started = self._record.event(Kind.START, request.actor, START)
            await self._usher(self._send(request))
            self._finished.clear()
            if request.task is not None and request.task.done():
                self._answer(request)

    async def _usher(self, work: asyncio.Future[Any]) -> None:
        """Let every frame of this order through as it comes, until some work is done."""
        while not (work.done() and not self._arrived) and not self.lost:
            seen = self._signal.count
            arrived, self._arrived = self._arrived, []
            for frame in arrived:
                self._passed.append(frame)
                await self._world.site.let(frame, self._attribution.named, STORE_SECONDS)
                self._attribution.made(frame)
            if not work.done() and not self._arrived:
                await self._signal.wait(seen, self._world.patience)

    async def _rest(self) -> None:
        await self._note_passed()
        tasks = self._unanswered
        self._arrived = self._frames + self._arrived
        self._frames = []
        answers = asyncio.ensure_future(asyncio.wait(tasks, timeout=self._rest_seconds) if tasks else asyncio.sleep(0))
        answers.add_done_callback(lambda _: self._signal.notify())
        if self.lost:
            self._gate.reopen()
        try:
            await self._usher(answers)
            await self._note_passed()
        finally:
            await answers
            for task in [one for one in tasks if not one.done()]:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
