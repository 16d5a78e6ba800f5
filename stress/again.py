"""Following the order of a file again: does the Gateway still fail?"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from stress.batch import INCONCLUSIVE, RACE, Where
from stress.checks import run_checks
from stress.pair import Pair
from stress.report.folder import write
from stress.running import follow
from stress.search import Limits
from stress.worlds.identity import UNKNOWN

if TYPE_CHECKING:
    from stress.batch import Job
    from stress.order import Order
    from stress.running import World


class Told(NamedTuple):
    """What a replay came to: a line for the user, and the exit code."""

    line: str
    code: int


async def replay(order: Order, job: Job, times: int, where: Where, reports: Path = Path("reports")) -> Told:
    """Follow an order ``times`` times.

    Where a changed Gateway no longer allows the order, its scenario is searched instead.

    Raises:
        Unavailable: when the store or a Gateway does not start.

    """
    name = where.world or ("model" if order.head.world == "model" else "wire")
    model, wire = Where(name, where.allow).worlds(job)
    async with wire or nullcontext() as world:
        told = await _times(order, world or cast("World", model), times)
    return told if told is not None else await _search_instead(job, where, reports)


async def _times(order: Order, world: World, times: int) -> Told | None:
    """Count how often the order fails; None when a Gateway that has changed no longer allows it."""
    failed, stories = 0, set()
    for _ in range(times):
        trace = await follow(order, world)
        if trace.fault.startswith("DIVERGED") and UNKNOWN in (world.digest, order.head.target_digest):
            return None
        if trace.fault.startswith("DIVERGED") and world.digest != order.head.target_digest:
            return None
        if trace.fault:
            return Told(trace.fault, INCONCLUSIVE)
        stories.add(trace.signature)
        failed += bool(run_checks(world.scenario.invariants, trace))
        await asyncio.sleep(0)
    if failed not in (0, times):
        return Told(f"inconclusive: failed {failed} of {times}", INCONCLUSIVE)
    if len(stories) > 1:
        return Told(f"inconclusive: {times} replays gave {len(stories)} different traces", INCONCLUSIVE)
    return Told(f"STILL FAILING {failed}/{times}", RACE) if failed else Told(f"FIXED {times}/{times}", 0)


async def _search_instead(job: Job, where: Where, reports: Path) -> Told:
    model, wire = where.worlds(job)
    limits = Limits(job.scenario.search.seconds, job.scenario.search.orders)
    async with wire or nullcontext() as world:
        result = await Pair(model, world, limits).result()
    if result.findings:
        return Told(f"STILL FAILING by another order: {write(result, reports)}/order.txt", RACE)
    if result.verdict.holds:
        covered = "; ".join(evidence.covered for evidence in result.verdict.evidence)
        return Told(f"FIXED (the order no longer exists; holds: {covered})", 0)
    return Told(f"inconclusive: {result.verdict.reason}", INCONCLUSIVE)
