"""The gate: it parks frames and lets them through one at a time. It knows no protocol, no store and no scheduler.

    Gateway --bytes--> proxy --Frame--> [ parked | waiting | through ] --bytes--> store

A proxy turns its bytes into frames and hands them over; the executor sees what is parked and says which frame goes.
Only the head of a channel can go: a client that sends two commands down one connection is served in that order.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Protocol

from stress.core.errors import StoreLost
from stress.core.outcomes import Outcome
from stress.protocols.fault import SPEAKS_TLS
from stress.protocols.heard import Heard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stress.core.step import Step, Touch

SPIN_SECONDS = 0.0005
"""How long who waits stays awake, giving way to all others: a processor that falls asleep takes 0.1 ms to wake."""


@dataclass(slots=True, eq=False)
class Frame:
    """One thing that passes between a Gateway and a store: it is parked, released, and at last replied to.

    ``command`` names it (``HGET``, ``HSET+EXPIRE``, ``EXEC(HSET+EXPIRE)``), ``effects`` are the commands whose
    objects it touches, ``watched`` those whose objects it also reads. ``waiting`` marks a frame that was sent to the
    store and whose reply is the step (BLPOP, WAIT); ``pushed`` one that the store sent unasked (a message). Times are
    of `time.perf_counter`. ``seen`` is what its scripts were seen to touch, once it has taken effect. ``reply`` is the
    frame that its reply is, if that is held: it is a step of its own. ``lines`` are where in its code the caller
    stands, the innermost first, where that was looked for.
    """

    channel: Channel
    command: str
    raw: bytes
    effects: tuple[Effect, ...] = ()
    watched: tuple[Effect, ...] = ()
    replies_left: int = 1
    parked_at: float = field(default_factory=time.perf_counter)
    released_at: float | None = None
    replied_at: float | None = None
    replies: list[object] = field(default_factory=list)
    waiting: bool = False
    pushed: bool = False
    done: asyncio.Future[None] | None = None
    actor: str = ""
    step: Step | None = None
    seen: tuple[Touch, ...] | None = None
    reply: Frame | None = None
    lines: tuple[str, ...] = ()

    @property
    def generated(self) -> Sequence[tuple[str, str]]:
        """The names of which the store says that it made a part: what it was given, and what it made."""
        return ()

    @property
    def said(self) -> str:
        """What it was replied, to be compared within one run."""
        return repr(self.replies)

    def observed(self, naming: Callable[[str], str]) -> str:
        """Give what it tells a Gateway in full, with the names that ``naming`` gives; empty where that is its reply."""
        del naming
        return ""

    def outcome(self, naming: Callable[[str], str]) -> Outcome:
        """Give what it came to, once it is replied to; values have the names that ``naming`` gives."""
        del naming
        return Outcome()


class Effect(Protocol):
    """A command as the store receives it, and the number of the database that it works in."""

    @property
    def args(self) -> tuple[bytes, ...]:
        """The command's words."""

    @property
    def database(self) -> int:
        """The number of the database."""


class Channel(Protocol):
    """One connection of a Gateway to a store, as the gate sees it; ``protocol`` is the key of that in the registry."""

    protocol: str
    replica: int

    def settle(self) -> list[Frame]:
        """Park what arrived since the last time; give the frames that are steps."""

    def heads(self) -> Iterator[Frame]:
        """Give the frames that can be released now: the first of each direction."""

    def forward(self, frame: Frame) -> None:
        """Send a head on to where it goes; what it is replied goes back by itself."""

    def split(self, frame: Frame) -> list[Frame]:
        """Park the steps of a pipeline one by one instead of together; gives the frame itself if it is one step."""

    def flush(self) -> None:
        """Send on everything that is parked; from now on all passes."""

    @property
    def unsettled(self) -> bool:
        """Whether anything arrived that is not a frame yet."""

    @property
    def listens(self) -> bool:
        """Whether the store may say something on it that nobody asked for just now."""

    @property
    def busy(self) -> bool:
        """Whether something is on its way: a reply to what passed at once, or the rest of what is not here in full."""

    async def catch_up(self) -> None:
        """Wait until everything that the store has said by now is here."""


class Signal:
    """Something happened: what waits looks again. Any number of notices between two looks are one.

    Who waits stays awake at first.
    """

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
        spin = time.perf_counter() + min(seconds, SPIN_SECONDS)
        while time.perf_counter() < spin:
            os.sched_yield()
            await asyncio.sleep(0)
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


async def within(future: asyncio.Future[None], seconds: float) -> bool:
    """Wait for a future that will be given no exception, awake at first; tell whether it is done in time."""
    spin = time.perf_counter() + min(seconds, SPIN_SECONDS)
    while not future.done() and time.perf_counter() < spin:
        os.sched_yield()
        await asyncio.sleep(0)
    if not future.done():
        await asyncio.wait([future], timeout=seconds)
    return future.done()


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


_LATE, _LATE_SECONDS = 0.5, 0.004
"""Which part of the replies is late in a burst; the latest is so by the product of the two."""


