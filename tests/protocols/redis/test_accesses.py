"""Which objects a command touches, asked of a real server."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from stress.core.step import WHOLE, Access, Touch
from stress.protocols.redis import accesses as keys_module
from stress.protocols.redis.accesses import KeyFinder
from stress.protocols.redis.commands import Effect
from stress.protocols.redis.scripts import ScriptWatch, runs
from stress.protocols.redis.server import Valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

ALL_READ, ALL_WRITTEN = Touch(WHOLE, Access.READ), Touch(WHOLE, Access.WRITE)
GREEDY = b"redis.call('SET', 'made-up-' .. ARGV[1], '1') return redis.call('GET', KEYS[1] or 'k')"
"""A script that writes a key which it does not declare."""
BRANCHING = b"if redis.call('EXISTS', KEYS[1]) == 1 then return redis.call('INCR', 'hits') end return 0"
"""A script that writes a key which it does not declare in one branch alone."""


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    """Start one server for all tests of this file."""
    server = Valkey()
    yield server
    server.close()


class Asked:
    """The server, the finder that asks it, and how often it was asked."""

    def __init__(self, redis: Redis, valkey: Valkey) -> None:
        """Watch scripts too."""
        self.redis = redis
        self.count = 0
        self.server = ("127.0.0.1", valkey.port)
        self.watch = ScriptWatch(self.server, self.ask)
        self.keys = KeyFinder(self.ask, ResponseError, self.watch)

    async def ask(self, *command: str) -> object:
        """Run a command and count it."""
        self.count += 1
        return await self.redis.execute_command(*command)  # type: ignore[no-untyped-call]


@pytest_asyncio.fixture
async def asked(valkey: Valkey) -> AsyncIterator[Asked]:
    """Connect to the server."""
    redis = Redis(port=valkey.port, decode_responses=True, protocol=2)
    redis.response_callbacks.clear()
    await redis.flushall()
    asked = Asked(redis, valkey)
    yield asked
    await asked.watch.close()
    await redis.aclose()


def effect(line: str | tuple[bytes, ...], database: int = 0) -> Effect:
    """Write a command that takes effect."""
    return Effect(tuple(word.encode() for word in line.split()) if isinstance(line, str) else line, database)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("line", "touches"),
    [
        ("GET a", [Touch("a", Access.READ)]),
        ("SET a 1 NX", [Touch("a", Access.CREATE)]),
        ("DEL a b", [Touch("a", Access.DELETE), Touch("b", Access.DELETE)]),
        ("GETDEL a", [Touch("a", Access.DELETE)]),
        ("LPOP a", [Touch("a", Access.WRITE)]),
        ("HDEL a f", [Touch("a", Access.WRITE)]),
        ("XREADGROUP GROUP g c STREAMS s >", [Touch("s", Access.WRITE)]),
        ("RENAME a b", [Touch("a", Access.WRITE), Touch("b", Access.WRITE)]),
        ("SORT a", [Touch("a", Access.READ)]),
        ("SORT a BY w_*", [ALL_READ, Touch("a", Access.READ)]),
        ("SORT_RO a GET w_*", [ALL_READ, Touch("a", Access.READ)]),
        ("SORT a BY w_* STORE d", [ALL_READ, Touch("a", Access.READ), Touch("d", Access.WRITE)]),
        ("SCAN 0", [ALL_READ]),
        ("KEYS *", [ALL_READ]),
        ("DBSIZE", [ALL_READ]),
        ("RANDOMKEY", [ALL_READ]),
        ("FLUSHDB", [ALL_WRITTEN]),
        ("FLUSHALL ASYNC", [ALL_WRITTEN]),
        ("SWAPDB 0 1", [ALL_WRITTEN]),
        ("MOVE a 3", [ALL_WRITTEN]),
        ("COPY a b DB 3", [ALL_WRITTEN]),
        ("COPY a b", [Touch("a", Access.READ), Touch("b", Access.WRITE)]),
        ("NOSUCH a", [ALL_WRITTEN]),
        ("GET a b", [ALL_WRITTEN]),
        ("CONFIG SET maxmemory 1", [ALL_WRITTEN]),
        ("TIME", []),
        ("WAIT 0 1", []),
        ("PUBLISH news x", [Touch("channel:news", Access.WRITE)]),
        ("PUBLISH", []),
        ("SUBSCRIBE news sport", [Touch("channel:news", Access.READ), Touch("channel:sport", Access.READ)]),
        ("MESSAGE news x", [Touch("channel:news", Access.READ)]),
        ("PMESSAGE n* news x", [Touch("channel:news", Access.READ)]),
        ("UNSUBSCRIBE", [ALL_READ]),
        ("PSUBSCRIBE n*", [ALL_READ]),
        ("SUBSCRIBE __keyspace@0__:a", [ALL_READ]),
        ("INVALIDATE a b", [Touch("a", Access.READ), Touch("b", Access.READ)]),
        ("INVALIDATE", [ALL_READ]),
    ],
)
async def test_the_server_tells_what_a_command_touches(asked: Asked, line: str, touches: list[Touch]) -> None:
    """Keys and access come from the real server, once; what it can't see touches the whole database or a channel."""
    found = await asked.keys.touches([effect(line)], [], str)
    assert list(found.touches) == touches
    assert found.objects == tuple(touch.object for touch in touches)
    before = asked.count
    assert await asked.keys.touches([effect(line)], [], str) == found
    assert asked.count == before


