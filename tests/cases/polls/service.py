"""Counts a hit under a lock; who does not get the lock sleeps and asks again.

HOW says by what it asks. ``set``: SET NX, ``one``: the same, all requests on one connection, ``jitter``: with sleeps of
10 to 250 ms, ``get``: GET until there is none, then SET NX, ``two``: GET of a stop sign, then of the lock, ``script``:
one that takes it, as ``ttl``, whose reply says for how long the lock lasts, ``watch``: no lock, WATCH to EXEC until
nobody came between. TRIES: how often it asks before it answers 503 (0: without end).

MODE=racy reads the count before it has the lock; with ``get`` it takes the lock by SET alone, with ``watch`` unwatched.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import random

from alerts import Connection, Reply, connect, serve

HOW, TRIES, RACY = os.environ["HOW"], int(os.environ.get("TRIES", "0")), os.environ["MODE"] == "racy"
TAKE = "return redis.call('SET', KEYS[1], 1, 'NX', 'EX', 60) and 1 or 0"
TAKE_OR_TTL = """
if redis.call('EXISTS', KEYS[1]) == 0 then return redis.call('PSETEX', KEYS[1], 60000, 1) end
return redis.call('PTTL', KEYS[1])
"""


class One:
    """One connection for all requests: commands go out at once, their replies come in the same order."""

    def __init__(self) -> None:
        """Connect when first needed."""
        self._connecting: asyncio.Task[Connection] | None = None
        self._last: asyncio.Event | None = None

    async def __call__(self, *words: str) -> Reply:
        """Run one command."""
        self._connecting = self._connecting or asyncio.ensure_future(connect())
        store = await self._connecting
        store.write(words)
        before, self._last = self._last, (mine := asyncio.Event())
        if before is not None:
            await before.wait()
        reply = await store.reply()
        mine.set()
        return reply


one = One()


async def script(store: Connection | One, text: str, key: str) -> Reply:
    """Run a script by its digest; load it where the store does not know it."""
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    try:
        return await store("EVALSHA", digest, "1", key)
    except RuntimeError:
        return await store("EVAL", text, "1", key)


async def taken(store: Connection | One, lock: str) -> bool:
    """Ask once for the lock."""
    if HOW == "script":
        return await script(store, TAKE, lock) == 1
    if HOW == "ttl":
        return await script(store, TAKE_OR_TTL, lock) == "OK"
    if HOW == "two" and await store("GET", f"stop:{lock}"):
        return False
    if HOW in ("get", "two") and await store("GET", lock):
        return False
    always = RACY and HOW == "get"
    return await store("SET", lock, "1", "EX", "60", *([] if always else ["NX"])) == "OK"


async def wait(store: Connection | One, lock: str) -> bool:
    """Ask until the lock is there, or often enough."""
    for number in itertools.count(1):
        if await taken(store, lock):
            return True
        if number == TRIES:
            return False
        await asyncio.sleep(random.uniform(0.01, 0.25) if HOW == "jitter" else 0.01)
    raise AssertionError


async def transaction(store: Connection, hits: str) -> int:
    """Count in a transaction, until nobody came between."""
    while True:
        if not RACY:
            await store("WATCH", hits)
        count = int(str(await store("GET", hits) or 0)) + 1
        *_, done = await store.together(("MULTI",), ("SET", hits, str(count)), ("EXEC",))
        if done is not None:
            return count


async def count(store: Connection | One, pod: str) -> tuple[int, str, Reply]:
    """Count one hit."""
    lock, hits = f"lock:{pod}", f"hits:{pod}"
    store = one if HOW == "one" else store
    if HOW == "watch":
        number = await transaction(store, hits)
        return (201 if number == 1 else 202), f"rr-{pod}", number
    early = await store("GET", hits) if RACY and HOW != "get" else None
    if not await wait(store, lock):
        return 503, f"rr-{pod}", None
    number = int(str((early if RACY and HOW != "get" else await store("GET", hits)) or 0)) + 1
    await store("SET", hits, str(number))
    await store("DEL", lock)
    return (201 if number == 1 else 202), f"rr-{pod}", number


serve(count)
