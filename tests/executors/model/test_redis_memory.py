"""The store in memory answers as the real server does: random commands are run on both."""

from __future__ import annotations

import asyncio
import time
from ast import literal_eval
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from stress.core.step import Access, Touch
from stress.executors.model.redis_memory import RedisMemory, touches
from stress.gateways.records import CREATE_LISTED
from stress.gateways.redis_atomic import CREATE_OR_COUNT
from stress.gateways.wire_store import RedisSession, RedisStore
from stress.protocols.redis.server import Valkey

if TYPE_CHECKING:
    from collections.abc import Iterator

Command = tuple[str, ...]

SCRIPTS = {script.lua: script.python for script in (CREATE_OR_COUNT, CREATE_LISTED)}
keys = st.sampled_from(["k", "l", "m"])
names = st.sampled_from(["count", "record", "x"])
values = st.sampled_from(
    ["", "a", "0", "1", "-7", "01", "+1", " 1", "1.5", "9223372036854775807", "9223372036854775808"]
)
some = st.lists(names, min_size=1, max_size=3)


def command(name: str, *parts: st.SearchStrategy[str] | st.SearchStrategy[Command]) -> st.SearchStrategy[Command]:
    """Draw one command: a part is one word, or several."""
    flat = [part.map(lambda words: (words,) if isinstance(words, str) else tuple(words)) for part in parts]
    return st.tuples(*flat).map(lambda several: (name, *(word for words in several for word in words)))


plain = st.one_of(
    command("GET", keys),
    command("SET", keys, values),
    command("SET", keys, values, st.sampled_from([("NX",), ("EX", "100"), ("NX", "EX", "100"), ("EX", "0"), ("EX",)])),
    command("SET", keys, values, st.sampled_from([("ex", "100", "nx"), ("EX", "soon"), ("WHAT",)])),
    command("EXISTS", st.lists(keys, min_size=1, max_size=3).map(tuple)),
    command("DEL", st.lists(keys, min_size=1, max_size=3).map(tuple)),
    command("HGET", keys, names),
    command("HMGET", keys, some.map(tuple)),
    command("HSET", keys, names, values),
    command("HSET", keys, names, values, names, values),
    command("HSET", keys, names, values, names),
    command("HSETNX", keys, names, values),
    command("HINCRBY", keys, names, values),
    command("SADD", keys, some.map(tuple)),
    command("SMEMBERS", keys),
    command("EXPIRE", keys, st.sampled_from(["100", "0", "-1", "x"])),
    command("PEXPIREAT", keys, st.sampled_from(["1", "0", "99999999999999", "x"])),
    command("EVAL", st.just((CREATE_OR_COUNT.lua, "1")), keys, st.just(("rr-1", "now", "100"))),
    command("EVAL", st.just((CREATE_LISTED.lua, "2")), keys, keys, st.just(("rr-1", "100"))),
)
# A server refuses to queue a command with too few words, and the whole transaction with it; no Gateway of ours does so.
queued = plain.filter(lambda words: words[0] != "HSET" or len(words) % 2 == 0)
watching = st.one_of(
    plain.map(lambda one: ("run", one)),
    st.tuples(st.sampled_from(["A", "B"]), st.lists(keys, min_size=1, max_size=2).map(lambda some: ("WATCH", *some))),
    st.tuples(st.sampled_from(["A", "B"]), plain),
    st.tuples(st.sampled_from(["A", "B"]), st.lists(queued, min_size=1, max_size=3)),
)


class Real:
    """A real server, and a loop to talk with it."""

    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        """Connect as a bundled Gateway does."""
        self.client = Redis.from_url(url, decode_responses=True, protocol=2)
        self.store = RedisStore(self.client)
        self.run = runner.run


@pytest.fixture(scope="module")
def real() -> Iterator[Real]:
    """Start a real server once."""
    server = Valkey()
    with asyncio.Runner() as runner:
        found = Real(server.url, runner)
        yield found
        runner.run(found.client.aclose())
    server.close()


def fresh() -> RedisMemory:
    """Give an empty store at the time that it is now."""
    return RedisMemory(float(int(time.time())), dict(SCRIPTS))


def alike(reply: object, words: Command) -> object:
    """Give a reply or an error so that both sides compare: a set has no schedule, and an error names its script."""
    if isinstance(reply, ResponseError | ValueError):
        text = str(reply).removeprefix("ERR ")
        return ("error", text.split(" script: ")[0])
    return sorted(map(str, reply)) if words[0] == "SMEMBERS" and isinstance(reply, list) else reply


