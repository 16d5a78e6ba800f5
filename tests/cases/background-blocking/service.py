"""Counts alerts; a loop in the same process waits for what is new, with commands that its target calls background.

WAITS: by BLPOP, XREADGROUP, or SUBSCRIBE. MODE=atomic counts by INCR; MODE=racy reads the count, then writes it.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

from alerts import Connection, Reply, connect, serve

WAITS, ATOMIC = os.environ["WAITS"], os.environ["MODE"] == "atomic"
TASKS: list[asyncio.Task[None]] = []


async def listen() -> None:
    """Take what is new, for ever; nothing is done with it."""
    store = await connect()
    with suppress(RuntimeError):  # the group is there already
        await store("XGROUP", "CREATE", "news", "workers", "$", "MKSTREAM")
    if WAITS == "SUBSCRIBE":
        await store("SUBSCRIBE", "news")
    while True:
        if WAITS == "BLPOP":
            await store("BLPOP", "news:list", "1")
        elif WAITS == "XREADGROUP":
            await store("XREADGROUP", "GROUP", "workers", "me", "BLOCK", "1000", "NOACK", "STREAMS", "news", ">")
        else:
            await store.reply()


async def deduplicate(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Count an alert, and tell the loop of the first of its kind."""
    if not TASKS:
        TASKS.append(asyncio.create_task(listen()))
    key = f"hits:{pod}"
    if ATOMIC:
        count = await store("INCR", key)
    else:
        before = await store("GET", key)
        count = int(str(before or 0)) + 1
        await store("SET", key, str(count))
    if count == 1:
        if WAITS == "BLPOP":
            await store("RPUSH", "news:list", pod)
        elif WAITS == "XREADGROUP":
            await store("XADD", "news", "*", "pod", pod)
        else:
            await store("PUBLISH", "news", pod)
    return (201 if count == 1 else 202), f"rr-{pod}", count


serve(deduplicate)
