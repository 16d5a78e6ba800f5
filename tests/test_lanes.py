"""Orders that run at once through one Gateway: each has the trace that it has when it runs alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conftest import scenario_of, target_of

from stress.explore.walk import Walk
from stress.worlds.drive import Asked
from stress.worlds.lanes import Lanes
from stress.worlds.wire import WireWorld

if TYPE_CHECKING:
    from stress.trace import Trace

ORDERS = 24


async def traces(world: WireWorld, lanes: Lanes, orders: int = ORDERS) -> list[Trace]:
    """Run random orders, each drawn from a seed of its own, and see that nothing is left of them."""
    found = [trace async for trace in lanes.run(Asked(Walk(seed, 1)) for seed in range(orders))]
    assert await world.ask([("DBSIZE",)]) == [0]
    return found


@pytest.mark.asyncio
@pytest.mark.parametrize("target", ["redis-read-modify-write", "redis-atomic"])
async def test_each_order_has_the_trace_that_it_has_alone(target: str) -> None:
    """With 2, 4 and 8 lanes every random order has the events, replies, answers and state that it has with one."""
    async with WireWorld(scenario_of("atomic-hit-count"), target_of(target)) as world:
        alone = [trace.signature for trace in await traces(world, Lanes(world, 1))]
        for most in (2, 4, 8):
            lanes = Lanes(world, most)
            assert [trace.signature for trace in await traces(world, lanes)] == alone
            assert lanes.reason == ""
