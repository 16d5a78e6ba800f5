"""What stays in memory: the whole of `make stress-gateway`, and one process after twenty thousand schedules."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench.figure import Figure, case
from stress.executors.live.executor import LiveExecutor
from stress.processes.quiescence import descendants
from stress.schedulers.random_walk import Walk

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEDULES, WARM = 20_000, 2_000
_LOOK_SECONDS = 0.1


def proportional_megabytes(pid: int) -> float:
    """Give the memory of a process, what it shares divided by the sharers (PSS, proc(5)), in megabytes."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # it has ended
        return 0.0
    return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("Pss:"))


def _whole_run() -> Iterator[Figure]:
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "stress.cli.main", "run", "--reports", folder]
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
        most = 0.0
        while process.poll() is None:
            most = max(most, sum(map(proportional_megabytes, descendants(process.pid))))
            time.sleep(_LOOK_SECONDS)
        took = time.perf_counter() - begun
    yield Figure("make stress-gateway, set up: seconds", f"{took:.1f} (exit {process.returncode})", "<= 20")
    yield Figure("make stress-gateway: memory of all processes", f"{most:.0f} MB", "<= 300")


async def _many_schedules() -> list[Figure]:
    scenario, target = case("atomic-hit-count", "redis-read-modify-write")
    sizes, files = [], []
    async with LiveExecutor(scenario, target) as executor:
        walk = Walk(0, SCHEDULES)
        while walk.more():
            walk.learn(await executor.run(walk))
            if walk.schedules in (WARM, SCHEDULES):
                sizes.append(proportional_megabytes(os.getpid()))
                files.append(len(os.listdir("/proc/self/fd")))  # noqa: PTH208 - names are enough
    return [
        Figure(f"memory after {WARM} and {SCHEDULES} schedules", f"{sizes[0]:.1f} and {sizes[1]:.1f} MB", "flat"),
        Figure(f"open files after {WARM} and {SCHEDULES} schedules", f"{files[0]} and {files[1]}", "flat"),
    ]


def figures() -> Iterator[Figure]:
    """Measure the whole run, then many schedules."""
    yield from _whole_run()
    yield from asyncio.run(_many_schedules())
