"""Searching one scenario on one target in one world: orders in, what they broke and how much was covered out."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from stress.checks import cause, not_checked, run_checks
from stress.explore.auto import Auto
from stress.explore.base import Explorer
from stress.explore.classes import Classes
from stress.explore.dependence import Dependence, effects
from stress.explore.dpor import Dpor
from stress.explore.exhaustive import Exhaustive
from stress.explore.loose import Loose, Ran
from stress.explore.minimise import minimise
from stress.explore.pct import Pct
from stress.explore.starve import Starve
from stress.explore.urw import Urw
from stress.explore.walk import Walk
from stress.outcomes import Outcomes
from stress.result import Finding, Happening, Progress, Started
from stress.running import doubt, follow, order_of
from stress.scenario import Race
from stress.step import Move, letters
from stress.trace import Trace
from stress.verdict import Evidence, Sampled

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from stress.order import Order
    from stress.running import World
    from stress.verdict import Violation

_PROGRESS_SECONDS = 0.2
_CLOCK_SHARE = 0.5
_BASELINE_ORDERS, _BASELINE_SHARE = 200, 0.2
"""How many orders the plain random walk draws beside a search, and the part of the seconds that it may take."""
CONFIRMATIONS = 3
"""How often a failing order is run again before it is reported."""
INTERRUPTED = "interrupted"
"""The fault of a search that its user ended."""


Found = TypeVar("Found")


class Sampler(Explorer, Protocol):
    """An explorer that draws; ``orders`` counts what it has drawn."""

    orders: int


Covering = Auto | Exhaustive | Dpor
"""An explorer that leaves nothing out."""


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
    outcomes: Outcomes = field(default_factory=Outcomes)


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


def alike_in(world: World) -> tuple[str, ...]:
    """Name the requests of which one is as good as another: all are the same, and all go to one replica."""
    scenario = world.scenario
    return letters(scenario.concurrent) if len(set(scenario.replicas or [1])) == 1 else ()


def expected_of(world: World) -> tuple[str, ...]:
    """Name the invariants that the scenario expects this target to break; none where it must hold."""
    expected = world.scenario.expect.get(world.target.name, "holds")
    return tuple(expected.race) if isinstance(expected, Race) else ()


class Search:
    """Searches one scenario on one target in one world, within its limits.

    ``compare`` is shown every trace and gives what is wrong with it (a world that disagrees with another), or nothing.
    With ``baseline`` the plain random walk draws orders too, so that one sees how likely each outcome is.
    """

    def __init__(
        self,
        world: World,
        limits: Limits,
        *,
        tell: Callable[[Happening], None] = lambda _: None,
        compare: Callable[[Trace], str] = lambda _: "",
        baseline: bool = False,
    ) -> None:
        """Take the world, which must have been entered, and the budget."""
        self._baseline = baseline
        self._world, self._limits, self._tell, self._compare = world, limits, tell, compare
        self._expected = expected_of(world)
        self._found: dict[str, Finding] = {}
        self._outcomes = Outcomes()
        self._draws: list[Sampled] = []
        self._drawn = 0
        self._fault = ""
        self._notes: list[str] = []
        self._last: Trace | None = None
        self._begun = self._told = time.monotonic()
        self._ran = 0

    async def run(self, first: Sequence[Order] = ()) -> Covered:
        """Search until every expected invariant was seen broken, nothing is left, or the budget is spent.

        The orders ``first`` are run before all others; one that can't be followed is a fault.
        """
        world = self._world
        self._tell(Started(world.scenario.name, world.target.name, world.name, self._limits.seconds))
        covering = self._covering()
        replayed = 0
        try:
            for order in first:
                trace = await follow(order, world)
                # A machine that stood still for a moment is no disagreement: whoever can't follow is asked twice.
                await self._take(await follow(order, world) if trace.fault.startswith("DIVERGED") else trace)
                replayed += 1
            known = set(self._found)
            await self._search(covering)
            if self._baseline and not self._fault:
                await self._compare_with_chance()
            await self._minimise(frozenset(self._found.keys() - known))
        except asyncio.CancelledError:
            self._fault = INTERRUPTED
            self._last = world.abandoned(INTERRUPTED) or self._last
        evidence = self._evidence(covering, replayed)
        return Covered(evidence, self._found, self._fault, self._last, self._notes, self._outcomes)

    def _covering(self) -> Covering:
        """Make the explorer that leaves nothing out; where only drawn orders are wanted it is never asked."""
        world, kind = self._world, self._world.scenario.search.explorer
        # Bundled Gateways share nothing but the store, which makes starting a request commute with all but the clock.
        fused, apart = world.target.protocol is not None, world.name == "wire"
        if kind == "dpor":
            return Dpor(dependence_of(world))
        if kind != "auto":
            return Exhaustive(fused=fused, clock_apart=apart, clock_turn=lambda: self._spent(_CLOCK_SHARE))
        return Auto(
            dependence_of(world),
            fused=fused,
            possible={name: actor.at_most for name, actor in world.scenario.actors.items()},
            alike=alike_in(world),
            clock_apart=apart,
            clock_turn=lambda: self._spent(_CLOCK_SHARE),
        )

    async def _search(self, covering: Covering) -> None:
        kind = self._world.scenario.search.explorer
        if kind in ("auto", "exhaustive", "dpor"):
            await self._explore(covering)
        if kind == "hypothesis":
            self._drawn = drawn = await self._draw()
            self._draws.append(Sampled(kind, drawn, int(bool(self._found)), len(self._outcomes.rows)))
        elif kind not in ("auto", "exhaustive", "dpor") or (kind == "auto" and not covering.exhausted):
            await self._sample(sampler_named(kind, self._limits.seed, self._skip))

    @property
    def _skip(self) -> frozenset[str]:
        """The actors that are never drawn: on the wire the clock takes up to a real second."""
        return frozenset({"clock"}) if self._world.name == "wire" else frozenset()

    async def _compare_with_chance(self) -> None:
        """Let the plain random walk draw too: how likely is what was found, and does it show what was not?"""
        if any(one.explorer == Walk.name for one in self._draws):
            return  # it has drawn already
        spent = time.monotonic() - self._begun
        left = max(0.0, self._limits.seconds - spent) * _BASELINE_SHARE
        most = min(_BASELINE_ORDERS, max(0, self._limits.orders - self._ran))
        walk = Walk(self._limits.seed, most, skip=self._skip)
        await self._sample(walk, until=time.monotonic() + left, chance=True)

    def _evidence(self, explorer: Covering, replayed: int) -> Evidence:
        world = self._world
        auto = explorer if isinstance(explorer, Auto) else None
        classes = auto.classes if auto else explorer.explored if isinstance(explorer, Dpor) else None
        orders = explorer.orders
        return Evidence(
            world=world.name,
            explorer=world.scenario.search.explorer,
            orders=orders,
            seconds=time.monotonic() - self._begun,
            exhausted=explorer.exhausted,
            total=(auto and auto.total) or orders if explorer.exhausted else None,
            classes=classes,
            bound=None if isinstance(explorer, Dpor) else explorer.bound,
            sampled=self._drawn,
            replayed=replayed,
            stopped=bool(self._found),
            outcomes=len(self._outcomes.rows),
            clock_orders=explorer.clock_orders,
            clock_cut=not isinstance(explorer, Dpor) and explorer.clock_cut,
            shared_only=True,
            not_checked=not_checked(world.scenario.invariants, self._last) if self._last else (),
            repeated=auto.repeated if auto else 0,
            renamed=auto is not None and auto.renamed,
            draws=tuple(self._draws),
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

    async def _sample(self, sampler: Sampler, *, until: float = math.inf, chance: bool = False) -> None:
        """Draw orders; those that ``chance`` draws are counted even where enough was found, and found no more."""
        classes, failing, drawn = Classes(dependence_of(self._world)), 0, 0
        while (not self._fault if chance else not self._enough()) and time.monotonic() < until and sampler.more():
            trace = self._world.run(sampler)
            if not isinstance(trace, Trace):
                trace = await trace
            broken = await self._take(trace, drawn=isinstance(sampler, Walk), news=not (chance and self._found))
            if self._fault:
                break
            sampler.learn(trace)
            classes.add(effects(trace))
            failing += bool(broken)
            drawn += 1
        self._drawn += 0 if chance else drawn
        if drawn:
            self._draws.append(_sampled(sampler, drawn, failing, len(classes)))

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

    async def _take(self, trace: Trace, *, drawn: bool = False, news: bool = True) -> tuple[Violation, ...]:
        """Judge one run; give what it broke. ``drawn`` by the plain walk it tells how likely an outcome is."""
        self._ran += 1
        self._last = trace
        self._fault = self._fault or self._compare(trace) or trace.fault or doubt(trace, self._world)
        if self._fault:
            return ()
        self._outcomes.add(trace, sampled=drawn)
        violations = tuple(run_checks(self._world.scenario.invariants, trace))
        if news and any(violation.invariant not in self._found for violation in violations):
            await self._note(trace, violations)
        await self._progress()
        return violations

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
        self._tell(Progress(*names, self._ran, rate, len(self._outcomes.rows), left))


def _sampled(sampler: Sampler, drawn: int, failing: int, classes: int) -> Sampled:
    if not isinstance(sampler, Pct):
        return Sampled(sampler.name, drawn, failing, classes)
    measured = (sampler.bound, sampler.actors, sampler.steps, sampler.depth)
    return Sampled(sampler.name, drawn, failing, classes, *measured)
