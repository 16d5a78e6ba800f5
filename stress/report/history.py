"""What earlier runs of each case came to, read from the report folders that are still there."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from stress.core.verdict import Ruling, counted

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

MOST_RUNS = 10
"""How many runs of a case are shown."""
_MOST_READ = 400
"""How many folders are read, the newest of them."""
_LARGEST = 4_000_000
"""Bytes of a result.json that is read."""
_NAME = re.compile(r"(?P<day>\d{8})-(?P<time>\d{6})-.+")


class Run(NamedTuple):
    """One earlier run of a case. ``folder`` is the name of its folder, ``when`` the local time at which it was written.

    ``schedules`` is how many it ran, in ``seconds``.
    """

    folder: str
    when: str
    ruling: str
    as_expected: bool
    schedules: int
    seconds: float

    @property
    def ran(self) -> str:
        """How many schedules it ran, in words."""
        return counted(self.schedules, "schedule")


def history(root: Path, without: Collection[str] = ()) -> dict[tuple[str, str], list[Run]]:
    """Give the last runs of each case, the newest last; folders named in ``without`` are not.

    What can't be read, or is no result of this program, is left out.
    """
    try:
        names = sorted((path.name for path in root.iterdir() if _NAME.fullmatch(path.name)), reverse=True)
    except OSError:
        return {}
    found: dict[tuple[str, str], list[Run]] = {}
    for name in [name for name in names if name not in without][:_MOST_READ]:
        read = _read(root / name / "result.json")
        run = _run(name, read) if read is not None else None
        if read is None or run is None:
            continue
        runs = found.setdefault((read["scenario"], read["target"]), [])
        if len(runs) < MOST_RUNS:
            runs.insert(0, run)
    return found


def _read(path: Path) -> dict[str, Any] | None:
    try:
        if path.stat().st_size > _LARGEST:
            return None
        read = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _run(name: str, read: dict[str, Any]) -> Run | None:
    search = read.get("search")
    if not (isinstance(read.get("scenario"), str) and isinstance(read.get("target"), str) and isinstance(search, dict)):
        return None
    ruling, schedules, seconds = read.get("verdict"), search.get("schedules"), search.get("seconds")
    if ruling not in list(Ruling) or not isinstance(schedules, int) or not isinstance(seconds, int | float):
        return None
    match = _NAME.fullmatch(name)
    day, time = (match["day"], match["time"]) if match else ("", "")
    when = f"{day[:4]}-{day[4:6]}-{day[6:]} {time[:2]}:{time[2:4]}:{time[4:]}"
    return Run(name, when, str(ruling), read.get("as_expected") is True, schedules, float(seconds))
