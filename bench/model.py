"""The model: one schedule against one `asyncio.gather` of the same coroutines, each store call suspending once."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from bench.figure import Figure, case, in_turns
from stress.executors.model.executor import ModelExecutor
from stress.gateways.protocols import protocol_named
from stress.gateways.store import Incoming
from stress.schedulers.random_walk import Walk
from stress.schedulers.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stress.core.step import Move
    from stress.executors.model.redis_memory import RedisMemory

SCHEDULES, ROUNDS = 1000, 12


class GatherStore:
    """The store of a protocol under plain asyncio: every call gives the event loop a turn, then runs in memory."""

    def __init__(self, memory: RedisMemory) -> None:
        """Use one memory."""
        self.memory = memory

    def now(self) -> float:
        """Give the clock."""
        return self.memory.now

    async def call(self, *command: str) -> object:
        """Run one command."""
        await asyncio.sleep(0)
        return self.memory.execute(*command)

    async def pipeline(self, *commands: tuple[str, ...]) -> list[object]:
        """Run commands at once."""
        await asyncio.sleep(0)
        return [self.memory.execute(*command) for command in commands]

    async def script(self, script: object, keys: list[str], arguments: list[str]) -> object:
        """Run a script."""
        await asyncio.sleep(0)
        return script.python(self.memory.execute, keys, arguments)  # type: ignore[attr-defined]

    async def sleep(self, seconds: float) -> None:
        """Wait no time, as the model does."""


def _model(executor: ModelExecutor, moves: Sequence[Move]) -> None:
    replay = Replay(moves, SCHEDULES)
    while replay.more():
        executor.run(replay)


async def _gather(executor: ModelExecutor) -> None:
    scenario = executor.scenario
    protocol = protocol_named(str(executor.target.protocol))
    signal = Incoming(scenario.signal.fingerprint(""), scenario.signal.alertname, scenario.signal.namespace)
    for _ in range(SCHEDULES):
        store = GatherStore(executor.rest.copy())
        await asyncio.gather(*(protocol(store, signal) for _ in range(scenario.concurrent)))  # type: ignore[arg-type]


def figures() -> Iterator[Figure]:
    """Measure both in turns in one run, for two, three and five requests; each is the best of its rounds."""
    for concurrent in (2, 3, 5):
        scenario, target = case("atomic-hit-count", "redis-read-modify-write")
        executor = ModelExecutor(scenario.model_copy(update={"concurrent": concurrent}), target)
        moves = executor.run(Walk(0)).moves
        with asyncio.Runner() as runner:
            plain, cost = in_turns(ROUNDS, partial(_in, runner, executor), partial(_model, executor, moves))
        rate = SCHEDULES / cost
        yield Figure(
            f"model schedule / gather, n = {concurrent}", f"{cost / plain:.2f} ({rate:.0f} schedules/s)", "<= 0.33"
        )


def _in(runner: asyncio.Runner, executor: ModelExecutor) -> None:
    runner.run(_gather(executor))
