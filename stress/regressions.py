"""Regressions: orders that failed once and were promoted; each run of their scenario begins with them.

They are order files in the folder ``regressions`` beside the scenario's own file: in git, so that everybody has them,
and never changed or removed by a run. An order is tried on the target whose name it has.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from stress.errors import Fault, Place, UsageFault
from stress.explore.base import ENVIRONMENT
from stress.order import parse
from stress.resume import Regression

if TYPE_CHECKING:
    from pathlib import Path

    from stress.examples import Searched
    from stress.order import Order
    from stress.scenario import Scenario

FOLDER = "regressions"
"""The name of the folder beside a scenario's file."""


def regressions(pair: Searched) -> list[Regression]:
    """Give the regressions of a pair, those with the fewest switches before others.

    Raises:
        UsageFault: when a file that ends in ``.txt`` is no order file, with its place.

    """
    found: list[Regression] = []
    faults: list[Fault] = []
    for path in files(pair.scenario.folder):
        try:
            order = read(path)
        except UsageFault as fault:
            faults += fault.faults
            continue
        if (order.head.scenario, order.head.target) == (pair.scenario.name, pair.target.name):
            found.append(Regression(f"{FOLDER}/{path.name}", order, _unfit(order, pair.scenario)))
    if faults:
        raise UsageFault(faults)
    return sorted(found, key=lambda one: (one.order.switches(), len(one.order.moves), one.file))


def files(folder: Path | None) -> list[Path]:
    """List the files of regressions beside the scenario files of a folder (None: of a scenario that has no file)."""
    return sorted((folder / FOLDER).glob("*.txt")) if folder is not None else []


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


def _unfit(order: Order, scenario: Scenario) -> str:
    """Say what in an order its scenario does not allow (any more): it would blame the Gateway for what can't happen."""
    for actor, times in Counter(move.actor for move in order.moves if move.actor in ENVIRONMENT).items():
        allowed = {str(name): one.at_most for name, one in scenario.actors.items()}.get(actor, 0)
        if times > allowed:
            return f"{actor} moves {times} times in it, and the scenario allows {allowed}"
    return ""
