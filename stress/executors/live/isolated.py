"""One schedule alone on the wire: who was let go has shown everything when its process is quiet."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from stress.config.placeholders import filled
from stress.config.stores import StatePart
from stress.core.trace import Kind
from stress.executors.live.attribution import END
from stress.executors.live.blocked import GLANCE_SECONDS
from stress.executors.live.drive import LOOKS
from stress.executors.live.looking import Looking
from stress.executors.live.sequential import SequentialRun
from stress.executors.live.workers import Workers
from stress.schedulers.base import is_worker

if TYPE_CHECKING:
    from stress.core.step import Move
    from stress.executors.asked import Asked
    from stress.executors.live.executor import LiveExecutor
    from stress.executors.live.request import Request
    from stress.processes.quiescence import Sleep
    from stress.processes.replicas import Replica

_TIMER_SECONDS = 5.0
"""How long a timer of a process is waited for at most that may wake a request when nobody else can go."""
_WATCHED = 5
"""How many times the patience a replica with watches may be at work."""
_REST_PATIENCES = 10
"""How long answers are waited for once a run has ended: who sleeps between tries sleeps several times."""
MOST_SETTLES = 10
"""For how many settle times a request may work on after its answer."""


def still_working(what: str, seconds: float) -> str:
    """Say that a run has no end, and what to do."""
    return (
        f"still works after its last answer ({what}, for {seconds:.3g} s): if this belongs to no request, name its "
        "commands under `background`; if it takes so long, say `settle:` (seconds, or a key that is empty when it ends)"
    )


class Isolated(SequentialRun):
    """A run beside which nothing else happens on its executor, which is at rest before and after."""

    def __init__(self, executor: LiveExecutor, asked: Asked) -> None:
        """Prepare a run on the executor's own connections."""
        super().__init__(executor, asked, executor.clients, executor.gate.signal)
        self._workers = Workers(executor.learned.worker, self._gate, self._attribution, self._let, [*executor.replicas])
        looker = executor.looker
        self._looking = Looking(looker, executor.replicas, executor.deployment.ports) if looker is not None else None

    async def _before(self) -> None:
        """Make ready, and look at the replicas before any request is under way, where the run is looked at."""
        await super()._before()
        if self._looking is not None:
            with self.taken.apart():
                await self._looking.begin()

    async def _apply(self, move: Move) -> None:
        """Let an actor go; where the run is looked at, look once it has shown everything."""
        await super()._apply(move)
        request = self._requests.get(move.actor)
        if self._looking is None or request is None or self.sequential:
            return
        with self.taken.apart():
            await self._looking.after(request, self._frames, self._requests, self._record)
            await self._executor.waits.calm(self._executor.replicas[request.replica], self._signal)

    async def _until_shown(self, request: Request) -> None:
        """Wait until an actor that was let go shows a step or its end, or is known to be blocked."""
        actor, replica = request.actor, self._executor.replicas[request.replica]
        request.blocked = False
        begun = time.perf_counter()
        before = self._executor.waits.last(replica)
        looks = 0
        while not self._faulty():
            seen = self._signal.count
            if self._finished or self._gate.unsettled(request.replica):
                await self._executor.waits.calm(replica, self._signal)
                await self._take_in(replica)
                request = self._requests[actor]
                if self._shows(request):
                    self._worked(request, time.perf_counter() - begun)
                    return
                if request.answered:
                    break
                continue
            if await self._signal.wait(seen, GLANCE_SECONDS):
                looks = 0
                continue
            waited = time.perf_counter() - begun
            looks = looks + 1 if self._asleep(request, begun + self._executor.patience, before) else 0
            if looks >= LOOKS or waited > self._executor.patience * (1 if replica.watch is None else _WATCHED):
                self._sleeps(request, waited, before)
                if request.answered:
                    break
                return
        if not self._shows(request):
            await self._until_late(request, before)

    def _shows(self, request: Request) -> bool:
        """Tell whether a step of a request is there; a message that it caused says nothing of what it does next.

        Nor does a command that waits in the store, or comes at any time, once the request has been answered.
        """
        own = [one for one in self._frames if one.actor == request.actor and not one.pushed]
        is_idle = self._executor.learned.is_idle
        return any(not request.answered or not (one.waiting or is_idle(one.step.move)) for one in own if one.step)

    async def _until_late(self, request: Request, before: Sleep | None) -> None:
        """Wait up to the settle time for the next step of a request that was answered; without one it is over.

        One that did and observed the same before, and was over then, is waited for until its process sleeps without a
        timer of its own, where the settle time was learned: such a step comes from elsewhere, or late, but not again.
        """
        if not (settle := self._executor.learned.settle) or self._faulty():
            return
        actor, replica, begun, calm = (
            request.actor,
            self._executor.replicas[request.replica],
            time.perf_counter(),
            False,
        )
        story, ended, looks = request.story, self._executor.ended, 0
        known = story in ended and self._executor.target.settle is None
        while not self._faulty():
            seen, waited = self._signal.count, time.perf_counter() - begun
            if self._finished or self._gate.unsettled(replica.number):
                await self._executor.waits.calm(replica, self._signal)
                await self._take_in(replica)
                if self._shows(self._requests[actor]):
                    self._came_late(request, waited)
                    return
            elif known and looks >= LOOKS:
                self._over(request)
                return
            elif waited < settle:
                rested = not await self._signal.wait(seen, GLANCE_SECONDS if known else settle - waited)
                asleep = known and rested and self._asleep(request, begun + settle, before)
                looks = looks + 1 if asleep else 0
            elif not calm:  # a machine that is busy may let a timer end late
                await self._executor.waits.calm(replica, self._signal)
                calm = True
            else:
                ended.add(story)
                self._over(request)
                return

    def _came_late(self, request: Request, waited: float) -> None:
        """Take in how long a step after the answer was waited for: who was seen to take longer is given longer."""
        self._worked(request, waited)
        learned = self._executor.learned
        longest = max(learned.longest, waited)
        self._executor.learned = replace(learned, settle=max(learned.settle, 2 * longest), longest=longest)

    def _worked(self, request: Request, seconds: float) -> None:
        """Count for how long a request has worked on after its answer: it has to come to an end."""
        settle = self._executor.learned.settle
        request.late += seconds if request.answered else 0.0
        if settle and request.late > MOST_SETTLES * settle:
            self._fault = self._fault or still_working(request.actor, request.late)

    def _over(self, request: Request) -> None:
        """Note that an answered request showed no more: where no other had work left, that is how it ends."""
        expected = [self._executor.expected.setdefault(place, Counter()) for place in request.places]
        others = [one for one in self._requests.values() if one is not request]
        parked = any(not frame.waiting for frame in self._frames)
        if not parked and all(one.answered or one.task is None for one in others):
            for one in expected:
                one[END] = 1
        else:
            request.owes = expected[-1].keys() != {END}

    async def _settled(self) -> bool:
        """Wait until the key that tells of work left is empty; nothing is waited for where the target names none.

        Who sleeps although its client hung up is waited for too.
        """
        if await self._goes_on():
            return False
        wanted = self._executor.target.settle
        if not isinstance(wanted, StatePart):
            return True
        until = time.perf_counter() + MOST_SETTLES * self._executor.patience
        while not self._faulty() and not await self._executor.deployment.state.is_done(wanted, self._values):
            seen = self._signal.count
            if await self._news():
                return False
            if time.perf_counter() > until:
                self._fault = still_working(filled(wanted.how, self._values), MOST_SETTLES * self._executor.patience)
            await self._signal.wait(seen, GLANCE_SECONDS)
        return True

    async def _goes_on(self) -> bool:
        """Wait for the timers of those whose clients hung up; tell whether one goes on."""
        until = max((one.sleeps for one in self._requests.values() if one.left), default=0.0)
        if until <= time.perf_counter():
            return False
        with self.taken.apart():
            if await self._woken(until):
                return True
        for replica in self._executor.replicas.values():  # a machine that is busy may let a timer end late
            await self._executor.waits.calm(replica, self._signal)
        return await self._news()

    def _asleep(self, request: Request, until: float, before: Sleep | None) -> bool:
        replica, so_far = (
            self._executor.replicas[request.replica],
            (tuple(self._record.moves), tuple(request.done)),
        )
        if request.client.answering or self._gate.busy(replica.number):
            return False  # it is about to be woken
        return self._executor.waits.asleep(replica, until, before, *so_far)

    def _sleeps(self, request: Request, waited: float, before: Sleep | None) -> None:
        """Take in that a request shows no more: it is blocked, or its client hung up and it sleeps or is over."""
        shown = any(one.actor == request.actor for one in self._frames)
        waits, now = self._executor.waits, time.perf_counter()
        if request.left or not shown:
            waits.learn(waited, tuple(self._record.moves), tuple(request.done))
        if not request.left and (request.answered or shown):
            return
        request.sleeps = waits.own_timer(self._executor.replicas[request.replica], before, now + _TIMER_SECONDS)
        if request.left:
            request.owes = request.owes or request.sleeps > now
            return
        request.blocked = True
        self.taken.blocked(waited, request.actor)
        waits.seconds.append(waited)
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
        """See by an answer which of two requests was let go when nothing distinguished them; that one has the name."""
        one = self._running
        if one is None or one.answered or one in self._finished:
            return
        for other in [done for done in self._finished if self._attribution.alike(one, done)][:1]:
            one.exchange(other)
            self._requests[one.actor], self._requests[other.actor] = one, other
            self._running = other

    async def _wake(self) -> bool:
        """Everyone who is left is blocked: wait, up to the patience or a timer of theirs, for one of them to go on."""
        begun, waits = time.perf_counter(), self._executor.waits
        timers = [waits.timer(one) for one in self._executor.replicas.values()]
        patience, timer = begun + self._executor.patience, min(begun + _TIMER_SECONDS, max(timers))
        if timer > patience:
            with self.taken.apart():  # who wakes shows something within the patience, as after any other step
                return await self._woken(timer + self._executor.patience) and await self._all_woken()
        try:
            return await self._woken(patience)
        finally:
            self.taken.blocked(time.perf_counter() - begun)

    async def _all_woken(self) -> bool:
        """Wait, once a sleeper has woken, for others whose sleep began later: else no schedule has them side by side.

        That is at most as long as it took to know that they sleep.
        """
        until = time.perf_counter() + max(self._executor.patience, self.taken.waited)
        while time.perf_counter() < until and not self._faulty():
            if all(one.answered or self._shows(one) for one in self._requests.values() if one.task is not None):
                break
            seen = self._signal.count
            if not await self._news():
                await self._signal.wait(seen, until - time.perf_counter())
        return True

    async def _woken(self, deadline: float) -> bool:
        self._running = None
        while time.perf_counter() < deadline and not self._faulty():
            seen = self._signal.count
            if any(move.actor in self._requests or is_worker(move.actor) for move in self.moves()):
                return True  # the store has answered one that waited there
            if await self._news():
                return True
            await self._signal.wait(seen, deadline - time.perf_counter())
        return self._faulty()

    async def _news(self) -> bool:
        """Take in what one replica has shown since, or answered; tell whether any had."""
        for replica in self._executor.replicas.values():
            if self._finished or self._gate.unsettled(replica.number):
                await self._executor.waits.calm(replica, self._signal)
                await self._take_in(replica)
                return True
        return False

    async def _rest(self) -> None:
        """Let everything through and wait for the answers, so that the next run begins at rest.

        What requests write that had more to do is noted, so that it can be deleted, unless the store is lost.
        """
        tasks = [task for task in self._sent if not task.done()]
        lost = self._gate.fault or self._death()
        if lost or not tasks:
            self._gate.reopen()
        if tasks:
            seconds = self._executor.patience * (1 if self._fault else _REST_PATIENCES)
            answers = asyncio.ensure_future(asyncio.wait(tasks, timeout=seconds))
            if not lost:
                await self._executor.escort(answers, self._fresh, self._fingerprint, self.written)
            _, late = await answers
            names = ", ".join(one.actor for one in self._requests.values() if one.task in late)
            self._fault = self._fault or (
                f"the Gateway hangs: {names} had no answer when all were let go" if late else ""
            )
            for task in late:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            for number in sorted({one.replica for one in self._requests.values() if one.task in late}):
                await self._executor.look(self._executor.replicas[number])
            self._fault = self._death() or self._fault
        if tasks or self._frames or self._fault:  # what comes after the answers is not of the next run
            await asyncio.sleep(self._executor.learned.settle)
