"""Searching both executors: what one finds the other confirms."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import scenario_of, target_of

from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.engine.case import Case
from stress.engine.codes import code_of
from stress.engine.limits import Limits
from stress.engine.search import INTERRUPTED, Search
from stress.executors.live.executor import LiveExecutor
from stress.executors.model.executor import ModelExecutor
from stress.report.explain.race import race, title
from stress.schedulers.exhaustive import Exhaustive
from stress.schedulers.starts import Starts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.step import Move
    from stress.core.trace import Trace
    from stress.report.events import Result
    from stress.schedulers.base import Scheduler

pytestmark = pytest.mark.unmeasured

LIMITS = Limits(600.0, 5000)
"""Seconds that no search here needs, however slow the machine is: what is asserted are counts."""


def with_scheduler(name: str, scheduler: str) -> Scenario:
    """Load a bundled scenario that is searched in another way."""
    return Scenario.model_validate(
        {**scenario_of(name).model_dump(exclude_unset=True), "search": {"scheduler": scheduler}}
    )


async def in_both(scenario: Scenario, target: Target) -> Result:
    """Search one case in both executors."""
    async with LiveExecutor(scenario, target) as wire:
        return await Case(ModelExecutor(scenario, target), wire, LIMITS).result()


@pytest.mark.asyncio
async def test_what_the_model_finds_is_confirmed_on_the_wire() -> None:
    """The two races of the first failing test are found in the model and followed on the wire."""
    result = await in_both(scenario_of("concurrent-duplicates"), target_of("redis-named-by-second"))
    assert (str(result.verdict.ruling), result.executor, result.as_expected) == ("race", "both", True)
    assert [finding.schedule.actors for finding in result.findings] == ["A A B B B A A", "A A clock B B B A"]
    assert [(finding.executor, finding.replays) for finding in result.findings] == [("live", (3, 3)), ("live", (3, 3))]
    assert [finding.confirmed for finding in result.findings] == [True, True]
    model, wire = result.verdict.evidence
    assert (model.covered, wire.schedules, wire.replayed) == ("stopped at a race after 6 schedules", 0, 2)
    assert [str(finding.nearest) for finding in result.findings] == [
        "A SMEMBERS gw:active:{fingerprint} before B EVAL gw:active:{fingerprint} gw:hits:{fingerprint}",
        "B SMEMBERS gw:active:{fingerprint} before A EVAL gw:active:{fingerprint} gw:hits:{fingerprint}",
    ]


@pytest.mark.asyncio
async def test_a_fixed_holds_only_when_one_executor_ran_every_schedule() -> None:
    """The fixed counterpart is exhausted in both executors."""
    result = await in_both(with_scheduler("atomic-hit-count", "exhaustive"), target_of("redis-optimistic"))
    assert (str(result.verdict.ruling), result.as_expected) == ("holds", True)
    assert [(one.executor, one.schedules, one.exhausted) for one in result.verdict.evidence] == [
        ("model", 20, True),
        ("live", 20, True),
    ]


@pytest.mark.asyncio
async def test_a_hunt_and_one_schedule_of_each_class_is_proof_in_both_executors() -> None:
    """By default the fixed counterpart's 20 schedules are 3 classes up to the names of the two requests."""
    result = await in_both(scenario_of("atomic-hit-count"), target_of("redis-optimistic"))
    assert (str(result.verdict.ruling), result.as_expected) == ("holds", True)
    assert [(one.executor, one.schedules, one.classes) for one in result.verdict.evidence] == [
        ("model", 8, 3),
        ("live", 8, 3),
    ]
    assert result.verdict.evidence[0].covered == "exhausted 3 of 3 classes up to renaming (8 schedules)"


@pytest.mark.asyncio
@pytest.mark.parametrize(("limits", "drawn"), [(LIMITS, 100), (LIMITS._replace(proof=5.0), 50)])
async def test_beside_a_search_random_schedules_run(limits: Limits, drawn: int) -> None:
    """Half of them are random walks and half uniform among schedules; the quick profile has half as many."""
    executor = ModelExecutor(scenario_of("atomic-hit-count"), target_of("redis-read-modify-write"))
    covered = await Search(executor, limits, baseline=True).run()
    assert [(one.scheduler, one.schedules) for one in covered.evidence.draws] == [
        ("random_walk", drawn),
        ("urw", drawn),
    ]


