"""One scenario on one target: searched in the model, confirmed and searched on the wire, judged."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from stress.checks import any_checked, run_checks, why_not_checked
from stress.core.errors import Unavailable
from stress.core.verdict import judge
from stress.engine.bursts import most_of, run_bursts
from stress.engine.closest import nearest
from stress.engine.example_database import NOTHING, Earlier
from stress.engine.lines import with_lines
from stress.engine.running import WorkerCount, driven, follow_each, follow_restarted
from stress.engine.search import CONFIRMATIONS, INTERRUPTED, Covered, Search, expected_of
from stress.engine.stopwatch import Stopwatch
from stress.executors.live.executor import LiveExecutor
from stress.report.events import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.core.schedule import Schedule
    from stress.core.step import Move
    from stress.core.trace import Trace
    from stress.engine.limits import Limits
    from stress.engine.running import Executor
    from stress.executors.model.executor import ModelExecutor
    from stress.report.events import Finding, Happening, Unordered
    from stress.schedulers.base import Scheduler

_MODEL_SHARE = 0.5
"""The part of the budget that the model may spend when the wire is searched too."""

_LIVE_SECONDS = 0.5
"""How long the quick profile searches live where the model has run every schedule."""

_KEPT_SHARE = 0.15
"""The part of the budget that is kept for confirming what fails, making it small, and finding the next that passes."""

_NEAREST_RUNS, _NEAREST_SECONDS = 60, 3.0
"""What may be spent on finding out what a failing schedule turns on."""


class Case:
    """Searches one scenario on one target: in the model if ``model`` is there, on the wire if ``live`` is.

    Where its user has ``given`` a schedule, it is run first; one that can't be followed ends the search. Nothing is
    expected of it.

    What the model finds is run on the wire before it is called a race of the target.
    """

    def __init__(
        self,
        model: ModelExecutor | None,
        wire: Executor | None,
        limits: Limits,
        tell: Callable[[Happening], None] = lambda _: None,
        earlier: Earlier = NOTHING,
    ) -> None:
        """Take the executors, the wire entered, and what may be spent on both together, with the requests before it.

        Schedules of ``earlier`` runs are tried first; those that pass or can't be followed are ``stale`` at the end.
        For ``looked`` seconds lines of code were looked for.
        """
        self.given: Sequence[Scheduler] = ()
        self._earlier = earlier
        self.stale: tuple[Schedule, ...] = ()
        self._model, self._wire, self._limits, self._tell = model, wire, limits, tell
        self._watch = Stopwatch(self._executor, wire.preflight_seconds if isinstance(wire, LiveExecutor) else 0.0)
        self._kept = _KEPT_SHARE * limits.seconds
        self._modelled: set[tuple[Move, ...]] = set()
        self._unsure: list[str] = []
        self.looked = 0.0

    async def result(self) -> Result:
        """Search, confirm, judge."""
        covered: list[Covered] = []
        findings: list[Finding] = []
        if self._model is not None:
            covered.append(await self._search_model(self._model))
            findings = _distinct(covered[0])
            self._modelled = {one.schedule.moves for one in findings} if self._wire is not None else set()
        if self._wire is not None and not any(one.fault for one in covered):
            proven = any(one.evidence.exhausted for one in covered)
            covered.append(await self._search_wire(self._wire, findings, proven=proven))
            findings = _distinct(covered[-1])
        if not covered[-1].fault:
            began = covered[0]  # what has failed before is tried in the first executor
            try:
                began.notes += await self._earlier.notes(
                    began.stale, began.evidence.tried, self._model or self._executor
                )
                findings = [await self._confirm(self._executor, one) for one in findings]
                findings = [await self._beside(one) for one in findings]
                findings, why = await self._with_lines(findings) if not self._unsure else (findings, "")
                began.notes += [why] if why else []
            except asyncio.CancelledError:
                covered[-1].fault = INTERRUPTED  # what was found is kept
        self.stale = tuple(schedule for one in covered for schedule in one.stale)
        result = self._conclude(covered, findings)
        if not result.verdict.holds or self.given or not isinstance(self._executor, LiveExecutor):
            return result
        return await self._with_bursts(self._executor, covered, result)

    async def _with_bursts(self, executor: LiveExecutor, covered: list[Covered], result: Result) -> Result:
        """Release all requests together where a search found nothing: what the wire can't schedule shows itself."""
        if not (most := most_of(executor)):
            return result
        last = covered[-1]
        try:
            seen = await run_bursts(executor, most, self._limits.seconds, self._left)
        except asyncio.CancelledError:
            last.fault = INTERRUPTED
            return self._conclude(covered, [])
        last.evidence = replace(last.evidence, bursts=seen.bursts)
        if executor.broken:
            last.fault = f"{executor.deployment.death or 'the store does not reply'}, in a burst"
            last.last = seen.trace or last.last
        return self._conclude(covered, [], seen.race(executor, self._limits.seed))

    @property
    def _executor(self) -> Executor:
        """The executor whose word counts."""
        executor = self._wire or self._model
        assert executor is not None  # noqa: S101 - one of the two is given
        return executor

    async def _search_model(self, model: ModelExecutor) -> Covered:
        share = _MODEL_SHARE if self._wire is not None else 1.0
        kept = self._kept if self._wire is None else 0.0
        limits = self._limits._replace(seconds=max(self._limits.seconds * share, self._limits.proof), kept=kept)
        return await Search(model, limits, tell=self._tell, baseline=True).run(self.given, self._earlier.first)

    async def _search_wire(self, executor: Executor, found: list[Finding], *, proven: bool) -> Covered:
        left = max(1.0, self._left)
        limits = self._limits._replace(seconds=left, kept=min(self._kept, left / 2))
        if proven and self._limits.proof > 0:
            limits = limits._replace(seconds=min(left, _LIVE_SECONDS), kept=0.0, timed=False, workers=WorkerCount())
        search = Search(executor, limits, tell=self._tell, baseline=self._model is None)
        examples = self._earlier.first if self._model is None else ()
        return await search.run([*self.given, *(finding.schedule for finding in found)], examples)

    async def _beside(self, finding: Finding) -> Finding:
        """Find the nearest passing schedule of a failing one, and with it the two steps that it turns on."""
        executor = self._model or self._executor
        slow = executor.name == "live" and finding.trace.seconds * _NEAREST_RUNS > _NEAREST_SECONDS
        # Such as with the clock, which takes up to a second a run; and where only one value fails, others show nothing.
        if slow or finding.schedule.head.fresh:
            return finding
        seconds = max(self._left, self._kept / 3)
        return replace(finding, nearest=await driven(nearest(finding.schedule.moves, _NEAREST_RUNS), executor, seconds))

    @property
    def _left(self) -> float:
        """How many seconds of the budget are left."""
        return self._limits.seconds - self._watch.seconds

    async def _confirm(self, executor: Executor, finding: Finding) -> Finding:
        """Replay a failing schedule with new values; a race is reported only when it fails the same way each time.

        Where it does not, its own value is used again, in a new process each time, as the process may remember it.
        What the model found and the wire followed has been replayed once.
        """
        wanted = executor.scenario.invariants
        good = done = 1 if finding.schedule.moves in self._modelled else 0
        workers = self._limits.workers.of(finding.schedule.moves)
        workers = workers if any(move.actor == "clock" for move in finding.schedule.moves) else 1
        async with aclosing(follow_each([finding.schedule] * (CONFIRMATIONS - done), executor, workers)) as traces:
            async for trace in traces:
                good += _reproduces(finding, trace, wanted)
        finding = replace(finding, confirmed=self._wire is not None, replays=(good, CONFIRMATIONS))
        if good == CONFIRMATIONS:
            return finding
        text = f"a failing schedule failed in {good} of {CONFIRMATIONS} replays"
        if isinstance(executor, LiveExecutor) and executor.deployment.restarts:
            schedule = finding.schedule.with_head(fresh=finding.trace.fresh)
            try:
                runs = [await follow_restarted(schedule, executor) for _ in range(CONFIRMATIONS)]
            except Unavailable as error:
                self._unsure.append(f"{text} with new values; for others the Gateway did not start again: {error}")
                return finding
            isolated = sum(_reproduces(finding, trace, wanted) for trace in runs)
            if isolated == CONFIRMATIONS:
                return replace(finding, schedule=schedule, replays=(isolated, CONFIRMATIONS))
            text += f" with new values, in {isolated} of {CONFIRMATIONS} with its own in a new process"
        self._unsure.append(text)
        return finding

    async def _with_lines(self, findings: list[Finding]) -> tuple[list[Finding], str]:
        """Look for the lines of code of what was found, which no budget pays for; give why there are none."""
        begun = self._watch.seconds
        try:
            return await with_lines(findings, self._executor)
        finally:
            self.looked = self._watch.seconds - begun

    def _conclude(self, covered: list[Covered], findings: list[Finding], unordered: Unordered | None = None) -> Result:
        executor = self._executor
        expected = () if self.given else expected_of(executor)
        violations = [violation for finding in findings for violation in finding.violations]
        fault = next((one.fault for one in covered if one.fault), "") or _unjudged(executor, covered[-1].last)
        if self.given and not (fault or violations):
            self._unsure.append("the schedule was followed, and breaks nothing; no other was run")
        verdict = judge(
            [] if self._unsure else violations,
            [one.evidence for one in covered],
            [text for text in (fault, *self._unsure) if text],
            exhaustively=self._model is not None and not expected,
        )
        seen = [*covered[-1].found, *(unordered.bursts.broken if unordered else ())]
        missing = tuple(name for name in expected if name not in seen)
        open_goals = tuple(name for name in executor.scenario.races if name not in covered[-1].met)
        unexpected = tuple(name for name in seen if name not in expected)
        wanted = (verdict.ruling == "race" and not missing and not unexpected) if expected else verdict.holds
        unseen = tuple(dict.fromkeys(name for one in covered for name in one.evidence.not_checked))
        notes = ["found in the model alone: nothing was run on the wire"] if self._wire is None and findings else []
        last = covered[-1].last
        notes += [f"not checked: {name} ({why_not_checked(name, last)})" for name in unseen if last is not None]
        sent = dict.fromkeys(name for one in covered for name in one.evidence.pipelines)
        notes += [f"a pipeline was released as one step: {name}" for name in sent]
        notes += [one.evidence.remedy for one in covered if one.evidence.remedy and verdict.holds]
        return Result(
            scenario=executor.scenario,
            target=executor.target,
            executor="both" if len(covered) > 1 else executor.name,
            verdict=verdict,
            expected="race: " + ", ".join(expected) if expected else "holds",
            as_expected=wanted and fault != INTERRUPTED,
            findings=tuple(findings),
            missing=missing,
            open_goals=() if executor.target.name in executor.scenario.expect else open_goals,
            unexpected=unexpected,
            faults=(fault,) if fault else (),
            last_trace=covered[-1].last,
            outcomes=tuple(max(covered, key=lambda one: one.outcomes.schedules).outcomes.rows),
            unordered=unordered,
            notes=tuple(notes + [note for one in covered for note in one.notes]),
            seed=self._limits.seed,
            seconds=self._watch.seconds - self.looked,
        )


def _unjudged(executor: Executor, last: Trace | None) -> str:
    """Say that no invariant could be checked; nothing where one was."""
    if last is None or last.fault or any_checked(executor.scenario.invariants, last):
        return ""
    name = executor.scenario.invariants[0]
    return f"no invariant could be checked, as {name}: {why_not_checked(name, last)}"


def _reproduces(finding: Finding, trace: Trace, invariants: Sequence[str]) -> bool:
    """Return whether a run broke the same invariants as the one that was found."""
    return not trace.fault and {one.invariant for one in run_checks(invariants, trace)} == set(finding.invariants)


def _distinct(covered: Covered) -> list[Finding]:
    found = (*covered.found.values(), *covered.met.values())
    return list({finding.schedule.moves: finding for finding in found}.values())
