"""The gate and its Redis proxy, byte by byte, before a real Valkey."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from statistics import median
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from stress.processes.child import free_port
from stress.protocols.gate import Frame, Gate
from stress.protocols.redis.proxy import RedisProxy
from stress.protocols.redis.server import Valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from stress.protocols.redis.session import RedisChannel

MESSAGE = b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n"
INVALIDATED = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n"
POPPED = b"*2\r\n$4\r\nlist\r\n$1\r\nx\r\n"


async def loop_turns() -> AsyncIterator[None]:
    """Give every turn of the event loop."""
    while True:
        await asyncio.sleep(0)
        yield


class Wire:
    """A proxy before a real server, and connections through it and past it."""

    def __init__(self, valkey: Valkey, background: list[str]) -> None:
        """Prepare both."""
        self.valkey = valkey
        self.direct = Redis(port=valkey.port, protocol=2, retry=Retry(NoBackoff(), 0))
        self.direct.response_callbacks.clear()
        self.gate = Gate()
        self.proxy = RedisProxy(self.gate, 1, ("127.0.0.1", valkey.port), background, self.ask)
        self.port = 0

    async def ask(self, *words: str) -> object:
        """Run a command past the gate."""
        return await self.direct.execute_command(*words)  # type: ignore[no-untyped-call]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection through the proxy."""
        return await asyncio.open_connection("127.0.0.1", self.port, limit=2**27)

    def channel(self) -> RedisChannel:
        """Give the only connection's channel."""
        (channel,) = self.proxy.channels
        return channel

    async def frames(self) -> list[Frame]:
        """Wait until something arrived; park it and give the new frames."""
        while not self.gate.unsettled(1):
            await self.gate.signal.wait(self.gate.signal.count, 5)
        return self.gate.settle(1)

    async def shown(self) -> list[str]:
        """Wait until something arrived; name all that can be released."""
        await self.frames()
        return self.heads()

    def heads(self) -> list[str]:
        """Name all that can be released now."""
        return [frame.command for frame in self.gate.heads()]

    async def release(self, command: str) -> Frame:
        """Release the head of that name."""
        (frame,) = (head for head in self.gate.heads() if head.command == command)
        assert await self.gate.release(frame, 5)
        return frame

    async def until(self, count: int) -> None:
        """Wait until so many connections are left."""
        while len(self.proxy.channels) != count:
            await self.gate.signal.wait(self.gate.signal.count, 5)


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    """Start one server for the tests that leave it alive."""
    valkey = Valkey()
    yield valkey
    valkey.close()


@pytest_asyncio.fixture
async def wire(server: Valkey) -> AsyncIterator[Wire]:
    """Start a proxy before a clean server."""
    wire = Wire(server, ["PING", "HELLO", "CLIENT", "QUIT"])
    await wire.direct.flushall()
    wire.port = await wire.proxy.start()
    yield wire
    await wire.proxy.close()
    await wire.direct.aclose()


@pytest_asyncio.fixture
async def mortal() -> AsyncIterator[Wire]:
    """Start a proxy before a server of its own, which may die."""
    valkey = Valkey()
    wire = Wire(valkey, ["PING"])
    wire.port = await wire.proxy.start()
    yield wire
    await wire.proxy.close()
    await wire.direct.aclose()
    valkey.close()


@pytest.mark.asyncio
async def test_a_closed_gate_parks_until_released(wire: Wire) -> None:
    """Background passes a closed gate; a command is parked, has no effect, and gets its reply once released."""
    reader, writer = await wire.connect()
    wire.gate.close()
    writer.write(b"PING\r\n")
    assert await reader.readline() == b"+PONG\r\n"
    writer.write(b"SET k 1\r\nEXPIRE k 9\r\n")
    assert await wire.shown() == ["SET+EXPIRE"]
    assert await wire.direct.get("k") is None
    (frame,) = wire.gate.heads()
    assert await wire.gate.release(frame, 5)
    assert (await reader.readline(), await reader.readline()) == (b"+OK\r\n", b":1\r\n")
    assert frame.replies == [b"OK", 1]
    assert await wire.direct.get("k") == b"1"
    writer.close()


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
    while await wire.direct.mget("a", "b") != [b"1", b"1"]:
        assert wire.gate.fault == ""
    first.close()
    second.close()


