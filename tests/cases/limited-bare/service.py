"""A limit that is asked by the path, as a proxy asks it, and answers with a bare 200 or 429 and a plain text.

"racy": EXISTS, then SET. "atomic": SET NX.
"""

from __future__ import annotations

import sys

from alerts import Answer, Connection, serve


async def limit(store: Connection, pod: str) -> Answer:
    """Let in who sets the key."""
    key = f"limit:{pod}"
    if sys.argv[1] == "racy":
        free = not await store("EXISTS", key)
        if free:
            await store("SET", key, "1", "EX", "60")
    else:
        free = await store("SET", key, "1", "NX", "EX", "60") is not None
    return Answer(200, "ok") if free else Answer(429, "slow down", {"Retry-After": "60"})


serve(limit)
