"""Processes that keep all cores busy while a test runs, and are stopped while it runs plain."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Self

from stress.processes.child import spawn

_SPIN = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)\nwhile True: pass"
"""Stops itself when it is ready to spin."""


class Contention:
    """One busy process more than there are cores, so that each core has at least one. Use it as a context manager."""

    def __init__(self, many: int | None = None) -> None:
        """Start nothing yet; ``many`` is how many (default: one more than this process may use cores)."""
        self.many = many or len(os.sched_getaffinity(0)) + 1
        self._spinning: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        """Start them, stopped."""
        try:
            for _ in range(self.many):
                self._spinning.append(spawn([sys.executable, "-I", "-S", "-c", _SPIN], log=subprocess.DEVNULL))
            self._stopped()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End them."""
        self._end()

    def go(self) -> None:
        """Let them spin."""
        for process in self._spinning:
            process.send_signal(signal.SIGCONT)

    def rest(self) -> None:
        """Stop them, and wait until they have: one that waits for a core does not stop at once."""
        for process in self._spinning:
            process.send_signal(signal.SIGSTOP)
        self._stopped()

    def _stopped(self) -> None:
        for process in self._spinning:
            with suppress(ChildProcessError):  # somebody has ended it, and that was seen
                os.waitpid(process.pid, os.WUNTRACED)

    def _end(self) -> None:
        for process in self._spinning:
            process.kill()
            process.wait()
        self._spinning.clear()