class Dying(ModelExecutor):
    """An executor in which every so many-th random schedule can't be followed to its end."""

    every = 0
    drawn = 0

    def run(self, scheduler: Scheduler, fresh: str | None = None, also: frozenset[str] = frozenset()) -> Trace:
        """Run it, and let it end so."""
        trace = super().run(scheduler, fresh, also)
        self.drawn += scheduler.name in ("random_walk", "urw")
        if scheduler.name in ("random_walk", "urw") and self.drawn % self.every == 0:
            trace.fault = "ambiguous"
        return trace


@pytest.mark.measured_once
@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("every", "ruling", "drawn", "notes"),
    [
        (25, "holds", 196, ("8 schedules skipped, most often (8) as: ambiguous",)),
        (10, "inconclusive", 189, ("21 schedules skipped, most often (21) as: ambiguous",)),
        (5, "inconclusive", 84, ("21 schedules skipped, most often (21) as: ambiguous",)),
    ],
)
async def test_an_odd_random_schedule_is_skipped_and_counted(
    every: int, ruling: str, drawn: int, notes: tuple[str, ...]
) -> None:
    """Up to one in twenty decides nothing beside a search that ran every schedule; with more nothing is concluded."""
    executor = Dying(scenario_of("atomic-hit-count"), target_of("redis-atomic"))
    executor.every = every
    result = await Case(executor, None, LIMITS).result()
    assert str(result.verdict.ruling) == ruling
    assert sum(one.schedules for one in result.verdict.evidence[0].draws) == drawn
    assert result.notes == notes


BREAKS = "B HGET gw:dedup:{fingerprint} before A HSET gw:dedup:{fingerprint}"


@pytest.mark.parametrize("scheduler", ["hypothesis", "dpor", "random_walk", "pct", "urw", "surw", "starve"])
def test_every_scheduler_finds_the_lost_hit_and_makes_its_schedule_small(scheduler: str) -> None:
    """Whatever schedule is drawn first, the smallest is reported; a seed draws the same schedules each time."""
    scenario = with_scheduler("atomic-hit-count", scheduler)

    async def search() -> tuple[int, tuple[str, ...]]:
        executor = ModelExecutor(scenario, target_of("redis-read-modify-write"))
        result = await Case(executor, None, LIMITS).result()
        assert result.notes == ("found in the model alone: nothing was run on the wire",)
        assert [str(finding.nearest) for finding in result.findings] == [BREAKS]
        assert [finding.confirmed for finding in result.findings] == [False]
        return result.verdict.evidence[0].sampled, tuple(finding.schedule.actors for finding in result.findings)

    first, second = asyncio.run(search()), asyncio.run(search())
    assert first == second
    assert first[1] == ("A A A B B B B A",)


class OneSchedule(Exhaustive):
    """A scheduler that runs one schedule and says that there are no others."""

    def more(self) -> bool:
        """Begin once."""
        return not self.schedules and super().more()

    @property
    def exhausted(self) -> bool:
        """Say that all were run."""
        return self.schedules > 0


@pytest.mark.measured_once
@pytest.mark.asyncio
async def test_a_race_beside_a_finished_search_makes_its_coverage_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search says that it ran every schedule, a random one fails: that is a race, and the claim is withdrawn."""
    monkeypatch.setattr(
        "stress.engine.search.covering_of", lambda *_: Starts(lambda fused: OneSchedule(fused=fused), {}, fused=True)
    )
    executor = ModelExecutor(scenario_of("atomic-hit-count"), target_of("redis-read-modify-write"))
    result = await Case(executor, None, LIMITS).result()
    evidence = result.verdict.evidence[0]
    assert (str(result.verdict.ruling), evidence.exhausted, evidence.total) == ("race", False, None)
    assert (
        evidence.covered == f"bounded: requests share more than the store (found beside the search: {evidence.beside})"
    )
    assert sorted(evidence.beside.split()) == ["A"] * 4 + ["B"] * 4
    assert code_of(result) == 70


@pytest.mark.asyncio
async def test_one_schedule_of_each_class_is_proof_in_both_executors() -> None:
    """The fixed counterpart's 20 schedules are 6 classes, in the model as on the wire; one of each exhausts them."""
    result = await in_both(with_scheduler("atomic-hit-count", "dpor"), target_of("redis-optimistic"))
    assert str(result.verdict.ruling) == "holds"
    assert [(one.executor, one.schedules, one.classes, one.exhausted) for one in result.verdict.evidence] == [
        ("model", 6, 6, True),
        ("live", 6, 6, True),
    ]
    assert result.verdict.evidence[0].covered == "exhausted 6 of 6 classes (6 schedules)"


