"""Following the order of a file again: does the Gateway still fail?"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from contextlib import aclosing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from stress.checks import run_checks
from stress.core.errors import Untested, UsageFault
from stress.core.exits import INCONCLUSIVE, INTERRUPT, RACE, REPORT
from stress.core.trace import CutOff
from stress.core.verdict import judge
from stress.engine.bursts import burst_again
from stress.engine.campaign import PREFLIGHT_SECONDS, Where
from stress.engine.case import Pair
from stress.engine.limits import Limits
from stress.engine.repeated import Repeated
from stress.engine.running import Workers, beside, doubt, follow, follow_each, follow_restarted
from stress.engine.search import CONFIRMATIONS, INTERRUPTED
from stress.engine.stopwatch import Stopwatch
from stress.executors.identity import UNKNOWN
from stress.executors.live.executor import WireWorld
from stress.processes.needed import check
from stress.report.events import Result
from stress.report.folder import ReportUnwritable, write
from stress.schedulers.interleaving import Interleaving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Sequence
    from contextlib import AbstractAsyncContextManager

    from stress.core.schedule import Order
    from stress.core.trace import Trace
    from stress.engine.campaign import Job
    from stress.engine.running import World


class Wanted(NamedTuple):
    """How often an order is to be followed, and for how many seconds at most; where None, as the scenario is searched.

    They count from the first request to the verdict, without starts and ends of processes. However few they are, one
    replay is made.
    """

    times: int = 1
    seconds: float | None = None


class Told(NamedTuple):
    """What a replay came to: a line for the user, and the exit code."""

    line: str
    code: int

    def above(self, lines: Sequence[str]) -> Told:
        """Give the same with more lines below."""
        return self._replace(line="\n".join([self.line, *lines]))


async def replay(order: Order, job: Job, wanted: Wanted, where: Where, reports: Path = Path("reports")) -> Told:
    """Follow an order as often as ``wanted``; a run that ends with a fault leaves its trace below ``reports``.

    Where the Gateway does not allow the order (any more), its scenario is searched instead.

    Raises:
        Unavailable: when the store or a Gateway does not start, or what the target requires is not there.

    """
    name = where.world or ("model" if order.head.world == "model" else "wire")
    model, wire = Where(name, where.allow).worlds(job)
    if wire is not None:
        await check(job.target, job.folder)
    seconds = math.inf if wanted.seconds is None else wanted.seconds
    try:
        async with _within(wire, seconds) as world:
            if order.head.bursts and world is not None:
                return Told(*await burst_again(order, world, seconds))
            replays = _Replays(order, world or cast("World", model), wanted, reports, Workers.chosen(where.workers))
            told = await replays.told()
            left = max(1.0, seconds - replays.watch.seconds)
        if told is not None:
            return told
        told = await _search_instead(job, where, reports, left, checked=wire is not None)
        return told.above(replays.why_searched(told.code))
    except Untested as error:
        return Told(f"inconclusive: {error}", INCONCLUSIVE)
    except UsageFault as fault:  # requests one after another show what is wrong in the target's file
        return Told("\n".join(f"inconclusive: {one}" for one in fault.faults), INCONCLUSIVE)


def _within(wire: WireWorld | None, seconds: float) -> AbstractAsyncContextManager[WireWorld | None]:
    """Give a world to enter whose preflight may take so many seconds, and a few at least."""
    if wire is None:
        return nullcontext()
    wire.most_seconds = max(seconds, PREFLIGHT_SECONDS)
    return wire


class _Replays:
    """Follows one order several times in one world; ``watch`` counts the seconds."""

    def __init__(self, order: Order, world: World, wanted: Wanted, reports: Path, workers: Workers) -> None:
        self._order, self._world, self._wanted, self._reports = order, world, wanted, reports
        self._times = wanted.times
        self.watch = Stopwatch(world, world.preflight_seconds if isinstance(world, WireWorld) else 0.0)
        self._workers = workers.of(order.moves)
        self._tally = Repeated(frozenset(order.head.outcome.split()[1:]))
        self._last: Trace | None = None
        self._diverged, self._again = "", False

    async def told(self) -> Told | None:
        """Count how often the order fails; None when it can't be followed, and never failed before that was seen."""
        tally = self._tally
        if self._wanted.seconds is not None and isinstance(self._world, WireWorld):
            self._world.pace.end(max(0.0, self._wanted.seconds - self.watch.seconds))
        try:
            async with aclosing(self._traces(tally.stories)) as traces:
                async for followed in traces:
                    trace = await self._once_more(followed)
                    self._last = trace
                    fault = trace.fault or doubt(trace, self._world)
                    if isinstance(trace.fault, CutOff) and tally.done:
                        break
                    if fault.startswith("DIVERGED") and not tally.failed:
                        self._diverged = fault
                        return None
                    if fault:
                        before = f"failed {tally.failed} of {tally.done}, then " if tally.failed else ""
                        return self._ended(f"inconclusive: {before}{fault}", INCONCLUSIVE)
                    tally.add(trace, run_checks(self._world.scenario.invariants, trace))
                    await asyncio.sleep(0)
                    if self._over:
                        break
            if tally.failed and not tally.accepted:  # does it accept a request that comes alone?
                tally.accepted = (await follow(Interleaving(()), self._world)).accepted_any
        except asyncio.CancelledError:
            self._last = self._world.abandoned(INTERRUPTED) or self._last
            return self._ended(f"{INTERRUPTED}: failed {tally.failed} of {tally.done}", INTERRUPT)
        line, code = tally.counted()
        told = self._ended(line, code) if code == INCONCLUSIVE else Told(line, code)
        return told.above([*self._cut_short(), *tally.details()])

    async def _once_more(self, trace: Trace) -> Trace:
        """Follow an order that can't be followed once more in new processes: one may have begun unlike all others."""
        first = not (self._tally.done or self._again)
        if not first or not trace.fault.startswith("DIVERGED"):
            return trace
        self._again = True
        return await follow_restarted(self._order, self._world)

    @property
    def _over(self) -> bool:
        return self._wanted.seconds is not None and self.watch.seconds > self._wanted.seconds

    def _cut_short(self) -> list[str]:
        """Say that there were fewer replays than wanted, as the time was over."""
        done, wanted = self._tally.done, self._wanted
        return [f"after {wanted.seconds:g} s, of {wanted.times} replays"] if done < wanted.times else []

    def why_searched(self, code: int) -> list[str]:
        """Say what a user may wonder at when a search was made instead and ended with this exit code."""
        if code in (INCONCLUSIVE, RACE):
            return [f"searched because the order can't be followed: {self._diverged}"]
        same = UNKNOWN != self._world.digest == self._order.head.target_digest
        return ["no file of the Gateway has changed since the order was found"] if same and not code else []

    async def _traces(self, stories: Collection[object]) -> AsyncGenerator[Trace]:
        """Follow the order alone at first, unless it sleeps until the clock moves; then several beside each other.

        One beside others that tells something else than the ``stories`` so far, or than most where none was followed
        alone, is followed alone instead. Where the order needs its own value, it is followed in new processes each
        time; the first are new already.
        """
        if self._order.head.fresh:
            yield await follow(self._order, self._world)
            for _ in range(1, self._times):
                yield await follow_restarted(self._order, self._world)
            return
        timed = any(move.actor == "clock" for move in self._order.moves)
        left = self._times
        for _ in range(0 if timed else min(self._times, CONFIRMATIONS)):
            left -= 1
            yield await follow(self._order, self._world)
        if len(stories) <= 1 and len(await beside(self._world, min(self._workers, left))) > 1:
            async with aclosing(self._together(left, frozenset(stories))) as traces:
                async for trace in traces:
                    left -= 1
                    yield trace
        for _ in range(left):
            yield await follow(self._order, self._world)

    async def _together(self, times: int, stories: Collection[object]) -> AsyncGenerator[Trace]:
        """Give the traces of replays beside each other that tell one of the stories, else what most of them tell."""
        kept: list[Trace] = []
        async with aclosing(follow_each([self._order] * times, self._world, self._workers)) as traces:
            async for trace in traces:
                if trace.signature in stories and not trace.fault:
                    yield trace
                elif not stories and not trace.fault:
                    kept.append(trace)
                elif not stories and not kept:
                    return  # it may be one that can't be followed
        most = Counter(trace.signature for trace in kept).most_common(1)
        for trace in kept:
            if trace.signature == most[0][0]:
                yield trace

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


async def _search_instead(job: Job, where: Where, reports: Path, seconds: float, *, checked: bool) -> Told:
    """Search the scenario for so many seconds at most, by default for as long as it says.

    ``checked`` tells that all is there which the target requires on the wire.
    """
    model, wire = where.worlds(job)
    if wire is not None and not checked:
        await check(job.target, job.folder)
    search = job.scenario.search
    given = search.seconds if seconds == math.inf else seconds
    limits = Limits(given, search.orders, workers=Workers.chosen(where.workers))
    async with _within(wire, seconds) as world:
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
