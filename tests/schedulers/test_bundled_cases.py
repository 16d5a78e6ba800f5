"""Every bundled case in the model: brute force has the classes that DPOR runs, and nothing ends otherwise."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from conftest import scenario_of, target_of

from stress.checks import run_checks
from stress.config.formats import bundled
from stress.config.scenario import Scenario
from stress.engine.strategy import alike_in, covering_of, dependence_of, read
from stress.executors.model.executor import ModelExecutor
from stress.schedulers.dpor.scheduler import Dpor
from stress.schedulers.exhaustive import Exhaustive

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from stress.core.trace import Trace
    from stress.schedulers.base import Scheduler
    from stress.schedulers.dependence import Dependence, Effect

    Class = frozenset[tuple[int, int]]
    Ending = tuple[tuple[tuple[object, ...], ...], object, frozenset[str]]

pytestmark = pytest.mark.unmeasured

MOST = 50_000
"""Cases with more interleavings are left out."""
QUICK = 100
"""Cases with more interleavings run in `make test-cases` alone."""

CASES = [  # interleavings, classes, schedules of DPOR with symmetry, endings up to the names of requests
    ("atomic-hit-count", "redis-read-modify-write", 70, 6, 3, 2),
    ("atomic-hit-count", "redis-atomic", 6, 2, 1, 1),
    ("concurrent-duplicates", "redis-named-by-second", 132, 40, 20, 3),
    ("concurrent-duplicates", "redis-atomic", 24, 12, 6, 1),
    ("concurrent-duplicates", "kube-status", 3_006, 418, 209, 4),
    ("concurrent-duplicates", "kube-named-by-fingerprint", 674, 178, 89, 1),
    ("expiry", "redis-store-overwrite", 43_530, 3_402, 1_704, 14),
    ("expiry", "redis-atomic", 36, 16, 8, 4),
    ("idempotency-key", "redis-idempotency-key", 150, 16, 8, 3),
    ("idempotency-key", "redis-idempotency-key-claimed", 44, 8, 4, 2),
    ("l1-reentrant-lock", "kube-lease-fenced", 1_008, 32, 16, 1),
    ("l4-stolen-release", "kube-lease-fenced", 19_902, 656, 656, 2),
    ("l5-leaked-lease", "kube-lease", 9, 9, 9, 5),
    ("l5-leaked-lease", "kube-lease-fenced", 6, 6, 6, 4),
    ("l6-unrenewed-lease", "kube-lease-fenced", 19_902, 656, 656, 2),
    ("pseudo-lock", "redis-pseudo-lock", 600, 118, 59, 3),
    ("pseudo-lock", "redis-atomic", 24, 18, 9, 1),
    ("r1-across-a-second", "kube-status", 3_006, 418, 209, 4),
    ("r1-across-a-second", "kube-named-by-fingerprint", 674, 178, 89, 1),
    ("r10-digits-in-the-name", "kube-named-by-fingerprint", 74, 14, 7, 1),
    ("r2-same-second-losers", "kube-status", 270, 30, 15, 3),
    ("r2-same-second-losers", "kube-named-by-fingerprint", 74, 14, 7, 1),
    ("r3-status-init-lost", "kube-status-cached", 2_958, 282, 141, 7),
    ("r3-status-init-lost", "kube-named-by-fingerprint", 74, 14, 7, 1),
    ("r4-loser-without-cache", "kube-status-cached", 2_958, 282, 141, 7),
    ("r4-loser-without-cache", "kube-named-by-fingerprint", 74, 14, 7, 1),
    ("r5-stale-list", "kube-status-cached", 42_578, 5_010, 2_505, 10),
    ("r5-stale-list", "kube-named-by-fingerprint", 674, 178, 89, 1),
    ("r7-stale-cache-conflict", "kube-status-cached", 364, 56, 28, 2),
    ("r7-stale-cache-conflict", "kube-named-by-fingerprint", 20, 4, 2, 1),
    ("r8-phase-flip", "kube-status", 6, 5, 5, 4),
    ("r8-phase-flip", "kube-named-by-fingerprint", 5, 4, 4, 3),
    ("r9-delete-under-foot", "kube-status", 6, 5, 5, 5),
    ("r9-delete-under-foot", "kube-named-by-fingerprint", 5, 4, 4, 3),
    ("store-overwrite", "redis-store-overwrite", 90, 8, 6, 2),
    ("store-overwrite", "redis-optimistic", 70, 8, 4, 1),
    ("t2-one-then-three-cleanup", "redis-atomic", 720, 180, 30, 5),
    ("t2-one-then-three", "redis-read-modify-write", 34_650, 240, 43, 5),
    ("t2-one-then-three", "redis-atomic", 90, 36, 6, 1),
    ("t2-one-then-three", "kube-named-by-fingerprint", 8_376, 210, 32, 1),
]
REDUNDANT = {("r3-status-init-lost", 19, 8), ("r4-loser-without-cache", 19, 8), ("r5-stale-list", 231, 100)}
REDUNDANT |= {("r7-stale-cache-conflict", 4, 0)}
"""Of a cached Gateway: how many schedules DPOR runs besides, without and with symmetry, in which an event comes that no
other schedule of the class delivers before the last answer."""
TOO_LARGE = [
    ("l1-reentrant-lock", "kube-lease"),
    ("l2-early-release", "kube-lease"),
    ("l3-foreign-delete", "kube-lease"),
    ("l4-stolen-release", "kube-lease"),
    ("l6-unrenewed-lease", "kube-lease"),
    ("r6-retry-exhaustion", "kube-status"),
    ("t1-five-at-once-cleanup", "redis-atomic"),
    ("t1-five-at-once", "redis-named-by-second"),
    ("t1-five-at-once", "redis-atomic"),
    ("t1-five-at-once", "kube-status"),
    ("t2-one-then-three", "kube-status"),
]


def executor_of(scenario: str, target: str) -> ModelExecutor:
    """Make the executor of a bundled case."""
    return ModelExecutor(scenario_of(scenario), target_of(target))


class Classes:
    """Names the class of a run by the definition: its moves, and for each the earlier ones it depends on."""

    def __init__(self, dependence: Dependence) -> None:
        """Begin with no move known."""
        self._dependence = dependence
        self._numbers: dict[Effect, int] = {}
        self._dependent: list[int] = []

    def name(self, run: Sequence[Effect]) -> Class:
        """Name the class of a run; bit n of a set of moves is the move with the number n."""
        before, found = 0, set()
        for effect in run:
            number = self._number(effect._replace(reply=""))
            found.add((number, before & self._dependent[number]))
            before |= 1 << number
        return frozenset(found)

    def _number(self, effect: Effect) -> int:
        new = self._numbers.setdefault(effect, len(self._numbers))
        if new == len(self._dependent):
            self._dependent.append(0)
            for other, number in self._numbers.items():
                if self._dependence.between(effect, other):
                    self._dependent[new] |= 1 << number
                    self._dependent[number] |= 1 << new
        return new


def run_all(executor: ModelExecutor, scheduler: Scheduler) -> Iterator[Trace]:
    """Run all schedules of a scheduler."""
    while scheduler.more():
        trace = executor.run(scheduler)
        assert trace.fault == ""
        scheduler.learn(trace)
        yield trace


def ending(executor: ModelExecutor, trace: Trace) -> Ending:
    """Give what a run led to: answers, what is left, and which invariants are broken."""
    answers, states = trace.outcome
    assert isinstance(answers, tuple)
    return answers, states, frozenset(one.invariant for one in run_checks(executor.scenario.invariants, trace))


def unnamed(endings: Iterable[Ending], alike: Collection[str]) -> set[Ending]:
    """Leave out the names of the requests that are alike."""
    return {
        (tuple(sorted((("", *one[1:]) if one[0] in alike else one for one in answers), key=repr)), states, broken)
        for answers, states, broken in endings
    }


def classes_of(executor: ModelExecutor, scheduler: Scheduler, classes: Classes) -> tuple[int, dict[Class, Ending]]:
    """Run all schedules of a scheduler; give how many, and how each class of them ends."""
    found: dict[Class, Ending] = {}
    number = 0
    for trace in run_all(executor, scheduler):
        number += 1
        ended = ending(executor, trace)
        assert found.setdefault(classes.name(read(trace)), ended) == ended, "two schedules of a class end differently"
    return number, found


@pytest.mark.parametrize(
    ("scenario", "target", "interleavings", "classes", "symmetric", "endings"),
    [pytest.param(*case, marks=[pytest.mark.cases] if case[2] > QUICK else []) for case in CASES],
)
def test_the_classes_of_a_bundled_case_are_those_of_brute_force(  # noqa: PLR0913, PLR0917 - columns
    scenario: str, target: str, interleavings: int, classes: int, symmetric: int, endings: int
) -> None:
    """DPOR runs one schedule of each class that there is; with symmetry, and by default, all endings are seen."""
    executor = executor_of(scenario, target)
    dependence, alike = dependence_of(executor), alike_in(executor)
    names = Classes(dependence)
    number, every = classes_of(executor, Exhaustive(fused=False), names)
    ends = unnamed(every.values(), alike)
    assert (number, len(every), len(ends)) == (interleavings, classes, endings)
    more, few = next((n for one, *n in REDUNDANT if (one, target) == (scenario, "kube-status-cached")), (0, 0))
    dpor = Dpor(dependence, read=read)
    assert classes_of(executor, dpor, names) == (classes + more, every)
    assert dpor.exhausted != dpor.doubtful
    fewer = Dpor(dependence, read=read, alike=alike)
    assert unnamed((ending(executor, trace) for trace in run_all(executor, fewer)), alike) == ends
    assert (dpor.redundant, fewer.schedules, fewer.redundant) == (more, symmetric + few, few)
    default = covering_of(executor, lambda: False)
    assert unnamed((ending(executor, trace) for trace in run_all(executor, default)), alike) == ends
    assert default.scheduler.exhausted


def test_every_bundled_case_is_compared_or_too_large() -> None:
    """40 of the 51 cases that have a model are compared; the others are listed."""
    scenarios = [Scenario.load(path) for path in sorted(bundled("").glob("*.yaml"))]
    modelled = [(one.name, name) for one in scenarios for name in one.expect if target_of(name).protocol is not None]
    assert len(CASES) == 40
    assert sorted([*((scenario, target) for scenario, target, *_ in CASES), *TOO_LARGE]) == sorted(modelled)


@pytest.mark.skipif(os.environ.get("STRESS_NIGHTLY") != "1", reason="ten minutes, to see that nothing can be compared")
@pytest.mark.cases
@pytest.mark.parametrize(("scenario", "target"), TOO_LARGE)
def test_a_case_that_is_left_out_is_too_large(scenario: str, target: str) -> None:
    """It has more interleavings than are compared."""
    traces = run_all(executor_of(scenario, target), Exhaustive(fused=False))
    assert sum(1 for _ in zip(range(MOST + 1), traces, strict=False)) == MOST + 1


@pytest.mark.parametrize(
    ("requests", "fused", "schedules"),
    [
        (3, True, 19),
        (3, False, 310),
        (4, True, 185),
        pytest.param(4, False, 17_494, marks=pytest.mark.cases),
    ],
)
def test_independent_starts_leave_a_fraction_of_the_schedules(
    requests: int,
    fused: bool,  # noqa: FBT001 - a column
    schedules: int,
) -> None:
    """Read-modify-write, up to the names of requests: as many endings with as without starts that depend on all."""
    scenario = scenario_of("atomic-hit-count").model_copy(update={"concurrent": requests})
    executor = ModelExecutor(scenario, target_of("redis-read-modify-write"))
    alike = alike_in(executor)
    dpor = Dpor(dependence_of(executor, fused=fused), read=read, alike=alike)
    ends = unnamed((ending(executor, trace) for trace in run_all(executor, dpor)), alike)
    assert (dpor.schedules, dpor.redundant, dpor.exhausted) == (schedules, 0, True)
    assert len(ends) == {3: 5, 4: 12}[requests]
