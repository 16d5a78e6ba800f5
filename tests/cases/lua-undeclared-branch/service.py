"""A script that touches a second key in one branch only; it is declared with DECLARE=1 alone.

A hit that the script counts between the last two commands of the request that comes first is lost. The hits are
`hits:POD` and the length of `log:POD`.
"""

from __future__ import annotations

import os

from alerts import Connection, Reply, serve

READS = 8
"""Reads of keys that nobody writes, between the script and what follows."""
DECLARE = os.environ["DECLARE"] == "1"
SCRIPT = "if redis.call('EXISTS', KEYS[1]) == 1 then return redis.call('INCR', {}) end return 0"


async def deduplicate(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Count the hit where there is a record, else make one."""
    phase, hits, record = f"phase:{pod}", f"hits:{pod}", f"rr-{pod}"
    if await store("GET", phase):
        await store("RPUSH", f"log:{pod}", "1")
        return 202, record, None
    if DECLARE:
        counted = await store("EVAL", SCRIPT.format("KEYS[2]"), "2", phase, hits)
    else:
        counted = await store("EVAL", SCRIPT.format("'hits:' .. ARGV[1]"), "1", phase, pod)
    if counted:
        return 202, record, None
    for number in range(READS):
        await store("GET", f"other{number}:{pod}")
    if not await store("SET", phase, "open", "NX"):
        await store("RPUSH", f"log:{pod}", "1")
        return 202, record, None
    await store("SET", hits, "1")
    return 201, record, None


serve(deduplicate)
