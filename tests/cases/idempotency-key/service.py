"""An idempotency key; the effect is one order in a list. It has one of three styles for who is not the first.

"replay": the first one's 201 again, and 409 while that is in flight; "found": 200 with the record, and 409; "wait":
looks until the result is there, then 201. "racy": GET, then SET of the mark. "claim": SET NX of it.
"""

from __future__ import annotations

import asyncio
import sys

from alerts import Answer, Connection, serve

STYLE, CLAIM = sys.argv[1], sys.argv[2] == "claim"
WORKING = "working"


async def repeat(store: Connection, key: str) -> Answer:
    """Answer who is not the first."""
    order = await store("GET", key)
    while STYLE == "wait" and order == WORKING:
        await asyncio.sleep(0.01)
        order = await store("GET", key)
    if order == WORKING:
        return Answer(409, {"error": "in flight"})
    return Answer(200 if STYLE == "found" else 201, {"order": order})


async def place(store: Connection, pod: str) -> Answer:
    """Place the order, or repeat the answer."""
    key = f"idem:{pod}"
    if CLAIM:
        first = await store("SET", key, WORKING, "NX", "EX", "60") is not None
    else:
        first = await store("GET", key) is None
        if first:
            await store("SET", key, WORKING, "EX", "60")
    if not first:
        return await repeat(store, key)
    order = f"order-{pod}"
    await store("RPUSH", f"orders:{pod}", order)
    await store("SET", key, order, "EX", "60")
    return Answer(201, {"order": order})


serve(place)
