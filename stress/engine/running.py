"""One schedule in one executor: a schedule in, a trace out."""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections import deque
from contextlib import aclosing
from operator import length_hint
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, TypeVar, overload

from stress.checks import Reads, run_checks, undecided
from stress.core.patterns import counterparts
from stress.core.schedule import Head, Schedule
from stress.core.step import ENVIRONMENT
from stress.core.trace import Trace
from stress.executors.asked import Asked, ChoiceLog
from stress.executors.live.executor import LiveExecutor
from stress.executors.live.said import body_of
from stress.schedulers.guided import Guided, RunOutcome
from stress.schedulers.replay import Replay

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Coroutine, Generator, Iterable, Iterator, Sequence

    from stress.config.scenario import Scenario
    from stress.config.target import Target
    from stress.core.step import Move
    from stress.core.verdict import Violation
    from stress.executors.model.executor import ModelExecutor
    from stress.schedulers.base import Scheduler
    from stress.schedulers.interleaving import Interleaving

Found = TypeVar("Found")

_WORKERS, _WAITING = 4, 8
"""How many deployments run side by side unless a user says so: where they compute, and where they sleep."""


class WorkerCount(NamedTuple):
    """How many deployments of a target run side by side at most, and how many where schedules wait for the clock."""

    busy: int = 1
    waiting: int = 1

    @classmethod
    def chosen(cls, number: int | None) -> Self:
        """Take the number that a user gives, else as many as this machine is good for."""
        return cls(number or min(os.cpu_count() or 1, _WORKERS), number or _WAITING)

    def of(self, moves: Iterable[Move | None]) -> int:
        """Give the number for a schedule: one with a clock step mostly sleeps."""
        return self.waiting if any(move is not None and move.actor == "clock" for move in moves) else self.busy


class Executor(Protocol):
    """Where a run happens: at once in the model, awaited on the wire."""

    name: str
    scenario: Scenario
    target: Target

    @property
    def digest(self) -> str:
        """What distinguishes one Gateway from another."""

    @property
    def broken(self) -> bool:
        """Whether a process of it has ended or its store does not reply, so that nothing can be run any more."""

    @property
    def apart(self) -> float:
        """How many seconds were spent on starts and ends of processes since it was entered."""

    def run(
        self, scheduler: Scheduler, fresh: str | None = None, also: frozenset[str] = frozenset()
    ) -> Trace | Coroutine[None, None, Trace]:
        """Run one schedule that the scheduler chooses; ``also`` may act although the scenario does not name them."""

    def abandoned(self, reason: str) -> Trace | None:
        """Give the trace so far of the run that is under way, for a user who interrupts it (None: nothing is)."""


@overload
def run(schedule: Schedule | Interleaving, executor: ModelExecutor) -> Trace: ...
@overload
def run(schedule: Schedule | Interleaving, executor: LiveExecutor) -> Coroutine[None, None, Trace]: ...
@overload
def run(schedule: Schedule | Interleaving, executor: Executor) -> Trace | Coroutine[None, None, Trace]: ...


def run(schedule: Schedule | Interleaving, executor: Executor) -> Trace | Awaitable[Trace]:
    """Run one schedule in an executor; give the trace (awaited on the wire). A fresh value in its head is used again.

    A trace with a ``fault`` did not follow the schedule to its end.
    """
    asked = _asked(schedule, executor)
    return executor.run(asked.scheduler, asked.fresh or None, asked.also)


