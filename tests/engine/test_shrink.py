"""Failing schedules made small, and the passing schedules next to them, on each bundled race in the model."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import pytest
from conftest import scenario_of, target_of
from hypothesis import given
from hypothesis import strategies as st
from test_starve import bounded
from test_starve import executor_of as exhausted

from stress.checks import run_checks
from stress.core.step import START, Move
from stress.engine import running
from stress.engine.closest import Nearest, nearest
from stress.engine.closest import _ClosestSearch as Nearby
from stress.engine.limits import Limits
from stress.engine.search import Search
from stress.engine.shrink import rank, shrink
from stress.executors.model.executor import ModelExecutor
from stress.schedulers.adversaries.starve import Starve
from stress.schedulers.exhaustive import Exhaustive
from stress.schedulers.guided import Guided, RunOutcome
from stress.schedulers.random_walk import Walk

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from stress.schedulers.base import Scheduler

pytestmark = pytest.mark.unmeasured

Found = TypeVar("Found")

RECORD, CREATED, HITS, LINEAR = "one_active_record", "one_created_answer", "hits_equal_answers", "linearizable_hits"
COUNTS, T1, T2 = "distinct_counts", "test_t1_one_record", "test_t2_hits_at_least_requests"
HASH = "gw:dedup:{fingerprint}"
LISTED = "gw:active:{fingerprint}"
ERA = "gateway:dedup:fingerprint:{fingerprint}"


@cache
def executor_of(scenario: str, target: str) -> ModelExecutor:
    """Make the executor of a bundled case."""
    return ModelExecutor(scenario_of(scenario), target_of(target))


def one_run(executor: ModelExecutor, scheduler: Scheduler) -> RunOutcome:
    """Run one schedule and judge it."""
    trace = executor.run(scheduler)
    assert not trace.fault
    scheduler.learn(trace)
    broken = frozenset(violation.invariant for violation in run_checks(executor.scenario.invariants, trace))
    return RunOutcome(tuple(trace.moves), broken)


def driven(steps: Generator[Guided, RunOutcome | None, Found], executor: ModelExecutor) -> tuple[Found, int]:
    """Run what is asked for; give what is found and the number of runs."""
    runs = 0
    try:
        asked = next(steps)
        while True:
            runs += 1
            asked = steps.send(one_run(executor, asked))
    except StopIteration as stop:
        return stop.value, runs


def failing(executor: ModelExecutor, invariant: str, number: int) -> Iterator[tuple[Move, ...]]:
    """Draw so many random schedules that break an invariant."""
    walk = Walk(1)
    while number:
        ran = one_run(executor, walk)
        if invariant in ran.broken:
            number -= 1
            yield ran.moves


def actors(moves: Sequence[Move]) -> str:
    """Give a schedule as a word; the environment by its first letter."""
    return "".join(move.actor[0] for move in moves)


RACES = [
    ("atomic-hit-count", "redis-read-modify-write", HITS, "AAABBBBA", 8),
    ("atomic-hit-count", "redis-read-modify-write", COUNTS, "AAABBBBA", 8),
    ("concurrent-duplicates", "redis-named-by-second", RECORD, "AAcBBBA", 16),
    ("concurrent-duplicates", "redis-named-by-second", CREATED, "AABBBAA", 11),
    ("expiry", "redis-store-overwrite", CREATED, "eAAAAABBBBBBB", 7),
    ("expiry", "redis-store-overwrite", HITS, "eAAAAABBBBBBB", 5),
    ("expiry", "redis-store-overwrite", LINEAR, "eAAAAABBBBBBB", 9),
    ("pseudo-lock", "redis-pseudo-lock", RECORD, "AAAcBBBBA", 16),
    ("pseudo-lock", "redis-pseudo-lock", CREATED, "AAABBBBAA", 13),
    ("pseudo-lock", "redis-pseudo-lock", LINEAR, "AAABBBBAA", 13),
    ("store-overwrite", "redis-store-overwrite", CREATED, "AABBBBAAA", 7),
    ("store-overwrite", "redis-store-overwrite", HITS, "AABBBBAAA", 7),
    ("store-overwrite", "redis-store-overwrite", LINEAR, "AABBBBAAA", 7),
    ("t1-five-at-once-cleanup", "redis-atomic", T1, "AABBCCDDEEc", 9),
    ("t1-five-at-once", "redis-named-by-second", CREATED, "AABBBAACCCDDDEEE", 25),
    ("t1-five-at-once", "redis-named-by-second", LINEAR, "AABBBAACCCDDDEEE", 25),
    ("t2-one-then-three-cleanup", "redis-atomic", T2, "cAABBCC", 4),
    ("t2-one-then-three", "redis-read-modify-write", HITS, "AAABBBBACCCC", 16),
    ("t2-one-then-three", "redis-read-modify-write", LINEAR, "AAABBBBACCCC", 16),
    ("t2-one-then-three", "redis-read-modify-write", T2, "AAABBBBACCCC", 16),
]


@pytest.mark.parametrize(("scenario", "target", "invariant", "smallest", "most"), RACES)
def test_every_random_failing_schedule_is_shrunk_to_the_same(
    scenario: str, target: str, invariant: str, smallest: str, most: int
) -> None:
    """Twenty drawn schedules that break an invariant become the one smallest that does, in so many runs at most."""
    executor = executor_of(scenario, target)
    found = [driven(shrink(moves, frozenset({invariant})), executor) for moves in failing(executor, invariant, 20)]
    assert {actors(moves) for moves, _ in found} == {smallest}
    assert max(runs for _, runs in found) == most


@pytest.mark.parametrize(
    ("scenario", "target", "schedules"),
    [
        ("atomic-hit-count", "redis-read-modify-write", 70),
        ("concurrent-duplicates", "redis-named-by-second", 132),
        ("pseudo-lock", "redis-pseudo-lock", 600),
        ("store-overwrite", "redis-store-overwrite", 90),
    ],
)
def test_no_failing_schedule_is_smaller_than_the_shrunk(scenario: str, target: str, schedules: int) -> None:
    """Among all schedules of two requests, those of the table are the smallest that fail."""
    executor = executor_of(scenario, target)
    scheduler = Exhaustive(fused=False)
    ran = []
    while scheduler.more():
        ran.append(one_run(executor, scheduler))
    assert len(ran) == schedules
    for _, _, invariant, smallest, _ in (row for row in RACES if row[0] == scenario):
        assert actors(min((one.moves for one in ran if invariant in one.broken), key=rank)) == smallest


NEAREST = [
    ("atomic-hit-count", "redis-read-modify-write", HITS, "AAABBABB", f"B HGET {HASH} before A HSET {HASH}"),
    ("concurrent-duplicates", "redis-named-by-second", RECORD, "AAcBABB", f"B SMEMBERS {LISTED} before A EVAL"),
    ("concurrent-duplicates", "redis-named-by-second", CREATED, "ABBBAA", f"A SMEMBERS {LISTED} before B EVAL"),
    ("expiry", "redis-store-overwrite", CREATED, "AAAAAAABBBBBBB", "expiry at any time"),
    ("pseudo-lock", "redis-pseudo-lock", RECORD, "AAAcBBABB", f"B SMEMBERS {LISTED} before A EVAL"),
    ("pseudo-lock", "redis-pseudo-lock", CREATED, "AABBBBAA", f"A SMEMBERS {LISTED} before B EVAL"),
    ("store-overwrite", "redis-store-overwrite", LINEAR, "ABBBBAAAAAA", f"A EXISTS {ERA} before B HSET+EXPIRE {ERA}"),
    ("t1-five-at-once-cleanup", "redis-atomic", T1, "AABBCCDDEcE", f"E EVAL {HASH} before cleanup"),
    ("t1-five-at-once", "redis-named-by-second", CREATED, "ABBBAACCCDDDEEE", f"A SMEMBERS {LISTED} before B EVAL"),
    ("t2-one-then-three-cleanup", "redis-atomic", T2, "AABBCC", "cleanup at any time"),
    ("t2-one-then-three", "redis-read-modify-write", T2, "AAABBABBCCCC", f"B HGET {HASH} before A HSET {HASH}"),
]


@pytest.mark.parametrize(("scenario", "target", "invariant", "passing", "pair"), NEAREST)
def test_each_race_has_one_pair_of_steps_that_makes_it(
    scenario: str, target: str, invariant: str, passing: str, pair: str
) -> None:
    """One step moved makes the smallest failing schedule pass, in 21 runs, and the pair that it exchanges is named."""
    executor = executor_of(scenario, target)
    smallest, _ = driven(shrink(next(failing(executor, invariant, 1)), frozenset({invariant})), executor)
    found, runs = driven(nearest(smallest), executor)
    assert isinstance(found, Nearest)
    assert (found.moved, actors(found.moves)) == (1, passing)
    assert str(found).startswith(pair)
    assert runs <= 21


def distance(some: Sequence[Move], others: Sequence[Move]) -> int:
    """Count the steps to move from one schedule to another: all but the longest run of steps common to both."""
    at = {move: place for place, move in enumerate(some)}
    best: list[int] = []
    places = [at[move] for move in others]
    for index, place in enumerate(places):
        best.append(1 + max((best[sooner] for sooner in range(index) if places[sooner] < place), default=0))
    return len(some) - max(best)


def test_no_passing_schedule_is_nearer() -> None:
    """Of every failing schedule of three requests that each make four moves, as few steps move as by brute force."""
    executor = executor_of("t2-one-then-three", "redis-read-modify-write")
    scheduler = Exhaustive(fused=True)
    ran = []
    while scheduler.more():
        ran.append(one_run(executor, scheduler))
    passing = [one.moves for one in ran if not one.broken]
    moved = []
    for one in [one for one in ran if one.broken][::80]:
        found, _ = driven(nearest(one.moves), executor)
        assert found is not None
        moved.append(found.moved)
        assert distance(one.moves, found.moves) <= found.moved <= min(distance(one.moves, moves) for moves in passing)
    assert {number: moved.count(number) for number in moved} == {1: 11, 2: 8}


def test_failures_are_compared_by_invariant() -> None:
    """A schedule that loses two hits of three is made into one that loses one: another message, the same failure."""
    executor = executor_of("t2-one-then-three", "redis-read-modify-write")

    def lost(moves: Sequence[Move]) -> str:
        return " ".join(one.observed for one in run_checks([HITS], executor.run(Guided(moves))))

    two = next(moves for moves in failing(executor, HITS, 20) if lost(moves) == "2")
    smallest, _ = driven(shrink(two, frozenset({HITS})), executor)
    assert (lost(two), lost(smallest)) == ("2", "3")


def test_an_schedule_that_needs_all_its_preemptions_keeps_them() -> None:
    """Of the schedule that exhausts four attempts no preemption can go; 31 runs show it; each is as early as can be."""
    executor = exhausted(5, bounded(4))
    starve = Starve()
    schedules = [one_run(executor, starve).moves for _ in range(3) if starve.more()]
    smallest, runs = driven(shrink(schedules[1], frozenset({HITS})), executor)
    assert (actors(smallest), runs) == ("AABBBBAAACCCCAAADDDDAAAEEEEAA", 31)
    assert actors(driven(shrink(schedules[2], frozenset({HITS})), executor)[0]) == actors(smallest)
    found, runs = driven(nearest(smallest), executor)
    assert found is not None
    write = "EXEC(HSET) gw:dedup:{fingerprint}"
    assert (found.moved, str(found), runs) == (1, f"B {write} before A {write}", 13)


def test_no_more_is_run_than_allowed() -> None:
    """The smallest schedule of the runs that were allowed is given."""
    executor = executor_of("atomic-hit-count", "redis-read-modify-write")
    schedule = next(failing(executor, HITS, 1))
    assert driven(shrink(schedule, frozenset({HITS}), 0), executor) == (schedule, 0)
    some, runs = driven(shrink(schedule, frozenset({HITS}), 3), executor)
    assert runs == 3
    assert rank(some) <= rank(schedule)


GET, SET = Move("A", "GET", "k"), Move("A", "SET", "k")
SCHEDULE = (Move("B", START, ""), Move("A", START, ""), GET, GET._replace(actor="B"), SET)


def judged(
    steps: Generator[Guided, RunOutcome | None, Found], answers: Sequence[RunOutcome | None]
) -> tuple[Found, int]:
    """Send these answers, the last one for all that follow."""
    runs = 0
    try:
        next(steps)
        while True:
            runs += 1
            steps.send(answers[min(runs, len(answers)) - 1])
    except StopIteration as stop:
        return stop.value, runs


@pytest.mark.parametrize(
    "answer",
    [None, RunOutcome(SCHEDULE, frozenset({"other"})), RunOutcome((*SCHEDULE, SCHEDULE[0]), frozenset({HITS}))],
)
def test_an_schedule_stays_where_nothing_smaller_fails(answer: RunOutcome | None) -> None:
    """What could not be run, breaks something else or is no smaller after all is not taken."""
    assert judged(shrink(SCHEDULE, frozenset({HITS})), [answer]) == (SCHEDULE, 6)


def test_nothing_is_near_an_schedule_that_always_fails() -> None:
    """All classes of schedules are tried, or as many as are allowed; what could not be run does not pass."""
    assert judged(nearest(SCHEDULE), [None, RunOutcome(SCHEDULE, frozenset({HITS}))]) == (None, 4)
    assert judged(nearest(SCHEDULE, 2), [None]) == (None, 2)
    timed = (*SCHEDULE[:2], Move("clock", "clock", ""), *SCHEDULE[2:])
    assert judged(nearest(timed, 2), [None])[0] is None


MADE = tuple(Move(actor, "SET", key, at) for at, (actor, key) in enumerate(["Ak", "Bm", "Am", "Ck", "Ak", "Bk", "Cm"]))


def conflicts(moves: Sequence[Move]) -> frozenset[tuple[Move, Move]]:
    """Give each two moves on one object by two actors, in their order."""
    pairs = ((one, other) for place, one in enumerate(moves) for other in moves[place + 1 :])
    return frozenset(pair for pair in pairs if pair[0].object == pair[1].object and pair[0].actor != pair[1].actor)


@given(st.data())
def test_the_pair_alone_makes_the_difference(data: st.DataObject) -> None:
    """Whatever classes of schedules pass: the given one does, and with its two steps exchanged back it does not."""
    passing: dict[frozenset[tuple[Move, Move]], bool] = {conflicts(MADE): False}

    def passes(schedule: frozenset[tuple[Move, Move]]) -> bool:
        if schedule not in passing:
            passing[schedule] = data.draw(st.sampled_from([False, False, False, True]))
        return passing[schedule]

    steps = nearest(MADE)
    try:
        asked = next(steps)
        while True:
            asked = steps.send(
                RunOutcome(asked.moves, frozenset() if passes(conflicts(asked.moves)) else frozenset({HITS}))
            )
    except StopIteration as stop:
        found = stop.value
    if found is not None:
        assert passing[conflicts(found.moves)]
        assert found.second is not None
        back = conflicts(found.moves) - {(found.second, found.first)} | {(found.first, found.second)}
        assert passing.get(back) is False
        assert distance(MADE, found.moves) <= found.moved


@given(st.permutations([move.actor for move in MADE]))
def test_one_exchange_is_undone_and_no_other(turns: list[str]) -> None:
    """From any schedule, exchanging the pair back leaves every other two steps on one object as they were."""
    left = {actor: [place for place, move in enumerate(MADE) if move.actor == actor] for actor in "ABC"}
    word = tuple(left[actor].pop(0) for actor in turns)
    schedule = [MADE[place] for place in word]
    if conflicts(schedule) != conflicts(MADE):
        search = Nearby(MADE, 0)
        first, second = search.pair(word)
        back = [MADE[place] for place in search._undone(word, first, second)]
        pair = (MADE[first], MADE[second])
        assert conflicts(schedule) - conflicts(back) == {pair}
        assert conflicts(back) - conflicts(schedule) == {pair[::-1]} <= conflicts(MADE)


def test_a_loose_schedule_is_followed_as_far_as_it_goes() -> None:
    """Who shows another step has that; who has ended is passed over; the last move of a request goes on to its end."""
    guided = Guided([Move("A", "GET", "k"), Move("B", "GET", "k"), Move("clock", "clock", ""), Move("A", "SET", "k")])
    a, b, c = Move("A", "HGET", "k"), Move("B", "GET", "k"), Move("C", "GET", "k")
    clock, cleanup = Move("clock", "clock", "", 2), Move("cleanup", "cleanup", "")
    for _ in range(2):
        assert guided.more()
        assert guided.choose([a, b, c, clock], done=False) == a
        assert guided.choose([a, b, c, clock], done=False) == b
        assert guided.choose([a, b, c, clock], done=False) == b
        assert guided.choose([a, c, clock], done=False) == clock
        assert guided.choose([a, c, clock], done=False) == a
        assert guided.choose([c, cleanup], done=False) == c
        assert guided.choose([Move("B", "SET", "k"), c, cleanup], done=False) == c
        assert guided.choose([cleanup], done=True) is None


def test_what_is_asked_for_too_late_is_not_run() -> None:
    """The schedule stays as it was found."""
    executor = executor_of("atomic-hit-count", "redis-read-modify-write")
    schedule = next(failing(executor, HITS, 1))
    executor.run = None  # type: ignore[method-assign, assignment]
    assert asyncio.run(running.driven(shrink(schedule, frozenset({HITS})), executor, -1.0)) == schedule


def test_an_schedule_that_was_not_made_as_small_as_it_gets_is_reported() -> None:
    """A search that has no time left says that there may be a smaller schedule than its own."""
    scenario = scenario_of("atomic-hit-count")
    scenario = scenario.model_copy(update={"search": scenario.search.model_copy(update={"scheduler": "random_walk"})})
    executor = ModelExecutor(scenario, target_of("redis-read-modify-write"))
    covered = asyncio.run(Search(executor, Limits(0.0, 5000)).run())
    assert covered.notes == ["made small for 0 s: there may be a smaller schedule"]
    assert {finding.schedule.actors for finding in covered.found.values()} == {"B B A A B A B A"}
