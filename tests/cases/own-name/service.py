"""Names records by its process and a count, and says all the time that this process lives.

NAME=pid: it calls itself by the number of its process; hex, base36, nanoid: by what it made up when it started.
RACY=1 looks whether there is a record, and makes one later; RACY=0 claims the alert first.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from random import choices, getrandbits
from string import ascii_letters, ascii_lowercase, digits

from alerts import Connection, Reply, connect, serve

LETTERS = {"base36": f"{digits}{ascii_lowercase}", "nanoid": f"{digits}{ascii_letters}_-"}
KIND = os.environ["NAME"]
NAME = {"pid": str(os.getpid()), "hex": f"{getrandbits(40):09x}a1"}.get(KIND) or (
    "".join(choices(LETTERS[KIND], k={"base36": 9, "nanoid": 18}[KIND])) + {"base36": "z7", "nanoid": "Zz7"}[KIND]
)
counted = itertools.count(1)
running: list[asyncio.Task[None]] = []


async def beat() -> None:
    """Say that we live: under the name of the process, or of the service."""
    store = await connect()
    while True:
        await store("SET", f"alive:{NAME if os.environ['NAME'] == 'pid' else 'service'}", str(time.time()), "EX", "10")
        await asyncio.sleep(0.1)


async def deduplicate(store: Connection, pod: str) -> tuple[int, str, Reply]:
    """Make the record unless there is one."""
    made = f"rr:{pod}:{next(counted)}"
    await store("HSET", f"seen:{NAME}", pod, "1")
    if os.environ["RACY"] == "1":
        there = await store("HGET", f"by:{NAME}", pod)
        if there is None:
            await store("HSET", f"by:{NAME}", pod, made)
    else:
        there = None if await store("HSETNX", f"by:{NAME}", pod, made) else await store("HGET", f"by:{NAME}", pod)
    if there is not None:
        return 202, str(there), None
    await store("SADD", f"records:{pod}", made)
    return 201, made, None


def begin() -> None:
    """Start the heart with the first turn of the loop."""
    running.append(asyncio.ensure_future(beat()))


serve(deduplicate, begin)
