"""The stacks of one process, taken from outside by a tool of its language while the process sleeps."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stress.core.masking import clean
from stress.processes.child import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COROUTINE = "coroutine "
"""How the name of a thread begins that is a coroutine."""
ANYWHERE = "*/"
"""How a file begins of which no more is known than its package and name."""
_LOOK_SECONDS, _READING_SECONDS = 5.0, 20.0
_GRACE_SECONDS = 1.0
"""How long a tool that is asked to end may take to let go of a process."""
_OF_A_THREAD = re.compile(r'^".*" .*\btid=(\w+)')
_OF_A_CLASS = re.compile(r"^\s+at (?:[^(]*/)?([\w.$]+)\.[\w$<>]+\((?:[^()]*/)?([\w$]+\.\w+):(\d+)\)")
_GO_SECTION = b"\0.go.buildinfo\0"
_ELF, _SECTIONS, _SECTION_BYTES = b"\x7fELF\x02\x01", slice(40, 48), 64
_STACKS, _DONE = "stacks: ", "looked"
_MOST_BYTES = 1 << 26


class Unseen(Exception):
    """Why the stacks of a process can't be taken."""


class Place(NamedTuple):
    """A line of a file."""

    file: str
    line: int


Stack = tuple[Place, ...]
"""What called what, the innermost first."""


@dataclass(frozen=True)
class Tool:
    """A program that shows the stacks of processes of one language.

    It is started for each look with ``arguments``; or once, and then ``asked`` on its standard input for each look, to
    which the answer ends with ``looked``. Both hold {pid}, the arguments {exe}. ``read`` takes what it prints and gives
    stacks by thread. ``get`` says where it is from, ``sees`` what of a process it shows, ``files`` are the endings of
    its language. One that is ``beside`` another may fail; one that is ``quick`` takes a tenth of a second.
    """

    program: str
    arguments: tuple[str, ...]
    read: Callable[[str], dict[str, Stack]]
    get: str
    sees: str
    files: tuple[str, ...]
    asked: str = ""
    beside: bool = False
    quick: bool = False

    def within(self, *, first: bool) -> float:
        """Give how many seconds a look may take; in the ``first`` a debugger reads the whole program."""
        return _READING_SECONDS if first and self.asked else _LOOK_SECONDS

    @property
    def path(self) -> str:
        """Where it is installed: on PATH or beside our own Python; empty where it is not."""
        beside = Path(sys.executable).parent
        return shutil.which(self.program) or shutil.which(self.program, path=str(beside)) or ""


class Session:
    """A tool at work, which is ended by `close`."""

    def __init__(self, tool: Tool) -> None:
        """Start nothing yet."""
        self._tool = tool
        self._child: asyncio.subprocess.Process | None = None

    async def stacks(self, pid: int, seconds: float) -> dict[str, Stack]:
        """Take the stacks of a process that sleeps within so many seconds, each file by its whole path.

        Raises:
            Unseen: when they can't be taken.

        """
        tool, done = self._tool, False
        try:
            async with asyncio.timeout(seconds):
                if self._child is None:
                    program = os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115 - the text of the link
                    words = (word.replace("{pid}", str(pid)).replace("{exe}", program) for word in tool.arguments)
                    self._child = await _started([tool.path, *words], apart=not tool.asked)
                asked = tool.asked.replace("{pid}", str(pid))
                found = tool.read(await (_answer(self._child, asked) if asked else _all(self._child)))
                home = os.readlink(f"/proc/{pid}/cwd")  # noqa: PTH115 - the text of the link
                done = bool(asked)
        except TimeoutError:
            raise Unseen(f"{tool.program} takes longer than {seconds:.2g} s") from None
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise Unseen(f"{tool.program} showed no stacks: {error}") from None
        finally:
            if not done:
                await self.close(pid)
        return {
            thread: tuple(Place(_whole(place.file, home), place.line) for place in stack)
            for thread, stack in found.items()
        }

    async def close(self, pid: int = 0) -> None:
        """End the tool; a process that it looked at, and may have stopped, goes on."""
        child, self._child = self._child, None
        for number in (signal.SIGTERM, signal.SIGKILL):
            if child is not None and child.returncode is None:
                with suppress(ProcessLookupError, TimeoutError):
                    child.send_signal(number)
                    await asyncio.wait_for(child.wait(), _GRACE_SECONDS)
                with suppress(ProcessLookupError):
                    os.kill(pid or child.pid, signal.SIGCONT)


def _whole(file: str, home: str) -> str:
    return file if file.startswith(ANYWHERE) else os.path.normpath(os.path.join(home, file))  # noqa: PTH118 - a text


async def _started(words: list[str], *, apart: bool) -> asyncio.subprocess.Process:
    """Start a tool; its complaints are kept ``apart``, or are among what it prints."""
    return await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE if apart else asyncio.subprocess.STDOUT,
        env={**os.environ, "DEBUGINFOD_URLS": "", "LC_ALL": "C"},  # a debugger must not ask a server
        preexec_fn=die_with_parent,
        limit=_MOST_BYTES,
    )


