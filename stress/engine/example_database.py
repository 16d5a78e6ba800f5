"""The example database: schedules that failed are kept, and tried first the next time, as hypothesis does it.

A case has a folder of schedule files, which `stress-gateway replay` follows too. A schedule is
kept as long as it fails. Its target may change, as that is what somebody fixes; its scenario may not, as a schedule of
another one may have moves that this one does not allow.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol

from stress.core.errors import UsageFault
from stress.core.masking import mask_text, masked_lines
from stress.core.schedule import parse
from stress.engine.running import follow

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from stress.config.scenario import Scenario
    from stress.config.target import Target
    from stress.core.schedule import Schedule
    from stress.engine.running import Executor

_LONGEST = 80
"""How much of a name goes into the name of a folder; file systems take 255 bytes."""


class Searched(Protocol):
    """What has examples: one scenario on one target."""

    @property
    def scenario(self) -> Scenario:
        """The scenario."""

    @property
    def target(self) -> Target:
        """The target."""


class Examples(Protocol):
    """Where failing schedules are kept. One that is given out is judged like any other: it proves nothing by itself.

    Whatever writes raises OSError when the disk refuses.
    """

    def schedules(self, case: Searched) -> list[Schedule]:
        """Give the schedules to try first, those with the fewest preemptions before others."""

    def keep(self, case: Searched, schedules: Sequence[Schedule]) -> None:
        """Keep schedules that failed."""

    def drop(self, case: Searched, schedules: Sequence[Schedule]) -> None:
        """Remove schedules that can't be followed any more, or pass."""


class Nothing:
    """Keeps nothing."""

    def schedules(self, case: Searched) -> list[Schedule]:  # noqa: ARG002 - the interface
        """Give no schedule."""
        return []

    def keep(self, case: Searched, schedules: Sequence[Schedule]) -> None:
        """Keep none."""

    def drop(self, case: Searched, schedules: Sequence[Schedule]) -> None:
        """Remove none."""


class Folder:
    """Keeps schedules below a folder, in ``<scenario>-<target>/``, each in a file that is named by its moves.

    Schedule files that were put there by hand are tried too. What is no schedule file is left alone.
    """

    def __init__(self, root: Path) -> None:
        """Take the folder; it is made when there is something to keep."""
        self._root = root

    def schedules(self, case: Searched) -> list[Schedule]:
        """Give the schedules to try first, and remove those that another version of the scenario left."""
        found = []
        for path, schedule in self._files(case):
            if schedule.head.scenario_digest == case.scenario.digest:
                found.append(schedule)
            else:
                with suppress(OSError):  # a folder that may only be read
                    path.unlink()
        return sorted(found, key=lambda schedule: (schedule.preemptions(), len(schedule.moves), schedule.moves))

    def keep(self, case: Searched, schedules: Sequence[Schedule]) -> None:
        """Write each schedule that is not there yet under another name first, so that it is whole or not there."""
        known = {schedule.moves for _, schedule in self._files(case)} if schedules else set()
        for schedule in schedules:
            if schedule.moves in known:
                continue
            folder = self._of(case)
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{name_of(schedule)}.txt"
            beside = folder / f".{name_of(schedule)}.{os.getpid()}"
            try:
                beside.write_text(masked_lines(schedule.text()), errors="backslashreplace")
                beside.replace(path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise

    def drop(self, case: Searched, schedules: Sequence[Schedule]) -> None:
        """Remove the files of schedules."""
        gone = {schedule.moves for schedule in schedules}
        for path, schedule in self._files(case) if gone else ():
            if schedule.moves in gone:
                path.unlink(missing_ok=True)

    def _of(self, case: Searched) -> Path:
        names = (mask_text(case.scenario.name), mask_text(case.target.name))
        return self._root / "-".join(re.sub(r"[^A-Za-z0-9.-]+", "-", name)[:_LONGEST] for name in names)

    def _files(self, case: Searched) -> list[tuple[Path, Schedule]]:
        found = []
        for path in sorted(self._of(case).glob("*.txt")):
            with suppress(OSError, UnicodeDecodeError, UsageFault):
                found.append((path, parse(path.read_text(), str(path))))
        return found


class Regression(NamedTuple):
    """A schedule that must never fail again, and the name of its file; ``unfit`` says why it is not tried, if so."""

    file: str
    schedule: Schedule
    unfit: str = ""


class Earlier(NamedTuple):
    """What earlier runs left of a case: schedules that failed, and those that must never fail again."""

    examples: Sequence[Schedule] = ()
    regressions: Sequence[Regression] = ()

    @property
    def first(self) -> list[Schedule]:
        """The schedules to try first, each once: regressions, then the others."""
        kept = [one.schedule for one in self.regressions if not one.unfit]
        known = {schedule.moves for schedule in kept}
        return kept + [schedule for schedule in self.examples if schedule.moves not in known]

    async def notes(self, stale: Collection[Schedule], tried: int, executor: Executor) -> list[str]:
        """Name the regressions that were not tried, and of the ``stale`` schedules those that can't be followed.

        The other stale ones passed. ``tried`` is how many schedules were followed; only where those are not all, stale
        ones are followed once more, to find out.
        """
        notes = [f"regression not tried: {one.file}: {one.unfit}" for one in self.regressions if one.unfit]
        if tried == len(self.first):
            return notes
        doubted = [one for one in self.regressions if one.schedule in stale]
        gone = [one.file for one in doubted if (await follow(one.schedule, executor)).fault.startswith("DIVERGED")]
        return notes + [f"regression that can't be followed any more: {file}" for file in gone]


NOTHING = Earlier()
"""Nothing is known of earlier runs."""


def name_of(schedule: Schedule) -> str:
    """Name a schedule by its moves: twelve hex digits."""
    return hashlib.sha256("\n".join(map(str, schedule.moves)).encode()).hexdigest()[:12]
