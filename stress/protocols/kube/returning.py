"""The way back of one connection: replies pass as they came, the events of a watch are held.

So is the reply to a write of which its own replica will be notified by an event: either may reach the Gateway first.
What comes after what is held on the same connection stays behind it. What passes, and what is let go, keeps its bytes.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from stress.core.step import REPLY
from stress.protocols.fault import ProtocolFault
from stress.protocols.gate import Frame
from stress.protocols.kube.http import Data, End, Head, Part, ResponseParser, header
from stress.protocols.kube.parked import Flight, KubeFrame
from stress.protocols.kube.replies import MAX_READ, Document, document, meta, reported
from stress.protocols.kube.requests import EVENT, WRITES, KubeEffect
from stress.protocols.kube.watches import Event, EventParser, Watch

if TYPE_CHECKING:
    from stress.protocols.kube.session import KubeChannel

_CONTINUE, _OK, _MULTIPLE, _REFUSED, _NOT_FOUND, _GONE = 100, 200, 300, 400, 404, 410


class Return:
    """What a server says on one connection, from the request that asked for it to the bytes that the Gateway gets.

    ``back`` are the bytes that the Gateway can be given now, ``held`` the events and replies that are steps and what
    comes after them (``held_bytes`` in all). ``closes`` once a reply said that the connection ends with it.
    """

    def __init__(self, channel: KubeChannel) -> None:
        """Begin with nothing asked."""
        self._channel = channel
        self._proxy = channel.proxy
        self._replies = ResponseParser()
        self.flights: deque[Flight] = deque()
        self.held: deque[KubeFrame | bytes] = deque()
        self.held_bytes = 0
        self.back: list[bytes] = []
        self.closes = False

    @property
    def listens(self) -> bool:
        """Whether a watch is open."""
        return any(flight.watch is not None for flight in self.flights)

    def sent(self, frame: KubeFrame, *, waited: bool) -> None:
        """Note that a request was sent, and whether somebody waits for the reply."""
        self.flights.append(Flight(frame, waited))
        self._replies.expect(frame.method)

    def received(self, data: bytes) -> None:
        """Take in bytes of the server.

        Raises:
            ProtocolFault: when they can't be read.

        """
        for part in self._replies.feed(data):
            self._take_in(part)

    def lost(self) -> bool:
        """Take in that the server hung up; tell whether a reply is lost."""
        try:
            for part in self._replies.eof():
                self._take_in(part)
        except ProtocolFault:
            return True
        self._replies = ResponseParser()
        return bool(self.flights)

    def deliver(self) -> KubeFrame:
        """Give back the event that is held first, and what came after it."""
        frame = self.held.popleft()
        assert isinstance(frame, KubeFrame)  # noqa: S101 - bytes are only held behind a frame
        freed = [frame.raw]
        while self.held and isinstance(self.held[0], bytes):
            freed.append(self.held.popleft())  # type: ignore[arg-type]  # it was looked at
        self.held_bytes -= sum(map(len, freed))
        self.back += freed
        return frame

    def drop(self) -> list[KubeFrame]:
        """Forget what is held: the Gateway is gone. Gives the events among it."""
        gone = [one for one in self.held if isinstance(one, Frame)]
        self.held.clear()
        self.held_bytes = 0
        return gone

    def end(self) -> list[KubeFrame]:
        """Close every watch and forget what is on its way; gives the requests whose reply will not come."""
        for flight in self.flights:
            if flight.watch is not None:
                self._proxy.watches.closed(flight.watch)
        gone = [flight.frame for flight in self.flights]
        self.flights.clear()
        return gone

    def pause(self, *, paused: bool) -> None:
        """Note whether the server is not read now: what its watches tell can't be waited for."""
        for flight in self.flights:
            if flight.watch is not None and flight.watch.paused != paused:
                flight.watch.paused = paused
                self._proxy.watches.reported()

    def _take_in(self, part: Part) -> None:
        flight = self.flights[0]
        if isinstance(part, Head):
            self._head(flight, part)
        elif isinstance(part, Data):
            self._data(flight, part)
        else:
            self._end(flight, part)

    def _out(self, raw: bytes) -> None:
        """Give bytes back, behind what is held."""
        if not self.held:
            self.back.append(raw)
        elif raw:
            self.held.append(raw)
            self.held_bytes += len(raw)

    def _head(self, flight: Flight, head: Head) -> None:
        if head.interim:
            if head.status != _CONTINUE or not flight.frame.continue_sent:
                self._out(head.raw)
            return
        flight.status, flight.headers = head.status, head.headers
        if flight.effect.verb == "watch" and head.status == _GONE:
            self._outdate(flight)
        if flight.effect.verb == "watch" and head.status == _OK:
            if header(head.headers, b"content-encoding"):
                raise ProtocolFault(0, "a watch whose events the gate can't read", head.raw)
            flight.events = EventParser(header(head.headers, b"content-type"))
            background = self._proxy.rules.background(_reported_by(flight.effect, None))
            flight.watch = Watch(flight.effect, self._proxy.replica, background=background)
            self._proxy.watches.opened(flight.watch)
            self._proxy.outdated.discard((flight.effect.path, flight.effect.selectors))
        if self._is_step(flight):
            flight.kept = []
        self._back(flight, head.raw)
        if flight.watch is not None and flight.waited:  # its reply has no end
            self._answer(flight, None)

    def _data(self, flight: Flight, data: Data) -> None:
        if flight.events is None or flight.watch is None:
            flight.size += len(data.payload)
            if flight.size <= MAX_READ and (flight.waited or self._announced(flight)):
                flight.body.append(data.payload)
            self._back(flight, data.raw)
            return
        for group in flight.events.feed(data):
            passes = [flight.watch.take_in(event) for event in group.events]
            if any(event.type == "ERROR" and event.object.get("code") == _GONE for event in group.events):
                self._outdate(flight)
            if self._proxy.gate.open or all(passes) or flight.watch.background:
                self._out(group.raw)
                continue
            for event, passing, raw in zip(group.events, passes, group.cut(), strict=True):
                if passing:
                    self._out(raw)
                else:
                    self._hold(flight, event, raw)
        self._proxy.watches.reported()

    def _outdate(self, flight: Flight) -> None:
        """Note that a watch must list again: a client does so without the version that is gone."""
        self._proxy.outdated.add((flight.effect.path, flight.effect.selectors))

    def _hold(self, flight: Flight, event: Event, raw: bytes) -> None:
        """Make an event a step."""
        effect = _reported_by(flight.effect, event)
        frame = KubeFrame(self._channel, event.type, raw, (effect,), pushed=True, effect=effect, answer=event.object)
        frame.actor, frame.show = f"watch:{self._proxy.replica}", self._proxy.rules.show
        frame.replies.append(reported(event.type, event.object, self._proxy.rules.show))
        frame.replied_at, frame.replies_left = frame.parked_at, 0
        self.held.append(frame)
        self.held_bytes += len(raw)
        self._channel.announce(frame)

    def _back(self, flight: Flight, raw: bytes) -> None:
        """Give bytes of a reply back, or keep them until it is there in full."""
        if flight.kept is None:
            self._out(raw)
        else:
            flight.kept.append(raw)

    def _is_step(self, flight: Flight) -> bool:
        """Tell whether the reply to a step of a request is a step of its own: it and an event may overtake another."""
        of_step = flight.waited and flight.frame.step is not None and not self._proxy.gate.open
        return (
            of_step and self._announced(flight) and self._proxy.watches.holds_news(flight.effect, self._proxy.replica)
        )

    def _announced(self, flight: Flight) -> bool:
        """Tell whether the watches will tell of what a request did."""
        written = flight.effect.verb in WRITES and _OK <= flight.status < _MULTIPLE
        return written and bool(self._proxy.watches)

    def _keep(self, flight: Flight, raw: bytes) -> None:
        """Make a reply a step of the request that it is for."""
        of = flight.effect
        effect = KubeEffect(REPLY, of.group, of.resource, of.namespace, of.name)
        frame = KubeFrame(self._channel, REPLY, raw, (effect,), effect=effect)
        frame.actor = flight.frame.actor
        frame.replies.append(str(flight.status))
        frame.replied_at, frame.replies_left = frame.parked_at, 0
        flight.frame.reply = frame
        self.held.append(frame)
        self.held_bytes += len(raw)
        self._channel.announce(frame)

    def _end(self, flight: Flight, end: End) -> None:
        self._back(flight, (flight.events.end() if flight.events is not None else b"") + end.raw)
        self.flights.popleft()
        self.closes = self.closes or end.close
        if flight.watch is not None:
            self._proxy.watches.closed(flight.watch)
            return
        read: Document | None = None
        if flight.body and flight.size <= MAX_READ:
            kind, coding = header(flight.headers, b"content-type"), header(flight.headers, b"content-encoding")
            read = document(kind, coding, b"".join(flight.body))
        if self._announced(flight):
            self._proxy.watches.wrote(flight.effect, read)
        if flight.status >= _REFUSED and (flight.status != _NOT_FOUND or flight.effect.verb == "create"):
            self._proxy.gate.heard.error(flight.frame.command, reported(flight.status, read))
        if flight.kept is not None:
            self._keep(flight, b"".join(flight.kept))
        if flight.waited:
            self._answer(flight, read)

    def _answer(self, flight: Flight, read: Document | None) -> None:
        """Tell who waits what the server answered."""
        frame = flight.frame
        flight.waited = False
        frame.answer, frame.status = read, flight.status
        frame.replies.append(reported(flight.status, read, self._proxy.rules.show))
        frame.replies_left, frame.replied_at = 0, time.perf_counter()
        self._channel.answered(frame)


def _reported_by(watch: KubeEffect, event: Event | None) -> KubeEffect:
    """Give what an event of a watch tells of."""
    about = meta(event.object) if event is not None else {}
    namespace, name = str(about.get("namespace", watch.namespace)), str(about.get("name", ""))
    kind = event.type if event is not None else ""
    return KubeEffect(EVENT, watch.group, watch.resource, namespace, name, reported=kind)
