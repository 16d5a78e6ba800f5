"""The gate: it parks frames and lets them through one at a time. It knows no protocol, no store and no explorer.

    Gateway --bytes--> proxy --Frame--> [ parked | waiting | through ] --bytes--> store

A proxy turns its bytes into frames and hands them over; the world sees what is parked and says which frame goes.
Only the head of a channel can go: a client that sends two commands down one connection is served in that order.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterator

    from stress.step import Step


@dataclass(slots=True, eq=False)
class Frame:
    """One thing that a Gateway asks of a store: it is parked, released, and at last replied to.

    ``command`` names it (``HGET``, ``HSET+EXPIRE``, ``EXEC(HSET+EXPIRE)``), ``effects`` are the commands whose
    objects it touches, ``watched`` those whose objects it also reads, ``database`` is where. ``waiting`` marks a
    frame that was sent to the store and whose reply is the step (BLPOP, WAIT). Times are of `time.perf_counter`.
    """

    channel: Channel
    command: str
    raw: bytes
    effects: tuple[tuple[bytes, ...], ...] = ()
    watched: tuple[tuple[bytes, ...], ...] = ()
    database: int = 0
    replies_left: int = 1
    parked_at: float = field(default_factory=time.perf_counter)
    released_at: float | None = None
    replied_at: float | None = None
    replies: list[object] = field(default_factory=list)
    waiting: bool = False
    done: asyncio.Future[None] | None = None
    actor: str = ""
    step: Step | None = None

    @property
    def ready(self) -> bool:
        """Whether it can be released: a frame whose reply is the step waits for that reply."""
        return not self.waiting or self.replied_at is not None


class Channel(Protocol):
    """One connection of a Gateway to a store, as the gate sees it."""

    replica: int
    parked: deque[Frame]

    def settle(self) -> None:
        """Turn what arrived since the last time into parked frames."""

    def forward(self, frame: Frame) -> None:
        """Send a frame on to where it goes; its reply goes back by itself."""

    @property
    def unsettled(self) -> bool:
        """Whether anything arrived that is not a frame yet."""


class Signal:
    """Something happened: whoever waits looks again. Any number of notices between two looks are one."""

    def __init__(self) -> None:
        """Begin with nothing to see."""
        self._waiter: asyncio.Future[None] | None = None
        self.count = 0

    def notify(self) -> None:
        """Wake who waits."""
        self.count += 1
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self, seen: int, seconds: float) -> bool:
        """Wait until something happened after notice ``seen``, at most ``seconds``; tell whether it did."""
        if self.count != seen:
            return True
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        timer = loop.call_later(seconds, _expire, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None
        return self.count != seen


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class Gate:
    """Parks the frames of all proxies of one target.

    While ``open`` everything passes at once. ``fault`` says why nothing can be trusted any more (a lost store, a
    frame that could not be read); empty while all is well.
    """

    def __init__(self) -> None:
        """Begin open, with no channel."""
        self.open = True
        self.signal = Signal()
        self.fault = ""
        self._channels: set[Channel] = set()

    def connect(self, channel: Channel) -> None:
        """Take in a new connection of a Gateway."""
        self._channels.add(channel)

    def disconnect(self, channel: Channel) -> None:
        """Forget a connection that has ended; what it had parked is gone."""
        self._channels.discard(channel)
        self.signal.notify()

    def fail(self, reason: str) -> None:
        """Note that the traffic can't be trusted any more; the first reason stays."""
        self.fault = self.fault or reason
        self.signal.notify()

    def close(self) -> None:
        """Park from now on. A fault of an earlier run is forgotten."""
        self.open = False
        self.fault = ""

    def reopen(self) -> None:
        """Let everything through, what is parked first."""
        self.open = True
        for channel in list(self._channels):
            channel.settle()
            for frame in list(channel.parked):
                if frame.ready:
                    self._pass(frame)
                frame.waiting = False

    def unsettled(self, replica: int) -> bool:
        """Tell whether anything of a replica arrived that is not parked as a frame yet."""
        return any(channel.unsettled for channel in self._channels if channel.replica == replica)

    def settle(self, replica: int) -> list[Frame]:
        """Park what a replica has shown; to be called while the replica is quiet. Gives the new frames."""
        fresh: list[Frame] = []
        for channel in [one for one in self._channels if one.replica == replica and one.unsettled]:
            before = set(map(id, channel.parked))
            channel.settle()
            fresh += [frame for frame in channel.parked if id(frame) not in before]
        return sorted(fresh, key=lambda frame: frame.parked_at)

    def heads(self) -> Iterator[Frame]:
        """Give the frames that can be released now: the head of each channel, unless it waits for its store."""
        for channel in self._channels:
            if channel.parked and channel.parked[0].ready:
                yield channel.parked[0]

    async def release(self, frame: Frame, seconds: float) -> bool:
        """Let one head through and wait until its reply went back; False if none came within ``seconds``."""
        frame.done = asyncio.get_running_loop().create_future()
        self._pass(frame)
        if frame.done.done():
            return True
        done, _ = await asyncio.wait([frame.done], timeout=seconds)
        return bool(done)

    def _pass(self, frame: Frame) -> None:
        frame.released_at = time.perf_counter()
        frame.channel.forward(frame)
