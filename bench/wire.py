"""The wire: what a gated order costs, how surely races replay, and how often plain concurrency shows them."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING

from bench.figure import Figure, median, one_after_another, pair
from stress.checks import run_checks
from stress.explore.walk import Walk
from stress.pair import Pair
from stress.running import run
from stress.scenario import Race
from stress.search import Limits
from stress.trace import Answer, Details, Trace
from stress.worlds.model import ModelWorld
from stress.worlds.observe import snapshot
from stress.worlds.wire import WireWorld

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stress.trace import Snapshot

ROUNDS, ORDERS, PLAIN = 5, 100, 200


async def _cost() -> list[Figure]:
    scenario, target = pair("atomic-hit-count", "redis-read-modify-write")
    async with WireWorld(scenario, target) as world:
        ratios, rates = [], []
        for number in range(ROUNDS):
            bare = median(await one_after_another(world, ORDERS))
            walk, costs = Walk(number, ORDERS), []
            while walk.more():
                begun = time.perf_counter()
                walk.learn(await world.run(walk))
                costs.append(time.perf_counter() - begun)
            ratios.append(median(costs) / bare)
            rates.append(ORDERS / sum(costs))
    return [
        Figure("gated order / same requests one after another", f"{median(ratios):.2f}", "<= 1.5"),
        Figure("gated orders a second, n = 2", f"{max(rates):.0f}", ">= 150"),
    ]


async def _replays(scenario_name: str, target_name: str, times: int, label: str) -> list[Figure]:
    scenario, target = pair(scenario_name, target_name)
    async with WireWorld(scenario, target) as world:
        result = await Pair(ModelWorld(scenario, target), world, Limits(30.0, 5000)).result()
        found = []
        for finding in result.findings:
            begun, failed, stories = time.perf_counter(), 0, set()
            for _ in range(times):
                trace = await run(finding.order, world)
                failed += not trace.fault and bool(run_checks(scenario.invariants, trace))
                stories.add(trace.signature)
            took = time.perf_counter() - begun
            value = f"{failed}/{times}, {len(stories)} trace, {took:.0f} s"
            found.append(Figure(f"{label} {finding.order.actors!r} replays", value, f"{times}/{times}"))
    return found


async def _plain(scenario_name: str, target_name: str) -> list[Figure]:
    """Send the requests as the failing test does, without the gate, and judge what is left."""
    scenario, target = pair(scenario_name, target_name)
    expected = scenario.expect[target_name]
    seen = dict.fromkeys(expected.race if isinstance(expected, Race) else (), 0)
    async with WireWorld(scenario, target) as world:
        for _ in range(PLAIN):
            for name in {violation.invariant for violation in run_checks(list(seen), await _ungated(world))}:
                seen[name] += 1
    return [
        Figure(f"plain concurrent runs that break {name} ({target_name})", f"{count}/{PLAIN}")
        for name, count in seen.items()
    ]


async def _ungated(world: WireWorld) -> Trace:
    fresh = uuid.uuid4().hex[:12]
    fingerprint = world.scenario.signal.fingerprint(fresh)
    answers: list[Answer] = []

    async def send(actor: str, name: str) -> None:
        raw = await world.send(world.clients[actor], fresh, fingerprint, name)
        form = world.target.answers
        record, count = raw.field(form.record), raw.field(form.count)
        answers.append(
            Answer(
                actor=name,
                status=raw.status,
                record=record if isinstance(record, str) else None,
                count=count if isinstance(count, int) else None,
                started=0,
                ended=len(answers),
                created=raw.status == form.created,
                duplicate=raw.status == form.duplicate,
            )
        )

    for number in range(world.scenario.before):
        await send("A", f"before{number + 1}")
    await asyncio.gather(*(send(actor, actor) for actor in world.clients))
    reading = snapshot(world.target, fingerprint, fresh, str)
    try:
        asked = next(reading)
        while True:
            asked = reading.send(await world.ask(asked))
    except StopIteration as stop:
        state: Snapshot = stop.value
    return Trace("plain", fresh, fingerprint, len(answers), (), lambda: Details(answers, (state,)))


def figures() -> Iterator[Figure]:
    """Measure everything on real processes."""
    yield from asyncio.run(_cost())
    yield from asyncio.run(_plain("atomic-hit-count", "redis-read-modify-write"))
    yield from asyncio.run(_plain("concurrent-duplicates", "redis-named-by-second"))
    yield from asyncio.run(_replays("atomic-hit-count", "redis-read-modify-write", 1000, "T2"))
    yield from asyncio.run(_replays("concurrent-duplicates", "redis-named-by-second", 200, "T1"))
