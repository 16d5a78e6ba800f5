"""Watches: cutting what a watch tells into events that can be held back one by one, and knowing what is still to come.

Source: Kubernetes API concepts (efficient detection of changes, watch bookmarks, streaming lists). An event is a line
of JSON, or a length of four bytes and a message of protobuf. An event that a server sent in chunks of its own keeps
the bytes it came in. Where a chunk holds several events they pass unchanged while none of them is held; else each is
given a chunk of its own: the body that the Gateway reads is the same.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from stress.protocols.fault import ProtocolFault
from stress.protocols.kube.http import MAX_BODY, Data
from stress.protocols.kube.replies import PROTOBUF, Document, meta, uid_of, version_of, watched

if TYPE_CHECKING:
    from stress.protocols.gate import Gate
    from stress.protocols.kube.requests import KubeEffect

EVENT_SECONDS = 1.0
"""How long an event may be on its way to a watch after its write was answered."""
BOOKMARK, DELETED = "BOOKMARK", "DELETED"
_INITIAL_END = "k8s.io/initial-events-end"
_PREFIX = 4
_GONE = 1000


class Event(NamedTuple):
    """One event: what the Gateway reads of it, its type (``ADDED``) and its object."""

    payload: bytes
    type: str
    object: Document

    @property
    def ends_initial(self) -> bool:
        """Whether it says that all objects that were there at the beginning of a streaming list were sent."""
        return self.type == BOOKMARK and meta(self.object).get("annotations", {}).get(_INITIAL_END) == "true"


class Group(NamedTuple):
    """The fewest whole chunks that hold whole events: their bytes as they came, and the events (none: blank)."""

    raw: bytes
    events: tuple[Event, ...]

    def cut(self) -> list[bytes]:
        """Give the bytes of each event alone; an event that came alone keeps its own."""
        if len(self.events) == 1:
            return [self.raw]
        whole = sum(len(event.payload) for event in self.events) == len(self.raw)  # it came without chunks
        return [e.payload if whole else b"%x\r\n%b\r\n" % (len(e.payload), e.payload) for e in self.events]


class EventParser:
    """Cuts the body of a watch into groups of events."""

    def __init__(self, content_type: bytes) -> None:
        """Begin a body of this type: JSON, or the protobuf of Kubernetes.

        Raises:
            ProtocolFault: when it is of another type.

        """
        self._type = content_type
        self._protobuf = content_type.startswith(PROTOBUF)
        if not self._protobuf and not content_type.startswith(b"application/json"):
            raise ProtocolFault(0, "a watch whose events the gate can't read", content_type)
        self._raw = bytearray()
        self._rest = bytearray()
        self._looked = 0
        self._events: list[Event] = []
        self._begun = 0

    def feed(self, data: Data) -> list[Group]:
        """Take in a piece of the body; give the groups that are complete now.

        Raises:
            ProtocolFault: at what is no event, or at one that is too long.

        """
        chunked = len(data.raw) != len(data.payload)
        self._raw += data.raw
        self._rest += data.payload
        found = []
        while (length := self._next(ends=chunked)) is not None:
            self._add(length)
            if not chunked:
                found.append(self._group(len(self._raw) - len(self._rest)))
        blank = not self._rest if self._protobuf else not self._rest.strip()
        if blank and self._raw:
            if self._events:
                self._events[-1] = self._events[-1]._replace(payload=self._events[-1].payload + bytes(self._rest))
            found.append(self._group(len(self._raw)))
            self._rest.clear()
            self._looked = 0
        elif len(self._raw) > MAX_BODY:
            raise ProtocolFault(self._begun, f"an event longer than {MAX_BODY} bytes", bytes(self._rest[:_PREFIX]))
        return found

    def end(self) -> bytes:
        """Give what is left when the body ends: an event that was cut off."""
        return bytes(self._raw)

    def _group(self, length: int) -> Group:
        group = Group(bytes(self._raw[:length]), tuple(self._events))
        del self._raw[:length]
        self._events.clear()
        return group

    def _next(self, *, ends: bool) -> int | None:
        """Give the length of the first event in what is left, if it is whole; ``ends``: a chunk ends after it."""
        rest = self._rest
        if self._protobuf:
            if len(rest) < _PREFIX:
                return None
            length = _PREFIX + int.from_bytes(rest[:_PREFIX], "big")
            if length > MAX_BODY:
                raise ProtocolFault(self._begun, f"an event longer than {MAX_BODY} bytes", bytes(rest[:_PREFIX]))
            return length if len(rest) >= length else None
        if rest[:1].isspace():  # a blank line belongs to the event after it
            self._looked = max(self._looked, len(rest) - len(rest.lstrip()))
        line = rest.find(b"\n", self._looked)
        if line >= 0:
            return line + 1
        self._looked = len(rest)
        if ends and rest.endswith(b"}"):  # some servers end no line
            try:
                watched(self._type, bytes(rest))
            except ValueError:
                return None
            return len(rest)
        return None

    def _add(self, length: int) -> None:
        payload = bytes(self._rest[:length])
        del self._rest[:length]
        self._looked = 0
        try:
            kind, reported = watched(self._type, payload[_PREFIX:] if self._protobuf else payload)
        except (ValueError, RecursionError):
            raise ProtocolFault(self._begun, "no event of a watch", payload[:40]) from None
        self._events.append(Event(payload, kind, reported))
        self._begun += length


class Watch:
    """One open watch: how far it has reported, and whether its initial events are over.

    ``replica`` is whose it is; the events that it tells are no steps if they are ``background``.
    """

    def __init__(self, effect: KubeEffect, replica: int = 1, *, background: bool = False) -> None:
        """Begin where the request asked to begin."""
        self.effect, self.replica, self.background = effect, replica, background
        self.initial = effect.parameter("sendInitialEvents") == "true"
        self.paused = False
        self.seen = version_of({"resourceVersion": effect.parameter("resourceVersion")})
        self._gone: dict[str, None] = {}

    def take_in(self, event: Event) -> bool:
        """Note an event; tell whether it passes because it is a bookmark, or of the initial list."""
        passes = self.initial or event.type == BOOKMARK
        self.initial = self.initial and not event.ends_initial
        self.seen = max(self.seen, version_of(meta(event.object)))
        if event.type == DELETED:
            self._gone[uid_of(event.object)] = None
            if len(self._gone) > _GONE:
                del self._gone[next(iter(self._gone))]
        return passes

    def lacks(self, write: Written) -> bool:
        """Tell whether it has yet to tell of a write."""
        return not self.paused and write.uid not in self._gone and (not write.version or self.seen < write.version)

    def tells_of(self, write: Written) -> bool:
        """Tell whether a write is among what it watches. Of one with other selectors than a name that is not known."""
        mine, its = self.effect, write.effect
        one = mine.name or mine.parameter("fieldSelector").removeprefix("metadata.name=").lstrip("=")
        return (
            (mine.group, mine.resource) == (its.group, its.resource)
            and mine.namespace in ("", its.namespace)
            and one in ("", its.name)
            and not mine.parameter("labelSelector")
        )


class Written(NamedTuple):
    """A write that was answered: the object's uid and its new version (0: it is gone)."""

    effect: KubeEffect
    uid: str
    version: int


