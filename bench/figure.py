"""What every benchmark has in common: a figure with what was asked of it, cases, ratios."""

from __future__ import annotations

import statistics
import time
import uuid
from typing import TYPE_CHECKING, NamedTuple

from stress.config.formats import find
from stress.config.scenario import Scenario
from stress.config.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from stress.executors.live.executor import LiveExecutor


class Figure(NamedTuple):
    """One line of the table: what was measured, and what is asked (empty: nothing, it is for comparison)."""

    name: str
    value: str
    asked: str = ""


Bench = "Callable[[], Iterator[Figure]]"


def case(scenario: str, target: str) -> tuple[Scenario, Target]:
    """Load a bundled scenario and target."""
    return Scenario.load(find(scenario, "")), Target.load(find(target, "targets"))


def in_turns(rounds: int, *works: Callable[[], object]) -> list[float]:
    """Run several works in turns, and give the seconds of the quickest run of each: the one that was disturbed least.

    What disturbs a machine for a while disturbs all of them, so that their ratio stays.
    """
    found: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, times in zip(works, found, strict=True):
            begun = time.perf_counter()
            work()
            times.append(time.perf_counter() - begun)
    return [min(times) for times in found]


async def one_after_another(executor: LiveExecutor, runs: int) -> list[float]:
    """Give the seconds of each of several runs of the scenario's requests sent one after another, the gate open."""
    times = []
    client = next(iter(executor.clients.values()))
    for _ in range(runs):
        fresh = uuid.uuid4().hex[:12]
        fingerprint = executor.scenario.signal.fingerprint(fresh)
        begun = time.perf_counter()
        for _ in range(executor.scenario.before + executor.scenario.concurrent):
            await executor.send(client, fresh, fingerprint, "A")
        times.append(time.perf_counter() - begun)
    return times


def median(times: list[float]) -> float:
    """Give the middle one."""
    return statistics.median(times)