def in_memory(memory: RedisMemory, words: Command) -> object:
    """Run one command in memory."""
    try:
        return alike(memory.execute(*words), words)
    except ValueError as error:
        return alike(error, words)


async def on_server(target: RedisStore | RedisSession, words: Command) -> object:
    """Run one command on the real server."""
    try:
        return alike(await target.call(*words), words)
    except ResponseError as error:
        return alike(error, words)


def executed(memory: RedisMemory, client: str, several: list[Command]) -> object:
    """Run a transaction in memory."""
    try:
        replies = memory.transaction(client, several)
    except ValueError as error:
        return alike(error, several[0])
    return replies and [alike(reply, words) for reply, words in zip(replies, several, strict=True)]


async def executing(session: RedisSession, several: list[Command]) -> object:
    """Run a transaction on the real server."""
    try:
        replies = await session.execute(*several)
    except ResponseError as error:
        # redis-py says which command failed, and repeats it.
        text = str(error).partition(" of pipeline caused error: ")[2]
        return alike(ResponseError(literal_eval(text)[0]), several[0])
    return replies and [alike(reply, words) for reply, words in zip(replies, several, strict=True)]


async def left(store: RedisStore) -> dict[str, tuple[object, bool]]:
    """Give the content of the real server, and of each key whether it will run out."""
    found = {}
    for key in await store.call("KEYS", "*"):  # type: ignore[union-attr]
        kind = await store.call("TYPE", key)
        read = {"string": "GET", "hash": "HGETALL", "set": "SMEMBERS"}[str(kind)]
        value = await store.call(read, key)
        if isinstance(value, list):
            value = set(value) if kind == "set" else dict(zip(value[::2], value[1::2], strict=True))  # type: ignore[arg-type,assignment]
        found[key] = (value, await store.call("TTL", key) != -1)
    return found  # type: ignore[return-value]


def content(memory: RedisMemory) -> dict[str, tuple[object, bool]]:
    """Give the same of the store in memory."""
    return {key: (value, key in memory._deadlines) for key, value in memory._data.items()}


@pytest.mark.unmeasured
@example([("HSET", "k", "count", "9223372036854775807"), ("HINCRBY", "k", "count", "1"), ("SET", "l", "a", "EX")])
@given(st.lists(plain, max_size=12))
def test_any_commands_have_the_replies_of_the_real_server(real: Real, several: list[Command]) -> None:
    """Replies, errors, what is left and what will run out are the same, command by command."""
    memory = fresh()

    async def compare() -> None:
        await real.client.flushdb()
        for words in several:
            assert in_memory(memory, words) == await on_server(real.store, words), words
        assert content(memory) == await left(real.store)

    real.run(compare())


@example([("run", ("SADD", "k", "x")), ("A", ("WATCH", "k")), ("run", ("SADD", "k", "x")), ("A", [("GET", "l")])])
@example([("A", ("WATCH", "k")), ("run", ("DEL", "k")), ("A", [("GET", "l")])])
@example([("A", ("WATCH", "k")), ("A", ("SET", "k", "1")), ("A", [("GET", "l")]), ("A", [("GET", "l")])])
@example(
    [("run", ("SET", "k", "1")), ("B", ("WATCH", "l", "k")), ("run", ("EXPIRE", "k", "100")), ("B", [("GET", "l")])]
)
@given(st.lists(watching, max_size=12))
def test_transactions_fail_when_they_fail_on_the_real_server(
    real: Real, several: list[tuple[str, Command | list[Command]]]
) -> None:
    """Two clients that watch keys, while both and a third run commands: each EXEC has the same end on both sides."""
    memory = fresh()

    async def compare() -> None:
        await real.client.flushdb()
        async with AsyncExitStack() as stack:
            sessions = {name: await stack.enter_async_context(real.store.session()) for name in ("A", "B")}
            for who, what in several:
                if isinstance(what, list):
                    assert executed(memory, who, what) == await executing(sessions[who], what), what
                elif what[0] == "WATCH":
                    assert memory.watch(who, *what[1:]) == await sessions[who].call(*what)
                else:
                    target = real.store if who == "run" else sessions[who]
                    assert in_memory(memory, what) == await on_server(target, what), what
        assert content(memory) == await left(real.store)

    real.run(compare())