@pytest.mark.measured_once
def test_a_cut_off_search_by_classes_is_no_proof() -> None:
    """Three of six classes are inconclusive, and the report says how many were run."""
    scenario = with_scheduler("atomic-hit-count", "dpor").model_copy(update={"races": {}})
    executor = ModelExecutor(scenario, target_of("redis-optimistic"))
    result = asyncio.run(Case(executor, None, Limits(20.0, 3)).result())
    assert str(result.verdict.ruling) == "inconclusive"
    assert result.verdict.evidence[0].covered == "3 classes of schedules, not all"


@pytest.mark.measured_once
def test_hypothesis_finds_nothing_in_a_fixed() -> None:
    """A hundred drawn schedules of the fixed counterpart break nothing; the verdict stays open."""
    scenario = with_scheduler("atomic-hit-count", "hypothesis")
    executor = ModelExecutor(scenario, target_of("redis-atomic"))
    result = asyncio.run(Case(executor, None, Limits(20.0, 100)).result())
    assert (str(result.verdict.ruling), result.verdict.evidence[0].sampled) == ("inconclusive", 100)


class Late:
    """The wire, but its first ``runs`` runs go into another second before move number ``step``."""

    name = "live"

    def __init__(self, wire: LiveExecutor, step: int, runs: int) -> None:
        """Wrap an executor."""
        self._wire, self._step, self._runs = wire, step, runs
        self.scenario, self.target, self.digest = wire.scenario, wire.target, wire.digest
        self.broken, self.apart = False, 0.0

    async def run(self, scheduler: Scheduler, fresh: str | None = None, also: frozenset[str] = frozenset()) -> Trace:
        """Run a schedule."""
        late = self._runs > 0
        self._runs -= 1
        if (left := 1 - time.time() % 1) < 0.5:  # it must not go into another second by chance
            await asyncio.sleep(left + 0.01)
        return await self._wire.run(_Slow(scheduler, self._step) if late else scheduler, fresh, also)


class _Slow:
    """Chooses what another scheduler chooses, one move of it a second later."""

    name = "slow"

    def __init__(self, scheduler: Scheduler, step: int) -> None:
        self._scheduler, self._left = scheduler, step

    def more(self) -> bool:
        return self._scheduler.more()

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        self._left -= 1
        if not self._left:
            time.sleep(int(time.time()) + 1.01 - time.time())
        return self._scheduler.choose(moves, done=done)

    def learn(self, trace: Trace) -> None:
        self._scheduler.learn(trace)


CROSSED = {
    "fails only across a second": (
        3,
        ["A A clock B B B A"],
        ("fails only where the clock goes into another second during the run",),
    ),
    "there is no clock": (
        3,
        [],
        ("a schedule failed in a run that crossed a second, and not again",),
    ),
    "fails all the same": (1, ["A A B B B A A"], ()),
}


@pytest.mark.measured_once
@pytest.mark.asyncio
@pytest.mark.parametrize("case", CROSSED)
async def test_a_violation_in_a_run_that_crossed_a_second_is_run_again(case: str) -> None:
    """Where only the second explains the violation, the schedule has a move of the clock, if one may move."""
    step, actors, notes = CROSSED[case]
    target = target_of("redis-named-by-second").model_copy(update={"second": "ignored"})
    scenario = Scenario.model_validate(
        {
            **scenario_of("concurrent-duplicates").model_dump(exclude_unset=True),
            "actors": {} if case == "there is no clock" else {"clock": {"at_most": 1}},
            "expect": {},
            "races": {},
            "invariants": ["one_active_record" if notes else "one_created_answer"],
        }
    )
    async with LiveExecutor(scenario, target) as wire:
        covered = await Search(Late(wire, step, 1 if case == "fails all the same" else 4), LIMITS).run()
    assert covered.fault == ""
    assert [finding.schedule.actors for finding in covered.found.values()] == actors
    assert tuple(covered.notes) == notes


