"""Which Gateway a target is: its file, and the program that the file starts, so that a changed one is another."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

from stress import gateways
from stress.config.placeholders import from_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stress.config.target import Target
    from stress.config.target_parts import Start

UNKNOWN = "unknown"
"""The identity of a Gateway that runs already: its program can't be seen."""
_MOST_BYTES, _MOST_FILES = 200 << 20, 20_000
"""How large a folder may be whose files are looked at."""
_CACHES = re.compile(r"\.(git|hg|svn|venv|tox|nox|gradle|idea|hypothesis|gateway-stress)|__pycache__|\.?\w*_?cache")
"""Folders that change although the program does not, or that hold what others made."""
_REPORTS = re.compile(r"(.*/)?reports/(latest|\d{8}-\d{6}-[^/]*)/.*|(.*/)?\.(gateway-stress|hypothesis)/.*")
"""Files that this tool writes itself."""


def identity(target: Target, folder: Path | None = None) -> str:
    """Give twelve hex digits that change when the target file changes its meaning, or the program that it starts.

    The program is the executable, each argument that names a file or a folder and what stands beside such a file in a
    folder below the one it starts in; and its sources: the files that `start.sources` names, else those that git lists
    for the folder that it starts in, else the files in that folder, if there are not too many. What the environment
    holds, such as installed packages, is not looked at. ``folder`` is what the paths are relative to.
    """
    if target.protocol is None and target.start is None:
        return UNKNOWN
    digest = hashlib.sha256(target.digest.encode())
    for name, file in sorted(_files(target, folder or Path.cwd()).items()):
        digest.update(f"{name}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _files(target: Target, folder: Path) -> dict[str, Path]:
    """Give the files by their names, which are relative to where the Gateway starts."""
    start = target.start
    if start is None:
        return {"": Path(gateways.__file__).with_name(f"{str(target.protocol).replace('-', '_')}.py")}
    home = (folder / start.folder).resolve()
    named = [file for file in _named(start, home) if os.access(file, os.R_OK)]
    sources = _bounded(_sources(start, home, folder), home)
    return {os.path.relpath(file, home): file for file in (*named, *sources)}


def _named(start: Start, home: Path) -> list[Path]:
    """List the executable, and the files and folders that the command names."""
    command = [from_environment(word) for word in start.command]
    program = which(command[0]) if "/" not in command[0] else None
    words = [program or command[0], *(word for word in command[1:] if "{" not in word)]
    found: list[Path] = []
    for word in words:
        path = home / word
        inside = path if path.is_dir() else path.parent
        found += [path] if path.is_file() else []
        if inside != home and inside.is_relative_to(home) and path.exists() and "node_modules" not in path.parts:
            found += _bounded(_walked(inside), home)
    return found


def _sources(start: Start, home: Path, folder: Path) -> Iterable[Path]:
    if start.sources:
        return (file for pattern in start.sources for file in folder.glob(pattern) if file.is_file())
    listed = _listed_by_git(home)
    return _walked(home) if listed is None else listed


def _listed_by_git(home: Path) -> list[Path] | None:
    """List what git knows or would add below a folder; None where that is in no repository, or git is not there."""
    # What a repository names as its monitor would be run.
    words = ("git", "-c", "core.fsmonitor=false", "ls-files", "-coz", "--exclude-standard")
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(words, cwd=home, env=env, capture_output=True, check=False)  # noqa: S603 - fixed words
    except OSError:
        return None
    return [home / os.fsdecode(name) for name in done.stdout.split(b"\0") if name] if done.returncode == 0 else None


def _walked(folder: Path) -> Iterator[Path]:
    """Give the files of a folder, without caches."""
    for inside, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _CACHES.fullmatch(name)]
        yield from (Path(inside, name) for name in names)


def _bounded(files: Iterable[Path], home: Path) -> list[Path]:
    """Give those files that can be read and that this tool has not written; none where they are too many."""
    found: list[Path] = []
    size = 0
    for file in files:
        own = _REPORTS.fullmatch(os.path.relpath(file, home))
        if own or not file.is_file() or not os.access(file, os.R_OK):
            continue
        size += file.stat().st_size
        found.append(file)
        if size > _MOST_BYTES or len(found) > _MOST_FILES:
            return []
    return found
