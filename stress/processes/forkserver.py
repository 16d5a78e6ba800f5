"""Bundled Gateways forked off the standard library's fork server, which has imported all they need.

The server ends with this process, and what it has forked ends with it.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import select
import signal
import struct
import subprocess
import tempfile
from contextlib import suppress
from importlib import import_module
from multiprocessing import forkserver, resource_tracker
from typing import TYPE_CHECKING, NamedTuple

from stress.core.errors import Unavailable
from stress.processes.child import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stress.processes.child import Child

_NUMBER = struct.Struct("q")
"""How `multiprocessing.forkserver` writes a number."""

_LONGEST = 107 - len("/pymp-12345678/listener-12345678")
"""How long the name of the folder may be that `multiprocessing` makes the socket's folder in, in bytes."""
_GATEWAY = "stress.gateways.__main__"
forkserver.set_forkserver_preload([_GATEWAY, __name__])


def begin() -> None:
    """Start the server, unless it is there; it imports while we go on.

    Raises:
        OSError: when it can't be started.
        Unavailable: when the folder for temporary files has too long a name for its socket (unix(7): 107 bytes).

    """
    resource_tracker.ensure_running()
    try:
        forkserver.ensure_running()
    except OSError as error:
        folder = tempfile.gettempdir()
        if len(os.fsencode(folder)) <= _LONGEST:
            raise
        message = f"the folder for temporary files has too long a name for a socket: {folder}"
        raise Unavailable(message, f"let TMPDIR name one of at most {_LONGEST} bytes") from error


async def gateway(words: Sequence[str], log: int) -> Child:
    """Start a bundled Gateway by the words that follow `stress-gateway gateway`; both outputs go to ``log``.

    Raises:
        OSError: when it can't be started.

    """
    return await asyncio.to_thread(Forked, words, dict(os.environ), log)


class Forked:
    """A Gateway in a session of its own: a `stress.processes.child.Child`."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str], log: int) -> None:
        """Fork it; raises OSError where that fails, and Unavailable as `begin` does."""
        begin()
        self.returncode: int | None = None
        # Nothing but `Start` is pickled: a process of `multiprocessing` would import what started this one as well.
        self._status, data = forkserver.connect_to_new_process([log])
        self._file: int | None = None
        self._alive = os.dup(data)  # at its end when this process is gone
        with open(data, "wb") as pipe:  # noqa: PTH123 - a descriptor
            pipe.write(pickle.dumps({}) + pickle.dumps(Start(_GATEWAY, list(words), dict(env))))
        try:
            self.pid = self._read()
        except EOFError:  # the server has ended meanwhile
            self._close()
            raise ConnectionError("the fork server is gone") from None
        with suppress(ProcessLookupError):  # it has ended already
            self._file = os.pidfd_open(self.pid)

    def poll(self) -> int | None:
        """Give its exit code, or None while it lives."""
        if self.returncode is None and self._ended(0.0):
            try:
                self.returncode = self._read()  # the server says how, a moment later
            except EOFError:
                self.returncode = -signal.SIGKILL  # as it does when its server ends
            self._close()
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

    def _read(self) -> int:
        """Read one of the two numbers that the server sends: the process id, then the exit code."""
        data = b""
        while len(data) < _NUMBER.size:
            more = os.read(self._status, _NUMBER.size - len(data))
            if not more:
                raise EOFError
            data += more
        number: int = _NUMBER.unpack(data)[0]
        return number

    def _close(self) -> None:
        for file in (self._status, self._alive, self._file):
            if file is not None:
                os.close(file)

    def _send(self, number: signal.Signals) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Start(NamedTuple):
    """What is run: ``main`` of a module, which takes words and gives an exit code, in an environment."""

    module: str
    words: Sequence[str]
    env: Mapping[str, str]

    def _bootstrap(self, harness: int) -> int:
        """Run it in a session of its own, and give its exit code: what the fork server asks of what it is sent.

        ``harness`` is a pipe that is at its end when the harness is gone. Outputs go to the file that came along.
        """
        # The server lives for as long as any of its children has this open, and they are to end with it.
        os.close(forkserver._forkserver._forkserver_alive_fd)  # type: ignore[attr-defined]  # noqa: SLF001
        die_with_parent()
        if select.select([harness], [], [], 0.0)[0]:  # it ended, and the server with it, before the kernel knew
            return 1
        os.setsid()
        (log,) = forkserver.get_inherited_fds() or [2]
        for output in (1, 2):
            os.dup2(log, output)
        os.close(log)
        os.environ.clear()
        os.environ.update(self.env)
        try:
            code: int = import_module(self.module).main(self.words)
        except SystemExit as end:  # argparse ends so
            return end.code if isinstance(end.code, int) else 0
        return code
