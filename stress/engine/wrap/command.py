"""The command that is wrapped: a process tree with an environment of its own, whose output is kept."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, NamedTuple

from stress.core.errors import Unavailable
from stress.processes.child import Ends, spawn
from stress.processes.quiescence import ProcessWatch, descendants

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from stress.processes.quiescence import Sleep

_TAIL_BYTES = 20_000


class Command(NamedTuple):
    """What is run: its words, in which folder, with which environment."""

    words: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]

    def with_variables(self, changes: Mapping[str, str]) -> Command:
        """Give the same in another environment."""
        return self._replace(environment={**self.environment, **changes})


class Running:
    """A command that was started. Moments are of `time.perf_counter`.

    Raises:
        Unavailable: at construction, when it can't be started.

    """

    def __init__(self, command: Command, notify: Callable[[], None]) -> None:
        """Start it; ``notify`` is called when it ends."""
        self._output = TemporaryFile()  # noqa: SIM115 - closed with the process
        self.begun = time.perf_counter()
        try:
            self._process = spawn(
                command.words, folder=command.folder, env=command.environment, log=self._output.fileno()
            )
        except OSError as error:
            self._output.close()
            message = f"{error.filename or command.words[0]} can't be run: {error.strerror}"
            raise Unavailable(message, "correct the command behind --") from None
        self._ends = Ends(notify)
        self._ends.watch(self._process)
        self._watch: ProcessWatch | None = None

    @property
    def code(self) -> int | None:
        """Its exit code, less than 0: that of the signal that killed it; None while it runs."""
        return self._process.poll()

    def sleep(self) -> Sleep | None:
        """Prove that the whole tree sleeps now, or give None; also where it can't be seen or has ended."""
        try:
            if self._watch is None:
                self._watch = ProcessWatch(self._process.pid)
            return self._watch.sleeping()
        except OSError:
            return None

    def end(self) -> str:
        """End what is left of it; give the end of what it printed."""
        with suppress(OSError):
            left = descendants(self._process.pid)[1:]
            os.killpg(self._process.pid, signal.SIGKILL)
            for pid in left:
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._ends.close()
        if self._watch is not None:
            self._watch.close()
        size = self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, size - _TAIL_BYTES))
        said = self._output.read().decode("utf-8", "replace")
        self._output.close()
        return said
