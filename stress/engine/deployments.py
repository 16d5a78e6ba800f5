"""Targets made ready for a run: the cases of one target share its processes, and the next target starts meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from stress.core.errors import Unavailable, UsageFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from stress.executors.live.deployment import Deployment


class Shared:
    """One target: started when first asked for, again after it has died, and not at all once it could not be.

    Use it as an async context manager, which ends what was started. ``notes`` are what its user should know after that.
    """

    def __init__(self, make: Callable[[], Deployment], turns: asyncio.Semaphore | None = None) -> None:
        """Take how a deployment of the target is made; ``turns`` are what targets that start at the same time share."""
        self._make, self._turns = make, turns or asyncio.Semaphore()
        self._deployment: Deployment | None = None
        self._starting: asyncio.Task[Deployment] | None = None
        self._failed: Unavailable | None = None
        self.notes: list[str] = []

    def begin(self) -> None:
        """Start it now, while others run, unless that was done."""
        if self._starting is None and self._deployment is None and self._failed is None:
            self._starting = asyncio.create_task(self._start())

    async def deployment(self) -> Deployment:
        """Give the target, ready.

        Raises:
            Unavailable: when its store or a Gateway does not start.

        """
        if self._failed is not None:
            raise self._failed
        if self._deployment is not None and self._deployment.broken:
            await self._deployment.__aexit__()
            self._deployment = None
        if self._deployment is None:
            starting, self._starting = self._starting, None
            try:
                self._deployment = await (starting or self._start())
            except Unavailable as error:
                self._failed = error
                raise
        return self._deployment

    async def _start(self) -> Deployment:
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
                self._deployment = await starting
        deployment, self._deployment = self._deployment, None
        if deployment is not None:
            await deployment.__aexit__()
            self.notes += deployment.report()