async def _all(child: asyncio.subprocess.Process) -> str:
    """Give what a tool prints until it ends.

    Raises:
        ValueError: with the last line, when it fails.

    """
    printed, complaints = (one.decode(errors="replace") for one in await child.communicate())
    if child.returncode:
        raise ValueError(clean([f"exit code {child.returncode}", *(complaints or printed).strip().splitlines()][-1]))
    return printed


async def _answer(child: asyncio.subprocess.Process, asked: str) -> str:
    """Ask a tool that goes on; give what it prints.

    Raises:
        ValueError: when it ends.

    """
    assert child.stdin is not None and child.stdout is not None  # noqa: S101, PT018 - both are pipes
    with suppress(ConnectionError):  # then it says why
        child.stdin.write(f"{asked}\n".encode())
        await child.stdin.drain()
    lines = []
    async for line in child.stdout:
        lines.append(line.decode(errors="replace"))
        if lines[-1].rstrip().endswith(_DONE):
            return "".join(lines)
    await child.wait()
    raise ValueError(clean(["it has ended", *lines][-1].strip()))


def of_py_spy(printed: str) -> dict[str, Stack]:
    """Read what `py-spy dump --json` prints."""
    return {
        str(thread["os_thread_id"] or thread["thread_id"]): tuple(
            Place(frame["filename"], frame["line"]) for frame in thread["frames"]
        )
        for thread in json.loads(printed)
    }


def of_coroutines(printed: str) -> dict[str, Stack]:
    """Read what our script prints of the coroutines of a process."""
    found: Mapping[str, list[tuple[str, int]]] = json.loads(printed)
    return {COROUTINE + one: tuple(Place(*place) for place in stack) for one, stack in found.items()}


def of_jstack(printed: str) -> dict[str, Stack]:
    """Read what jstack prints: of a frame it tells the class and the name of the file."""
    found: dict[str, list[Place]] = {}
    stack: list[Place] = []
    for line in printed.splitlines():
        if thread := _OF_A_THREAD.match(line):
            stack = found.setdefault(thread[1], [])
        elif frame := _OF_A_CLASS.match(line):
            package = frame[1].split(".")[:-1]
            stack.append(Place(ANYWHERE + "/".join([*package, frame[2]]), int(frame[3])))
    return {thread: tuple(places) for thread, places in found.items()}


def of_gdb(printed: str) -> dict[str, Stack]:
    """Read what our script prints in gdb."""
    lines = printed.splitlines()
    line = next((line for line in lines if _STACKS in line), None)
    if line is None:
        refused = next((clean(line) for line in lines if "ptrace" in line), "")
        raise ValueError(refused or "is the service built without its symbols (-s -w, go run)?")
    found: Mapping[str, list[tuple[str, int]]] = json.loads(line.partition(_STACKS)[2])
    return {f"goroutine {number}": tuple(Place(*place) for place in stack) for number, stack in found.items()}


_SCRIPT = str(Path(__file__).with_name("goroutines.gdb"))
_OF_COROUTINES = str(Path(__file__).with_name("coroutines.py"))
PYTHON = Tool(
    "py-spy",
    ("dump", "--json", "--nonblocking", "--pid", "{pid}"),
    of_py_spy,
    "pip install py-spy",
    "threads",
    (".py",),
    quick=True,
)
COROUTINES = Tool(
    "sh",
    ("-c", 'exec "$(readlink /proc/{pid}/exe)" -I -S "$0" {pid}', _OF_COROUTINES),
    of_coroutines,
    "",
    "coroutines of CPython 3.11 to 3.13",
    (".py",),
    beside=True,
    quick=True,
)
JVM = Tool(
    "jstack",
    ("{pid}",),
    of_jstack,
    "it is part of a JDK",
    "threads of the platform, not virtual ones",
    (".java", ".kt", ".scala", ".groovy"),
)
GO = Tool(
    "gdb",
    ("-nx", "-q", "-iex", "set auto-load off", "-iex", "set confirm off", "{exe}"),
    of_gdb,
    "install gdb",
    "goroutines that wait, of a build that keeps its symbols and the paths of its files",
    (".go",),
    f"attach {{pid}}\nsource {_SCRIPT}\ndetach\necho {_DONE}\\n",
)


def tools_for(pid: int) -> tuple[Tool, ...]:
    """Give the tools for the language that a process runs; none where it is none of those, or can't be seen."""
    with suppress(OSError):
        program = os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115 - the text of the link
        mapped = Path(f"/proc/{pid}/maps").read_text(errors="replace")
        if Path(program).name.startswith("python") or "/libpython" in mapped:
            return (PYTHON, COROUTINES)
        if "/libjvm.so" in mapped:
            return (JVM,)
        with open(f"/proc/{pid}/exe", "rb") as file:  # noqa: PTH123 - also where the file was replaced
            head = file.read(64)
            if not head.startswith(_ELF):
                return ()
            file.seek(int.from_bytes(head[_SECTIONS], "little"))
            sections = [file.read(_SECTION_BYTES) for _ in range(int.from_bytes(head[60:62], "little"))]
            names = sections[int.from_bytes(head[62:64], "little")] if sections else b""
            file.seek(int.from_bytes(names[24:32], "little"))
            return (GO,) if _GO_SECTION in file.read(int.from_bytes(names[32:40], "little")) else ()
    return ()
