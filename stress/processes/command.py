"""One run of a user's own command: how it ended, how long it took, what it said last; nothing of it is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, NamedTuple

from stress.processes.child import spawn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

_TAIL_BYTES = 4000


class Ran(NamedTuple):
    """How a run ended.

    ``code`` is its exit code, less than 0: that of the signal that killed it, None: its time ran out. ``seconds`` and
    ``cpu`` are what it took by the clock and of processors, in seconds; ``last`` is the last line that it printed.
    """

    code: int | None
    seconds: float
    cpu: float
    last: str

    @property
    def passed(self) -> bool:
        """Whether it exited 0."""
        return self.code == 0

    @property
    def ending(self) -> str:
        """Say how it ended, and what it said last."""
        if self.code is None:
            how = f"ran out of time after {self.seconds:.0f} s"
        else:
            how = f"exit code {self.code}" if self.code >= 0 else f"killed by signal {-self.code}"
        return f"{how}: {self.last}" if self.last else how


@contextmanager
def beside(command: Sequence[str], folder: Path | None = None) -> Iterator[tuple[subprocess.Popen[bytes], BinaryIO]]:
    """Run a command beside what is done meanwhile; give its process and the file of its output.

    It has a process group of its own, which is ended with it: what a run leaves must not disturb the next one.

    Raises:
        OSError: when it can't be started.

    """
    with TemporaryFile() as output:
        process = spawn(command, folder=folder, log=output.fileno())
        try:
            yield process, output
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def once(command: Sequence[str], folder: Path | None = None, within: float | None = None) -> Ran:
    """Run a command to its end, at most ``within`` seconds.

    Raises:
        OSError: when it can't be started.

    """
    used = _processors()
    begun = time.perf_counter()
    with beside(command, folder) as (process, output):
        code: int | None = None
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(within)
        seconds = time.perf_counter() - begun
        last = _last(output)
    return Ran(code, seconds, _processors() - used, last)


def _processors() -> float:
    spent = getrusage(RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _last(output: BinaryIO) -> str:
    end = output.seek(0, os.SEEK_END)
    output.seek(max(0, end - _TAIL_BYTES))
    lines = output.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
