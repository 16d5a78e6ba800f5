"""Several starts side by side, each with a store and a gate of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from stress.core.errors import Unavailable
from stress.core.registry import PROTOCOLS
from stress.engine.wrap.start import Ended, Known, Start, free
from stress.processes.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.engine.wrap.choosers import Chooser
    from stress.engine.wrap.command import Command
    from stress.protocols.wrapped import GatedStore, Wanted


class Pool:
    """Stores of one kind. What is started waits until one of them is free.

    ``width`` is how many starts run at once at most. ``redirects`` are variables of a user's own with placeholders.
    """

    def __init__(self, kind: str, wanted: Wanted, width: int, redirects: Sequence[tuple[str, str]] = ()) -> None:
        """Take the kind of store; nothing is started yet."""
        self._stores: list[GatedStore] = []
        self._kind, self._wanted = kind, wanted
        self._wished, self._redirects = width, redirects
        self._free: asyncio.Queue[GatedStore] = asyncio.Queue()
        self._places = asyncio.Semaphore(1)
        self._sinks: list[Sink] = []
        self.width = 1

    async def __aenter__(self) -> Self:
        """Start the stores: one where it is not started here.

        Raises:
            Unavailable: when one is not there.
            NoStore: when the environment does not name one that may be used.

        """
        try:
            await self._sink()
            for _ in range(self._wished):
                store: GatedStore = PROTOCOLS[self._kind].wrapped(self._wanted)
                self._stores.append(store)
                await store.open()
                self._free.put_nowait(store)
                if store.shared:
                    break
        except BaseException:
            await self.__aexit__()
            raise
        self.set_width(len(self._stores))
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything that was started here."""
        await asyncio.gather(*(store.close() for store in self._stores), *(sink.close() for sink in self._sinks))

    async def _sink(self) -> None:
        """Answer what commands need beside their store, on one port for all of them."""
        for port in self._wanted.sinks:
            sink = Sink()
            try:
                await sink.open(port)
            except OSError:
                message = f"another process listens on port {port}, which --sink names"
                raise Unavailable(message, "end it, or leave --sink out if it is what the command needs") from None
            self._sinks.append(sink)

    @property
    def shared(self) -> bool:
        """Whether the store was not started here."""
        return any(store.shared for store in self._stores)

    @property
    def notes(self) -> list[str]:
        """What users should know of their store, each once."""
        return list(dict.fromkeys(note for store in self._stores for note in store.notes))

    def set_width(self, width: int) -> None:
        """Run so many at once from now on, while nothing runs."""
        self.width = width
        self._places = asyncio.Semaphore(width)

    async def free(self, command: Command, limit: float) -> Ended:
        """Start a command with the gate open."""
        async with self._places:
            store = await self._free.get()
            try:
                return await free(store, self._led(command, store), limit)
            finally:
                self._free.put_nowait(store)

    async def start(
        self,
        command: Command,
        chooser: Chooser,
        known: Known,
        limit: float,
        *,
        record: bool = False,
    ) -> Ended:
        """Start a command with the gate closed."""
        async with self._places:
            store = await self._free.get()
            try:
                start = Start(store, chooser, known, record=record)
                return await start.run(self._led(command, store), limit)
            finally:
                self._free.put_nowait(store)

    def _led(self, command: Command, store: GatedStore) -> Command:
        """Lead the clients of a command to the gate of a store."""
        places = store.places()
        own = {name: _filled(value, places) for name, value in self._redirects}
        return command.with_variables({**store.variables(), **own})


def _filled(text: str, places: dict[str, str]) -> str:
    for name, value in places.items():
        text = text.replace(f"{{{name}}}", value)
    return text
