"""Seeing that a process is quiet, on real processes."""

from __future__ import annotations

import subprocess
import sys
import time
from shutil import which

import pytest

from stress.gate.quiet import ProcessWatch, Sleep

PROGRAMS = {
    "python": [sys.executable, "-c", "import asyncio; asyncio.run(asyncio.sleep(50))"],
    "node": ["node", "-e", "setTimeout(() => {}, 50000)"],
    "thread": [sys.executable, "-c", "import time; time.sleep(50)"],
    "shell": ["sh", "-c", "sleep 50; true"],
}


def until_quiet(watch: ProcessWatch) -> Sleep:
    """Look until the process is quiet."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        sleep = watch.quiet()
        if sleep is not None and (sleep.soonest is None or sleep.soonest > 5) and (sleep.soonest or sleep.unknown):
            return sleep
    raise AssertionError("never quiet")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_sleeping_process_is_quiet_and_shows_its_timer(name: str) -> None:
    """An idle process is seen asleep, children included; a timer far away is no reason to wait for it."""
    if which(PROGRAMS[name][0]) is None:
        pytest.skip(f"{name} is not installed")
    process = subprocess.Popen(PROGRAMS[name])
    watch = ProcessWatch(process.pid)
    sleep = until_quiet(watch)
    assert sleep.may_wake_within(1.0, None) is bool(sleep.unknown)
    assert not sleep.may_wake_within(1.0, sleep)
    assert sleep.soonest is None or sleep.may_wake_within(60.0, sleep)
    process.kill()
    process.wait()
    assert watch.quiet() in (None, Sleep(None, frozenset()))
    watch.close()


def test_a_busy_process_is_not_quiet() -> None:
    """A process that computes is never seen asleep."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    watch = ProcessWatch(process.pid)
    assert [watch.quiet() for _ in range(50)] == [None] * 50
    process.kill()
    process.wait()
    watch.close()


def test_a_process_that_is_gone_can_not_be_watched() -> None:
    """There is nothing to look at."""
    process = subprocess.Popen(["true"])
    process.wait()
    with pytest.raises(ProcessLookupError, match="has no threads"):
        ProcessWatch(process.pid)
