"""A store that its user lends: what it held before a run it holds after it, byte for byte, whatever the run does."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as HungUp

from stress.core.errors import Place, Unavailable, Untested, UsageFault
from stress.protocols.gate import Gate
from stress.protocols.redis.commands import Effect
from stress.protocols.redis.parts import RedisStore
from stress.protocols.redis.proxy import RedisProxy
from stress.protocols.redis.scripts import ScriptWatch
from stress.protocols.redis.server import Valkey
from stress.protocols.redis.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

DATABASES = (0, 3)
HERE = Place("target.yaml", 3, 5)
ODD = b"\xff\r\n{odd}"
SEED: tuple[tuple[str | bytes, ...], ...] = (
    ("SET", "text", "7"),
    ("SET", "short", "mine", "PX", "60000"),
    ("SADD", "set", "a", "b"),
    ("HSET", "hash", "f", "1", "g", "2"),
    ("ZADD", "sorted", "1", "a", "2", "b"),
    ("RPUSH", "list", "a", "b", "a"),
    ("XADD", "stream", "1-1", "f", "v"),
    ("XADD", "stream", "2-1", "f", "w"),
    ("XGROUP", "CREATE", "stream", "readers", "0"),
    ("PFADD", "sketch", "a", "b", "c"),
    ("PFADD", "sketch", "d"),
    ("SET", ODD, b"\x00\xfe"),
)


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    """Start the server that is lent."""
    server = Valkey()
    yield server
    server.close()


class Lender:
    """The user of the store: what is in it, as its dumps tell."""

    def __init__(self, url: str) -> None:
        """Take its address."""
        self._clients = {number: Redis.from_url(url[:-1] + str(number)) for number in DATABASES}
        self.redis = self._clients[0]

    async def held(self) -> dict[tuple[int, bytes], tuple[bytes | None, int]]:
        """Give the dump of every key and when it runs out."""
        found: dict[tuple[int, bytes], tuple[bytes | None, int]] = {}
        for number, client in self._clients.items():
            keys = sorted(await client.keys())
            async with client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.dump(key).pexpiretime(key)
                reported = await pipe.execute()
            found |= {
                (number, key): case
                for key, case in zip(keys, zip(reported[::2], reported[1::2], strict=True), strict=True)
            }
        return found

    async def fill(self) -> None:
        """Put a key of each type into each database."""
        await self.redis.flushall()
        for client in self._clients.values():
            async with client.pipeline(transaction=False) as pipe:
                for words in SEED:
                    pipe.execute_command(*words)
                await pipe.execute()

    async def close(self) -> None:
        """Disconnect."""
        for client in self._clients.values():
            await client.aclose()


@pytest_asyncio.fixture
async def lender(valkey: Valkey) -> AsyncIterator[Lender]:
    """Give the user of a store that holds a key of each type in two databases."""
    user = Lender(valkey.url)
    await user.fill()
    yield user
    await user.close()


@asynccontextmanager
async def lent(valkey: Valkey, login: str = "", refused: list[Exception] | None = None) -> AsyncIterator[Store]:
    """Borrow the store; what is refused is appended to ``refused``."""
    store = Store(RedisStore(url=valkey.url.replace("//", f"//{login}")))
    await store.open()
    scripts = ScriptWatch(store.address, lambda *words: store.ask([words]), store.login, stays=False)
    try:
        await store.lend((refused if refused is not None else []).append, HERE, scripts)
        yield store
    finally:
        await scripts.close()
        await store.close()


COMMANDS = """
SET text 8|INCR text|APPEND text 1|GETSET text x|SETRANGE text 3 y|SETBIT text 1 1|EXPIRE text 100|GETEX text EX 9
GETDEL text|DEL text|UNLINK text|PERSIST short|SET short yours|RENAME text new|RENAME text set|COPY text new|MOVE new 3
COPY text text DB 3 REPLACE|COPY text other DB 3|MSET text 1 new 2|SADD set c|SADD set a|SREM set a b|SPOP set
SMOVE set new a|SUNIONSTORE set set new|HSET hash f 2 h 3|HDEL hash f|HINCRBY hash f 4|ZADD sorted 9 a|ZPOPMIN sorted
ZUNIONSTORE new 1 sorted|LPUSH list x|RPOP list|LTRIM list 1 1|LSET list 0 z|LMOVE list new LEFT RIGHT|XADD stream * f x
XDEL stream 1-1|XTRIM stream MAXLEN 0|XGROUP CREATE stream more 0|XGROUP DESTROY stream readers
XREADGROUP GROUP readers me STREAMS stream >|XACK stream readers 1-1|SORT list ALPHA STORE new|PFADD sketch z
PFCOUNT sketch|PFMERGE new sketch|BITFIELD text SET u8 0 7|GEOADD new 1 1 m|SET fresh 1 EX 9|PEXPIREAT text 1
EVAL return(redis.call('SET',KEYS[1],'s')) 1 text|LPUSH set wrong-type|NOSUCHCOMMAND text|SET
"""


@pytest.mark.asyncio
async def test_what_a_command_may_do_is_undone(valkey: Valkey, lender: Lender) -> None:
    """Whichever command a run sends, alone or after all others, every key is as it was, for as long as it was."""
    before = await lender.held()
    commands = [tuple(one.split(" ")) for line in COMMANDS.split("\n") for one in line.split("|") if one]
    refused: list[Exception] = []
    async with lent(valkey, refused=refused) as store:
        for words in commands:
            await store.begin()
            await asyncio.gather(store.change([words]), return_exceptions=True)
            await store.forget([])
            assert await lender.held() == before, words
        await store.begin()
        for words in commands:
            await asyncio.gather(store.change([words]), return_exceptions=True)
        assert await lender.held() != before
        await store.forget([])
        assert (await lender.held(), refused, store.notes) == (before, [], [])


@pytest.mark.asyncio
async def test_what_may_cost_more_than_can_be_saved_never_reaches_the_store(valkey: Valkey, lender: Lender) -> None:
    """A flush, a swap, a value of over 1 MB: refused with place, cause and remedy, and nothing has changed."""
    await lender.redis.set("large", os.urandom(1 << 20))
    before = await lender.held()
    for words, why in (
        (("FLUSHALL",), "FLUSHALL may change any key"),
        (("FLUSHDB",), "FLUSHDB may change any key"),
        (("SWAPDB", "0", "3"), "SWAPDB may change any key"),
        (("DEBUG", "RELOAD"), "DEBUG may cost the data of the whole server"),
        (("SHUTDOWN", "NOSAVE"), "SHUTDOWN may cost the data of the whole server"),
        (("CONFIG", "SET", "maxmemory", "100mb"), "CONFIG SET changes the server for all who use it"),
        (("acl", "setuser", "new"), "ACL SETUSER changes the server for all who use it"),
        (("APPEND", "large", "y"), "large holds more than 1 MB, too much to save before each run"),
    ):
        refused: list[Exception] = []
        async with lent(valkey, refused=refused) as store:
            await store.begin()
            with pytest.raises(UsageFault) as caught:
                await store.change([words])
        assert refused == [caught.value]
        assert str(caught.value) == (
            f"target.yaml:3:5: stores.redis.url: {why}, in a store that was not started here (leave `url` out, so that "
            "a store is started, or say `scratch: true` if nothing in it is worth keeping)"
        )
    assert await lender.held() == before


@pytest.mark.asyncio
async def test_a_script_that_touches_an_undeclared_key_ends_all(valkey: Valkey, lender: Lender) -> None:
    """What it wrote to a key that was there, and to one that was not, is taken back, and the first is named."""
    before, refused = await lender.held(), list[Exception]()
    script = "redis.call('DEL', 'hash') redis.call('SET', 'new', 1) redis.call('SET', 'sketch', 2)"
    script += "return redis.call('SET', KEYS[1], 1)"
    async with lent(valkey, refused=refused) as store:
        await store.begin()
        await store.change([("SET", "sketch", "ours")])
        await store.change([("EVAL", script, "1", "text")])
        await store.forget([])
    (why,) = refused
    assert isinstance(why, Untested)
    assert str(why).startswith(
        "target.yaml:3:5: stores.redis.url: a script touches hash, which it does not declare, in a store that was not "
        "started here (let it take its keys from KEYS; or leave `url` out, "
    )
    assert await lender.held() == before


@pytest.mark.asyncio
@pytest.mark.parametrize("denied", ["del", "restore", "dump", "watch", "multi"])
async def test_what_could_not_be_given_back_is_never_borrowed(valkey: Valkey, lender: Lender, denied: str) -> None:
    """Where our user may not run a command that giving back needs, nothing begins."""
    await lender.redis.execute_command(f"ACL SETUSER few on >pw ~* &* +@all -{denied}")
    with pytest.raises(Unavailable, match=f"does not let us give back what it holds: .* '{denied}' command"):
        async with lent(valkey, "few:pw@"):
            pass


@pytest.mark.asyncio
async def test_where_a_script_can_not_be_watched_it_never_runs(valkey: Valkey, lender: Lender) -> None:
    """Without leave for MONITOR, or where all keys are too many to save, a script is refused before it runs."""
    await lender.redis.execute_command("ACL SETUSER some on >pw ~* &* +@all -monitor")
    refused: list[Exception] = []
    async with lent(valkey, "some:pw@", refused) as store:
        await store.begin()
        with pytest.raises(UsageFault, match="url: a script may change keys that it does not declare, and MONITOR is"):
            await store.change([("EVAL", "return redis.call('INCR', KEYS[1])", "1", "text")])
    await lender.redis.mset({f"one:{number}": number for number in range(10_000)})
    async with lent(valkey, refused=refused) as store:
        await store.begin()
        with pytest.raises(
            UsageFault, match="that it does not declare, and there is too much to save, in a store that"
        ):
            await store.change([("EVAL", "return redis.call('INCR', KEYS[1])", "1", "text")])
    assert (await lender.redis.get("text"), len(refused)) == (b"7", 2)


THEIRS = (
    # ours, then somebody else's, and what is there at last
    ("INCRBY text 5", "INCRBY text 20", "GET text", b"27"),
    ("SET text 5", "SET text 20", "GET text", b"20"),
    ("SADD set c", "SADD set d", "SMEMBERS set", {b"a", b"b", b"d"}),
    ("SREM set a", "SADD set d", "SMEMBERS set", {b"a", b"b", b"d"}),
    ("SADD new c", "SADD new d", "SMEMBERS new", {b"d"}),
    ("HSET hash f 5 h 6", "HSET hash g 9", "HGETALL hash", {b"f": b"1", b"g": b"9"}),
    ("HINCRBY hash f 5", "HINCRBY hash f 20", "HGETALL hash", {b"f": b"21", b"g": b"2"}),
    ("ZADD sorted 5 c", "ZADD sorted 6 d", "ZRANGE sorted 0 -1", [b"a", b"b", b"d"]),
    ("ZINCRBY sorted 0.5 a", "ZINCRBY sorted 4 a", "ZSCORE sorted a", 5.0),
    ("RPUSH list a", "RPUSH list d", "LRANGE list 0 -1", [b"a", b"b", b"a", b"d"]),
    ("LPUSH list a", "RPUSH list d", "LRANGE list 0 -1", [b"a", b"b", b"a", b"d"]),
    ("LPOP list", "RPUSH list d", "LRANGE list 0 -1", [b"a", b"b", b"a", b"d"]),
    ("RPOP list", "LPUSH list d", "LRANGE list 0 -1", [b"d", b"a", b"b", b"a"]),
    ("XADD stream 3-1 f x", "XADD stream 4-1 f y", "XRANGE stream 4-1 +", [(b"4-1", {b"f": b"y"})]),
    ("DEL set", "SADD set d", "SMEMBERS set", {b"a", b"b", b"d"}),
    ("SADD set c", "DEL set", "EXISTS set", 0),
    ("SADD set c", "SET set theirs", "GET set", b"theirs"),
)


@pytest.mark.asyncio
@pytest.mark.parametrize("first", [True, False], ids=["after-ours", "between-ours"])
async def test_what_somebody_else_writes_meanwhile_stays(valkey: Valkey, lender: Lender, *, first: bool) -> None:
    """What a run did is taken back item by item, and the key is named; nothing that others wrote is lost."""
    async with lent(valkey) as store:
        for ours, theirs, ask, expected in THEIRS:
            await lender.fill()
            store.notes.clear()
            await store.begin()
            await store.change([tuple(ours.split())])
            await store.ask([("PING",)])
            await lender.redis.execute_command(*theirs.split())
            if not first and "DEL" not in theirs and "SET set" not in theirs:
                await store.change([("EXPIRE", ours.split()[1], "100")])
            await store.forget([])
            found = await lender.redis.execute_command(*ask.split())
            key = ours.split()[1]
            assert found == expected, (ours, theirs)
            assert [note.partition(" in the store")[0] for note in store.notes] == [key]
            assert await lender.redis.keys("*gateway-stress*") == []
            assert await lender.redis.ttl(key) == (-2 if expected == 0 else -1)


@pytest.mark.asyncio
async def test_a_key_that_runs_out_in_a_run_is_gone_as_it_would_have_been(valkey: Valkey, lender: Lender) -> None:
    """Neither its own end nor one that the run has set is taken for somebody else's change."""
    async with lent(valkey) as store:
        await lender.redis.set("text", "7", px=40)
        await store.begin()
        await store.change([("APPEND", "text", "1"), ("PEXPIRE", "set", "40")])
        ends = time.monotonic() + 0.06
        while time.monotonic() < ends:
            await store.ask([("PING",)])
        await store.forget([])
        assert (await lender.redis.get("text"), await lender.redis.smembers("set")) == (None, {b"a", b"b"})
        assert store.notes == []


