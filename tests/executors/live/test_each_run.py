"""What a target puts into its Redis before each run: it is there in the run, gone after it, and never over a user's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conftest import scenario_of, target_of
from following import Follow
from redis.asyncio import Redis

from stress.core.errors import UsageFault
from stress.executors.live.executor import LiveExecutor
from stress.executors.model.executor import ModelExecutor
from stress.protocols.redis.server import Valkey

if TYPE_CHECKING:
    from stress.config.target import Target

TAKEN = {"redis": ["HSET", "gw:dedup:{fingerprint}", "record", "rr-{fingerprint:16}", "count", "7"]}


def putting(*puts: dict[str, list[str]], **keys: object) -> Target:
    """Give the target redis-atomic with what is there before each run."""
    target = target_of("redis-atomic")
    return type(target).model_validate({**target.model_dump(exclude_unset=True), "each_run": list(puts), **keys})


@pytest.mark.asyncio
async def test_a_key_is_there_before_a_run_and_gone_after_it() -> None:
    """The first request of each of two runs finds the record that was put there; afterwards nothing is left."""
    executor = LiveExecutor(scenario_of("concurrent-duplicates"), putting(TAKEN))
    executor.judged = False  # nobody creates the record: that breaks invariants without concurrency
    async with executor:
        first = await executor.run(Follow("A A"))
        second = await executor.run(Follow("A A"))
        left = await executor.deployment.stores["redis"].store.ask([("KEYS", "*")])
    assert [[(one.status, one.record, one.count) for one in trace.answers] for trace in (first, second)] == [
        [(202, "rr-{fingerprint:16}", 8), (202, "rr-{fingerprint:16}", 9)]
    ] * 2
    assert left == [[]]


def test_the_model_begins_with_the_same() -> None:
    """A bundled Gateway in memory finds what its store on the wire would hold."""
    trace = ModelExecutor(scenario_of("concurrent-duplicates"), putting(TAKEN)).run(Follow("A A"))
    assert [(one.status, one.record, one.count) for one in trace.answers] == [
        (202, "rr-{fingerprint:16}", 8),
        (202, "rr-{fingerprint:16}", 9),
    ]


@pytest.mark.asyncio
async def test_a_command_that_the_store_refuses_is_reported_at_its_place() -> None:
    """No such command, no key, the wrong type: the file is at fault, and the line says what the store said."""
    for words, said in (
        (["SETT", "k", "1"], "Invalid command specified"),
        (["PING"], "The command has no key arguments"),
        (["EVAL", "return redis.call('LPUSH', KEYS[1])", "1", "k"], "Wrong number of args"),
    ):
        with pytest.raises(UsageFault) as caught:
            async with LiveExecutor(scenario_of("concurrent-duplicates"), putting({"redis": words})):
                pass
        assert f"each_run: {' '.join(words)}: " in str(caught.value)
        assert said in str(caught.value)
        assert str(caught.value).endswith("(write a command that names its keys, such as [SET, key, value])")
    with pytest.raises(
        UsageFault, match=r"each_run: LPUSH k 1: unknown command 'LPUSH' \(search it with --executor live"
    ):
        ModelExecutor(scenario_of("concurrent-duplicates"), putting({"redis": ["LPUSH", "k", "1"]}))


@pytest.mark.asyncio
async def test_a_key_of_a_users_own_store_is_never_overwritten() -> None:
    """A key of a store that runs already stays as it is, unless nothing there is worth keeping."""
    server = Valkey()
    admin = Redis.from_url(f"redis://127.0.0.1:{server.port}")
    put = {"redis": ["SET", "theirs", "ours"]}
    store = {"url": f"redis://127.0.0.1:{server.port}"}
    try:
        await admin.set("theirs", "untouched")
        with pytest.raises(UsageFault, match=r"SET theirs ours: its key is there already \(let its key hold \{fresh\}"):
            async with LiveExecutor(scenario_of("concurrent-duplicates"), putting(put, stores={"redis": store})):
                pass
        assert await admin.get("theirs") == b"untouched"
        stores = {"redis": {**store, "scratch": True}}
        async with LiveExecutor(scenario_of("concurrent-duplicates"), putting(put, stores=stores)) as executor:
            await executor.run(Follow("A A"))
        assert await admin.keys() == []
    finally:
        await admin.aclose()
        server.close()
