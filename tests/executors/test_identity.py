"""Which files make a Gateway another one: those of its program, however its command names it."""

from __future__ import annotations

import subprocess
from shutil import which
from typing import TYPE_CHECKING

import pytest

from stress.config.target import Target
from stress.core.errors import UsageFault
from stress.executors import identity as module
from stress.executors.identity import identity

if TYPE_CHECKING:
    from pathlib import Path


def changes(folder: Path, path: str, *command: str, **start: object) -> bool:
    """Tell whether the Gateway that a command starts in a folder is another one once a file there was written."""
    target = Target.model_validate({"name": "own", "start": {"command": list(command), **start}})
    before = identity(target, folder)
    assert identity(target, folder) == before
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text("changed")
    return identity(target, folder) != before


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """Make a folder with a program in Python, its installed packages and what a build has put into `dist`."""
    for path in ("app.py", "routes/alerts.py", "node_modules/express/index.js", "dist/main.js", "dist/other.js"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    return tmp_path


@pytest.fixture
def repository(app: Path) -> Path:
    """Put that folder under git, which ignores packages and builds."""
    (app / ".gitignore").write_text("node_modules/\ndist/\n*.log\n")
    for words in (["init", "-q"], ["add", "app.py", ".gitignore"]):
        subprocess.run(["git", *words], cwd=app, check=True)
    return app


@pytest.mark.parametrize(
    ("path", "another"),
    [
        ("app.py", True),
        ("routes/alerts.py", True),
        ("routes/reports/daily.py", True),
        ("new.py", True),
        ("__pycache__/app.cpython-311.pyc", False),
        (".mypy_cache/app.json", False),
        (".hypothesis/examples", False),
        (".gateway-stress/examples/own/1.txt", False),
        ("reports/latest/schedule.txt", False),
        ("reports/20260101-120000-two-own/schedule.txt", False),
    ],
)
def test_a_program_that_its_command_names_as_a_module_is_its_folder(app: Path, path: str, *, another: bool) -> None:
    """`uvicorn app:app` names no file: each file of the folder counts, but caches and what this tool writes."""
    assert changes(app, path, "sh", "-m", "app:app") is another


@pytest.mark.skipif(which("git") is None, reason="git is not installed")
@pytest.mark.parametrize(
    ("path", "another"),
    [
        ("app.py", True),
        ("routes/alerts.py", True),
        ("node_modules/express/index.js", False),
        ("today.log", False),
        ("dist/main.js", False),
        ("reports/latest/schedule.txt", False),
    ],
)
def test_in_a_repository_what_it_ignores_does_not_count(repository: Path, path: str, *, another: bool) -> None:
    """Files that git knows count, and those that it would add."""
    assert changes(repository, path, "sh", "-m", "app:app") is another


@pytest.mark.skipif(which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("command", [("sh", "dist/main.js"), ("sh", "dist"), ("dist/main.js",)])
@pytest.mark.parametrize("path", ["dist/main.js", "dist/other.js"])
def test_what_a_command_names_counts_although_it_is_ignored(
    repository: Path, command: tuple[str, ...], path: str
) -> None:
    """`node dist/main.js` is that file and what stands beside it."""
    assert changes(repository, path, *command)


@pytest.mark.skipif(which("git") is None, reason="git is not installed")
def test_a_program_that_a_variable_names_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another build under the same variable is another Gateway, as is another path in it."""
    home = tmp_path / "home"
    home.mkdir()
    target = Target.model_validate({"name": "own", "start": {"command": ["{env.OWN_GATEWAY}", "{port}"]}})
    seen = []
    for name, content in (("one", "1"), ("one", "2"), ("two", "2")):
        (tmp_path / name).write_text(content)
        monkeypatch.setenv("OWN_GATEWAY", str(tmp_path / name))
        seen.append(identity(target, home))
    assert len(set(seen)) == 3


def test_a_repository_has_nothing_run(repository: Path, tmp_path: Path) -> None:
    """A repository may name a program that tells git what has changed: it is not started."""
    (repository / "monitor.sh").write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    (repository / "monitor.sh").chmod(0o755)
    subprocess.run(["git", "config", "core.fsmonitor", str(repository / "monitor.sh")], cwd=repository, check=True)
    assert changes(repository, "app.py", "sh", "-m", "app:app")
    assert not (tmp_path / "ran").exists()
    subprocess.run(["git", "status"], cwd=repository, check=True, capture_output=True)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(("path", "another"), [("routes/alerts.py", True), ("routes/more.py", True), ("app.py", False)])
def test_sources_that_a_target_names_are_those_that_count(app: Path, path: str, *, another: bool) -> None:
    """`start.sources` are globs relative to the target file."""
    assert changes(app, path, "sh", "-m", "app:app", sources=["routes/**/*.py"]) is another


@pytest.mark.parametrize("limit", ["_MOST_BYTES", "_MOST_FILES"])
def test_of_a_folder_that_is_too_large_what_the_command_names_counts(
    app: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """With too many bytes or files the folder is left out."""
    monkeypatch.setattr(module, limit, 4)
    assert not changes(app, "routes/alerts.py", "sh", "app.py")
    assert changes(app, "app.py", "sh", "app.py")


def test_a_glob_that_finds_nothing_or_leads_elsewhere_is_a_fault(tmp_path: Path) -> None:
    """Each pattern has its line: what it misses, or why it is none."""
    for pattern, reported in (
        ("src/**/*.py", "start.sources.0: no file matches src/**/*.py (it is relative to this file)"),
        ("/src/*.py", "start.sources.0: '/src/*.py' is no glob relative to this file (write such as src/**/*.py)"),
        ("**.py", "start.sources.0: '**.py' is no glob relative to this file (write such as src/**/*.py)"),
    ):
        file = tmp_path / "own.yaml"
        file.write_text(f"name: own\nstart: {{command: [sh], sources: ['{pattern}']}}\n")
        with pytest.raises(UsageFault) as caught:
            Target.load(file)
        assert [str(one).partition("own.yaml:2:34: ")[2] for one in caught.value.faults] == [reported]
