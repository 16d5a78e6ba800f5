"""The wire: what a gated order costs, how surely races replay, and how often plain concurrency shows them."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING

from bench.figure import Figure, median, one_after_another, pair
from stress.checks import run_checks
from stress.config.scenario import Race
from stress.core.trace import Answer, Details, Trace
from stress.engine.case import Pair
from stress.engine.limits import Limits
from stress.engine.running import Workers, follow_each
from stress.executors.live.executor import WireWorld
from stress.executors.model.executor import ModelWorld
from stress.schedulers.random_walk import Walk

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS, ORDERS, PLAIN = 5, 100, 200


async def _cost() -> list[Figure]:
    """Compare each gated order with the same requests right before it, and rows of orders with rows of requests."""
    scenario, target = pair("atomic-hit-count", "redis-read-modify-write")
    async with WireWorld(scenario, target) as world:
        beside = [
            await _gated(world, 1, number) + await one_after_another(world, 1) for number in range(ROUNDS * ORDERS)
        ]
        rows = [
            (await one_after_another(world, ORDERS), await _gated(world, ORDERS, number)) for number in range(ROUNDS)
        ]
    alternating = median([gated / bare for gated, bare in beside])
    in_rows = median([median(gated) / median(bare) for bare, gated in rows])
    rates = [ORDERS / sum(gated) for _, gated in rows]
    return [
        Figure("gated order / same requests one after another", f"{alternating:.2f}", "<= 1.5"),
        Figure("the same, in rows of 100", f"{in_rows:.2f}"),
        Figure("gated orders a second, n = 2", f"{max(rates):.0f}", ">= 150"),
    ]


async def _gated(world: WireWorld, orders: int, seed: int) -> list[float]:
    """Give the seconds of each of several random orders."""
    walk, costs = Walk(seed, orders), []
    while walk.more():
        begun = time.perf_counter()
        walk.learn(await world.run(walk))
        costs.append(time.perf_counter() - begun)
    return costs


async def _workers() -> list[Figure]:
    """Compare the schedules a second of several deployments side by side with those of one, in turns."""
    scenario, target = pair("atomic-hit-count", "redis-read-modify-write")
    spent: dict[int, list[float]] = {1: [], 2: [], 4: []}
    async with WireWorld(scenario, target) as world:
        for turn in range(ROUNDS + 1):  # in the first deployments are started
            for workers, times in spent.items():
                begun = time.perf_counter()
                async for trace in follow_each([Walk(turn * ORDERS + at, 1) for at in range(ORDERS)], world, workers):
                    assert not trace.fault  # noqa: S101 - a figure of faulty runs says nothing
                if turn:
                    times.append(time.perf_counter() - begun)
    one = median(spent.pop(1))
    return [
        Figure(f"schedules a second, {workers} workers / one worker", f"{one / median(times):.2f}")
        for workers, times in spent.items()
    ]


async def _replays(scenario_name: str, target_name: str, times: int, label: str) -> list[Figure]:
    scenario, target = pair(scenario_name, target_name)
    async with WireWorld(scenario, target) as world:
        result = await Pair(ModelWorld(scenario, target), world, Limits(30.0, 5000)).result()
        found = []
        for finding in result.findings:
            begun, failed, stories = time.perf_counter(), 0, set()
            async for trace in follow_each(
                [finding.order] * times, world, Workers.chosen(None).of(finding.order.moves)
            ):
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
    state = await world.site.state.observe({"fingerprint": fingerprint, "fresh": fresh}, str)
    return Trace("plain", fresh, fingerprint, len(answers), (), lambda: Details(answers, (state,)))


def figures() -> Iterator[Figure]:
    """Measure everything on real processes."""
    yield from asyncio.run(_cost())
    yield from asyncio.run(_workers())
    yield from asyncio.run(_plain("atomic-hit-count", "redis-read-modify-write"))
    yield from asyncio.run(_plain("concurrent-duplicates", "redis-named-by-second"))
    yield from asyncio.run(_replays("atomic-hit-count", "redis-read-modify-write", 1000, "T2"))
    yield from asyncio.run(_replays("concurrent-duplicates", "redis-named-by-second", 200, "T1"))
