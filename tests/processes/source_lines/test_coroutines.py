"""The stacks of coroutines that wait, read from the memory of another process."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from stress.processes.source_lines.coroutines import Layout, Other, Reader, Unknown
from stress.processes.source_lines.stacks import COROUTINES, Place, Session

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 14) or sys.implementation.name != "cpython", reason="laid out otherwise: none are seen"
)

PROGRAM = """\
import asyncio

async def wait(event):
    await event.wait()

async def work(number, *more):
    event, text, some = asyncio.Event(), "é" * number, [number]
    if number == 1:
        await wait(event)
    async with asyncio.Lock() as lock:
        await wait(event)

async def busy():
    input()

async def main():
    for _ in range(100):
        await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
    tasks = [asyncio.create_task(work(number, *range(number))) for number in (1, 2)]
    kept = wait(None)
    await asyncio.sleep(0.01)
    print("ready", flush=True)
    await busy()

asyncio.run(main())
"""


@pytest.fixture
def service(tmp_path: Path) -> Generator[subprocess.Popen[str], None, None]:
    """Give a process in which two coroutines wait, others are over, not begun, or running."""
    (tmp_path / "app.py").write_text(PROGRAM)
    words = [sys.executable, str(tmp_path / "app.py")]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    yield child
    child.kill()
    child.communicate()


def own(stack: list[tuple[str, int]] | tuple[Place, ...]) -> list[int]:
    """Give the lines of the program in a stack."""
    return [line for file, line in stack if file.endswith("app.py")]


def test_coroutines_that_wait_are_seen_with_those_that_wait_for_them(service: subprocess.Popen[str]) -> None:
    """Each has its line, the innermost first; those that are over, have not begun or are running have none."""
    stacks = Reader(service.pid).stacks()
    assert sorted(own(stack) for stack in stacks.values() if own(stack)) == [[4, 9], [4, 11]]
    assert all(stack[0][0].endswith("locks.py") for stack in stacks.values() if own(stack))


@pytest.mark.asyncio
async def test_the_interpreter_of_the_process_reads_them(service: subprocess.Popen[str]) -> None:
    """What is measured holds for that very program; what can't be read has none."""
    session = Session(COROUTINES)
    stacks = await session.stacks(service.pid, 20.0)
    assert sorted(own(stack) for stack in stacks.values() if own(stack)) == [[4, 9], [4, 11]]
    assert {name.partition("0x")[0] for name in stacks} == {"coroutine "}


def test_where_the_layout_is_another_nothing_is_read(service: subprocess.Popen[str]) -> None:
    """An object that is in no file, and memory that is not there, give nothing."""
    other = Other(service.pid)
    with pytest.raises(Unknown):
        other.of_ours(object())
    assert other.read(8, 8) == b""
    assert other.read(-8, 8) == b""
    assert Layout.measured() == Layout.measured()