@pytest.mark.asyncio
async def test_the_reply_of_a_blocking_command_is_the_step(wire: Wire) -> None:
    """BLPOP waits at the store; when its element comes the reply is parked, and goes when it is released."""
    reader, writer = await wire.connect()
    wire.gate.close()
    writer.write(b"BLPOP list 0\r\n")
    (frame,) = await wire.frames()
    assert wire.heads() == []
    await wire.gate.catch_up()
    assert wire.heads() == []
    await wire.direct.rpush("list", "x")
    await wire.gate.catch_up()
    assert list(wire.gate.heads()) == [frame]
    assert (frame.command, frame.replies) == ("BLPOP", [[b"list", b"x"]])
    assert await wire.gate.release(frame, 5)
    assert await reader.readexactly(len(POPPED)) == POPPED
    assert (wire.heads(), frame.waiting) == ([], False)
    writer.close()


@pytest.mark.asyncio
async def test_a_blocking_command_that_need_not_wait_can_go_at_once(wire: Wire) -> None:
    """After the store has caught up it is known whether BLPOP waits: an element that is there is its reply."""
    _, writer = await wire.connect()
    await wire.direct.rpush("list", "x")
    wire.gate.close()
    writer.write(b"BLPOP list 0\r\n")
    await wire.frames()
    await wire.gate.catch_up()
    assert wire.heads() == ["BLPOP"]
    writer.close()


@pytest.mark.asyncio
async def test_a_release_brings_the_replies_that_it_causes(wire: Wire) -> None:
    """Once the command that wakes a waiting one was released, the woken reply is here to be released too."""
    reader, first = await wire.connect()
    _, second = await wire.connect()
    wire.gate.close()
    first.write(b"BLPOP list 0\r\n")
    await wire.frames()
    second.write(b"RPUSH list x\r\n")
    assert await wire.shown() == ["RPUSH"]
    await wire.release("RPUSH")
    assert wire.heads() == ["BLPOP"]
    wire.gate.reopen()
    assert await reader.readexactly(len(POPPED)) == POPPED
    first.close()
    second.close()


@pytest.mark.asyncio
async def test_a_blocking_command_waits_for_its_turn_and_others_wait_for_it(wire: Wire) -> None:
    """Behind a parked command BLPOP is not sent; once it is the head it is, and what follows stays behind it."""
    reader, writer = await wire.connect()
    await wire.direct.rpush("list", "x")
    wire.gate.close()
    writer.write(b"LLEN list\r\nBLPOP list 0\r\nLLEN list\r\n")
    assert [frame.command for frame in await wire.frames()] == ["LLEN", "BLPOP", "LLEN"]
    await wire.gate.catch_up()
    assert await wire.direct.llen("list") == 1
    for command in ("LLEN", "BLPOP", "LLEN"):
        assert wire.heads() == [command]
        await wire.release(command)
    assert await reader.readexactly(8 + len(POPPED)) == b":1\r\n" + POPPED + b":0\r\n"
    writer.close()


@pytest.mark.asyncio
async def test_a_client_that_leaves_while_it_waits_leaves_nothing(wire: Wire) -> None:
    """A hang-up during BLPOP ends the wait at the store: no blocked client, no frame, no element taken."""
    _, writer = await wire.connect()
    wire.gate.close()
    writer.write(b"BLPOP list 0\r\n")
    (frame,) = await wire.frames()
    await wire.gate.catch_up()
    writer.close()
    await wire.until(0)
    while b"blocked_clients:0\r\n" not in await wire.ask("INFO", "clients"):  # type: ignore[operator]
        pass
    await wire.direct.rpush("list", "x")
    assert (wire.heads(), frame.replies, await wire.direct.llen("list")) == ([], [], 1)
    assert await wire.gate.release(frame, 5) is False
    assert wire.gate.fault == ""


