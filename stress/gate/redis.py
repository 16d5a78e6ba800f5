"""The proxy between one Gateway replica and a Redis or Valkey server.

Gateway --RESP--> [requests -> units -> gate] --RESP--> server
Gateway <--RESP-- [   replies, as they came  ] <--RESP-- server
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

from stress.gate.commands import ConnectionState, Unit, is_blocking, replies_expected
from stress.gate.gate import Frame, Gate
from stress.gate.replies import ReplyParser
from stress.gate.resp import ProtocolFault, Request, RequestParser

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONNECT_SECONDS = 5.0


class RedisProxy:
    """Listens on loopback for one replica and connects each of its connections to the server."""

    def __init__(self, gate: Gate, replica: int, server: tuple[str, int], background: Sequence[str]) -> None:
        """Take the gate to park at, the server's address, and the commands that are never parked."""
        self.gate = gate
        self.replica = replica
        self.server = server
        self.background = tuple(background)
        self.channels: set[RedisChannel] = set()
        self._listener: asyncio.Server | None = None

    async def start(self, port: int = 0) -> int:
        """Listen on 127.0.0.1; give the port.

        Raises:
            OSError: when the port is taken.

        """
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: RedisChannel(self), "127.0.0.1", port)
        listening: int = self._listener.sockets[0].getsockname()[1]
        return listening

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._listener is not None:
            self._listener.close()
        for channel in list(self.channels):
            channel.abort()
        await asyncio.sleep(0)