@pytest.mark.asyncio
async def test_of_several_touches_of_an_object_the_first_change_counts(asked: Asked) -> None:
    """A pipeline that reads and writes a key writes it; what is only watched is read."""
    effects, watched = [effect("GET a"), effect("SET a 1"), effect("GET b")], [effect("WATCH a c")]
    found = await asked.keys.touches(effects, watched, str)
    assert list(found.touches) == [Touch("a", Access.WRITE), Touch("b", Access.READ), Touch("c", Access.READ)]


@pytest.mark.asyncio
async def test_an_object_is_a_key_in_a_database(asked: Asked) -> None:
    """The same key in two databases is two objects; the whole store and a channel are the same in all."""
    effects = [effect("SET a 1"), effect("SET a 1", 3), effect("KEYS *", 3), effect("PUBLISH a x", 3)]
    found = await asked.keys.touches(effects, [effect("WATCH b", 2)], str)
    assert found.objects == ("a", "db3:a", WHOLE, "channel:a", "db2:b")


@pytest.mark.asyncio
async def test_keys_are_called_by_their_names(asked: Asked) -> None:
    """Objects are named as asked, and commands that differ in made-up names only are asked for once."""
    for number in ("17", "18"):
        naming = partial(re.sub, number, "{n}")
        found = await asked.keys.touches([effect(f"GET k-{number}")], [], naming)
        assert found.objects == ("k-{n}",)
    assert asked.count == 1


@pytest.mark.asyncio
async def test_a_script_touches_everything_until_it_was_seen(asked: Asked) -> None:
    """What a script did replaces that it may touch anything; what the step is called by never changes."""
    declared, undeclared = (effect((b"EVAL", GREEDY, *words)) for words in ((b"1", b"k", b"x"), (b"0", b"x")))
    for script, objects in ((declared, ("k",)), (undeclared, (WHOLE,))):
        before = await asked.keys.touches([script], [], str)
        assert before.objects == objects
        assert ALL_WRITTEN in before.touches
        ran, seen = await asked.keys.during([script], str, partial(asked.redis.execute_command, *script.args))
        assert ran is None
        assert seen == (Touch("made-up-x", Access.WRITE), Touch("k", Access.READ))
        after = await asked.keys.touches([script], [], str, seen)
        assert after.objects == objects
        assert dict(after.touches) == {
            "k": Access.WRITE if script is declared else Access.READ,
            "made-up-x": Access.WRITE,
        }


@pytest.mark.asyncio
async def test_a_script_is_seen_in_each_of_its_runs(asked: Asked) -> None:
    """A key that only one branch touches is seen in the run that takes it, and in no other."""
    script = effect((b"EVAL", BRANCHING, b"1", b"phase"))
    run = partial(asked.redis.execute_command, *script.args)
    seen = [(await asked.keys.during([script], str, run))[1]]
    await asked.redis.set("phase", "open")
    seen += [(await asked.keys.during([script], str, run))[1] for _ in range(2)]
    read, taken = Touch("phase", Access.READ), Touch("hits", Access.WRITE)
    assert seen == [(read,), (read, taken), (read, taken)]


@pytest.mark.asyncio
async def test_one_connection_stays_open_for_scripts_alone(asked: Asked) -> None:
    """The server has one connection more from the first script on; a watch that must not stay has none between."""

    async def watching() -> int:
        return str(await asked.ask("CLIENT", "LIST")).count("cmd=monitor")

    script = effect((b"EVAL", BRANCHING, b"1", b"phase"))
    run = partial(asked.redis.execute_command, *script.args)
    briefly = KeyFinder(asked.ask, ResponseError, ScriptWatch(asked.server, asked.ask, stays=False))
    counts = [await watching()]
    for finder, one in ((briefly, script), (asked.keys, effect("GET a")), (asked.keys, script), (asked.keys, script)):
        await finder.during([one], str, run)
        counts.append(await watching())
    await asked.watch.close()
    assert counts == [0, 0, 0, 1, 1]


@pytest.mark.asyncio
async def test_a_stored_script_in_a_transaction_is_seen_in_its_database(asked: Asked, valkey: Valkey) -> None:
    """EVALSHA inside MULTI is watched as well; another command is not."""
    sha = await asked.redis.script_load(GREEDY)
    script = effect((b"EVALSHA", sha.encode(), b"0", b"z"), 2)
    async with Redis(port=valkey.port, db=2) as other:
        pipeline = other.pipeline()
        pipeline.evalsha(sha, 0, "z")
        _, seen = await asked.keys.during([effect("GET a"), script], str, pipeline.execute)
    assert seen == (Touch("db2:made-up-z", Access.WRITE), Touch("db2:k", Access.READ))
    assert await asked.keys.during([effect("GET a")], str, asked.redis.ping) == ("PONG", None)