@pytest.mark.asyncio
async def test_a_reply_awaited_since_before_is_a_step_of_its_own(wire: Wire) -> None:
    """A worker that waited before the gate closed is woken by a step: pushed, and held in order."""
    reader, writer = await wire.connect()
    writer.write(b"BLPOP list 0\r\n")
    while b"blocked_clients:1\r\n" not in await wire.ask("INFO", "clients"):  # type: ignore[operator]
        pass
    wire.gate.close()
    await wire.direct.rpush("list", "x")
    (frame,) = await wire.frames()
    assert (frame.command, frame.pushed, frame.effects[0].args[1]) == ("BLPOP", True, b"list")
    await wire.release("BLPOP")
    assert await reader.readexactly(len(POPPED)) == POPPED
    writer.close()


@pytest.mark.asyncio
async def test_what_waits_in_the_background_passes_with_its_replies(server: Valkey) -> None:
    """BLPOP, XREADGROUP BLOCK and SUBSCRIBE that are never gated are answered, and what comes late passes too."""
    wire = Wire(server, ["BLPOP", "XREADGROUP", "SUBSCRIBE"])
    await wire.direct.flushall()
    wire.port = await wire.proxy.start()
    await wire.direct.xgroup_create("stream", "group", mkstream=True)
    wire.gate.close()
    reported = []
    for command, make in (
        (b"BLPOP list 0", wire.direct.rpush("list", "x")),
        (b"XREADGROUP GROUP group me BLOCK 0 STREAMS stream >", wire.direct.xadd("stream", {"a": "x"})),
        (b"SUBSCRIBE news", wire.direct.publish("news", "x")),
    ):
        reader, writer = await wire.connect()
        writer.write(command + b"\r\n")
        if command.startswith(b"SUBSCRIBE"):
            await reader.readuntil(b":1\r\n")
        else:
            while b"blocked_clients:1\r\n" not in await wire.ask("INFO", "clients"):  # type: ignore[operator]
                pass
        await make
        reported.append(await reader.readuntil(b"$1\r\nx\r\n"))
        writer.close()
    assert reported[0] == POPPED
    assert reported[2] == MESSAGE
    assert (wire.heads(), wire.gate.unsettled(1), wire.gate.fault) == ([], False, "")
    await wire.proxy.close()
    await wire.direct.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize("version", [2, 3])
async def test_a_message_is_a_step_that_keeps_its_place(wire: Wire, version: int) -> None:
    """Messages are held; each can be released in its turn, and a reply that came after one stays behind it."""
    reader, writer = await wire.connect()
    _, other = await wire.connect()
    writer.write(b"HELLO %d\r\nSUBSCRIBE news sport\r\n" % version)
    confirmed = (b">" if version == 3 else b"*") + b"3\r\n$9\r\nsubscribe\r\n$5\r\nsport\r\n:2\r\n"
    await reader.readuntil(confirmed)
    wire.gate.close()
    other.write(b"PUBLISH news x\r\n")
    assert await wire.shown() == ["PUBLISH"]
    assert (await wire.release("PUBLISH")).replies == [1]
    (message,) = await wire.frames()
    assert (message.command, message.pushed) == ("MESSAGE", True)
    assert (message.effects[0].args, message.replies) == (
        (b"MESSAGE", b"news", b"x"),
        [[b"message", b"news", b"x"]],
    )
    await wire.direct.publish("sport", "y")
    await wire.gate.catch_up()
    assert wire.heads() == ["MESSAGE"]
    writer.write(b"PING hi\r\n")
    await wire.direct.ping()
    assert [frame.effects[0].args[1] for frame in await wire.frames()] == [b"sport"]
    await wire.gate.release(message, 5)
    assert await reader.readexactly(len(MESSAGE)) == (b">" if version == 3 else b"*") + MESSAGE[1:]
    await wire.release("MESSAGE")
    await reader.readuntil(b"sport\r\n$1\r\ny\r\n")
    assert await reader.readuntil(b"hi\r\n") == (
        b"$2\r\nhi\r\n" if version == 3 else b"*2\r\n$4\r\npong\r\n$2\r\nhi\r\n"
    )
    writer.close()
    other.close()