class RedisChannel(asyncio.Protocol):
    """One connection of a Gateway: what it asks is parked, what it is answered goes back as it came."""

    def __init__(self, proxy: RedisProxy) -> None:
        """Belong to a proxy; the connection comes later."""
        self.proxy = proxy
        self.gate = proxy.gate
        self.replica = proxy.replica
        self.parked: deque[Frame] = deque()
        self._fresh: list[Request] = []
        self._requests = RequestParser()
        self._replies = ReplyParser()
        self._state = ConnectionState()
        self._flying: deque[tuple[int, Frame | None]] = deque()
        self._early: list[bytes] = []
        self._client: asyncio.Transport | None = None
        self._server: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def unsettled(self) -> bool:
        """Whether commands arrived that are not units yet."""
        return bool(self._fresh)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect on to the server."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - create_server makes stream transports
        self._client = transport
        self.proxy.channels.add(self)
        self.gate.connect(self)
        self._task = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        host, port = self.proxy.server
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                transport, _ = await asyncio.get_running_loop().create_connection(lambda: _Upstream(self), host, port)
        except OSError as error:
            self.gate.fail(f"store lost: {host}:{port} does not answer ({error.strerror or 'time-out'})")
            self.abort()
            return
        self._server = transport
        for raw in self._early:
            transport.write(raw)
        self._early.clear()

    def data_received(self, data: bytes) -> None:
        """Take in bytes of the Gateway in any chunking."""
        try:
            requests = self._requests.feed(data)
        except ProtocolFault as fault:
            self.gate.fail(f"a frame of the Gateway could not be read: {fault}")
            self.abort()
            return
        self._fresh += requests
        if self.gate.open or (not self.parked and self._all_pass()):
            self.settle()
        elif requests:
            self.gate.signal.notify()

    def _all_pass(self) -> bool:
        """Whether nothing of what arrived will be parked, so that it need not wait for the process to be quiet."""
        return self._state.passes(self._fresh, self.proxy.background)

    def settle(self) -> None:
        """Park what arrived since the last time, as units; a unit with no effect of its own passes."""
        units = self._state.units(self._fresh, self.proxy.background)
        self._fresh = []
        for unit in units:
            if self.gate.open or (not unit.parked and not self.parked):
                self._send(unit.requests, None)
            else:
                self._park(unit)

    def _park(self, unit: Unit) -> None:
        raw = b"".join(request.raw for request in unit.requests)
        frame = Frame(self, name_of(unit), raw, unit.effects, unit.watched, self._state.database)
        frame.replies_left = sum(replies_expected(request) for request in unit.requests)
        self.parked.append(frame)
        if unit.parked and len(unit.requests) == 1 and is_blocking(unit.requests[0].args) and len(self.parked) == 1:
            frame.waiting = True
            self.forward(frame)

    def forward(self, frame: Frame) -> None:
        """Send a parked frame on."""
        if frame.waiting and frame.replied_at is not None:
            self._deliver(frame)
            return
        self._flying.append((frame.replies_left, frame))
        self._write(frame.raw)
        if not frame.replies_left:
            self._replied(frame)

    def _send(self, requests: Sequence[Request], frame: Frame | None) -> None:
        expected = sum(replies_expected(request) for request in requests)
        if expected:
            self._flying.append((expected, frame))
        self._write(b"".join(request.raw for request in requests))

    def _write(self, raw: bytes) -> None:
        if self._server is None:
            self._early.append(raw)
        else:
            self._server.write(raw)

    def reply_received(self, data: bytes) -> None:
        """Take in bytes of the server; they go back at once unless the reply itself is a step."""
        held = self._flying and self._flying[0][1] is not None and self._flying[0][1].waiting
        if not held and self._client is not None:
            self._client.write(data)
        try:
            replies = self._replies.feed(data)
        except ProtocolFault as fault:
            self.gate.fail(f"a reply of the store could not be read: {fault}")
            self.abort()
            return
        for reply in replies:
            if reply.push or not self._flying:
                if held and self._client is not None:
                    self._client.write(reply.raw)
                continue
            left, frame = self._flying.popleft()
            if frame is not None:
                frame.replies.append(reply.value)
                frame.raw = reply.raw if frame.waiting else frame.raw
            if left > 1:
                self._flying.appendleft((left - 1, frame))
            elif frame is not None:
                self._replied(frame)

    def _replied(self, frame: Frame) -> None:
        frame.replied_at = time.perf_counter()
        if frame.waiting and frame.released_at is None:
            frame.parked_at = frame.replied_at  # its reply is here: now it can be released
            self.gate.signal.notify()
            return
        self._finish(frame)

    def _deliver(self, frame: Frame) -> None:
        if self._client is not None:
            self._client.write(frame.raw)
        self._finish(frame)

    def _finish(self, frame: Frame) -> None:
        if self.parked and self.parked[0] is frame:
            self.parked.popleft()
        if frame.done is not None and not frame.done.done():
            frame.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface of asyncio
        """The Gateway hung up: what it had parked is gone."""
        self.proxy.channels.discard(self)
        for frame in self.parked:
            if frame.done is not None and not frame.done.done():
                frame.done.set_result(None)
        self.parked.clear()
        if self._task is not None:
            self._task.cancel()
        if self._server is not None:
            self._server.close()
        self.gate.disconnect(self)

    def server_lost(self) -> None:
        """The server hung up: hang up on the Gateway too, as the server would have."""
        if self._client is not None and not self._client.is_closing():
            if self._flying or self.parked:
                self.gate.fail("store lost: it closed the connection while a command was on its way")
            self._client.close()

    def abort(self) -> None:
        """End both connections now."""
        for transport in (self._client, self._server):
            if transport is not None:
                transport.abort()


class _Upstream(asyncio.Protocol):
    """The server's end of a channel."""

    def __init__(self, channel: RedisChannel) -> None:
        self._channel = channel

    def data_received(self, data: bytes) -> None:
        self._channel.reply_received(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface of asyncio
        self._channel.server_lost()


def name_of(unit: Unit) -> str:
    """Name a unit: ``HGET``, ``HSET+EXPIRE``, ``EXEC(HSET+EXPIRE)``."""
    own = [request.args[0].decode("latin-1").upper() for request in unit.requests if request.args]
    if "EXEC" in own:
        return "EXEC(" + "+".join(effect[0].decode("latin-1").upper() for effect in unit.effects) + ")"
    return "+".join(own)
