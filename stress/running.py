"""One order in one world: an order in, a trace out."""

from __future__ import annotations

import math
import sys
import time
from contextlib import aclosing
from operator import length_hint
from typing import TYPE_CHECKING, Protocol, TypeVar, overload

from stress.checks import check_named, run_checks, undecided
from stress.explore.base import ENVIRONMENT
from stress.explore.loose import Loose, Ran
from stress.explore.replay import Replay
from stress.order import Head, Order
from stress.trace import Trace
from stress.worlds.asked import Asked
from stress.worlds.lanes import Lanes
from stress.worlds.wire import WireWorld

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Coroutine, Generator, Iterable

    from stress.explore.base import Explorer
    from stress.explore.interleaving import Interleaving
    from stress.scenario import Scenario
    from stress.target import Target
    from stress.verdict import Violation
    from stress.worlds.model import ModelWorld

Found = TypeVar("Found")


class World(Protocol):
    """Where a run happens: at once in the model, awaited on the wire. ``digest`` tells one Gateway from another."""

    name: str
    scenario: Scenario
    target: Target
    digest: str

    def run(
        self, explorer: Explorer, fresh: str | None = None, also: frozenset[str] = frozenset()
    ) -> Trace | Coroutine[None, None, Trace]:
        """Run one order that the explorer chooses; ``also`` may act although the scenario does not name them."""

    def abandoned(self, reason: str) -> Trace | None:
        """Give the trace so far of the run that is under way, for a user who interrupts it (None: nothing is)."""


@overload
def run(order: Order | Interleaving, world: ModelWorld) -> Trace: ...
@overload
def run(order: Order | Interleaving, world: WireWorld) -> Coroutine[None, None, Trace]: ...
@overload
def run(order: Order | Interleaving, world: World) -> Trace | Coroutine[None, None, Trace]: ...


def run(order: Order | Interleaving, world: World) -> Trace | Awaitable[Trace]:
    """Run one order in a world; give the trace (to be awaited on the wire). An order's fresh value is used again.

    A trace with a ``fault`` did not follow the order to its end.
    """
    asked = _asked(order, world)
    return world.run(asked.explorer, asked.fresh or None, asked.also)


async def run_with(explorer: Explorer, world: World) -> Trace:
    """Run the order that an explorer has begun, in either world."""
    trace = world.run(explorer)
    return trace if isinstance(trace, Trace) else await trace


async def follow(order: Order | Explorer, world: World) -> Trace:
    """Run one order, or what an explorer makes of one, in either world."""
    asked = _asked(order, world)
    trace = world.run(asked.explorer, asked.fresh or None, asked.also)
    return trace if isinstance(trace, Trace) else await trace


async def follow_each(orders: Iterable[Order | Explorer], world: World, lanes: int = 1) -> AsyncGenerator[Trace]:
    """Run many orders and give their traces in the same order; on the wire up to ``lanes`` of them at once.

    Whoever stops listening must close it (`contextlib.aclosing`) before another order is run in that world. On the
    wire an order may be asked for before the traces of the ``lanes`` before it are given, and its own fresh value is
    used only where no other order runs beside it.
    """
    if isinstance(world, WireWorld) and lanes > 1:
        come = length_hint(orders, sys.maxsize)
        async with aclosing(Lanes(world, lanes, come).run(_asked(order, world) for order in orders)) as traces:
            async for trace in traces:
                yield trace
    else:
        for order in orders:
            yield await follow(order, world)


def _asked(order: Order | Explorer, world: World) -> Asked:
    """Ask for one order; an order of a file may need actors that the scenario does not name."""
    explorer = Replay(order.moves) if isinstance(order, Order) else order
    explorer.more()
    if not isinstance(order, Order):
        return Asked(explorer)
    acting = {
        name for name in (move.actor.partition(":")[0] for move in order.moves) if name in (*ENVIRONMENT, "client")
    }
    return Asked(explorer, order.head.fresh, frozenset(acting - world.scenario.actors.keys()))


def doubt(trace: Trace, world: World) -> str:
    """Say why nothing may be concluded from a run although it was followed to its end; nothing where that is not so."""
    if undecided(trace):
        return "too many requests span a cleanup or an expiry to be counted: use fewer at once"
    if not any(check_named(name).each_incarnation for name in world.scenario.invariants):
        return ""
    for answer in trace.answers:
        if (answer.created or answer.duplicate) and answer.record is None:
            path = world.target.answers.record
            return f"the answer {answer.status} to {answer.actor} names no record at {path}: check answers.record"
    return ""


def order_of(trace: Trace, world: World, seed: int, violations: tuple[Violation, ...]) -> Order:
    """Make the order file of a trace: its moves under a head that lets the file alone replay it."""
    broken = dict.fromkeys(violation.invariant for violation in violations)
    head = Head(
        scenario=world.scenario.name,
        scenario_digest=world.scenario.digest,
        target=world.target.name,
        target_digest=world.digest,
        world=trace.world,
        seed=seed,
        fresh=trace.fresh,
        fingerprint=trace.fingerprint,
        outcome=" ".join(["race", *broken]) if broken else "holds",
    )
    return Order(tuple(trace.moves), head)


async def driven(steps: Generator[Loose, Ran | None, Found], world: World, seconds: float = math.inf) -> Found:
    """Run the orders that ``steps`` asks for, tell it what each broke, and give what it finds.

    What it asks for after so many ``seconds`` could not be run.
    """
    until = time.monotonic() + seconds
    try:
        asked = next(steps)
        while True:
            if time.monotonic() > until:
                asked = steps.send(None)
                continue
            trace = await follow(asked, world)
            broken = () if trace.fault else run_checks(world.scenario.invariants, trace)
            ran = Ran(tuple(trace.moves), frozenset(one.invariant for one in broken))
            asked = steps.send(None if trace.fault else ran)
    except StopIteration as stop:
        found: Found = stop.value
        return found