class Watches:
    """All open watches of one target, of all replicas: after a write they are waited for, until they have reported it.

    What writes past the gate (the environment) says so by `wrote`.
    """

    def __init__(self, gate: Gate, seconds: float = EVENT_SECONDS) -> None:
        """Begin with none; an event that takes longer than ``seconds`` is a fault of the gate."""
        self._gate = gate
        self._seconds = seconds
        self._open: dict[Watch, None] = {}
        self._awaited: list[tuple[Watch, Written]] = []
        self._news: asyncio.Future[None] | None = None

    def __bool__(self) -> bool:
        """Tell whether any watch is open."""
        return bool(self._open)

    @property
    def passing(self) -> bool:
        """Whether what an open watch tells is no step."""
        return any(watch.background for watch in self._open)

    def opened(self, watch: Watch) -> None:
        """Take in a watch that the server has begun to answer."""
        self._open[watch] = None

    def closed(self, watch: Watch) -> None:
        """Forget a watch."""
        self._open.pop(watch, None)
        self.reported()

    def reported(self) -> None:
        """Note that a watch reported something, or is no longer read."""
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def wrote(self, effect: KubeEffect, read: Document | None) -> None:
        """Note that a write was answered with this body; a write that changed nothing is known by its old version."""
        if read is None or not self._open or effect.parameter("dryRun"):
            return
        objects = [item for item in read.get("items", ()) if isinstance(item, dict)] or [read]
        for one in objects:
            uid, named = uid_of(one), effect
            if not effect.name and (name := str(meta(one).get("name", ""))):
                named = effect.of(name)
            waits = bool(meta(one).get("finalizers"))  # it is only marked as deleted
            deleted = one.get("kind") == "Status" or (effect.verb == "deletecollection" and not waits)
            write = Written(named, uid, 0 if deleted else version_of(meta(one)))
            if len(self._awaited) > _GONE:  # nobody has waited for long
                self._prune()
            if uid:
                self._awaited += [(watch, write) for watch in self._open if watch.tells_of(write)]

    def holds_news(self, effect: KubeEffect, replica: int) -> bool:
        """Tell whether a replica will be notified of a write by an event that is a step."""
        write = Written(effect, "", 0)
        mine = (watch for watch in self._open if watch.replica == replica and not watch.background)
        return any(not watch.paused and watch.tells_of(write) for watch in mine)

    async def caught_up(self) -> None:
        """Wait until every open watch has reported every write that was answered."""
        deadline = asyncio.get_running_loop().time() + self._seconds
        while self._prune():
            if self._news is None or self._news.done():
                self._news = asyncio.get_running_loop().create_future()
            done, _ = await asyncio.wait([self._news], timeout=deadline - asyncio.get_running_loop().time())
            if not done:
                lost = self._awaited[0][1].effect
                self._awaited.clear()
                self._gate.fail(f"a watch did not report {lost.command} {lost.object} within {self._seconds:g} s")

    def _prune(self) -> bool:
        self._awaited = [(watch, write) for watch, write in self._awaited if watch in self._open and watch.lacks(write)]
        return bool(self._awaited)
