"""The steps of a race show the lines of the service's own code, as tools see them from outside."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.engine.case import Case
from stress.engine.limits import Limits
from stress.engine.lines import with_lines
from stress.engine.running import run
from stress.executors.live.executor import LiveExecutor
from stress.processes.source_lines import stacks
from stress.report.explain.lines import lines_by_event

if TYPE_CHECKING:
    from stress.report.events import Finding, Result

HERE = Path(__file__).parent / "lines"
FASTAPI = Path(__file__).parents[1] / "cases" / "fixed" / "fastapi"
SCENARIO = Scenario.load(HERE / "scenario.yaml")
ADJACENT = str(Path(sys.executable).parent)
"""Where programs are installed beside Python: what a service is started with, and py-spy."""


def executor_of(folder: Path) -> LiveExecutor:
    """Make an executor of the service in a folder."""
    target = Target.load(folder / "target.yaml")
    assert target.start is not None
    path = f"{ADJACENT}{os.pathsep}{os.environ['PATH']}"
    start = target.start.model_copy(update={"env": {**target.start.env, "PATH": path}})
    return LiveExecutor(SCENARIO, target.model_copy(update={"start": start}), folder)


def need(*programs: str) -> None:
    """Skip a test whose programs are not installed."""
    missing = [one for one in programs if not (shutil.which(one) or shutil.which(one, path=ADJACENT))]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed")


def at(file: Path, text: str) -> str:
    """Give the line of a file that holds a text, as reports call it."""
    (number,) = (number for number, line in enumerate(file.read_text().splitlines(), start=1) if text in line)
    return f"{file.name}:{number}"


def steps(finding: Finding) -> list[tuple[str, str]]:
    """Give the actor and the command of each step with its line."""
    lines = lines_by_event(finding.trace)
    events = (event for event in finding.trace.events if event.kind == "step")
    return [(f"{event.actor} {event.command}", lines.get(event.index, "none")) for event in events]


def notes(result: Result) -> list[str]:
    """Give what is noted of source lines."""
    return [note for note in result.notes if "source lines" in note]


def build(*words: str, folder: Path) -> None:
    """Build a service."""
    subprocess.run(words, cwd=folder, check=True)


async def race_of(folder: Path) -> tuple[Finding, list[str]]:
    """Search a service; give its race and what is noted of source lines."""
    async with executor_of(folder) as executor:
        result = await Case(None, executor, Limits(20, 500)).result()
    (finding,) = result.findings
    return finding, notes(result)


@pytest.mark.asyncio
async def test_each_step_shows_who_called_the_helper_that_sent_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step has its line, also the second of one line; a tool that is missing, or hangs, only leaves lines out."""
    need("py-spy")
    folder = HERE / "threads"
    async with executor_of(folder) as executor:
        result = await Case(None, executor, Limits(20, 500)).result()
        (finding,) = result.findings
        bare = dataclasses.replace(finding, trace=finding.trace.with_lines({}))
        slow = dataclasses.replace(stacks.PYTHON, program="sleep", arguments=("60",))
        monkeypatch.setattr(stacks, "PYTHON", slow)
        monkeypatch.setattr(stacks, "_LOOK_SECONDS", 0.2)
        hangs = await with_lines([bare], executor)
        monkeypatch.setattr(stacks, "PYTHON", dataclasses.replace(slow, program="no-such-program"))
        missing = await with_lines([bare], executor)
        target, executor.target = executor.target, executor.target.model_copy(update={"second": "matters"})
        monkeypatch.setattr(stacks, "PYTHON", dataclasses.replace(slow, quick=False))
        slower = await with_lines([bare], executor)
        executor.target = target
        after = await run(finding.schedule, executor)
    exists, sets, counts = (at(folder / "service.py", text) for text in ("EXISTS", "SET rec", "INCR"))
    lines = {"EXISTS": exists, "SET": sets, "INCR": counts}
    assert steps(finding) == [(step, lines[step.split()[1]]) for step, _ in steps(finding)]
    assert sorted(step for step, _ in steps(finding)) == sorted(
        [f"{actor} {command}" for actor in "AB" for command in ("EXISTS", "SET", "INCR", "INCR")]
    )
    assert finding.trace.events[1].lines[1:] == (exists, at(folder / "service.py", "201 if creates"))
    assert notes(result) == []
    assert hangs == ([bare], "no source lines: sleep takes longer than 0.2 s")
    assert missing == ([bare], "no source lines: no-such-program is not installed (pip install py-spy)")
    assert slower == ([bare], "no source lines: a look by sleep takes too long where the second matters")
    assert after.signature == finding.trace.signature


@pytest.mark.cases
@pytest.mark.unmeasured
@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "needs", "source", "built"),
    [
        ("python", ("py-spy", "uvicorn"), "app.py", ()),
        ("java", ("java", "jstack"), "Service.java", ()),
        ("go", ("go", "gdb"), "main.go", ("go", "build", "-o", "service", ".")),
    ],
    ids=["python", "java", "go"],
)
async def test_each_step_of_a_service_in_any_language_shows_its_line(
    name: str, needs: tuple[str, ...], source: str, built: tuple[str, ...], tmp_path: Path
) -> None:
    """The threads of FastAPI and of the JDK and the goroutines of Go are in the lines that look and that create."""
    need(*needs)
    folder = tmp_path / name
    shutil.copytree(HERE / name, folder)
    if built:
        build(*built, folder=folder)
    finding, noted = await race_of(folder)
    words = ("store.get(", "store.set(") if name == "python" else ('"GET rec', '"SET rec')
    looks, creates = (at(folder / source, text) for text in words)
    assert steps(finding) == [("A GET", looks), ("B GET", looks), ("B SET", creates), ("A SET", creates)]
    assert noted == []


@pytest.mark.cases
@pytest.mark.unmeasured
@pytest.mark.asyncio
async def test_a_coroutine_that_waits_shows_its_line_or_a_note_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The endpoints of a service may be coroutines; where none can be seen it has no lines rather than wrong ones."""
    need("py-spy", "uvicorn")
    folder = tmp_path / "service"
    shutil.copytree(FASTAPI, folder)
    finding, noted = await race_of(folder)
    looks, creates = (at(folder / "app.py", text) for text in ("store.get(", "store.set("))
    assert steps(finding) == [("A GET", looks), ("B GET", looks), ("B SET", creates), ("A SET", creates)]
    assert noted == []
    monkeypatch.setattr(stacks, "COROUTINES", dataclasses.replace(stacks.COROUTINES, arguments=("-c", "exit 1")))
    finding, noted = await race_of(folder)
    assert {line for _, line in steps(finding)} == {"none"}
    assert noted == ["no source lines: no stack stood out among threads and coroutines of CPython 3.11 to 3.13"]
