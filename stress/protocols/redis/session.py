"""One connection of a Gateway through the Redis proxy: requests are parked, what the server says goes back.

Replies go back at once and in their order. What the server says unasked (messages, invalidations) and the reply of a
command that waited (BLPOP) are steps: they are held, and what comes after them on the same connection stays behind
them. MONITOR's lines pass. Frames are kept whole, so memory is bounded by the biggest frame: a side that does not
read makes the other wait.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, cast

from stress.protocols.acknowledge import acknowledge, bytes_wait
from stress.protocols.fault import ProtocolFault
from stress.protocols.gate import Frame
from stress.protocols.late import Late
from stress.protocols.outbox import Outbox
from stress.protocols.redis.commands import Command, ConnectionState, Effect, comes_unseen, finds_nodes, pushed
from stress.protocols.redis.pending_replies import PendingReplies, RedisFrame
from stress.protocols.redis.replies import Reply, ReplyError, ReplyParser
from stress.protocols.redis.requests import Request, RequestParser

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stress.protocols.redis.proxy import RedisProxy

_CONNECT_SECONDS = 5.0


class RedisChannel(asyncio.Protocol):
    """One connection of a Gateway: what it asks is parked, what it is answered goes back as it came.

    A hang-up drops what is parked, as if its bytes had been lost with the connection.
    """

    protocol = "redis"

    def __init__(self, proxy: RedisProxy) -> None:
        """Belong to a proxy; the connection comes later."""
        self.proxy = proxy
        self.gate = proxy.gate
        self.replica = proxy.replica
        self.parked: deque[RedisFrame] = deque()
        self.held: deque[RedisFrame | bytes] = deque()
        self._fresh: list[Request] = []
        self._news: list[Frame] = []
        self._requests = RequestParser()
        self._replies = ReplyParser()
        self._state = ConnectionState()
        self._owed = PendingReplies()
        self._late = Late()
        self._outbox = Outbox(proxy.keeper, self.pause_client, self.abort)
        self._client: asyncio.Transport | None = None
        self._server: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    # --- what the gate asks ---------------------------------------------------------------------------

    @property
    def unsettled(self) -> bool:
        """Whether commands arrived that are not units yet, or messages that nobody has seen."""
        return bool(self._fresh or self._news)

    @property
    def listens(self) -> bool:
        """Whether the server may say something unasked, or owes the reply of a command that waits."""
        return self._owed.waits or self._state.listens

    @property
    def busy(self) -> bool:
        """Whether the server is still to reply to background commands, or not all of a command has come."""
        return self._owed.passing or self._late.waiting or self._requests.partial > 0 or bytes_wait(self._client)

    def settle(self) -> list[Frame]:
        """Park what arrived since the last time, as units; a unit with no effect of its own passes when its turn is."""
        fresh, news = self._fresh, self._news
        self._fresh, self._news = [], []
        for unit in self._state.units(fresh, self.proxy.background):
            if not self.parked and (self.gate.passes(self) or not unit.parked):
                self._pass(unit.commands)
                continue
            frame = RedisFrame(self, unit.name, unit.raw, unit.effects, unit.watched, unit=unit)
            frame.replies_left = sum(command.awaited.replies for command in unit.commands if command.awaited)
            self.parked.append(frame)
            if unit.parked:
                news.append(frame)
        self._advance()
        return news

    def heads(self) -> Iterator[Frame]:
        """Give the first command that was not sent yet if nothing is before it, and what is held first."""
        if self.parked and self.parked[0].released_at is None and not self.parked[0].waiting:
            yield self.parked[0]
        if self.held and isinstance(self.held[0], Frame):
            yield self.held[0]

    def forward(self, frame: Frame) -> None:
        """Send a head on: a command to the server, what is held to the Gateway."""
        frame.released_at = time.perf_counter()
        if self.held and self.held[0] is frame:
            self._deliver()
        elif self.parked and self.parked[0] is frame:
            self._transmit(self.parked[0])

    def split(self, frame: Frame) -> list[Frame]:
        """Park the steps of a pipeline one by one."""
        if not isinstance(frame, RedisFrame) or frame.released_at is not None or frame not in self.parked:
            return [frame]
        parts = [
            RedisFrame(self, unit.name, unit.raw, unit.effects, unit.watched, parked_at=frame.parked_at, unit=unit)
            for unit in frame.unit.split()
        ]
        for part in parts:
            part.replies_left = sum(command.awaited.replies for command in part.unit.commands if command.awaited)
        at = self.parked.index(frame)
        self.parked.remove(frame)
        for part in reversed(parts):
            self.parked.insert(at, part)
        return list(parts)

    def flush(self) -> None:
        """Send on all that is parked and all that is held; a reply that still comes passes."""
        while self.held:
            self._deliver()
        for frame in list(self.parked):
            unsent = frame.released_at is None and not frame.waiting
            frame.waiting = False
            frame.released_at = frame.released_at or time.perf_counter()
            if unsent:
                self._transmit(frame)

    async def catch_up(self) -> None:
        """Wait until everything that the server has said by now is here."""
        await self._outbox.emptied()
        await self.proxy.catch_up()

    # --- from the Gateway to the server ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect on to the server."""
        self._client = cast("asyncio.Transport", transport)  # of a stream; uvloop's is of no class of asyncio
        self.proxy.channels.add(self)
        self.gate.connect(self)
        self._task = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        (host, port), loop = self.proxy.server, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                transport, _ = await loop.create_connection(lambda: _Upstream(self), host, port, ssl=self.proxy.tls)
        except OSError as error:
            self.gate.fail(f"store lost: {host}:{port} does not answer ({error.strerror or 'time-out'})")
            self.abort()
            return
        self._server = transport
        self._outbox.connected(transport)
        self.resume_client()

    def data_received(self, data: bytes) -> None:
        """Take in bytes of the Gateway in any chunking."""
        try:
            requests = self._requests.feed(data)
        except ProtocolFault as fault:
            self.gate.fail(f"a frame of the Gateway could not be read: {fault}")
            self.abort()
            return
        acknowledge(self._client)
        self.gate.heard.discoveries |= dict.fromkeys(finds_nodes(requests))
        if self.gate.passes(self) and not self._fresh:
            self._through(requests)
            return
        self._fresh += requests
        if not self.parked and self._state.passes(self._fresh, self.proxy.background):
            self._news = self.settle()
        elif requests:
            self.gate.signal.notify()

    def _through(self, requests: Sequence[Request]) -> None:
        """Send on what comes while the gate is open."""
        passing = self.gate.passing
        plain, follows = self._state.plain, self._outbox.keeps or passing is not None
        commands: list[Command] = []
        for request in requests:
            if not follows and plain(request.args):
                self._owed.plain()
                continue
            commands.append(command := self._state.follow(request, self.proxy.background))
            self._owed.passed(command)
            if passing is not None and command.ran:
                passing.frames.append(Frame(self, command.name, b"", command.ran))
        if requests:
            raw = requests[0].raw if len(requests) == 1 else b"".join([request.raw for request in requests])
            self._outbox.send(raw, commands, self._owed.last_of(commands))

    def _pass(self, commands: Sequence[Command]) -> None:
        for command in commands:
            self._owed.passed(command)
            self.gate.heard.passed[command.name] += 1
        self._outbox.send(
            b"".join([command.request.raw for command in commands]), commands, self._owed.last_of(commands)
        )

    def _transmit(self, frame: RedisFrame) -> None:
        """Send a parked frame to the server."""
        self._owed.released(frame)
        self._outbox.send(frame.raw, frame.unit.commands, self._owed.last_of(frame.unit.commands))
        if not frame.replies_left:
            self._replied(frame)

    def _advance(self) -> None:
        """Send what need not be released: background whose turn it is, and a command whose reply is the step."""
        while self.parked and self.parked[0].released_at is None and not self.parked[0].waiting:
            first = self.parked[0]
            if first.unit.blocking:
                first.waiting = True
                self._transmit(first)
            elif not first.unit.parked:
                self.parked.popleft()
                self._pass(first.unit.commands)
            else:
                break
        self._end()

    def eof_received(self) -> bool:
        """The Gateway will send no more. It may still read: with nothing parked the server is notified in its turn."""
        self._ended = True
        if self._fresh or any(frame.released_at is None for frame in self.parked):
            return False
        self._end()
        return True

    def _end(self) -> None:
        if self._ended and not self.parked:
            self._outbox.end()

    # --- from the server to the Gateway ---------------------------------------------------------------

    def reply_received(self, data: bytes) -> None:
        """Take in bytes of the server; they go back at once unless they are a step, or come after one."""
        try:
            replies = self._replies.feed(data)
        except ProtocolFault as fault:
            self.gate.fail(f"a reply of the store could not be read: {fault}")
            self.abort()
            return
        back: list[bytes] = []
        for reply in replies:
            if (step := self._step_of(reply)) is not None:
                self.held.append(step)
            elif self.held:
                self.held.append(reply.raw)
            else:
                back.append(reply.raw)
        if back and self._client is not None:
            self._late.write(self._client, back, self.gate.passing)

    def _step_of(self, reply: Reply) -> RedisFrame | None:
        """Take in one reply; give the frame that it is if it must be held."""
        owed = self._owed.first
        if self._state.unasked(reply, owed.awaited if owed is not None else None):
            message = pushed(reply)
            return None if message is None else self._announce(reply, message)
        assert owed is not None  # noqa: S101 - without it the reply was unasked
        count = 1
        if owed.awaited.name:
            self._state.replied(owed.awaited, reply.value)
            count = owed.left if isinstance(reply.value, ReplyError) else 1  # an error ends a SUBSCRIBE of many
        if self._owed.paid(count):
            self._outbox.replied(owed)
        frame = owed.frame
        if isinstance(reply.value, ReplyError):
            self.gate.heard.error(owed.name, str(reply.value))
        if frame is None:
            return self._announce(reply, owed.command.effects[0]) if owed.command and owed.command.effects else None
        frame.replies.append(reply.value)
        frame.replies_left -= count
        if frame.waiting:
            frame.raw = reply.raw
        if not frame.replies_left:
            self._replied(frame)
        return frame if frame.waiting else None

    def _announce(self, reply: Reply, effect: Effect) -> RedisFrame | None:
        """Make a message, or the late reply of a command that passed, a step; None if it passes."""
        if self.gate.passes(self) or comes_unseen(effect.args, self.proxy.background):
            return None
        name = effect.args[0].decode("latin-1").upper()
        frame = RedisFrame(self, name, reply.raw, (effect,), pushed=True)
        frame.replies.append(reply.value)
        frame.replied_at, frame.replies_left = frame.parked_at, 0
        self._news.append(frame)
        self.gate.signal.notify()
        return frame

    def _replied(self, frame: RedisFrame) -> None:
        frame.replied_at = time.perf_counter()
        if frame.waiting:
            frame.parked_at = frame.replied_at  # its reply is here: now it can be released
            self.gate.signal.notify()
        else:
            self._finish(frame)

    def _deliver(self) -> None:
        """Send back what is held first, and the replies that came after it."""
        frame = self.held.popleft()
        assert isinstance(frame, RedisFrame)  # noqa: S101 - replies are only held behind a frame
        back = [frame.raw]
        while self.held and isinstance(self.held[0], bytes):
            back.append(self.held.popleft())  # type: ignore[arg-type]  # it was looked at
        if self._client is not None:
            self._client.writelines(back)
        frame.waiting = False
        self._finish(frame)

    def _finish(self, frame: RedisFrame) -> None:
        if self.parked and self.parked[0] is frame:
            self.parked.popleft()
        if frame.done is not None and not frame.done.done():
            frame.done.set_result(None)
        self._advance()

    # --- slow sides and ends --------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """The Gateway does not read: take no more from the server."""
        if self._server is not None:
            self._server.pause_reading()

    def resume_writing(self) -> None:
        """The Gateway reads again."""
        if self._server is not None:
            self._server.resume_reading()

    def pause_client(self) -> None:
        """The server does not read: take no more from the Gateway."""
        if self._client is not None:
            self._client.pause_reading()

    def resume_client(self) -> None:
        """The server reads again."""
        if self._client is not None:
            self._client.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface of asyncio
        """The Gateway hung up: what it had parked is gone."""
        self.proxy.channels.discard(self)
        gone = [*self.parked, *(frame for frame in self.held if isinstance(frame, Frame))]
        self.parked.clear()
        self.held.clear()
        self._fresh, self._news = [], []
        for frame in gone:
            if frame.done is not None and not frame.done.done():
                frame.done.set_result(None)
        if self._task is not None:
            self._task.cancel()
        self._outbox.close()
        if self._server is not None:
            self._server.close()
        self.gate.disconnect(self)

    def server_lost(self) -> None:
        """The server hung up: hang up on the Gateway too, as the server would have."""
        if self._client is None or self._client.is_closing():
            return
        if self._owed.first is not None and self._owed.first.awaited.name == b"SHUTDOWN":
            self.gate.fail("store lost: a SHUTDOWN of the Gateway ended it")
        elif (self._owed or self.parked or self.held) and not self._ended:
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

    def pause_writing(self) -> None:
        self._channel.pause_client()

    def resume_writing(self) -> None:
        self._channel.resume_client()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface of asyncio
        self._channel.server_lost()
