"""Targets made ready for a run: the pairs of one target share its processes, and the next target starts meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from stress.core.errors import Unavailable, UsageFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from stress.executors.live.deployment import Site


class Shared:
    """One target: started when first asked for, again after it has died, and not at all once it could not be.

    Use it as an async context manager, which ends what was started. ``notes`` are what its user should know after that.
    """

    def __init__(self, make: Callable[[], Site], turns: asyncio.Semaphore | None = None) -> None:
        """Take how a site of the target is made; ``turns`` are what targets that start at the same time share."""
        self._make, self._turns = make, turns or asyncio.Semaphore()
        self._site: Site | None = None
        self._starting: asyncio.Task[Site] | None = None
        self._failed: Unavailable | None = None
        self.notes: list[str] = []

    def begin(self) -> None:
        """Start it now, while others run, unless that was done."""
        if self._starting is None and self._site is None and self._failed is None:
            self._starting = asyncio.create_task(self._start())

    async def site(self) -> Site:
        """Give the target, ready.

        Raises:
            Unavailable: when its store or a Gateway does not start.

        """
        if self._failed is not None:
            raise self._failed
        if self._site is not None and self._site.broken:
            await self._site.__aexit__()
            self._site = None
        if self._site is None:
            starting, self._starting = self._starting, None
            try:
                self._site = await (starting or self._start())
            except Unavailable as error:
                self._failed = error
                raise
        return self._site

    async def _start(self) -> Site:
        async with self._turns:
            return await self._make().__aenter__()

    async def __aenter__(self) -> Self:
        """Nothing to do yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it, also where it is only starting; what was ended before is not ended again."""
        starting, self._starting = self._starting, None
        if starting is not None:
            starting.cancel()
            with suppress(asyncio.CancelledError, Unavailable, UsageFault):
                self._site = await starting
        site, self._site = self._site, None
        if site is not None:
            await site.__aexit__()
            self.notes += site.report()
