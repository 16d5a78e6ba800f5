"""Bad things between a Gateway and an API server: each ends in a clear line, or passes, and nothing hangs."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
import struct
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from kubewire import RRS, WATCH, Api, Wire, event, loop_turns, record, refusal

from stress.protocols.kube.tls import authority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GONE = refusal(410, "Expired", "") | {"message": "too old resource version: 1 (5)"}
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""What a client that knows that a server speaks HTTP/2 begins with (RFC 9113, sections 3.3 and 3.4)."""


@pytest_asyncio.fixture
async def api() -> AsyncIterator[Api]:
    """Start a small API server."""
    api = Api()
    await api.start()
    yield api
    await api.runner.cleanup()


@pytest_asyncio.fixture
async def wire(api: Api) -> AsyncIterator[Wire]:
    """Start proxies before it, with a closed gate."""
    async with Wire(api.port) as wire:
        wire.gate.close()
        yield wire


def reset(api: Api) -> None:
    """End the connections of all who watch as a kernel does when it kills a server: at once, by a reset."""
    for watcher in api.watchers:
        assert watcher._req is not None
        transport = watcher._req.transport
        assert transport is not None
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


@pytest.mark.asyncio
async def test_server_killed_while_events_are_held(api: Api, wire: Wire) -> None:
    """What was held is gone with its connection, the fault says why, and another connection can still be served."""
    reader = await wire.watch()
    await api.tell(event("ADDED", record("a", 2)))
    (held,) = await wire.shown()
    reset(api)
    assert await wire.until_fault() == "store lost: the API server closed the connection during a watch"
    with suppress(ConnectionError):
        assert await reader.read() == b""
    await wire.until_no_channel()
    assert wire.heads() == []
    assert not await wire.gate.release(held, 5)
    assert (await wire.ask("GET", "/api"))[0] == 200


@pytest.mark.asyncio
async def test_server_killed_while_a_write_waits_for_its_event(api: Api, wire: Wire) -> None:
    """A write of which a watch can't tell any more is not waited for: the lost watch is the fault."""
    api.silent = True
    await wire.watch(replica=2)
    asked = wire.ask("POST", RRS, record("rr-1", 0))
    (frame,) = await wire.shown()
    released = asyncio.create_task(wire.gate.release(frame, 5))
    await asked
    reset(api)
    assert await released
    assert wire.gate.fault == "store lost: the API server closed the connection during a watch"


@pytest.mark.asyncio
async def test_watch_that_is_notified_that_its_version_is_gone(api: Api, wire: Wire) -> None:
    """The event that says so is a step like any other, passes as it came, and the end of the watch is no fault."""
    reader = await wire.watch()
    line = event("ERROR", GONE)
    await api.tell(line)
    (frame,) = await wire.shown()
    assert (frame.actor, wire.heads()) == ("watch:1", ["ERROR remediationrequests/prod/*"])
    (watcher,) = api.watchers
    await watcher.write_eof()
    assert (await wire.release()).replies == ["ERROR Expired"]
    assert await reader.readuntil(b"\r\n0\r\n\r\n") == b"%x\r\n%b\r\n0\r\n\r\n" % (len(line), line)
    api.silent = True
    asked = wire.ask("POST", RRS, record("rr-1", 0), replica=2)
    await wire.shown(2)
    assert (await wire.release()).replies == ["201 rr-1 count=2"]
    await asked
    assert wire.gate.fault == ""


@pytest.mark.asyncio
async def test_what_a_cache_lists_again_as_its_version_is_gone_is_no_step(api: Api, wire: Wire) -> None:
    """Its list passes ungated until it watches again; a list with a selector, or of another replica, is a step."""
    reader = await wire.watch()
    await api.tell(event("ERROR", GONE))
    await wire.shown()
    assert (await wire.release()).replies == ["ERROR Expired"]
    await reader.readuntil(b"\r\n")
    assert (await wire.ask("GET", RRS))[0] == 200
    for path, replica in ((f"{RRS}?fieldSelector=spec.x%3Dy", 1), (RRS, 2)):
        asked = wire.ask("GET", path, replica=replica)
        await wire.shown(replica)
        assert wire.heads() == ["list remediationrequests/prod/*"]
        await wire.release()
        assert (await asked)[0] == 200
    await wire.watch()
    wire.ask("GET", RRS)
    await wire.shown()
    assert wire.heads() == ["list remediationrequests/prod/*"]


