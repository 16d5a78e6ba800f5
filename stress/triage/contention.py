"""Processes that keep all cores busy while a test runs, and are stopped while it runs plain."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Self

from stress.stores.process import spawn

_SPIN = [sys.executable, "-I", "-S", "-c", "while True: pass"]


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
                self._spinning.append(spawn(_SPIN, log=subprocess.DEVNULL))
            self.rest()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End them."""
        self._end()

    def go(self) -> None:
        """Let them run."""
        self._signal(signal.SIGCONT)

    def rest(self) -> None:
        """Stop them."""
        self._signal(signal.SIGSTOP)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._spinning:
            process.send_signal(number)

    def _end(self) -> None:
        for process in self._spinning:
            process.kill()
            process.wait()
        self._spinning.clear()
