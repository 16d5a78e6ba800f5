"""Commands for the tests, run as a user runs them, and what must not be left behind when one has ended."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from click.testing import CliRunner

from stress.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

GATEWAYS = Path(__file__).parent / "gateways"
BAD = GATEWAYS / "bad_gateway.py"
TWO_AT_ONCE = """\
name: two-at-once
story: Two identical signals at once.
signal: {labels: {pod: "p-{fresh}"}}
invariants: [no_server_error, one_created_answer]
"""


class Said(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Both outputs, line by line: first what went to standard error."""
        return [line for line in (self.err + self.out).splitlines() if line.strip()]


def stress(folder: Path, *args: object) -> Said:
    """Run a command in this process, in a folder; nothing of it may be left: no process, no file, no open socket.

    Starting Python again for each takes longer than most of the commands.
    """
    with contextlib.chdir(folder), nothing_left(folder):
        done = CliRunner().invoke(main, [str(arg) for arg in args])
    assert isinstance(done.exception, SystemExit | None), done.exception
    assert "Traceback" not in done.output
    return Said(done.exit_code, done.stdout, done.stderr)


def command(*args: object) -> list[str]:
    """Give the words that run a command in a process of its own."""
    return [sys.executable, "-m", "stress.cli.main", *(str(arg) for arg in args)]


@contextlib.contextmanager
def nothing_left(folder: Path) -> Iterator[None]:
    """Compare what there is before and after: our children, our open files, and temporary files.

    Nor may the event loop complain: on a terminal that is a traceback.
    """
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    before: Counter[int | str] = Counter([*children(), *descriptors()])
    tempfile.tempdir = str(temporary)
    complaints: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: complaints.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("asyncio").addHandler(handler)
    try:
        yield
    finally:
        tempfile.tempdir = None
        logging.getLogger("asyncio").removeHandler(handler)
    assert complaints == []
    left = Counter([*children(), *descriptors()]) - before  # what an earlier test left may end meanwhile
    assert not left, f"left behind: {dict(left)}"
    assert [path.name for path in temporary.iterdir() if "bug" not in path.name] == []


def children(pid: int | None = None) -> list[int]:
    """Give the processes that this one, or another, has started and that are still there.

    Gateways that its fork server has forked count as its own; that and its resource tracker, which stay, do not count.
    """
    pid = pid or os.getpid()
    words = {child: _read(Path(f"/proc/{child}/cmdline")) for child in (pid, *_started_by(pid))}
    own = [child for child in words if words[child] != words[pid]]  # it is forked, but runs no program of its own yet
    staying = [child for child in own if b"from multiprocessing." in words[child]]
    forked = [child for server in staying for child in _started_by(server)]
    return sorted({*own, *forked} - {*staying})


def _started_by(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    return [int(child) for task in tasks.iterdir() for child in _read(task / "children").split()]


def _read(path: Path) -> bytes:
    """Give what /proc says; nothing of a thread or process that has ended since it was listed."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return path.read_bytes()
    return b""


def descriptors() -> list[str]:
    """Give what is open: sockets and files."""
    links = []
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(str(path.readlink()))
    return sorted(links)


def own_files(  # noqa: PLR0913 - what the tests vary
    folder: Path,
    mode: str,
    *,
    port: str = "{port}",
    patience: float = 0.1,
    within: float = 5.0,
    arguments: Sequence[str] = (),
    more: str = "",
    program: Path = BAD,
) -> list[str]:
    """Write a scenario and a target of the Gateway that goes wrong; give the words that search them."""
    (folder / "two.yaml").write_text(TWO_AT_ONCE)
    words = json.dumps([sys.executable, str(program), port, "{redis_port}", mode, *arguments])
    begin = f"{{command: {words}, ready: {{path: /ready, within: {within}}}}}"
    (folder / "own.yaml").write_text(f"name: own\nstart: {begin}\npatience: {patience}\n{more}")
    return ["run", "two.yaml", "--target", "own.yaml", "--seconds", "5"]


def report(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Read the report of the last case: its result, and its events in short."""
    latest = folder / "reports" / "latest"
    result: dict[str, Any] = json.loads((latest / "result.json").read_text())
    trace = latest / "trace.ndjson"
    lines = [json.loads(line) for line in trace.read_text().splitlines()] if trace.exists() else []
    events = [line["event"] for line in lines if "event" in line]
    return result, [f"{event['actor']} {event['command']}" for event in events]
