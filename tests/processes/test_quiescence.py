"""Seeing that a process is quiet, on real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from shutil import which

import pytest

from stress.processes.quiescence import ProcessWatch, Sleep

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
        sleep = watch.sleeping()
        soon = time.perf_counter() + 5
        if sleep is not None and (sleep.due or sleep.unknown) and all(due > soon for due in sleep.due.values()):
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
    now = time.perf_counter()
    assert sleep.may_wake_by(now + 1, None, None) is bool(sleep.unknown)
    assert not sleep.may_wake_by(now + 1, sleep, None)
    assert not sleep.may_wake_by(now + 1, None, sleep)
    assert sleep.may_wake_by(now + 60, sleep, sleep) is bool(sleep.due)
    process.kill()
    process.wait()
    assert watch.sleeping() in (None, Sleep({}, {}))
    watch.close()


WAITS_UNSEEN = """
import sys, threading
def wait():
    while True:
        print("waits")
        turn.acquire(timeout=50)
turn = threading.Lock()
turn.acquire()
threading.Thread(target=wait, daemon=True).start()
for line in sys.stdin:
    turn.release()
"""
SETS_TIMERS = """
import asyncio, sys
async def main():
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    def read():
        loop.call_later(float(sys.stdin.readline()), int)
        print("set", flush=True)
    loop.add_reader(0, read)
    await done
asyncio.run(main())
"""


def test_a_timer_that_was_set_before_is_reported_from_a_new_one() -> None:
    """A process that was woken and waits on for the same timer has set no new one; a sooner timer is new."""
    script = [sys.executable, "-u", "-c", SETS_TIMERS]
    with subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        watch = ProcessWatch(process.pid)
        seen = []
        for seconds in (40, 50, 30):
            process.stdin.write(f"{seconds}\n")
            process.stdin.flush()
            process.stdout.readline()
            seen.append(until_quiet(watch))
        now = time.perf_counter()
        first, same, sooner = seen
        assert [sleep.may_wake_by(now + 60, None, first) for sleep in seen] == [True, True, True]
        assert not same.may_wake_by(now + 60, None, first, hidden=False)
        assert sooner.may_wake_by(now + 60, None, first, hidden=False)
        assert not sooner.may_wake_by(now + 20, None, first, hidden=False)
        watch.close()
        process.kill()


def test_a_wait_of_unknown_length_is_new_once_its_thread_has_run() -> None:
    """A thread that waits on with a timeout that can't be seen has set no new one; after it has run it has."""
    script = [sys.executable, "-u", "-c", WAITS_UNSEEN]
    with subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        watch = ProcessWatch(process.pid)
        process.stdout.readline()
        before = until_quiet(watch)
        still = until_quiet(watch)
        process.stdin.write("go on\n")
        process.stdin.flush()
        process.stdout.readline()
        after = until_quiet(watch)
        now = time.perf_counter()
        assert [sleep.may_wake_by(now, None, before) for sleep in (still, after)] == [False, True]
        watch.close()
        process.kill()


SWAPS = """
import sys, threading
def start():
    turn = threading.Event()
    thread = threading.Thread(target=turn.wait, daemon=True)
    thread.start()
    print("started", flush=True)
    return turn, thread
turn, thread = start()
for _ in sys.stdin:
    turn.set()
    thread.join()
    turn, thread = start()
"""


def test_a_thread_in_place_of_one_that_ended_is_watched() -> None:
    """A server that has a thread for each connection is seen quiet after one has ended and another begun."""
    process = subprocess.Popen([sys.executable, "-c", SWAPS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert process.stdin is not None
    assert process.stdout is not None
    watch = None
    for _ in range(3):
        assert process.stdout.readline() == b"started\n"
        watch = watch or ProcessWatch(process.pid)
        deadline = time.monotonic() + 10
        while (sleep := watch.sleeping()) is None and time.monotonic() < deadline:
            pass
        assert sleep is not None
        process.stdin.write(b"again\n")
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    assert watch is not None
    watch.close()


STARTS = """
import subprocess, sys
for _ in sys.stdin:
    child = subprocess.Popen(["sleep", "50"])
    print(child.pid, flush=True)
"""


def test_a_child_that_is_started_during_a_look_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process starts another right after it was looked at: the next look finds that one, and its timer."""
    process = subprocess.Popen([sys.executable, "-c", STARTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert process.stdin is not None
    assert process.stdout is not None
    opening, child = os.open, 0

    def starting(path: str, flags: int) -> int:
        nonlocal child
        if path == f"/proc/{process.pid}/task" and not child:
            process.stdin.write(b"start\n")
            child = int(process.stdout.readline())
        return opening(path, flags)

    monkeypatch.setattr(os, "open", starting)
    watch = ProcessWatch(process.pid)
    assert child > 0
    assert list(until_quiet(watch).unknown) == [child]
    watch.close()
    os.kill(child, signal.SIGKILL)
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_a_busy_process_is_not_quiet() -> None:
    """A process that computes is never seen asleep."""
    program = "import os; os.write(1, b'.')\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-S", "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"."  # before that it may sleep, as it is read from the disk
        watch = ProcessWatch(process.pid)
        seen = [watch.sleeping() for _ in range(50)]
        process.kill()
    watch.close()
    assert seen == [None] * 50


def test_a_process_that_is_gone_can_not_be_watched() -> None:
    """There is nothing to look at."""
    process = subprocess.Popen(["true"])
    process.wait()
    with pytest.raises(ProcessLookupError, match="has no threads"):
        ProcessWatch(process.pid)