@pytest.mark.asyncio
async def test_a_server_that_does_not_know_when_keys_run_out_is_asked_how_long_they_last(
    valkey: Valkey, lender: Lender
) -> None:
    """Before version 7 there is no PEXPIRETIME: the time is right to some milliseconds all the same."""
    await lender.redis.execute_command("ACL SETUSER old on >pw ~* &* +@all -pexpiretime")
    before = await lender.held()
    async with lent(valkey, "old:pw@") as store:
        await store.begin()
        await store.change([("SET", "short", "yours"), ("DEL", "set")])
        await store.forget([])
    after = await lender.held()
    was, now = before.pop((0, b"short")), after.pop((0, b"short"))
    assert (after, now[0]) == (before, was[0])
    assert abs(now[1] - was[1]) <= 5


@pytest.mark.asyncio
async def test_what_is_written_outside_runs_stays_until_the_end(valkey: Valkey, lender: Lender) -> None:
    """What a Gateway writes as it starts is there in each run, and taken back when all is over; functions too."""
    await lender.redis.execute_command("FUNCTION", "FLUSH")
    before = await lender.held()
    library = "#!lua name=mine\nserver.register_function('mine', function() return 1 end)"
    async with lent(valkey) as store:
        await store.change([("SADD", "set", "started"), ("SET", "limit", "1"), ("FUNCTION", "LOAD", library)])
        await store.begin()
        await store.change([("SADD", "set", "run"), ("SET", "limit", "0")])
        await store.forget([])
        assert await lender.redis.smembers("set") == {b"a", b"b", b"started"}
        assert (await lender.redis.get("limit"), await lender.redis.fcall("mine", 0)) == (b"1", 1)
    assert (await lender.held(), await lender.redis.execute_command("FUNCTION", "LIST")) == (before, [])