class _Attempt:
    """One schedule in one executor, which can be run once more in the same way: with new values, or with its own."""

    def __init__(self, asked: Asked, executor: Executor) -> None:
        self._asked, self._executor = asked, executor
        self._memory: ChoiceLog | None = None

    async def run(self) -> Trace:
        """Run it, in the model at once: nothing is by chance there, and it is fast."""
        fresh, also = self._asked.fresh or None, self._asked.also
        if self._memory is not None:
            self._memory.restart()
        elif isinstance(self._executor, LiveExecutor):
            self._memory = ChoiceLog(self._asked.scheduler)
        trace = self._executor.run(self._memory or self._asked.scheduler, fresh, also)
        return trace if isinstance(trace, Trace) else await trace

    async def result(self) -> Trace:
        """Run it, and once more if that is worth it."""
        trace = await self.run()
        return await self.run() if self.should_retry(trace) else trace

    def should_retry(self, trace: Trace) -> bool:
        """Return whether to run it once more after this trace."""
        return self._memory is not None and trace.worth_another and not self._executor.broken


async def run_with(scheduler: Scheduler, executor: Executor, *, retry: bool = True) -> Trace:
    """Run the schedule that a scheduler has begun, in either executor; with ``retry`` again after a transient fault."""
    attempt = _Attempt(Asked(scheduler), executor)
    return await (attempt.result() if retry else attempt.run())


async def follow(schedule: Schedule | Scheduler, executor: Executor) -> Trace:
    """Run one schedule, or what a scheduler makes of one, in either executor; again after a transient fault."""
    return await _Attempt(_asked(schedule, executor), executor).result()


async def follow_restarted(schedule: Schedule, executor: Executor) -> Trace:
    """Run one schedule in processes of the Gateway that are started for it, where they are started here at all.

    Raises:
        Unavailable: when a Gateway does not start.

    """
    if isinstance(executor, LiveExecutor) and executor.deployment.restarts:
        await executor.restart()
    return await follow(schedule, executor)


async def follow_each(
    schedules: Iterable[Schedule | Scheduler], executor: Executor, workers: int = 1, *, retry: bool = True
) -> AsyncGenerator[Trace]:
    """Run many schedules and give their traces in the same order; on the wire on up to ``workers`` deployments at once.

    With ``retry`` one with a transient fault is run once more, while nothing else runs, which might be why.
    A caller that stops early must close it (`contextlib.aclosing`) before another schedule is run in that executor. A
    schedule may be asked for before the traces of those before it are given.
    """
    executors = await beside(executor, min(workers, length_hint(schedules, workers)))
    if len(executors) == 1:
        for schedule in schedules:
            attempt = _Attempt(_asked(schedule, executor), executor)
            yield await (attempt.result() if retry else attempt.run())
        return
    async with aclosing(_side_by_side(iter(schedules), executors, retry=retry)) as traces:
        async for trace in traces:
            yield trace


async def beside(executor: Executor, most: int) -> Sequence[Executor]:
    """Give an executor and others like it, each on a deployment of its own, at most so many; one in the model."""
    return await executor.beside(most) if isinstance(executor, LiveExecutor) and most > 1 else [executor]


async def _side_by_side(
    come: Iterator[Schedule | Scheduler], executors: Sequence[Executor], *, retry: bool
) -> AsyncGenerator[Trace]:
    """Give each schedule to an executor that is free; give the traces in their order."""
    free, under_way = deque(executors), deque[asyncio.Task[tuple[_Attempt, Trace]]]()

    async def followed(schedule: Schedule | Scheduler, chosen: Executor) -> tuple[_Attempt, Trace]:
        attempt = _Attempt(_asked(schedule, chosen), chosen)
        trace = await attempt.run()
        free.append(chosen)
        return attempt, trace

    try:
        while True:
            while free and (asked := next(come, None)) is not None:
                under_way.append(asyncio.create_task(followed(asked, free.popleft())))
            if not under_way:
                return
            await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            while under_way and under_way[0].done():
                attempt, trace = under_way.popleft().result()
                if retry and attempt.should_retry(trace):
                    await asyncio.gather(*under_way)
                    trace = await attempt.run()
                yield trace
    except asyncio.CancelledError:
        for task in under_way:
            task.cancel()
        raise
    finally:
        await asyncio.gather(*under_way, return_exceptions=True)


