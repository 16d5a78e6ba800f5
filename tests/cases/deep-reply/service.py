"""A script answers with a reply that is nested 900 deep. Correct."""

from __future__ import annotations

import sys

from alerts import Connection, Reply, serve

SCRIPT = """
local reply = {redis.call('SETNX', KEYS[1], '1')}
for _ = 1, 900 do reply = {reply} end
return reply
"""


async def deduplicate(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Ask the script, and look at what is innermost."""
    reply = await store("EVAL", SCRIPT, "1", f"seen:{pod}")
    while isinstance(reply, list):
        (reply,) = reply
    return (201 if reply == 1 else 202), f"rr-{pod}", None


sys.setrecursionlimit(10_000)
serve(deduplicate)
