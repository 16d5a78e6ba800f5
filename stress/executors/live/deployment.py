"""One target made ready: its store, the gate, its Gateways. Started once, for as many scenarios as there are."""

from __future__ import annotations

import asyncio
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from stress.core.errors import Unavailable, UsageFault
from stress.core.registry import PROTOCOLS
from stress.executors.identity import identity
from stress.executors.live.said import encrypted
from stress.executors.live.state import State
from stress.processes.child import Ends, resident
from stress.processes.launch import launch, strangers
from stress.processes.quiescence import descendants
from stress.processes.sink import Sink
from stress.protocols.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

    from stress.config.target import Target
    from stress.processes.child import Child
    from stress.processes.replicas import Replica
    from stress.protocols.base import TargetStore
    from stress.protocols.gate import Frame


_START_SECONDS, _MOST_BYTES, _ALL_BYTES = 3.0, 500 << 20, 1 << 30
"""From which start or size on a target has one deployment alone, and how large all of them together may be."""
_DEATH_SECONDS, _GLANCE_SECONDS = 0.1, 0.002
"""How long after its last connection closed a Gateway may be seen to have died, and how often it is looked at."""


class Deployment:
    """Store, gate and Gateways of one target. Use it as an async context manager.

    Raises:
        Unavailable: on entering, when the store or a Gateway does not start.
        UsageFault: when the target lacks a file, or has an address that is neither loopback nor in ``allow``.

    """

    def __init__(self, target: Target, folder: Path | None = None, allow: Collection[str] = frozenset()) -> None:
        """Start nothing yet; ``folder`` is what the target's paths are relative to (default: where its file stands).

        ``allow`` are hosts other than this machine that a target may name.
        """
        self.folder = folder or target.folder or Path.cwd()
        faults = [*strangers(target, allow), *target.misses(self.folder)]
        if faults:
            raise UsageFault(faults)
        self.target = target
        self.gate = Gate()
        self.stores: dict[str, TargetStore] = {
            name: PROTOCOLS[name].of_target(target, self.folder, self.gate, allow) for name in target.stores.used
        }
        self.state = State(target, self.stores)
        self.replicas: dict[int, Replica] = {}
        self._sink: Sink | None = None
        self.given: dict[str, str] = {}  # what requests may hold that is known once the stores are there
        self._ends = Ends(self.gate.signal.notify)
        self._allow = allow
        self._others: list[Deployment] = []
        self._opening = asyncio.Lock()
        self.seconds = 0.0  # that it took to start
        self.apart = 0.0  # that restarts and starts of others beside it took
        self.left_out = ""
        self.hung = False  # whether a Gateway was seen to answer nothing any more

    async def __aenter__(self) -> Self:
        """Start everything."""
        begun = time.monotonic()
        try:
            await self._open_stores()
            for number in range(1, self.target.replicas + 1):
                await self._start_replica(number)
            await self._remember()
            self._watch_ends()
        except BaseException:
            await self.__aexit__()
            self.gate.check()
            raise
        self.seconds = time.monotonic() - begun
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything that was started here."""
        await asyncio.gather(*(deployment.__aexit__() for deployment in self._others))
        self._ends.close()
        try:
            await self._end_replicas()
        finally:  # also when it is interrupted again
            for store in self.stores.values():
                await store.close()
        if self._sink is not None:
            await self._sink.close()

    async def restart(self) -> None:
        """End the Gateways and start them again, as new processes at the same stores.

        Raises:
            Unavailable: when one does not start.

        """
        begun = time.monotonic()
        try:
            self._ends.close()
            self._ends, self.hung = Ends(self.gate.signal.notify), False
            self.gate.let_go()
            await self._end_replicas()
            for store in self.stores.values():
                await store.empty()
            self.gate.check()
            for number in range(1, self.target.replicas + 1):
                await self._start_replica(number)
            await self._remember()
            self._watch_ends()
        finally:
            self.apart += time.monotonic() - begun

    async def beside(self, most: int) -> Sequence[Deployment]:
        """Give this deployment and others of the same target, at most so many together, started when first wanted.

        One that does not start is left out: then ``left_out`` says why, and no more are started.
        """
        async with self._opening:
            if most > 1 and not self.single and not self.left_out:
                most = min(most, _ALL_BYTES // max(self._bytes, 1))
                new = [Deployment(self.target, self.folder, self._allow) for _ in range(most - 1 - len(self._others))]
                begun = time.monotonic()
                for deployment, failed in zip(
                    new, await each(deployment.__aenter__() for deployment in new), strict=True
                ):
                    if failed is None:
                        self._others.append(deployment)
                    else:
                        self.left_out = str(failed)
                self.apart += time.monotonic() - begun
        return [self, *self._others][:most]

    @cached_property
    def digest(self) -> str:
        """What tells its Gateway from another; asked for late, as that reads its files."""
        return identity(self.target, self.folder)

    @property
    def restarts(self) -> bool:
        """Whether its Gateways were started here, and so can be started again."""
        return self.target.url is None

    @property
    def single(self) -> str:
        """Say why no other deployment of the target is started beside this one; empty where others may be."""
        start, stores = self.target.start, self.target.stores
        if self.target.url is not None:
            return "its Gateway was not started here"
        if not all(store.embedded for store in self.stores.values()):
            return "its store was not started here"
        if stores.listens or (start is not None and "{port}" not in start.model_dump_json()):
            return "it needs fixed ports"
        if self.seconds > _START_SECONDS and self.target.protocol is None:  # a bundled one waited for the fork server
            return f"it takes {self.seconds:.1f} s to start"
        return f"it takes {self._bytes >> 20} MB" if self._bytes > _MOST_BYTES else ""

    @property
    def _bytes(self) -> int:
        """How much memory its processes hold."""
        return sum(resident(pid) for child in self._children for pid in descendants(child.pid))

    @property
    def _children(self) -> list[Child]:
        """The processes that were started here and must live."""
        own = [one for store in self.stores.values() for one in store.processes]
        return [*own, *(one.process for one in self.replicas.values() if one.process is not None)]

    def report(self) -> list[str]:
        """Give what the user of a lent store should know, once."""
        found: dict[str, None] = {}
        for store in self.stores.values():
            found |= dict.fromkeys(store.notes)
            store.notes.clear()
        return list(found)

    @property
    def ports(self) -> set[int]:
        """Where the gate listens, and the Gateways themselves."""
        own = {urlsplit(replica.url).port or 0 for replica in self.replicas.values()}
        return own.union(*(store.ports for store in self.stores.values()))

    @property
    def hurt(self) -> bool:
        """Whether a process that was started here is known to have ended, or to hang; costs nothing to ask."""
        return self._ends.any or self.hung

    @property
    def hurt_by_now(self) -> bool:
        """The same, also where the event loop will know it only a moment later; asks the kernel once."""
        return self._ends.by_now()

    @property
    def death(self) -> str:
        """Say whether the store that was started here or a Gateway has ended and how, or nothing while all live."""
        lost = [f"store lost: {store.death}" for store in self.stores.values() if store.death]
        found = [*lost, *(replica.death for replica in self.replicas.values())]
        return next((death for death in found if death), "")

    async def died(self) -> str:
        """Say how a process ended that was seen to close a connection, which shows a moment later; nothing if none."""
        until = time.perf_counter() + _DEATH_SECONDS
        while time.perf_counter() < until:
            if death := self.death:
                return death
            await asyncio.sleep(_GLANCE_SECONDS)
        return ""

    @property
    def broken(self) -> bool:
        """Whether a Gateway or the store that was started here has ended."""
        return bool(self.death)

    async def let(self, frame: Frame, naming: Callable[[str], str], seconds: float) -> bool:
        """Let a frame through and wait for its reply, at most so long; note what it accesses on the way."""
        return await self.of(frame).release(frame, naming, seconds)

    def of(self, frame: Frame) -> TargetStore:
        """Give the store that a frame is on its way to, or from."""
        return self.stores[frame.channel.protocol]

    async def _open_stores(self) -> None:
        for store in self.stores.values():
            await store.open()
            self.given.update(store.given)
        if self.target.start is not None and "{sink_url}" in self.target.start.model_dump_json():
            self._sink = Sink()
            await self._sink.open()

    async def _start_replica(self, number: int) -> None:
        addresses = {**self.given, **({"sink_url": self._sink.url} if self._sink is not None else {})}
        for store in self.stores.values():
            addresses |= await store.serve(number)
        try:
            self.replicas[number] = await launch(self.target, self.folder, number, addresses)
        except Unavailable as error:
            raise encrypted(self.gate.heard) or error from None

    async def _end_replicas(self) -> None:
        # Each may take a while to drain: meanwhile the others end, and the next target runs.
        try:
            await asyncio.gather(*(asyncio.to_thread(replica.close) for replica in self.replicas.values()))
        finally:
            for store in self.stores.values():
                await store.end_proxies()

    async def _remember(self) -> None:
        for store in self.stores.values():
            await store.remember()

    def _watch_ends(self) -> None:
        for child in self._children:
            self._ends.watch(child)


async def each(starts: Iterable[Awaitable[object]]) -> list[Unavailable | None]:
    """Wait for several starts; give why each failed, or None.

    Raises:
        BaseException: whatever else one of them raised.

    """
    done = await asyncio.gather(*starts, return_exceptions=True)
    for one in done:
        if isinstance(one, BaseException) and not isinstance(one, Unavailable):
            raise one
    return [one if isinstance(one, Unavailable) else None for one in done]
