"""Which files of a stack are the service's own, and how they are called."""

from __future__ import annotations

import os
import re
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from stress.processes.source_lines.stacks import ANYWHERE, JVM

if TYPE_CHECKING:
    from stress.config.target_parts import Start
    from stress.processes.source_lines.stacks import Stack

_OF_LIBRARIES = re.compile(
    r"(^|/)(\.[^/]+|site-packages|dist-packages|node_modules|lib(64)?/python[\d.]+|pkg/mod|go[\d.]*/src|vendor(?=/.*\.go$))/"
)
"""What is in a folder of the service and is not its own: installed packages, standard libraries, hidden folders."""
_MOST_FILES = 20_000


class Sources:
    """The files that belong to a service: below the folder it starts in, beside its target, beside those it names."""

    def __init__(self, start: Start, folder: Path) -> None:
        """Take how it is started, and ``folder``, which the target's paths are relative to."""
        home = (folder / start.folder).resolve()
        named = [home / word for word in start.command[1:] if "{" not in word]
        matched = (file for pattern in start.sources for file in folder.glob(pattern))
        beside = [file.resolve().parent for file in (*named, *matched) if file.is_file()]
        roots = dict.fromkeys([home, folder.resolve(), *beside])
        self._roots = [str(root) for root in roots if root != Path("/")]
        self.own = lru_cache(maxsize=None)(self._own)

    def lines(self, stack: Stack) -> tuple[str, ...]:
        """Give the lines of a stack that are the service's own, the innermost first: ``app.py:31``."""
        own = ((self.own(place.file), place.line) for place in stack)
        return tuple(f"{file}:{line}" for file, line in own if file)

    def _own(self, file: str) -> str:
        """Give the name of a file that is the service's own, relative to its folder; else nothing."""
        if file.startswith(ANYWHERE):
            return self._of_the_jvm.get(file.removeprefix(ANYWHERE), "")
        path = os.path.realpath(file)
        for root in self._roots:
            name = os.path.relpath(path, root)
            if not name.startswith("../") and not _OF_LIBRARIES.search(name) and os.path.isfile(path):  # noqa: PTH113
                return name
        return ""

    @cached_property
    def _of_the_jvm(self) -> dict[str, str]:
        """The names of its files by package and name: a folder for each word of the package, as it is usual."""
        found: dict[str, str] = {}
        files = ((name, path) for name, path in self._files if name.endswith(JVM.files))
        for path, name in {path: name for name, path in reversed(list(files))}.items():
            parts = path.split("/")
            for at in range(1, len(parts)):
                tail = "/".join(parts[at:])
                found[tail] = "" if tail in found else name  # of several none is known to be meant
        return found

    def holds(self, endings: tuple[str, ...]) -> bool:
        """Tell whether any file of the service has one of these endings."""
        return any(name.endswith(endings) and not _OF_LIBRARIES.search(name) for name, _ in self._files)

    @cached_property
    def _files(self) -> list[tuple[str, str]]:
        """The files of the service by name and path."""
        found: list[tuple[str, str]] = []
        for root in self._roots:
            for inside, folders, names in os.walk(root):
                folders[:] = [one for one in folders if not one.startswith(".") and one != "node_modules"]
                found += [(os.path.relpath(f"{inside}/{name}", root), f"{inside}/{name}") for name in names]
                if len(found) > _MOST_FILES:
                    return found
        return found
