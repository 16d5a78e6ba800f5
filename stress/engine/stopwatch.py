"""What a search has spent of its seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stress.engine.running import Executor


class Stopwatch:
    """Counts wall time in seconds, but not what processes took that were started or ended meanwhile."""

    def __init__(self, executor: Executor, before: float = 0.0) -> None:
        """Begin now, with so many seconds spent ``before``."""
        self._executor, self._begun = executor, time.monotonic() - before - executor.apart

    @property
    def seconds(self) -> float:
        """How many were spent."""
        return time.monotonic() - self._begun - self._executor.apart
