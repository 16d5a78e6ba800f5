"""Unmodified tests of users, in four languages with their own runners: what races is found, what is right is not."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from commands import stress

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = [pytest.mark.cases, pytest.mark.unmeasured]

SUITES = Path(__file__).parent / "suites"
NIGHT = os.environ.get("STRESS_NIGHTLY") == "1"
RUNS = 200 if NIGHT else 20
JUNIT = "lib/junit-platform-console-standalone-1.10.2.jar"
REPEAT = r"FAILS under a schedule: the schedule below failed again in (\d+) of \1 replays"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies"


class Suite(NamedTuple):
    """What a suite needs, what fetches its libraries and builds it, and the command of one of its tests."""

    needs: Sequence[str]
    ready: Sequence[Sequence[str]]
    racy: Sequence[str]
    fixed: Sequence[str]


def _go(test: str) -> list[str]:
    return ["go", "test", "-count=1", "-vet=off", "-run", test]


def _java(test: str) -> list[str]:
    return [
        "java",
        "-jar",
        JUNIT,
        "execute",
        "-cp",
        ".",
        "--disable-banner",
        "-m",
        f"CounterTest#{test}",
    ]


def _node(test: str) -> list[str]:
    return ["node", "--test", f"--test-name-pattern={test}", "counter.test.js"]


def _python(test: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"counter_pytest.py::{test}"]


FOLLOWED = {
    "python": Suite((), (), _python("test_racy"), _python("test_fixed")),
    "go": Suite(("go",), (), _go("TestRacy"), _go("TestFixed")),
    "node": Suite(("node",), (), _node("racy"), _node("fixed")),
    "java": Suite(
        ("java", "javac", "mvn"),
        (("mvn", "-q", "-B", COPY, "-DoutputDirectory=lib"), ("javac", "-cp", "lib/*", "CounterTest.java")),
        _java("racy"),
        _java("fixed"),
    ),
}


NIGHTLY = pytest.mark.skipif(not NIGHT, reason="a minute or more a language: STRESS_NIGHTLY=1 runs it")


@pytest.fixture(params=["python", *(pytest.param(name, marks=NIGHTLY) for name in ("go", "java", "node"))])
def place(request: pytest.FixtureRequest, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of a suite, ready to run; skip what is not installed, or can't be fetched."""
    name: str = request.param
    suite = FOLLOWED[name]
    if missing := [one for one in suite.needs if shutil.which(one) is None]:
        pytest.skip(f"{' and '.join(missing)} not installed")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # those of this environment are not the user's
    sources = sorted(path for path in (SUITES / name).iterdir() if path.is_file())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    folder = Path(pytestconfig.cache.mkdir("wrap")) / f"{name}-{digest}"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(SUITES / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
        for words in suite.ready:
            done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"{' '.join(words[:2])} failed: {(done.stderr or done.stdout).strip()[-200:]}")
        (folder / "done").touch()
    return folder


def test_what_races_is_found_and_fails_again_in_twenty_of_twenty(place: Path) -> None:
    """The runner's exit code is the verdict, and nothing of the test is changed."""
    suite = FOLLOWED[place.name.partition("-")[0]]
    said = stress(place, "wrap", "--store", "redis", "--times", "12", "--seconds", "300", "--", *suite.racy)
    assert (said.code, said.err) == (1, "")
    assert re.fullmatch(REPEAT, said.lines[4])
    file = ["--schedule", "reports/latest/schedule.txt", "--times", "20", "--seconds", "300"]
    repeat = stress(place, "wrap", "--store", "redis", *file, "--", *suite.racy)
    assert (repeat.code, repeat.lines[2]) == (1, "scheduled alone                20 of 20 failed")


def test_what_is_right_is_not_accused(place: Path) -> None:
    """A failing run would be a false race."""
    suite = FOLLOWED[place.name.partition("-")[0]]
    said = stress(place, "wrap", "--store", "redis", "--times", str(RUNS), "--seconds", "1500", "--", *suite.fixed)
    assert said.lines[0].startswith("free alone                     0 of ")
    assert said.lines[2] == f"scheduled alone                0 of {RUNS} failed"
    assert said.code == 0
