"""Samplers, on programs small enough to know how likely each schedule is."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import product
from math import comb
from typing import TYPE_CHECKING

import pytest

from stress.core.step import START, WHOLE, Access, Move, Touch
from stress.core.trace import Details, Event, Kind, Snapshot, Trace
from stress.schedulers.pct import Pct, Priorities
from stress.schedulers.random_walk import Walk
from stress.schedulers.urw import Urw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.schedulers.base import Scheduler

CLOCK = Move("clock", "clock", "")
CLEANUP = Move("cleanup", "cleanup", "")
SET, GET = Access.WRITE, Access.READ


def play(scheduler: Scheduler, *programs: Sequence[tuple[str, Access]], clocks: int = 0) -> tuple[Move, ...]:
    """Run one schedule: each actor starts, then reads or writes these objects; the clock may act."""
    shown = [
        [Move(chr(65 + number), START, ""), *(Move(chr(65 + number), access.name, key) for key, access in program)]
        for number, program in enumerate(programs)
    ]
    taken: list[Move] = []
    events: list[Event] = []
    left = [moves.copy() for moves in shown]
    while moves := [moves[0] for moves in left if moves]:
        able = [*moves, *[CLOCK._replace(occurrence=1)] * (CLOCK not in taken and clocks > 0)]
        move = scheduler.choose(able, done=False)
        assert move is not None
        taken.append(move)
        if move == CLOCK:
            continue
        number = ord(move.actor) - 65
        done = len(shown[number]) - len(left[number])
        left[number].pop(0)
        touches = (Touch(*programs[number][done - 1]),) if done else ()
        kind = Kind.STEP if done else Kind.START
        events.append(Event(len(events), kind, move.actor, move.command, move.object, touches=touches))
    details = Details((), (Snapshot(None, None),), events)
    scheduler.learn(Trace("test", "", "", len(programs), tuple(taken), lambda: details))
    return tuple(taken)


def schedules(scheduler: Scheduler, *programs: Sequence[tuple[str, Access]], clocks: int = 0) -> list[tuple[Move, ...]]:
    """Run all schedules of a scheduler."""
    found = []
    while scheduler.more():
        found.append(play(scheduler, *programs, clocks=clocks))
    return found


def unevenness(words: Sequence[object], possible: int) -> float:
    """Give Pearson's chi-square of words of which so many are possible, all equally likely."""
    counts = Counter(words)
    expected = len(words) / possible
    return sum((count - expected) ** 2 for count in counts.values()) / expected + expected * (possible - len(counts))


def actors(schedule: Sequence[Move]) -> str:
    """Give a schedule as a word."""
    return "".join(move.actor for move in schedule)


@pytest.mark.unmeasured
@pytest.mark.parametrize(("first", "second", "critical"), [(2, 2, 43.82), (1, 5, 55.48)])
def test_the_weighted_walk_draws_each_schedule_equally_often(first: int, second: int, critical: float) -> None:
    """URW is even by chi-square at 1 in 1000, where the plain walk is not."""
    programs = [("k", SET)] * first, [("k", SET)] * second
    possible = comb(first + second + 2, first + 1)
    drawn = [actors(schedule) for schedule in schedules(Urw(7, 4001), *programs)[1:]]
    plain = [actors(schedule) for schedule in schedules(Walk(7, 4000), *programs)]
    assert unevenness(drawn, possible) < critical
    assert unevenness(plain, possible) > 10 * critical


@pytest.mark.unmeasured
def test_the_selective_walk_draws_each_schedule_of_conflicts_equally_often() -> None:
    """SURW makes the writes of a shared object even, and not the private steps before, where URW does not."""
    a = [("a", SET)] * 3 + [("shown", GET)] + [("k", SET)] * 2
    b = [("shown", GET), ("k", GET), ("k", SET)]
    drawn = {}
    for selective in (True, False):
        found = schedules(Urw(3, 3001, selective=selective), a, b)[1:]
        drawn[selective] = ["".join(move.actor for move in schedule if move.object == "k") for schedule in found]
    assert len(set(drawn[True])) == 6
    assert unevenness(drawn[True], 6) < 20.52
    assert unevenness(drawn[False], 6) > 200


def test_the_selective_walk_lets_nobody_wait_for_a_step_that_does_not_count() -> None:
    """Private steps go on while another actor is the one to make the next move that counts."""
    found = schedules(Urw(1, 401, selective=True), [("a", SET), ("k", SET)], [("b", SET), ("k", SET)])[1:]
    between = {actors(schedule) for schedule in found if schedule[1].actor != schedule[0].actor}
    assert {"ABABAB", "ABBABA"} <= between


def test_the_selective_walk_counts_all_moves_where_one_may_touch_anything() -> None:
    """A step on the whole store makes every step one that counts."""
    scheduler = Urw(1, 1, selective=True)
    schedules(scheduler, [(WHOLE, GET)], [("b", SET)])
    scheduler.more()
    assert scheduler._counts(Move("B", "WRITE", "b"))


def test_a_walk_that_has_learned_goes_on_where_an_actor_has_more_moves() -> None:
    """Actors that show more moves than they had alone still go, and so does the clock."""
    scheduler = Urw(5, 60)
    scheduler.more()
    play(scheduler, [], [], clocks=1)
    longer = schedules(scheduler, [("k", SET)] * 3, [("k", SET)], clocks=1)
    assert len(longer) == 59
    assert {len(schedule) for schedule in longer} == {6, 7}
    assert len({actors(schedule) for schedule in longer}) > 20


