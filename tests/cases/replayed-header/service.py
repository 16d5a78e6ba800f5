"""An idempotency key whose repeated answers have the first one's status and text, and a header that says so.

"racy": HGET, then HSET. "claim": HSETNX; who loses waits for nothing, as the name of the result is known before.
"""

from __future__ import annotations

import sys

from alerts import Answer, Connection, serve


async def book(store: Connection, pod: str) -> Answer:
    """Book, or repeat the answer."""
    key, reported = f"booking:{pod}", f"booking-{pod}"
    if sys.argv[1] == "claim":
        first = await store("HSETNX", key, "answer", reported) == 1
    else:
        first = await store("HGET", key, "answer") is None
        if first:
            await store("HSET", key, "answer", reported)
    if first:
        await store("RPUSH", f"work:{pod}", reported)
    return Answer(201, reported, {} if first else {"Idempotent-Replayed": "true"})


serve(book)
