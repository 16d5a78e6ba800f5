"""Several orders at once through one Gateway, each on a fingerprint of its own.

    orders --> [ lane 1 | lane 2 | ... ] --HTTP--> Gateway --frames--> gate --by what they carry--> lanes

An order runs beside others as long as its requests do what they were seen to do alone (`habits`). Where one does not,
or where that is not known yet, all lanes end what they are at, and that order runs alone. So the trace of an order
never depends on the orders beside it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from stress.errors import Unavailable
from stress.worlds.asked import Crossed, Memory, new_fresh
from stress.worlds.drive import CROSSINGS
from stress.worlds.lane import Doubt, Lane
from stress.worlds.store import StoreLost, Written

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping

    from stress.gate.gate import Frame
    from stress.trace import Trace
    from stress.worlds.asked import Asked
    from stress.worlds.client import Client
    from stress.worlds.wire import WireWorld

LANES = 4
"""How many orders run at once where nothing else is said: measured (`bench`)."""
_AHEAD = 8
"""How many orders for each lane may be under way or done before the first of them is told."""
_CLIENTS = 64
"""How many requests may be under way while orders wait for the clock: all that wait go on at the same second."""
_FEW, _SHARE = 20, 0.25
"""From so many orders on, lanes are given up where more than this share of them had to be run again alone."""
_WAITED = 2


class _Order:
    """One order that was asked for: under way, waiting to run alone, or done."""

    def __init__(self, asked: Asked) -> None:
        self.memory = Memory(asked.explorer)
        self.asked = asked._replace(explorer=self.memory)
        self.trace: Trace | None = None


class Lanes:
    """Runs orders on a ``world`` that has been entered, at most ``most`` at once. One `run` at a time.

    ``come`` is how many orders there are where that is known: a lane is opened for none that never comes.
    ``begun`` counts the orders that were begun beside others, also those that had to be run again alone.
    """

    def __init__(self, world: WireWorld, most: int, come: int = sys.maxsize) -> None:
        """Begin with no lane in use."""
        self.world, self._most, self._come = world, min(most, come), come
        self._free: list[Mapping[str, Client]] = []
        self._changed = asyncio.Event()
        self._lanes: set[Lane] = set()
        self._under_way: dict[asyncio.Task[None], _Order] = {}
        self._alone: deque[_Order] = deque()
        self._rescue: asyncio.Task[None] | None = None
        self.begun = self._odd = self._waited = 0
        self._heard = False
        self._left: set[Written] = set()  # of orders that have ended, until it is deleted

    @property
    def reason(self) -> str:
        """Say why orders run one after another; empty where they do not."""
        return self.world.habits.reason

    async def run(self, orders: Iterable[Asked]) -> AsyncGenerator[Trace]:
        """Give the trace of each order, in the order in which they are given, each as `WireWorld.run` gives it.

        The next order is asked for when a lane is free, which may be before the traces of those before it are given.
        A fresh value that an order has is used where it runs alone: beside each other no two orders may have the same.
        """
        todo, waiting = iter(orders), deque[_Order]()
        try:
            while True:
                while waiting and (trace := waiting[0].trace) is not None:
                    waiting.popleft()
                    yield trace
                while self._room(len(waiting)) and (asked := next(todo, None)) is not None:
                    waiting.append(order := _Order(asked))
                    await self._begin(order)
                if self._under_way:
                    await self._ended()
                elif self._alone:
                    await self._run_alone(self._alone.popleft())
                else:
                    return
        finally:
            await self.stop()

    async def stop(self) -> None:
        """End what is under way; its keys are deleted."""
        for task in self._under_way:
            task.cancel()
        interrupted = bool(self._under_way)
        await asyncio.gather(*self._under_way, return_exceptions=True)
        self._under_way.clear()
        self._alone.clear()
        if interrupted and self.world.gate.signal.listener is not None and not self.world.gate.fault:
            await self._sweep()
        await self.world.forget(self._left)
        await self._shut()

    async def _sweep(self) -> None:
        """Delete what requests still write whose clients have hung up: the Gateway may not have noticed yet."""
        world, fresh, written = self.world, new_fresh(), set[Written]()
        world.gate.signal.listener = None
        quiet = asyncio.ensure_future(self._quiet())
        with suppress(StoreLost):
            await world.escort(quiet, fresh, world.marks.fingerprint(fresh), written)
        await quiet
        await world.forget(written)

    async def _quiet(self) -> None:
        """Wait until no Gateway does anything and nothing is parked, at most as long as the patience."""
        world, until = self.world, time.monotonic() + self.world.patience
        while time.monotonic() < until:
            for replica in world.replicas.values():
                await world.waits.calm(replica, world.gate.signal)
            parked = any(True for _ in world.gate.heads()) or any(map(world.gate.unsettled, world.replicas))
            if not parked:
                return

    def _room(self, ahead: int) -> bool:
        """Tell whether one more order may begin: after one that runs alone none does."""
        at_work = len(self._under_way) - sum(lane.idle for lane in self._lanes)
        if self._under_way and (self.world.gate.fault or not self._free):
            return False
        return not self._alone and at_work < self._most and ahead < _AHEAD * self._most

    async def _begin(self, order: _Order) -> None:
        habits = self.world.habits
        if self._most == 1 or habits.reason or not habits.settled:
            self._alone.append(order)
            return
        if self.world.gate.fault:
            await self._shut()
        if self.world.gate.signal.listener is None and not await self._open(self._crowd(order.asked)):
            self._alone.append(order)
            return
        self.begun += 1
        task = asyncio.create_task(self._run_beside(order, self._free.pop()))
        self._under_way[task] = order
        task.add_done_callback(lambda _: self._changed.set())

    async def _open(self, crowd: int) -> bool:
        """Connect what so many orders need, and park all that comes; False where the Gateway does not bear so many."""
        try:
            self._free = list(await self.world.crew(crowd))
        except Unavailable as error:  # if it has died, the order that runs alone will tell
            self._give_up(f"so many requests at once are too many: {error}")
            return False
        self.world.gate.close()
        self.world.gate.signal.listener = self._hear
        return True

    def _crowd(self, asked: Asked) -> int:
        """Say how many orders may be under way: more than are at work where some may wait for the clock."""
        scenario = self.world.scenario
        timed = "clock" in scenario.actors or "clock" in asked.also
        most = max(self._most, min(_AHEAD * self._most, _CLIENTS // scenario.concurrent)) if timed else self._most
        return min(most, self._come)

    async def _ended(self) -> None:
        """Wait until an order that is under way has ended, or waits for the clock."""
        await self._changed.wait()
        self._changed.clear()
        for task in [one for one in self._under_way if one.done()]:
            order = self._under_way.pop(task)
            task.result()
            if order.trace is None:
                self._alone.append(order)

    async def _run_alone(self, order: _Order) -> None:
        await self._shut()
        order.trace = await self.world.alone(order.asked, order.memory)

    async def _run_beside(self, order: _Order, clients: Mapping[str, Client]) -> None:
        """Run one order in a lane; it has no trace then if it must run alone."""
        try:
            for _ in range(CROSSINGS):
                asked = order.asked._replace(fresh=new_fresh())
                lane = self.world.begun(Lane(self.world, asked, clients, self._changed.set))
                self._lanes.add(lane)
                try:
                    trace = await lane.run()
                    # What is wrong with store or Gateway concerns all; any other fault must show alone.
                    order.trace = trace if not trace.fault or lane.lost else None
                    break
                except Crossed:
                    order.memory.again()
                except Doubt as doubt:
                    self._note(doubt)
                    break
                finally:
                    self._lanes.discard(lane)
                    self._left |= lane.written
                    await self.world.forget(lane.written)
                    self._left -= lane.written
        finally:
            order.memory.again()
            self._free.append(clients)

    def _note(self, doubt: Doubt) -> None:
        """Count an order that must run again, and give lanes up where that happens often."""
        self._odd += not doubt.usual
        self._waited += doubt.waited
        if self._waited >= _WAITED:
            self._give_up("requests of several orders wait for each other inside the Gateway")
        elif self.begun >= _FEW and self._odd > _SHARE * self.begun:
            self._give_up(f"too often an order had to run alone ({doubt})")

    def _give_up(self, reason: str) -> None:
        self.world.habits.reason = self.world.habits.reason or reason

    # --- whose frame it is ----------------------------------------------------------------------------

    def _hear(self) -> None:
        """Something happened at the gate: look at it once all that is here by now was read."""
        if not self._heard:
            self._heard = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._heard = False
        gate = self.world.gate
        if gate.signal.listener is None:
            return
        for number in self.world.replicas:
            for frame in gate.settle(number):
                self._give(frame)
        if gate.fault or self.world.site.hurt:
            for lane in self._lanes:
                lane.look()

    def _give(self, frame: Frame) -> None:
        owners = [lane for lane in self._lanes if lane.owns(frame)]
        head = next(iter(frame.channel.heads()), None)
        if len(owners) == 1 and (head is frame or (head is not None and owners[0].owns(head))):
            owners[0].take(frame)
            return
        if not owners:
            self._give_up(f"{frame.command} came that belongs to no order under way")
        else:
            self._give_up("one connection serves requests of several orders at once")
        if self._rescue is None:
            self._rescue = asyncio.create_task(self._let_go())

    async def _let_go(self) -> None:
        """Let everything through until all orders under way have ended: nobody knows whose frames are whose."""
        world, fresh, written = self.world, new_fresh(), set[Written]()
        world.gate.signal.listener = None
        for lane in self._lanes:
            lane.doubt = self.reason
            lane.look()
        ended = asyncio.ensure_future(self._all_ended())
        with suppress(StoreLost):  # an order that runs alone will tell
            await world.escort(ended, fresh, world.marks.fingerprint(fresh), written)
        await ended
        await world.forget(written)

    async def _all_ended(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _shut(self) -> None:
        """Give the gate back as it is between orders: open, and nobody at work behind it."""
        world, rescue = self.world, self._rescue
        if rescue is not None:
            await rescue
            self._rescue = None
        if rescue is not None or world.gate.signal.listener is not None:
            world.gate.signal.listener = None
            world.gate.reopen()
            for replica in world.replicas.values():
                await world.waits.calm(replica, world.gate.signal)
