"""The search: how long it takes to run one schedule of each class, how soon a race is met, and that none is made up.

Each part of the table is one function here that gives figures; `figures` takes them one after another.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, get_args

from bench.figure import Figure, case
from bench.getset import CLASSES, in_model, on_wire
from stress.checks import run_checks
from stress.config.formats import bundled
from stress.config.scenario import Race, Scenario
from stress.config.scenario import Search as Settings
from stress.core.step import letters
from stress.core.trace import Trace
from stress.engine.case import Case
from stress.engine.limits import Limits
from stress.executors.live.executor import LiveExecutor
from stress.executors.model.executor import ModelExecutor, effects_of
from stress.schedulers.dependence import Dependence
from stress.schedulers.dpor.scheduler import Dpor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Iterator, Sequence

    from stress.config.target import Target
    from stress.report.events import Result

ROUNDS, QUICK = 5, 20
SCHEDULERS: tuple[str, ...] = get_args(Settings.model_fields["scheduler"].annotation)
_AT_ONCE = {"model": range(1, 9), "live": (2, 5, 8)}
"""Of how many requests at once nothing may be made up, by executor."""
_FIND = Limits(30.0, 5000)


def _exhaust(concurrent: int, alike: tuple[str, ...] = (), *, judged: bool = False) -> tuple[float, Dpor]:
    """Give the seconds of one schedule of each class in a model that has never run the program."""
    executor, dpor = in_model(concurrent), Dpor(Dependence(fused=True), alike=alike, read=effects_of)
    begun = time.perf_counter()
    while dpor.more():
        trace = executor.run(dpor)
        dpor.learn(trace)
        if judged:
            run_checks(executor.scenario.invariants, trace)
    return time.perf_counter() - begun, dpor


def _quickest(times: list[tuple[float, Dpor]]) -> str:
    seconds, dpor = min(times, key=lambda one: one[0])
    said = "exhausted" if dpor.exhausted else "NOT EXHAUSTED"
    return f"{seconds * 1000:.1f} ms ({dpor.schedules} schedules, {dpor.explored} classes, {said})"


def in_the_model() -> Iterator[Figure]:
    """Take the quickest of twenty searches; ``judged`` puts each run into words too, and asks the checks."""
    name = "exhaust [GET;SET] in the model, n ="
    for concurrent, asked in ((3, "<= 10 ms"), (4, "<= 100 ms")):
        value = _quickest([_exhaust(concurrent) for _ in range(QUICK)])
        yield Figure(f"{name} {concurrent}", value, f"{asked}, {CLASSES[concurrent]} classes")
    value = _quickest([_exhaust(5, letters(5)) for _ in range(QUICK)])
    yield Figure(f"{name} 5, symmetric", value, "<= 1 s")
    yield Figure(f"{name} 4, judged", _quickest([_exhaust(4, judged=True) for _ in range(ROUNDS)]))


async def _exhaust_wire(concurrent: int) -> Figure:
    name = f"exhaust [GET;SET] on the wire, n = {concurrent}"
    found: list[tuple[float, Dpor]] = []
    async with on_wire(concurrent) as executor:
        for _ in range(ROUNDS):
            dpor, begun = Dpor(Dependence(fused=True)), time.perf_counter()
            while dpor.more():
                trace = await executor.run(dpor)
                if trace.fault:
                    return Figure(name, trace.fault, "no fault")
                dpor.learn(trace)
            found.append((time.perf_counter() - begun, dpor))
    return Figure(name, _quickest(found), f"<= 500 ms, {CLASSES[concurrent]} classes")


def on_the_wire() -> Iterator[Figure]:
    """Take the quickest of five searches on one Gateway that runs already, one schedule at a time."""
    yield asyncio.run(_exhaust_wire(3))


class _Count:
    """Counts the runs of an executor, and notes in which of them each invariant was broken first."""

    def __init__(self, executor: ModelExecutor | LiveExecutor) -> None:
        self.executor, self._run = executor, executor.run
        self.ran = 0
        self.first: dict[str, int] = {}
        executor.run = self.run  # type: ignore[method-assign]

    def end(self) -> None:
        """Leave the executor as it was."""
        self.executor.run = self._run  # type: ignore[method-assign]

    def run(self, *asked: Any, **more: Any) -> Any:  # noqa: ANN401 - as the world has it
        trace = self._run(*asked, **more)
        return self._noted(trace) if isinstance(trace, Trace) else self._later(trace)

    async def _later(self, trace: Awaitable[Trace]) -> Trace:
        return self._noted(await trace)

    def _noted(self, trace: Trace) -> Trace:
        self.ran += 1
        for one in run_checks(self.executor.scenario.invariants, trace):
            self.first.setdefault(one.invariant, self.ran)
        return trace

    def until(self, names: Iterable[str]) -> str:
        """Say in which run the last of some invariants was broken."""
        return str(max(self.first[name] for name in names)) if set(names) <= set(self.first) else "NOT FOUND"


async def _until_found(scenario: Scenario, target: Target, names: Sequence[str]) -> str:
    model = ModelExecutor(scenario, target)
    in_model = _Count(model)
    async with LiveExecutor(scenario, target) as wire:
        count = _Count(wire)
        results = [await Case(None, wire, _FIND).result()]
        isolated = count.until(names)
        results.append(await Case(model, wire, _FIND).result())
    wrong = "" if all(result.as_expected for result in results) else ", NOT AS EXPECTED"
    return f"{in_model.until(names)} in the model, {isolated} on the wire alone{wrong}"


def races() -> Iterator[Figure]:
    """Search each case that must show a race as `run` does; count schedules until all that is expected was broken."""
    for path in sorted(bundled("").glob("*.yaml")):
        for name, expected in Scenario.load(path).expect.items():
            if isinstance(expected, Race):
                value = asyncio.run(_until_found(*case(path.stem, name), expected.race))
                asked = "<= 50" if name.startswith("kube-") else "<= 10"
                yield Figure(f"schedules until found: {path.stem} on {name}", value, asked)


def _alarm(result: Result) -> str:
    """Say what a search of something that is always true gave wrongly, if it did."""
    said = " ".join([result.verdict.reason, *result.faults]).lower()
    wrong = [word for word in ("deadlock", "timed out", "timeout") if word in said]
    return ", ".join([*wrong, *result.faults, *(one for finding in result.findings for one in finding.invariants)])


def _true(scheduler: str, concurrent: int) -> tuple[Scenario, Target]:
    scenario, target = case("atomic-hit-count", "redis-read-modify-write")
    changes = {"before": 0, "concurrent": concurrent, "invariants": ["no_server_error"], "expect": {}}
    return scenario.model_copy(update={**changes, "search": Settings.model_validate({"scheduler": scheduler})}), target


async def _alarms(concurrent: int, *, wire: LiveExecutor | None, limits: Limits) -> tuple[int, list[str]]:
    """Search with every scheduler, on the wire where it is given; give how many schedules ran, and what was wrong."""
    ran, found = 0, []
    for scheduler in SCHEDULERS:
        scenario, target = _true(scheduler, concurrent)
        model = ModelExecutor(scenario, target) if wire is None else None
        count = _Count(model or wire)  # type: ignore[arg-type]
        if wire is not None:
            wire.scenario = scenario
        alarm = _alarm(await Case(model, wire, limits).result())
        count.end()
        ran += count.ran
        found += [f"{scheduler} n = {concurrent}: {alarm}"] if alarm else []
    return ran, found


async def _always_true(executor: str, limits: Limits) -> Figure:
    reported = []
    for concurrent in _AT_ONCE[executor]:
        if executor == "model":
            reported.append(await _alarms(concurrent, wire=None, limits=limits))
        else:
            async with LiveExecutor(*_true("auto", concurrent)) as wire:
                reported.append(await _alarms(concurrent, wire=wire, limits=limits))
    alarms = [alarm for _, found in reported for alarm in found]
    name = f"always true, {len(SCHEDULERS)} schedulers, up to n = {max(_AT_ONCE[executor])}, {executor}: false alarms"
    return Figure(name, "; ".join([f"{len(alarms)} in {sum(ran for ran, _ in reported)} schedules", *alarms]), "0")


def nothing_made_up() -> Iterator[Figure]:
    """Let every scheduler search, within a small budget, for a violation of what no schedule violates."""
    yield asyncio.run(_always_true("model", Limits(1.0, 100)))
    yield asyncio.run(_always_true("live", Limits(10.0, 12)))


PARTS = (in_the_model, on_the_wire, races, nothing_made_up)
"""What the table says of the search; one more figure is one more function here."""


def figures() -> Iterator[Figure]:
    """Measure one part after another."""
    for part in PARTS:
        yield from part()
