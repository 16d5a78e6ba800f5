"""The outcome map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conftest import scenario_of, target_of

from stress.explore.exhaustive import Exhaustive
from stress.explore.walk import Walk
from stress.order import Order
from stress.outcomes import Outcomes
from stress.step import START, Move
from stress.trace import Details, Snapshot, Trace
from stress.worlds.model import ModelWorld

if TYPE_CHECKING:
    from collections.abc import Sequence


def ended(actors: str, record: str, fault: str = "") -> Trace:
    """Make a trace of starts that left one record."""
    moves = tuple(Move(actor, START, "", actors[: at + 1].count(actor)) for at, actor in enumerate(actors))
    return Trace("test", "", "", 0, moves, lambda: Details((), (Snapshot((record,), None),)), fault)


def summary(outcomes: Outcomes) -> Sequence[tuple[int, int, float | None, str]]:
    """Leave out what the outcomes are."""
    return [(row.orders, row.sampled, row.share, Order(row.example).actors) for row in outcomes.rows]


def test_each_outcome_has_its_orders_its_share_and_its_simplest_example() -> None:
    """Orders are counted by outcome; only draws count for shares; the example has the fewest switches, the first."""
    outcomes = Outcomes()
    assert outcomes.rows == []
    outcomes.add(ended("AB", "one"))
    assert summary(outcomes) == [(1, 0, None, "A B")]
    for actors, record in (("ABAB", "two"), ("AABB", "two"), ("BBAA", "two"), ("AB", "one")):
        outcomes.add(ended(actors, record), sampled=record == "two" or actors == "AB")
    assert summary(outcomes) == [(3, 3, 0.75, "A A B B"), (2, 1, 0.25, "A B")]
    assert (outcomes.orders, outcomes.sampled) == (5, 4)
    assert [row.outcome for row in outcomes.rows] == [ended("", "two").outcome, ended("", "one").outcome]


def test_a_run_with_a_fault_has_no_outcome() -> None:
    """What was not followed to its end is not counted."""
    outcomes = Outcomes()
    outcomes.add(ended("AB", "one", fault="DIVERGED"))
    assert (outcomes.orders, outcomes.rows) == (0, [])


def test_the_outcomes_of_lost_hits_are_told_with_their_likelihood() -> None:
    """Two duplicates that read, then write: 2 of 20 orders count both hits, in either turn, and 18 lose one."""
    world = ModelWorld(scenario_of("atomic-hit-count"), target_of("redis-read-modify-write"))
    outcomes = Outcomes()
    explorer: Exhaustive | Walk
    for explorer in (Exhaustive(fused=True), Walk(1, 400)):
        while explorer.more():
            trace = world.run(explorer)
            outcomes.add(trace, sampled=explorer.name == "walk")
            explorer.learn(trace)
    assert (outcomes.orders, outcomes.sampled) == (420, 400)
    hits = [next(iter(dict(row.outcome[1][0][1]).values())) for row in outcomes.rows]  # type: ignore[index]
    assert sorted(hits) == [2, 3, 3]
    assert sum(row.share or 0 for row in outcomes.rows) == 1
