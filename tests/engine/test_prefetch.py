"""Schedules run side by side before they are asked for: the search sees what it would have seen with one worker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from conftest import scenario_of, target_of

from stress.config.scenario import Scenario
from stress.core.step import START, Move
from stress.core.trace import Details, Snapshot, Trace
from stress.engine.limits import Limits
from stress.engine.prefetch import Prefetch
from stress.engine.running import WorkerCount
from stress.engine.search import Search
from stress.engine.strategy import covering_of
from stress.executors.live.executor import LiveExecutor
from stress.executors.model.executor import ModelExecutor
from stress.schedulers.base import Diverged
from stress.schedulers.exhaustive import Exhaustive
from stress.schedulers.lookahead import Plan, Planned, going_on

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.verdict import Evidence, Violation

A, B = Move("A", START, ""), Move("B", START, "")


class Seen(Search):
    """A search that notes what each run was, in the order in which they were judged."""

    signatures: list[tuple[object, ...]]

    async def _take(self, trace: Trace, **how: bool) -> tuple[Violation, ...]:
        self.signatures.append(trace.signature)
        return await super()._take(trace, **how)


async def searched(executor: LiveExecutor, workers: int) -> tuple[list[tuple[object, ...]], Evidence]:
    """Search with so many workers; give what each run was, and the evidence."""
    search = Seen(executor, Limits(30.0, 5000, workers=WorkerCount.chosen(workers)))
    search.signatures = []
    covered = await search.run()
    assert covered.fault == ""
    return search.signatures, covered.evidence


@pytest.mark.unmeasured
@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "target", "scheduler", "schedules"),
    [
        ("t2-one-then-three", "redis-atomic", "auto", 7),
        ("t2-one-then-three", "redis-atomic", "dpor", 36),
        ("t2-one-then-three", "redis-atomic", "exhaustive", 6),
        ("atomic-hit-count", "redis-optimistic", "exhaustive", 20),
        ("atomic-hit-count", "redis-read-modify-write", "auto", 3),
    ],
)
async def test_a_search_with_several_workers_sees_what_it_sees_with_one(
    name: str, target: str, scheduler: str, schedules: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same traces in the same order, and the same evidence but for the time."""
    raw = scenario_of(name).model_dump(exclude_unset=True)
    scenario = Scenario.model_validate({**raw, "search": {"scheduler": scheduler}})
    async with LiveExecutor(scenario, target_of(target)) as executor:
        single, one = await searched(executor, 1)
        monkeypatch.setattr("stress.executors.live.deployment._START_SECONDS", 3600.0)
        beside, four = await searched(executor, 4)
        assert len(await executor.beside(4)) == 4
    assert beside == single
    assert (len(single), one.schedules, four.schedules) == (schedules, schedules, schedules)
    assert (four.exhausted, four.classes, four.bound) == (one.exhausted, one.classes, one.bound)


def test_an_schedule_is_run_as_planned_and_what_was_possible_is_kept() -> None:
    """It begins with the moves of the plan, goes on as that says, and begins again when the executor does."""
    planned = Planned(Plan((B,), going_on(fused=False)))
    assert planned.more()
    assert planned.choose([A, B], done=False) == B
    planned.restart()
    assert [planned.choose([A, B], done=False), planned.choose([A], done=False)] == [B, A]
    planned.restart()  # as an executor does at the end of a run: what was kept stays until the next choice
    assert [(point.moves, point.chosen) for point in planned.points] == [((A, B), B), ((A,), A)]
    assert planned.choose([B], done=False) == B
    assert planned.choose([], done=True) is None
    with pytest.raises(Diverged, match=r"DIVERGED at step 1: expected B start, saw A start"):
        Planned(Plan((B,), going_on(fused=False))).choose([A], done=False)


def test_a_trace_that_is_not_of_the_run_that_was_kept_is_not_used() -> None:
    """Only a trace with the moves that were chosen is shown to the scheduler."""
    planned = Planned(Plan((A,), going_on(fused=False)))
    planned.choose([A, B], done=False)

    def trace(*moves: Move) -> Trace:
        return Trace("test", "", "", 1, moves, lambda: Details((), (Snapshot(None, None),)))

    assert [planned.matches(trace(A)), planned.matches(trace(A, B)), planned.matches(trace())] == [True, False, False]


def test_in_the_model_schedules_are_run_when_they_are_asked_for() -> None:
    """There is nothing to wait for: workers change nothing."""
    executor = ModelExecutor(scenario_of("atomic-hit-count"), target_of("redis-atomic"))
    scheduler = Exhaustive(fused=True)
    prefetch = Prefetch(executor, WorkerCount.chosen(4))

    async def run() -> list[str]:
        found = []
        while scheduler.more():
            trace = await prefetch.run(scheduler, scheduler, 100)
            scheduler.learn(trace)
            found.append(" ".join(move.actor for move in trace.moves))
        return found

    assert asyncio.run(run()) == ["A A B B", "B B A A"]


class Otherwise(Exhaustive):
    """A scheduler that does not do what it has planned: it lets the second request go first."""

    @property
    def plan(self) -> Plan:
        """Give another plan."""
        return Plan((), going_on(fused=True))

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Turn the moves round."""
        return super().choose(sorted(moves, reverse=True), done=done)


@pytest.mark.asyncio
async def test_an_scheduler_that_chooses_otherwise_gets_the_schedule_that_it_chose() -> None:
    """What was run in advance is dropped, and the choices that were made stand."""
    async with LiveExecutor(scenario_of("atomic-hit-count"), target_of("redis-atomic")) as executor:
        scheduler = Otherwise(fused=True)
        prefetch = Prefetch(executor, WorkerCount.chosen(4))
        assert scheduler.more()
        trace = await prefetch.run(scheduler, scheduler, 0)
    assert (trace.fault, [move.actor for move in trace.moves]) == ("", ["B", "B", "A", "A"])


@pytest.mark.parametrize("scheduler", ["auto", "dpor", "exhaustive"])
def test_every_scheduler_that_leaves_nothing_out_does_what_it_has_planned(scheduler: str) -> None:
    """In the model, each schedule that was begun is the one that its plan leads to, if there is one."""
    raw = scenario_of("concurrent-duplicates").model_dump(exclude_unset=True)
    scenario = Scenario.model_validate({**raw, "search": {"scheduler": scheduler}})
    executor = ModelExecutor(scenario, target_of("redis-named-by-second"))
    covering, planned, wanted = covering_of(executor, lambda: False).scheduler, 0, set()
    while covering.more():
        if (plan := covering.plan) is not None:
            schedule = Planned(plan)
            schedule.more()
            expected = executor.run(schedule)
            planned += 1
        wanted |= {one.begin for one in covering.lookahead(8)}
        trace = executor.run(covering)
        covering.learn(trace)
        if plan is not None:
            assert tuple(trace.moves) == tuple(expected.moves)
    assert (planned, bool(wanted)) == (covering.schedules, True)
