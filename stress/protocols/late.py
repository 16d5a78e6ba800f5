"""What passes an open gate in a burst: some of it a moment late, together with what comes after it, as networks do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Delaying(Protocol):
    """Who says how late replies are."""

    def delay(self) -> float:
        """Give for how many seconds the next reply is kept back."""


class Late:
    """Bytes for one side, in their order; ``waiting`` tells that some are kept back."""

    def __init__(self) -> None:
        """Begin with nothing kept back."""
        self._kept: list[bytes] = []

    @property
    def waiting(self) -> bool:
        """Whether bytes are kept back."""
        return bool(self._kept)

    def write(self, side: asyncio.Transport, parts: Sequence[bytes], passing: Delaying | None) -> None:
        """Write bytes: at once, but in a burst some a moment later, and with them what comes meanwhile."""
        if passing is None and not self._kept:
            side.write(parts[0] if len(parts) == 1 else b"".join(parts))
            return
        for data in parts:
            if self._kept:
                self._kept.append(data)
            elif passing is not None and (seconds := passing.delay()):
                self._kept.append(data)
                asyncio.get_running_loop().call_later(seconds, self._flush, side)
            else:
                side.write(data)

    def _flush(self, side: asyncio.Transport) -> None:
        kept, self._kept = self._kept, []
        if not side.is_closing():
            side.write(b"".join(kept))
