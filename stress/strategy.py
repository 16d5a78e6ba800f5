"""How a world is searched: which explorer leaves nothing out, which one draws, and what they need to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from stress.explore.auto import Auto
from stress.explore.base import Explorer
from stress.explore.classes import Classes
from stress.explore.dependence import Dependence, effects
from stress.explore.dpor import Dpor
from stress.explore.exhaustive import Exhaustive
from stress.explore.pct import Pct
from stress.explore.starve import Starve
from stress.explore.urw import Urw
from stress.explore.walk import Walk
from stress.step import letters
from stress.verdict import Sampled
from stress.worlds.model import ModelTrace, effects_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.explore.dependence import Effect
    from stress.running import World
    from stress.trace import Trace
    from stress.verdict import Violation


class Sampler(Explorer, Protocol):
    """An explorer that draws; ``orders`` counts what it has drawn."""

    orders: int


COVERING = ("auto", "exhaustive", "dpor")
"""The names of the explorers that leave nothing out, as a scenario has them."""
Covering = Auto | Exhaustive | Dpor
"""An explorer that leaves nothing out."""


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
    scenario = world.scenario
    actors = letters(scenario.concurrent)
    return Dependence(
        fused=world.target.protocol is not None,
        replicas=dict(zip(actors, scenario.replicas or [1] * len(actors), strict=True)),
        clients={f"client:{actor}": actor for actor in actors},
        real_time="linearizable_hits" in scenario.invariants,
    )


def read(trace: Trace) -> Sequence[Effect]:
    """Tell what each move of a run did; in the model that need not be put into words first."""
    return effects_of(trace) if isinstance(trace, ModelTrace) else effects(trace)


def alike_in(world: World) -> tuple[str, ...]:
    """Name the requests of which one is as good as another: all are the same, and all go to one replica."""
    scenario = world.scenario
    return letters(scenario.concurrent) if len(set(scenario.replicas or [1])) == 1 else ()


def covering_of(
    world: World,
    clock_turn: Callable[[], bool],
) -> Covering:
    """Make the explorer that leaves nothing out; where only drawn orders are wanted it is never asked.

    ``clock_turn`` tells when it is time for orders in which the clock moves, each of which takes a second on the wire.
    """
    kind = world.scenario.search.explorer
    # Bundled Gateways share nothing but the store, which makes starting a request commute with all but the clock.
    fused, apart = world.target.protocol is not None, world.name == "wire"
    alike = alike_in(world)
    if kind == "dpor":
        return Dpor(dependence_of(world), read=read)
    if kind != "auto":
        return Exhaustive(fused=fused, clock_apart=apart, clock_turn=clock_turn)
    return Auto(
        dependence_of(world),
        fused=fused,
        possible={name: actor.at_most for name, actor in world.scenario.actors.items()},
        alike=alike,
        clock_apart=apart,
        clock_turn=clock_turn,
        read=read,
    )


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
