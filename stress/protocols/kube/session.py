"""One connection of a Gateway through the proxy of the Kubernetes API: requests are parked, replies go back at once.

Memory is bounded: who does not read makes the other side wait, and a watch of which much is held is not read on. The
connection to the server is made again when the server ends it while nothing is on its way, as it does with one that was
idle while a request was parked.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, cast

from stress.protocols.acknowledge import acknowledge, bytes_wait
from stress.protocols.fault import ProtocolFault
from stress.protocols.gate import Frame
from stress.protocols.kube.http import Request, RequestParser, header, with_headers
from stress.protocols.kube.parked import KubeFrame
from stress.protocols.kube.replies import document, meta
from stress.protocols.kube.requests import effect_of
from stress.protocols.kube.returning import Return
from stress.protocols.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stress.protocols.kube.proxy import KubeProxy

HELD_BYTES = 4 * 1024 * 1024
"""So much of a watch is held at most before no more of it is read; of requests, before no more are taken."""
_GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
_NO_WEBSOCKET = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
"""The answer to a watch over a WebSocket, which the gate does not read: clients fall back to a plain one.

It is what `kubectl proxy` answers. fabric8 falls back on 200 and 503 alone, and tries again for long after a 503.
"""


class KubeChannel(asyncio.Protocol):
    """One connection of a Gateway. A hang-up drops what is parked; a reply that is on its way is still waited for."""

    protocol = "kubernetes"

    def __init__(self, proxy: KubeProxy) -> None:
        """Belong to a proxy; the connection comes later."""
        self.proxy = proxy
        self.gate = proxy.gate
        self.replica = proxy.replica
        self.parked: deque[KubeFrame] = deque()
        self._fresh: list[KubeFrame] = []
        self._news: list[Frame] = []
        self._requests = RequestParser()
        self._return = Return(self)
        self._outbox = Outbox(proxy.keeper, lambda: None, self.abort)  # its own pace sees to what is full
        self._client: asyncio.Transport | None = None
        self._server: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._going_on = self._slow = self._stopped = self._proven = self._aborted = False

    # --- what the gate asks ---------------------------------------------------------------------------

    @property
    def unsettled(self) -> bool:
        """Whether requests arrived that are not parked yet, or events and replies that nobody has seen."""
        return bool(self._fresh or self._news)

    @property
    def listens(self) -> bool:
        """Whether a watch is open on it."""
        return self._return.listens

    @property
    def busy(self) -> bool:
        """Whether the server is to reply to a request in the background that is no watch, or one has not all come."""
        passing = any(not flight.waited and flight.watch is None for flight in self._return.flights)
        return passing or self._requests.partial > 0 or bytes_wait(self._client)

    def settle(self) -> list[Frame]:
        """Park what arrived since the last time; background passes when its turn is."""
        fresh, self._fresh = self._fresh, []
        news, self._news = self._news, []
        for frame in fresh:
            if not self.parked and (self.gate.passes(self) or frame.background):
                reported = self.gate.passing if self.gate.open else None
                if reported is not None:
                    reported.frames.append(frame)
                self._send(frame, waited=reported is not None)
                continue
            self.parked.append(frame)
            if not frame.background:
                news.append(frame)
        return news

    def heads(self) -> Iterator[Frame]:
        """Give the first request that was not sent yet if nothing is before it, and what is held first."""
        if self.parked and self.parked[0].released_at is None:
            yield self.parked[0]
        held = self._return.held
        if held and isinstance(held[0], Frame):
            yield held[0]

    def forward(self, frame: Frame) -> None:
        """Send a head on: a request to the server, an event to the Gateway."""
        frame.released_at = time.perf_counter()
        held = self._return.held
        if held and held[0] is frame:
            self._deliver()
        elif self.parked and self.parked[0] is frame:
            self._send(self.parked[0], waited=True)

    def split(self, frame: Frame) -> list[Frame]:
        """Give the frame itself: a request is one step."""
        return [frame]

    def flush(self) -> None:
        """Send on all that is parked and all that is held."""
        while self._return.held:
            self._deliver()
        for frame in list(self.parked):
            if frame.released_at is None:
                frame.released_at = time.perf_counter()
                self._send(frame, waited=True)

    async def catch_up(self) -> None:
        """Wait until the watches have reported every write that was answered by now."""
        await self.proxy.watches.caught_up()

    # --- from the Gateway to the server ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect on to the server."""
        self._client = cast("asyncio.Transport", transport)  # of a stream; uvloop's is of no class of asyncio
        self.proxy.channels.add(self)
        self.gate.connect(self)
        self._connect()

    def _connect(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        fault, transport = await self.proxy.server.connect(lambda: _Upstream(self))
        self._task = None
        if transport is None:
            self.gate.fail(fault)
            self.abort()
            return
        if transport.is_closing():
            return
        self._server = transport
        self._outbox.connected(transport)
        self._pace()

    def data_received(self, data: bytes) -> None:
        """Take in bytes of the Gateway in any chunking."""
        try:
            requests = self._requests.feed(data)
        except ProtocolFault as fault:
            self.gate.fail(f"a request of the Gateway could not be read: {fault}")
            self.abort()
            return
        if any(header(request.headers, b"upgrade").lower() == b"websocket" for request in requests):
            self._refuse_websocket()
            return
        frames = [self._frame(request) for request in requests]
        if frames and self._going_on:
            frames[0].continue_sent, self._going_on = True, False
        acknowledge(self._client)
        if self._requests.asks_to_go_on and not self._going_on and self._client is not None:
            self._going_on = True
            self._client.write(_GO_ON)
        if frames:
            self._arrived(frames)

    def _refuse_websocket(self) -> None:
        """Answer that there is none; it is the first request of its connection, as no other can follow it."""
        if self._client is not None:
            self._client.write(_NO_WEBSOCKET)
            self._client.close()

    def _arrived(self, frames: list[KubeFrame]) -> None:
        self._fresh += frames
        if not self.parked and (self.gate.passes(self) or all(frame.background for frame in self._fresh)):
            self._news = self.settle()
        else:
            self.gate.signal.notify()
        self._pace()

    def _frame(self, request: Request) -> KubeFrame:
        effect = effect_of(request.method, request.target)
        if effect.verb == "create" and effect.resource and not effect.name:
            kind, coding = header(request.headers, b"content-type"), header(request.headers, b"content-encoding")
            name = meta(document(kind, coding, request.body)).get("name")
            effect = effect.of(str(name)) if name else effect
        frame = KubeFrame(self, effect.command, with_headers(request, self.proxy.server.headers), (effect,))
        frame.effect, frame.method, frame.show = effect, request.method, self.proxy.rules.show
        repeat = effect.verb == "list" and (effect.path, effect.selectors) in self.proxy.outdated
        frame.background = repeat or self.proxy.rules.background(effect)
        return frame

    def _send(self, frame: KubeFrame, *, waited: bool = False) -> None:
        """Send a request to the server; ``waited``: its reply is reported."""
        self._return.sent(frame, waited=waited)
        self._outbox.send(frame.raw, (frame,))
        if self._server is None and self._task is None:
            self._connect()

    def eof_received(self) -> bool:
        """Take it as a hang-up: so do the servers."""
        return False

    # --- from the server to the Gateway ---------------------------------------------------------------

    def reply_received(self, data: bytes) -> None:
        """Take in bytes of the server; they go back at once unless they are a step, or come after one."""
        self._proven = True
        try:
            self._return.received(data)
        except ProtocolFault as fault:
            self.gate.fail(f"a reply of the API server could not be read: {fault}")
            self.abort()
            return
        self._hand_back()
        self._pace()
        if self._client is None and not self._return.flights:
            self.abort()

    def announce(self, frame: KubeFrame) -> None:
        """Show an event or a reply that is held."""
        self._news.append(frame)
        self.gate.signal.notify()

    def answered(self, frame: KubeFrame) -> None:
        """Go on after a request that was parked is answered."""
        self._hand_back()
        if self.parked and self.parked[0] is frame:
            self.parked.popleft()
        _done(frame)
        while self.parked and self.parked[0].background and self.parked[0].released_at is None:
            self._send(self.parked.popleft())

    def _hand_back(self) -> None:
        """Write what passes to the Gateway, in one go."""
        back, self._return.back = self._return.back, []
        if self._client is not None and back:
            self._client.write(back[0] if len(back) == 1 else b"".join(back))
        if self._return.closes and not self._return.held and self._client is not None:
            self._client.close()

    def _deliver(self) -> None:
        """Hand what is held first to the Gateway, and what came after it."""
        frame = self._return.deliver()
        self._news = [one for one in self._news if one is not frame]
        self._hand_back()
        _done(frame)
        self._pace()

    # --- slow sides and ends --------------------------------------------------------------------------

    def _pace(self) -> None:
        """Read of each side only while there is room for what it sends."""
        stop = self._slow or self._return.held_bytes > HELD_BYTES
        self._return.pause(paused=stop)
        _read(self._server, wanted=not stop)
        waiting = sum(len(frame.raw) for frame in (*self.parked, *self._fresh)) + self._outbox.size
        _read(self._client, wanted=not self._stopped and waiting <= HELD_BYTES)

    def pause_writing(self) -> None:
        """The Gateway does not read: take no more from the server."""
        self._slow = True
        self._pace()

    def resume_writing(self) -> None:
        """The Gateway reads again."""
        self._slow = False
        self._pace()

    def server_slow(self, *, slow: bool) -> None:
        """Take no more from the Gateway while the server does not read."""
        self._stopped = slow
        self._pace()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface of asyncio
        """The Gateway hung up: what it had parked is gone. What was sent on takes effect, and its reply is seen to."""
        self._client, self._slow = None, False
        for frame in self._return.drop():
            _done(frame)
        self.parked.clear()
        self._fresh, self._news = [], []
        self.gate.disconnect(self)
        if self.listens or not any(flight.waited for flight in self._return.flights):
            self.abort()
        else:
            self._pace()

    def server_lost(self) -> None:
        """The server hung up. What was on its way is lost; else a new connection serves what is parked."""
        self._server = None
        self._outbox.lost()
        if self._aborted:
            return
        watching = self.listens
        if self._return.lost():
            if self._client is not None:
                what = "during a watch" if watching else "while a request was on its way"
                self.gate.fail(f"store lost: the API server closed the connection {what}")
            self.abort()
        elif self._return.closes or self._client is None or not (self.parked or self._fresh):
            self._return.closes = True
            self._hand_back()
            if self._client is None:
                self.abort()
        elif self._proven:
            self._proven = False  # once: a server that only hangs up is asked again when something is sent
            self._connect()

    def abort(self) -> None:
        """End both connections now."""
        self._aborted = True
        self._outbox.close()
        self.proxy.channels.discard(self)
        for frame in self._return.end():
            _done(frame)
        if self._task is not None:
            self._task.cancel()
        for transport in (self._client, self._server):
            if transport is not None:
                transport.abort()


class _Upstream(asyncio.Protocol):
    """The server's end of a channel."""

    def __init__(self, channel: KubeChannel) -> None:
        self._channel = channel

    def data_received(self, data: bytes) -> None:
        self._channel.reply_received(data)

    def pause_writing(self) -> None:
        self._channel.server_slow(slow=True)

    def resume_writing(self) -> None:
        self._channel.server_slow(slow=False)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface of asyncio
        self._channel.server_lost()


def _read(transport: asyncio.Transport | None, *, wanted: bool) -> None:
    """Read of a side, or not now."""
    if transport is None or transport.is_closing():
        return
    if wanted:
        transport.resume_reading()
    else:
        transport.pause_reading()


def _done(frame: Frame) -> None:
    if frame.done is not None and not frame.done.done():
        frame.done.set_result(None)