@pytest.mark.asyncio
async def test_a_released_command_takes_effect_though_a_message_is_before_its_reply(wire: Wire) -> None:
    """In RESP3 a command can be released while a message is held: its reply is known, and comes after the message."""
    reader, writer = await wire.connect()
    writer.write(b"HELLO 3\r\nSUBSCRIBE news\r\n")
    await reader.readuntil(b"news\r\n:1\r\n")
    wire.gate.close()
    await wire.direct.publish("news", "x")
    await wire.gate.catch_up()
    writer.write(b"INCR a\r\n")
    while len(wire.heads()) < 2:
        await wire.frames()
    assert (await wire.release("INCR")).replies == [1]
    assert await wire.direct.get("a") == b"1"
    await wire.release("MESSAGE")
    assert await reader.readexactly(len(MESSAGE) + 4) == b">" + MESSAGE[1:] + b":1\r\n"
    writer.close()


@pytest.mark.asyncio
async def test_an_invalidation_is_a_step(wire: Wire) -> None:
    """The server's notice that a cached key changed is held like a message; its name is a rule for background too."""
    reader, writer = await wire.connect()
    writer.write(b"HELLO 3\r\nCLIENT TRACKING ON\r\nGET a\r\n")
    await reader.readuntil(b"_\r\n")
    wire.gate.close()
    await wire.direct.set("a", "1")
    (frame,) = await wire.frames()
    assert (frame.command, frame.effects[0].args) == ("INVALIDATE", (b"INVALIDATE", b"a"))
    wire.gate.reopen()
    assert await reader.readexactly(len(INVALIDATED)) == INVALIDATED
    wire.proxy.background += ("INVALIDATE",)
    writer.write(b"GET a\r\n")
    await reader.readuntil(b"$1\r\n1\r\n")
    wire.gate.close()
    await wire.direct.set("a", "2")
    await reader.readuntil(b"a\r\n")
    assert wire.heads() == []
    writer.close()


@pytest.mark.asyncio
async def test_a_refused_subscription_ends_with_its_error(wire: Wire) -> None:
    """A SUBSCRIBE of two channels that the server refuses is answered once; what follows is matched to its reply."""
    await wire.ask("ACL", "SETUSER", "poor", "on", ">secret", "~*", "resetchannels", "+@all")
    reader, writer = await wire.connect()
    writer.write(b"AUTH poor secret\r\nSUBSCRIBE news sport\r\n")
    await reader.readuntil(b"NOPERM")
    await reader.readline()
    wire.gate.close()
    writer.write(b"GET a\r\n")
    await wire.frames()
    assert (await wire.release("GET")).replies == [None]
    writer.close()
    await wire.ask("ACL", "DELUSER", "poor")


@pytest.mark.asyncio
async def test_background_behind_a_parked_command_is_no_step(wire: Wire) -> None:
    """A PING behind a parked command goes by itself when its turn comes, in the connection's order."""
    reader, writer = await wire.connect()
    wire.gate.close()
    writer.write(b"GET a\r\n")
    assert await wire.shown() == ["GET"]
    writer.write(b"PING\r\n")
    assert await wire.frames() == []
    writer.write(b"GET b\r\n")
    assert [frame.command for frame in await wire.frames()] == ["GET"]
    await wire.release("GET")
    assert (await reader.readline(), await reader.readline()) == (b"$-1\r\n", b"+PONG\r\n")
    assert wire.heads() == ["GET"]
    writer.close()


@pytest.mark.asyncio
async def test_a_pipeline_can_be_taken_apart_where_it_is_parked(wire: Wire) -> None:
    """Commands of several owners that came in one write are released one by one, in their order."""
    reader, writer = await wire.connect()
    wire.gate.close()
    writer.write(b"INCR a\r\nPING\r\nINCR a\r\n")
    (frame,) = await wire.frames()
    assert frame.command == "INCR+PING+INCR"
    first, second = wire.gate.split(frame)
    assert (first.command, second.command) == ("INCR", "PING+INCR")
    assert await wire.gate.release(second, 5) is False
    assert await wire.gate.release(first, 5)
    assert await wire.direct.get("a") == b"1"
    assert wire.gate.split(first) == [first]
    assert await wire.gate.release(second, 5)
    assert await reader.readexactly(15) == b":1\r\n+PONG\r\n:2\r\n"
    writer.close()


