"""What is known of waiting requests, on a real process that sleeps with a timer."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from stress.core.step import START, Move
from stress.executors.live.blocked import Waits
from stress.processes.quiescence import ProcessWatch
from stress.processes.replicas import Replica
from stress.protocols.gate import Signal

if TYPE_CHECKING:
    from collections.abc import Iterator

SLEEPS = "import asyncio; print(flush=True); asyncio.run(asyncio.sleep(40))"
HERE, ELSEWHERE = (Move("A", START, ""),), (Move("B", START, ""),)
PATIENCE = 60.0


@pytest.fixture
def sleeper() -> Iterator[Replica]:
    """Start a process that sleeps for 40 seconds."""
    with subprocess.Popen([sys.executable, "-c", SLEEPS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        watch = ProcessWatch(process.pid)
        replica = Replica(1, "http://127.0.0.1:1", process, watch)
        deadline = time.perf_counter() + 10
        while (sleep := watch.sleeping()) is None or not any(due > deadline for due in sleep.due.values()):
            assert time.perf_counter() < deadline
        yield replica
        watch.close()
        process.kill()


@pytest.mark.asyncio
async def test_a_sleeper_is_waited_for_once(sleeper: Replica) -> None:
    """A timer that ends within the patience is waited for, until it ends; after the same moves nobody waits again."""
    waits, now = Waits(PATIENCE), time.perf_counter()
    assert not waits.asleep(sleeper, now + PATIENCE, None, HERE, ())
    assert waits.asleep(sleeper, now + 10, None, HERE, ())
    assert waits.asleep(sleeper, now, None, HERE, ())
    waits.learn(PATIENCE, HERE, ())
    assert waits.asleep(sleeper, now + PATIENCE, None, HERE, ())
    assert not waits.asleep(sleeper, now + PATIENCE, None, ELSEWHERE, ())


@pytest.mark.asyncio
async def test_an_older_timer_is_waited_for_until_the_place_is_known(sleeper: Replica) -> None:
    """A timer that was there before may hide a later one, unless a request was seen to wait at that place without."""
    waits, until = Waits(PATIENCE), time.perf_counter() + PATIENCE
    await waits.calm(sleeper, Signal())
    before = waits.last(sleeper)
    assert before is not None
    assert not waits.asleep(sleeper, until, before, HERE, ("EXISTS a -> 1",))
    waits.learn(0.01, ELSEWHERE, ("EXISTS a -> 1",))
    assert waits.asleep(sleeper, until, before, HERE, ("EXISTS a -> 1",))
    assert not waits.asleep(sleeper, until, before, HERE, ("EXISTS a -> 0",))
    assert not waits.asleep(sleeper, until, None, HERE, ("EXISTS a -> 1",))


@pytest.mark.asyncio
async def test_a_process_that_can_not_be_watched_is_never_known_to_sleep() -> None:
    """Without a process to look at, nothing is known of its sleep, before the patience ends or after."""
    waits, remote = Waits(PATIENCE), Replica(1, "http://127.0.0.1:1")
    await waits.rest(remote, Signal())
    assert waits.last(remote) is None
    assert not waits.asleep(remote, time.perf_counter() - 1, None, HERE, ())
