"""Bundled Gateways forked off the standard library's fork server, which has imported all they need.

The server ends with this process, and what it has forked ends with it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from multiprocessing import forkserver, reduction, resource_tracker
from typing import TYPE_CHECKING, Any

from stress.stores.process import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stress.stores.process import Child

_CONTEXT = multiprocessing.get_context("forkserver")
# Where `__main__` is not imported beforehand, each Gateway would import it: it is what started this process.
_CONTEXT.set_forkserver_preload(["__main__", "stress.gateways.__main__"])


def begin() -> None:
    """Start the server, unless it is there; it imports while we go on.

    Raises:
        OSError: when it can't be started.

    """
    resource_tracker.ensure_running()
    forkserver.ensure_running()


async def gateway(words: Sequence[str], log: int) -> Child:
    """Start a bundled Gateway by the words that follow `stress-gateway gateway`; both outputs go to ``log``.

    Raises:
        OSError: when it can't be started.

    """
    return await asyncio.to_thread(Forked, words, dict(os.environ), log)


class Forked:
    """A Gateway in a session of its own: a `stress.stores.process.Child`."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str], log: int) -> None:
        """Fork it; raises OSError where that fails."""
        self.returncode: int | None = None
        self._process = _CONTEXT.Process(target=_serve, args=(list(words), dict(env), _File(log)))
        try:
            self._process.start()
        except EOFError:  # the server has ended meanwhile
            raise ConnectionError("the fork server is gone") from None
        assert self._process.pid is not None  # noqa: S101 - it was started
        self.pid = self._process.pid
        self._file: int | None = None
        with suppress(ProcessLookupError):  # it has ended already
            self._file = os.pidfd_open(self.pid)

    def poll(self) -> int | None:
        """Give its exit code, or None while it lives."""
        if self.returncode is None and self._ended(0.0):
            self._process.join()  # the server says how, a moment later
            self.returncode = self._process.exitcode
            self._process.close()
            if self._file is not None:
                os.close(self._file)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end at most so many seconds; raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            self._ended(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(f"Gateway {self.pid}", timeout or 0.0)
        return code

    def terminate(self) -> None:
        """Ask it to end."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._send(signal.SIGKILL)

    def _ended(self, seconds: float | None) -> bool:
        """Wait for its end at most so many seconds (None: for ever); tell whether it came (pidfd_open(2))."""
        if self._file is None:
            return True
        poll = select.poll()
        poll.register(self._file, select.POLLIN)
        return bool(poll.poll(None if seconds is None else seconds * 1000))

    def _send(self, number: signal.Signals) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


class _File:
    """An open file that goes along with a process that is started, as another number there."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __reduce__(self) -> tuple[object, ...]:
        return _detached, (reduction.DupFd(self._number),)


def _detached(file: Any) -> int:  # noqa: ANN401 - what DupFd makes of it has no public type
    number: int = file.detach()
    return number


def _serve(words: Sequence[str], env: Mapping[str, str], log: int) -> None:
    """Be a Gateway until it is told to end: what the fork server runs in the process that it forked."""
    from stress.gateways.__main__ import main  # noqa: PLC0415 - imported by the server, not by the harness

    die_with_parent()
    harness = multiprocessing.parent_process()
    if harness is None or not harness.is_alive():  # it ended, and the server with it, before the kernel knew
        return
    os.setsid()
    for output in (1, 2):
        os.dup2(log, output)
    os.close(log)
    os.environ.clear()
    os.environ.update(env)
    sys.exit(main(words))
