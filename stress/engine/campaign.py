"""All cases of a run, one after another, within one budget; their reports, and the exit code that they come to."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import click

from stress.config.formats import find, is_bundled
from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.core.errors import Unavailable, Untested, UsageFault
from stress.core.exits import INCONCLUSIVE, INTERRUPT, NOT_FOUND, OWN_BUG, RACE, REPORT, UNAVAILABLE, USAGE
from stress.core.letters import letters
from stress.core.masking import clean_lines, mask_text, name_secrets, printed
from stress.core.verdict import judge
from stress.engine.case import Case
from stress.engine.codes import code_of, missed
from stress.engine.deployments import Shared
from stress.engine.example_database import NOTHING, Earlier, Nothing
from stress.engine.limits import Limits
from stress.engine.regressions import regressions
from stress.engine.running import WorkerCount
from stress.engine.search import INTERRUPTED
from stress.engine.shard import places, remember
from stress.executors.live.deployment import Deployment
from stress.executors.live.executor import LiveExecutor
from stress.executors.model.executor import ModelExecutor
from stress.processes.needed import check
from stress.report.events import Finished, Result
from stress.report.folder import ReportUnwritable, document, write, write_summary
from stress.report.terminal import Terminal
from stress.schedulers.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from stress.core.errors import Fault
    from stress.core.schedule import Schedule
    from stress.engine.example_database import Examples
    from stress.engine.shard import Shard
    from stress.report.events import Happening

_SEVEREST_FIRST = (INTERRUPT, OWN_BUG, RACE, USAGE, UNAVAILABLE, REPORT, INCONCLUSIVE, NOT_FOUND)
_STOPS: dict[type[Exception], tuple[str, int]] = {
    UsageFault: ("", USAGE),
    Unavailable: ("unavailable: ", UNAVAILABLE),
    Untested: ("inconclusive: ", INCONCLUSIVE),
}
"""What ends one case before its search, while others go on: how it is reported, and its exit code."""
_CLOCK_WEIGHT = 16
_PROOF_SECONDS = 5.0
"""What the model may have in the quick profile: most need a tenth of a second, and none ends for want of a moment."""
PREFLIGHT_SECONDS = 5.0
"""How long requests before a search may take, however short it is."""
_STARTS_AT_ONCE = 2
"""How many targets start at the same time: the one that is wanted next must not wait for all others."""
_STARTED_EARLY = 2
"""How many targets beyond the one that is searched are made ready: a start takes longer than many a search."""

Written = TypeVar("Written")


class Job(NamedTuple):
    """One scenario, the target to search it on, and the folder of that target's file.

    ``attachments`` are the texts of those files that are not bundled, for schedule files that are replayed elsewhere.
    """

    scenario: Scenario
    target: Target
    folder: Path
    attachments: tuple[tuple[str, str], ...] = ()

    @classmethod
    def load(cls, scenario: str, target: str) -> Job:
        """Find and read both files; their texts are attached by paths relative to where we are.

        Raises:
            UsageFault: with one fault for each thing that is wrong.

        """
        paths = {"scenario": find(scenario, ""), "target": find(target, "targets")}
        file = paths["target"]
        job = cls(Scenario.load(paths["scenario"]), Target.load(file), file.parent)
        name_secrets((), but=[job.scenario.name, job.target.name])
        texts = {kind: path for kind, path in paths.items() if path.is_file() and not is_bundled(path)}
        attachments = ((f"{kind} {os.path.relpath(path)}", mask_text(path.read_text())) for kind, path in texts.items())
        return job._replace(attachments=tuple(attachments))

    def attached_to(self, result: Result) -> Result:
        """Attach the texts of the files to each schedule that was found."""
        findings = [
            replace(one, schedule=replace(one.schedule, attachments=self.attachments)) for one in result.findings
        ]
        bare = result.unordered
        unordered = bare and bare._replace(schedule=replace(bare.schedule, attachments=self.attachments))
        return replace(result, findings=tuple(findings), unordered=unordered)


class Budget(NamedTuple):
    """What a run may spend: seconds for all cases, or seconds and schedules for each; or one ``schedule``."""

    total: float | None
    seconds: float | None
    schedules: int | None
    seed: int
    schedule: str = ""

    def share(self, jobs: Sequence[Job], spent: float, *, aim: bool = False) -> Limits:
        """Give the limits of the first of the ``jobs`` still to be run: by weight, with what others left over.

        To ``aim`` at goals takes little, and of all the same.
        """
        first = jobs[0]
        seconds, proof = self.seconds or first.scenario.search.seconds, 0.0
        if self.total is not None:
            proof = _PROOF_SECONDS
            weights = [1 if aim else _weight(job) for job in jobs]
            seconds = max(1.0, (self.total - spent) * weights[0] / sum(weights))
        if self.schedule:
            return Limits(seconds, 1, self.seed)
        return Limits(seconds, self.schedules or first.scenario.search.schedules, self.seed, proof=proof, aim=aim)


def _weight(job: Job) -> int:
    """Weigh what a case costs: more requests have more schedules, and a move of the clock takes up to a real second."""
    timed = "clock" in job.scenario.actors and job.target.second == "matters"
    return job.scenario.concurrent * (_CLOCK_WEIGHT if timed else 1)


class Where(NamedTuple):
    """Where cases are searched: ``executor`` is wire, model, both, or empty (both where the target has both).

    ``allow`` are hosts other than this machine that traffic may go to. ``workers`` is how many deployments of a target
    run side by side (None: as many as the machine is good for).
    """

    executor: str = ""
    allow: frozenset[str] = frozenset()
    workers: int | None = None

    def wanted(self, job: Job) -> str:
        """Name the executor or executors that a case is searched in."""
        return self.executor or ("both" if job.target.protocol is not None else "live")

    def executors(
        self, job: Job, deployment: Deployment | None = None
    ) -> tuple[ModelExecutor | None, LiveExecutor | None]:
        """Make the executors of one case; a ``deployment`` of its target that is ready is used.

        Raises:
            UsageFault: when the target can't play the scenario.

        """
        wanted = self.wanted(job)
        model = ModelExecutor(job.scenario, job.target) if wanted != "live" else None
        wire = LiveExecutor(job.scenario, job.target, job.folder, self.allow, deployment) if wanted != "model" else None
        return model, wire


EVERYWHERE = Where()
"""Each case in the executors that its target has."""


class CaseRecord(NamedTuple):
    """What became of one case, and the folder of its files (None where they could not be written)."""

    job: Job
    result: Result
    folder: Path | None


@dataclass
class Campaign:
    """Searches cases and reports them, one target after another, so that its cases share its processes.

    ``examples`` is where failing schedules are kept; with ``require`` a case that holds must have been exhausted. Only
    a run that is no ``shard`` keeps what each case took, as all shards must be dealt out by the same.
    """

    jobs: Sequence[Job]
    budget: Budget
    where: Where
    reports: Path
    as_json: bool = False
    require: str = ""
    shard: bool = False
    examples: Examples = field(default_factory=Nothing)
    kept: list[CaseRecord] = field(default_factory=list)
    codes: set[int] = field(default_factory=set)
    terminal: Terminal = field(default_factory=Terminal)
    _examined: dict[tuple[Path, str], Unavailable | None] = field(default_factory=dict, init=False)

    async def run(self) -> int:
        """Run all cases; give the exit code. A user who interrupts it gets the reports of what was done.

        Raises:
            UsageFault: when a target can't play a scenario; one that only requests show ends its own case alone.

        """
        self._check()
        self._begun = time.monotonic()
        groups = _by_target(self.jobs)
        turns = asyncio.Semaphore(_STARTS_AT_ONCE)
        shared = [Shared(partial(self._deployment, group[0]), turns) for group in groups]
        ended: list[asyncio.Task[None]] = []
        try:
            for number, group in enumerate(groups):
                for later in range(number, min(number + _STARTED_EARLY + 1, len(groups))):
                    if groups[later][0].target.protocol is not None:
                        shared[later].begin()  # a bundled Gateway starts while others run
                for job in await self._aim(group, shared[number]):
                    self._keep(job, await self._search(job, shared[number]))
                ended.append(asyncio.create_task(shared[number].__aexit__()))  # and ends while others run
        except asyncio.CancelledError:
            self.codes.add(INTERRUPT)
        finally:
            for task in ended:
                await task
            for one in shared:
                await one.__aexit__()
        for note in dict.fromkeys(note for one in shared for note in one.notes):
            self._say(note)
        return self._end()

    def _check(self) -> None:
        """Find what is wrong with any case before the first one is searched."""
        faults: dict[Fault, None] = {}
        for job in self.jobs:
            try:
                self.where.executors(job)
                regressions(job)
            except UsageFault as fault:
                faults |= dict.fromkeys(fault.faults)
        if faults:
            raise UsageFault(list(faults))

    def _deployment(self, job: Job) -> Deployment:
        return Deployment(job.target, job.folder, self.where.allow)

    async def _aim(self, group: Sequence[Job], shared: Shared) -> Sequence[Job]:
        """Run the schedules of the goals of all cases before any is searched; give those cases that are left.

        With one case, or where each has seconds of its own, its search begins with them anyway.
        """
        if self.budget.total is None or len(group) == 1:
            return group
        left = []
        for job in group:
            if job.target.name in job.scenario.expect or not any(goal.schedule for goal in job.scenario.races.values()):
                left.append(job)
                continue
            result = await self._search(job, shared, aim=True)
            if result.open_goals and not result.stopped and INTERRUPTED not in result.faults:
                left.append(job)
            else:
                self._keep(job, result)
        return left

    async def _search(self, job: Job, shared: Shared, *, aim: bool = False) -> Result:
        """Search one case, or ``aim`` at its goals alone."""
        done = {id(one.job) for one in self.kept}
        left = [job, *(one for one in self.jobs if one is not job and id(one) not in done)]
        limits = self.budget.share(left, time.monotonic() - self._begun, aim=aim)
        limits = limits._replace(workers=WorkerCount.chosen(self.where.workers))
        deployment = None
        try:
            if self.where.wanted(job) != "model":
                await self._examine(job)
                deployment = await shared.deployment()
            model, wire = self.where.executors(job, deployment)
            if wire is not None:
                wire.most_seconds = max(limits.seconds, PREFLIGHT_SECONDS)
            async with wire or nullcontext() as executor:
                schedule = self.budget.schedule
                earlier = NOTHING if schedule else Earlier(self.examples.schedules(job), regressions(job))
                case = Case(model, executor, limits, self._tell, earlier)
                if schedule:
                    case.given = [Replay(letters(schedule, job.scenario.concurrent), prefix=True)]
                result = job.attached_to(await case.result())
                self._begun += case.looked
            self._remember(job, result, case.stale)
        except (UsageFault, Unavailable, Untested) as error:
            kind, code = next(stop for family, stop in _STOPS.items() if isinstance(error, family))
            self._say(f"{kind}{error}")
            return self._stopped(job, str(error), code)
        return result

    async def _examine(self, job: Job) -> None:
        """Ask the doctor once for each target, so that no fault of its surroundings is taken for a race."""
        group = _group(job)
        if group not in self._examined:
            try:
                await check(job.target, job.folder)
            except Unavailable as error:
                self._examined[group] = error
            else:
                self._examined[group] = None
        if (fault := self._examined[group]) is not None:
            raise fault

    def _remember(self, job: Job, result: Result, stale: Sequence[Schedule]) -> None:
        """Keep the schedules that failed, and no others. A folder that refuses them changes nothing that was found."""
        try:
            self.examples.drop(job, stale)
            self.examples.keep(job, [one.schedule for one in result.findings])
        except OSError as error:
            self._say(f"failing schedules can't be kept: {error} (write elsewhere with --examples FOLDER)")

    def _stopped(self, job: Job, error: str, code: int) -> Result:
        return Result(
            scenario=job.scenario,
            target=job.target,
            executor=self.where.wanted(job),
            verdict=judge([], [], [error]),
            expected="",
            as_expected=False,
            faults=(error,),
            stopped=code,
        )

    def _keep(self, job: Job, result: Result) -> None:
        self.codes.add(code_of(result, self.require))
        if beside := missed(result):
            where = f"{result.scenario.name} on {result.target.name}"
            self._say(f"a bug of gateway-stress: {where} was exhausted without {beside}")
        folder = self._report(lambda: write(result, self.reports))
        self.kept.append(CaseRecord(job, result, folder))
        self._tell(Finished(result, str(folder or "")))
        if INTERRUPT in self.codes:
            raise asyncio.CancelledError

    def _end(self) -> int:
        """Sum up, in the order in which the cases were named."""
        places = {id(job): place for place, job in enumerate(self.jobs)}
        kept = sorted(self.kept, key=lambda one: places[id(one.job)])
        results = [one.result for one in kept]
        self._report(lambda: self._sum_up(kept))
        if INTERRUPT in self.codes:
            self._say(f"interrupted: what was found until then is in {self.reports}")
        if self.as_json:
            click.echo(printed([document(result) for result in results]))
        else:
            self.terminal.table(results)
        return next((code for code in _SEVEREST_FIRST if code in self.codes), 0)

    def _sum_up(self, kept: Sequence[CaseRecord]) -> None:
        write_summary([one.result for one in kept], [one.folder for one in kept], self.reports)
        if not self.shard:
            remember({_name(one.job): one.result.seconds for one in kept if not one.result.faults}, self.reports)

    def _report(self, writing: Callable[[], Written]) -> Written | None:
        try:
            return writing()
        except ReportUnwritable as error:
            self.codes.add(REPORT)
            self._say(f"the report can't be written: {error}")
            return None

    def _tell(self, happening: Happening) -> None:
        if not self.as_json:
            self.terminal.handle(happening)

    def _say(self, line: str) -> None:
        click.echo(clean_lines(line), err=True)


def part_of(jobs: Sequence[Job], shard: Shard, took: Mapping[str, int]) -> list[Job]:
    """Give the cases of one shard, dealt out by what they ``took`` where that is known of each, else by weight."""
    names = [_name(job) for job in jobs]
    known = all(name in took for name in names)
    weights = [took[name] if known else _weight(job) for name, job in zip(names, jobs, strict=True)]
    found = places(weights, [_group(job) for job in jobs], shard.of)
    return [job for job, place in zip(jobs, found, strict=True) if place == shard.number]


def _name(job: Job) -> str:
    return f"{job.scenario.name} on {job.target.name}"


def _group(job: Job) -> tuple[Path, str]:
    """Name what cases must have in common to share processes."""
    return job.folder, job.target.digest


def _by_target(jobs: Sequence[Job]) -> list[list[Job]]:
    groups: dict[tuple[Path, str], list[Job]] = {}
    for job in jobs:
        groups.setdefault(_group(job), []).append(job)
    return list(groups.values())