@pytest.mark.asyncio
async def test_watch_that_is_refused_as_its_version_is_gone() -> None:
    """A refusal instead of a watch passes as it came, and no write waits for that watch."""
    body = json.dumps(GONE).encode()
    refused = b"HTTP/1.1 410 Gone\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(refused)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, Wire(server.sockets[0].getsockname()[1]) as wire:
        wire.gate.close()
        reader, writer = await wire.connect()
        writer.write(f"GET {WATCH} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert await reader.readexactly(len(refused)) == refused
        assert (bool(wire.watches), wire.heads(), wire.gate.fault) == (False, [], "")
        writer.write(f"GET {RRS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())  # the list again: no step either
        assert await reader.readexactly(len(refused)) == refused


@pytest.mark.asyncio
@pytest.mark.parametrize("packed", [False, True])
async def test_bodies_of_3_mb_pass_unchanged(packed: bool) -> None:  # noqa: FBT001 - a parameter
    """A request and its reply, each of 3 MB in chunks, packed or not, are parked, read and passed byte by byte."""
    random = Random(3)
    text = json.dumps(record("rr-1", 2, text=random.randbytes(1_500_000).hex())).encode()
    body = gzip.compress(text, 1) if packed else text
    chunks = [body[at : at + 60_000] for at in range(0, len(body), 60_000)]
    head = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n" + b"Content-Encoding: gzip\r\n" * packed
    sent = head + b"\r\n" + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    request, reply = b"POST %b HTTP/1.1\r\nHost: x\r\n" % RRS.encode() + sent, b"HTTP/1.1 201 Created\r\n" + sent
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readexactly(len(request)))
        writer.write(reply)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, Wire(server.sockets[0].getsockname()[1]) as wire:
        wire.gate.close()
        reader, writer = await wire.connect()
        writer.write(request)
        (frame,) = await wire.shown()
        assert wire.heads() == ["create remediationrequests/prod/rr-1"]
        reported, read = await asyncio.gather(wire.gate.release(frame, 20), reader.readexactly(len(reply)))
    assert reported
    assert (read == reply, got == [request], frame.replies) == (True, True, ["201 rr-1"])


@pytest.mark.asyncio
async def test_others_go_on_beside_a_client_that_never_reads_its_watch(api: Api, wire: Wire) -> None:
    """A write is let go and answered although the watch that would tell of it is not read, and nothing is a fault."""
    wire.watches._seconds = 0.01
    wire.gate.reopen()
    reader = await wire.watch()
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    (channel,) = wire.proxies[0].channels
    line = event("MODIFIED", record("a", 2, text="x" * 500_000))

    async def tell() -> None:
        while True:
            await api.tell(line)

    telling = asyncio.create_task(tell())
    wire.tasks.append(telling)
    async for _ in loop_turns():
        if channel._server is not None and not channel._server.is_reading():
            break
    wire.gate.close()
    api.silent = True
    for replica in (1, 2):
        asked = wire.ask("POST", RRS, record(f"rr-{replica}", 0), replica=replica)
        await wire.shown(replica)
        await wire.release("create")
        assert (await asked)[0] == 201
    assert wire.gate.fault == ""


@pytest.mark.asyncio
@pytest.mark.parametrize("cut", [1, 16, len(HTTP2)])
@pytest.mark.parametrize("tls", [False, True])
async def test_http_2_is_refused_by_name(api: Api, cut: int, tls: bool) -> None:  # noqa: FBT001 - a parameter
    """A client that speaks HTTP/2 unasked, cut anywhere, plain or by TLS, is reported in a line that says the fix."""
    async with Wire(api.port) as wire:
        proxy = wire.proxies[0]
        port, trust = wire.ports[0], None
        if tls:
            await proxy.close()
            port = await proxy.start(tls=authority().context())
            trust = ssl.create_default_context(cadata=authority().pem.decode())
            trust.set_alpn_protocols(["h2"])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        wire.writers.append(writer)
        for part in (HTTP2[:cut], HTTP2[cut:]):
            writer.write(part)
            await writer.drain()
        assert await wire.until_fault() == (
            "a request of the Gateway could not be read: HTTP/2 on a port that speaks HTTP/1.1 "
            "(turn HTTP/2 off in the Gateway's client) at byte 0: b'PRI * HTTP/2.0'"
        )
        with suppress(ConnectionError):
            assert await reader.read() == b""
