"""What an order on the wire costs, how surely it replays, and how seldom plain concurrency shows the race."""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid

from stress.checks import run_checks
from stress.explore.walk import Walk
from stress.formats import find
from stress.pair import Pair
from stress.running import run
from stress.scenario import Scenario
from stress.search import Limits
from stress.target import Target
from stress.worlds.observe import snapshot
from stress.worlds.wire import WireWorld

ORDERS, REPLAYS, PLAIN = 400, 1000, 200


async def one_after_another(world: WireWorld, runs: int) -> float:
    """Seconds of one run of the same requests sent one after another, the gate open."""
    times = []
    for _ in range(runs):
        fresh = uuid.uuid4().hex[:12]
        fingerprint = world.scenario.signal.fingerprint(fresh)
        begun = time.perf_counter()
        client = next(iter(world.clients.values()))
        for _ in range(world.scenario.before + world.scenario.concurrent):
            await world.send(client, fresh, fingerprint, "A")
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


async def plainly(world: WireWorld, runs: int) -> int:
    """Count the runs of plain concurrent requests, as the failing test sends them, that lose a hit."""
    lost = 0
    for _ in range(runs):
        fresh = uuid.uuid4().hex[:12]
        fingerprint = world.scenario.signal.fingerprint(fresh)
        clients = list(world.clients.items())
        for _ in range(world.scenario.before):
            await world.send(clients[0][1], fresh, fingerprint, "A")
        await asyncio.gather(*(world.send(client, fresh, fingerprint, actor) for actor, client in clients))
        reading = snapshot(world.target, fingerprint, fresh, str)
        hits = []
        try:
            commands = next(reading)
            while True:
                commands = reading.send(await world.ask(commands))
        except StopIteration as stop:
            hits = list(stop.value.hits.values())
        lost += hits != [world.scenario.before + world.scenario.concurrent]
    return lost


async def main() -> None:
    """Print the figures."""
    scenario = Scenario.load(find("atomic-hit-count", ""))
    async with WireWorld(scenario, Target.load(find("redis-read-modify-write", "targets"))) as world:
        bare = await one_after_another(world, ORDERS)
        walk, costs = Walk(0, ORDERS), []
        while walk.more():
            begun = time.perf_counter()
            walk.learn(await world.run(walk))
            costs.append(time.perf_counter() - begun)
        gated = statistics.median(costs)
        lost = await plainly(world, PLAIN)
        result = await Pair(None, world, Limits(20, 5000)).result()
        order = result.findings[0].order
        begun = time.perf_counter()
        failed = 0
        for _ in range(REPLAYS):
            trace = await run(order, world)
            failed += not trace.fault and bool(run_checks(scenario.invariants, trace))
        took = time.perf_counter() - begun
    print(f"gated order / same requests one after another, gate open  {gated / bare:6.2f}")
    print(f"gated orders a second (n = 2, one request before)         {1 / gated:6.0f}")
    print(f"orders until the lost hit is found                        {result.verdict.evidence[0].orders:6d}")
    print(f"replays of the lost hit that fail                         {failed}/{REPLAYS} in {took:.1f} s")
    print(f"plain concurrent runs that lose a hit                     {lost}/{PLAIN}")


asyncio.run(main())