@pytest.mark.asyncio
async def test_a_command_without_reply_has_taken_effect_when_it_was_released(wire: Wire) -> None:
    """With CLIENT REPLY OFF the release waits until the store has served the command, so that the next comes after."""
    reader, writer = await wire.connect()
    wire.gate.close()
    writer.write(b"CLIENT REPLY OFF\r\n")
    writer.write(b"SET a 1\r\n")
    await wire.frames()
    frame = await wire.release("SET")
    assert (frame.replies, frame.replied_at is not None) == ([], True)
    assert await wire.direct.get("a") == b"1"
    writer.write(b"CLIENT REPLY ON\r\n")
    assert await reader.readline() == b"+OK\r\n"
    writer.close()


@pytest.mark.asyncio
async def test_lines_of_monitor_pass(wire: Wire) -> None:
    """A Gateway that watches the store sees its lines with the gate closed; the MONITOR itself is a step."""
    reader, writer = await wire.connect()
    wire.gate.close()
    writer.write(b"MONITOR\r\n")
    assert await wire.shown() == ["MONITOR"]
    await wire.release("MONITOR")
    assert await reader.readline() == b"+OK\r\n"
    await wire.direct.set("a", "1")
    assert (await reader.readline()).endswith(b'"SET" "a" "1"\r\n')
    assert wire.heads() == []
    writer.close()


@pytest.mark.asyncio
async def test_hello_reset_and_quit_pass_a_closed_gate(wire: Wire) -> None:
    """The protocol can change and the connection start again or end at any time; an ordered end is no fault."""
    reader, writer = await wire.connect()
    wire.gate.close()
    writer.write(b"HELLO 3\r\nHELLO 2\r\nRESET\r\nQUIT\r\n")
    assert (await reader.read()).endswith(b"*0\r\n+RESET\r\n+OK\r\n")
    writer.close()
    await wire.until(0)
    assert wire.gate.fault == ""


@pytest.mark.asyncio
@pytest.mark.parametrize("held", [True, False])
async def test_a_gateway_that_only_stops_sending_is_still_answered(wire: Wire, *, held: bool) -> None:
    """After the end of what a Gateway sends, the open gate still brings its replies; what is parked is dropped."""
    reader, writer = await wire.connect()
    if held:
        wire.gate.close()
    writer.write(b"INCR a\r\n")
    if held:
        await wire.frames()
    writer.write_eof()
    assert await reader.read() == (b"" if held else b":1\r\n")
    writer.close()
    await wire.until(0)
    assert wire.gate.fault == ""
    assert await wire.direct.get("a") == (None if held else b"1")


@pytest.mark.asyncio
async def test_what_was_sent_before_a_quick_hang_up_takes_effect(wire: Wire) -> None:
    """With the gate open a Gateway that connects, writes and hangs up at once reaches the store as without a gate."""
    _, writer = await wire.connect()
    writer.write(b"SET quick 1\r\n")
    writer.close()
    while await wire.direct.get("quick") != b"1":
        assert wire.gate.fault == ""
    await wire.until(0)
    while b"connected_clients:1\r\n" not in await wire.ask("INFO", "clients"):  # type: ignore[operator]
        pass


@pytest.mark.asyncio
async def test_the_database_of_an_address_is_followed(wire: Wire) -> None:
    """A client that is given a database in its URL selects it at the start; its commands are known to work there."""
    client = Redis.from_url(f"redis://127.0.0.1:{wire.port}/3", protocol=2)
    await client.ping()
    wire.gate.close()
    asked = asyncio.create_task(client.set("a", "1"))
    (frame,) = await wire.frames()
    assert [(effect.args[0], effect.database) for effect in frame.effects] == [(b"SET", 3)]
    await wire.release("SET")
    assert await asked is True
    wire.gate.reopen()
    await client.aclose()


