"""Searching one scenario on one target in one world: orders in, what they broke and how much was covered out."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from stress.beforehand import Beforehand
from stress.checks import cause, not_checked, run_checks
from stress.explore.auto import Auto
from stress.explore.base import Explorer
from stress.explore.dependence import effects
from stress.explore.dpor import Dpor
from stress.explore.exhaustive import Exhaustive
from stress.explore.minimise import minimise
from stress.explore.walk import Walk
from stress.journal import Recorder
from stress.outcomes import Outcomes
from stress.result import Finding, Happening, Progress, Started
from stress.resume import check
from stress.running import driven, follow, follow_each, order_of, run_with
from stress.scenario import Race
from stress.strategy import (
    COVERING,
    Covering,
    Drawn,
    Sampler,
    covering_of,
    read,
    sampler_named,
)
from stress.tally import Tally
from stress.verdict import Evidence, Sampled, counted
from stress.worlds.wire import WireWorld

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from stress.explore.part import Part
    from stress.journal import Journal
    from stress.order import Order
    from stress.running import World
    from stress.trace import Trace
    from stress.verdict import Violation

_PROGRESS_SECONDS = 0.2
_CLOCK_SHARE = 0.5
_BASELINE_ORDERS = {"model": 200, "wire": 50}
"""How many orders the plain random walk draws beside a search, by the world; the quick profile has half of them."""
_BASELINE_SHARE = 0.2
"""The part of the seconds that are left which that may take."""
CONFIRMATIONS = 3
"""How often a failing order is run again before it is reported."""
_SMALL_SECONDS = 5.0
"""How long an order may be made small at least; else for half as long as may be searched."""
INTERRUPTED = "interrupted"
"""The fault of a search that its user ended."""


Found = TypeVar("Found")
Kept = TypeVar("Kept", bound=Explorer)


class Limits(NamedTuple):
    """What a search may spend, in seconds and in orders, and the seed of whatever is drawn at random.

    ``lanes`` is how many orders may run at the same time on the wire, where none depends on what another showed.
    ``timed`` is whether orders in which the clock moves are run on the wire, where each takes up to a second.
    ``proof`` is what the model may have at least, in seconds, before the wire is searched: there every order counts.
    With a ``part`` only that is searched.
    """

    seconds: float
    orders: int
    seed: int = 0
    lanes: int = 1
    proof: float = 0.0
    timed: bool = True
    part: Part | None = None

    def drawing(self, number: int = 0) -> int:
        """Give a seed to draw with, the ``number``-th from the user's; no other part draws with it."""
        seed = self.seed + number
        return seed if self.part is None else self.part.seed(seed)


@dataclass
class Covered:
    """What a search came to: failing orders by invariant, what was covered, and why it ended early if it did."""

    evidence: Evidence
    found: dict[str, Finding] = field(default_factory=dict)
    fault: str = ""
    last: Trace | None = None
    notes: list[str] = field(default_factory=list)
    outcomes: Outcomes = field(default_factory=Outcomes)
    stale: list[Order] = field(default_factory=list)


def expected_of(world: World) -> tuple[str, ...]:
    """Name the invariants that the scenario expects this target to break; none where it must hold."""
    expected = world.scenario.expect.get(world.target.name, "holds")
    return tuple(expected.race) if isinstance(expected, Race) else ()


