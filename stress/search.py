"""Searching one scenario on one target in one world: orders in, what they broke and how much was covered out."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from stress.checks import cause, not_checked, run_checks
from stress.explore.base import Explorer
from stress.explore.dependence import Dependence
from stress.explore.dpor import Dpor
from stress.explore.exhaustive import Exhaustive
from stress.explore.loose import Loose, Ran
from stress.explore.minimise import minimise
from stress.explore.pct import Pct
from stress.explore.starve import Starve
from stress.explore.urw import Urw
from stress.explore.walk import Walk
from stress.result import Finding, Happening, Progress, Started
from stress.running import doubt, follow, order_of
from stress.scenario import Race
from stress.step import Move
from stress.trace import Trace
from stress.verdict import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from stress.order import Order
    from stress.running import World
    from stress.verdict import Violation

_PROGRESS_SECONDS = 0.2
_CLOCK_SHARE = 0.5
CONFIRMATIONS = 3
"""How often a failing order is run again before it is reported."""
INTERRUPTED = "interrupted"
"""The fault of a search that its user ended."""


Found = TypeVar("Found")


class Sampler(Explorer, Protocol):
    """An explorer that draws; ``orders`` counts what it has drawn."""

    orders: int


class Limits(NamedTuple):
    """What a search may spend, in seconds and in orders, and the seed of whatever is drawn at random."""

    seconds: float
    orders: int
    seed: int = 0


@dataclass
class Covered:
    """What a search came to: failing orders by invariant, what was covered, and why it ended early if it did."""

    evidence: Evidence
    found: dict[str, Finding] = field(default_factory=dict)
    fault: str = ""
    last: Trace | None = None
    notes: list[str] = field(default_factory=list)


async def driven(steps: Generator[Loose, Ran | None, Found], world: World) -> Found:
    """Run the orders that ``steps`` asks for, tell it what each broke, and give what it finds."""
    try:
        asked = next(steps)
        while True:
            trace = await follow(asked, world)
            broken = () if trace.fault else run_checks(world.scenario.invariants, trace)
            ran = Ran(tuple(trace.moves), frozenset(one.invariant for one in broken))
            asked = steps.send(None if trace.fault else ran)
    except StopIteration as stop:
        found: Found = stop.value
        return found


def sampler_named(name: str, seed: int, skip: frozenset[str]) -> Sampler:
    """Make what draws orders at random without end; ``skip`` are actors that never act. Unknown names walk."""
    makers: dict[str, Callable[[], Sampler]] = {
        "pct": lambda: Pct(seed, skip=skip),
        "starve": Starve,
        "surw": lambda: Urw(seed, selective=True, skip=skip),
        "urw": lambda: Urw(seed, skip=skip),
    }
    return makers.get(name, lambda: Walk(seed, skip=skip))()


def dependence_of(world: World) -> Dependence:
    """Say which moves depend on each other (DESIGN section 6): an invariant may ask who was answered before whom."""
    return Dependence(
        fused=world.target.protocol is not None, real_time="linearizable_hits" in world.scenario.invariants
    )


def expected_of(world: World) -> tuple[str, ...]:
    """Name the invariants that the scenario expects this target to break; none where it must hold."""
    expected = world.scenario.expect.get(world.target.name, "holds")
    return tuple(expected.race) if isinstance(expected, Race) else ()


class Search:
    """Searches one scenario on one target in one world, within its limits.

    ``compare`` is shown every trace and gives what is wrong with it (a world that disagrees with another), or nothing.
    """

    def __init__(
        self,
        world: World,
        limits: Limits,
        *,
        tell: Callable[[Happening], None] = lambda _: None,
        compare: Callable[[Trace], str] = lambda _: "",
    ) -> None:
        """Take the world, which must have been entered, and the budget."""
        self._world, self._limits, self._tell, self._compare = world, limits, tell, compare
        self._expected = expected_of(world)
        self._found: dict[str, Finding] = {}
        self._outcomes: set[object] = set()
        self._fault = ""
        self._notes: list[str] = []
        self._last: Trace | None = None
        self._begun = self._told = time.monotonic()
        self._ran = 0

    async def run(self, first: Sequence[Order] = ()) -> Covered:
        """Search until every expected invariant was seen broken, nothing is left, or the budget is spent.

        The orders ``first`` are run before all others; one that can't be followed is a fault.
        """
        world, kind = self._world, self._world.scenario.search.explorer
        self._tell(Started(world.scenario.name, world.target.name, world.name, self._limits.seconds))
        # Bundled Gateways share nothing but the store, which makes starting a request commute with all but the clock.
        exhaustive = Exhaustive(
            fused=world.target.protocol is not None,
            clock_apart=world.name == "wire",
            clock_turn=lambda: self._spent(_CLOCK_SHARE),
        )
        skip = frozenset({"clock"}) if world.name == "wire" else frozenset[str]()
        sampler = sampler_named(kind, self._limits.seed, skip)
        dpor = Dpor(dependence_of(world)) if kind == "dpor" else None
        sampled = replayed = 0
        try:
            for order in first:
                trace = await follow(order, world)
                # A machine that stood still for a moment is no disagreement: whoever can't follow is asked twice.
                await self._take(await follow(order, world) if trace.fault.startswith("DIVERGED") else trace)
                replayed += 1
            known = set(self._found)
            if dpor is not None:
                await self._explore(dpor)
                await self._minimise(frozenset(self._found.keys() - known))
            elif kind in ("auto", "exhaustive"):
                await self._explore(exhaustive)
            if kind == "hypothesis":
                sampled = await self._draw()
            elif kind not in ("auto", "exhaustive", "dpor") or (kind == "auto" and not exhaustive.exhausted):
                await self._explore(sampler)
                sampled = sampler.orders
                await self._minimise(frozenset(self._found.keys() - known))
        except asyncio.CancelledError:
            self._fault = INTERRUPTED
            self._last = world.abandoned(INTERRUPTED) or self._last
        evidence = self._evidence(dpor or exhaustive, sampled, replayed)
        return Covered(evidence, self._found, self._fault, self._last, self._notes)

    def _evidence(self, explorer: Exhaustive | Dpor, sampled: int, replayed: int) -> Evidence:
        world = self._world
        return Evidence(
            world=world.name,
            explorer=world.scenario.search.explorer,
            orders=explorer.orders,
            seconds=time.monotonic() - self._begun,
            exhausted=explorer.exhausted,
            total=explorer.orders if explorer.exhausted else None,
            classes=explorer.explored if isinstance(explorer, Dpor) else None,
            bound=None if isinstance(explorer, Dpor) else explorer.bound,
            sampled=sampled,
            replayed=replayed,
            stopped=bool(self._found),
            outcomes=len(self._outcomes),
            clock_orders=explorer.clock_orders,
            clock_cut=not isinstance(explorer, Dpor) and explorer.clock_cut,
            shared_only=True,
            not_checked=not_checked(world.scenario.invariants, self._last) if self._last else (),
        )

    def _spent(self, share: float = 1.0) -> bool:
        return time.monotonic() - self._begun > share * self._limits.seconds

    def _enough(self) -> bool:
        seen = bool(self._expected) and set(self._expected) <= set(self._found)
        surprised = bool(set(self._found) - set(self._expected))
        return bool(self._fault) or seen or surprised or self._spent() or self._ran >= self._limits.orders

    async def _explore(self, explorer: Explorer) -> None:
        run = self._world.run
        while not self._enough() and explorer.more():
            trace = run(explorer)
            if not isinstance(trace, Trace):
                trace = await trace
            await self._take(trace)
            if not self._fault:
                explorer.learn(trace)

    async def _draw(self) -> int:
        """Let hypothesis draw and shrink orders, once for each invariant that may break; give how many were run."""
        from stress.draw import Draw  # noqa: PLC0415 - hypothesis takes half a second to import

        before = self._ran
        while not self._enough():
            missing = [name for name in self._expected if name not in self._found]
            draw = Draw(self._world, missing or self._world.scenario.invariants, self._limits.seed + self._ran)
            trace = await draw.run(self._limits.orders - self._ran, self._begun + self._limits.seconds)
            self._ran += draw.ran
            if trace is None:
                break
            await self._take(trace)
        return self._ran - before

    async def _minimise(self, names: frozenset[str]) -> None:
        """Make the orders small that were drawn at random; an exhaustive search has begun with the smallest."""
        drawn = {self._found[name].order.moves: self._found[name] for name in names}
        for finding in drawn.values():
            if self._world.name == "wire" and any(move.actor == "clock" for move in finding.order.moves):
                continue  # each run would take a second
            smallest = await driven(minimise(finding.order.moves, frozenset(finding.invariants)), self._world)
            trace = await follow(replace(finding.order, moves=smallest), self._world)
            violations = () if trace.fault else tuple(run_checks(self._world.scenario.invariants, trace))
            if set(finding.invariants) <= {one.invariant for one in violations}:
                order = order_of(trace, self._world, self._limits.seed, violations)
                small = Finding(order, trace, violations, cause(violations), self._world.name)
                self._found |= dict.fromkeys([name for name in names if self._found[name] is finding], small)

    async def _take(self, trace: Trace) -> None:
        """Judge one run."""
        self._ran += 1
        self._last = trace
        self._fault = self._fault or self._compare(trace) or trace.fault or doubt(trace, self._world)
        if self._fault:
            return
        self._outcomes.add(trace.outcome)
        violations = tuple(run_checks(self._world.scenario.invariants, trace))
        if any(violation.invariant not in self._found for violation in violations):
            await self._note(trace, violations)
        await self._progress()

    async def _note(self, trace: Trace, violations: tuple[Violation, ...]) -> None:
        """Keep the failing order of each invariant that was not seen broken before."""
        order = order_of(trace, self._world, self._limits.seed, violations)
        if trace.crossed_second is not None:
            crossed = await self._without_luck(order, trace.crossed_second)
            if crossed is None:
                return
            order, trace, violations = crossed
        finding = Finding(order, trace, violations, cause(violations), self._world.name)
        for name in finding.invariants:
            self._found.setdefault(name, finding)

    async def _without_luck(self, order: Order, index: int) -> tuple[Order, Trace, tuple[Violation, ...]] | None:
        """Repeat a failing run that crossed a second unasked: as it was, then with the clock in that place."""
        clock = Move("clock", "clock", "")
        # The second began before the move in which it was noticed, or while that move was under way.
        timed = [(*order.moves[:at], clock, *order.moves[at:]) for at in (index, index + 1)]
        for moves in (order.moves, *timed):
            trace = await follow(replace(order, moves=moves), self._world)
            violations = () if trace.fault else tuple(run_checks(self._world.scenario.invariants, trace))
            if violations and (trace.crossed_second is None or moves is not order.moves):
                if moves is not order.moves:
                    self._notes.append("fails only where the clock goes into another second during the run")
                return order_of(trace, self._world, self._limits.seed, violations), trace, violations
        self._fault = (
            "an order failed in a run that crossed a second, and not again, with or without a move of the clock"
        )
        return None

    async def _progress(self) -> None:
        now = time.monotonic()
        if now - self._told < _PROGRESS_SECONDS:
            return
        self._told = now
        await asyncio.sleep(0)  # in the model nothing else lets Ctrl-C through
        spent, world = now - self._begun, self._world
        left = max(0.0, self._limits.seconds - spent)
        rate = self._ran / spent
        names = (world.scenario.name, world.target.name, world.name)
        self._tell(Progress(*names, self._ran, rate, len(self._outcomes), left))
