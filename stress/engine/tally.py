"""Judging one run after another: which order broke which invariant first, and what ends the search."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stress.checks import cause, run_checks
from stress.core.outcome_map import Outcomes
from stress.core.step import Move, letters
from stress.core.trace import CutOff
from stress.engine.behaviour import Behaviour
from stress.engine.goals import met
from stress.engine.running import doubt, follow, none_accepted, schedule_of, sequential
from stress.engine.skipped import SkippedRuns
from stress.executors.live.executor import LiveExecutor
from stress.report.events import Finding

if TYPE_CHECKING:
    from stress.core.schedule import Schedule
    from stress.core.trace import Trace
    from stress.core.verdict import Violation
    from stress.engine.running import Executor

_AS_IT_WAS = 3
"""How often a failing run that crossed a second is repeated as it was."""


class Tally:
    """What the runs of one search came to.

    ``found`` are failing schedules by invariant, ``met`` by the goal that they meet, ``outcomes`` all ways in which
    runs ended, ``ran`` counts them, ``last`` is the trace of the last one. ``shared_connection`` names two requests
    that shared a connection, in any run, ``polling`` what is not explored of one that polls. ``pipelines`` are the
    commands that went out together and were released as one step. ``behaviour`` is what requests did after what they
    had observed, where the wire shows all of it. ``fault`` says why nothing more is concluded, ``skipped`` are the runs
    that were skipped, ``notes`` are for the user. ``accepted`` is whether a request of any run was accepted,
    ``cut_off`` whether a run was ended because the search was over.
    """

    def __init__(self, executor: Executor, seed: int) -> None:
        """Begin with no run."""
        self._executor, self._seed = executor, seed
        self.found: dict[str, Finding] = {}
        self.met: dict[str, Finding] = {}
        self._goals = () if executor.target.name in executor.scenario.expect else tuple(executor.scenario.races)
        self.outcomes = Outcomes()
        self.fault = ""
        self.skipped = SkippedRuns()
        self.notes: list[str] = []
        self.last: Trace | None = None
        self.shared_connection = self.polling = ""
        self.pipelines: set[str] = set()
        self.ran = 0
        self.accepted = self.cut_off = False
        self.behaviour = Behaviour(
            dict(zip(letters(executor.scenario.concurrent), executor.scenario.replicas or (), strict=False))
        )
        self._shows_all = shows_all(executor)

    async def take(self, trace: Trace, *, drawn: bool = False, news: bool = True) -> tuple[Violation, ...]:
        """Judge one run; give what it broke. ``drawn`` by the plain walk it shows how likely an outcome is."""
        self.ran += 1
        self.last = trace
        self.shared_connection = self.shared_connection or trace.shared_connection
        self.polling = self.polling or trace.polling
        self.pipelines |= {move.command for move in trace.moves if "+" in move.command.partition("(")[0]}
        self.fault = self.fault or trace.fault or doubt(trace, self._executor)
        if self.fault:
            return ()
        self.accepted = self.accepted or trace.accepted_any
        self.outcomes.add(trace, sampled=drawn)
        if self._shows_all:
            self.behaviour.take(trace)
        violations = tuple(run_checks(self._executor.scenario.invariants, trace))
        if news and violations:
            met_now = set(met(self._executor.scenario, trace, violations)).intersection(self.open)
            if met_now or any(violation.invariant not in self.found for violation in violations):
                await self._note(trace, violations)
        return violations

    @property
    def open(self) -> tuple[str, ...]:
        """The goals that no run has met; none on a target of which the scenario expects something."""
        return tuple(name for name in self._goals if name not in self.met)

    @property
    def settled(self) -> bool:
        """Whether there are goals, and each is met: then nothing is left to search for."""
        return bool(self._goals) and not self.open

    @property
    def findings(self) -> list[Finding]:
        """What was found, each once."""
        return list({id(one): one for one in (*self.found.values(), *self.met.values())}.values())

    def finding(self, trace: Trace, violations: tuple[Violation, ...], schedule: Schedule | None = None) -> Finding:
        """Make a finding of a failing run."""
        executor = self._executor
        return Finding(
            schedule or schedule_of(trace, executor, self._seed, violations),
            trace,
            violations,
            cause(violations),
            executor.name,
            races=met(executor.scenario, trace, violations),
        )

    def put(self, finding: Finding, *, instead: Finding) -> None:
        """Let a finding take the place of another one."""
        for known in (self.found, self.met):
            known.update(dict.fromkeys([name for name, one in known.items() if one is instead], finding))

    def skips(self, trace: Trace, *, beside: bool = False) -> bool:
        """Count a run from which nothing follows, if it is one, so that the search goes on without it.

        That is one with a transient fault, and ``beside`` the search any that was not followed to its end. One that
        was ended with the search is not counted.
        """
        if not (trace.transient or (beside and trace.fault)) or self._executor.broken:
            return False
        if isinstance(trace.fault, CutOff):
            self.cut_off, self.last = True, self.last or trace
            return True
        self.skipped.add(trace.fault)
        self.last = trace
        return True

    def conclude(self) -> None:
        """Take it for a fault where too many runs were skipped, unless a race was found without them.

        So it is where no request of any run was accepted: nothing was tested. Where one alone was accepted before the
        search, what was found stays, as only requests at the same time are all refused.
        """
        if self.skipped and not self.found:
            self.fault = self.fault or self.skipped.unstable(self.ran)
        accepted_before = bool(self.found) and any(trace.accepted_any for trace in sequential(self._executor))
        if self.accepted or accepted_before or self.fault or self.last is None:
            return
        self.fault = none_accepted(self.last)
        self.found.clear()
        self.met.clear()

    async def _note(self, trace: Trace, violations: tuple[Violation, ...]) -> None:
        """Keep the failing schedule of each invariant that was not seen broken before."""
        schedule = schedule_of(trace, self._executor, self._seed, violations)
        if trace.crossed_second is not None:
            crossed = await self._without_luck(schedule, trace.crossed_second)
            if crossed is None:
                return
            schedule, trace, violations = crossed
        finding = self.finding(trace, violations, schedule)
        for name in finding.invariants:
            self.found.setdefault(name, finding)
        for name in finding.races:
            self.met.setdefault(name, finding)

    async def _without_luck(
        self, schedule: Schedule, index: int
    ) -> tuple[Schedule, Trace, tuple[Violation, ...]] | None:
        """Repeat a failing run that crossed a second unasked: as it was, then with the clock in that place.

        The clock moves only in scenarios that have one. One that crosses each time, as it waits for so long, and fails
        each time needs no luck.
        """
        clock = Move("clock", "clock", "")
        # The second began before the move in which it was noticed, or while that move was under way.
        places = (index, index + 1) if "clock" in self._executor.scenario.actors else ()
        timed = [(*schedule.moves[:at], clock, *schedule.moves[at:]) for at in places]
        crossed = True
        for number, moves in enumerate((*[schedule.moves] * _AS_IT_WAS, *timed), start=1):
            trace = await follow(replace(schedule, moves=moves), self._executor)
            violations = () if trace.fault else tuple(run_checks(self._executor.scenario.invariants, trace))
            crossed = crossed and (moves is not schedule.moves or trace.crossed_second is not None)
            if violations and (trace.crossed_second is None or number >= _AS_IT_WAS):
                if moves is not schedule.moves:
                    self.notes.append("fails only where the clock goes into another second during the run")
                return schedule_of(trace, self._executor, self._seed, violations), trace, violations
        if crossed:
            self.skipped.add("the run crossed a second unasked, and failed")
        else:
            self.notes.append("a schedule failed in a run that crossed a second, and not again")
        return None


def shows_all(executor: Executor) -> bool:
    """Return whether a trace has all that a request observes: every reply in full, and no command that is another's.

    A service that works on after its answers, or without any, may have commands that are taken for a request's: a
    worker takes its jobs in a sequence that the wire does not show. What a watch delivers in the background is no step.
    """
    if not isinstance(executor, LiveExecutor):
        return False
    if executor.deployment.state.hides:
        return False
    learned = executor.learned
    return not learned.settle and not learned.idle and (executor.target.correlation or "").lower() != "traceparent"
