"""Services that real projects start by a module, a build or a jar: their races replay, and are FIXED when they are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from commands import command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

pytestmark = [pytest.mark.unmeasured, pytest.mark.cases]

HERE = Path(__file__).parent / "fixed"
ROUNDS = 5


@dataclass(frozen=True)
class Service:
    """How a service is built from its source, and what is changed in that.

    ``fixed`` creates the record in one command, ``checked`` still looks first and then creates it only where there is
    none, ``renamed`` is as racy as before under other keys; each is a text and what takes its place.
    """

    needs: Sequence[str]
    source: str
    build: Sequence[Sequence[str]]
    fixed: tuple[str, str]
    checked: tuple[str, str]
    renamed: tuple[str, str] = ("rec:", "record:")


JAVA = (("javac", "-d", "build", "Service.java"), ("jar", "cfe", "build/service.jar", "Service", "-C", "build", "."))
SERVICES = {
    "fastapi": Service(
        ("uvicorn",),
        "app.py",
        (),
        ('known = await store.get(f"rec:{pod}")', "known = None"),
        ('"1") is not', '"1", nx=True) is not'),
    ),
    "node": Service(
        ("node",),
        "src/server.js",
        (("cp", "-r", "src/.", "dist"),),
        ("const known = await command(`GET rec:${pod}`);", 'const known = "$-1";'),
        (" 1`)", " 1 NX`)"),
    ),
    "jar": Service(
        ("java", "javac", "jar"),
        "Service.java",
        JAVA,
        ('String known = command("GET rec:" + pod);', 'String known = "$-1";'),
        ('" 1")', '" 1 NX")'),
    ),
}


@pytest.fixture(params=SERVICES)
def language(request: pytest.FixtureRequest) -> str:
    """Give each service by name; one whose programs are not installed is skipped."""
    name: str = request.param
    missing = [program for program in SERVICES[name].needs if shutil.which(program, path=_path()) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed")
    return name


@pytest.fixture
def build(language: str, tmp_path: Path) -> Callable[..., None]:
    """Copy the service, and give what builds it with changes to its source."""
    service = SERVICES[language]
    shutil.copytree(HERE / language, tmp_path / "service")
    shutil.copy(HERE / "scenario.yaml", tmp_path / "service")
    source = (tmp_path / "service" / service.source).read_text()

    def make(*changes: tuple[str, str]) -> None:
        text = source
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "service" / service.source).write_text(text)
        for words in service.build:
            (tmp_path / "service" / "dist").mkdir(exist_ok=True)
            subprocess.run(words, cwd=tmp_path / "service", check=True)

    make()
    return make


def test_a_race_replays_and_is_fixed_once_it_is(language: str, build: Callable[..., None], tmp_path: Path) -> None:
    """In five rounds of five the racy build still fails and the fix is FIXED; so is one that keeps the schedule."""
    service = SERVICES[language]
    code, reported = _stress(tmp_path, "run", "scenario.yaml", "--target", "target.yaml", "--no-examples")
    assert code == 1, reported
    shutil.copy(tmp_path / "service" / "reports" / "latest" / "schedule.txt", tmp_path / "service" / "schedule.txt")
    for _ in range(ROUNDS):
        build()
        assert _replay(tmp_path, "--times", "2") == (1, "STILL FAILING 2/2")
        build(service.fixed, service.checked)
        code, line = _replay(tmp_path)
        assert (code, line.partition(": ")[0]) == (0, "FIXED (the schedule no longer exists; holds"), line
        assert len(line.splitlines()) == 1, line
    build(service.checked)
    assert _replay(tmp_path, "--times", "5") == (0, "FIXED 5/5")
    build(service.renamed)
    code, line = _replay(tmp_path)
    assert (code, line.partition(": ")[0]) == (1, "STILL FAILING by another schedule"), line
    why = "DIVERGED at step 2: expected A GET rec:{fresh}, saw A GET record:{fresh} or B start"
    assert line.splitlines()[1:] == [f"searched because the schedule can't be followed: {why}"]


def _replay(folder: Path, *words: str) -> tuple[int, str]:
    """Replay the schedule; give the exit code and what was printed."""
    code, reported = _stress(folder, "replay", "schedule.txt", *words)
    return code, reported.strip()


def _stress(folder: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        command(*words),
        cwd=folder / "service",
        env={**os.environ, "PATH": _path()},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def _path() -> str:
    """Give where programs are looked for: those that are installed beside Python first."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