@asynccontextmanager
async def gated(store: Store) -> AsyncIterator[tuple[Gate, Redis]]:
    """Give a gate before the lent store, open, and a client behind it."""
    gate = Gate()
    proxy = RedisProxy(gate, 1, store.address, ["SETEX", "CLIENT"], lambda *words: store.ask([words]))
    proxy.keeper = store.lent
    client = Redis(port=await proxy.start(), protocol=2, retry=Retry(NoBackoff(), 0))
    try:
        yield gate, client
    finally:
        await client.aclose()
        await proxy.close()


@pytest.mark.asyncio
async def test_no_byte_reaches_the_store_before_what_it_changes_is_saved(valkey: Valkey, lender: Lender) -> None:
    """Gate open or closed, in a pipeline or a transaction, in the background or waiting: all is as it was."""
    before = await lender.held()
    async with lent(valkey) as store, gated(store) as (gate, client):
        assert store.lent is not None
        await store.begin()
        waits = asyncio.ensure_future(client.blmove("empty", "set-later", 5, "LEFT", "RIGHT"))
        async with asyncio.timeout(5):
            while not store.lent.waiting:
                await lender.redis.ping()
        await client.set("text", "open")
        async with client.pipeline(transaction=False) as pipe:
            assert await pipe.incr("new").incr("new").hset("hash", "f", "9").get("text").execute() == [1, 2, 0, b"open"]
        async with client.pipeline(transaction=True) as pipe:
            assert await pipe.delete("list").sadd("set", "z").execute() == [1, 1]
        gate.close()
        assert await client.execute_command("SETEX", "short", "9", "background")
        gate.reopen()
        await store.forget([])
        assert {key: one for key, one in (await lender.held()).items() if before[key] != one}.keys() == {(0, b"short")}
        await store.begin()
        await client.rpush("empty", "x")
        assert await waits == b"x"
        await store.forget([])
        assert await lender.redis.get("short") == b"background"  # it is of no run
    assert await lender.held() == before


@pytest.mark.asyncio
async def test_what_a_command_does_whose_connection_is_lost_is_undone(valkey: Valkey, lender: Lender) -> None:
    """Its reply reaches nobody: what it changed, also a script in a key that it does not declare, is taken back."""
    before, refused = await lender.held(), list[Exception]()
    script = "redis.call('SET', KEYS[1], 1) return redis.call('SET', 'undeclared', 1)"
    async with lent(valkey, refused=refused) as store:
        assert store.lent is not None
        await store.begin()
        await store.lent.save([Effect((b"EVAL", script.encode(), b"1", b"text"))])
        await lender.redis.eval(script, 1, "text")
        await store.forget([])
    assert (await lender.held(), len(refused)) == (before, 1)


@pytest.mark.asyncio
async def test_a_command_that_is_refused_ends_its_connection(valkey: Valkey, lender: Lender) -> None:
    """A FLUSHALL behind the open gate never reaches the store; who drives the run is given the reason."""
    before = await lender.held()
    refused: list[Exception] = []
    async with lent(valkey, refused=refused) as store, gated(store) as (_, client):
        with pytest.raises(HungUp):
            await client.flushall()
    assert [type(one) for one in refused] == [UsageFault]
    assert await lender.held() == before
