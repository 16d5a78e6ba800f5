"""Tools that show stacks from outside: how they are run, ended and read."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stress.processes.source_lines.stacks import (
    COROUTINES,
    PYTHON,
    Place,
    Session,
    Tool,
    Unseen,
    of_gdb,
    of_jstack,
    tools_for,
)

if TYPE_CHECKING:
    from collections.abc import Generator

JSTACK = """
"main" #1 prio=5 os_prio=0 cpu=950.75ms elapsed=3.68s tid=0x7fad64018040 nid=0x633b waiting on condition  [0x7fad6]
   java.lang.Thread.State: TIMED_WAITING (sleeping)
\tat java.lang.Thread.sleep(java.base@17.0.15/Native Method)
\tat java.net.Socket$SocketInputStream.read(java.base@17.0.15/Socket.java:966)
\tat app//com.acme.shop.Schedules$Inner.place(Schedules.java:31)
\t- locked <0x000000069ec02f30> (a java.lang.ref.ReferenceQueue$Lock)
\tat com.acme.shop.Schedules$$Lambda$195/0x00007face413c208.run(Unknown Source)
\tat Main.<init>(Main.java:7)

"Signal Dispatcher" #4 daemon prio=9 os_prio=0 cpu=0.62ms tid=0x7fad640ff2a0 nid=0x6344 waiting on condition
   java.lang.Thread.State: RUNNABLE
"""


@pytest.fixture
def sleeper() -> Generator[subprocess.Popen[bytes], None, None]:
    """Give a process that sleeps."""
    child = subprocess.Popen(["sleep", "60"])
    yield child
    child.kill()
    child.wait()


def shell(text: str, asked: str = "") -> Session:
    """Give a session of a tool that is a line of shell; it shows nothing."""
    return Session(Tool("sh", ("-c", text), lambda _: {}, "", "", (), asked))


def state(pid: int) -> str:
    """Give how a process is: S sleeps, T is stopped (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def lives(pid: str) -> bool:
    """Tell whether a process is there."""
    return Path(f"/proc/{pid}").exists()


def test_a_frame_of_the_jvm_is_called_by_package_and_file() -> None:
    """Frames without a line are left out, and what stands before the class is not of its name."""
    assert of_jstack(JSTACK) == {
        "0x7fad64018040": (
            Place("*/java/net/Socket.java", 966),
            Place("*/com/acme/shop/Schedules.java", 31),
            Place("*/Main.java", 7),
        ),
        "0x7fad640ff2a0": (),
    }


@pytest.mark.parametrize(
    ("printed", "why"),
    [
        ("ptrace: Operation not permitted.\n", "ptrace: Operation not permitted."),
        (
            'No symbol "runtime.allgs" in current context.\n',
            "is the service built without its symbols (-s -w, go run)?",
        ),
    ],
)
def test_what_gdb_can_not_see_is_reported(printed: str, why: str) -> None:
    """Where no stacks are printed the reason is that it is not permitted, or else the build."""
    with pytest.raises(ValueError, match=f"^{re.escape(why)}$"):
        of_gdb(printed)


def test_goroutines_are_read_after_a_prompt() -> None:
    """The line of our script may begin with the prompt of gdb."""
    assert of_gdb('x\n(gdb) stacks: {"7": [["/srv/main.go", 31]]}\n') == {"goroutine 7": (Place("/srv/main.go", 31),)}


@pytest.mark.asyncio
async def test_a_tool_that_fails_is_reported_by_its_last_complaint(sleeper: subprocess.Popen[bytes]) -> None:
    """Whether it is started for each look or goes on, what it says last is the reason."""
    fails = "echo out; echo first >&2; echo may not look >&2; exit 3"
    for session, why in (
        (shell(fails), "may not look"),
        (shell("exit 3"), "exit code 3"),
        (shell(fails, "look"), "may not look"),
    ):
        with pytest.raises(Unseen) as reported:
            await session.stacks(sleeper.pid, 10.0)
        assert str(reported.value) == f"sh showed no stacks: {why}"


@pytest.mark.asyncio
@pytest.mark.parametrize("asked", ["", "look"])
async def test_a_tool_that_hangs_is_ended_and_the_process_goes_on(
    asked: str, sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """After its time a tool is killed, whatever it ignores, and what it had stopped is not."""
    hangs = shell(f"trap '' TERM; kill -STOP {{pid}}; echo $$ > {tmp_path}/pid; while :; do sleep 0.1; done", asked)
    begun = time.monotonic()
    with pytest.raises(Unseen) as reported:
        await hangs.stacks(sleeper.pid, 0.3)
    assert str(reported.value) == "sh takes longer than 0.3 s"
    assert time.monotonic() - begun < 5.0
    assert not lives((tmp_path / "pid").read_text().strip())
    assert state(sleeper.pid) == "S"


@pytest.mark.asyncio
async def test_a_tool_that_goes_on_is_asked_again_until_it_is_closed(sleeper: subprocess.Popen[bytes]) -> None:
    """One process answers every look, and the text it is asked has the number of the process in it."""
    seen: list[str] = []

    def read(printed: str) -> dict[str, tuple[Place, ...]]:
        seen.append(printed)
        return {"1": (Place("main.go", 1),)}

    session = Session(Tool("sh", (), read, "", "", (), "echo $$ {pid}; echo looked"))
    first, second = [await session.stacks(sleeper.pid, 10.0) for _ in range(2)]
    await session.close()
    assert first == second == {"1": (Place(str(Path.cwd() / "main.go"), 1),)}
    shells = [printed.split()[0] for printed in seen]
    assert [printed.split()[1:] for printed in seen] == [[str(sleeper.pid), "looked"]] * 2
    assert shells[0] == shells[1]
    assert not lives(shells[0])


def test_the_tool_is_chosen_by_the_program_that_runs(sleeper: subprocess.Popen[bytes]) -> None:
    """Python is known by its name, and nothing is known of a program in C, or of a process that is gone."""
    python = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert tools_for(python.pid) == (PYTHON, COROUTINES)
    finally:
        python.communicate(b"\n")
    assert tools_for(sleeper.pid) == ()
    assert tools_for(python.pid) == ()
    assert PYTHON.path == (shutil.which("py-spy") or str(Path(sys.executable).with_name("py-spy")))
