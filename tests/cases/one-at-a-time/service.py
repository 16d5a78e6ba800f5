"""All requests share one connection, which a request has to itself from writing a command to reading its reply.

MODE=watch counts with WATCH, GET and a transaction, again and again: racy, as they share what the connection watches.
MODE=own does the same with a connection for each request. MODE=claim claims first.
"""

from __future__ import annotations

import asyncio
import os

from alerts import Connection, Reply, connect, serve

MODE = os.environ["MODE"]
SHARED: list[Connection] = []
lock = asyncio.Lock()


async def call(store: Connection, *commands: tuple[str, ...]) -> Reply:
    """Run commands, on the shared connection one call at a time; give the last reply."""
    if store not in SHARED:
        return (await store.together(*commands))[-1]
    async with lock:
        return (await store.together(*commands))[-1]


async def count(own: Connection, pod: str) -> tuple[int, str | None, Reply]:
    """Count an alert, or claim it."""
    if MODE != "own" and not SHARED:
        SHARED.append(await connect())
    store, key, record = own if MODE == "own" else SHARED[0], f"hits:{pod}", f"rr-{pod}"
    if MODE == "claim":
        mine = await call(store, ("SET", f"claim:{pod}", "1", "NX"))
        if mine:
            await call(store, ("SET", key, "1"))
        return (201 if mine else 202), record, None
    while True:
        await call(store, ("WATCH", key))
        hits = int(str(await call(store, ("GET", key)) or 0)) + 1
        if await call(store, ("MULTI",), ("SET", key, str(hits)), ("EXEC",)) is not None:
            return (201 if hits == 1 else 202), record, hits


serve(count)