@pytest.mark.asyncio
async def test_reopening_lets_everything_through_in_order(wire: Wire) -> None:
    """Held messages, parked commands and one that waits all go when the gate opens, in the connection's order."""
    reader, writer = await wire.connect()
    writer.write(b"HELLO 3\r\nSUBSCRIBE news\r\n")
    await reader.readuntil(b"news\r\n:1\r\n")
    wire.gate.close()
    await wire.direct.publish("news", "x")
    await wire.gate.catch_up()
    writer.write(b"INCR a\r\nBLPOP list 0\r\n")
    while len(wire.heads()) < 2:
        await wire.frames()
    wire.gate.reopen()
    assert await reader.readexactly(len(MESSAGE) + 4) == b">" + MESSAGE[1:] + b":1\r\n"
    await wire.direct.rpush("list", "x")
    assert await reader.readexactly(len(POPPED)) == POPPED
    assert (wire.heads(), len(wire.channel().parked)) == ([], 0)
    writer.close()


@pytest.mark.asyncio
async def test_what_was_not_seen_yet_stays_behind_what_is_parked_when_the_gate_opens(wire: Wire) -> None:
    """A command that came after a parked one, and that nobody had looked at, is served after it."""
    reader, writer = await wire.connect()
    wire.gate.close()
    writer.write(b"SET k first\r\n")
    assert await wire.shown() == ["SET"]
    writer.write(b"SET k second\r\n")
    while not wire.gate.unsettled(1):
        await wire.gate.signal.wait(wire.gate.signal.count, 5)
    wire.gate.reopen()
    assert [await reader.readline() for _ in range(2)] == [b"+OK\r\n"] * 2
    assert await wire.ask("GET", "k") == b"second"
    writer.close()


@pytest.mark.asyncio
async def test_a_slow_reader_makes_the_server_wait(wire: Wire) -> None:
    """Forty megabytes of replies that nobody reads stay at the server, but for a few; then all come, unchanged."""
    size, count = 2**21, 20
    await wire.direct.set("big", b"x" * size)
    reader, writer = await wire.connect()
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(b"GET big\r\n" * count)
    while not wire.proxy.channels or wire.channel()._server is None or wire.channel()._server.is_reading():
        await wire.direct.ping()
    client = wire.channel()._client
    assert client is not None
    assert client.get_write_buffer_size() < 3 * size
    reader._transport.resume_reading()  # type: ignore[attr-defined]
    one = b"$%d\r\n%b\r\n" % (size, b"x" * size)
    for _ in range(count):
        assert await reader.readexactly(len(one)) == one
    writer.close()


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
    assert await wire.direct.exists("gone") == 0


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
async def test_a_server_that_goes_is_a_fault(mortal: Wire) -> None:
    """A store killed with a command on its way, or not there at all, is named as lost."""
    reader, writer = await mortal.connect()
    mortal.gate.close()
    writer.write(b"GET a\r\n")
    assert await mortal.shown() == ["GET"]
    mortal.valkey.process.kill()
    assert await reader.read() == b""
    writer.close()
    assert mortal.gate.fault == "store lost: it closed the connection while a command was on its way"
    lost = RedisProxy(Gate(), 1, ("127.0.0.1", free_port()), [])
    port = await lost.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    assert lost.gate.fault.startswith("store lost: 127.0.0.1:")
    await lost.close()


@pytest.mark.asyncio
async def test_a_shutdown_by_the_gateway_is_named(mortal: Wire) -> None:
    """SHUTDOWN is a step; once released the store is lost, and it is said through whom."""
    reader, writer = await mortal.connect()
    mortal.gate.close()
    writer.write(b"SHUTDOWN NOSAVE\r\n")
    assert await mortal.shown() == ["SHUTDOWN"]
    (frame,) = mortal.gate.heads()
    await mortal.gate.release(frame, 5)
    assert await reader.read() == b""
    assert mortal.gate.fault == "store lost: a SHUTDOWN of the Gateway ended it"
    writer.close()


@pytest.mark.asyncio
async def test_a_server_that_is_gone_can_not_be_caught_up_with(mortal: Wire) -> None:
    """Asking a dead server how far it has come is a fault of the store, not of ours."""
    mortal.valkey.process.kill()
    mortal.valkey.process.wait()
    await mortal.proxy.catch_up()
    assert mortal.gate.fault.startswith("store lost: ")


