"""The outcome of each test, from the JUnit files that a run has written."""

from __future__ import annotations

from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_BYTES = 50 * 2**20

Stamps = dict[str, tuple[int, int, int]]
"""When each file was written last: what tells a file of this run from one of an earlier run."""


def stamps(pattern: str) -> Stamps:
    """Note the files that are there; ``pattern`` is a path, which may hold ``*``, ``?`` and ``**``."""
    found = {}
    for name in glob(pattern, recursive=True):  # noqa: PTH207 - a pattern from the user may be absolute
        stat = Path(name).stat()
        found[name] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    return found


def outcomes(pattern: str, before: Stamps) -> dict[str, bool]:
    """Tell for each test whether it passed, from files written since ``before``; skipped tests are left out.

    A test that stands there several times (it was run again) has passed when it did so each time.

    Raises:
        ValueError: when a file is no JUnit file.

    """
    found: dict[str, bool] = {}
    for name, stamp in sorted(stamps(pattern).items()):
        if before.get(name) != stamp:
            for test, passed in _cases(Path(name)).items():
                found[test] = found.get(test, True) and passed
    return found


def _cases(file: Path) -> Mapping[str, bool]:
    if file.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{file} is larger than {_MOST_BYTES >> 20} MiB")
    try:
        tree = ET.parse(file)  # noqa: S314 - the user's own file; expat refuses what unfolds to too much
    except ET.ParseError as error:
        raise ValueError(f"{file} is no JUnit file: {error}") from None
    found: dict[str, bool] = {}
    for case in tree.iter("testcase"):
        if case.find("skipped") is not None:
            continue
        name = "::".join(word for word in (case.get("classname"), case.get("name")) if word)
        failed = case.find("failure") is not None or case.find("error") is not None
        found[name] = found.get(name, True) and not failed
    return found
