"""A rate limit of one request a minute, as it is answered everywhere: 200 to the first, 429 to the others.

"racy": GET, then SET. "atomic": INCR and EXPIRE in one go.
"""

from __future__ import annotations

import sys

from alerts import Connection, Reply, serve


async def limit(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Let in who is the first."""
    key = f"limit:{pod}"
    if sys.argv[1] == "atomic":
        used, _ = await store.together(("INCR", key), ("EXPIRE", key, "60", "NX"))
    else:
        used = int(str(await store("GET", key) or 0)) + 1
        await store("SET", key, str(used), "EX", "60")
    return (200 if used == 1 else 429), f"limit-{pod}", None


serve(limit)
