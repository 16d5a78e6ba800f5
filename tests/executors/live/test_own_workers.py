"""Work of no request that conflicts with what requests do is an actor."""

from __future__ import annotations

from pathlib import Path

import pytest

from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.core.step import Access, Move, Touch
from stress.executors.live.executor import LiveExecutor
from stress.executors.live.workers import Working, working_of
from stress.protocols.gate import Gate
from stress.schedulers.base import is_request
from stress.schedulers.dependence import Dependence, Effect
from stress.schedulers.replay import Replay

CASE = Path(__file__).parents[2] / "cases" / "worker-conflicts"
LOOK, COUNT = ("LRANGE", "hits"), ("GET", "total")


def test_a_worker_looks_for_work_with_what_comes_after_its_longest_pause() -> None:
    """Of a loop of two commands that both conflict the first is the head; the pause is the longest between two."""
    shown = [(0.0, LOOK), (0.001, COUNT), (0.5, LOOK), (0.501, COUNT), (1.1, LOOK), (1.101, COUNT)]
    assert working_of(shown, {LOOK, COUNT}) == Working(LOOK, frozenset({LOOK, COUNT}), 1.1 - 0.5)


def test_what_conflicts_with_no_request_is_no_actor() -> None:
    """A connection whose commands touch nothing of requests has no worker; what else it does is no step of one."""
    shown = [(0.0, LOOK), (0.001, COUNT), (0.5, LOOK), (0.501, COUNT)]
    assert working_of(shown, set()) is None
    assert working_of(shown, {LOOK}) == Working(LOOK, frozenset({LOOK}), 0.5)


def test_a_worker_need_not_act_and_depends_by_what_it_accesses() -> None:
    """It is no request; its step depends on one that writes the same, and on the clock, and on no other."""
    dependence = Dependence(fused=True)
    reads = Effect(Move("worker:1", *LOOK), (Touch("hits", Access.READ),))
    writes = Effect(Move("A", "RPUSH", "hits"), (Touch("hits", Access.WRITE),))
    other = Effect(Move("A", "SET", "claim"), (Touch("claim", Access.WRITE),))
    clock = Effect(Move("clock", "clock", ""))
    assert not is_request("worker:1")
    assert [dependence.between(reads, one) for one in (writes, other, clock)] == [True, False, True]


class _Way:
    replica, unsettled, busy, listens = 1, False, False, False

    def __init__(self) -> None:
        self.flushed = 0

    def settle(self) -> list[object]:
        return []

    def flush(self) -> None:
        self.flushed += 1


def test_what_a_worker_shows_stays_parked_between_runs() -> None:
    """A gate that opens lets through all connections but those of workers, until those are let go."""
    gate, workers, requests = Gate(), _Way(), _Way()
    for way in (workers, requests):
        gate.connect(way)  # type: ignore[arg-type]
    gate.working.add(workers)  # type: ignore[arg-type]
    gate.reopen()
    held = gate.passes(workers), gate.passes(requests), workers.flushed, requests.flushed  # type: ignore[arg-type]
    gate.let_go()
    assert held == (False, True, 0, 1)
    assert (gate.passes(workers), workers.flushed) == (True, 1)  # type: ignore[arg-type]


@pytest.mark.asyncio
async def test_the_turn_of_a_worker_is_ordered_and_comes_to_its_end() -> None:
    """A hit that comes while the worker counts is lost in each run; one that comes before or after is counted."""
    scenario, target = Scenario.load(CASE / "scenario.yaml"), Target.load(CASE / "drain-racy.yaml")
    own = [Move("{}", "start", ""), Move("{}", "SET", "claim:{fresh}"), Move("{}", "RPUSH", "hits")]
    first, second = ([one._replace(actor=actor) for one in own] for actor in "AB")
    looks, counts = Move("worker:1", *LOOK), Move("worker:1", "INCR", "hits:{fresh}")
    schedules = [[*first, looks, *second], [looks, *first, *second], [*first, *second]]
    async with LiveExecutor(scenario, target) as executor:
        assert executor.learned.worker is not None
        learned = executor.learned.worker.head, executor.learned.worker.follows
        lost = [await executor.run(Replay([*first, looks, counts, *second])) for _ in range(3)]
        kept = [await executor.run(Replay(schedule)) for schedule in schedules]
    assert learned == (LOOK, True)
    assert [trace.fault for trace in (*lost, *kept)] == [""] * 6
    assert [list((trace.final.hits or {}).values()) for trace in lost] == [[1]] * 3
    assert [list((trace.final.hits or {}).values()) for trace in kept] == [[1], [2], [2]]