def _asked(schedule: Schedule | Scheduler, executor: Executor) -> Asked:
    """Ask for one schedule; one of a file, or in letters, may need actors that the scenario does not name."""
    scheduler = Replay(_as_here(schedule.moves, executor)) if isinstance(schedule, Schedule) else schedule
    scheduler.more()
    if not isinstance(scheduler, Replay):
        return Asked(scheduler)
    named = (move.actor.partition(":")[0] for move in scheduler.moves)
    acting = {name for name in named if name in (*ENVIRONMENT, "client")}
    fresh = schedule.head.fresh if isinstance(schedule, Schedule) else ""
    return Asked(scheduler, fresh, frozenset(acting - executor.scenario.actors.keys()))


def _as_here(moves: Sequence[Move], executor: Executor) -> Sequence[Move]:
    """Give the moves of a schedule with the names that the process of an executor made up at its start for its own."""
    if not isinstance(executor, LiveExecutor):
        return moves
    learned = executor.learned
    others = {word for move in moves for word in move.object.split()}
    called = counterparts(learned.objects, others, learned.patterns.kept) if learned.patterns.kept else {}
    for other, own in called.items():
        moves = [move._replace(object=move.object.replace(other, own)) for move in moves]
    return moves


def doubt(trace: Trace, executor: Executor) -> str:
    """Say why nothing may be concluded from a run although it was followed to its end; nothing where that is not so."""
    if undecided(trace):
        return "too many requests span a cleanup or an expiry to be counted: use fewer at once"
    answers = executor.target.answers
    if answers.record is None or "record" not in answers.model_fields_set or Reads.NAMES not in trace.unreported:
        return ""
    for answer in trace.answers:
        if answer.accepted and answer.record is None:
            return (
                f"the answer {answer.status} to {answer.actor} names no record at {answers.record}: "
                "check answers.record; null says that answers name none"
            )
    return ""


def none_accepted(trace: Trace) -> str:
    """Say that no request was accepted in any run, with the first answer of the last one."""
    first = min(trace.answers, key=lambda answer: answer.actor, default=None)
    if first is None:
        return "no request of any run was accepted: none was answered"
    return f"no request of any run was accepted: {first.actor} was answered {first.status or 'nothing'}{body_of(first)}"


def sequential(executor: Executor) -> list[Trace]:
    """Give the runs before the search in which requests were sent one after another, where there are any."""
    samples = executor.learned.samples if isinstance(executor, LiveExecutor) else ()
    return [one.trace for one in samples if not one.trace.fault]


def schedule_of(trace: Trace, executor: Executor, seed: int, violations: tuple[Violation, ...]) -> Schedule:
    """Make the schedule file of a trace: its moves under a head that lets the file alone replay it, with new values."""
    broken = dict.fromkeys(violation.invariant for violation in violations)
    head = Head(
        scenario=executor.scenario.name,
        scenario_digest=executor.scenario.digest,
        target=executor.target.name,
        target_digest=executor.digest,
        executor=trace.executor,
        seed=seed,
        fingerprint=trace.fingerprint,
        outcome=" ".join(["race", *broken]) if broken else "holds",
    )
    return Schedule(tuple(trace.moves), head)


async def driven(
    steps: Generator[Guided, RunOutcome | None, Found], executor: Executor, seconds: float = math.inf
) -> Found:
    """Run the schedules that ``steps`` asks for, send it what each broke, and give what it finds.

    What it asks for after so many ``seconds`` could not be run.
    """
    until = time.monotonic() + seconds
    try:
        asked = next(steps)
        while True:
            if time.monotonic() > until:
                asked = steps.send(None)
                continue
            trace = await follow(asked, executor)
            broken = () if trace.fault else run_checks(executor.scenario.invariants, trace)
            ran = RunOutcome(tuple(trace.moves), frozenset(one.invariant for one in broken))
            asked = steps.send(None if trace.fault else ran)
    except StopIteration as stop:
        found: Found = stop.value
        return found
