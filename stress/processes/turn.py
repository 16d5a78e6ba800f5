"""Taking turns with other processes of this machine at something that all of them use."""

from __future__ import annotations

import asyncio
import socket
import sys
import time

_LOOK_SECONDS = 0.002


class Turn:
    """One turn at a time for each name. The kernel ends it with the process, and nothing is left on disk.

    Who waits next holds a doorway, which who had its turn must pass before the next one, so that all come to theirs.
    Where there are no abstract sockets (other systems than Linux) nobody waits.
    """

    def __init__(self, name: str) -> None:
        """Wait for nothing yet."""
        self._name = name
        self._held: socket.socket | None = None

    async def take(self, seconds: float) -> bool:
        """Wait for our turn, at most so long; tell whether it is ours."""
        if self._held is not None or sys.platform != "linux":
            return True
        until = time.monotonic() + seconds
        doorway = await self._bind("next", until)
        if doorway is None:
            return False
        with doorway:
            self._held = await self._bind("now", until)
        return self._held is not None

    def give(self) -> None:
        """Let others have it."""
        if self._held is not None:
            self._held.close()
            self._held = None

    async def _bind(self, place: str, until: float) -> socket.socket | None:
        held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        while True:
            try:
                held.bind(f"\0gateway-stress/{self._name}/{place}")
            except OSError:
                if time.monotonic() > until:
                    held.close()
                    return None
                try:
                    await asyncio.sleep(_LOOK_SECONDS)
                except BaseException:
                    held.close()
                    raise
            else:
                return held
