"""The wire: what a gated schedule costs, how surely races replay, and how often plain concurrency shows them."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING

from bench.figure import Figure, case, median, one_after_another
from stress.checks import run_checks
from stress.config.scenario import Race
from stress.core.trace import Answer, Details, Trace
from stress.engine.case import Case
from stress.engine.limits import Limits
from stress.engine.running import WorkerCount, follow_each
from stress.executors.live.executor import LiveExecutor
from stress.executors.model.executor import ModelExecutor
from stress.schedulers.random_walk import Walk

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS, SCHEDULES, PLAIN = 5, 100, 200


async def _cost() -> list[Figure]:
    """Compare each gated schedule with the same requests before it, and rows of schedules with rows of requests."""
    scenario, target = case("atomic-hit-count", "redis-read-modify-write")
    async with LiveExecutor(scenario, target) as executor:
        beside = [
            await _gated(executor, 1, number) + await one_after_another(executor, 1)
            for number in range(ROUNDS * SCHEDULES)
        ]
        rows = [
            (await one_after_another(executor, SCHEDULES), await _gated(executor, SCHEDULES, number))
            for number in range(ROUNDS)
        ]
    alternating = median([gated / bare for gated, bare in beside])
    in_rows = median([median(gated) / median(bare) for bare, gated in rows])
    rates = [SCHEDULES / sum(gated) for _, gated in rows]
    return [
        Figure("gated schedule / same requests one after another", f"{alternating:.2f}", "<= 1.5"),
        Figure("the same, in rows of 100", f"{in_rows:.2f}"),
        Figure("gated schedules a second, n = 2", f"{max(rates):.0f}", ">= 150"),
    ]


async def _gated(executor: LiveExecutor, schedules: int, seed: int) -> list[float]:
    """Give the seconds of each of several random schedules."""
    walk, costs = Walk(seed, schedules), []
    while walk.more():
        begun = time.perf_counter()
        walk.learn(await executor.run(walk))
        costs.append(time.perf_counter() - begun)
    return costs


async def _workers() -> list[Figure]:
    """Compare the schedules a second of several deployments side by side with those of one, in turns."""
    scenario, target = case("atomic-hit-count", "redis-read-modify-write")
    spent: dict[int, list[float]] = {1: [], 2: [], 4: []}
    async with LiveExecutor(scenario, target) as executor:
        for turn in range(ROUNDS + 1):  # in the first deployments are started
            for workers, times in spent.items():
                begun = time.perf_counter()
                async for trace in follow_each(
                    [Walk(turn * SCHEDULES + at, 1) for at in range(SCHEDULES)], executor, workers
                ):
                    assert not trace.fault  # noqa: S101 - a figure of faulty runs says nothing
                if turn:
                    times.append(time.perf_counter() - begun)
    one = median(spent.pop(1))
    return [
        Figure(f"schedules a second, {workers} workers / one worker", f"{one / median(times):.2f}")
        for workers, times in spent.items()
    ]


async def _replays(scenario_name: str, target_name: str, times: int, label: str) -> list[Figure]:
    scenario, target = case(scenario_name, target_name)
    async with LiveExecutor(scenario, target) as executor:
        result = await Case(ModelExecutor(scenario, target), executor, Limits(30.0, 5000)).result()
        found = []
        for finding in result.findings:
            begun, failed, stories = time.perf_counter(), 0, set()
            async for trace in follow_each(
                [finding.schedule] * times, executor, WorkerCount.chosen(None).of(finding.schedule.moves)
            ):
                failed += not trace.fault and bool(run_checks(scenario.invariants, trace))
                stories.add(trace.signature)
            took = time.perf_counter() - begun
            value = f"{failed}/{times}, {len(stories)} trace, {took:.0f} s"
            found.append(Figure(f"{label} {finding.schedule.actors!r} replays", value, f"{times}/{times}"))
    return found


async def _plain(scenario_name: str, target_name: str) -> list[Figure]:
    """Send the requests as the failing test does, without the gate, and judge what is left."""
    scenario, target = case(scenario_name, target_name)
    expected = scenario.expect[target_name]
    seen = dict.fromkeys(expected.race if isinstance(expected, Race) else (), 0)
    async with LiveExecutor(scenario, target) as executor:
        for _ in range(PLAIN):
            for name in {violation.invariant for violation in run_checks(list(seen), await _ungated(executor))}:
                seen[name] += 1
    return [
        Figure(f"plain concurrent runs that break {name} ({target_name})", f"{count}/{PLAIN}")
        for name, count in seen.items()
    ]


async def _ungated(executor: LiveExecutor) -> Trace:
    fresh = uuid.uuid4().hex[:12]
    fingerprint = executor.scenario.signal.fingerprint(fresh)
    answers: list[Answer] = []

    async def send(actor: str, name: str) -> None:
        raw = await executor.send(executor.clients[actor], fresh, fingerprint, name)
        form = executor.target.answers
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

    for number in range(executor.scenario.before):
        await send("A", f"before{number + 1}")
    await asyncio.gather(*(send(actor, actor) for actor in executor.clients))
    state = await executor.deployment.state.observe({"fingerprint": fingerprint, "fresh": fresh}, str)
    return Trace("plain", fresh, fingerprint, len(answers), (), lambda: Details(answers, (state,)))


def figures() -> Iterator[Figure]:
    """Measure everything on real processes."""
    yield from asyncio.run(_cost())
    yield from asyncio.run(_workers())
    yield from asyncio.run(_plain("atomic-hit-count", "redis-read-modify-write"))
    yield from asyncio.run(_plain("concurrent-duplicates", "redis-named-by-second"))
    yield from asyncio.run(_replays("atomic-hit-count", "redis-read-modify-write", 1000, "T2"))
    yield from asyncio.run(_replays("concurrent-duplicates", "redis-named-by-second", 200, "T1"))
