"""How soon an actor that waits for a lock in its own process is known as blocked, in three languages."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench.figure import Figure, case, median
from stress.config.target import Target
from stress.executors.live.executor import LiveExecutor
from stress.schedulers.random_walk import Walk

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEDULES = 40
_GATEWAYS = Path(__file__).parent.parent / "tests" / "gateways"
_BUILD = {
    "node": ("npm", "install", "--no-package-lock", "--no-audit", "--silent"),
    "go": ("go", "build", "-o", "gateway"),
}


async def _blocked(target: Target, folder: Path) -> Figure:
    scenario, _ = case("atomic-hit-count", "redis-atomic")
    async with LiveExecutor(scenario, target, folder) as executor:
        walk = Walk(0, SCHEDULES)
        while walk.more():
            trace = await executor.run(walk)
            walk.learn(trace)
        times = executor.blocked_seconds
    late = sum(seconds >= target.patience for seconds in times)
    value = f"{median(times) * 1000:.1f} ms median of {len(times)}, {late} ran out of patience"
    return Figure(f"blocked on a lock is known after ({target.name})", value, "<= 20 ms, 0")


def figures() -> Iterator[Figure]:
    """Measure Python, and node and Go where they are installed."""
    start = {"command": [sys.executable, str(_GATEWAYS / "lock_gateway.py"), "{port}", "{redis_port}", "locked"]}
    target = Target.model_validate({"name": "python", "start": {**start, "ready": {"path": "/ready"}}})
    yield asyncio.run(_blocked(target, _GATEWAYS))
    for language, build in _BUILD.items():
        if shutil.which(build[0]) is None:
            yield Figure(f"blocked on a lock is known after ({language})", f"not measured: {build[0]} not installed")
            continue
        with TemporaryDirectory() as folder:
            home = shutil.copytree(_GATEWAYS / language, Path(folder) / language)
            subprocess.run(build, cwd=home, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own Gateway
            target = Target.load(_GATEWAYS / f"{language}.yaml")
            assert target.start is not None  # noqa: S101 - our own file
            mode = "lock" if language == "node" else "mutex"
            begin = target.start.model_copy(update={"command": [*target.start.command[:-1], mode]})
            yield asyncio.run(_blocked(target.model_copy(update={"start": begin, "patience": 2.0}), home))
