"""The Kubernetes gate: what a schedule costs, and what several deployments gain where requests sleep."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from bench.figure import Figure, case, median
from stress.engine.running import follow_each
from stress.executors.asked import new_fresh
from stress.executors.live.executor import LiveExecutor
from stress.protocols.kube.requests import WRITES, KubeEffect
from stress.schedulers.random_walk import Walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stress.protocols.gate import Passed

ROUNDS, SCHEDULES = 5, 40
SLEEPERS = 96
"""So many that the last ones, for which deployments stay idle, count little."""


async def _ungated(executor: LiveExecutor) -> float:
    """Give the seconds of the scenario's requests one after another, the gate open; delete what they leave."""
    fresh = new_fresh()
    fingerprint = executor.marks.fingerprint(fresh)
    passed: list[Passed] = []
    executor.gate.passing = passed
    begun = time.perf_counter()
    for actor, client in executor.clients.items():
        await executor.send(client, fresh, fingerprint, actor)
    took = time.perf_counter() - begun
    executor.gate.passing = None
    effects = [effect for one in passed for effect in one.effects if isinstance(effect, KubeEffect)]
    await executor.forget({effect.path for effect in effects if effect.verb in WRITES and effect.name})
    return took


async def _cost() -> list[Figure]:
    scenario, target = case("r2-same-second-losers", "kube-status")
    gated, bare = [], []
    async with LiveExecutor(scenario, target) as executor:
        for number in range(ROUNDS * SCHEDULES):
            walk = Walk(number, 1)
            walk.more()
            begun = time.perf_counter()
            trace = await executor.run(walk)
            took = time.perf_counter() - begun
            assert not trace.fault, trace.fault  # noqa: S101 - a figure of faulty runs says nothing
            gated.append(took)
            bare.append(await _ungated(executor))
    ratio = median([one / other for one, other in zip(gated, bare, strict=True)])
    return [
        Figure("Kubernetes, T1, n = 2: gated schedule / same requests one after another", f"{ratio:.2f}", "<= 2"),
        Figure("Kubernetes, T1, n = 2: gated schedules a second", f"{1 / median(gated):.0f}", ">= 40"),
    ]


async def _workers() -> list[Figure]:
    """Compare deployments side by side where requests sleep 0.1 to 1 s for a lease."""
    scenario, target = case("l1-reentrant-lock", "kube-lease")
    spent: dict[int, float] = {}
    async with LiveExecutor(scenario, target) as executor:
        for workers in (8, 1, 8):  # in the first deployments are started
            begun = time.perf_counter()
            async for trace in follow_each([Walk(number, 1) for number in range(SLEEPERS)], executor, workers):
                assert not trace.fault, trace.fault  # noqa: S101 - as above
            spent[workers] = time.perf_counter() - begun
    gain = f"{spent[1] / spent[8]:.2f} ({SLEEPERS / spent[1]:.1f} -> {SLEEPERS / spent[8]:.1f} schedules a second)"
    return [Figure("Kubernetes, leases: 8 workers / one worker", gain, ">= 4")]


def figures() -> Iterator[Figure]:
    """Measure on real processes."""
    yield from asyncio.run(_cost())
    yield from asyncio.run(_workers())
