"""The store of a target: what its Gateway wrote as it started is there again after each run."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from stress.protocols.redis.parts import RedisStore
from stress.protocols.redis.server import Valkey
from stress.protocols.redis.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WRITTEN = [(0, "limit"), (0, "hits"), (3, "group")]


@contextlib.asynccontextmanager
async def started(url: str | None = None) -> AsyncIterator[Store]:
    """Give a store into which a Gateway has written a limit, a group in another database, and a lease."""
    store = Store(RedisStore(url=url))
    await store.open()
    try:
        await store.ask([("SET", "limit", "1"), ("SET", "lease", "mine", "EX", "60")])
        await store.ask([("RPUSH", "group", "a", "a")], 3)
        await store.remember()
        await store.ask([("SET", "limit", "0"), ("SET", "lease", "yours", "EX", "60"), ("SET", "hits", "2")])
        await store.ask([("DEL", "group")], 3)
        yield store
    finally:
        await store.close()


async def held(store: Store) -> list[object]:
    """Read all that is there."""
    first = await store.ask([("GET", "limit"), ("GET", "lease"), ("GET", "hits")])
    return first + await store.ask([("LRANGE", "group", "0", "-1")], 3)


@pytest.mark.asyncio
async def test_what_a_run_wrote_is_as_it_was_when_the_gateway_had_started() -> None:
    """Keys that were there hold again what they held, in each database; the others are deleted."""
    async with started() as store:
        await store.forget(WRITTEN)
        assert await held(store) == [b"1", b"yours", None, [b"a", b"a"]]
        await store.ask([("SET", "limit", "0"), ("SET", "hits", "3")])
        assert await store.read_and_forget([("GET", "hits")], WRITTEN) == [b"3"]
        assert await held(store) == [b"1", b"yours", None, [b"a", b"a"]]


@pytest.mark.asyncio
async def test_a_lease_is_left_to_who_renews_it_and_goes_where_a_run_has_written_it() -> None:
    """A key that runs out by itself is not given back; what else came is deleted with it."""
    async with started() as store:
        await store.clear([])
        assert await held(store) == [b"1", b"yours", None, [b"a", b"a"]]
        await store.forget([(0, "lease")])
        assert await held(store) == [b"1", None, None, [b"a", b"a"]]
        await store.empty()
        assert await store.ask([("DBSIZE",)]) == [0]


@pytest.mark.asyncio
async def test_in_a_store_that_was_not_started_here_nothing_is_kept() -> None:
    """What was written is deleted, and no more."""
    valkey = Valkey()
    try:
        async with started(valkey.url) as store:
            await store.empty()
            await store.clear(WRITTEN)
            assert await held(store) == [None, b"yours", None, []]
    finally:
        valkey.close()
