"""All pairs of a run, one after another, within one budget; their reports, and the exit code that they come to."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import click

from stress.errors import Unavailable
from stress.formats import bundled, find
from stress.mask import mask_text
from stress.pair import Pair
from stress.report.folder import ReportUnwritable, document, write, write_summary
from stress.report.terminal import Terminal
from stress.result import Finished, Result
from stress.scenario import Scenario
from stress.search import INTERRUPTED, Limits
from stress.target import Target
from stress.verdict import judge
from stress.worlds.model import ModelWorld
from stress.worlds.wire import WireWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from stress.result import Happening

RACE, INCONCLUSIVE, NOT_FOUND, USAGE, UNAVAILABLE, OWN_BUG, REPORT, INTERRUPT = 1, 2, 3, 64, 69, 70, 74, 130
"""Exit codes; 0 is `as expected`. Those from 64 on are of sysexits(3), 130 is 128 + SIGINT."""
_SEVEREST_FIRST = (INTERRUPT, OWN_BUG, RACE, UNAVAILABLE, REPORT, INCONCLUSIVE, NOT_FOUND)
_CLOCK_WEIGHT = 16

Written = TypeVar("Written")


class Job(NamedTuple):
    """One scenario, the target to search it on, and the folder of that target's file.

    ``attachments`` are the texts of those files that are not bundled, for order files that are replayed elsewhere.
    """

    scenario: Scenario
    target: Target
    folder: Path
    attachments: tuple[tuple[str, str], ...] = ()

    @classmethod
    def load(cls, scenario: str, target: str) -> Job:
        """Find and read both files.

        Raises:
            UsageFault: with one fault for each thing that is wrong.

        """
        paths = {"scenario": find(scenario, ""), "target": find(target, "targets")}
        attachments = tuple(
            (f"{kind} {path}", mask_text(path.read_text()))
            for kind, path in paths.items()
            if path.is_file() and not path.is_relative_to(bundled(""))
        )
        file = paths["target"]
        return cls(Scenario.load(paths["scenario"]), Target.load(file), file.parent, attachments)


class Budget(NamedTuple):
    """What a run may spend: seconds for all pairs together, or seconds and orders for each pair, and the seed."""

    total: float | None
    seconds: float | None
    orders: int | None
    seed: int

    def share(self, jobs: Sequence[Job], spent: float) -> Limits:
        """Give the limits of the first of the ``jobs`` still to be run: by weight, with what others left over."""
        first = jobs[0]
        seconds = self.seconds or first.scenario.search.seconds
        if self.total is not None:
            weights = [_weight(job) for job in jobs]
            seconds = max(1.0, (self.total - spent) * weights[0] / sum(weights))
        return Limits(seconds, self.orders or first.scenario.search.orders, self.seed)


def _weight(job: Job) -> int:
    """Weigh what a pair costs: more requests have more orders, and a move of the clock takes up to a real second."""
    timed = "clock" in job.scenario.actors and job.target.second == "matters"
    return job.scenario.concurrent * (_CLOCK_WEIGHT if timed else 1)


class Where(NamedTuple):
    """Where pairs are searched: ``world`` is wire, model, both, or empty (both where the target has both).

    ``allow`` are hosts other than this machine that traffic may go to.
    """

    world: str = ""
    allow: frozenset[str] = frozenset()

    def worlds(self, job: Job) -> tuple[ModelWorld | None, WireWorld | None]:
        """Make the worlds of one pair.

        Raises:
            UsageFault: when the target can't play the scenario.

        """
        asked = self.world or ("both" if job.target.protocol is not None else "wire")
        model = ModelWorld(job.scenario, job.target) if asked != "wire" else None
        wire = WireWorld(job.scenario, job.target, job.folder, self.allow) if asked != "model" else None
        return model, wire


@dataclass
class Batch:
    """Searches pairs and reports them."""

    jobs: Sequence[Job]
    budget: Budget
    where: Where
    reports: Path
    as_json: bool = False
    results: list[Result] = field(default_factory=list)
    folders: list[Path | None] = field(default_factory=list)
    codes: set[int] = field(default_factory=set)
    terminal: Terminal = field(default_factory=Terminal)

    async def run(self) -> int:
        """Run all pairs; give the exit code. Whoever interrupts it gets the reports of what was done.

        Raises:
            OwnBug: when gateway-stress itself is wrong.
            UsageFault: when a target can't play a scenario.

        """
        worlds = [self.where.worlds(job) for job in self.jobs]
        begun = time.monotonic()
        try:
            for number, (model, wire) in enumerate(worlds):
                limits = self.budget.share(self.jobs[number:], time.monotonic() - begun)
                self._keep(await self._one(self.jobs[number], model, wire, limits))
                if INTERRUPT in self.codes:
                    break
        except asyncio.CancelledError:
            self.codes.add(INTERRUPT)
        self._report(lambda: write_summary(self.results, self.folders, self.reports))
        if self.as_json:
            click.echo(json.dumps([document(result) for result in self.results], indent=2))
        else:
            self.terminal.table(self.results)
        return next((code for code in _SEVEREST_FIRST if code in self.codes), 0)

    async def _one(self, job: Job, model: ModelWorld | None, wire: WireWorld | None, limits: Limits) -> Result:
        try:
            async with wire or nullcontext() as world:
                result = await Pair(model, world, limits, self._tell).result()
        except Unavailable as error:
            self._say(f"unavailable: {error}")
            return Result(
                scenario=job.scenario,
                target=job.target,
                world=self.where.world or "wire",
                verdict=judge([], [], [str(error)]),
                expected="",
                as_expected=False,
                faults=(str(error),),
                unavailable=True,
            )
        findings = [replace(one, order=replace(one.order, attachments=job.attachments)) for one in result.findings]
        return replace(result, findings=tuple(findings))

    def _keep(self, result: Result) -> None:
        self.results.append(result)
        self.codes.add(code_of(result))
        folder = self._report(lambda: write(result, self.reports))
        self.folders.append(folder)
        self._tell(Finished(result, str(folder or "")))

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
        click.echo(line, err=True)


def code_of(result: Result) -> int:
    """Give the exit code that one pair comes to (0: as expected)."""
    if INTERRUPTED in result.faults:
        return INTERRUPT
    if result.as_expected:
        return 0
    if result.unavailable:
        return UNAVAILABLE
    if result.unexpected and result.verdict.ruling == "race":
        return RACE
    if result.verdict.ruling == "inconclusive" and not result.missing:
        return INCONCLUSIVE
    return INCONCLUSIVE if result.faults else NOT_FOUND
