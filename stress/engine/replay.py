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
from stress.engine.bursts import repeat_burst
from stress.engine.campaign import PREFLIGHT_SECONDS, Where
from stress.engine.case import Case
from stress.engine.limits import Limits
from stress.engine.repeated import Repeated
from stress.engine.running import WorkerCount, beside, doubt, follow, follow_each, follow_restarted
from stress.engine.search import CONFIRMATIONS, INTERRUPTED
from stress.engine.stopwatch import Stopwatch
from stress.executors.identity import UNKNOWN
from stress.executors.live.executor import LiveExecutor
from stress.processes.needed import check
from stress.report.events import Result
from stress.report.folder import ReportUnwritable, write
from stress.schedulers.interleaving import Interleaving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Sequence
    from contextlib import AbstractAsyncContextManager

    from stress.core.schedule import Schedule
    from stress.core.trace import Trace
    from stress.engine.campaign import Job
    from stress.engine.running import Executor


class Repetitions(NamedTuple):
    """How often to follow a schedule, and for how many seconds at most; where None, as the scenario is searched.

    They count from the first request to the verdict, without starts and ends of processes. However few they are, one
    replay is made.
    """

    times: int = 1
    seconds: float | None = None


class Conclusion(NamedTuple):
    """What a replay came to: a line for the user, and the exit code."""

    line: str
    code: int

    def above(self, lines: Sequence[str]) -> Conclusion:
        """Give the same with more lines below."""
        return self._replace(line="\n".join([self.line, *lines]))


async def replay(
    schedule: Schedule, job: Job, wanted: Repetitions, where: Where, reports: Path = Path("reports")
) -> Conclusion:
    """Follow a schedule as often as ``wanted``; a run that ends with a fault leaves its trace below ``reports``.

    Where the Gateway does not allow the schedule (any more), its scenario is searched instead.

    Raises:
        Unavailable: when the store or a Gateway does not start, or what the target requires is not there.

    """
    name = where.executor or ("model" if schedule.head.executor == "model" else "live")
    model, wire = Where(name, where.allow).executors(job)
    if wire is not None:
        await check(job.target, job.folder)
    seconds = math.inf if wanted.seconds is None else wanted.seconds
    try:
        async with _within(wire, seconds) as executor:
            if schedule.head.bursts and executor is not None:
                return Conclusion(*await repeat_burst(schedule, executor, seconds))
            replays = _Replays(
                schedule, executor or cast("Executor", model), wanted, reports, WorkerCount.chosen(where.workers)
            )
            conclusion = await replays.conclusion()
            left = max(1.0, seconds - replays.watch.seconds)
        if conclusion is not None:
            return conclusion
        conclusion = await _search_instead(job, where, reports, left, checked=wire is not None)
        return conclusion.above(replays.why_searched(conclusion.code))
    except Untested as error:
        return Conclusion(f"inconclusive: {error}", INCONCLUSIVE)
    except UsageFault as fault:  # requests one after another show what is wrong in the target's file
        return Conclusion("\n".join(f"inconclusive: {one}" for one in fault.faults), INCONCLUSIVE)


def _within(wire: LiveExecutor | None, seconds: float) -> AbstractAsyncContextManager[LiveExecutor | None]:
    """Give an executor to enter whose preflight may take so many seconds, and a few at least."""
    if wire is None:
        return nullcontext()
    wire.most_seconds = max(seconds, PREFLIGHT_SECONDS)
    return wire


