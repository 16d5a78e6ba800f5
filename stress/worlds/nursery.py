"""Bundled Gateways forked off a helper process that has imported all they need: ready in milliseconds.

One helper, the nursery (`stress.gateways.nursery`), serves all of this process. It ends with it, and what it has forked
ends with the nursery. What has ended stays in the process table until it is asked about, as the child of any parent
does: its id means no other process meanwhile.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from stress.stores.process import spawn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stress.stores.process import Child

_COMMAND = (sys.executable, "-m", "stress.gateways.nursery")
WARM_SECONDS = 30.0
"""How long its imports may take."""

_ANSWER_SECONDS = 10.0
_LOOK_SECONDS = 0.005


class Lost(Exception):
    """The nursery does not answer."""


class Nursery:
    """The helper process. It may be asked by several threads, one after another.

    Raises:
        OSError: at construction, when it can't be started.

    """

    def __init__(self, command: Sequence[str] = _COMMAND) -> None:
        """Start it; it imports while we go on."""
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._warm = False
        self._link, its = socket.socketpair()
        self._link.settimeout(_ANSWER_SECONDS)
        try:
            with its:
                self.process = spawn(command, log=subprocess.DEVNULL, stdin=its.fileno())
        except OSError:
            self._link.close()
            raise
        self._answers = self._link.makefile("rb")

    @property
    def usable(self) -> bool:
        """Whether it may still fork for this process: not one that another has started before it forked us."""
        return self._owner == os.getpid() and self.process.poll() is None

    async def warm(self) -> None:
        """Wait until it has imported everything.

        Raises:
            Lost: when it ends first, or takes longer.

        """
        deadline = time.monotonic() + WARM_SECONDS
        while not self._warm and self.usable and not _readable(self._link.fileno()):
            if time.monotonic() > deadline:
                self.close()
                raise Lost
            await asyncio.sleep(_LOOK_SECONDS)
        with self._lock:
            if not self._warm:
                self._answer()
                self._warm = True

    def fork(self, words: Sequence[str], env: Mapping[str, str], log: int) -> Forked:
        """Start a Gateway by the words that follow `stress-gateway gateway`; both outputs go to ``log``.

        Raises:
            Lost: when the nursery does not answer.
            OSError: when the kernel refuses.

        """
        answer = self._ask({"words": list(words), "env": dict(env)}, [log])
        if "errno" in answer:
            raise OSError(answer["errno"], os.strerror(answer["errno"]))
        try:
            return Forked(self, answer["pid"])
        except OSError:
            os.kill(answer["pid"], signal.SIGKILL)
            self.take(answer["pid"])
            raise

    def take(self, pid: int) -> int:
        """Take up a Gateway that has ended; give its exit code as `subprocess.Popen` does."""
        with suppress(Lost):
            answer = self._ask({"take": pid})
            if "status" in answer:
                return os.waitstatus_to_exitcode(answer["status"])
        return -signal.SIGKILL  # as it does when its nursery ends

    def close(self) -> None:
        """End it and all that it has forked."""
        if self._owner == os.getpid():
            self.process.kill()
            self.process.wait()
        self._answers.close()
        self._link.close()

    def _ask(self, request: dict[str, Any], files: Sequence[int] = ()) -> dict[str, int]:
        line = json.dumps(request).encode() + b"\n"
        with self._lock:
            try:
                sent = socket.send_fds(self._link, [line], list(files))
                self._link.sendall(line[sent:])
            except OSError:
                raise self._lost() from None
            return self._answer()

    def _answer(self) -> dict[str, int]:
        try:
            answer: dict[str, int] = json.loads(self._answers.readline())
        except (OSError, ValueError):
            raise self._lost() from None
        return answer

    def _lost(self) -> Lost:
        """End what no longer answers, and with it what it has forked: nobody could tell any more how they end."""
        self.close()
        return Lost()


class Forked:
    """A Gateway that the nursery has forked: a `stress.stores.process.Child`."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        """Open what tells of its end (pidfd_open(2))."""
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery
        self._file = os.pidfd_open(pid)
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Give its exit code, or None while it lives."""
        with self._lock:
            if self.returncode is None and _readable(self._file):
                self.returncode = self._nursery.take(self.pid)
                os.close(self._file)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end at most so many seconds; raises `subprocess.TimeoutExpired`."""
        with self._lock:
            file = None if self.returncode is not None else os.dup(self._file)
        if file is not None:
            try:
                _readable(file, timeout)
            finally:
                os.close(file)
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

    def _send(self, number: signal.Signals) -> None:
        with self._lock:
            if self.returncode is None:
                signal.pidfd_send_signal(self._file, number)


_ours: Nursery | None = None


def begin() -> Nursery | None:
    """Start the nursery of this process unless it is there; it imports while we go on.

    None where there is none: it can't be started, or this is not the main thread, with whose end, not with that of
    the process, a child of it would be killed (PR_SET_PDEATHSIG in prctl(2)).
    """
    global _ours  # noqa: PLW0603 - one a process
    if _ours is not None and _ours.usable:
        return _ours
    if _ours is not None:
        _discard(_ours)
        _ours = None
    if threading.current_thread() is threading.main_thread():
        with suppress(OSError):
            _ours = Nursery()
            atexit.register(_ours.close)
    return _ours


def _discard(nursery: Nursery) -> None:
    atexit.unregister(nursery.close)
    nursery.close()


async def gateway(words: Sequence[str], log: int) -> Child:
    """Start a bundled Gateway by the words that follow `stress-gateway gateway`; both outputs go to ``log``.

    Raises:
        OSError: when it can't be started, neither off the nursery nor by its own command.

    """
    nursery = begin()
    if nursery is not None:
        with suppress(Lost):
            await nursery.warm()
            return nursery.fork(words, os.environ, log)
    return spawn([sys.executable, "-m", "stress.gateways", *words], log=log)


def _readable(file: int, seconds: float | None = 0.0) -> bool:
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(None if seconds is None else seconds * 1000))
