"""Hands out the one slot that it has put into its store as it started.

`racy` looks whether a slot is left and then takes it; `atomic` takes it, and gives it back where there was none.
"""

from __future__ import annotations

import os
import socket

from alerts import Connection, Reply, serve

MODE = os.environ["MODE"]


async def deduplicate(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Answer 201 to who has the slot, 202 to others."""
    if MODE == "racy":
        taken = await store("GET", "slots") == "1" and await store("SET", "slots", "0") is not None
    elif taken := await store("DECR", "slots") == 0:
        pass
    else:
        await store("INCR", "slots")
    return (201 if taken else 202), f"rr-{pod}", None


with socket.create_connection(("127.0.0.1", int(os.environ["REDIS_PORT"]))) as begin:
    begin.sendall(b"SET slots 1\r\n")
    begin.recv(5)
serve(deduplicate)
