"""How a world is searched: which explorer leaves nothing out, which one draws, and what they need to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from stress.checks import Reads, reads_of
from stress.core.registry import SCHEDULERS
from stress.core.step import letters
from stress.core.verdict import Sampled
from stress.executors.model.executor import ModelTrace, effects_of
from stress.schedulers.auto import Auto
from stress.schedulers.base import Explorer
from stress.schedulers.classes import Classes
from stress.schedulers.dependence import Dependence, effects
from stress.schedulers.dpor.scheduler import Dpor
from stress.schedulers.exhaustive import Exhaustive
from stress.schedulers.pct import Pct
from stress.schedulers.random_walk import Walk
from stress.schedulers.registered import Search
from stress.schedulers.starts import Starts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.core.trace import Trace
    from stress.core.verdict import Violation
    from stress.engine.running import World
    from stress.schedulers.dependence import Effect
    from stress.schedulers.registered import Scheduler


class Sampler(Explorer, Protocol):
    """An explorer that draws; ``orders`` counts what it has drawn."""

    orders: int


Covering = Auto | Exhaustive | Dpor
"""An explorer that leaves nothing out."""


def covers(name: str) -> bool:
    """Tell whether a scheduler leaves nothing out."""
    found: Scheduler = SCHEDULERS[name]
    return found.covering


def sampler_of(world: World, seed: int, skip: frozenset[str]) -> Sampler:
    """Make what draws schedules at random without end; ``skip`` are actors that never act.

    Where the scenario wants nothing left out and there is time left, that is a random walk.
    """
    kind = world.scenario.search.explorer
    search = Search(dependence_of(world), read, seed, skip)
    made: Sampler = SCHEDULERS[Walk.name if covers(kind) else kind].make(search)
    return made


def replicas_of(world: World) -> dict[str, int]:
    """Give the replica of each request."""
    actors = letters(world.scenario.concurrent)
    return dict(zip(actors, world.scenario.places, strict=True))


def dependence_of(world: World, *, fused: bool = True) -> Dependence:
    """Say which moves depend on each other (DESIGN section 5); without ``fused`` a start depends on everything."""
    scenario = world.scenario
    actors, reads = letters(scenario.concurrent), reads_of(scenario.invariants)
    return Dependence(
        fused=fused,
        replicas=replicas_of(world),
        clients={f"client:{actor}": actor for actor in actors},
        precedence=Reads.PRECEDENCE in reads,
        real_time=Reads.REAL_TIME in reads,
    )


def read(trace: Trace) -> Sequence[Effect]:
    """Tell what each move of a run did; in the model that need not be put into words first."""
    return effects_of(trace) if isinstance(trace, ModelTrace) else effects(trace)


def alike_in(world: World) -> tuple[str, ...]:
    """Name the requests of which one is as good as another: all are the same, and all go to one replica."""
    scenario = world.scenario
    return letters(scenario.concurrent) if len(set(scenario.places)) == 1 else ()


def covering_of(world: World, clock_turn: Callable[[], bool]) -> Starts[Covering]:
    """Make the explorer that leaves nothing out; where only drawn orders are wanted it is never asked.

    ``clock_turn`` tells when it is time for orders in which the clock moves, each of which takes a second on the wire.
    """
    # Where a check reads the order of starts they are placed in every way, though still independent of steps.
    kind = world.scenario.search.explorer
    placed_once = Reads.REAL_TIME not in reads_of(world.scenario.invariants)

    def make(fused: bool) -> Covering:  # noqa: FBT001 - the one argument of a function of ours
        once = fused and placed_once
        search = Search(
            dependence_of(world, fused=fused),
            read,
            fused=once,
            alike=alike_in(world),
            possible={name: actor.at_most for name, actor in world.scenario.actors.items()},
            clock_apart=world.name == "wire",
            clock_turn=clock_turn,
        )
        made: Covering = SCHEDULERS[kind if covers(kind) else Exhaustive.name].make(search)
        return made

    return Starts(make, replicas_of(world), fused=True)


class Drawn:
    """What a sampler drew in one world: how many ``orders``, how many of them failed, and of how many classes."""

    def __init__(self, world: World) -> None:
        """Begin with none."""
        self.orders = self.failing = 0
        self._classes = Classes(dependence_of(world))

    def add(self, trace: Trace, broken: Sequence[Violation]) -> None:
        """Take in a run and what it broke, unless nothing may be concluded from it."""
        if trace.fault:
            return
        self._classes.add(read(trace))
        self.orders += 1
        self.failing += bool(broken)

    def by(self, sampler: Sampler) -> Sampled:
        """Sum up, with the bound of PCT."""
        measured = () if not isinstance(sampler, Pct) else (sampler.bound, sampler.actors, sampler.steps, sampler.depth)
        return Sampled(sampler.name, self.orders, self.failing, len(self._classes), *measured)
