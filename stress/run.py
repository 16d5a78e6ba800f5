"""Searching one scenario on one target: orders in, a result out. And running one order in one world."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from stress.checks import cause, not_checked, run_checks
from stress.explore.exhaustive import Exhaustive
from stress.explore.interleavings import Interleaving
from stress.explore.replay import Replay
from stress.explore.walk import Walk
from stress.order import Head, Order
from stress.result import Finding, Progress, Result, Started
from stress.scenario import Race
from stress.verdict import Evidence, Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from stress.explore.base import Explorer
    from stress.result import Happening
    from stress.scenario import Scenario
    from stress.target import Target
    from stress.trace import Trace
    from stress.verdict import Violation

_PROGRESS_SECONDS = 0.2
_CLOCK_SHARE = 0.5
CONFIRMATIONS = 3
"""How often a failing order is run again before it is reported."""


class World(Protocol):
    """Where a run happens."""

    name: str
    scenario: Scenario
    target: Target

    async def run(self, explorer: Explorer, fresh: str | None = None) -> Trace:
        """Run one order that the explorer chooses."""


async def run(order: Order | Interleaving, world: World) -> Trace:
    """Run one order in a world; give the trace. An order file's fresh value is used again.

    A trace with a ``fault`` did not follow the order to its end.
    """
    if isinstance(order, Interleaving):
        order.more()
        return await world.run(order)
    replay = Replay(order.moves)
    replay.more()
    return await world.run(replay, order.head.fresh or None)


class Search:
    """Searches one scenario on one target in one world, within ``seconds`` and ``orders``."""

    def __init__(
        self,
        world: World,
        *,
        seconds: float,
        orders: int,
        seed: int = 0,
        tell: Callable[[Happening], None] = lambda _: None,
    ) -> None:
        """Take the world, which must have been entered, and the budget."""
        self._world, self._seconds, self._orders, self._seed, self._tell = world, seconds, orders, seed, tell
        expected = world.scenario.expect.get(world.target.name, "holds")
        self._expected = tuple(expected.race) if isinstance(expected, Race) else ()
        self._found: dict[str, Finding] = {}
        self._outcomes: set[object] = set()
        self._fault = ""
        self._last: Trace | None = None
        self._begun = self._told = time.monotonic()
        self._ran = 0

    async def result(self) -> Result:
        """Search until every expected invariant was seen broken, nothing is left, or the budget is spent."""
        world = self._world
        self._tell(Started(world.scenario.name, world.target.name, world.name, self._seconds))
        # Bundled Gateways share nothing but the store, which makes starting a request commute with all but the clock.
        explorer = Exhaustive(
            fused=world.target.protocol is not None,
            clock_apart=True,
            clock_turn=lambda: self._spent(_CLOCK_SHARE),
        )
        if world.scenario.search.explorer != "walk":
            await self._explore(explorer)
        sampled = 0
        if world.scenario.search.explorer == "walk" or not explorer.exhausted:
            walk = Walk(self._seed, skip=frozenset({"clock"}))
            await self._explore(walk)
            sampled = walk.orders
        evidence = Evidence(
            world=world.name,
            explorer=world.scenario.search.explorer,
            orders=explorer.orders,
            seconds=time.monotonic() - self._begun,
            exhausted=explorer.exhausted,
            total=explorer.orders if explorer.exhausted else None,
            bound=explorer.bound,
            sampled=sampled,
            outcomes=len(self._outcomes),
            clock_orders=explorer.clock_orders,
            clock_cut=explorer.clock_cut,
            shared_only=True,
            not_checked=not_checked(world.scenario.invariants, self._last) if self._last else (),
        )
        return await self._conclude(evidence)

    def _spent(self, share: float = 1.0) -> bool:
        return time.monotonic() - self._begun > share * self._seconds

    def _enough(self) -> bool:
        seen = bool(self._expected) and set(self._expected) <= set(self._found)
        surprised = bool(set(self._found) - set(self._expected))
        return bool(self._fault) or seen or surprised or self._spent() or self._ran >= self._orders

    async def _explore(self, explorer: Explorer) -> None:
        while not self._enough() and explorer.more():
            trace = await self._world.run(explorer)
            self._ran += 1
            self._last = trace
            if trace.fault:
                self._fault = trace.fault
                return
            explorer.learn(trace)
            self._outcomes.add(trace.outcome)
            self._note(trace)
            self._progress()

    def _note(self, trace: Trace) -> None:
        violations = tuple(run_checks(self._world.scenario.invariants, trace))
        for name in dict.fromkeys(violation.invariant for violation in violations):
            if name not in self._found:
                order = order_of(trace, self._world, self._seed, violations)
                self._found[name] = Finding(order, trace, violations, cause(violations), self._world.name)

    def _progress(self) -> None:
        now = time.monotonic()
        if now - self._told >= _PROGRESS_SECONDS:
            self._told = now
            rate = self._ran / (now - self._begun)
            left = max(0.0, self._seconds - (now - self._begun))
            world = self._world
            progress = Progress(
                world.scenario.name, world.target.name, world.name, self._ran, rate, len(self._outcomes), left
            )
            self._tell(progress)

    async def _conclude(self, evidence: Evidence) -> Result:
        distinct = {finding.order.moves: finding for finding in self._found.values()}
        findings = tuple([await self._confirm(finding) for finding in distinct.values()])
        unsure = [
            f"a failing order failed in {good} of {of} replays"
            for good, of in (one.replays for one in findings)
            if good < of
        ]
        violations = [violation for finding in findings for violation in finding.violations]
        verdict: Verdict = judge(
            [] if unsure else violations, [evidence], [fault for fault in (self._fault, *unsure) if fault]
        )
        missing = tuple(name for name in self._expected if name not in self._found)
        unexpected = tuple(name for name in self._found if name not in self._expected)
        wanted = (verdict.ruling == "race" and not missing and not unexpected) if self._expected else verdict.holds
        world = self._world
        return Result(
            scenario=world.scenario,
            target=world.target,
            world=world.name,
            verdict=verdict,
            expected="race: " + ", ".join(self._expected) if self._expected else "holds",
            as_expected=wanted,
            findings=findings,
            missing=missing,
            unexpected=unexpected,
            faults=(self._fault,) if self._fault else (),
            last_trace=self._last,
            notes=tuple(
                f"not checked: {name} (the target does not say how to observe it)" for name in evidence.not_checked
            ),
            seed=self._seed,
            seconds=time.monotonic() - self._begun,
        )

    async def _confirm(self, finding: Finding) -> Finding:
        """Replay a failing order; a race is reported only when it fails the same way each time."""
        good = 0
        for _ in range(CONFIRMATIONS):
            trace = await run(finding.order, self._world)
            again: list[Violation] = [] if trace.fault else run_checks(self._world.scenario.invariants, trace)
            good += {one.invariant for one in again} == set(finding.invariants)
        return Finding(
            finding.order,
            finding.trace,
            finding.violations,
            finding.cause,
            finding.world,
            replays=(good, CONFIRMATIONS),
        )


def order_of(trace: Trace, world: World, seed: int, violations: tuple[Violation, ...]) -> Order:
    """Make the order file of a trace: its moves under a head that lets the file alone replay it."""
    broken = dict.fromkeys(violation.invariant for violation in violations)
    head = Head(
        scenario=world.scenario.name,
        scenario_digest=world.scenario.digest,
        target=world.target.name,
        target_digest=world.target.digest,
        world=trace.world,
        seed=seed,
        fresh=trace.fresh,
        fingerprint=trace.fingerprint,
        outcome=" ".join(["race", *broken]) if broken else "holds",
    )
    return Order(tuple(trace.moves), head)