class Passing:
    """What passed an open gate since the making of this: ``frames``. Some replies are late, as networks have them."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.frames: list[Frame] = []
        self._random = Random()  # noqa: S311 - chance, no secret

    def delay(self) -> float:
        """Draw for how many seconds the next reply is kept back; mostly 0."""
        late = self._random.random()
        return _LATE_SECONDS * late if late < _LATE else 0.0


class Gate:
    """Parks the frames of all proxies of one target.

    While ``open`` everything passes at once. ``fault`` says why nothing can be trusted any more (a lost store, a frame
    that could not be read); empty while all is well. ``refusal`` is raised by who drives a run: a command came that
    must not reach a store which is lent. ``heard`` is what no step shows. ``passing`` takes what passes in a
    burst (None: there is none).
    must not reach a store which is lent. ``heard`` is what no step shows. ``working`` are the connections of workers:
    all is parked there also while the gate is open, as where a worker is in its work must not depend on the time;
    ``workless`` are replicas whose worker does not show.
    """

    def __init__(self) -> None:
        """Begin open, with no channel."""
        self.open = True
        self.signal = Signal()
        self.fault = ""
        self.refusal: Exception | None = None
        self.heard = Heard()
        self.passing: Passing | None = None
        self.working: set[Channel] = set()
        self.workless: set[int] = set()
        self._channels: dict[Channel, None] = {}  # in the order of their coming

    def passes(self, channel: Channel) -> bool:
        """Tell whether what a channel shows goes on at once."""
        return self.open and channel not in self.working

    def connect(self, channel: Channel) -> None:
        """Take in a new connection of a Gateway."""
        self._channels[channel] = None

    def disconnect(self, channel: Channel) -> None:
        """Forget a connection that has ended; what it had parked is gone."""
        self._channels.pop(channel, None)
        self.working.discard(channel)
        self.signal.notify()

    def fail(self, reason: str) -> None:
        """Note that the traffic can't be trusted any more; the first reason stays."""
        self.fault = self.fault or reason
        self.heard.speaks_tls = self.heard.speaks_tls or SPEAKS_TLS in reason
        self.signal.notify()

    def refuse(self, why: Exception) -> None:
        """Note that a command must not go on: whatever is run, or, where the store is lost, in this run."""
        if isinstance(why, StoreLost):
            self.fail(f"store lost: {why}")
            return
        self.refusal = self.refusal or why
        self.fail(str(why))

    def check(self) -> None:
        """Raise why a command must not go on, if one came."""
        if self.refusal is not None:
            raise self.refusal

    def close(self) -> None:
        """Park from now on. A fault of an earlier run is forgotten."""
        self.open = False
        self.fault = ""

    def reopen(self) -> None:
        """Let everything through, what is parked first; but what workers show."""
        self.open = True
        for channel in [one for one in self._channels if one not in self.working]:
            channel.settle()
            channel.flush()

    def let_go(self) -> None:
        """Let everything through, also what workers show."""
        self.working.clear()
        self.workless.clear()
        self.reopen()

    def unsettled(self, replica: int) -> bool:
        """Tell whether anything of a replica arrived that is not parked as a frame yet."""
        return any(channel.replica == replica and channel.unsettled for channel in self._channels)

    def busy(self, replica: int) -> bool:
        """Tell whether something is on its way to or from a replica that nobody waits to release."""
        return any(channel.replica == replica and channel.busy for channel in self._channels)

    def settle(self, replica: int) -> list[Frame]:
        """Park what a replica has shown; to be called while the replica is quiet. Gives the new frames."""
        fresh: list[Frame] = []
        for channel in [one for one in self._channels if one.replica == replica and one.unsettled]:
            fresh += channel.settle()
        return fresh if len(fresh) < 2 else sorted(fresh, key=lambda frame: frame.parked_at)  # noqa: PLR2004 - of several

    def heads(self) -> Iterator[Frame]:
        """Give the frames that can be released now: the head of each channel, unless it waits for its store."""
        for channel in self._channels:
            yield from channel.heads()

    def split(self, frame: Frame) -> list[Frame]:
        """Take a parked pipeline apart, because its commands are of several owners; gives its steps in their order."""
        return frame.channel.split(frame)

    async def release(self, frame: Frame, seconds: float) -> bool:
        """Let one head through and wait until its reply came; False if none came within ``seconds``.

        When it returns, everything that the store said because of it is here too: replies to commands that waited,
        and messages. Its own reply goes on at once unless it is held and something that the store pushed is held for
        the same replica: which of them comes first is open then.
        """
        if all(head is not frame for head in frame.channel.heads()):
            return False  # its connection is gone
        frame.done = asyncio.get_running_loop().create_future()
        frame.released_at = time.perf_counter()
        silent = not frame.replies_left
        frame.channel.forward(frame)
        done = await within(frame.done, seconds)
        if silent:
            await frame.channel.catch_up()
        await self.catch_up()
        if frame.reply is not None and not self._holds_pushed(frame.channel.replica):
            frame.channel.forward(frame.reply)
        return done

    def _holds_pushed(self, replica: int) -> bool:
        """Tell whether something that the store pushed is held for a replica."""
        return any(head.pushed for head in self.heads() if head.channel.replica == replica)

    async def catch_up(self) -> None:
        """Wait until what the store said unasked by now is here, on every channel that listens."""
        for channel in [one for one in self._channels if one.listens]:
            await channel.catch_up()
