"""Runs schedules beside each other before they are asked for, for schedulers that ask for one after another."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from itertools import chain, takewhile
from typing import TYPE_CHECKING

from stress.core.trace import TransientFault
from stress.engine.running import WorkerCount, follow_each, run_with
from stress.executors.live.executor import LiveExecutor
from stress.schedulers.base import Diverged
from stress.schedulers.lookahead import Following, Planned

if TYPE_CHECKING:
    from collections.abc import Callable

    from stress.core.step import Move
    from stress.core.trace import Trace
    from stress.engine.running import Executor
    from stress.schedulers.base import Scheduler
    from stress.schedulers.lookahead import Plan, Planning

_LOOKAHEAD = 4
"""How many schedules for each deployment are run at a time."""


class Prefetch:
    """Runs the schedules of a scheduler in an executor, on the wire several at once, each on a deployment of its own.

    What was run is shown to the scheduler when it asks for that schedule, as if it were run only then: traces come in
    the same order, and are the same, as with one deployment. Once there was ``enough`` nothing more is run in advance.
    """

    def __init__(self, executor: Executor, workers: WorkerCount, enough: Callable[[], bool] = lambda: False) -> None:
        """Begin with nothing run."""
        self._executor, self._workers, self._enough = executor, workers, enough
        self._ran: dict[tuple[Move | None, ...], tuple[Planned, Trace]] = {}

    async def run(self, scheduler: Scheduler, planning: Planning, most: int) -> Trace:
        """Run the schedule that a scheduler has begun, and if it has not been run yet, at most so many that come later.

        ``planning`` knows what the scheduler will ask for (it may be the same one).
        """
        executor = self._executor
        plan = planning.plan if isinstance(executor, LiveExecutor) else None
        if plan is None or not isinstance(executor, LiveExecutor):
            return await run_with(scheduler, executor)
        if plan.begin not in self._ran:
            workers = len(await executor.beside(self._workers.of(plan.begin)))
            lookahead = planning.lookahead(min(most, _LOOKAHEAD * workers - 1)) if workers > 1 else []
            new = [one for one in lookahead if one.begin not in self._ran and one.begin != plan.begin]
            faulty = await self._run([plan, *new], workers)
            if faulty and (executor.broken or (workers == 1 and not faulty[0].transient)):
                return faulty[0]  # it can't be run for the scheduler any more, or would end so again
        ran = self._ran.pop(plan.begin, None)
        if ran is None:  # once more, alone, and asked at each step
            return await run_with(scheduler, executor, retry=False)
        made: list[Move | None] = []
        try:
            for point in ran[0].points:
                made.append(scheduler.choose(point.moves, done=point.done))
                if made[-1] != point.chosen:
                    return await run_with(Following(scheduler, made), executor, retry=False)
        except Diverged as divergence:
            return replace(ran[1], fault=TransientFault(divergence))
        return ran[1]

    async def _run(self, plans: list[Plan], workers: int) -> list[Trace]:
        """Run schedules; give the traces with a fault: what is wrong shows when those are run for the scheduler."""
        first, *others = {plan.begin: Planned(plan) for plan in plans}.values()
        done = iter([first, *others])
        schedules = chain([first], takewhile(lambda _: not self._enough(), others))
        faulty: list[Trace] = []
        async with aclosing(follow_each(schedules, self._executor, workers, retry=False)) as traces:
            async for trace in traces:
                schedule = next(done)
                faulty += [trace] if trace.fault else []
                if not trace.worth_another and not trace.fault and schedule.matches(trace):
                    self._ran[schedule.plan.begin] = schedule, trace
        return faulty