@pytest.mark.asyncio
async def test_the_same_script_of_another_is_not_taken_for_it(asked: Asked) -> None:
    """Of several runs of one script only the last count, as many as were released."""
    script = effect((b"EVAL", BRANCHING, b"1", b"phase"))
    run = partial(asked.redis.execute_command, *script.args)

    async def other_first() -> None:
        await asked.redis.set("phase", "open")
        await run()
        await asked.redis.delete("phase")
        await run()

    read, taken = Touch("phase", Access.READ), Touch("hits", Access.WRITE)
    assert await asked.keys.during([script], str, other_first) == (None, (read,))
    assert await asked.keys.during([script, script], str, other_first) == (None, (read, taken))


@pytest.mark.asyncio
@pytest.mark.parametrize("sent", ["EVAL", "PING"])
async def test_a_script_that_was_not_seen_stays_unknown(asked: Asked, sent: str) -> None:
    """Where MONITOR shows no run of a script, or the server refuses MONITOR, it may have touched anything."""
    script = effect((b"EVAL", BRANCHING, b"1", b"phase"))
    if sent == "PING":
        assert await asked.keys.during([script], str, asked.redis.ping) == ("PONG", None)
        return
    await asked.redis.execute_command("ACL", "SETUSER", "default", "-monitor")  # type: ignore[no-untyped-call]
    try:
        assert (await asked.keys.during([script], str, partial(asked.redis.execute_command, *script.args)))[1] is None
    finally:
        await asked.redis.execute_command("ACL", "SETUSER", "default", "+monitor")  # type: ignore[no-untyped-call]


@pytest.mark.asyncio
async def test_a_watch_logs_in_where_the_server_asks_for_it(asked: Asked) -> None:
    """With user and password a script is seen on a server that knows them, with a wrong one it stays unknown."""
    await asked.redis.execute_command("ACL", "SETUSER", "looks", "on", ">s3", "+monitor", "+auth")  # type: ignore[no-untyped-call]
    script = effect((b"EVAL", BRANCHING, b"1", b"phase"))
    run = partial(asked.redis.execute_command, *script.args)
    seen = []
    for password in ("s3", "s4"):
        watch = ScriptWatch(asked.server, asked.ask, ("looks", password))
        seen.append((await KeyFinder(asked.ask, ResponseError, watch).during([script], str, run))[1])
        await watch.close()
    assert seen == [(Touch("phase", Access.READ),), None]


@pytest.mark.asyncio
async def test_a_server_that_may_not_be_watched_keeps_its_scripts_unknown(asked: Asked) -> None:
    """Without MONITOR every script may touch anything; one that only reads may read anything."""
    finder = KeyFinder(asked.ask, ResponseError)
    for line, access in (("EVAL s 1 k", Access.WRITE), ("FCALL_RO f 1 k", Access.READ)):
        assert await finder.during([effect(line)], str, asked.redis.ping) == ("PONG", None)
        assert (await finder.touches([effect(line)], [], str)).touches[-1] == Touch(WHOLE, access)


@pytest.mark.asyncio
async def test_a_lost_server_teaches_nothing() -> None:
    """A server that is gone before or during the watch leaves the outcome to the release itself."""
    server = Valkey()
    lost = Redis(port=server.port)
    watch = ScriptWatch(("127.0.0.1", server.port), lost.execute_command)

    async def kill() -> str:
        server.process.kill()
        server.process.wait()
        return "lost"

    assert await watch.during(kill) == ("lost", None)
    assert await watch.during(kill) == ("lost", None)
    await watch.close()
    await lost.aclose()
    server.close()


@pytest.mark.asyncio
async def test_memory_of_commands_is_bounded(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """When too many different commands were seen all are forgotten, and asked for again."""
    monkeypatch.setattr(keys_module, "_REMEMBERED", 2)
    for line in ("GET a", "GET b", "GET c", "GET a"):
        await asked.keys.touches([effect(line)], [], str)
    assert asked.count == 4


def test_lines_of_monitor_are_read() -> None:
    """A script's calls are the lua lines that follow it, up to the next command; what can't be read is left out."""
    lines = [
        b'+1.5 [0 lua] "GET" "stray"\r\n',
        b'+1.5 [0 127.0.0.1:7] "EVAL" "return 1" "0"\r\n',
        b'+1.5 [0 lua] "SET" "a b" "\\x00\\""\r\n',
        b'+1.5 [3 lua] "GET" "k"\r\n',
        b'+1.5 [0 127.0.0.1:7] "PING"\r\n',
        b'+1.5 [0 lua] "GET" "not-of-the-script"\r\n',
        b"+OK\r\n",
        b'+1.5 [0 127.0.0.1:7] "open\r\n',
    ]
    calls = [Effect((b"SET", b"a b", b'\x00"')), Effect((b"GET", b"k"), 3)]
    assert runs(lines) == [((b"EVAL", b"return 1", b"0"), calls)]
