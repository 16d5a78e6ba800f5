"""Gateways forked off the nursery: processes of their own, told as other children are, and gone with us."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from commands import children, descriptors

from stress.errors import Unavailable
from stress.stores.process import Ends, accepts, end, ending, free_port, listens
from stress.stores.valkey import Valkey
from stress.worlds import nursery
from stress.worlds.replicas import start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stress.stores.process import Child

ANSWERS = "import socket; link = socket.socket(fileno=0); [link.sendall(line) or link.recv(99999) for line in {}]"
HARNESS = """\
import asyncio, os, sys
from stress.worlds import nursery
async def main():
    child = await nursery.gateway(sys.argv[1:], 2)
    print(child.pid, nursery.begin().process.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    """Give a store."""
    server = Valkey()
    yield server
    server.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[int]:
    """Give a file for the outputs."""
    file = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)
    yield file
    os.close(file)


def words(valkey: Valkey) -> list[str]:
    """Give what starts a Gateway of that store on a port that is free; the port is last."""
    return ["--protocol", "redis-atomic", "--redis", valkey.url, "--port", str(free_port())]


def fork(log: int, *told: str) -> Child:
    """Fork a Gateway in an event loop of its own."""
    return asyncio.run(nursery.gateway(told, log))


def instead(monkeypatch: pytest.MonkeyPatch, program: str) -> nursery.Nursery:
    """Let a program be the nursery until the test ends."""
    one = nursery.Nursery([sys.executable, "-S", "-c", program])
    monkeypatch.setattr(nursery, "_ours", one)
    return one


def gone(pid: int) -> bool:
    """Wait until a process that is not our child has ended."""
    try:
        file = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([file], [], [], 20)[0])
    finally:
        os.close(file)


def test_a_gateway_is_a_process_of_its_own(valkey: Valkey, log: int) -> None:
    """It listens on its port, in a session of its own; nothing is left when it has ended."""
    fork(log, "--help").wait()  # the nursery is there
    told, before = words(valkey), (children(), descriptors())
    child = fork(log, *told)
    while not accepts("127.0.0.1", int(told[-1])):
        assert child.poll() is None
    assert listens(child.pid, int(told[-1]))
    ours = nursery.begin()
    assert ours is not None
    assert os.getsid(child.pid) == child.pid
    assert child.pid in children()
    status = Path(f"/proc/{child.pid}/status").read_text()
    assert f"PPid:\t{ours.process.pid}\n" in status
    end(child)
    assert (child.returncode, ending(child)) == (0, "exit code 0")
    child.kill()  # it has ended: nothing is hit
    assert (children(), descriptors()) == before


@pytest.mark.parametrize(
    ("told", "code", "said"),
    [
        (["--help"], 0, "usage: stress-gateway gateway"),
        (["--protocol", "none"], 2, "usage: stress-gateway gateway"),
        (["--protocol", "redis-atomic", "--redis", "redis://127.0.0.1:1", "--port", "1"], 69, "unavailable: the store"),
    ],
)
def test_exit_codes_and_outputs_are_its_own(tmp_path: Path, log: int, told: list[str], code: int, said: str) -> None:
    """Help, a usage error, a store that is not there: as of the command itself, in the file that was given."""
    assert fork(log, *told).wait(20) == code
    assert (tmp_path / "log").read_text().startswith(said)


def test_the_environment_is_todays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: int) -> None:
    """What is set after the nursery began holds for a Gateway, whatever its bytes: here how wide a help text may be."""
    monkeypatch.setenv("NURSERY_\udce9", "\udcff")
    lengths = []
    for columns in ("4000", "40"):
        monkeypatch.setenv("COLUMNS", columns)
        assert fork(log, "--help").wait(20) == 0
        lengths.append((tmp_path / "log").read_text().count("\n"))
    assert lengths[1] > 2 * lengths[0]  # the second text stands below the first


