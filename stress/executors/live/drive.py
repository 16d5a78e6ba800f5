"""One schedule on the wire: let an actor go, see what it shows, and ask the scheduler who goes next."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from stress.core.errors import StoreLost
from stress.core.step import START, Move, letters
from stress.core.trace import CutOff, Kind, Trace, TransientFault
from stress.executors.asked import Crossed, endless
from stress.executors.environment import ends_epoch
from stress.executors.live.answers import Flight
from stress.executors.live.attribution import END, Attribution
from stress.executors.live.blocked import GLANCE_SECONDS
from stress.executors.live.pace import Taken, about
from stress.executors.live.polling import Polling
from stress.executors.live.possible import possible
from stress.executors.live.record import Record, Try, plain
from stress.executors.live.request import Request
from stress.executors.live.seconds import Seconds
from stress.schedulers.base import Diverged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stress.core.trace import Snapshot
    from stress.executors.asked import Asked
    from stress.executors.live.client import Client, Raw
    from stress.executors.live.executor import LiveExecutor
    from stress.processes.replicas import Replica
    from stress.protocols.base import Written
    from stress.protocols.gate import Frame, Signal

STORE_SECONDS = 5.0
"""How long the store may take to reply."""
CROSSINGS = 5
"""How often a schedule is run at most that crosses a second unasked, and shows it, where the second matters."""
LOOKS = 3
"""How often a process must be seen quiet in a row, a glance apart, before an actor counts as blocked."""


class Drive(ABC):
    """The state of one run. ``run`` follows a scheduler to the end and gives the trace."""

    def __init__(self, executor: LiveExecutor, asked: Asked, clients: Mapping[str, Client], signal: Signal) -> None:
        """Prepare a run in which requests go down these ``clients``; ``signal`` tells that something happened to it."""
        scenario, also = executor.scenario, asked.also
        self._executor, self._scheduler, self._fresh, self._signal = executor, asked.scheduler, asked.fresh, signal
        self._fingerprint = executor.marks.fingerprint(asked.fresh)
        self._gate, self._watched = executor.gate, executor.deployment.state.watched
        self._attribution = Attribution(executor, self._fresh, self._fingerprint)
        self._requests = {
            actor: Request(actor, place, clients[actor])
            for actor, place in zip(letters(scenario.concurrent), scenario.places, strict=True)
        }
        self._left: dict[str, int] = dict.fromkeys(also, 1) | {n: actor.at_most for n, actor in scenario.actors.items()}
        self._frames: list[Frame] = []
        self._record = Record(self._attribution.named, self._attribution.in_full)
        self._polling = self._new_polling()
        self._sent: list[asyncio.Task[Raw]] = []
        self._finished: list[Request] = []
        self._acted: dict[str, int] = dict.fromkeys(self._left, 0)
        self._running: Request | None = None
        self._fault = ""
        self._seconds, self.taken = Seconds(), Taken(executor.patience)

    def _new_polling(self) -> Polling:
        """Begin to see who polls. A bundled Gateway is known: none of them does so without end."""
        return Polling(self._executor.loops if self._executor.target.protocol is None else None, self._record)

    async def run(self) -> Trace:
        """Follow the scheduler until every request is answered and it wants no more.

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
            await self._loop()
            await self._wind_up()
            self._record.held = [one.step.move for one in self._frames if one.step and one.actor.startswith("watch:")]
            self._fault = self._fault or self._death()
        except Diverged as divergence:
            self._fault = TransientFault(divergence)
        finally:
            await self._rest()
        if not self._fault:
            self._record.snapshots.append(await self._observe(forget=self.written))
            if not all(answer.accepted for answer in self._record.answers):
                await self._executor.deployment.state.probe()  # a Gateway whose store is lost is not to blame

    async def _loop(self) -> None:
        while not self._faulty():
            moves, done = self.moves(), self._done()
            if done and not await self._settled():
                continue
            if not moves and done:
                return
            others = ("watch:", "worker:")
            if not done and not any(one.actor in self._requests or one.actor.startswith(others) for one in moves):
                if not await self._wake():
                    self._fault = "the Gateway hangs: " + self._stuck() + f" for {self._executor.patience:g} s"
                    return
                continue
            move = self._scheduler.choose(moves, done=done)
            if self._executor.deployment.hurt_by_now:  # who died a moment ago may not have been noticed yet
                self._fault = self._fault or self._death()
            if move is None or self._faulty():
                return
            await self._apply(move)
            self._note_second()

    def _done(self) -> bool:
        """Tell whether every request is over: one that was answered, or whose client hung up, may have steps left."""
        if not all(request.answered for request in self._requests.values()):
            return False
        is_idle = self._executor.learned.is_idle
        return not any(move.actor in self._requests and not is_idle(move) for move in self.possible())

    def abandoned(self, reason: str) -> Trace:
        """Give the trace so far of a run from which nothing may be concluded."""
        self._fault = reason
        return self._trace()

    def moves(self) -> list[Move]:
        """List what may be chosen now."""
        return self.possible()

    def possible(self) -> list[Move]:
        """List what is possible now."""
        return possible(self._requests.values(), self._offered, self._left, self._acted, begun=bool(self._record.moves))

    @property
    def _offered(self) -> Sequence[Frame]:
        """What is parked and may be let go."""
        return self._frames

    async def _apply(self, move: Move) -> None:
        self._record.moves.append(move)
        request = self._requests.get(move.actor)
        self._running = request
        if request is not None:
            await (self._start(request) if move.command == START else self._release(request, move))
        elif move.actor.startswith("watch:"):
            await self._tell(move)
        elif move.actor.startswith("client:"):
            await self._hang_up(move)
        else:
            await self._act(move)
        for number, replica in self._executor.replicas.items() if self._watched else ():
            if self._gate.unsettled(number):  # its watch tells of what another did
                await self._take_in(replica)

    async def _tell(self, move: Move) -> None:
        """Let an event of a watch through, and wait until its replica has taken it in."""
        frame = self._frame_of(move)
        await self._gate.release(frame, STORE_SECONDS)
        self._record.event(Kind.STEP, move.actor, move.command, frame)
        replica = self._executor.replicas[frame.channel.replica]
        await self._executor.waits.calm(replica, self._signal)
        await self._take_in(replica)

    async def _hang_up(self, move: Move) -> None:
        """Let the client of a request leave; what its Gateway does then is still that request's."""
        self._left["client"] -= 1
        self._running = request = self._requests[move.actor.partition(":")[2]]
        self._record.event(Kind.ENVIRONMENT, move.actor, move.command)
        request.client.hang_up()
        assert request.task is not None  # noqa: S101 - it is under way
        await asyncio.wait([request.task])
        waited = request.blocked
        await self._take_in(self._executor.replicas[request.replica])
        request.done.append(move.command)
        request.owes = waited or request.sleeps > time.perf_counter()
        await self._until_shown(request)

    def _frame_of(self, move: Move) -> Frame:
        frame = next(one for one in self._frames if one.step is not None and one.step.move == move)
        self._frames.remove(frame)
        return frame

    async def _start(self, request: Request) -> None:
        request.started = self._record.event(Kind.START, request.actor, START)
        self._send(request)
        await asyncio.sleep(0)  # now it is sent, and the Gateway has work to do
        await self._until_shown(request)

    def _send(self, request: Request) -> asyncio.Task[Raw]:
        """Send a request; it is among the finished when it is answered."""
        sending = self._executor.send(request.client, self._fresh, self._fingerprint, request.actor)
        task = asyncio.create_task(sending)

        def finished(_: asyncio.Task[Raw]) -> None:
            self._finished.append(request)
            self._signal.notify()

        task.add_done_callback(finished)
        request.task = task
        self._sent.append(task)
        return task

    async def _release(self, request: Request, move: Move) -> None:
        frame = self._frame_of(move)
        await self._let(frame)
        assert frame.step is not None  # noqa: S101 - it was found by its step
        request.history.append((move.command, move.object))
        request.showing.clear()
        request.epochs.append(self._record.epoch)
        event = self._record.events[self._record.event(Kind.STEP, move.actor, move.command, frame)]
        request.tries.append(Try(frame, event.index))
        request.done.append(plain(f"{event.text} -> {event.reply}"))
        self._fault = self._fault or endless(request.actor, len(request.done))
        await self._until_shown(request)

    async def _let(self, frame: Frame) -> None:
        """Let a parked command take effect, and take in what it was replied."""
        released = await self._executor.deployment.let(frame, self._attribution.named, STORE_SECONDS)
        await self._attribution.done(frame)
        if not released or frame.replied_at is None:
            self._fault = self._fault or self._death() or self._gate.fault or await self._lost(frame)

    async def _lost(self, frame: Frame) -> str:
        """Say whose fault it is that no reply came: a connection may be lost without its store.

        Raises:
            StoreLost: when the store is.

        """
        if frame.released_at is not None and frame.released_at + STORE_SECONDS < time.perf_counter():
            self._executor.deployment.state.suspect()
            return f"store lost: no reply to {frame.step and frame.step.move}"
        await self._executor.deployment.state.probe()
        return await self._executor.deployment.died() or TransientFault(
            f"the connection of {frame.step and frame.step.move} was lost"
        )

    @abstractmethod
    async def _before(self) -> None:
        """Make ready what a run begins with, and send the requests that come before the concurrent ones."""

    @abstractmethod
    async def _wind_up(self) -> None:
        """Let come to an end what a run has begun beside its requests, which are over."""

    @abstractmethod
    async def _until_shown(self, request: Request) -> None:
        """Wait until an actor that was let go shows a step or its end, or is known to be blocked."""

    @abstractmethod
    async def _settled(self) -> bool:
        """Every request is over: tell whether the target has no work left that cannot be seen, else wait for it."""

    @abstractmethod
    async def _take_in(self, replica: Replica) -> None:
        """Give every new frame its actor, and write down every new answer."""

    @abstractmethod
    async def _wake(self) -> bool:
        """Everyone who is left is blocked: wait, up to the patience, for one of them to go on; tell whether it did."""

    @abstractmethod
    async def _rest(self) -> None:
        """Let everything through and wait for the answers, so that nothing of this run comes later."""

    async def _own(self, frame: Frame) -> None:
        if await self._attribution.passes(frame):
            await self._executor.deployment.let(frame, self._attribution.named, STORE_SECONDS)
            return
        fault = await self._attribution.own(frame, self._requests.values(), self._running)
        if not fault:
            self._note_sharing(frame)
            self._frames.append(frame)
        elif len(parts := self._gate.split(frame)) == 1:
            self._fault = self._fault or fault
        else:  # commands of several requests went down one connection together
            for part in parts:
                await self._own(part)

    def _note_sharing(self, frame: Frame) -> None:
        """Note a command that was sent down a connection on which another request's is not answered yet.

        A pool gives a connection to one command at a time. Where several share one, the wire does not tell whether the
        later command could have been the first; nor does it where they wait for the only connection before they send.
        """
        if frame.pushed or self._record.shared_connection or self._executor.target.ordered:
            return
        self._record.shared_connection = self._attribution.shared
        before = next((one for one in self._frames if one.channel is frame.channel and one.actor != frame.actor), None)
        if before is not None and not before.pushed and {before.actor, frame.actor} <= self._requests.keys():
            self._record.shared_connection = " and ".join(sorted((before.actor, frame.actor)))

    async def _answers(self) -> None:
        """Write down every new answer, unless it is none because the Gateway died, which takes a moment to be seen."""
        while self._finished:
            request = self._finished.pop(0)
            assert request.task is not None  # noqa: S101 - only sent requests finish
            silent = not request.task.result().status and not request.client.hung_up
            if silent and (death := await self._executor.deployment.died()):
                self._fault = self._fault or death
                return
            self._answer(request)

    def _answer(self, request: Request) -> None:
        assert request.task is not None  # noqa: S101 - only sent requests finish
        request.answered, request.blocked = True, False
        if not request.left and sum(one.blocked for one in self._requests.values()) == 0:
            for place in request.places:
                self._executor.expected.setdefault(place, Counter())[END] = 1
        raw = request.task.result()
        ended = self._record.event(Kind.ANSWER, request.actor, str(raw.status))
        reader = self._executor.reader
        self._fingerprint = reader.fingerprint(raw) or self._fingerprint
        epochs = tuple(dict.fromkeys(request.epochs)) or (self._record.epoch,)
        flight = Flight(request.actor, request.started, ended, epochs, request.client.hung_up and not raw.status)
        reported = partial(self._attribution.reported, request.actor, request.replica)
        self._record.answers.append(answer := reader.read(raw, flight, reported))
        request.reported = (answer.status, answer.record, answer.count)

    async def _act(self, move: Move) -> None:
        """Let the environment act: the clock moves on, a key runs out, a sibling test cleans up."""
        self._left[move.actor] -= 1
        self._acted[move.actor] += 1
        if move.actor == "clock":
            with self.taken.apart():
                await asyncio.sleep(int(time.time()) + 1 - time.time() + GLANCE_SECONDS)
            self._seconds.asked()
            self._record.event(Kind.ENVIRONMENT, "clock", "clock")
            return
        before, state = await self._observe(move.actor), self._executor.deployment.state
        sets = next((one.sets for name, one in self._executor.scenario.actors.items() if name == move.actor), None)
        replies = await state.act(move.actor, sets, self._acted[move.actor], self._values)
        after = await self._observe()
        self._record.event(Kind.ENVIRONMENT, move.actor, move.actor)
        if ends_epoch(before, after, move.actor, replies):
            self._record.snapshots.append(before)
        await state.drained()
        for replica in self._executor.replicas.values():
            await self._take_in(replica)

    @property
    def _values(self) -> dict[str, str]:
        return {"fingerprint": self._fingerprint, "fresh": self._fresh}

    async def _observe(self, ended_by: str = "", forget: set[Written] | None = None) -> Snapshot:
        """Read the state; delete with it what was written, to ``forget``, where it is read in one go."""
        return await self._executor.deployment.state.observe(self._values, self._attribution.record, ended_by, forget)

    def _note_second(self) -> None:
        """Note that another second began unasked.

        Raises:
            Crossed: where the second matters, once a name shows it.

        """
        if self._seconds.crossing():
            self._record.crossing()
        if self._executor.target.second == "matters" and self._seconds.shown(self._attribution.seconds):
            raise Crossed

    def _faulty(self) -> bool:
        self._gate.check()
        if not self._fault and (self._gate.fault or self._executor.deployment.hurt):
            self._fault = self._death() or self._gate.fault
        if not self._fault and (why := self._executor.pace.over(self.taken)):
            ended = CutOff if self._executor.pace.past else TransientFault
            self._fault = ended(f"the run was ended after {why}: {about(self._record.moves, self._waiting)}")
        return bool(self._fault)

    def _death(self) -> str:
        return self._executor.deployment.death

    @property
    def _waiting(self) -> list[str]:
        return [one.actor for one in self._requests.values() if not one.answered]

    def _stuck(self) -> str:
        return f"{', '.join(self._waiting)} show neither a step nor an answer"

    def _trace(self) -> Trace:
        names, unreported = (self._fresh, self._fingerprint), self._executor.reader.unreported(self._record.answers)
        trace = self._record.trace(self._executor.scenario, self._executor.target, names, unreported, self._fault)
        trace.symbols = self._attribution.symbols
        return trace
