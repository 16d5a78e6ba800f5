"""What a search begins with: orders that failed before, and what one ran that was interrupted, if it may go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stress.journal import Journal, Origin
from stress.order import Order
from stress.running import follow
from stress.trace import Kind
from stress.worlds.identity import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from stress.running import World
    from stress.trace import Trace


class Regression(NamedTuple):
    """An order that must never fail again, and the name of its file; ``unfit`` says why it is not tried, if so."""

    file: str
    order: Order
    unfit: str = ""


class Earlier(NamedTuple):
    """What earlier runs left of a pair: orders that failed, and the file of a search that was interrupted.

    With ``fresh`` that search does not go on, and the file is for the new one.
    """

    examples: Sequence[Order] = ()
    journal: Path | None = None
    fresh: bool = False
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
"""Nothing is known of earlier runs, and nothing is kept for later ones."""


def journal_of(earlier: Earlier, world: World, seed: int) -> Journal | None:
    """Open the journal of a search; None where none is kept.

    In the model an order costs less than a line of a file. Hypothesis draws from more than a seed. Of a Gateway that
    runs already nobody knows whether it is still the same.
    """
    explorer = world.scenario.search.explorer
    if earlier.journal is None or world.name == "model" or explorer == "hypothesis" or world.digest == UNKNOWN:
        return None
    origin = Origin(world.scenario.digest, world.digest, world.name, explorer, seed)
    return Journal(earlier.journal, origin, fresh=earlier.fresh)


async def check(journal: Journal, world: World) -> list[str]:
    """Run the first and the last recorded order again; where one leads to something else, all of them are dropped.

    The digest of a target tells its program, but not what that loads: who mends a Gateway in between must not be told
    of orders that the old one ran. Gives the notes that the user should have of that.
    """
    for trace in journal.ends():
        again = await follow(Order(tuple(trace.moves)), world)
        if again.fault or _story(again) != _story(trace):
            journal.forget()
            return ["began anew: the Gateway is not the one whose search was interrupted"]
    return []


def _story(trace: Trace) -> object:
    """Give what must be the same, whoever slept meanwhile."""
    return [event.signature for event in trace.events if event.kind is not Kind.BLOCKED], trace.outcome
