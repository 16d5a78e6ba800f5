"""Two promises of the gate, for any traffic: open it changes no byte, closed the store is served in the given order."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from stress.protocols.gate import Gate
from stress.protocols.redis.proxy import RedisProxy
from stress.protocols.redis.requests import split_inline
from stress.protocols.redis.server import Valkey

if TYPE_CHECKING:
    from collections.abc import Iterator

END = b"RESET\r\n*1\r\n$4\r\nQUIT\r\n"
"""A QUIT by itself is never acted on where CLIENT REPLY is OFF."""

keys = st.sampled_from([b"a", b"b", b"with space", b"\r\n", b""])
texts = st.sampled_from([b"1", b"", b"\x00\xff\r\n", b"*1\r\n$4\r\nPING\r\n", b"x" * 20_000])
commands = st.one_of(
    st.tuples(st.sampled_from([b"SET", b"LPUSH", b"SADD", b"PUBLISH", b"APPEND"]), keys, texts),
    st.tuples(
        st.sampled_from([b"GET", b"INCR", b"SMEMBERS", b"HGETALL", b"WATCH", b"SUBSCRIBE", b"UNSUBSCRIBE"]), keys
    ),
    st.tuples(st.just(b"HSET"), keys, keys, texts),
    st.tuples(st.just(b"LRANGE"), keys, st.just(b"0"), st.just(b"-1")),
    st.tuples(
        st.sampled_from([b"MULTI", b"EXEC", b"DISCARD", b"UNSUBSCRIBE", b"RESET", b"PING", b"NOSUCH", b"SUBSCRIBE"])
    ),
    st.tuples(st.just(b"HELLO"), st.sampled_from([b"2", b"3", b"9"])),
    st.tuples(st.just(b"CLIENT"), st.just(b"REPLY"), st.sampled_from([b"ON", b"OFF", b"SKIP"])),
    st.tuples(st.just(b"CLIENT"), st.just(b"TRACKING"), st.sampled_from([b"ON", b"OFF"])),
    st.tuples(st.just(b"SELECT"), st.sampled_from([b"0", b"3", b"99"])),
    st.tuples(
        st.just(b"EVAL"), st.just(b"return {1, {'two', ARGV[1]}, redis.error_reply('NO')}"), st.just(b"0"), texts
    ),
    st.tuples(st.just(b"BLPOP"), keys, st.just(b"0.001")),
)
frames = commands.map(
    lambda args: b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in args)
) | st.sampled_from([b"PING\r\n", b"SET a 'b c'\r\n", b'GET "a"\n', b"\r\n", b"*0\r\n", b"*-1\r\n", b"get a\r\n"])
"""Commands as arrays, and typed ones, empty lines and empty arrays among them."""


class Tap:
    """Stands between the proxy and the server: notes both streams, and cuts what the server says into small pieces."""

    def __init__(self, server: int, cuts: list[int]) -> None:
        """Take the server's port and the lengths of the pieces."""
        self.server, self.cuts = server, cuts
        self.sent, self.said = bytearray(), bytearray()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of the proxy."""
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.server)
        await asyncio.gather(self._up(reader, to_writer), self._down(to_reader, writer))

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**20):
            self.sent += data
            writer.write(data)
        writer.close()

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        turn = 0
        while data := await reader.read(self.cuts[turn % len(self.cuts)]):
            self.said += data
            writer.write(data)
            await writer.drain()
            turn += 1
        writer.close()


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """Keep one loop for all examples."""
    with asyncio.Runner() as one:
        yield one


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    """Start one server for all examples."""
    server = Valkey()
    yield server
    server.close()


async def talk(valkey: Valkey, pieces: list[bytes], cuts: list[int]) -> tuple[bytes, Tap, RedisProxy]:
    """Send pieces through an open gate and a tap; give what came back by the end."""
    tap = Tap(valkey.port, cuts)
    server = await asyncio.start_server(tap.serve, "127.0.0.1", 0)
    proxy = RedisProxy(Gate(), 1, server.sockets[0].getsockname()[:2], [])
    reader, writer = await asyncio.open_connection("127.0.0.1", await proxy.start())
    reading = asyncio.create_task(reader.read())
    for piece in [b"FLUSHALL\r\n", *pieces]:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    writer.write(END)
    back = await asyncio.wait_for(reading, 10)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    await proxy.close()
    server.close()
    await server.wait_closed()
    return back, tap, proxy


@pytest.mark.unmeasured
@settings(max_examples=60)
@given(
    st.lists(frames, max_size=12),
    st.lists(st.integers(0, 10_000), max_size=8),
    st.lists(st.sampled_from([1, 2, 7, 50, 1000, 100_000]), min_size=1, max_size=4),
)
def test_an_open_gate_changes_no_byte(
    runner: asyncio.Runner, valkey: Valkey, sent: list[bytes], places: list[int], cuts: list[int]
) -> None:
    """With the gate open both streams come out as they went in, whatever the commands, the protocol and the chunks."""
    data = b"".join(sent)
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    pieces = [data[begin:end] for begin, end in pairwise(edges)]
    back, tap, proxy = runner.run(talk(valkey, pieces, [cut if len(data) < 5_000 else 100_000 for cut in cuts]))
    assert tap.sent == b"FLUSHALL\r\n" + data + END
    assert back == tap.said
    assert proxy.gate.fault == ""


class Monitor:
    """The commands that a server takes in, as its own MONITOR tells them."""

    async def __aenter__(self) -> Self:
        """Begin to watch."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
        self._writer.write(b"MONITOR\r\n")
        await self._reader.readline()
        return self

    def __init__(self, port: int) -> None:
        """Take the server's port."""
        self._port = port

    async def until(self, word: bytes) -> list[tuple[bytes, ...]]:
        """Give the commands up to one that begins with ``word``."""
        found: list[tuple[bytes, ...]] = []
        while not found or found[-1][0] != word:
            line = await self._reader.readline()
            found.append(split_inline(line.partition(b"] ")[2]) or ())
        return found[:-1]

    async def __aexit__(self, *_: object) -> None:
        """Watch no more."""
        self._writer.close()
        await self._writer.wait_closed()


