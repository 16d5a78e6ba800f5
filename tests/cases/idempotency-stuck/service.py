"""An idempotency key whose requests in flight are counted: who is not alone is answered 409 and asks again.

"racy": who was not alone leaves the counter up, so that a later request is never alone. "returns": it takes itself
off again.
"""

from __future__ import annotations

import sys

from alerts import Answer, Connection, serve


async def place(store: Connection, pod: str) -> Answer:
    """Place the order, or repeat the answer."""
    key, flight = f"idem:{pod}", f"flight:{pod}"
    if await store("INCR", flight) != 1:
        if sys.argv[1] == "returns":
            await store("DECR", flight)
        return Answer(409, {"error": "in flight"})
    if (order := await store("GET", key)) is None:
        order = f"order-{pod}"
        await store("RPUSH", f"orders:{pod}", order)
        await store("SET", key, order, "EX", "60")
    await store("DECR", flight)
    return Answer(201, {"order": order})


serve(place)
