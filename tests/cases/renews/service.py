"""Holds a lease beside its work, as one of several replicas does: it is read and renewed every EVERY milliseconds.

Requests are correct: who claims the fingerprint first has created its record, and each counts one hit.
"""

from __future__ import annotations

import asyncio
import os

from alerts import Connection, Reply, serve

EVERY, STORE = int(os.environ["EVERY"]) / 1000, ("127.0.0.1", int(os.environ["REDIS_PORT"]))
tasks: set[asyncio.Task[None]] = set()


async def renew() -> None:
    """Hold the lease for ever."""
    store = Connection(*await asyncio.open_connection(*STORE))
    while True:
        held = int(str(await store("GET", "lease") or 0))
        await store("SET", "lease", str(held + 1))
        await asyncio.sleep(EVERY)


async def deduplicate(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Claim the fingerprint and count."""
    if not tasks:
        tasks.add(asyncio.create_task(renew()))
    claimed = await store("SET", f"record:{pod}", f"rr-{pod}", "NX")
    hits = await store("INCR", f"hits:{pod}")
    return (201 if claimed else 202), f"rr-{pod}", hits


serve(deduplicate)
