"""Makes a schedule small that was drawn at random: a search by few preemptions has begun with the smallest."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from stress.checks import run_checks
from stress.engine.running import driven, follow
from stress.engine.shrink import shrink

if TYPE_CHECKING:
    from stress.engine.running import Executor
    from stress.engine.tally import Tally
    from stress.report.events import Finding


async def make_small(tally: Tally, finding: Finding, executor: Executor, seconds: float) -> None:
    """Put the smallest schedule in the place of a failing one, found in so many seconds; it breaks and meets the same.

    On the wire one with a step of the clock stays as it is: each run would take a second.
    """
    if executor.name == "live" and any(move.actor == "clock" for move in finding.schedule.moves):
        return
    begun = time.monotonic()
    smallest = await driven(shrink(finding.schedule.moves, frozenset(finding.invariants)), executor, seconds)
    if time.monotonic() - begun > seconds:
        tally.notes.append(f"made small for {seconds:g} s: there may be a smaller schedule")
    trace = await follow(replace(finding.schedule, moves=smallest), executor)
    violations = () if trace.fault else tuple(run_checks(executor.scenario.invariants, trace))
    small = tally.finding(trace, violations)
    if set(finding.invariants) <= set(small.invariants) and set(finding.races) <= set(small.races):
        tally.put(small, instead=finding)
