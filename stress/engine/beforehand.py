"""Runs orders beside each other before they are asked for, for explorers that ask for one after another."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from itertools import chain, takewhile
from typing import TYPE_CHECKING

from stress.core.trace import Odd
from stress.engine.running import Workers, follow_each, run_with
from stress.executors.live.executor import WireWorld
from stress.schedulers.ahead import Following, Planned
from stress.schedulers.base import Diverged

if TYPE_CHECKING:
    from collections.abc import Callable

    from stress.core.step import Move
    from stress.core.trace import Trace
    from stress.engine.running import World
    from stress.schedulers.ahead import Plan, Planning
    from stress.schedulers.base import Explorer

_AHEAD = 4
"""How many schedules for each deployment are run at a time."""


class Beforehand:
    """Runs the orders of an explorer in a world, on the wire several at once, each on a deployment of its own.

    What was run is shown to the explorer when it asks for that order, as if it were run only then: traces come in the
    same order, and are the same, as with one deployment. Once there was ``enough`` nothing more is run beforehand.
    """

    def __init__(self, world: World, workers: Workers, enough: Callable[[], bool] = lambda: False) -> None:
        """Begin with nothing run."""
        self._world, self._workers, self._enough = world, workers, enough
        self._ran: dict[tuple[Move | None, ...], tuple[Planned, Trace]] = {}

    async def run(self, explorer: Explorer, planning: Planning, most: int) -> Trace:
        """Run the order that an explorer has begun, and if it has not been run yet, at most so many that come later.

        ``planning`` tells what the explorer will ask for (it may be the same one).
        """
        world = self._world
        plan = planning.plan if isinstance(world, WireWorld) else None
        if plan is None or not isinstance(world, WireWorld):
            return await run_with(explorer, world)
        if plan.begin not in self._ran:
            workers = len(await world.beside(self._workers.of(plan.begin)))
            ahead = planning.ahead(min(most, _AHEAD * workers - 1)) if workers > 1 else []
            new = [one for one in ahead if one.begin not in self._ran and one.begin != plan.begin]
            faulty = await self._run([plan, *new], workers)
            if faulty and (world.broken or (workers == 1 and not faulty[0].odd)):
                return faulty[0]  # it can't be run for the explorer any more, or would end so again
        ran = self._ran.pop(plan.begin, None)
        if ran is None:  # once more, alone, and asked at each step
            return await run_with(explorer, world, again=False)
        made: list[Move | None] = []
        try:
            for point in ran[0].points:
                made.append(explorer.choose(point.moves, done=point.done))
                if made[-1] != point.chosen:
                    return await run_with(Following(explorer, made), world, again=False)
        except Diverged as divergence:
            return replace(ran[1], fault=Odd(divergence))
        return ran[1]

    async def _run(self, plans: list[Plan], workers: int) -> list[Trace]:
        """Run orders; give the traces with a fault: what is wrong shows when those are run for the explorer."""
        first, *others = {plan.begin: Planned(plan) for plan in plans}.values()
        done = iter([first, *others])
        orders = chain([first], takewhile(lambda _: not self._enough(), others))
        faulty: list[Trace] = []
        async with aclosing(follow_each(orders, self._world, workers, again=False)) as traces:
            async for trace in traces:
                order = next(done)
                faulty += [trace] if trace.fault else []
                if not trace.worth_another and not trace.fault and order.told(trace):
                    self._ran[order.plan.begin] = order, trace
        return faulty
