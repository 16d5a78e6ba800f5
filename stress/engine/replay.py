"""Following the order of a file again: does the Gateway still fail?"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from stress.checks import run_checks
from stress.core.errors import Untested
from stress.core.exits import INCONCLUSIVE, INTERRUPT, RACE, REPORT
from stress.core.verdict import judge
from stress.engine.campaign import Where
from stress.engine.case import Pair
from stress.engine.running import Workers, doubt, follow, follow_each
from stress.engine.search import CONFIRMATIONS, INTERRUPTED, Limits
from stress.executors.identity import UNKNOWN
from stress.processes.needed import check
from stress.report.events import Result
from stress.report.folder import ReportUnwritable, write

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    from stress.core.schedule import Order
    from stress.core.trace import Trace
    from stress.engine.campaign import Job
    from stress.engine.running import World


class Told(NamedTuple):
    """What a replay came to: a line for the user, and the exit code."""

    line: str
    code: int


async def replay(order: Order, job: Job, times: int, where: Where, reports: Path = Path("reports")) -> Told:
    """Follow an order ``times`` times; a run that ends with a fault leaves its trace below ``reports``.

    Where a changed Gateway no longer allows the order, its scenario is searched instead.

    Raises:
        Unavailable: when the store or a Gateway does not start, or what the target requires is not there.
        UsageFault: when requests one after another show a fault in the target's file.

    """
    name = where.world or ("model" if order.head.world == "model" else "wire")
    model, wire = Where(name, where.allow).worlds(job)
    if wire is not None:
        await check(job.target, job.folder)
    try:
        async with wire or nullcontext() as world:
            told = await _Replays(
                order, world or cast("World", model), times, reports, Workers.chosen(where.workers)
            ).told()
        return told if told is not None else await _search_instead(job, where, reports, checked=wire is not None)
    except Untested as error:
        return Told(f"inconclusive: {error}", INCONCLUSIVE)


class _Replays:
    """Follows one order several times in one world."""

    def __init__(self, order: Order, world: World, times: int, reports: Path, workers: Workers) -> None:
        self._order, self._world, self._times, self._reports = order, world, times, reports
        self._workers = workers.of(order.moves)
        self._last: Trace | None = None
        self._done = 0

    async def told(self) -> Told | None:
        """Count how often the order fails; None when a Gateway that has changed no longer allows it."""
        failed, stories = 0, set[object]()
        try:
            async with aclosing(self._traces(stories)) as traces:
                async for trace in traces:
                    self._last = trace
                    fault = trace.fault or doubt(trace, self._world)
                    if fault.startswith("DIVERGED"):
                        return self._ended(fault, INCONCLUSIVE) if self._same else None
                    if fault:
                        return self._ended(f"inconclusive: {fault}", INCONCLUSIVE)
                    self._done += 1
                    stories.add(trace.signature)
                    failed += bool(run_checks(self._world.scenario.invariants, trace))
                    await asyncio.sleep(0)
        except asyncio.CancelledError:
            self._last = self._world.abandoned(INTERRUPTED) or self._last
            return self._ended(f"{INTERRUPTED}: failed {failed} of {self._done}", INTERRUPT)
        return self._counted(failed, len(stories))

    async def _traces(self, stories: Collection[object]) -> AsyncGenerator[Trace]:
        """Follow the order alone at first; where all told one of the ``stories``, the others beside each other.

        Where one beside others tells something else, the order is followed alone instead.
        """
        for _ in range(min(self._times, CONFIRMATIONS)):
            yield await follow(self._order, self._world)
        left = self._times - CONFIRMATIONS
        alone = left if len(stories) > 1 else 0
        async with aclosing(follow_each([self._order] * (left - alone), self._world, self._workers)) as traces:
            async for trace in traces:
                if trace.signature in stories and not trace.fault:
                    yield trace
                else:
                    alone += 1
        for _ in range(alone):
            yield await follow(self._order, self._world)

    def _counted(self, failed: int, stories: int) -> Told:
        times = self._times
        if failed not in (0, times):
            return self._ended(f"inconclusive: failed {failed} of {times}", INCONCLUSIVE)
        if stories > 1:
            return self._ended(f"inconclusive: {times} replays gave {stories} different traces", INCONCLUSIVE)
        return Told(f"STILL FAILING {failed}/{times}", RACE) if failed else Told(f"FIXED {times}/{times}", 0)

    @property
    def _same(self) -> bool:
        """Whether the Gateway is known to be the one of the order file."""
        return UNKNOWN != self._world.digest == self._order.head.target_digest

    def _ended(self, line: str, code: int) -> Told:
        """Keep the trace so far of replays from which nothing can be concluded."""
        world = self._world
        fault = line.removeprefix("inconclusive: ")
        result = Result(
            scenario=world.scenario,
            target=world.target,
            world=world.name,
            verdict=judge([], [], [fault]),
            expected=self._order.head.outcome,
            as_expected=False,
            faults=(fault,),
            last_trace=self._last,
            seed=self._order.head.seed,
        )
        return _kept(line, code, result, self._reports)


async def _search_instead(job: Job, where: Where, reports: Path, *, checked: bool) -> Told:
    """Search the scenario; ``checked`` tells that all is there which the target requires on the wire."""
    model, wire = where.worlds(job)
    if wire is not None and not checked:
        await check(job.target, job.folder)
    limits = Limits(job.scenario.search.seconds, job.scenario.search.orders)
    async with wire or nullcontext() as world:
        result = job.attached_to(await Pair(model, world, limits).result())
    if INTERRUPTED in result.faults:
        return _kept(INTERRUPTED, INTERRUPT, result, reports)
    if result.findings:
        return _kept("STILL FAILING by another order", RACE, result, reports)
    if result.verdict.holds:
        covered = "; ".join(evidence.covered for evidence in result.verdict.evidence)
        return Told(f"FIXED (the order no longer exists; holds: {covered})", 0)
    return _kept(f"inconclusive: {result.verdict.reason}", INCONCLUSIVE, result, reports)


def _kept(line: str, code: int, result: Result, reports: Path) -> Told:
    """Write the report of a result and name its file; what was found is told even where there is no room for it."""
    try:
        folder = write(result, reports)
    except ReportUnwritable as error:
        return Told(f"{line}\nthe report can't be written: {error}", REPORT if code == INCONCLUSIVE else code)
    if result.findings:
        return Told(f"{line}: {folder}/order.txt", code)
    return Told(f"{line} ({folder}/trace.ndjson)" if result.last_trace is not None else line, code)
