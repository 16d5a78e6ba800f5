"""Requests released together with the gate open: what the wire cannot schedule shows itself, but without a schedule."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from stress.checks import Reads, check_named, run_checks
from stress.core.step import START
from stress.core.trace import Kind
from stress.executors.asked import Asked, Crossed, Probed, new_fresh
from stress.executors.live.answers import Flight
from stress.executors.live.client import Line
from stress.executors.live.isolated import MOST_SETTLES, Isolated
from stress.executors.live.seconds import Seconds
from stress.protocols.gate import Passing
from stress.schedulers.interleaving import Interleaving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.trace import Snapshot, Trace
    from stress.core.verdict import Violation
    from stress.executors.live.executor import LiveExecutor
    from stress.executors.live.request import Request

_READY_SECONDS = 1.0
"""How long the last bytes are held back at most until all requests are there."""
_UNWATCHED_SECONDS = 0.02
"""How long work is waited for after the answers where the process can't be watched."""
CROSSED, LOST, BUSY = "crossed a second", "lost a connection", "left the deployment busy"
"""Why a burst is dropped."""


class Burst(NamedTuple):
    """One burst, or one control: its trace, what it broke, and why it is dropped (empty: it is not)."""

    trace: Trace
    broken: tuple[Violation, ...] = ()
    dropped: str = ""


def broken_by(names: Sequence[str], trace: Trace) -> tuple[Violation, ...]:
    """Judge a run that has no steps: checks that read them are left out."""
    return tuple(run_checks([name for name in names if Reads.STEPS not in check_named(name).reads], trace))


async def burst(executor: LiveExecutor, *, together: bool = True, patient: bool = True) -> Burst:
    """Run one burst with new values, or its control: the same requests one after another, the gate open too.

    If it is ``patient``, what breaks something must be so for one patience, else for a moment.
    """
    drive = executor.begun(
        _Open(executor, together=together, patience=executor.patience if patient else _UNWATCHED_SECONDS)
    )
    dropped = CROSSED
    try:
        trace = await drive.run()
        dropped = drive.dropped
    except (Crossed, Probed):
        trace = drive.abandoned(dropped)
    finally:
        executor.gate.passing = None
        await executor.forget(drive.written)
    return Burst(trace, drive.broken, dropped)


class _Open(Isolated):
    """A run in which nothing is parked; ``broken`` is what it broke, ``dropped`` why nothing follows from it."""

    def __init__(self, executor: LiveExecutor, *, together: bool, patience: float) -> None:
        super().__init__(executor, Asked(Interleaving(()), new_fresh()))
        self._together, self._patience = together, patience
        self._passing = Passing()
        self._noted = 0
        self.dropped = ""
        self.broken: tuple[Violation, ...] = ()

    async def _follow(self) -> None:
        try:
            await self._before()
            if not self._faulty():
                await self._opened()
            self._fault = self._fault or self._death()
        finally:
            await self._rest()
        if self._fault or self.dropped:
            return
        self._record.snapshots.append(await self._observe())
        if not all(answer.accepted for answer in self._record.answers):
            await self._executor.deployment.state.probe()  # a Gateway whose store is lost is not to blame
        self.broken = broken_by(self._executor.scenario.invariants, self._trace())
        if self.broken and not await self._stays(self._record.snapshots[-1]):
            self.dropped = BUSY

    async def _opened(self) -> None:
        self._gate.passing = self._passing
        self._gate.reopen()
        seconds, requests = Seconds(), list(self._requests.values())
        for several in [requests] if self._together else [[one] for one in requests]:
            await self._send_all(several)
            quiescent = await self._quiescent()
            await self._note()
            for request in several:
                self._read(request)
            if not self.dropped and not quiescent:
                self.dropped = BUSY
            if self.dropped or self._fault:
                break
        if seconds.crossing() and "clock" not in self._executor.scenario.actors:
            self.dropped = self.dropped or CROSSED

    async def _send_all(self, requests: Sequence[Request]) -> None:
        line = Line() if len(requests) > 1 else None
        for request in requests:
            request.started = self._record.event(Kind.START, request.actor, START)
            sending = self._executor.send(request.client, self._fresh, self._fingerprint, request.actor, line)
            request.task = asyncio.create_task(sending)
            self._sent.append(request.task)
        if line is not None:
            await line.full(len(requests), _READY_SECONDS)
            line.release()
        await asyncio.wait(self._sent, timeout=MOST_SETTLES * self._executor.patience)

    def _read(self, request: Request) -> None:
        assert request.task is not None  # noqa: S101 - it was sent
        if not request.task.done() or not (raw := request.task.result()).status:
            self.dropped = LOST if request.task.done() else BUSY
            return
        request.answered = True
        record, reader = self._record, self._executor.reader
        ended = record.event(Kind.ANSWER, request.actor, str(raw.status))
        self._fingerprint = reader.fingerprint(raw) or self._fingerprint
        flight = Flight(request.actor, request.started, ended, (record.epoch,), hung_up=False)
        reported = partial(self._attribution.reported, request.actor, request.replica)
        record.answers.append(reader.read(raw, flight, reported))

    async def _note(self) -> None:
        """Take in the names and the keys of what has passed."""
        for frame in self._passing.frames[self._noted :]:
            await self._attribution.note(frame)
            await self._attribution.done(frame)
        self._noted = len(self._passing.frames)

    async def _quiescent(self) -> bool:
        """Wait until the target has no work left, as long as preflight learned; tell whether it came to that."""
        executor, replicas = self._executor, self._executor.replicas.values()
        watched = all(replica.watch is not None for replica in replicas)
        settle = max(executor.learned.settle, 0.0 if watched else _UNWATCHED_SECONDS)
        until = time.perf_counter() + MOST_SETTLES * max(executor.patience, settle)
        while time.perf_counter() < until and not self._death():
            seen = self._traffic
            if settle:
                await asyncio.sleep(settle)
            for replica in replicas:
                await executor.waits.calm(replica, self._signal)
            asleep = all(one.watch is None or one.watch.sleeping() is not None for one in replicas)
            if asleep and self._traffic == seen and not any(self._gate.busy(one.number) for one in replicas):
                return await self._settled()
        return False

    @property
    def _traffic(self) -> int:
        """How much has passed, but for what comes while no request is under way."""
        idle = {command for command, _ in self._executor.learned.idle}
        return sum(frame.command not in idle for frame in self._passing.frames)

    async def _stays(self, state: Snapshot) -> bool:
        """Tell whether a state that breaks something is the final one: nothing comes for a while."""
        seen = self._traffic
        await asyncio.sleep(max(self._patience, self._executor.learned.settle))
        with_more = await self._observe()
        return self._traffic == seen and (with_more.records, with_more.hits) == (state.records, state.hits)
