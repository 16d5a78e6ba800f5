"""One target made ready: its store, the gate, its Gateways. Started once, for as many scenarios as there are."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Self

from redis.exceptions import ResponseError

from stress.errors import Unavailable, UsageFault
from stress.gate.gate import Gate
from stress.gate.redis import RedisProxy
from stress.stores.keys import KeyFinder
from stress.stores.process import Ends
from stress.stores.scripts import ScriptWatch
from stress.target import OWN_CONNECTION
from stress.worlds.identity import identity
from stress.worlds.launch import launch, strangers
from stress.worlds.store import Store

if TYPE_CHECKING:
    from collections.abc import Collection

    from stress.target import Target
    from stress.worlds.replicas import Replica


class Site:
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
        self.digest = identity(target, self.folder)
        self.gate = Gate()
        self.store = Store(target.stores.redis)
        self.replicas: dict[int, Replica] = {}
        self._proxies: list[RedisProxy] = []
        self._ends = Ends(self.gate.signal.notify)

    async def __aenter__(self) -> Self:
        """Start everything."""
        try:
            await self.store.open()
            own = self.store.valkey is not None
            watch = ScriptWatch(self.store.address, self._ask) if own else None
            self.keys = KeyFinder(self._ask, ResponseError, watch)
            for number in range(1, self.target.replicas + 1):
                await self._start_replica(number)
            children = (self.store.valkey, *self.replicas.values())
            for process in [child.process for child in children if child is not None and child.process is not None]:
                self._ends.watch(process)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything that was started here."""
        self._ends.close()
        # Each may take a while to drain: meanwhile the others end, and the next target runs.
        await asyncio.gather(*(asyncio.to_thread(replica.close) for replica in self.replicas.values()))
        for proxy in self._proxies:
            await proxy.close()
        await self.store.close()

    @property
    def hurt(self) -> bool:
        """Whether the event loop knows that a process that was started here has ended; costs nothing to ask."""
        return self._ends.any

    @property
    def death(self) -> str:
        """Say whether the store that was started here or a Gateway has ended and how, or nothing while all live."""
        lost = f"store lost: {self.store.death}" if self.store.death else ""
        told = (lost, *(replica.death for replica in self.replicas.values()))
        return next((death for death in told if death), "")

    @property
    def broken(self) -> bool:
        """Whether a Gateway or the store that was started here has ended."""
        return bool(self.death)

    async def _start_replica(self, number: int) -> None:
        rules = (*OWN_CONNECTION, *self.target.background.redis)
        proxy = RedisProxy(self.gate, number, self.store.address, rules, self._ask)
        self._proxies.append(proxy)
        wanted = self.target.stores.redis.listen
        try:
            port = await proxy.start(0 if wanted is None else wanted + number - 1)
        except OSError:
            message = f"another process listens on port {(wanted or 0) + number - 1}, where the gate must"
            raise Unavailable(message, "end it, or change stores.redis.listen") from None
        self.replicas[number] = await launch(self.target, self.folder, number, (port, self.store.url(port)))

    async def _ask(self, *command: str) -> object:
        return _text((await self.store.ask([command]))[0])


def _text(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return [_text(item) for item in value] if isinstance(value, list | tuple | set) else value
