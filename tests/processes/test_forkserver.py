"""Bundled Gateways off the fork server: processes of their own, ended as other children are, and gone with us."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from commands import children, command, descriptors

from stress.processes.child import Ends, accepts, end, ending, free_port, listens
from stress.processes.forkserver import gateway
from stress.protocols.redis.server import Valkey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stress.processes.child import Child

HARNESS = """\
import asyncio, sys
from stress.processes.forkserver import gateway
async def main():
    child = await gateway(sys.argv[1:], 2)
    print(child.pid, flush=True)
    await asyncio.sleep(60)
if __name__ == "__main__":
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


def fork(log: int, *given: str) -> Child:
    """Fork a Gateway in an event loop of its own."""
    return asyncio.run(gateway(given, log))


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
    fork(log, "--help").wait()  # the server is there
    given, before = words(valkey), (children(), descriptors())
    child = fork(log, *given)
    while not accepts("127.0.0.1", int(given[-1])):
        assert child.poll() is None
    assert listens(child.pid, int(given[-1]))
    assert os.getsid(child.pid) == child.pid
    assert child.pid in children()
    end(child)
    assert (child.returncode, ending(child)) == (0, "exit code 0")
    child.kill()  # it has ended: nothing is hit
    assert (children(), descriptors()) == before


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["--help"], 0, "usage: stress-gateway gateway"),
        (["--protocol", "none"], 2, "usage: stress-gateway gateway"),
        (["--protocol", "redis-atomic", "--redis", "redis://127.0.0.1:1", "--port", "1"], 69, "unavailable: the store"),
    ],
)
def test_exit_codes_and_outputs_are_its_own(tmp_path: Path, log: int, given: list[str], code: int, said: str) -> None:
    """Help, a usage error, a store that is not there: as of the command itself, in the file that was given."""
    assert fork(log, *given).wait(20) == code
    assert (tmp_path / "log").read_text().startswith(said)


def test_the_environment_is_todays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: int) -> None:
    """What is set after the server began holds for a Gateway, whatever its bytes: here how wide a help text may be."""
    monkeypatch.setenv("NAME_\udce9", "\udcff")
    lengths = []
    for columns in ("4000", "40"):
        monkeypatch.setenv("COLUMNS", columns)
        assert fork(log, "--help").wait(20) == 0
        lengths.append((tmp_path / "log").read_text().count("\n"))
    assert lengths[1] > 2 * lengths[0]  # the second text stands below the first


def test_too_long_a_folder_for_temporary_files_is_named(tmp_path: Path) -> None:
    """A socket has no room for its name: what is wrong and what to do, and no bug of ours (exit 69)."""
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    words = command("run", "atomic-hit-count", "--target", "redis-atomic")
    done = subprocess.run(
        words, cwd=tmp_path, env={**os.environ, "TMPDIR": str(folder)}, capture_output=True, text=True, check=False
    )
    said = f"the folder for temporary files has too long a name for a socket: {folder} (let TMPDIR name one of at most"
    assert done.returncode == 69
    assert said in " ".join(done.stderr.split())


def test_its_end_is_seen_as_of_any_child(valkey: Valkey, log: int) -> None:
    """None while it lives, a timeout when waited for, the signal that killed it; the event loop is notified."""

    async def heard() -> None:
        child = await gateway(words(valkey), log)
        event = asyncio.Event()
        ends = Ends(event.set)
        ends.watch(child)
        assert (child.poll(), ends.any, ends.by_now()) == (None, False, False)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.01)
        child.kill()
        await event.wait()
        assert (ends.any, ends.by_now()) == (True, True)
        ends.close()
        assert child.wait(20) == -signal.SIGKILL
        assert (child.poll(), ending(child)) == (-9, "killed by signal 9")

    asyncio.run(heard())


def test_nothing_outlives_a_harness_that_is_killed(valkey: Valkey, log: int, tmp_path: Path) -> None:
    """Killed by SIGKILL, it takes its Gateways with it."""
    (tmp_path / "harness.py").write_text(HARNESS)
    command = [sys.executable, str(tmp_path / "harness.py"), *words(valkey)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as harness:
        assert harness.stdout is not None
        child = int(harness.stdout.readline())
        harness.kill()
    assert gone(child)
