"""The gate and its Redis proxy, byte by byte, before a real Valkey."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from stress.gate.gate import Gate
from stress.gate.redis import RedisProxy
from stress.stores.process import free_port
from stress.stores.valkey import Valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Wire:
    """A proxy before a real server, and one client connection through it."""

    def __init__(self, valkey: Valkey, proxy: RedisProxy, port: int) -> None:
        """Take what was started."""
        self.valkey, self.proxy, self.gate, self.port = valkey, proxy, proxy.gate, port

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection through the proxy."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def shown(self) -> list[str]:
        """Wait until something is parked; name all that can be released."""
        while not self.gate.unsettled(1):
            await self.gate.signal.wait(self.gate.signal.count, 5)
        self.gate.settle(1)
        return [frame.command for frame in self.gate.heads()]


@pytest_asyncio.fixture
async def wire() -> AsyncIterator[Wire]:
    """Start server and proxy."""
    valkey = Valkey()
    proxy = RedisProxy(Gate(), 1, ("127.0.0.1", valkey.port), ["PING"])
    yield Wire(valkey, proxy, await proxy.start())
    await proxy.close()
    valkey.close()


@pytest.mark.asyncio
async def test_an_open_gate_changes_no_byte(wire: Wire) -> None:
    """With the gate open a stream of commands in odd chunks gets the very bytes that the server gives directly."""
    sent = b"PING\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2\r\nxy\r\nGET a\r\nLRANGE none 0 -1\r\nINCR a\r\nECHO end\r\n"
    answers = []
    for port in (wire.valkey.port, wire.port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for at in range(0, len(sent), 7):
            writer.write(sent[at : at + 7])
            await writer.drain()
        answers.append(await reader.readuntil(b"end\r\n"))
        writer.close()
    assert answers[0] == answers[1]


@pytest.mark.asyncio
async def test_a_closed_gate_parks_until_released(wire: Wire) -> None:
    """Background passes a closed gate; a command is parked, has no effect, and gets its reply once released."""
    reader, writer = await wire.connect()
    direct = Redis(port=wire.valkey.port)
    wire.gate.close()
    writer.write(b"PING\r\n")
    assert await reader.readline() == b"+PONG\r\n"
    writer.write(b"SET k 1\r\nEXPIRE k 9\r\n")
    assert await wire.shown() == ["SET+EXPIRE"]
    assert await direct.get("k") is None
    (frame,) = wire.gate.heads()
    assert await wire.gate.release(frame, 5)
    assert (await reader.readline(), await reader.readline()) == (b"+OK\r\n", b":1\r\n")
    assert frame.replies == [b"OK", 1]
    assert await direct.get("k") == b"1"
    writer.close()
    await direct.aclose()


@pytest.mark.asyncio
async def test_only_the_head_of_a_connection_can_go(wire: Wire) -> None:
    """Two commands on one connection go in their order; another connection's is free to overtake."""
    _, first = await wire.connect()
    _, second = await wire.connect()
    wire.gate.close()
    first.write(b"SET a 1\r\n")
    assert await wire.shown() == ["SET"]
    first.write(b"GET a\r\n")
    assert await wire.shown() == ["SET"]
    second.write(b"INCR b\r\n")
    assert sorted(await wire.shown()) == ["INCR", "SET"]
    wire.gate.reopen()
    direct = Redis(port=wire.valkey.port)
    while await direct.mget("a", "b") != [b"1", b"1"]:
        assert wire.gate.fault == ""
    await direct.aclose()
    first.close()
    second.close()


@pytest.mark.asyncio
async def test_the_reply_of_a_blocking_command_is_the_step(wire: Wire) -> None:
    """BLPOP waits at the store; when its element comes the reply is parked, and goes when it is released."""
    reader, writer = await wire.connect()
    direct = Redis(port=wire.valkey.port)
    wire.gate.close()
    writer.write(b"BLPOP list 0\r\n")
    assert await wire.shown() == []
    seen = wire.gate.signal.count
    await direct.rpush("list", "x")
    assert await wire.gate.signal.wait(seen, 5)
    (frame,) = wire.gate.heads()
    assert (frame.command, frame.replies) == ("BLPOP", [[b"list", b"x"]])
    assert await wire.gate.release(frame, 5)
    assert await reader.readexactly(21) == b"*2\r\n$4\r\nlist\r\n$1\r\nx\r\n"
    writer.close()
    await direct.aclose()


@pytest.mark.asyncio
async def test_a_client_that_leaves_takes_its_frames_along(wire: Wire) -> None:
    """A disconnect while parked leaves nothing at the gate, and the command never takes effect."""
    _, writer = await wire.connect()
    wire.gate.close()
    writer.write(b"SET gone 1\r\n")
    assert await wire.shown() == ["SET"]
    writer.close()
    while list(wire.gate.heads()):
        await wire.gate.signal.wait(wire.gate.signal.count, 5)
    direct = Redis(port=wire.valkey.port)
    assert await direct.exists("gone") == 0
    await direct.aclose()


@pytest.mark.asyncio
async def test_bytes_that_are_no_command_are_a_fault(wire: Wire) -> None:
    """What the parser does not know is named, and the connection ends."""
    reader, writer = await wire.connect()
    writer.write(b"*1\r\n:nonsense\r\n")
    with suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    assert wire.gate.fault.startswith("a frame of the Gateway could not be read: expected '$' at byte 4")


@pytest.mark.asyncio
async def test_a_server_that_goes_is_a_fault(wire: Wire) -> None:
    """A store killed with a command on its way, or not there at all, is named as lost."""
    reader, writer = await wire.connect()
    wire.gate.close()
    writer.write(b"GET a\r\n")
    assert await wire.shown() == ["GET"]
    wire.valkey.process.kill()
    assert await reader.read() == b""
    writer.close()
    assert wire.gate.fault == "store lost: it closed the connection while a command was on its way"
    lost = RedisProxy(Gate(), 1, ("127.0.0.1", free_port()), [])
    port = await lost.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    assert lost.gate.fault.startswith("store lost: 127.0.0.1:")
    await lost.close()
