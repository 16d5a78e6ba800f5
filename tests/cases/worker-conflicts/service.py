"""Claims alerts, while a worker of its own process works on what requests write, every 100 ms, as WORK says.

orphans: it gives up names in an index that nobody has claimed: it looks, and then deletes. RACY=1: a request writes its
name into the index before it claims, and may be taken for an orphan in between; else it claims first.
drain: it moves a list of hits into the hits of a record. RACY=1: it reads the list, counts, and then deletes it; else
it takes one hit after another from it.
"""

from __future__ import annotations

import asyncio
import os

from alerts import Connection, Reply, connect, serve

WORK, RACY = os.environ["WORK"], os.environ["RACY"] == "1"
running: list[asyncio.Task[None]] = []


async def orphans(store: Connection) -> None:
    """Delete what nobody has claimed."""
    for pod in await store("SMEMBERS", "index") or []:  # type: ignore[union-attr]
        if not await store("EXISTS", f"claim:{pod}"):
            await store("DEL", f"claim:{pod}")
            await store("SREM", "index", str(pod))


async def drain(store: Connection) -> None:
    """Count the hits."""
    if RACY:
        pods = await store("LRANGE", "hits", "0", "-1")
        for pod in pods or []:  # type: ignore[union-attr]
            await store("INCR", f"hits:{pod}")
        if pods:
            await store("DEL", "hits")
        return
    while pod := await store("LPOP", "hits"):
        await store("INCR", f"hits:{pod}")


async def work() -> None:
    """Do what is no request's."""
    store = await connect()
    while True:
        await (orphans if WORK == "orphans" else drain)(store)
        await asyncio.sleep(0.1)


async def deduplicate(store: Connection, pod: str) -> tuple[int, str | None, Reply]:
    """Claim the alert, and note it where the worker looks."""
    if WORK == "orphans" and RACY:
        await store("SADD", "index", pod)
    claimed = await store("SET", f"claim:{pod}", f"rr-{pod}", "NX")
    if WORK == "orphans" and not RACY and claimed:
        await store("SADD", "index", pod)
    if WORK == "drain":
        await store("RPUSH", "hits", pod)
    return (201 if claimed else 202), f"rr-{pod}", None


def begin() -> None:
    """Start the work with the first turn of the loop."""
    running.append(asyncio.ensure_future(work()))


serve(deduplicate, begin)
