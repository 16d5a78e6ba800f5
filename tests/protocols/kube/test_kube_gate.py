"""The gate before a Kubernetes API, over real sockets."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
from contextlib import suppress
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from kubewire import LEASES, RRS, WATCH, Api, Wire, event, loop_turns, record, recorded

from stress.core.step import Move, Step
from stress.processes.child import free_port
from stress.protocols.gate import Frame, Gate
from stress.protocols.kube.http import Data, ResponseParser
from stress.protocols.kube.proxy import ApiServer, KubeProxy
from stress.protocols.kube.session import HELD_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


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


# --- requests ----------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_request_is_parked_until_released(api: Api, wire: Wire) -> None:
    """A request reaches the server when it is let go, and not before; its reply is told in a few words."""
    asked = wire.ask("POST", RRS, record("rr-1", 0))
    (frame,) = await wire.shown()
    assert (wire.heads(), api.seen) == (["create remediationrequests/prod/rr-1"], [])
    await wire.release()
    assert (api.seen, frame.replies, frame.replies_left) == ([f"POST {RRS}"], ["201 rr-1 count=2"], 0)
    assert await asked == (201, api.objects[f"{RRS}/rr-1"])
    assert frame.replied_at is not None


@pytest.mark.asyncio
async def test_conflict_is_a_reply_like_any_other(api: Api, wire: Wire) -> None:
    """A refused write is told with its reason, and is no fault."""
    api.objects[f"{RRS}/rr-1"] = record("rr-1", 5)
    for path, method, step, reply in [
        (RRS, "POST", "create", "409 AlreadyExists rr-1"),
        (f"{RRS}/rr-1/status", "PUT", "update/status", "409 Conflict rr-1"),
        (f"{RRS}/rr-2", "GET", "get", "404 NotFound rr-2"),
        (RRS, "GET", "list", "200 [rr-1]"),
        (f"{RRS}/rr-1", "DELETE", "delete", "200 rr-1"),
    ]:
        asked = wire.ask(method, path, record("rr-1", 4) if method in ("POST", "PUT") else None)
        await wire.shown()
        assert (await wire.release(step)).replies == [reply]
        await asked
    assert wire.gate.fault == ""


@pytest.mark.asyncio
async def test_replies_come_in_the_order_of_the_requests(api: Api, wire: Wire) -> None:
    """Of requests sent down one connection together only the first can go, and replies come in their order."""
    api.objects |= {f"{RRS}/{name}": record(name, 2) for name in ("a", "b")}
    reader, writer = await wire.connect()
    for name in ("a", "b"):
        writer.write(f"GET {RRS}/{name} HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert len(await wire.shown()) == 2
    assert wire.heads() == ["get remediationrequests/prod/a"]
    await wire.release()
    assert (wire.heads(), api.seen[0]) == (["get remediationrequests/prod/b"], f"GET {RRS}/a")
    await wire.release()
    await api.until(4)
    assert api.seen == [f"GET {RRS}/a", "GET /healthz", f"GET {RRS}/b", "GET /healthz"]
    parser = ResponseParser()
    reported_of: list[bytes] = []
    for _ in range(4):
        parser.expect("GET")
    while len(reported_of) < 4:
        reported_of += [part.payload for part in parser.feed(await reader.read(4096)) if isinstance(part, Data)]
    assert [json.loads(body).get("metadata", {}).get("name") for body in reported_of] == ["a", None, "b", None]


@pytest.mark.asyncio
async def test_a_watch_over_a_websocket_is_refused(api: Api, wire: Wire) -> None:
    """A client that asks for a WebSocket is answered a plain 200 at once, on which fabric8 too watches plainly."""
    reader, writer = await wire.connect()
    asks = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA==\r\n"
    writer.write(f"GET {RRS}?watch=true HTTP/1.1\r\nHost: x\r\n{asks}\r\n".encode())
    assert await reader.read() == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    assert (api.seen, wire.gate.fault) == ([], "")


@pytest.mark.asyncio
async def test_background_passes_at_once(api: Api, wire: Wire) -> None:
    """Discovery, readiness, filling a cache, reads of the core group and reviews are never parked."""
    asked = [
        wire.ask("GET", "/api"),
        wire.ask("GET", "/readyz"),
        wire.ask("GET", f"{RRS}?limit=500&resourceVersion=0"),
        wire.ask("GET", "/api/v1/namespaces/prod/pods/p"),
        wire.ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"metadata": {"name": "t"}}),
        wire.ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"metadata": {"name": "s"}}),
    ]
    assert [status for status, _ in await asyncio.gather(*asked)] == [200, 404, 200, 404, 201, 201]
    assert (wire.heads(), len(api.seen), wire.gate.unsettled(1)) == ([], 6, False)


@pytest.mark.asyncio
async def test_background_can_be_changed(api: Api) -> None:
    """A rule of the target makes a read of the core group a step, and lets leases pass."""
    async with Wire(api.port, ["!get pods", "* leases.coordination.k8s.io"]) as wire:
        wire.gate.close()
        assert (await wire.ask("GET", f"{LEASES}/l"))[0] == 404
        asked = wire.ask("GET", "/api/v1/namespaces/prod/pods/p")
        await wire.shown()
        assert wire.heads() == ["get pods/prod/p"]
        await wire.release()
        await asked


@pytest.mark.asyncio
async def test_client_that_hangs_up_while_parked(api: Api, wire: Wire) -> None:
    """A request whose client is gone never reaches the server, and is no step any more."""
    asked = wire.ask("POST", RRS, record("rr-1", 0))
    (frame,) = await wire.shown()
    asked.cancel()
    await wire.until_no_channel()
    assert (wire.heads(), api.seen, wire.gate.fault) == ([], [], "")
    assert not await wire.gate.release(frame, 5)


@pytest.mark.asyncio
async def test_client_that_hangs_up_while_its_request_is_served(api: Api, wire: Wire) -> None:
    """What was let go takes effect and is told, although its client is gone."""
    api.hold = asyncio.Event()
    asked = wire.ask("POST", RRS, record("rr-1", 0))
    (frame,) = await wire.shown()
    released = asyncio.create_task(wire.gate.release(frame, 5))
    await api.until(1)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    api.hold.set()
    assert await released
    assert frame.replies == ["201 rr-1 count=2"]
    await wire.until_no_channel()


@pytest.mark.asyncio
async def test_big_body(api: Api, wire: Wire) -> None:
    """A body of 3 MB is parked and passes whole."""
    reader, writer = await wire.connect()
    body = json.dumps(record("rr-1", 0, text="x" * 3_000_000)).encode()
    writer.write(f"POST {RRS} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    await wire.shown()
    await wire.release()
    assert await reader.readline() == b"HTTP/1.1 201 Created\r\n"
    assert api.bodies == [body]


@pytest.mark.asyncio
async def test_client_that_waits_to_go_on(api: Api, wire: Wire) -> None:
    """A client that waits for leave to send its body gets it from the gate, once, and the answer after the release."""
    reader, writer = await wire.connect()
    body = json.dumps(record("rr-1", 0)).encode()
    head = f"POST {RRS} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    await wire.shown()
    await wire.release()
    assert (await reader.readline()) == b"HTTP/1.1 201 Created\r\n"
    assert api.bodies == [body]


@pytest.mark.asyncio
async def test_opening_the_gate_sends_on_what_is_parked(api: Api, wire: Wire) -> None:
    """When the gate opens, requests that are parked go first, in their order; what comes then passes."""
    first = wire.ask("POST", RRS, record("rr-1", 0))
    await wire.shown()
    wire.gate.reopen()
    assert (await first)[0] == 201
    assert (await wire.ask("GET", f"{RRS}/rr-1"))[0] == 200
    assert api.seen == [f"POST {RRS}", f"GET {RRS}/rr-1"]


@pytest.mark.asyncio
async def test_opening_the_gate_keeps_the_order_of_a_connection(api: Api, wire: Wire) -> None:
    """A request that came after a parked one, and was not parked yet, goes after it when the gate opens."""
    _, writer = await wire.connect()
    writer.write(f"GET {RRS}/a HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await wire.shown()
    writer.write(f"GET {RRS}/b HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    async for _ in loop_turns():
        if wire.gate.unsettled(1):
            break
    wire.gate.reopen()
    await api.until(2)
    assert api.seen == [f"GET {RRS}/a", f"GET {RRS}/b"]


# --- watches -----------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_events_are_held_and_released_one_by_one(api: Api, wire: Wire) -> None:
    """Each event reaches the Gateway when it is let go; a bookmark passes, but not before what it comes after."""
    reader = await wire.watch()
    mark = event("BOOKMARK", {"metadata": {"resourceVersion": "1"}})
    await api.tell(mark)
    assert await reader.readuntil(mark + b"\r\n") == b"%x\r\n%b\r\n" % (len(mark), mark)
    lines = [event("ADDED", record("a", 2)), event("MODIFIED", record("a", 3)), event("BOOKMARK", record("", 3))]
    for line in lines:
        await api.tell(line)
    frames: list[Frame] = []
    while len(frames) < 2:
        frames += await wire.shown()
    assert [(frame.actor, frame.command, frame.pushed) for frame in frames] == [
        ("watch:1", "ADDED", True),
        ("watch:1", "MODIFIED", True),
    ]
    assert wire.heads() == ["ADDED remediationrequests/prod/a"]
    assert (await wire.release()).replies == ["ADDED a"]
    assert await reader.readuntil(lines[0] + b"\r\n") == b"%x\r\n%b\r\n" % (len(lines[0]), lines[0])
    await wire.release("MODIFIED")
    rest = b"".join(b"%x\r\n%b\r\n" % (len(line), line) for line in lines[1:])
    assert await reader.readexactly(len(rest)) == rest


@pytest.mark.asyncio
@pytest.mark.parametrize("first", ["ADDED", "reply"])
async def test_either_an_event_or_the_reply_to_its_write_may_come_first(api: Api, wire: Wire, first: str) -> None:
    """While an event of its own replica is held the reply to a request's write is a step; each has its own bytes."""
    reported = await wire.watch()
    reader, writer = await wire.connect()
    body = json.dumps(record("rr-1", 0)).encode()
    writer.write(f"POST {RRS} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    (asked,) = await wire.shown()
    asked.actor, asked.step = "A", Step(Move("A", "create", "rr-1"))
    assert (await wire.release("create")).replies == ["201 rr-1 count=2"]
    held = [(frame.actor, frame.command, frame.pushed) for frame in wire.gate.settle(1)]
    assert sorted(held) == [("A", "reply", False), ("watch:1", "ADDED", True)]
    for command in (first, *{"ADDED", "reply"} - {first}):
        await wire.release(command)
        if command == "reply":
            assert await reader.readline() == b"HTTP/1.1 201 Created\r\n"
        else:
            assert b'"rr-1"' in await reported.readuntil(b"}}\n\r\n")
    assert (wire.heads(), wire.gate.settle(1), len(api.seen)) == ([], [], 2)


@pytest.mark.asyncio
@pytest.mark.parametrize("case", ["refused", "unreported", "elsewhere", "nobody's"])
async def test_a_reply_that_no_event_can_overtake_goes_on_at_once(api: Api, wire: Wire, case: str) -> None:
    """It is of a refused write, of one that no watch of its replica tells of, or of what is no request's step."""
    await wire.watch(replica=2 if case == "elsewhere" else 1)
    if case == "refused":
        api.objects[f"{RRS}/rr-1"] = record("rr-1", 1)
    api.silent = case == "unreported"
    path = LEASES if case == "unreported" else RRS
    answer = wire.ask("POST", path, record("rr-1", 0))
    (asked,) = await wire.shown()
    if case != "nobody's":
        asked.actor, asked.step = "A", Step(Move("A", "create", "rr-1"))
    await wire.release("create")
    assert (await answer)[0] == (409 if case == "refused" else 201)
    assert [head for head in wire.heads() if head.startswith("reply")] == []


@pytest.mark.asyncio
async def test_a_replica_whose_background_call_is_under_way_is_busy(api: Api, wire: Wire) -> None:
    """Who waits for a review, or a read of the core group, which pass, has not gone to sleep; another replica may."""
    api.hold = asyncio.Event()
    for path in ("/apis/authentication.k8s.io/v1/tokenreviews", "/api/v1/namespaces/prod/pods/p"):
        answer = wire.ask("POST" if path.endswith("reviews") else "GET", path, {"metadata": {"name": "x"}})
        await api.until(len(api.seen) + 1)
        assert (wire.gate.busy(1), wire.gate.busy(2), wire.heads()) == (True, False, [])
        api.hold.set()
        await answer
        assert not wire.gate.busy(1)
        api.hold.clear()


@pytest.mark.asyncio
async def test_initial_events_pass(api: Api, wire: Wire) -> None:
    """What a streaming list tells up to its end passes; what comes after is a step."""
    reader = await wire.watch(f"{RRS}?watch=true&sendInitialEvents=true")
    ended = record("", 7)
    ended["metadata"]["annotations"] = {"k8s.io/initial-events-end": "true"}
    await api.tell(event("ADDED", record("a", 2)) + event("BOOKMARK", ended))
    await reader.readuntil(event("BOOKMARK", ended) + b"\r\n")
    assert wire.heads() == []
    await api.tell(event("ADDED", record("b", 8)))
    await wire.shown()
    assert wire.heads() == ["ADDED remediationrequests/prod/b"]


@pytest.mark.asyncio
async def test_each_replica_watches_by_itself(api: Api, wire: Wire) -> None:
    """One event is a step of the watch of each replica."""
    await wire.watch(replica=1)
    await wire.watch(replica=2)
    await api.tell(event("ADDED", record("a", 2)))
    frames = [*await wire.shown(1), *await wire.shown(2)]
    assert [frame.actor for frame in frames] == ["watch:1", "watch:2"]


@pytest.mark.asyncio
async def test_write_is_over_when_the_watches_were_reported(api: Api, wire: Wire) -> None:
    """When a write is let go, its event is held when the release returns, in the watches of all replicas."""
    await wire.watch(replica=1)
    await wire.watch("/apis/kubernaut.ai/v1alpha1/remediationrequests?watch=true&resourceVersion=1", replica=2)
    for method, path, step in [
        ("POST", RRS, "ADDED"),
        ("PUT", f"{RRS}/rr-1/status", "MODIFIED"),
        ("DELETE", f"{RRS}/rr-1", "DELETED"),
    ]:
        asked = wire.ask(method, path, record("rr-1", api.version) if method != "DELETE" else None)
        await wire.shown()
        await wire.release({"POST": "create", "PUT": "update/status", "DELETE": "delete"}[method])
        assert wire.heads() == [f"{step} remediationrequests/prod/rr-1"] * 2
        assert [len(wire.gate.settle(replica)) for replica in (1, 2)] == [1, 1]
        await asked
        for frame in list(wire.gate.heads()):
            assert await wire.gate.release(frame, 5)
    assert wire.gate.fault == ""
    assert len(api.watchers) == 2


@pytest.mark.asyncio
async def test_event_that_never_comes(api: Api, wire: Wire) -> None:
    """A watch that is not told of a write makes what was seen untrustworthy, and the fault says of which."""
    wire.watches._seconds = 0.01
    api.silent = True
    await wire.watch()
    asked = wire.ask("POST", RRS, record("rr-1", 0))
    await wire.shown()
    await wire.release()
    await asked
    expected = "a watch did not report create remediationrequests/prod/rr-1 within 0.01 s"
    assert wire.gate.fault == expected


@pytest.mark.asyncio
async def test_events_that_nobody_watches_are_not_awaited(api: Api, wire: Wire) -> None:
    """A write is not waited for in a watch of another resource, another namespace, another name or a refused write."""
    wire.watches._seconds = 0.01
    api.silent = True
    for path in (LEASES, RRS.replace("prod", "dev"), f"{RRS}/other"):
        await wire.watch(f"{path}?watch=true&resourceVersion=1")
    await wire.watch(f"{RRS}?watch=true&resourceVersion=1&fieldSelector=metadata.name%3Dother")
    for reply in ("201 rr-1 count=2", "409 AlreadyExists rr-1"):
        asked = wire.ask("POST", RRS, record("rr-1", 0))
        await wire.shown()
        assert (await wire.release()).replies == [reply]
        await asked
    assert wire.gate.fault == ""


@pytest.mark.asyncio
@pytest.mark.parametrize("closed", [True, False])
async def test_client_that_never_reads_its_watch(api: Api, wire: Wire, closed: bool) -> None:  # noqa: FBT001 - a parameter
    """A watch that nobody reads, or whose events nobody lets go, is not read on: the server must wait."""
    if not closed:
        wire.gate.reopen()
    reader = await wire.watch()
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    line = event("MODIFIED", record("a", 2, text="x" * 500_000))
    telling = asyncio.create_task(tell_often(api, line, 40))
    (channel,) = wire.proxies[0].channels
    server = channel._server
    assert server is not None
    async for _ in loop_turns():
        if not server.is_reading():
            break
    assert not telling.done()
    kept = channel._return.held_bytes + channel._client.get_write_buffer_size()  # type: ignore[union-attr]
    assert kept <= HELD_BYTES + 2 * len(line)
    assert (channel._return.held_bytes > HELD_BYTES) is closed
    wire.gate.reopen()
    reader._transport.resume_reading()  # type: ignore[attr-defined]
    await reader.readexactly(40 * (len(line) + 9))
    await telling
    assert wire.gate.fault == ""


async def tell_often(api: Api, line: bytes, times: int) -> None:
    """Tell all who watch the same again and again, as fast as they take it."""
    for _ in range(times):
        await api.tell(line)


# --- what goes wrong ---------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_server_that_is_gone(wire: Wire, api: Api) -> None:
    """A server that ends while a request is parked is a fault that says so."""
    await wire.ask("GET", "/api")
    wire.ask("POST", RRS, record("rr-1", 0))
    await wire.shown()
    await api.runner.cleanup()
    expected = f"store lost: 127.0.0.1:{wire.server.port} does not answer (Connect call failed"
    assert (await wire.until_fault()).startswith(
        (expected, expected.replace("Connect call failed", "Connection refused"))
    )


@pytest.mark.asyncio
async def test_server_that_ends_during_a_watch(wire: Wire, api: Api) -> None:
    """A server that ends in the middle of a watch is a fault that says so, and the Gateway's connection ends too."""
    reader = await wire.watch()
    for watcher in api.watchers:
        assert watcher._req is not None
        assert watcher._req.transport is not None
        watcher._req.transport.abort()
    assert await wire.until_fault() == "store lost: the API server closed the connection during a watch"
    with suppress(ConnectionError):
        assert await reader.read() == b""


@pytest.mark.asyncio
async def test_server_that_ends_while_a_request_is_served(wire: Wire) -> None:
    """A server that hangs up instead of a reply is a fault, and the release comes back."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    rude = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with rude, Wire(rude.sockets[0].getsockname()[1]) as other:
        other.gate.close()
        _, writer = await other.connect()
        writer.write(f"GET {RRS}/a HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        (frame,) = await other.shown()
        assert await other.gate.release(frame, 5)
        assert (frame.replied_at, frame.replies_left) == (None, 1)
        assert other.gate.fault == "store lost: the API server closed the connection while a request was on its way"
    assert wire.gate.fault == ""


@pytest.mark.asyncio
async def test_idle_connection_that_the_server_ends_while_a_request_is_parked() -> None:
    """A server that ends an idle connection is connected to again for the request that is parked."""
    writers: list[asyncio.StreamWriter] = []
    served: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(asyncio.IncompleteReadError):
            while True:
                served.append((await reader.readuntil(b"\r\n\r\n")).split(b" ")[1])
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, Wire(server.sockets[0].getsockname()[1]) as wire:
        wire.gate.close()
        reader, writer = await wire.connect()
        writer.write(b"GET /api HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"GET {RRS}/a HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await wire.shown()
        writers[0].close()
        async for _ in loop_turns():
            if len(writers) == 2:
                break
        assert (await wire.release()).replies == ["204"]
        assert served == [b"/api", f"{RRS}/a".encode()]
        writers[1].close()
        assert await reader.read() == b"HTTP/1.1 204 No Content\r\n\r\n"
        assert wire.gate.fault == ""


@pytest.mark.asyncio
async def test_server_that_says_that_the_connection_ends() -> None:
    """After a reply with which the server ends the connection, what is parked behind it on the connection is gone."""
    served: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            served.append((await reader.readuntil(b"\r\n\r\n")).split(b" ")[1])
            writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, Wire(server.sockets[0].getsockname()[1]) as wire:
        wire.gate.close()
        reader, writer = await wire.connect()
        for name in ("a", "b"):
            writer.write(f"GET {RRS}/{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await wire.shown()
        await wire.release()
        assert await reader.read() == b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
        await wire.until_no_channel()
        assert (served, wire.heads(), wire.gate.fault) == ([f"{RRS}/a".encode()], [], "")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2 on a port that speaks HTTP/1.1"),
        (b"\x16\x03\x01\x02\x00", "TLS on a plain port"),
    ],
)
async def test_client_that_speaks_something_else(wire: Wire, sent: bytes, said: str) -> None:
    """HTTP/2 or TLS on the plain port is a fault that names it, and the connection ends."""
    reader, writer = await wire.connect()
    writer.write(sent)
    assert (await wire.until_fault()).startswith(f"a request of the Gateway could not be read: {said}")
    with suppress(ConnectionError):
        assert await reader.read() == b""


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"Content-Type: application/cbor-seq\r\n", "a watch whose events the gate can't read"),
        (b"Content-Type: application/json\r\nContent-Encoding: gzip\r\n", "a watch whose events the gate can't read"),
        (b"Content-Type: application/json\r\n\r\n{}\n", "no event of a watch"),
    ],
)
async def test_watch_that_cannot_be_read(head: bytes, said: str) -> None:
    """Events in a form that the gate does not know are a fault, and do not pass unseen."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, Wire(server.sockets[0].getsockname()[1]) as wire:
        _, writer = await wire.connect()
        writer.write(f"GET {WATCH} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (await wire.until_fault()).startswith(f"a reply of the API server could not be read: {said}")
        writer.close()


# --- credentials and TLS -----------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_credentials_are_added_where_the_client_sent_none(api: Api) -> None:
    """The server gets the gate's token, unless the Gateway sent one of its own; nothing shows it."""
    server = ApiServer("127.0.0.1", api.port, headers=((b"authorization", b"Bearer secret"),))
    assert "secret" not in repr(server)
    async with Wire(0, server=server) as wire:
        await wire.ask("GET", "/api")
        async with wire.clients[0].get("/api", headers={"Authorization": "Bearer mine"}) as response:
            await response.read()
    assert [sent["Authorization"] for sent in api.sent] == ["Bearer secret", "Bearer mine"]


@pytest.mark.asyncio
async def test_tls_on_both_sides(tmp_path: Path) -> None:
    """A Gateway that speaks TLS agrees on HTTP/1.1 and reaches a server that speaks TLS; distrust is a fault."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    making = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    naming = ["-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*making, *naming, "-keyout", key, "-out", cert], check=True, capture_output=True)  # noqa: ASYNC221 - nothing else runs
    mine = [ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2)]
    for context in mine:
        context.load_cert_chain(cert, key)
    trusting = ssl.create_default_context(cafile=str(cert))
    trusting.set_alpn_protocols(["h2", "http/1.1"])
    api = Api()
    port = await api.start(mine[0])
    for trust, fault in [(trusting, ""), (ssl.create_default_context(), "self-signed certificate")]:
        gate = Gate()
        proxy = KubeProxy(gate, 1, ApiServer("127.0.0.1", port, trust))
        listening = await proxy.start(tls=mine[1])
        reader, writer = await asyncio.open_connection("127.0.0.1", listening, ssl=trusting)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        writer.write(b"GET /api HTTP/1.1\r\nHost: x\r\n\r\n")
        with suppress(ConnectionError):
            assert (await reader.readline()).startswith(b"" if fault else b"HTTP/1.1 200 OK")
        expected = f"store lost: 127.0.0.1:{port} has no certificate to trust ({fault})" if fault else ""
        assert gate.fault == expected
        writer.transport.abort()
        await proxy.close()
    await api.runner.cleanup()


# --- the open gate -----------------------------------------------------------------------------------


@pytest.mark.measured_once
@pytest.mark.asyncio
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["gateway-2026-01", "gateway-newest"])
async def test_recordings_pass_the_open_gate_unchanged(name: str, seed: int) -> None:
    """With the gate open, what real Gateways and API servers said crosses real sockets byte by byte, cut anywhere."""
    random = Random(seed)
    for sent, answered in recorded(name).values():
        got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def serve(
            reader: asyncio.StreamReader,
            writer: asyncio.StreamWriter,
            sent: bytes = sent,
            answered: bytes = answered,
            got: asyncio.Future[bytes] = got,
        ) -> None:
            got.set_result(await reader.readexactly(len(sent)))
            await send(writer, answered)
            await reader.read()
            writer.close()

        async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
            places = sorted({0, len(data), *(random.randrange(len(data)) for _ in range(40))})
            for at, end in pairwise(places):
                writer.write(data[at:end])
                await asyncio.sleep(0)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server, Wire(server.sockets[0].getsockname()[1]) as wire:
            reader, writer = await wire.connect()
            await send(writer, sent)
            assert await got == sent
            assert await reader.readexactly(len(answered)) == answered
            assert wire.gate.fault == ""


@pytest.mark.asyncio
async def test_server_that_never_was_there() -> None:
    """A connection for which there is no server ends, and the fault names the address."""
    port = free_port()
    async with Wire(port) as wire:
        reader, writer = await wire.connect()
        assert (await wire.until_fault()).startswith(f"store lost: 127.0.0.1:{port} does not answer (")
        with suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
