"""Each command goes down another connection, so that none tells whose it is; but each request writes its own token.

One that comes while another is at work notes that it waits, and goes on in the moment in which the other has claimed
the alert: then both note that they are done. RACY=1: it goes on once the other has looked, before that one claims.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import defaultdict

from alerts import Connection, Reply, connect, serve

RACY = os.environ["RACY"] == "1"
ways: list[Connection] = []
flying: dict[str, int] = defaultdict(int)
claimed: dict[str, asyncio.Event] = defaultdict(asyncio.Event)


async def store(*words: str) -> Reply:
    """Run a command on the connection that has rested longest."""
    while len(ways) < 2:
        ways.append(await connect())
    connection = ways.pop(0)
    try:
        return await connection(*words)
    finally:
        ways.append(connection)


async def deduplicate(_: Connection, pod: str) -> tuple[int, str | None, Reply]:
    """Claim the alert."""
    token, flying[pod] = uuid.uuid4().hex, flying[pod] + 1
    waits = flying[pod] > 1
    try:
        await store("SADD", f"seen:{pod}", token)
        if waits:
            await store("SADD", f"waiting:{pod}", token)
            await claimed[pod].wait()
            await store("SADD", f"done:{pod}", token)
        if RACY:
            mine = await store("EXISTS", f"claim:{pod}", f"claim:{token}") == 0
            claimed[pod].set()
            if mine:
                await store("SET", f"claim:{pod}", token)
        else:
            mine = await store("SET", f"claim:{pod}", token, "NX") is not None
            claimed[pod].set()
        if not waits:
            await store("SADD", f"done:{pod}", token)
        return (201 if mine else 202), f"rr-{pod}", None
    finally:
        flying[pod] -= 1


serve(deduplicate)
