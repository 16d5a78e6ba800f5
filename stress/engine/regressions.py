"""Regressions: orders that failed once and were promoted; each run of their scenario begins with them.

They are order files in the folder ``regressions`` beside the scenario's own file, or the target's where the scenario is
a bundled one and the target is not: in git, so that everybody has them, and never changed or removed by a run. An order
is tried on the target whose name it has.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from stress.config.formats import bundled
from stress.core.errors import Fault, Place, UsageFault
from stress.core.schedule import parse
from stress.core.step import ENVIRONMENT
from stress.engine.example_database import Regression

if TYPE_CHECKING:
    from stress.config.formats import File
    from stress.config.scenario import Scenario
    from stress.core.schedule import Order
    from stress.engine.example_database import Searched

FOLDER = "regressions"
"""The name of the folder beside a scenario's file."""


def regressions(pair: Searched) -> list[Regression]:
    """Give the regressions of a pair, those with the fewest switches before others.

    Raises:
        UsageFault: when a file that ends in ``.txt`` is no order file, with its place.

    """
    found: list[Regression] = []
    faults: list[Fault] = []
    for path in files(home(pair)):
        try:
            order = read(path)
        except UsageFault as fault:
            faults += fault.faults
            continue
        if (order.head.scenario, order.head.target) == (pair.scenario.name, pair.target.name):
            found.append(Regression(f"{FOLDER}/{path.name}", order, unfit(order, pair.scenario)))
    if faults:
        raise UsageFault(faults)
    return sorted(found, key=lambda one: (one.order.switches(), len(one.order.moves), one.file))


def home(pair: Searched) -> Path:
    """Give the folder of a pair's regressions, which need not be there."""
    own = pair.target.folder is not None and not pair.target.folder.is_relative_to(bundled(""))
    return beside(pair.target if own and pair.scenario.folder == bundled("") else pair.scenario)


def beside(file: File) -> Path:
    """Give the folder beside a file; of one that was never read, the folder where there is none."""
    return (file.folder or Path(os.devnull)) / FOLDER


def files(folder: Path) -> list[Path]:
    """List the order files of a folder of regressions."""
    return sorted(folder.glob("*.txt"))


def read(path: Path) -> Order:
    """Read an order file.

    Raises:
        UsageFault: when it can't be read or is none, with its place.

    """
    try:
        return parse(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageFault([Fault(Place(str(path), 1, 1), f"can't be read: {why}", "name an order file")]) from None


def unfit(order: Order, scenario: Scenario) -> str:
    """Say what in an order its scenario does not allow (any more): it would blame the Gateway for what can't happen."""
    for actor, times in Counter(move.actor for move in order.moves if move.actor in ENVIRONMENT).items():
        allowed = {str(name): one.at_most for name, one in scenario.actors.items()}.get(actor, 0)
        if times > allowed:
            return f"{actor} moves {times} times in it, and the scenario allows {allowed}"
    return ""