class Search:
    """Searches one scenario on one target in one world, within its limits.

    ``compare`` is shown every trace and gives what is wrong with it (a world that disagrees with another), or nothing.
    With ``baseline`` the plain random walk draws orders too, so that one sees how likely each outcome is. A ``journal``
    keeps what was run, and closes with the search; what it has is judged again without being run.
    """

    def __init__(  # noqa: PLR0913 - one keyword for each thing that some searches have
        self,
        world: World,
        limits: Limits,
        *,
        tell: Callable[[Happening], None] = lambda _: None,
        compare: Callable[[Trace], str] = lambda _: "",
        baseline: bool = False,
        journal: Journal | None = None,
    ) -> None:
        """Take the world, which must have been entered, and the budget."""
        self._baseline, self._journal = baseline, journal
        self._world, self._limits, self._tell = world, limits, tell
        self._expected = expected_of(world)
        self._tally = Tally(world, limits.seed, compare)
        self._draws: list[Sampled] = []
        self._drawn = 0
        self._stale: list[Order] = []
        self._fed = self._tried = 0
        self._begun = self._told = time.monotonic()
        self._clock_turn = self._late if journal is None else journal.asked(self._late)

    async def run(self, first: Sequence[Order] = (), examples: Sequence[Order] = ()) -> Covered:
        """Search until every expected invariant was seen broken, nothing is left, or the budget is spent.

        The orders ``first`` are run before all others; one that can't be followed is a fault. So are ``examples``,
        which failed in another search: one that can't be followed any more, or passes, is stale, and nothing more.
        """
        world = self._world
        self._tell(Started(world.scenario.name, world.target.name, world.name, self._limits.seconds))
        covering, replayed = self._recorder(self._covering), 0
        try:
            for order in first:
                await self._take(await self._followed(order))
                replayed += 1
            await self._try(examples)
            known = set(self._tally.found)
            if self._journal is not None and not self._enough():
                self._tally.notes += await self._in_no_time(check(self._journal, world))
            await self._search(covering)
            if self._baseline and not self._tally.fault:
                await self._compare_with_chance()
            await self._minimise(frozenset(self._tally.found.keys() - known))
        except asyncio.CancelledError:
            self._tally.fault = INTERRUPTED
            self._tally.last = world.abandoned(INTERRUPTED) or self._tally.last
        finally:
            self._close(covering.explorer)
        evidence = self._evidence(covering.explorer, replayed)
        return Covered(
            evidence,
            self._tally.found,
            self._tally.fault,
            self._tally.last,
            self._tally.notes,
            self._tally.outcomes,
            self._stale,
        )

    def _covering(self) -> Covering:
        """Make the explorer that leaves nothing out; runs of a journal are in words already."""
        return covering_of(self._world, self._clock_turn, read if self._journal is None else effects, self._limits.part)

    async def _followed(self, order: Order) -> Trace:
        """Follow an order; one that can't be followed is tried twice, as a machine may stand still for a moment."""
        trace = await follow(order, self._world)
        return await follow(order, self._world) if trace.fault.startswith("DIVERGED") else trace

    async def _try(self, examples: Sequence[Order]) -> None:
        for order in examples:
            if self._enough():
                return
            trace = await self._followed(order)
            if trace.fault.startswith("DIVERGED"):
                self._stale.append(order)
                continue
            self._tried += 1
            if not await self._take(trace) and not self._tally.fault:
                self._stale.append(order)

    def _recorder(self, make: Callable[[], Kept]) -> Recorder[Kept]:
        return Recorder(make, self._journal)

    def _close(self, covering: Covering) -> None:
        """Remove the journal of a search that ended by itself; keep that of one which its time or its user ended.

        Samplers end with their time: the same seed must draw the same orders the next time.
        """
        if self._journal is None:
            return
        decided = self._tally.ran >= self._limits.orders or (bool(self._tally.found) and self._enough())
        drawing = self._world.scenario.search.explorer not in COVERING
        finished = decided or drawing or covering.exhausted or not self._spent()
        self._journal.close(finished=finished and not self._tally.fault and sys.exception() is None)
        if self._fed:
            self._tally.notes.append(f"went on after {counted(self._fed, 'order')} of a search that was interrupted")
        if self._journal.trouble:
            self._tally.notes.append(self._journal.trouble)

    async def _search(self, covering: Recorder[Covering]) -> None:
        kind = self._world.scenario.search.explorer
        if kind in COVERING:
            await self._explore(covering)
        if kind == "hypothesis":
            self._drawn = drawn = await self._draw()
            self._draws.append(Sampled(kind, drawn, int(bool(self._tally.found)), len(self._tally.outcomes.rows)))
        elif kind not in COVERING or (kind == "auto" and not covering.explorer.exhausted):
            await self._sample(lambda: sampler_named(kind, self._limits.drawing(), self._skip, self._limits.part))

    @property
    def _skip(self) -> frozenset[str]:
        """The actors that are never drawn: on the wire the clock takes up to a real second."""
        return frozenset({"clock"}) if self._world.name == "wire" else frozenset()

    async def _compare_with_chance(self) -> None:
        """Let the plain random walk draw too: how likely is what was found, and does it show what was not?"""
        if any(one.explorer == Walk.name for one in self._draws):
            return  # it has drawn already
        now = time.monotonic()
        until = now + max(0.0, self._limits.seconds - (now - self._begun)) * _BASELINE_SHARE
        most = _BASELINE_ORDERS[self._world.name] // (2 if self._limits.proof else 1)
        most = min(most, max(0, self._limits.orders - self._tally.ran))
        walks = (Walk(self._limits.drawing(number), 1, skip=self._skip) for number in range(most))
        drawn = Drawn(self._world)
        orders = takewhile(lambda _: not self._tally.fault and time.monotonic() < until, walks)
        async with aclosing(follow_each(orders, self._world, self._limits.lanes)) as traces:
            async for trace in traces:
                drawn.add(trace, await self._take(trace, drawn=True, news=not self._tally.found))
                if self._tally.fault:
                    return
        if drawn.orders:
            self._draws.append(drawn.by(Walk(0)))
        if self._limits.lanes > 1 and isinstance(self._world, WireWorld) and self._world.habits.reason:
            self._tally.notes.append(f"one order at a time: {self._world.habits.reason}")

    def _evidence(self, explorer: Covering, replayed: int) -> Evidence:
        world = self._world
        auto = explorer if isinstance(explorer, Auto) else None
        classes = auto.classes if auto else explorer.explored if isinstance(explorer, Dpor) else None
        orders, part, shared = explorer.orders, self._limits.part, self._tally.shared_connection
        orders += explorer.foreign if isinstance(explorer, Exhaustive) else 0  # it counts its own alone
        return Evidence(
            world=world.name,
            explorer=world.scenario.search.explorer,
            orders=orders,
            seconds=time.monotonic() - self._begun,
            exhausted=explorer.exhausted and part is None and not shared,
            exhausted_part=explorer.exhausted and part is not None and not shared,
            shared_connection=shared,
            in_order=explorer.exhausted and bool(shared),
            part="" if part is None else f"{part.number}/{part.of}",
            foreign=explorer.foreign,
            total=(auto and auto.total) or orders if explorer.exhausted and part is None and not shared else None,
            classes=classes,
            bound=None if isinstance(explorer, Dpor) else explorer.bound,
            sampled=self._drawn,
            replayed=replayed,
            tried=self._tried,
            stopped=bool(self._tally.found),
            outcomes=len(self._tally.outcomes.rows),
            clock_orders=explorer.clock_orders,
            clock_cut=not isinstance(explorer, Dpor) and explorer.clock_cut,
            shared_only=True,
            not_checked=not_checked(world.scenario.invariants, self._tally.last) if self._tally.last else (),
            renamed=auto is not None and auto.renamed,
            draws=tuple(self._draws),
        )

    def _late(self) -> bool:
        return self._limits.timed and self._spent(_CLOCK_SHARE)

    def _spent(self, share: float = 1.0) -> bool:
        return time.monotonic() - self._begun > share * self._limits.seconds

    def _enough(self) -> bool:
        """Tell whether to stop; however little time there is, one order is run."""
        seen = bool(self._expected) and set(self._expected) <= set(self._tally.found)
        surprised = bool(set(self._tally.found) - set(self._expected))
        return bool(self._tally.fault) or seen or surprised or self._over()

    def _over(self) -> bool:
        ran = self._tally.ran
        return ran >= self._limits.orders or (ran > 0 and self._spent())

    async def _explore(self, recorder: Recorder[Covering]) -> None:
        for trace in recorder.feed():
            await self._again(trace)
        # In the model an order costs so little that one call more for each move would be felt.
        explorer = recorder.explorer if self._journal is None else recorder
        beforehand = Beforehand(self._world, self._limits.lanes)
        while not self._enough() and not self._untimed(recorder.explorer) and explorer.more():
            left = self._limits.orders - self._tally.ran - 1
            await self._take(trace := await beforehand.run(explorer, recorder.explorer, left))
            if not self._tally.fault:
                explorer.learn(trace)

    def _untimed(self, explorer: Covering) -> bool:
        """Tell whether only orders are left in which the clock moves, and those are not wanted."""
        return not self._limits.timed and not isinstance(explorer, Dpor) and explorer.clock_cut

    async def _again(self, trace: Trace, **how: bool) -> tuple[Violation, ...]:
        """Judge a run of a search that was interrupted."""
        self._fed += 1
        return await self._in_no_time(self._take(trace, **how))

    async def _in_no_time(self, work: Awaitable[Found]) -> Found:
        """Do something for which the search has not less time."""
        begun = time.monotonic()
        found = await work
        self._begun += time.monotonic() - begun
        return found

    async def _sample(self, make: Callable[[], Sampler]) -> None:
        """Draw orders while the budget lasts."""
        recorder, drawn = self._recorder(make), Drawn(self._world)
        walks = recorder.name == Walk.name
        for trace in recorder.feed():
            drawn.add(trace, await self._again(trace, drawn=walks))
        while not self._enough() and recorder.more():
            drawn.add(trace := await run_with(recorder, self._world), await self._take(trace, drawn=walks))
            if not self._tally.fault:
                recorder.learn(trace)
        self._drawn += drawn.orders
        if drawn.orders:
            self._draws.append(drawn.by(recorder.explorer))

    async def _draw(self) -> int:
        """Let hypothesis draw and shrink orders, once for each invariant that may break; give how many were run."""
        from stress.draw import Draw  # noqa: PLC0415 - hypothesis takes half a second to import

        before = self._tally.ran
        while not self._enough():
            missing = [name for name in self._expected if name not in self._tally.found]
            draw = Draw(self._world, missing or self._world.scenario.invariants, self._limits.drawing(self._tally.ran))
            trace = await draw.run(self._limits.orders - self._tally.ran, self._begun + self._limits.seconds)
            self._tally.ran += draw.ran
            if trace is None:
                break
            await self._take(trace)
        return self._tally.ran - before

    async def _minimise(self, names: frozenset[str]) -> None:
        """Make the orders small that were drawn at random; an exhaustive search has begun with the smallest.

        Each may take half as long as the search may, as a Gateway whose orders take long would need minutes.
        """
        found, seconds = self._tally.found, max(_SMALL_SECONDS, self._limits.seconds / 2)
        drawn = {found[name].order.moves: found[name] for name in names}
        for finding in drawn.values():
            if self._world.name == "wire" and any(move.actor == "clock" for move in finding.order.moves):
                continue  # each run would take a second
            begun = time.monotonic()
            smallest = await driven(minimise(finding.order.moves, frozenset(finding.invariants)), self._world, seconds)
            if time.monotonic() - begun > seconds:
                self._tally.notes.append(f"made small for {seconds:g} s: there may be a smaller order")
            trace = await follow(replace(finding.order, moves=smallest), self._world)
            violations = () if trace.fault else tuple(run_checks(self._world.scenario.invariants, trace))
            if set(finding.invariants) <= {one.invariant for one in violations}:
                order = order_of(trace, self._world, self._limits.seed, violations)
                small = Finding(order, trace, violations, cause(violations), self._world.name)
                self._tally.found |= dict.fromkeys(
                    [name for name in names if self._tally.found[name] is finding], small
                )

    async def _take(self, trace: Trace, *, drawn: bool = False, news: bool = True) -> tuple[Violation, ...]:
        """Judge one run, and show where the search stands."""
        broken = await self._tally.take(trace, drawn=drawn, news=news)
        await self._progress()
        return broken

    async def _progress(self) -> None:
        now = time.monotonic()
        if now - self._told < _PROGRESS_SECONDS:
            return
        self._told = now
        await asyncio.sleep(0)  # in the model nothing else lets Ctrl-C through
        spent, world = now - self._begun, self._world
        left = max(0.0, self._limits.seconds - spent)
        rate = self._tally.ran / spent
        names = (world.scenario.name, world.target.name, world.name)
        self._tell(Progress(*names, self._tally.ran, rate, len(self._tally.outcomes.rows), left))
