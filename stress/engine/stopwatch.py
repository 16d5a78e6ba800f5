"""What a search has spent of its seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stress.engine.running import World


class Stopwatch:
    """Counts wall time in seconds, but not what processes took that were started or ended meanwhile."""

    def __init__(self, world: World, before: float = 0.0) -> None:
        """Begin now, with so many seconds spent ``before``."""
        self._world, self._begun = world, time.monotonic() - before - world.apart

    @property
    def seconds(self) -> float:
        """How many were spent."""
        return time.monotonic() - self._begun - self._world.apart
