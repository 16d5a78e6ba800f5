"""Bursts after a search that found nothing: how many, how long, and what they show beside their controls."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from stress.checks import cause
from stress.core.bursts import Bursts
from stress.core.errors import Untested
from stress.core.exits import INCONCLUSIVE, RACE
from stress.engine.running import schedule_of
from stress.executors.live.burst import burst
from stress.executors.live.said import body_of
from stress.report.events import Unordered

if TYPE_CHECKING:
    from stress.core.schedule import Schedule
    from stress.core.trace import Trace
    from stress.core.verdict import Violation
    from stress.engine.running import Executor
    from stress.executors.live.burst import Burst
    from stress.executors.live.executor import LiveExecutor

LEAST = 100
"""How many bursts are run at least where the budget is long enough."""
SHARE = 0.1
"""The part of the budget that the others may take."""
_SERVER_ERROR = 500
_ERRORS = "no_server_error"
"""The check that never condemns alone: a server's error may say to try again later."""
_SURE = 2
"""How many violating bursts make a race, and so must be final for one patience."""
_FIXED = 7
"""So many times as many clean bursts as one failing took before show that it fails no more: by chance 1 in 1000."""
_MOST_DROPPED = 20
"""How many bursts may be dropped in a row."""


class BurstSummary(NamedTuple):
    """What bursts came to: the count, one that broke something with what it broke, and a control."""

    bursts: Bursts
    trace: Trace | None = None
    violations: tuple[Violation, ...] = ()
    control: Trace | None = None

    def race(self, executor: Executor, seed: int) -> Unordered | None:
        """Give the race that they show, if they do."""
        if not self.bursts.race or self.trace is None or self.control is None:
            return None
        bare = replace(schedule_of(self.trace, executor, seed, self.violations), moves=())
        broken = " ".join(["race", *self.bursts.broken])
        seen = f"{self.bursts.violating} of {self.bursts.ran}"
        head = {"outcome": broken, "bursts": seen}
        whose = cause(self.violations)
        return Unordered(self.bursts, self.trace, self.violations, self.control, whose, bare.with_head(**head))


def most_of(executor: LiveExecutor) -> int:
    """Give how many bursts a scenario on a target has: those that the scenario, or else the target, asks for."""
    return executor.target.burst if executor.scenario.burst is None else executor.scenario.burst


async def run_bursts(executor: LiveExecutor, most: int, budget: float, left: float) -> BurstSummary:
    """Run up to so many bursts within what is ``left`` of the ``budget``, both in seconds, and as many controls.

    What is left is enough for `LEAST`, or the count says that it was not.
    """
    if executor.gate.working:  # what it shows is parked also while the gate is open
        return BurstSummary(Bursts(short="a worker of the service is an actor"))
    return await _Running(executor, most, budget, max(left, SHARE * budget)).run()


async def repeat_burst(schedule: Schedule, executor: LiveExecutor, seconds: float) -> tuple[str, int]:
    """Run bursts until none failing means that it is fixed, for so many seconds at most; give a line and the exit code.

    Raises:
        Untested: where the schedule does not say how often bursts failed.

    """
    seen_in = re.fullmatch(r"(\d+) of (\d+)", schedule.head.bursts)
    if seen_in is None or not 0 < int(seen_in[1]) <= int(seen_in[2]):
        raise Untested(f"bursts: {schedule.head.bursts} is no count", "write `bursts: 11 of 200`")
    wanted = math.ceil(_FIXED * int(seen_in[2]) / int(seen_in[1]))
    bursts = (await _Running(executor, wanted, math.inf, seconds).run()).bursts
    if bursts.race:
        return f"STILL FAILING ({bursts.violating} of {bursts.ran} bursts)", RACE
    if bursts.ran >= wanted and not bursts.violating and not bursts.erred:
        return f"FIXED ({bursts}; {schedule.head.bursts} failed before)", 0
    return f"inconclusive: {bursts.doubt or f'{bursts}; {wanted} are needed'}", INCONCLUSIVE


class _Running:
    """Counts the bursts of one search."""

    def __init__(self, executor: LiveExecutor, most: int, budget: float, left: float) -> None:
        self._executor, self._most, self._budget, self._left = executor, most, budget, left
        self._ran = self._violating = self._controls = self._erred = 0
        self._broken: dict[str, None] = {}
        self._why: Counter[str] = Counter()
        self._sequential = self._error = self._short = ""
        self._trace: Trace | None = None
        self._control: Trace | None = None
        self._violations: tuple[Violation, ...] = ()

    async def run(self) -> BurstSummary:
        begun, row = time.monotonic(), 0
        while self._ran < self._most and not self._sequential:
            spent = time.monotonic() - begun
            if self._ran >= LEAST and spent > SHARE * self._budget:
                break
            if self._ran and spent > self._left:
                self._short = f"{self._most} would take longer than the search may"
                break
            one = await burst(self._executor, patient=self._violating < _SURE)
            row = row + 1 if one.dropped or one.trace.fault else 0
            if row > _MOST_DROPPED or self._executor.broken:
                self._short = f"ended: {one.trace.fault or one.dropped}"
                break
            await self._take(one)
        took = time.monotonic() - begun
        until = time.monotonic() + max(self._left - took, took)
        while self._violating > 1 and not self._sequential and self._controls < self._count.wanted_controls:
            if time.monotonic() > until:
                break
            await self._take_control()
        return BurstSummary(self._count, self._trace, self._violations, self._control)

    @property
    def _count(self) -> Bursts:
        return Bursts(
            ran=self._ran,
            violating=self._violating,
            broken=tuple(self._broken),
            controls=self._controls,
            sequential=self._sequential,
            dropped=self._why.total(),
            why=tuple(f"{number} {why}" for why, number in self._why.most_common()),
            erred=self._erred,
            error=self._error,
            short=self._short,
        )

    async def _take(self, one: Burst) -> None:
        if one.dropped or one.trace.fault:
            self._why[one.dropped or one.trace.fault] += 1
            return
        self._ran += 1
        condemning = tuple(broken for broken in one.broken if broken.invariant != _ERRORS)
        if not condemning:
            self._note_error(one)
            return
        self._violating += 1
        self._broken |= dict.fromkeys(broken.invariant for broken in condemning)
        if self._trace is None:
            self._trace, self._violations = one.trace, condemning
        await self._take_control()

    def _note_error(self, one: Burst) -> None:
        if not one.broken:
            return
        self._erred += 1
        answers = [answer for answer in one.trace.answers if answer.status >= _SERVER_ERROR and not answer.normal]
        if not self._error and answers:
            self._error = f"{answers[0].status}{body_of(answers[0])}"
            self._trace, self._violations = self._trace or one.trace, self._violations or one.broken

    async def _take_control(self) -> None:
        """Run the same requests one after another; one that is dropped says nothing."""
        one = await burst(self._executor, together=False)
        if one.dropped or one.trace.fault:
            return
        self._controls += 1
        self._sequential = ", ".join(dict.fromkeys(broken.invariant for broken in one.broken))
        if self._control is None or self._sequential:
            self._control = one.trace
