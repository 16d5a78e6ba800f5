"""A semaphore of one token in a list. A loan is a field of a hash; one that lasts too long is ended by who comes next.

GIVE_BACK=racy looks into the hash, then removes and pushes: who came in between has given the token back already.
GIVE_BACK=removed: who has removed it from the hash pushes it.
"""

from __future__ import annotations

import os

from alerts import Connection, Reply, serve

REMOVED = os.environ["GIVE_BACK"] == "removed"


async def give_back(store: Connection, free: str, out: str) -> None:
    """Put the token back into the list, once for each loan."""
    if REMOVED:
        if await store("HDEL", out, "token"):
            await store("LPUSH", free, "token")
    elif await store("HEXISTS", out, "token"):
        await store.together(("HDEL", out, "token"), ("LPUSH", free, "token"))


async def deduplicate(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Take the token, look for the record, else create it, and give the token back."""
    free, out, lent, record = f"free:{pod}", f"out:{pod}", f"lent:{pod}", f"record:{pod}"
    if await store("SET", f"there:{pod}", "1", "NX"):
        await store("RPUSH", free, "token")
    elif not await store("EXISTS", lent):
        await give_back(store, free, out)
    if await store("BLPOP", free, "3") is None:
        return 503, f"rr-{pod}", None
    await store("HSET", out, "token", "1")
    await store("SET", lent, "1", "EX", "30")
    seen = await store("GET", record)
    if not seen:
        await store("SET", record, f"rr-{pod}")
    await give_back(store, free, out)
    return (202 if seen else 201), f"rr-{pod}", None


serve(deduplicate)