@pytest.mark.asyncio
async def test_bytes_that_are_no_reply_are_a_fault_and_a_slow_server_makes_the_gateway_wait() -> None:
    """A server that speaks another protocol is named; until it reads, the Gateway's bytes stay with the Gateway."""
    reading = asyncio.Event()
    sent = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1000000\r\n%b\r\n" % (b"x" * 1_000_000) * 20

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await reading.wait()
        reader._transport.resume_reading()  # type: ignore[attr-defined]
        await reader.readexactly(len(sent))
        writer.write(b"HTTP/1.1 400 Bad Request\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**27)
    proxy = RedisProxy(Gate(), 1, server.sockets[0].getsockname()[:2], [])
    reader, writer = await asyncio.open_connection("127.0.0.1", await proxy.start())
    writer.write(sent)
    turns = loop_turns()
    while not proxy.channels or next(iter(proxy.channels))._client.is_reading():  # type: ignore[union-attr]
        await anext(turns)
    reading.set()
    with suppress(ConnectionResetError):
        assert await reader.read() == b""
    assert proxy.gate.fault.startswith("a reply of the store could not be read: not a reply at byte 0: b'HTTP/1.1")
    writer.close()
    await proxy.close()
    server.close()
    await server.wait_closed()


@pytest.mark.asyncio
async def test_a_command_written_in_two_parts_is_not_held_up(wire: Wire) -> None:
    """The kernel of a Gateway that keeps small writes back until it is answered is answered at once, not in 40 ms."""

    def times() -> list[float]:
        found = []
        with socket.create_connection(("127.0.0.1", wire.port)) as connection:  # without TCP_NODELAY
            for _ in range(50):
                begun = time.perf_counter()
                connection.send(b"*2\r\n$3\r\nGET\r\n")
                connection.send(b"$1\r\nk\r\n")
                assert connection.recv(100) == b"$-1\r\n"
                found.append(time.perf_counter() - begun)
        return found

    assert median(await asyncio.to_thread(times)) < 0.03


@pytest.mark.asyncio
async def test_a_command_is_not_held_up_by_one_that_is_parked(wire: Wire) -> None:
    """The kernel of a Gateway that keeps a second command back until the first is acknowledged sends it at once."""
    waited, command, reply = [], b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", b"$-1\r\n"
    reader, writer = await wire.connect()
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
    for _ in range(20):
        writer.write(command)
        assert await reader.readexactly(len(reply)) == reply
        wire.gate.close()
        writer.write(command)
        await wire.frames()
        begun = time.perf_counter()
        writer.write(command)
        await wire.frames()
        waited.append(time.perf_counter() - begun)
        wire.gate.reopen()
        await reader.readexactly(2 * len(reply))
    writer.close()
    assert median(waited) < 0.03


@pytest.mark.asyncio
async def test_a_gateway_is_busy_while_anything_of_it_is_on_its_way(wire: Wire) -> None:
    """Half a command, bytes that are not read, and a reply that is not all sent are work to come; no others are."""
    reader, writer = await wire.connect()
    writer.write(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n")
    assert await reader.readexactly(5) == b"$-1\r\n"
    assert not wire.gate.busy(1)

    writer.write(b"*2\r\n$3\r\nGET\r\n")
    turns = loop_turns()
    while not wire.gate.busy(1):
        await anext(turns)
    assert not wire.gate.busy(2)
    writer.write(b"$1\r\nk\r\n")
    assert await reader.readexactly(5) == b"$-1\r\n"
    assert not wire.gate.busy(1)

    wire.channel().pause_client()
    writer.write(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n")
    while not wire.gate.busy(1):
        await anext(turns)
    wire.channel().resume_client()
    assert await reader.readexactly(5) == b"$-1\r\n"
    assert not wire.gate.busy(1)

    await wire.ask("SET", "k", "x" * 2**24)
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n")
    while not wire.gate.busy(1):
        await anext(turns)
    reader._transport.resume_reading()  # type: ignore[attr-defined]
    await reader.readexactly(len(b"$16777216\r\n") + 2**24 + 2)
    assert not wire.gate.busy(1)
    writer.close()