def test_keys_run_out_as_on_the_real_server(real: Real) -> None:
    """A second later what was to last a second is gone, on the real clock as on the virtual one."""
    commands: list[Command] = [
        ("SET", "k", "a", "EX", "1"),
        ("HSET", "l", "x", "1"),
        ("EXPIRE", "l", "1"),
        ("SET", "m", "a", "EX", "1"),
        ("SET", "m", "b"),
        ("SADD", "n", "a"),
        ("EXPIRE", "n", "100"),
    ]
    memory = fresh()

    async def play() -> dict[str, tuple[object, bool]]:
        await real.client.flushdb()
        for words in commands:
            assert in_memory(memory, words) == await on_server(real.store, words)
        deadline = time.monotonic() + 10
        while await real.store.call("EXISTS", "k", "l") != 0:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        return await left(real.store)

    memory.watch("A", "k")
    found = real.run(play())
    memory.advance()
    assert content(memory) == found == {"m": ("b", False), "n": ({"a"}, True)}
    assert memory.transaction("A", [("GET", "k")]) is None


def test_a_copy_is_independent() -> None:
    """What is written to a copy, and what runs out there, does not change what it was copied from."""
    memory = fresh()
    memory.pipeline([("HSET", "k", "x", "1"), ("SADD", "l", "a"), ("SET", "m", "a", "EX", "1")])
    other = memory.copy()
    other.pipeline([("HSET", "k", "x", "2"), ("SADD", "l", "b"), ("DEL", "m")])
    assert content(memory) == {"k": ({"x": "1"}, False), "l": ({"a"}, False), "m": ("a", True)}
    assert content(other) == {"k": ({"x": "2"}, False), "l": ({"a", "b"}, False)}


def test_a_pipeline_goes_on_after_an_error(real: Real) -> None:
    """The commands after one that fails take effect, and the error is the reply, here and there."""
    several: list[Command] = [("SET", "k", "a"), ("HGET", "k", "x"), ("SET", "l", "b")]
    memory = fresh()

    async def play() -> dict[str, tuple[object, bool]]:
        await real.client.flushdb()
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            await real.store.pipeline(*several)
        return await left(real.store)

    with pytest.raises(ValueError, match="WRONGTYPE"):
        memory.pipeline(several)
    assert content(memory) == real.run(play()) == {"k": ("a", False), "l": ("b", False)}


def test_an_unknown_command_is_an_error() -> None:
    """What the store in memory does not know it refuses."""
    with pytest.raises(ValueError, match="unknown command 'LPUSH'"):
        fresh().execute("LPUSH", "k", "a")


def test_the_keys_of_a_command_are_those_that_the_real_server_names(real: Real) -> None:
    """Each known command touches the keys that COMMAND GETKEYSANDFLAGS gives, and reads or writes them as it says."""
    commands: list[Command] = [
        ("DEL", "k", "l"),
        ("EVAL", CREATE_LISTED.lua, "2", "k", "l", "a", "b"),
        ("EXISTS", "k", "l"),
        ("EXPIRE", "k", "1"),
        ("GET", "k"),
        ("HGET", "k", "x"),
        ("HINCRBY", "k", "x", "1"),
        ("HMGET", "k", "x", "y"),
        ("HSET", "k", "x", "1"),
        ("HSETNX", "k", "x", "1"),
        ("PEXPIREAT", "k", "1"),
        ("SADD", "k", "a"),
        ("SET", "k", "a"),
        ("SMEMBERS", "k"),
        ("WATCH", "k", "l"),
    ]
    assert {words[0] for words in commands} == set(RedisMemory.COMMANDS)

    async def ask(words: Command) -> list[tuple[str, bool]]:
        found = await real.store.call("COMMAND", "GETKEYSANDFLAGS", *words)
        return [(key, bool({"OW", "RW", "RM"} & set(flags))) for key, flags in found]  # type: ignore[union-attr,misc]

    for words in commands:
        mine = [(touch.object, touch.access is not Access.READ) for touch in touches(words)]
        assert mine == real.run(ask(words)), words
    assert touches(("SET", "k", "a", "EX", "1", "NX")) == (Touch("k", Access.CREATE),)
    assert touches(("DEL", "k")) == (Touch("k", Access.DELETE),)
