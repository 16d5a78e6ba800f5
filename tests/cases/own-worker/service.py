"""Counts alerts and claims each; beside that its process does work of its own, which WORK names.

heart: says every 100 ms that it lives. metrics: counts what it did. sweep: drops records that ran out from an index
that requests write too. queue: takes jobs that requests put into a list, and notes that each is done.
RACY=1 looks before it claims.
"""

from __future__ import annotations

import asyncio
import os
import time

from alerts import Connection, Reply, connect, serve

WORK, RACY = os.environ["WORK"], os.environ["RACY"] == "1"
running: list[asyncio.Task[None]] = []


async def work() -> None:
    """Do what is no request's."""
    store = await connect()
    while True:
        if WORK == "queue":
            job = await store("BLPOP", "jobs", "0")
            assert isinstance(job, list)
            await store("SET", f"done:{job[1]}", "1", "EX", "60")
            continue
        if WORK == "heart":
            await store("SET", "alive", str(time.time()), "EX", "10")
        elif WORK == "metrics":
            await store("INCR", "ticks")
            await store("HSET", "metrics", "seen", "1")
        else:
            for name in await store("ZRANGEBYSCORE", "index", "0", str(time.time())) or []:  # type: ignore[union-attr]
                await store("DEL", str(name))
                await store("ZREM", "index", str(name))
        await asyncio.sleep(0.1)


async def deduplicate(store: Connection, pod: str) -> tuple[int, str | None, Reply]:
    """Claim the alert."""
    claim = f"claim:{pod}"
    if RACY:
        mine = await store("GET", claim) is None
        if mine:
            await store("SET", claim, "1")
    else:
        mine = await store("SET", claim, "1", "NX") is not None
    if mine and WORK == "sweep":
        await store("ZADD", "index", str(time.time() + 60), claim)
    if mine and WORK == "queue":
        await store("RPUSH", "jobs", pod)
    return (201 if mine else 202), f"rr-{pod}", None


def begin() -> None:
    """Start the work with the first turn of the loop."""
    running.append(asyncio.ensure_future(work()))


serve(deduplicate, begin)
