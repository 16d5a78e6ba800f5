"""An order is placed under a lock; who does not get the lock is answered 503, and asks again later.

"racy": GET of the lock, then SET. "locked": SET NX.
"""

from __future__ import annotations

import sys

from alerts import Answer, Connection, serve


async def place(store: Connection, pod: str) -> Answer:
    """Place the order unless it was, or somebody is about to."""
    lock, orders = f"lock:{pod}", f"orders:{pod}"
    if sys.argv[1] == "locked":
        mine = await store("SET", lock, "1", "NX", "EX", "60") is not None
    else:
        mine = await store("GET", lock) is None
        if mine:
            await store("SET", lock, "1", "EX", "60")
    if not mine:
        return Answer(503, {"error": "in work"}, {"Retry-After": "1"})
    there = await store("LRANGE", orders, "0", "-1")
    if not there:
        await store("RPUSH", orders, f"order-{await store('INCR', f'number:{pod}')}")
        there = await store("LRANGE", orders, "0", "-1")
        status = 201
    else:
        status = 200
    await store("DEL", lock)
    return Answer(status, {"id": there[-1] if isinstance(there, list) else None})


serve(place)