MEMORY = Path(__file__).parents[1] / "cases" / "in-process-memory"
MODE = 'MODE = os.environ["MODE"]\n'
ONCE = """WARM_AFTER = 0 if os.path.exists("ran") else 8
open("ran", "w").close()
"""
"""Only the first process of all creates records that are not atomic at first."""


@pytest.mark.asyncio
async def test_a_race_of_a_new_process_alone_is_confirmed_in_new_processes() -> None:
    """With other values it passes in the process that has served many: its own value is kept, and that it matters."""
    scenario, target = Scenario.load(MEMORY / "scenario.yaml"), Target.load(MEMORY / "cold.yaml")
    async with LiveExecutor(scenario, target) as wire:
        first = wire.replicas[1].process
        result = await Case(None, wire, Limits(5.0, 12)).result()
        last = wire.replicas[1].process
    assert str(result.verdict.ruling) == "race"
    (finding,) = result.findings
    fresh = finding.trace.fresh
    assert (finding.schedule.head.fresh, finding.replays, finding.nearest) == (fresh, (3, 3), None)
    assert f"\nfresh: {fresh}\n" in finding.schedule.text()
    shown = " ".join(line.strip() for line in race(finding, ""))
    words = f"it fails where {{fresh}} is {fresh}, in a new process, and not each time with other values"
    assert f"the value matters: {words}" in shown
    assert first is not None
    assert last is not None
    assert first.pid != last.pid


@pytest.mark.measured_once
@pytest.mark.asyncio
async def test_what_fails_with_no_value_again_is_inconclusive(tmp_path: Path) -> None:
    """The first process alone was racy: new values and the old one in new processes do not fail, and both are noted."""
    for name in ("scenario.yaml", "cold.yaml", "service.py"):
        shutil.copy(MEMORY / name, tmp_path)
    text = (tmp_path / "service.py").read_text()
    (tmp_path / "service.py").write_text(text.replace('MODE, WARM_AFTER = os.environ["MODE"], 8\n', MODE + ONCE))
    text = (tmp_path / "cold.yaml").read_text()
    (tmp_path / "cold.yaml").write_text(text.replace("PYTHONPATH: ..", f"PYTHONPATH: {MEMORY.parent}"))
    scenario, target = Scenario.load(tmp_path / "scenario.yaml"), Target.load(tmp_path / "cold.yaml")
    async with LiveExecutor(scenario, target) as wire:
        result = await Case(None, wire, Limits(5.0, 12)).result()
    assert (str(result.verdict.ruling), result.verdict.reason) == (
        "inconclusive",
        "a failing schedule failed in 0 of 3 replays with new values, in 0 of 3 with its own in a new process",
    )
    shown = title(result, result.findings[0])
    assert shown == "NOT CONFIRMED one_created_answer: in-process-memory on cold"


@pytest.mark.asyncio
async def test_an_interrupted_search_keeps_the_run_under_way() -> None:
    """Who interrupts a search gets its trace so far, and no verdict."""
    scenario, target = scenario_of("concurrent-duplicates"), target_of("redis-named-by-second")
    async with LiveExecutor(scenario, target) as wire:
        warm = wire._drive
        task = asyncio.create_task(Case(None, wire, LIMITS).result())
        while wire._drive is warm:  # noqa: ASYNC110 - it begins a run within a few turns of the loop
            await asyncio.sleep(0)
        task.cancel()
        result = await task
    assert (str(result.verdict.ruling), result.faults) == ("inconclusive", (INTERRUPTED,))
    assert result.last_trace is not None
    assert result.last_trace.fault == INTERRUPTED


def test_answers_that_can_not_be_counted_decide_nothing() -> None:
    """Where too many requests span several cleanups to try every way of counting them, there is no verdict."""
    scenario = Scenario.model_validate(
        {
            **scenario_of("t2-one-then-three-cleanup").model_dump(exclude_unset=True),
            "concurrent": 26,
            "races": {},
            "invariants": ["hits_equal_answers"],
            "actors": {"cleanup": {"at_most": 1}},
            "search": {"scheduler": "random_walk"},
            "expect": {},
        }
    )
    executor = ModelExecutor(scenario, target_of("redis-optimistic"))
    result = asyncio.run(Case(executor, None, Limits(20.0, 500)).result())
    assert str(result.verdict.ruling) == "inconclusive"
    assert result.faults == ("too many requests span a cleanup or an expiry to be counted: use fewer at once",)
