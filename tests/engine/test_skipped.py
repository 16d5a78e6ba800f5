"""Runs from which nothing follows are tried once more, then skipped and counted; too many decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from commands import GATEWAYS, own_files, report, stress
from conftest import scenario_of, target_of

from stress.config.scenario import Scenario
from stress.core.errors import Untested
from stress.core.step import START, Move
from stress.core.trace import CutOff, TransientFault
from stress.core.verdict import judge
from stress.engine import running
from stress.engine.case import Case
from stress.engine.limits import Limits
from stress.engine.prefetch import Prefetch
from stress.engine.running import WorkerCount
from stress.engine.search import Search
from stress.engine.skipped import SkippedRuns
from stress.engine.strategy import covering_of
from stress.executors.live.executor import LiveExecutor
from stress.executors.live.pace import Pace, Taken, about
from stress.executors.model.executor import ModelExecutor
from stress.schedulers.base import Diverged
from stress.schedulers.exhaustive import Exhaustive
from stress.schedulers.interleaving import Interleaving

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from stress.core.trace import Trace
    from stress.schedulers.base import Scheduler

AMBIGUOUS = "ambiguous: GET a may be of several requests"
PLAIN = ("atomic-hit-count", "redis-atomic")


def skipped(reasons: Sequence[str]) -> SkippedRuns:
    """Count runs with these reasons."""
    runs = SkippedRuns()
    for reason in reasons:
        runs.add(reason)
    return runs


def test_more_than_one_in_twenty_or_twenty_in_all_are_too_many() -> None:
    """The commonest kind of reason is named, by the first of that kind."""
    diverged = [f"DIVERGED at step {step}: expected A GET a" for step in (3, 5)]
    assert (skipped([]).unstable(0), skipped([]).note) == ("", "")
    assert skipped([AMBIGUOUS]).unstable(19) == ""
    two = skipped([AMBIGUOUS, *diverged])
    assert two.note == "3 schedules skipped, most often (2) as: DIVERGED at step 3: expected A GET a"
    assert two.unstable(57) == ""
    assert two.unstable(56).startswith("unstable: 3 of 59 schedules skipped, most often (2) as: DIVERGED at step 3: ")
    assert (skipped([AMBIGUOUS] * 20).unstable(1000), skipped([AMBIGUOUS] * 20).too_many) == ("", False)
    assert skipped([AMBIGUOUS] * 21).unstable(1000).startswith("unstable: 21 of 1021 schedules skipped")


class Spoilt(ModelExecutor):
    """The model, some of whose runs have a transient fault, by their number from 1."""

    failing: Collection[int] = ()
    ran = 0
    fault: TransientFault = TransientFault(AMBIGUOUS)

    def run(self, scheduler: Scheduler, fresh: str | None = None, also: frozenset[str] = frozenset()) -> Trace:
        """Run it, and let it end so."""
        trace = super().run(scheduler, fresh, also)
        self.ran += 1
        if self.ran in self.failing:
            trace.fault = self.fault
        return trace


@pytest.mark.asyncio
async def test_a_run_that_was_ended_with_its_search_makes_nothing_unstable() -> None:
    """It is left out, so that the search is not exhausted; how many there were says nothing of the target."""
    executor = Spoilt(scenario_of("atomic-hit-count"), target_of("redis-optimistic"))
    executor.failing, executor.fault = range(2, 10**6), CutOff("the run was ended after 2 s, as its time was over")
    covered = await Search(executor, Limits(1.0, 400)).run()
    assert (covered.fault, covered.notes, covered.evidence.exhausted) == ("", [], False)


@pytest.mark.asyncio
@pytest.mark.parametrize("scheduler", ["auto", "random_walk", "exhaustive"])
async def test_a_search_whose_first_run_takes_all_its_time_is_over(scheduler: str) -> None:
    """No run is begun again and again that has to end at once: one was, from which nothing follows."""
    raw = scenario_of("atomic-hit-count").model_dump(exclude_unset=True)
    executor = Spoilt(
        Scenario.model_validate({**raw, "search": {"scheduler": scheduler}}), target_of("redis-optimistic")
    )
    executor.failing, executor.fault = range(1, 10**6), CutOff("the run was ended after 2 s, as the search was over")
    covered = await Search(executor, Limits(600.0, 400), baseline=False).run()
    assert (executor.ran, covered.evidence.schedules, covered.evidence.exhausted) == (1, 0, False)


@pytest.mark.asyncio
@pytest.mark.parametrize("scheduler", ["auto", "dpor", "exhaustive"])
@pytest.mark.parametrize("failing", [1, 2, 5])
async def test_a_search_goes_on_without_a_schedule(
    scheduler: str, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one is begun again, others are left out; nothing is exhausted then, and the words say so."""
    monkeypatch.setattr("stress.engine.skipped._SHARE", 0.5)
    raw = scenario_of("atomic-hit-count").model_dump(exclude_unset=True)
    scenario = Scenario.model_validate({**raw, "search": {"scheduler": scheduler}})
    executor = Spoilt(scenario, target_of("redis-optimistic"))
    executor.failing = {failing}
    covered = await Search(executor, Limits(20.0, 400)).run()
    evidence = covered.evidence
    assert (covered.fault, covered.found, evidence.skipped, evidence.exhausted) == ("", {}, 1, False)
    some = " of schedules, not all" if scheduler == "dpor" else "bounded: every schedule with up to"
    assert some in evidence.covered
    assert ", but for those that begin as 1 skipped" in evidence.covered
    assert str(judge([], [evidence]).ruling) == ("inconclusive" if scheduler == "dpor" else "holds")
    assert covered.notes == [f"1 schedule skipped, most often (1) as: {AMBIGUOUS}"]
    assert executor.ran > evidence.schedules