async def serve_in_order(valkey: Valkey, counts: list[int], draws: list[int]) -> tuple[list[bytes], list[bytes]]:
    """Park commands of several connections and release them as drawn; give the drawn schedule and the server's own."""
    gate = Gate()
    proxy = RedisProxy(gate, 1, ("127.0.0.1", valkey.port), [])
    port = await proxy.start()
    direct = Redis(port=valkey.port)
    given_schedule: list[bytes] = []
    gate.close()
    async with Monitor(valkey.port) as monitor:
        writers = []
        for connection, count in enumerate(counts):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
            for number in range(count):
                writer.write(b"SET c%d-%d x\r\n" % (connection, number))
                parked = sum(len(channel.parked) for channel in proxy.channels)
                while sum(len(channel.parked) for channel in proxy.channels) == parked:
                    await gate.signal.wait(gate.signal.count, 5)
                    gate.settle(1)
        for draw in draws:
            heads = sorted(gate.heads(), key=lambda frame: frame.effects[0].args)
            if not heads:
                break
            head = heads[draw % len(heads)]
            given_schedule.append(head.effects[0].args[1])
            assert await gate.release(head, 5)
        await direct.execute_command("ECHO", "end")  # type: ignore[no-untyped-call]
        served = [command[1] for command in await monitor.until(b"ECHO") if command[0] == b"SET"]
    for writer in writers:
        writer.close()
    await proxy.close()
    await direct.aclose()
    return given_schedule, served


@settings(max_examples=25)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.lists(st.integers(0, 11), min_size=16, max_size=16))
def test_the_store_receives_the_commands_in_the_given_schedule(
    runner: asyncio.Runner, valkey: Valkey, counts: list[int], draws: list[int]
) -> None:
    """Whatever schedule is drawn, the server's MONITOR shows exactly it, and each connection's own order within it."""
    given_schedule, served = runner.run(serve_in_order(valkey, counts, draws))
    assert served == given_schedule
    assert len(served) == sum(counts)
    for connection in range(len(counts)):
        own = [key for key in served if re.match(rb"c%d-" % connection, key)]
        assert own == [b"c%d-%d" % (connection, number) for number in range(counts[connection])]