class _Replays:
    """Follows one schedule several times in one executor; ``watch`` counts the seconds."""

    def __init__(
        self, schedule: Schedule, executor: Executor, wanted: Repetitions, reports: Path, workers: WorkerCount
    ) -> None:
        self._schedule, self._executor, self._wanted, self._reports = schedule, executor, wanted, reports
        self._times = wanted.times
        self.watch = Stopwatch(executor, executor.preflight_seconds if isinstance(executor, LiveExecutor) else 0.0)
        self._workers = workers.of(schedule.moves)
        self._tally = Repeated(frozenset(schedule.head.outcome.split()[1:]))
        self._last: Trace | None = None
        self._diverged, self._retried = "", False

    async def conclusion(self) -> Conclusion | None:
        """Count how often the schedule fails; None when it can't be followed, and never failed before that was seen."""
        tally = self._tally
        if self._wanted.seconds is not None and isinstance(self._executor, LiveExecutor):
            self._executor.pace.end(max(0.0, self._wanted.seconds - self.watch.seconds))
        try:
            async with aclosing(self._traces(tally.stories)) as traces:
                async for followed in traces:
                    trace = await self._once_more(followed)
                    self._last = trace
                    fault = trace.fault or doubt(trace, self._executor)
                    if isinstance(trace.fault, CutOff) and tally.done:
                        break
                    if fault.startswith("DIVERGED") and not tally.failed:
                        self._diverged = fault
                        return None
                    if fault:
                        before = f"failed {tally.failed} of {tally.done}, then " if tally.failed else ""
                        return self._ended(f"inconclusive: {before}{fault}", INCONCLUSIVE)
                    tally.add(trace, run_checks(self._executor.scenario.invariants, trace))
                    await asyncio.sleep(0)
                    if self._over:
                        break
            if tally.failed and not tally.accepted:  # does it accept a request that comes alone?
                tally.accepted = (await follow(Interleaving(()), self._executor)).accepted_any
        except asyncio.CancelledError:
            self._last = self._executor.abandoned(INTERRUPTED) or self._last
            return self._ended(f"{INTERRUPTED}: failed {tally.failed} of {tally.done}", INTERRUPT)
        line, code = tally.counted()
        conclusion = self._ended(line, code) if code == INCONCLUSIVE else Conclusion(line, code)
        return conclusion.above([*self._cut_short(), *tally.details()])

    async def _once_more(self, trace: Trace) -> Trace:
        """Follow a schedule that can't be followed once more in new processes: one may have begun unlike all others."""
        first = not (self._tally.done or self._retried)
        if not first or not trace.fault.startswith("DIVERGED"):
            return trace
        self._retried = True
        return await follow_restarted(self._schedule, self._executor)

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
            return [f"searched because the schedule can't be followed: {self._diverged}"]
        same = UNKNOWN != self._executor.digest == self._schedule.head.target_digest
        return ["no file of the Gateway has changed since the schedule was found"] if same and not code else []

    async def _traces(self, stories: Collection[object]) -> AsyncGenerator[Trace]:
        """Follow the schedule alone at first, unless it sleeps until the clock moves; then several beside each other.

        One beside others that ends otherwise than the ``stories`` so far, or than most where none was followed
        alone, is followed alone instead. Where the schedule needs its own value, it is followed in new processes each
        time; the first are new already.
        """
        if self._schedule.head.fresh:
            yield await follow(self._schedule, self._executor)
            for _ in range(1, self._times):
                yield await follow_restarted(self._schedule, self._executor)
            return
        timed = any(move.actor == "clock" for move in self._schedule.moves)
        left = self._times
        for _ in range(0 if timed else min(self._times, CONFIRMATIONS)):
            left -= 1
            yield await follow(self._schedule, self._executor)
        if len(stories) <= 1 and len(await beside(self._executor, min(self._workers, left))) > 1:
            async with aclosing(self._together(left, frozenset(stories))) as traces:
                async for trace in traces:
                    left -= 1
                    yield trace
        for _ in range(left):
            yield await follow(self._schedule, self._executor)

    async def _together(self, times: int, stories: Collection[object]) -> AsyncGenerator[Trace]:
        """Give the traces of replays beside each other that end as one of the stories, else as most of them end."""
        kept: list[Trace] = []
        async with aclosing(follow_each([self._schedule] * times, self._executor, self._workers)) as traces:
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

    def _ended(self, line: str, code: int) -> Conclusion:
        """Keep the trace so far of replays from which nothing can be concluded."""
        executor = self._executor
        fault = line.removeprefix("inconclusive: ")
        result = Result(
            scenario=executor.scenario,
            target=executor.target,
            executor=executor.name,
            verdict=judge([], [], [fault]),
            expected=self._schedule.head.outcome,
            as_expected=False,
            faults=(fault,),
            last_trace=self._last,
            seed=self._schedule.head.seed,
        )
        return _kept(line, code, result, self._reports)


async def _search_instead(job: Job, where: Where, reports: Path, seconds: float, *, checked: bool) -> Conclusion:
    """Search the scenario for so many seconds at most, by default for as long as it says.

    ``checked`` says that all is there which the target requires on the wire.
    """
    model, wire = where.executors(job)
    if wire is not None and not checked:
        await check(job.target, job.folder)
    search = job.scenario.search
    given = search.seconds if seconds == math.inf else seconds
    limits = Limits(given, search.schedules, workers=WorkerCount.chosen(where.workers))
    async with _within(wire, seconds) as executor:
        result = job.attached_to(await Case(model, executor, limits).result())
    if INTERRUPTED in result.faults:
        return _kept(INTERRUPTED, INTERRUPT, result, reports)
    if result.findings:
        return _kept("STILL FAILING by another schedule", RACE, result, reports)
    if result.verdict.holds:
        covered = "; ".join(evidence.covered for evidence in result.verdict.evidence)
        return Conclusion(f"FIXED (the schedule no longer exists; holds: {covered})", 0)
    return _kept(f"inconclusive: {result.verdict.reason}", INCONCLUSIVE, result, reports)


def _kept(line: str, code: int, result: Result, reports: Path) -> Conclusion:
    """Write the report of a result and name its file; what was found is reported even where there is no room for it."""
    try:
        folder = write(result, reports)
    except ReportUnwritable as error:
        return Conclusion(f"{line}\nthe report can't be written: {error}", REPORT if code == INCONCLUSIVE else code)
    if result.findings:
        return Conclusion(f"{line}: {folder}/schedule.txt", code)
    return Conclusion(f"{line} ({folder}/trace.ndjson)" if result.last_trace is not None else line, code)