class Odder(LiveExecutor):
    """The wire, whose runs fail as long as ``left`` says."""

    left = 0
    freshes: list[str]

    async def run(self, scheduler: Scheduler, fresh: str | None = None, also: frozenset[str] = frozenset()) -> Trace:
        """Run it, and let it end so."""
        trace = await super().run(scheduler, fresh, also)
        self.freshes.append(trace.fresh)
        self.left -= 1
        if self.left >= 0:
            trace.fault = TransientFault(AMBIGUOUS)
        return trace


@pytest.mark.asyncio
async def test_an_odd_run_is_tried_once_more_with_new_values() -> None:
    """A fault that comes once is as if it had not been. Twice: it is. Where all are the verdict says why."""
    async with Odder(scenario_of(PLAIN[0]), target_of(PLAIN[1])) as executor:
        executor.freshes, executor.left = [], 1
        trace = await running.follow(Interleaving([1]), executor)
        assert (trace.fault, len(set(executor.freshes))) == ("", 2)
        executor.freshes, executor.left = [], 2
        assert (await running.follow(Interleaving([1]), executor)).transient
        assert len(set(executor.freshes)) == 2
        executor.left = 1000
        result = await Case(None, executor, Limits(20.0, 100)).result()
    assert (str(result.verdict.ruling), result.findings) == ("inconclusive", ())
    assert result.verdict.reason.startswith(f"unstable: 21 of 21 schedules skipped, most often (21) as: {AMBIGUOUS} (")


class Startled(Exhaustive):
    """Takes back what it has planned."""

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Find that the clock is not there.

        Raises:
            Diverged: always.

        """
        del done
        raise Diverged(1, "clock clock", moves)


@pytest.mark.asyncio
async def test_a_scheduler_that_diverges_from_its_plan_ends_no_search() -> None:
    """What was run in advance is shown to it, and it can't follow: that run has a transient fault."""
    async with LiveExecutor(scenario_of(PLAIN[0]), target_of(PLAIN[1])) as executor:
        covering = covering_of(executor, lambda: False)
        scheduler = Startled(fused=True)
        scheduler.more()
        trace = await Prefetch(executor, WorkerCount()).run(scheduler, scheduler, 1)
    assert (trace.transient, trace.fault[:44]) == (True, "DIVERGED at step 1: expected clock clock, sa")
    assert covering.before == 0


def test_the_limit_of_a_run_is_twenty_times_the_median() -> None:
    """None is known at first; two seconds are always allowed."""
    pace, limits = Pace(), []
    for seconds in (0.01, 0.5, 0.3):
        limits.append(pace.limit)
        pace.took(seconds)
    assert [*limits, pace.limit] == [float("inf"), 2.0, 10.0, 6.0]
    pace.end(-3.0)
    assert pace.over(Taken(1.0)).endswith(" s, as its time was over")
    move = Move("B", "SET", "lock", 40)
    text = "A, B without an answer after 2 steps, the last B SET lock #40"
    assert about([Move("B", START, ""), move], ["A", "B"]) == text


def test_a_run_without_end_is_ended_and_so_is_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """B asks for the lock that A holds until it has it, and A is not let go: why is said, and the seconds are kept."""
    monkeypatch.setattr("stress.executors.live.pace._LEAST_SECONDS", 0.2)
    monkeypatch.setattr("stress.executors.live.pace._TIMES", 2)
    words = own_files(tmp_path, "spin", program=GATEWAYS / "lock_gateway.py")
    said = stress(tmp_path, *words[:-1], "2")
    result, _ = report(tmp_path)
    assert (said.code, result["verdict"]) == (2, "inconclusive")
    assert result["reason"].startswith("unstable: ")
    assert "A, B without an answer after" in result["reason"]
    assert result["search"]["seconds"] < 3.0


@pytest.mark.asyncio
async def test_requests_before_a_search_may_not_take_all_of_it() -> None:
    """They are ended when the seconds are over: nothing is concluded, and what to do is said."""
    executor = LiveExecutor(scenario_of(PLAIN[0]), target_of(PLAIN[1]))
    executor.most_seconds = 0.01
    with pytest.raises(Untested, match=r"take longer than the 0.01 s of both"):
        await executor.__aenter__()
