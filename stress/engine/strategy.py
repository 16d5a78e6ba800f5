"""How an executor is searched: which scheduler leaves nothing out, which one draws, and what they need to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from stress.checks import Reads, reads_of
from stress.core.registry import SCHEDULERS
from stress.core.step import letters
from stress.core.verdict import Sampled
from stress.executors.model.executor import ModelTrace, effects_of
from stress.schedulers.auto import Auto
from stress.schedulers.base import Scheduler
from stress.schedulers.classes import Classes
from stress.schedulers.dependence import Dependence, effects
from stress.schedulers.dpor.scheduler import Dpor
from stress.schedulers.exhaustive import Exhaustive
from stress.schedulers.pct import Pct
from stress.schedulers.random_walk import Walk
from stress.schedulers.registered import SearchSettings
from stress.schedulers.starts import Starts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.core.trace import Trace
    from stress.core.verdict import Violation
    from stress.engine.running import Executor
    from stress.schedulers.dependence import Effect
    from stress.schedulers.registered import Registered


class Sampler(Scheduler, Protocol):
    """A scheduler that draws; ``schedules`` counts what it has drawn."""

    schedules: int


Covering = Auto | Exhaustive | Dpor
"""A scheduler that leaves nothing out."""


def covers(name: str) -> bool:
    """Return whether a scheduler leaves nothing out."""
    found: Registered = SCHEDULERS[name]
    return found.covering


def sampler_of(executor: Executor, seed: int, skip: frozenset[str]) -> Sampler:
    """Make what draws schedules at random without end; ``skip`` are actors that never act.

    Where the scenario wants nothing left out and there is time left, that is a random walk.
    """
    kind = executor.scenario.search.scheduler
    search = SearchSettings(dependence_of(executor), read, seed, skip)
    made: Sampler = SCHEDULERS[Walk.name if covers(kind) else kind].make(search)
    return made


def replicas_of(executor: Executor) -> dict[str, int]:
    """Give the replica of each request."""
    actors = letters(executor.scenario.concurrent)
    return dict(zip(actors, executor.scenario.places, strict=True))


def dependence_of(executor: Executor, *, fused: bool = True) -> Dependence:
    """Say which moves depend on each other; without ``fused`` a start depends on everything."""
    scenario = executor.scenario
    actors, reads = letters(scenario.concurrent), reads_of(scenario.invariants)
    return Dependence(
        fused=fused,
        replicas=replicas_of(executor),
        clients={f"client:{actor}": actor for actor in actors},
        precedence=Reads.PRECEDENCE in reads,
        real_time=Reads.REAL_TIME in reads,
    )


def read(trace: Trace) -> Sequence[Effect]:
    """Say what each move of a run did; in the model that need not be put into words first."""
    return effects_of(trace) if isinstance(trace, ModelTrace) else effects(trace)


def alike_in(executor: Executor) -> tuple[str, ...]:
    """Name the requests of which one is as good as another: all are the same, and all go to one replica."""
    scenario = executor.scenario
    return letters(scenario.concurrent) if len(set(scenario.places)) == 1 else ()


def covering_of(executor: Executor, clock_turn: Callable[[], bool]) -> Starts[Covering]:
    """Make the scheduler that leaves nothing out; where only drawn schedules are wanted it is never asked.

    ``clock_turn`` says when it is time for schedules in which the clock moves, each of which takes a second on the
    wire.
    """
    # Where a check reads the order of starts they are placed in every way, though still independent of steps.
    kind = executor.scenario.search.scheduler
    placed_once = Reads.REAL_TIME not in reads_of(executor.scenario.invariants)

    def make(fused: bool) -> Covering:  # noqa: FBT001 - the one argument of a function of ours
        once = fused and placed_once
        search = SearchSettings(
            dependence_of(executor, fused=fused),
            read,
            fused=once,
            alike=alike_in(executor),
            possible={name: actor.at_most for name, actor in executor.scenario.actors.items()},
            clock_apart=executor.name == "live",
            clock_turn=clock_turn,
        )
        made: Covering = SCHEDULERS[kind if covers(kind) else Exhaustive.name].make(search)
        return made

    return Starts(make, replicas_of(executor), fused=True)


class Draws:
    """What a sampler drew in one executor: how many ``schedules``, how many of them failed, and of how many classes."""

    def __init__(self, executor: Executor) -> None:
        """Begin with none."""
        self.schedules = self.failing = 0
        self._classes = Classes(dependence_of(executor))

    def add(self, trace: Trace, broken: Sequence[Violation]) -> None:
        """Take in a run and what it broke, unless nothing may be concluded from it."""
        if trace.fault:
            return
        self._classes.add(read(trace))
        self.schedules += 1
        self.failing += bool(broken)

    def by(self, sampler: Sampler) -> Sampled:
        """Sum up, with the bound of PCT."""
        measured = () if not isinstance(sampler, Pct) else (sampler.bound, sampler.actors, sampler.steps, sampler.depth)
        return Sampled(sampler.name, self.schedules, self.failing, len(self._classes), *measured)
