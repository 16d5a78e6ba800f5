"""One order on the wire: let an actor go, see what it shows, and ask the explorer who goes next."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from stress.explore.base import Diverged
from stress.step import START, Move, letters
from stress.trace import Answer, Kind, Snapshot, Trace
from stress.worlds.attribution import END, Attribution, Request
from stress.worlds.environment import commands, ends_incarnation
from stress.worlds.observe import at_once, snapshot
from stress.worlds.record import Record
from stress.worlds.store import StoreLost
from stress.worlds.waits import GLANCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from stress.explore.base import Explorer
    from stress.gate.gate import Frame, Passed
    from stress.gate.quiet import Sleep
    from stress.worlds.client import Raw
    from stress.worlds.replicas import Replica
    from stress.worlds.store import Written
    from stress.worlds.wire import WireWorld

_STORE_SECONDS = 5.0
_LOOKS = 3
"""How often a process must be seen quiet in a row, a glance apart, before an actor counts as blocked."""


class Crossed(Exception):
    """The wall clock went into another second unasked, on a target whose names depend on the second."""


class Drive:
    """The state of one run. ``run`` follows an explorer to the end and gives the trace."""

    def __init__(
        self,
        world: WireWorld,
        explorer: Explorer,
        fresh: str,
        fingerprint: str,
        also: frozenset[str] = frozenset(),
    ) -> None:
        """Prepare a run on a world that is at rest."""
        scenario = world.scenario
        self._world, self._explorer, self._fresh, self._fingerprint = world, explorer, fresh, fingerprint
        self._gate = world.gate
        self._attribution = Attribution(world, fresh, fingerprint)
        places = scenario.replicas or [1] * scenario.concurrent
        self._requests = {
            actor: Request(actor, place, world.clients[actor])
            for actor, place in zip(letters(scenario.concurrent), places, strict=True)
        }
        self._left: dict[str, int] = dict.fromkeys(also, 1) | {n: actor.at_most for n, actor in scenario.actors.items()}
        self._frames: list[Frame] = []
        self._passed: list[Passed] = []
        self._record = Record(self._attribution.named)
        self._finished: list[Request] = []
        self._acted: dict[str, int] = dict.fromkeys(self._left, 0)
        self._running: Request | None = None
        self._fault = ""
        self._second = int(time.time())

    async def run(self) -> Trace:
        """Follow the explorer until every request is answered and it wants no more.

        Raises:
            Crossed: see there.

        """
        try:
            await self._follow()
        except StoreLost as lost:
            self._fault = f"store lost: {lost}"
        return self._trace()

    @property
    def written(self) -> set[Written]:
        """The keys that were written so far."""
        return self._attribution.written

    async def _follow(self) -> None:
        try:
            await self._before()
            self._gate.close()
            await self._loop()
            self._fault = self._fault or self._death()
        except Diverged as divergence:
            self._fault = str(divergence)
        finally:
            await self._rest()
        if not self._fault:
            self._record.snapshots.append(await self._observe(forget=True))
            if not all(answer.accepted for answer in self._record.answers):
                await self._world.ask([("PING",)])  # a Gateway whose store is lost is not to blame

    async def _loop(self) -> None:
        while not self._faulty():
            moves = self.moves()
            done = all(request.answered for request in self._requests.values())
            if not moves and done:
                return
            if all(move.actor not in self._requests for move in moves) and not done:
                if not await self._wake():
                    self._fault = "the Gateway hangs: " + self._stuck() + f" for {self._world.patience:g} s"
                    return
                continue
            move = self._explorer.choose(moves, done=done)
            self._fault = self._fault or self._death()  # who died a moment ago may not have been noticed yet
            if move is None or self._faulty():
                return
            await self._apply(move)
            self._note_second()

    def abandoned(self, reason: str) -> Trace:
        """Give the trace so far of a run from which nothing may be concluded."""
        self._fault = reason
        return self._trace()

    def moves(self) -> list[Move]:
        """List what is possible now: requests by name, then the environment."""
        found = []
        steps = [frame for frame in self._frames if any(head is frame for head in frame.channel.heads())]
        for request in self._requests.values():
            if request.task is None:
                found.append(Move(request.actor, START, ""))
            for frame in steps:
                if frame.actor == request.actor and frame.step is not None:
                    found.append(frame.step.move)  # noqa: PERF401 - a loop, as it is asked at every step
        if not self._left:
            return found
        unfinished = any(not request.answered for request in self._requests.values())
        for name, left in self._left.items():
            # The clock matters only between the first start and the last answer.
            if left and (name != "clock" or (unfinished and self._record.moves)):
                found.append(Move(name, name, "", self._acted[name] + 1))
        return found

    async def _apply(self, move: Move) -> None:
        self._record.moves.append(move)
        request = self._requests.get(move.actor)
        self._running = request
        if request is None:
            await self._act(move)
        elif move.command == START:
            await self._start(request)
        else:
            await self._release(request, move)

    async def _start(self, request: Request) -> None:
        request.started = self._record.event(Kind.START, request.actor, START)
        request.task = self._send(request)
        await asyncio.sleep(0)  # now it is sent, and the Gateway has work to do
        await self._note_passed()
        await self._until_shown(request)

    def _send(self, request: Request) -> asyncio.Task[Raw]:
        task = asyncio.create_task(self._world.send(request.client, self._fresh, self._fingerprint, request.actor))

        def finished(_: asyncio.Task[Raw]) -> None:
            self._finished.append(request)
            self._gate.signal.notify()

        task.add_done_callback(finished)
        return task

    async def _release(self, request: Request, move: Move) -> None:
        frame = next(one for one in self._frames if one.step is not None and one.step.move == move)
        self._frames.remove(frame)
        release = partial(self._gate.release, frame, _STORE_SECONDS)
        released = await self._world.keys.learn(frame.effects, self._attribution.named, release)
        if not released or frame.replied_at is None:
            gone = self._death() or f"store lost: no reply to {move}"
            self._fault = self._fault or gone
        assert frame.step is not None  # noqa: S101 - it was found by its step
        request.history.append((move.command, move.object))
        request.showing.clear()
        request.incarnations.append(self._record.incarnation)
        self._record.event(Kind.STEP, move.actor, move.command, frame)
        await self._until_shown(request)

    async def _until_shown(self, request: Request) -> None:
        """Wait until an actor that was let go shows a step or its end, or is known to be blocked."""
        actor, replica = request.actor, self._world.replicas[request.replica]
        request.blocked = False
        begun = time.perf_counter()
        before = self._world.waits.last(replica)
        looks = 0
        while not self._faulty():
            seen = self._gate.signal.count
            if self._finished or self._gate.unsettled(request.replica):
                await self._world.waits.calm(replica, self._gate.signal)
                await self._take_in(replica)
                request = self._requests[actor]
                # A message that it caused says nothing of what it does next itself.
                if request.answered or any(one.actor == request.actor and not one.pushed for one in self._frames):
                    return
                continue
            if await self._gate.signal.wait(seen, GLANCE_SECONDS):
                looks = 0
                continue
            waited = time.perf_counter() - begun
            looks = looks + 1 if self._asleep(request, begun + self._world.patience, before) else 0
            if looks >= _LOOKS or waited > self._world.patience * (1 if replica.watch is None else _STORE_SECONDS):
                if not request.answered and all(one.actor != request.actor for one in self._frames):
                    self._block(request, waited)
                return

    def _asleep(self, request: Request, until: float, before: Sleep | None) -> bool:
        replica, so_far = (
            self._world.replicas[request.replica],
            (tuple(self._record.moves), self._record.done_by(request.actor)),
        )
        return not request.client.answering and self._world.waits.asleep(replica, until, before, *so_far)

    def _block(self, request: Request, waited: float) -> None:
        request.blocked = True
        self._world.waits.blocked(waited, tuple(self._record.moves), self._record.done_by(request.actor))
        self._record.event(Kind.BLOCKED, request.actor, "blocked")

    async def _take_in(self, replica: Replica) -> None:
        """Give every new frame its actor, and write down every new answer."""
        for frame in self._gate.settle(replica.number):
            await self._own(frame)
        if any(frame.waiting for frame in self._frames):  # is its reply here already, or does it wait?
            await self._gate.catch_up()
        self._recognise()
        while self._finished:
            self._answer(self._finished.pop(0))

    async def _own(self, frame: Frame) -> None:
        fault = await self._attribution.own(frame, self._requests.values(), self._running)
        if not fault:
            self._frames.append(frame)
        elif len(parts := self._gate.split(frame)) == 1:
            self._fault = self._fault or fault
        else:  # commands of several requests went down one connection together
            for part in parts:
                await self._own(part)

    def _recognise(self) -> None:
        """See by an answer which of two requests was let go when nothing told them apart; that one has the name."""
        one = self._running
        if one is None or one.answered or one in self._finished:
            return
        for other in [done for done in self._finished if self._attribution.alike(one, done)][:1]:
            one.exchange(other)
            self._requests[one.actor], self._requests[other.actor] = one, other
            self._running = other

    def _answer(self, request: Request) -> None:
        assert request.task is not None  # noqa: S101 - only sent requests finish
        request.answered, request.blocked = True, False
        if sum(one.blocked for one in self._requests.values()) == 0:
            self._world.expected.setdefault(tuple(request.history), Counter())[END] = 1
        raw = request.task.result()
        ended = self._record.event(Kind.ANSWER, request.actor, str(raw.status))
        self._record.answers.append(self._read(request, raw, ended))

    def _read(self, request: Request, raw: Raw, ended: int) -> Answer:
        answers = self._world.target.answers
        record, count = raw.field(answers.record), raw.field(answers.count)
        fingerprint = raw.field(self._world.fingerprint_field)
        if isinstance(fingerprint, str):
            self._fingerprint = fingerprint
        return Answer(
            actor=request.actor,
            status=raw.status,
            record=self._attribution.named(record) if isinstance(record, str) else None,
            count=count if isinstance(count, int) else None,
            started=request.started,
            ended=ended,
            created=raw.status == answers.created,
            duplicate=raw.status == answers.duplicate,
            incarnations=tuple(dict.fromkeys(request.incarnations)) or (self._record.incarnation,),
            body=raw.body.decode("utf-8", "replace"),
            error=raw.error,
        )

    async def _act(self, move: Move) -> None:
        """Let the environment act: the clock moves on, a key runs out, a sibling test cleans up."""
        self._left[move.actor] -= 1
        self._acted[move.actor] += 1
        if move.actor == "clock":
            await asyncio.sleep(int(time.time()) + 1 - time.time() + GLANCE_SECONDS)
            self._second = int(time.time())
            self._record.event(Kind.ENVIRONMENT, "clock", "clock")
            return
        asked = commands(self._world.target, move.actor, self._fingerprint, self._fresh)
        before = await self._observe(move.actor)
        replies = await self._world.ask(asked)
        after = await self._observe()
        self._record.event(Kind.ENVIRONMENT, move.actor, move.actor)
        if ends_incarnation(before, after, replies):
            self._record.snapshots.append(before)
        for replica in self._world.replicas.values():
            await self._take_in(replica)

    async def _observe(self, ended_by: str = "", *, forget: bool = False) -> Snapshot:
        """Read the state; delete with it what was written, to ``forget``, where it is read in one go."""
        world = self._world
        reading: Generator[Sequence[tuple[str, ...]], list[object], Snapshot]
        reading = snapshot(world.target, self._fingerprint, self._fresh, self._attribution.named, ended_by)
        try:
            asked = next(reading)
            while True:
                if forget and at_once(world.target):
                    replies = await world.site.store.read_and_forget(asked, self.written)
                    self.written.clear()
                else:
                    replies = await world.ask(asked)
                asked = reading.send(replies)
        except StopIteration as stop:
            found: Snapshot = stop.value
            return found

    async def _before(self) -> None:
        """Send the requests that come before the concurrent ones, one after another, the gate open."""
        first = next(iter(self._requests.values()))
        self._gate.passing = self._passed
        try:
            for number in range(1, self._world.scenario.before + 1):
                request = Request(f"before{number}", first.replica, first.client)
                request.started = self._record.event(Kind.START, request.actor, START)
                request.task = asyncio.create_task(
                    self._world.send(first.client, self._fresh, self._fingerprint, request.actor)
                )
                await asyncio.wait([request.task])
                await self._world.waits.calm(self._world.replicas[request.replica], self._gate.signal)
                self._answer(request)
        finally:
            self._gate.passing = None

    async def _note_passed(self) -> None:
        """Remember what the requests wrote that came before."""
        for command in self._passed:
            await self._attribution.note(command.effects, command.watched)
        self._passed.clear()

    async def _wake(self) -> bool:
        """Everyone who is left is blocked: wait, up to the patience, for one of them to go on."""
        deadline = time.perf_counter() + self._world.patience
        self._running = None
        while time.perf_counter() < deadline and not self._faulty():
            seen = self._gate.signal.count
            if any(move.actor in self._requests for move in self.moves()):
                return True  # the store has answered one that waited there
            for replica in self._world.replicas.values():
                if self._finished or self._gate.unsettled(replica.number):
                    await self._world.waits.calm(replica, self._gate.signal)
                    await self._take_in(replica)
                    return True
            await self._gate.signal.wait(seen, deadline - time.perf_counter())
        return self._faulty()

    async def _rest(self) -> None:
        """Let everything through and wait for the answers, so that the next run begins at rest.

        What requests write that had more to do is noted, so that it can be deleted, unless the store is lost.
        """
        await self._note_passed()
        tasks = [
            request.task for request in self._requests.values() if request.task is not None and not request.task.done()
        ]
        lost = self._gate.fault or self._death()
        if lost or not tasks:
            self._gate.reopen()
        if tasks:
            answers = asyncio.ensure_future(asyncio.wait(tasks, timeout=self._world.patience))
            if not lost:
                await self._world.escort(answers, self._fresh, self._fingerprint, self.written)
            _, late = await answers
            for task in late:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    def _note_second(self) -> None:
        if int(time.time()) != self._second:
            if self._world.target.second == "matters":
                raise Crossed
            self._record.crossing()
            self._second = int(time.time())

    def _faulty(self) -> bool:
        if not self._fault and (self._gate.fault or self._world.site.hurt):
            self._fault = self._death() or self._gate.fault
        return bool(self._fault)

    def _death(self) -> str:
        return self._world.site.death

    def _stuck(self) -> str:
        return (
            ", ".join(one.actor for one in self._requests.values() if not one.answered)
            + " show neither a step nor an answer"
        )

    def _trace(self) -> Trace:
        world, names = self._world, (self._fresh, self._fingerprint)
        return self._record.trace(world.scenario, world.target, names, self._fault)
