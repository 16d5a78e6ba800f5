"""A probe looks at one thing around a run; all are made at once, and one that hangs holds nobody up."""

from __future__ import annotations

import asyncio
import subprocess
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from stress.core.masking import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LONGEST = 15.0
"""How long a probe may take, in seconds: longer than a resolver asks around, or a command of `requires` may run."""


_RUNS_WITHIN = 10.0
"""How long a program may take to say its version, in seconds."""


class Ill(Exception):
    """What a probe finds wrong, and the fix."""

    def __init__(self, fault: str, fix: str) -> None:
        """Say what is wrong and what to do, each in one line."""
        self.fix = fix
        super().__init__(fault)


class Probe(NamedTuple):
    """One look: the name of what is looked at, and the target that needs it (empty: every run does).

    ``look`` says what it found, or raises `Ill`.
    """

    name: str
    target: str
    look: Callable[[], str]


class Finding(NamedTuple):
    """What a probe came to. ``fix`` is empty where all is ``well``."""

    name: str
    target: str
    well: bool
    reported: str
    fix: str = ""

    @property
    def line(self) -> str:
        """Tell it in one line."""
        whose = f"{self.target}: " if self.target else ""
        return f"{whose}{self.name}: {self.reported}" + (f" ({self.fix})" if self.fix else "")


async def examine(probes: Sequence[Probe], within: float = LONGEST) -> list[Finding]:
    """Make all probes at the same time; give what they found in their order.

    Each has a thread. It is not waited for where it hangs, as a resolver can't be interrupted; of one that is done the
    end is seen, until which the resolver keeps its socket.
    """
    loop = asyncio.get_running_loop()
    found = [loop.create_future() for _ in probes]
    threads = [
        Thread(target=_look, args=(probe, loop, future), daemon=True)
        for probe, future in zip(probes, found, strict=True)
    ]
    for thread in threads:
        thread.start()
    if found:
        await asyncio.wait(found, timeout=within)
    for thread, future in zip(threads, found, strict=True):
        if future.done():
            thread.join()
    return [
        future.result() if future.done() else _hangs(probe, within) for probe, future in zip(probes, found, strict=True)
    ]


def _look(probe: Probe, loop: asyncio.AbstractEventLoop, future: asyncio.Future[Finding]) -> None:
    finding = _finding(probe)
    try:
        loop.call_soon_threadsafe(_tell, future, finding)
    except RuntimeError:  # too late: the loop is closed
        return


def _tell(future: asyncio.Future[Finding], finding: Finding) -> None:
    if not future.done():
        future.set_result(finding)


def _finding(probe: Probe) -> Finding:
    try:
        return Finding(probe.name, probe.target, True, clean(probe.look()))  # noqa: FBT003 - all is well
    except Ill as ill:
        return Finding(probe.name, probe.target, False, clean(str(ill)), clean(ill.fix))  # noqa: FBT003 - a fault
    except Exception as error:  # noqa: BLE001 - a probe that fails in a way of its own has found a fault too
        reported = f"can't be looked at: {str(error) or type(error).__name__}"
        return Finding(probe.name, probe.target, False, clean(reported), "see whether it is there by hand")  # noqa: FBT003


def _hangs(probe: Probe, within: float) -> Finding:
    reported = f"nothing is known of it after {within:g} s"
    return Finding(probe.name, probe.target, False, reported, "see by hand what it waits for")  # noqa: FBT003 - a fault


def version(binary: str, fix: str) -> str:
    """Give the first line that a program says to `--version`.

    Raises:
        Ill: when it can't be run.

    """
    try:
        done = subprocess.run(  # noqa: S603 - a binary that a run would start
            [binary, "--version"], capture_output=True, text=True, check=True, timeout=_RUNS_WITHIN
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Ill(f"{binary} can't be run: {getattr(error, 'strerror', None) or error}", fix) from None
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines else f"{binary} runs"
