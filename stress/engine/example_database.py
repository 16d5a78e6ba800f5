"""The example database: orders that failed are kept, and tried first the next time, as hypothesis does it.

A pair of scenario and target has a folder of order files, which `stress-gateway replay` follows too. An order is kept
as long as it fails. Its target may change, as that is what somebody mends; its scenario may not, as an order of another
one may have moves that this one does not allow.
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
    from stress.core.schedule import Order
    from stress.engine.running import World

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
    """Where failing orders are kept. An order that is given out is judged like any other: it proves nothing by itself.

    Whatever writes raises OSError when the disk refuses.
    """

    def orders(self, pair: Searched) -> list[Order]:
        """Give the orders to try first, those with the fewest switches before others."""

    def keep(self, pair: Searched, orders: Sequence[Order]) -> None:
        """Keep orders that failed."""

    def drop(self, pair: Searched, orders: Sequence[Order]) -> None:
        """Remove orders that can't be followed any more, or pass."""


class Nothing:
    """Keeps nothing."""

    def orders(self, pair: Searched) -> list[Order]:  # noqa: ARG002 - the interface
        """Give no order."""
        return []

    def keep(self, pair: Searched, orders: Sequence[Order]) -> None:
        """Keep none."""

    def drop(self, pair: Searched, orders: Sequence[Order]) -> None:
        """Remove none."""


class Folder:
    """Keeps orders below a folder, in ``<scenario>-<target>/``, each in a file that is named by its moves.

    Order files that were put there by hand are tried too. What is no order file is left alone.
    """

    def __init__(self, root: Path) -> None:
        """Take the folder; it is made when there is something to keep."""
        self._root = root

    def orders(self, pair: Searched) -> list[Order]:
        """Give the orders to try first, and remove those that another version of the scenario left."""
        found = []
        for path, order in self._files(pair):
            if order.head.scenario_digest == pair.scenario.digest:
                found.append(order)
            else:
                with suppress(OSError):  # a folder that may only be read
                    path.unlink()
        return sorted(found, key=lambda order: (order.switches(), len(order.moves), order.moves))

    def keep(self, pair: Searched, orders: Sequence[Order]) -> None:
        """Write each order that is not there yet under another name first, so that it is whole or not there."""
        known = {order.moves for _, order in self._files(pair)} if orders else set()
        for order in orders:
            if order.moves in known:
                continue
            folder = self._of(pair)
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{name_of(order)}.txt"
            beside = folder / f".{name_of(order)}.{os.getpid()}"
            try:
                beside.write_text(masked_lines(order.text()), errors="backslashreplace")
                beside.replace(path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise

    def drop(self, pair: Searched, orders: Sequence[Order]) -> None:
        """Remove the files of orders."""
        gone = {order.moves for order in orders}
        for path, order in self._files(pair) if gone else ():
            if order.moves in gone:
                path.unlink(missing_ok=True)

    def _of(self, pair: Searched) -> Path:
        names = (mask_text(pair.scenario.name), mask_text(pair.target.name))
        return self._root / "-".join(re.sub(r"[^A-Za-z0-9.-]+", "-", name)[:_LONGEST] for name in names)

    def _files(self, pair: Searched) -> list[tuple[Path, Order]]:
        found = []
        for path in sorted(self._of(pair).glob("*.txt")):
            with suppress(OSError, UnicodeDecodeError, UsageFault):
                found.append((path, parse(path.read_text(), str(path))))
        return found


class Regression(NamedTuple):
    """An order that must never fail again, and the name of its file; ``unfit`` says why it is not tried, if so."""

    file: str
    order: Order
    unfit: str = ""


class Earlier(NamedTuple):
    """What earlier runs left of a pair: orders that failed, and those that must never fail again."""

    examples: Sequence[Order] = ()
    regressions: Sequence[Regression] = ()

    @property
    def first(self) -> list[Order]:
        """The orders to try first, each once: regressions, then the others."""
        kept = [one.order for one in self.regressions if not one.unfit]
        known = {order.moves for order in kept}
        return kept + [order for order in self.examples if order.moves not in known]

    async def notes(self, stale: Collection[Order], tried: int, world: World) -> list[str]:
        """Name the regressions that were not tried, and those of the ``stale`` orders that can't be followed any more.

        The other stale ones passed. ``tried`` is how many orders were followed; only where those are not all, stale
        ones are followed once more, to tell.
        """
        told = [f"regression not tried: {one.file}: {one.unfit}" for one in self.regressions if one.unfit]
        if tried == len(self.first):
            return told
        doubted = [one for one in self.regressions if one.order in stale]
        gone = [one.file for one in doubted if (await follow(one.order, world)).fault.startswith("DIVERGED")]
        return told + [f"regression that can't be followed any more: {file}" for file in gone]


NOTHING = Earlier()
"""Nothing is known of earlier runs."""


def name_of(order: Order) -> str:
    """Name an order by its moves: twelve hex digits."""
    return hashlib.sha256("\n".join(map(str, order.moves)).encode()).hexdigest()[:12]
