"""Regressions: schedules that failed once and were promoted; each run of their scenario begins with them.

They are schedule files in the folder ``regressions`` beside the scenario's own file, or the target's where the scenario
is a bundled one and the target is not: in git, so that everybody has them, and never changed or removed by a run. Where
both are bundled that is the folder of a checkout, or else the one where we are: nothing of a user goes into a package
that is installed. A schedule is tried on the target whose name it has.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from stress.config.formats import bundled, is_bundled
from stress.core.errors import Fault, Place, UsageFault
from stress.core.schedule import parse
from stress.core.step import ENVIRONMENT
from stress.engine.example_database import Regression

if TYPE_CHECKING:
    from stress.config.scenario import Scenario
    from stress.core.schedule import Schedule
    from stress.engine.example_database import Searched

FOLDER = "regressions"
"""The name of the folder beside a scenario's file."""


def regressions(case: Searched) -> list[Regression]:
    """Give the regressions of a case, those with the fewest preemptions before others.

    Raises:
        UsageFault: when a file that ends in ``.txt`` is no schedule file, with its place.

    """
    found: list[Regression] = []
    faults: list[Fault] = []
    for path in files(home(case)):
        try:
            schedule = read(path)
        except UsageFault as fault:
            faults += fault.faults
            continue
        if (schedule.head.scenario, schedule.head.target) == (case.scenario.name, case.target.name):
            found.append(Regression(f"{FOLDER}/{path.name}", schedule, unfit(schedule, case.scenario)))
    if faults:
        raise UsageFault(faults)
    return sorted(found, key=lambda one: (one.schedule.preemptions(), len(one.schedule.moves), one.file))


def home(case: Searched) -> Path:
    """Give the folder of a case's regressions, which need not be there."""
    scenario, target = case.scenario.folder, case.target.folder
    if scenario is None:  # it was never read
        return Path(os.devnull) / FOLDER
    own = next((folder for folder in (scenario, target) if folder is not None and not is_bundled(folder)), None)
    return (own or (bundled("") if bundled("").name == "scenarios" else Path())) / FOLDER


def files(folder: Path) -> list[Path]:
    """List the schedule files of a folder of regressions."""
    return sorted(folder.glob("*.txt"))


def read(path: Path) -> Schedule:
    """Read a schedule file.

    Raises:
        UsageFault: when it can't be read or is none, with its place.

    """
    try:
        return parse(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageFault([Fault(Place(str(path), 1, 1), f"can't be read: {why}", "name a schedule file")]) from None


def unfit(schedule: Schedule, scenario: Scenario) -> str:
    """Say what in a schedule its scenario does not allow: it would blame the Gateway for what can't happen."""
    for actor, times in Counter(move.actor for move in schedule.moves if move.actor in ENVIRONMENT).items():
        allowed = {str(name): one.at_most for name, one in scenario.actors.items()}.get(actor, 0)
        if times > allowed:
            return f"{actor} moves {times} times in it, and the scenario allows {allowed}"
    return ""