def test_the_first_schedule_of_a_weighted_walk_runs_requests_alone() -> None:
    """It learns from requests one after another, without the environment."""
    walk = Urw(1, 1)
    assert [actors(schedule) for schedule in schedules(walk, [("k", SET)], [("k", SET)], clocks=1)] == ["AABB"]
    assert Urw(1).choose([CLEANUP], done=True) is None
    assert (walk.name, Urw(1, selective=True).name) == ("urw", "surw")


@pytest.mark.parametrize(
    "make",
    [lambda seed: Urw(seed, 40), lambda seed: Urw(seed, 40, selective=True), lambda seed: Pct(seed, 40)],
    ids=["urw", "surw", "pct"],
)
def test_a_sampler_is_repeated_by_its_seed(make: Callable[[int], Scheduler]) -> None:
    """The same seed draws the same 40 schedules, another seed others."""
    programs = [("k", GET), ("k", SET)], [("k", GET), ("k", SET)]
    assert schedules(make(1), *programs) == schedules(make(1), *programs)
    assert schedules(make(1), *programs) != schedules(make(2), *programs)
    assert len(schedules(make(1), *programs)) == 40


@pytest.mark.parametrize("make", [Urw, Pct], ids=["urw", "pct"])
def test_a_sampler_leaves_out_who_is_to_be_skipped(make: type[Urw | Pct]) -> None:
    """The clock moves unless it is skipped, and acts where nothing else is left to choose."""
    programs = [("k", SET)], [("k", SET)]
    assert any(CLOCK in schedule for schedule in schedules(make(1, 50), *programs, clocks=1))
    assert not any(
        CLOCK in schedule for schedule in schedules(make(1, 50, skip=frozenset({"clock"})), *programs, clocks=1)
    )
    only = make(1, skip=frozenset({"clock"}))
    assert only.choose([CLOCK], done=False) == CLOCK


@pytest.mark.parametrize("make", [Urw, Pct], ids=["urw", "pct"])
def test_a_sampler_may_end_a_run_or_let_the_environment_act(make: type[Urw | Pct]) -> None:
    """When all requests are answered, both the end and the environment are drawn."""
    scheduler = make(3)
    ends = set()
    for _ in range(30):
        scheduler.more()
        ends.add(scheduler.choose([CLEANUP], done=True))
        scheduler.learn(Trace("test", "", "", 0, (), lambda: Details((), (Snapshot(None, None),))))
    assert ends == {None, CLEANUP}


def meets(schedule: str, race: str) -> bool:
    """Return whether a schedule of two actors, each of which starts, gets and sets, shows a race."""
    a, b = ([at for at, actor in enumerate(schedule) if actor == name] for name in "AB")
    return {
        "schedule": b[2] < a[1],
        "lost": a[1] < b[2] and b[1] < a[2],
        "within": a[1] < b[1] and b[2] < a[2],
        "alternate": a[1] < b[1] < a[2] < b[2],
    }[race]


def chance(race: str, depth: int) -> Fraction:
    """Give the exact probability that PCT meets a race, from every draw that it can make of two actors, six moves."""
    met = draws = 0
    for first in (0, 1):
        for changes in product(range(1, 7), repeat=depth - 1):
            priorities = Priorities(changes, lambda others, first=first: first * others)
            left = {"A": 3, "B": 3}
            schedule = ""
            while able := [actor for actor, moves in left.items() if moves]:
                schedule += priorities.pick(able)
                left[schedule[-1]] -= 1
            draws += 1
            met += meets(schedule, race)
    return Fraction(met, draws)


@pytest.mark.parametrize(
    ("race", "depth", "exact"),
    [
        ("schedule", 1, Fraction(1, 2)),
        ("lost", 1, Fraction(0)),
        ("lost", 2, Fraction(1, 6)),
        ("within", 2, Fraction(1, 12)),
        ("alternate", 2, Fraction(0)),
        ("alternate", 3, Fraction(1, 72)),
    ],
)
def test_pct_meets_a_race_of_its_depth_with_its_bound(race: str, depth: int, exact: Fraction) -> None:
    """The probability over all draws is exact, and not below 1/(n k^(d-1)) for a race of that depth."""
    found = chance(race, depth)
    assert found == exact
    assert found == 0 or found >= Fraction(1, 2 * 6 ** (depth - 1))


def test_a_later_change_may_fall_on_an_earlier_move() -> None:
    """The lowered priorities are drawn without regard to the order of their moves, as the bound needs it."""
    early_first = Priorities((1, 2), lambda others: others)
    late_first = Priorities((2, 1), lambda others: others)
    left = ["A", "B"]
    assert [early_first.pick(left) for _ in range(3)] == ["B", "B", "B"]
    assert [late_first.pick(left) for _ in range(3)] == ["B", "A", "A"]


def test_pct_tells_its_bound_with_the_measured_numbers() -> None:
    """With two actors and six moves, a race of depth 3 has 1/72; nothing is known before the first schedule."""
    scheduler = Pct(1, 5, depth=3)
    assert scheduler.bound is None
    schedules(scheduler, [("k", GET), ("k", SET)], [("k", GET), ("k", SET)])
    assert (scheduler.actors, scheduler.steps, scheduler.schedules, scheduler.bound) == (2, 6, 5, 1 / 72)
    with pytest.raises(ValueError, match="depth of 1 or more, not 0"):
        Pct(1, depth=0)


def test_pct_takes_several_moves_of_one_actor_in_any_schedule() -> None:
    """Of two frames that one actor shows at once, either goes first."""
    scheduler = Pct(1)
    two = [Move("A", "GET", "k"), Move("A", "GET", "m")]
    assert {scheduler.choose(two, done=False) for _ in range(20)} == set(two)