def test_its_end_is_told_as_of_any_child(valkey: Valkey, log: int) -> None:
    """None while it lives, a timeout when waited for, the signal that killed it; the event loop hears of it."""

    async def heard() -> None:
        child = await nursery.gateway(words(valkey), log)
        event = asyncio.Event()
        ends = Ends(event.set)
        ends.watch(child)
        assert (child.poll(), ends.any, ends.by_now()) == (None, False, False)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.01)
        child.kill()
        while not ends.by_now():  # the event loop can't have heard of it yet
            assert not ends.any
        await event.wait()
        assert (ends.any, ends.by_now()) == (True, True)
        ends.close()
        assert child.poll() == -9
        assert (child.wait(), ending(child)) == (-9, "killed by signal 9")

    asyncio.run(heard())


def test_nothing_outlives_a_harness_that_is_killed(valkey: Valkey, log: int) -> None:
    """Killed by SIGKILL, it takes its nursery and its Gateways with it."""
    command = [sys.executable, "-c", HARNESS, *words(valkey)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as harness:
        assert harness.stdout is not None
        child, nurse = map(int, harness.stdout.readline().split())
        harness.kill()
    assert (gone(child), gone(nurse)) == (True, True)


def test_a_nursery_that_is_killed_is_replaced(valkey: Valkey, log: int) -> None:
    """Its Gateways end with it, by SIGKILL; the next Gateway has a new nursery."""
    child, first = fork(log, *words(valkey)), nursery.begin()
    assert first is not None
    first.process.kill()
    assert child.wait(20) == -9
    assert fork(log, "--help").wait(20) == 0
    second = nursery.begin()
    assert second is not None
    assert second.process.pid != first.process.pid


@pytest.mark.parametrize(
    ("program", "seconds"), [("", 20.0), (ANSWERS.format([b"{}\n"]), 20.0), ("import time; time.sleep(60)", 0.0)]
)
def test_without_a_nursery_the_command_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: int, program: str, seconds: float
) -> None:
    """It ends while it imports, before it answers, or takes for ever: a Gateway is our own child then."""
    monkeypatch.setattr(nursery, "WARM_SECONDS", seconds)
    one = instead(monkeypatch, program)
    monkeypatch.setattr(nursery, "begin", lambda: one)  # which would start another where this has ended already
    before = descriptors()
    monkeypatch.setattr(sys, "executable", "echo")
    child = fork(log, "--help")
    assert isinstance(child, subprocess.Popen)
    assert child.wait() == 0
    assert (tmp_path / "log").read_text() == "-m stress.gateways --help\n"
    assert not one.usable
    assert len(descriptors()) == len(before) - 1


def test_what_the_kernel_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No more processes: the Gateway is unavailable, and no file is left."""
    one = instead(monkeypatch, ANSWERS.format([b"{}\n", b'{"errno": 11}\n', b""]))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = sorted(tmp_path.iterdir())

    async def refused() -> None:
        with pytest.raises(Unavailable, match=r"^Gateway 1 does not start: Resource temporarily unavailable \("):
            await start(1, lambda log: nursery.gateway(["--help"], log), port=1, ready=(None, 1.0))

    asyncio.run(refused())
    one.close()
    assert sorted(tmp_path.iterdir()) == before


def test_only_the_main_thread_starts_a_nursery(monkeypatch: pytest.MonkeyPatch, log: int) -> None:
    """With another thread it would end, as the kernel kills by the thread that started it: the command is started."""
    monkeypatch.setattr(nursery, "_ours", None)
    begun: list[Child] = []
    thread = threading.Thread(target=lambda: begun.append(fork(log, "--help")))
    thread.start()
    thread.join()
    assert isinstance(begun[0], subprocess.Popen)
    begun[0].wait()


def test_a_fork_of_the_harness_leaves_its_nursery_alone(valkey: Valkey, log: int) -> None:
    """A process that was forked off the harness starts one of its own."""
    child, ours = fork(log, *words(valkey)), nursery.begin()
    assert ours is not None
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            own = nursery.begin()
            code = 0 if own is not None and own.process.pid != ours.process.pid else 2
        finally:
            os._exit(code)  # its nursery ends with it
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert nursery.begin() is ours
    child.terminate()
    assert child.wait(20) in {0, -signal.SIGTERM}  # the latter where it was not yet ready
