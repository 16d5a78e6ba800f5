"""Who has the claim does the work and publishes it; others look for the result and wait for the message, two seconds.

FIRST=0 looks, then subscribes: a message between the two is lost. FIRST=1 subscribes, then looks.
"""

from __future__ import annotations

import asyncio
import os

from alerts import Connection, Reply, connect, serve

FIRST = os.environ["FIRST"] == "1"


async def deduplicate(store: Connection, pod: str) -> tuple[int, str | None, Reply]:
    """Do the work, or wait until it is done."""
    claim, result, done, record = f"claim:{pod}", f"result:{pod}", f"done:{pod}", f"job-{pod}"
    if await store("SET", claim, "1", "NX"):
        await store("SET", result, record)
        await store("PUBLISH", done, record)
        return 201, record, None
    if not FIRST and await store("GET", result):
        return 202, record, None
    listener = await connect()
    await listener("SUBSCRIBE", done)
    if not (FIRST and await store("GET", result)):
        try:
            async with asyncio.timeout(2):
                await listener.reply()
        except TimeoutError:
            return 504, None, None
    return 202, record, None


serve(deduplicate)
