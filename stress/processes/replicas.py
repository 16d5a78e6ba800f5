"""Gateway processes: started as the target says, checked to be the ones that listen, and ended."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from stress.core.errors import Unavailable
from stress.processes.child import accepts, end, ending, listens, ports, spawn
from stress.processes.quiescence import ProcessWatch, descendants

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from stress.processes.child import Child

_TAIL_BYTES = 2000
_USUAL_PORT = 80


@dataclass
class Replica:
    """One Gateway: its number, address, and, if it is our child, its process and how to see whether it is quiet."""

    number: int
    url: str
    process: Child | None = None
    watch: ProcessWatch | None = None
    log: Path | None = None
    files: Path | None = None
    lost: str = ""

    def check(self) -> None:
        """Look whether a Gateway that was not started here still listens: its process can't be watched."""
        parts = urlsplit(self.url)
        if self.process is None and not accepts(parts.hostname or "", parts.port or _USUAL_PORT):
            self.lost = f"Gateway {self.number} is gone: nobody listens at {self.url}"

    @property
    def death(self) -> str:
        """Say how the process ended or that it hangs, or nothing while it lives."""
        if self.lost:
            return self.lost
        if self.process is None or self.process.poll() is None:
            return ""
        return f"Gateway {self.number} died ({ending(self.process)})"

    def tail(self) -> str:
        """Give the last line that it printed."""
        return next(iter(self.tails(1)), "")

    def tails(self, most: int) -> list[str]:
        """Give the last lines that it printed, at most so many."""
        if self.log is None or not self.log.exists():
            return []
        return self.log.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace").strip().splitlines()[-most:]

    def close(self) -> None:
        """End the process and everything it started."""
        if self.process is not None:
            family = descendants(self.process.pid)
            if self.watch is None:
                end(self.process)
            else:
                end(self.process, sleeps=self.watch.sleeping)
                self.watch.close()
            for pid in family[1:]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if self.log is not None:
            self.log.unlink(missing_ok=True)
        if self.files is not None:
            shutil.rmtree(self.files, ignore_errors=True)


def by_command(command: Sequence[str], env: Mapping[str, str], folder: Path) -> Callable[[int], Awaitable[Child]]:
    """Give how a Gateway is started by a command in a folder, with ``env`` beside our own environment.

    What is given takes the file for both outputs; it raises OSError when the command can't be started.
    """

    async def begin(log: int) -> Child:
        return spawn(command, folder=folder, env={**os.environ, **env}, log=log)

    return begin


async def start(
    number: int, begin: Callable[[int], Awaitable[Child]], *, port: int, ready: tuple[str | None, float]
) -> Replica:
    """Start one replica and wait until it is ready and is the one that listens.

    Raises:
        Unavailable: when it can't be started, dies, is not ready in time, or another process has its port.

    """
    handle, name = tempfile.mkstemp(prefix="gateway-stress-", suffix=".log")
    log = Path(name)
    try:
        process = await begin(handle)
    except BaseException as error:
        log.unlink()  # noqa: ASYNC240 - one small file, before anything runs
        if not isinstance(error, OSError):
            raise
        what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        remedy = "check start.command and start.folder"
        raise Unavailable(f"Gateway {number} does not start: {what}", remedy) from None
    finally:
        os.close(handle)
    replica = Replica(number, f"http://127.0.0.1:{port}", process, None, log)
    try:
        await _ready(replica, port, ready)
        _check_listener(replica, process.pid, port)
        with suppress(OSError):
            replica.watch = ProcessWatch(process.pid)
    except BaseException:
        replica.close()
        raise
    return replica


def _check_listener(replica: Replica, pid: int, port: int) -> None:
    if not listens(pid, port):
        message = f"another process listens on port {port}, not Gateway {replica.number}"
        raise Unavailable(message, "end it, and let the target listen on the port it is given")


def _advice(replica: Replica, port: int) -> str:
    """Say what to do about a Gateway that is not ready in time."""
    elsewhere = ports(replica.process.pid) if replica.process is not None else set()
    if elsewhere and port not in elsewhere:
        return f"it listens on port {min(elsewhere)}: let start.command hand it {{port}}"
    return "check start.ready and its output: " + (replica.tail() or "it printed nothing")


async def _ready(replica: Replica, port: int, ready: tuple[str | None, float]) -> None:
    path, within = ready
    deadline = time.monotonic() + within
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=within)) as session:
        while True:
            if replica.death:
                last = replica.tail()
                raise Unavailable(
                    f"{replica.death} before it was ready" + (f": {last}" if last else ""),
                    "run its command by hand",
                )
            if accepts("127.0.0.1", port):
                if path is None:
                    return
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(f"{replica.url}{path}") as answer:
                        if answer.ok:
                            return
            if time.monotonic() > deadline:
                raise Unavailable(f"Gateway {replica.number} was not ready within {within:g} s", _advice(replica, port))
            await asyncio.sleep(0.01)
