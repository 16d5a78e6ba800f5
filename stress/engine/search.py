"""Searching one scenario on one target in one executor: schedules in, what they broke and how much was covered out."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import TYPE_CHECKING

from stress.checks import not_checked
from stress.config.scenario import Race
from stress.core.outcome_map import Outcomes
from stress.core.schedule import Schedule
from stress.core.verdict import Evidence, Sampled
from stress.engine.goals import shown
from stress.engine.prefetch import Prefetch
from stress.engine.running import WorkerCount, follow, follow_each, run_with
from stress.engine.small import make_small
from stress.engine.stopwatch import Stopwatch
from stress.engine.strategy import Covering, Draws, Sampler, covering_of, covers, sampler_of
from stress.engine.tally import Tally
from stress.executors.live.executor import LiveExecutor
from stress.report.events import Happening, Progress, Started
from stress.schedulers.auto import Auto
from stress.schedulers.dpor.scheduler import Dpor
from stress.schedulers.random_walk import Walk
from stress.schedulers.urw import Urw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.core.trace import Trace
    from stress.core.verdict import Violation
    from stress.engine.limits import Limits
    from stress.engine.running import Executor
    from stress.report.events import Finding
    from stress.schedulers.base import Scheduler
    from stress.schedulers.starts import Starts

_PROGRESS_SECONDS = 0.2
_CLOCK_SHARE = 0.5
_RANDOM_SCHEDULES = {"model": 200, "live": 50}
"""How many random schedules a search of a bundled Gateway has, by the executor; half of them in the quick profile."""
_OWN_RANDOM_SCHEDULES = 300
"""How many a search of a target that is not bundled has."""
_RANDOM_SHARE = 0.1
"""The part of the seconds of a search that is kept for random schedules."""
_STARTS = 3
"""How many starts of a deployment a search must be as long as for more of them to be started."""
CONFIRMATIONS = 3
"""How often a failing schedule is run again before it is reported."""
_SMALL_SHARE = 0.75
"""The part of the seconds that are left after the confirmations in which schedules are made small."""
INTERRUPTED = "interrupted"
"""The fault of a search that its user ended."""


@dataclass
class Covered:
    """What a search came to: failing schedules by invariant and by goal (``met``), coverage, why it ended early."""

    evidence: Evidence
    found: dict[str, Finding] = field(default_factory=dict)
    fault: str = ""
    last: Trace | None = None
    notes: list[str] = field(default_factory=list)
    outcomes: Outcomes = field(default_factory=Outcomes)
    stale: list[Schedule] = field(default_factory=list)
    met: dict[str, Finding] = field(default_factory=dict)


def expected_of(executor: Executor) -> tuple[str, ...]:
    """Name the invariants that the scenario expects this target to break; none where it must hold."""
    expected = executor.scenario.expect.get(executor.target.name, "holds")
    return tuple(expected.race) if isinstance(expected, Race) else ()


class Search:
    """Searches one scenario on one target in one executor, within its limits.

    With ``baseline`` the schedules of goals are tried first, and random schedules are run too, half of them drawn as a
    random walk, half of them uniformly among all schedules (URW): they show how likely each outcome is, and what the
    other search may have missed.
    """

    def __init__(
        self,
        executor: Executor,
        limits: Limits,
        *,
        tell: Callable[[Happening], None] = lambda _: None,
        baseline: bool = False,
    ) -> None:
        """Take the executor, which must have been entered, and the budget."""
        if isinstance(executor, LiveExecutor) and limits.seconds < _STARTS * executor.deployment.seconds:
            limits = limits._replace(workers=WorkerCount())  # to start more would take its user's time
        self._executor, self._limits, self._tell, self._baseline = executor, limits, tell, baseline
        self._expected = expected_of(executor)
        self._tally = Tally(executor, limits.seed)
        self._draws: list[Sampled] = []
        self._drawn = self._tried = self._left_out = 0
        self._stale: list[Schedule] = []
        self._explored: set[str] = set()
        self._watch, self._reported = Stopwatch(executor), time.monotonic()

    async def run(self, first: Sequence[Schedule | Scheduler] = (), examples: Sequence[Schedule] = ()) -> Covered:
        """Search until every expected invariant was seen broken, nothing is left, or the budget is spent.

        The schedules ``first`` are run before all others; one that can't be followed is a fault. So are ``examples``,
        which failed in another search: one that can't be followed any more, or passes, is stale, and nothing more.
        """
        executor = self._executor
        self._tell(Started(executor.scenario.name, executor.target.name, executor.name, self._limits.seconds))
        covering, replayed, aimed = (
            covering_of(executor, self._late),
            sum(isinstance(one, Schedule) for one in first),
            0,
        )
        try:
            for schedule in first:
                await self._take(await follow(schedule, executor))
            aimed = await self._aim() if self._baseline and not self._over() else 0
            await self._try(examples)
            known = self._tally.findings
            self._end_runs(self._searching - self._watch.seconds)
            if not self._limits.aim and not self._tally.settled:
                await self._search(covering)
                if self._baseline and not self._tally.fault and not self._tally.settled:
                    await self._run_random_schedules()
            self._end_runs(math.inf)
            self._tally.conclude()
            await self._shrink(known)
            if isinstance(executor, LiveExecutor):
                out, settle = executor.deployment.left_out, executor.learned.settle
                self._tally.notes += [f"fewer deployments side by side: {out}"] if out else []
                late = f"each run waits up to {settle:.2g} s after an answer for what is late"
                self._tally.notes += [late] if settle else []
                self._tally.notes += [*map(str, executor.learned.patterns.unsure), *executor.deployment.report()]
                idle = ", ".join(" ".join(one) for one in sorted(executor.learned.passing))
                self._tally.notes += [f"passed as work of no request: {idle}; `try` proposes the rule"] if idle else []
                head = " ".join(executor.learned.worker.head) if executor.learned.worker is not None else ""
                self._tally.notes += [f"worker:<replica> is what looks for work with {head}"] if head else []
            self._tally.notes += [self._tally.skipped.note] if self._tally.skipped else []
        except asyncio.CancelledError:
            self._tally.fault = INTERRUPTED
            self._tally.last = executor.abandoned(INTERRUPTED) or self._tally.last
        evidence = replace(self._evidence(covering, replayed), aimed=aimed)
        return Covered(
            evidence,
            self._tally.found,
            self._tally.fault,
            self._tally.last,
            self._tally.notes,
            self._tally.outcomes,
            self._stale,
            self._tally.met,
        )

    async def _aim(self) -> int:
        """Run the schedules of each goal until it is met; give how many were run. One may not be possible here."""
        followed = 0
        for name in self._tally.open:
            if name in self._tally.met:
                continue  # by the schedule of another one
            async with aclosing(shown(self._executor.scenario.races[name], self._executor)) as traces:
                async for trace in traces:
                    followed += 1
                    await self._take(trace)
                    if name in self._tally.met or self._spoilt or self._over():
                        break
        return followed

    async def _try(self, examples: Sequence[Schedule]) -> None:
        for schedule in examples:
            if self._enough():
                return
            trace = await follow(schedule, self._executor)
            if trace.fault.startswith("DIVERGED"):
                self._stale.append(schedule)
                continue
            if self._tally.skips(trace):
                continue
            self._tried += 1
            if not await self._take(trace) and not self._tally.fault:
                self._stale.append(schedule)

    async def _search(self, covering: Starts[Covering]) -> None:
        kind = self._executor.scenario.search.scheduler
        if covers(kind):
            await self._explore(covering)
        if kind == "hypothesis":
            self._drawn = drawn = await self._draw()
            self._draws.append(Sampled(kind, drawn, int(bool(self._tally.found)), len(self._tally.outcomes.rows)))
        elif not covers(kind) or (kind == "auto" and not covering.scheduler.exhausted):
            self._drawn += await self._sample(sampler_of(self._executor, self._limits.drawing(), self._skip))

    @property
    def _skip(self) -> frozenset[str]:
        """The actors that are never drawn: on the wire the clock takes up to a real second."""
        return frozenset({"clock"}) if self._executor.name == "live" else frozenset()

    async def _run_random_schedules(self) -> None:
        """Run random schedules, if there is time: how likely is what was found, and do they show what was not?"""
        if self._tally.ran and self._spent():
            return
        most = _RANDOM_SCHEDULES[self._executor.name] // (2 if self._limits.proof else 1)
        if self._executor.target.protocol is None:
            most = _OWN_RANDOM_SCHEDULES
        most = min(most, max(0, self._limits.schedules - self._tally.ran))
        share = _RANDOM_SHARE * self._searching / 2
        drawn = {one.scheduler for one in self._draws}
        if Walk.name not in drawn:
            await self._walk(most - most // 2, time.monotonic() + share)
        if Urw.name not in drawn and most > 1:
            urw = Urw(self._limits.drawing(), most // 2, skip=self._skip)
            await self._sample(urw, time.monotonic() + share)

    async def _walk(self, most: int, until: float) -> None:
        """Run random walks, several beside each other: one does not depend on another."""
        drawn = Draws(self._executor)
        walks = (Walk(self._limits.drawing(number), 1, skip=self._skip) for number in range(most))
        schedules = takewhile(lambda _: not self._spoilt and time.monotonic() < until, walks)
        async with aclosing(follow_each(schedules, self._executor, self._limits.workers.busy)) as traces:
            async for trace in traces:
                if not self._tally.skips(trace, beside=True):
                    drawn.add(trace, await self._take(trace, drawn=True, news=self._news))
        if drawn.schedules:
            self._draws.append(drawn.by(Walk(0)))

    def _beside(self, scheduler: Covering) -> str:
        """Name the schedule that broke what no schedule of an exhausted search did; empty where there is none."""
        if not scheduler.exhausted:
            return ""
        missed = [finding for name, finding in self._tally.found.items() if name not in self._explored]
        return missed[0].schedule.actors if missed else ""

    def _evidence(self, covering: Starts[Covering], replayed: int) -> Evidence:
        executor, scheduler = self._executor, covering.scheduler
        auto = scheduler if isinstance(scheduler, Auto) else None
        classes = auto.classes if auto else scheduler.explored if isinstance(scheduler, Dpor) else None
        beside, shared = self._beside(scheduler), self._tally.shared_connection
        differs = self._tally.behaviour.contradiction
        idle = executor.learned.unsteered if isinstance(executor, LiveExecutor) else ()
        known = executor.learned.worker if isinstance(executor, LiveExecutor) else None
        worker = " ".join(known.head) if known is not None else ""
        unsteered = tuple(" ".join(one) for one in sorted(idle))
        skipped = self._left_out
        other = differs or shared or unsteered or worker or self._tally.polling
        exhausted = scheduler.exhausted and not beside and not other and not skipped
        return Evidence(
            executor=executor.name,
            scheduler=executor.scenario.search.scheduler,
            schedules=covering.before + scheduler.schedules,
            seconds=self._watch.seconds,
            exhausted=exhausted,
            beside=beside,
            differs=differs,
            shared_connection=shared,
            unsteered=unsteered,
            worker=worker,
            pipelines=tuple(sorted(self._tally.pipelines)),
            in_order=scheduler.exhausted and bool(other) and not beside and not skipped,
            skipped=skipped,
            polling=self._tally.polling,
            total=(auto and auto.total) or scheduler.schedules if exhausted else None,
            classes=classes,
            bound=None if isinstance(scheduler, Dpor) else scheduler.bound,
            sampled=self._drawn,
            replayed=replayed,
            tried=self._tried,
            stopped=bool(self._tally.found),
            outcomes=len(self._tally.outcomes.rows),
            clock_schedules=scheduler.clock_schedules,
            clock_cut=not isinstance(scheduler, Dpor) and scheduler.clock_cut and not skipped,
            shared_only=True,
            not_checked=not_checked(executor.scenario.invariants, self._tally.last) if self._tally.last else (),
            renamed=auto is not None and auto.renamed,
            draws=tuple(self._draws),
        )

    def _end_runs(self, seconds: float) -> None:
        """Let no run go on for long after so many seconds from now."""
        if isinstance(self._executor, LiveExecutor):
            self._executor.pace.end(seconds)

    def _late(self) -> bool:
        return self._limits.timed and self._spent(_CLOCK_SHARE)

    @property
    def _searching(self) -> float:
        """For how many seconds schedules are searched."""
        return self._limits.seconds - self._limits.kept

    def _spent(self, share: float = 1.0) -> bool:
        return self._watch.seconds > share * self._searching

    @property
    def _spoilt(self) -> bool:
        """Whether nothing more may be concluded, or from too few runs."""
        return bool(self._tally.fault) or self._tally.skipped.too_many

    def _enough(self) -> bool:
        """Return whether to stop; however little time there is, one schedule is run."""
        seen = bool(self._expected) and set(self._expected) <= set(self._tally.found)
        surprised = bool(set(self._tally.found) - set(self._expected)) and not self._tally.open
        return self._spoilt or seen or surprised or self._over()

    @property
    def _news(self) -> bool:
        """Whether a failing schedule is of interest that was drawn beside the search."""
        return not self._tally.found or bool(self._tally.open)

    def _over(self) -> bool:
        ran = self._tally.ran
        kept = _RANDOM_SHARE if self._baseline else 0.0
        return self._tally.cut_off or ran >= self._limits.schedules or (ran > 0 and self._spent(1.0 - kept))

    async def _explore(self, scheduler: Starts[Covering]) -> None:
        prefetch = Prefetch(self._executor, self._limits.workers, self._enough)
        while not self._enough() and not self._untimed(scheduler.scheduler) and scheduler.more():
            left = self._limits.schedules - self._tally.ran - 1
            trace = await prefetch.run(scheduler, scheduler.scheduler, left)
            if self._tally.skips(trace):
                self._left_out += 1
                scheduler.skip()
                continue
            self._explored |= {one.invariant for one in await self._take(trace)}
            if not self._tally.fault:
                scheduler.learn(trace)

    def _untimed(self, scheduler: Covering) -> bool:
        """Return whether only schedules are left in which the clock moves, and those are not wanted."""
        return not self._limits.timed and not isinstance(scheduler, Dpor) and scheduler.clock_cut

    async def _sample(self, sampler: Sampler, until: float = math.inf) -> int:
        """Run the schedules of a sampler while the budget, or the time for it, lasts; give how many."""
        drawn, walks, beside = Draws(self._executor), sampler.name == Walk.name, until < math.inf

        def over() -> bool:
            return self._spoilt or time.monotonic() > until if beside else self._enough()

        while not over() and sampler.more():
            trace = await run_with(sampler, self._executor)
            if self._tally.skips(trace, beside=beside):
                continue
            drawn.add(trace, await self._take(trace, drawn=walks, news=self._news or not beside))
            if not self._tally.fault:
                sampler.learn(trace)
        if drawn.schedules:
            self._draws.append(drawn.by(sampler))
        return drawn.schedules

    async def _draw(self) -> int:
        """Let hypothesis draw and shrink schedules, once for each invariant that may break; give how many were run."""
        from stress.engine.draw import Draw  # noqa: PLC0415 - hypothesis takes half a second to import

        before = self._tally.ran
        while not self._enough():
            missing = [name for name in self._expected if name not in self._tally.found]
            names, seed = missing or self._executor.scenario.invariants, self._limits.drawing(self._tally.ran)
            draw = Draw(self._executor, names, seed, self._tally.skips)
            until = time.monotonic() + self._searching - self._watch.seconds
            trace = await draw.run(self._limits.schedules - self._tally.ran, until)
            self._tally.ran += draw.ran
            if trace is None:
                break
            await self._take(trace)
        return self._tally.ran - before

    async def _shrink(self, known: Sequence[Finding]) -> None:
        """Make the schedules small that were drawn at random; an exhaustive search has begun with the smallest.

        Together they may take what the confirmations leave of the time, and a part of that is for the passing
        schedules.
        """
        drawn = [finding for finding in self._tally.findings if finding not in known]
        left = self._limits.seconds - self._watch.seconds - CONFIRMATIONS * sum(one.trace.seconds for one in drawn)
        for finding in drawn:
            await make_small(self._tally, finding, self._executor, max(0.0, left) * _SMALL_SHARE / len(drawn))

    async def _take(self, trace: Trace, *, drawn: bool = False, news: bool = True) -> tuple[Violation, ...]:
        """Judge one run, and show where the search stands."""
        broken = await self._tally.take(trace, drawn=drawn, news=news)
        await self._progress()
        return broken

    async def _progress(self) -> None:
        now = time.monotonic()
        if now - self._reported < _PROGRESS_SECONDS:
            return
        self._reported = now
        await asyncio.sleep(0)  # in the model nothing else lets Ctrl-C through
        spent, executor = self._watch.seconds, self._executor
        left = max(0.0, self._limits.seconds - spent)
        rate = self._tally.ran / spent
        names = (executor.scenario.name, executor.target.name, executor.name)
        self._tell(Progress(*names, self._tally.ran, rate, len(self._tally.outcomes.rows), left))
