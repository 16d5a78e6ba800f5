"""Hunt, then proof: races in a few schedules, one schedule of each class after that, and none twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conftest import scenario_of, target_of
from hypothesis import given, settings
from programs import Program, Run, everything, get, put, put_new
from test_dpor import FUSED, PROGRAMS, count_seen, get_set, of, random_programs, waits, writes

from stress.checks import run_checks
from stress.config.formats import bundled
from stress.config.scenario import Scenario
from stress.core.step import Access, Move, Touch
from stress.engine.strategy import alike_in, dependence_of
from stress.executors.model.executor import ModelExecutor
from stress.schedulers.auto import Auto
from stress.schedulers.base import Diverged
from stress.schedulers.classes import Classes
from stress.schedulers.dependence import Dependence, Effect
from stress.schedulers.dpor.scheduler import Dpor
from stress.schedulers.exhaustive import Exhaustive
from stress.schedulers.hunt import Hunt

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from programs import Op

    from stress.core.trace import Trace
    from stress.schedulers.base import Scheduler

# scenario, target, schedules, classes up to names, and for each expected race after how many schedules it was found,
# and by which.
CASES: list[tuple[str, str, int, int, dict[str, tuple[int, str]]]] = [
    (
        "atomic-hit-count",
        "redis-read-modify-write",
        8,
        3,
        {"hits_equal_answers": (3, "A A A B B B B A"), "distinct_counts": (3, "A A A B B B B A")},
    ),
    ("atomic-hit-count", "redis-atomic", 2, 1, {}),
    ("idempotency-key", "redis-idempotency-key", 14, 8, {"one_effect": (2, "A A B B B B B A A A")}),
    ("idempotency-key", "redis-idempotency-key-claimed", 9, 4, {}),
    (
        "concurrent-duplicates",
        "redis-named-by-second",
        39,
        20,
        {"one_active_record": (6, "A A clock B B B A"), "one_created_answer": (5, "A A B B B A A")},
    ),
    ("concurrent-duplicates", "redis-atomic", 12, 6, {}),
    (
        "expiry",
        "redis-store-overwrite",
        1704,
        1704,
        dict.fromkeys(
            ("one_created_answer", "hits_equal_answers", "linearizable_hits"), (2, "expiry A A A A A B B B B B B B")
        ),
    ),
    ("expiry", "redis-atomic", 12, 8, {}),
    (
        "pseudo-lock",
        "redis-pseudo-lock",
        108,
        59,
        {
            "one_active_record": (8, "A A A clock B B B B A"),
            "one_created_answer": (7, "A A A B B B B A A"),
            "linearizable_hits": (7, "A A A B B B B A A"),
        },
    ),
    ("pseudo-lock", "redis-atomic", 15, 9, {}),
    (
        "store-overwrite",
        "redis-store-overwrite",
        13,
        6,
        dict.fromkeys(("one_created_answer", "hits_equal_answers", "linearizable_hits"), (2, "A A B B B B A A A")),
    ),
    ("store-overwrite", "redis-optimistic", 9, 4, {}),
    (
        "t1-five-at-once-cleanup",
        "redis-atomic",
        847,
        840,
        {"test_t1_one_record": (7, "A A B B C C D D E E cleanup")},
    ),
    (
        "t1-five-at-once",
        "redis-named-by-second",
        2911,
        2816,
        dict.fromkeys(("one_created_answer", "linearizable_hits"), (2, "A A B B B A A C C C D D D E E E")),
    ),
    ("t1-five-at-once", "redis-atomic", 121, 120, {}),
    (
        "t2-one-then-three-cleanup",
        "redis-atomic",
        35,
        30,
        {"test_t2_hits_at_least_requests": (2, "cleanup A A B B C C")},
    ),
    (
        "t2-one-then-three",
        "redis-read-modify-write",
        71,
        43,
        dict.fromkeys(
            ("hits_equal_answers", "distinct_counts", "linearizable_hits", "test_t2_hits_at_least_requests"),
            (3, "A A A B B B B A C C C C"),
        ),
    ),
    ("t2-one-then-three", "redis-atomic", 7, 6, {}),
]

STARVED = "A A A B B B B A A C C C C A A D D D D A A E E E E A"
# The same for the races over Kubernetes, each of which shows first in this order.
KUBERNETES: list[tuple[str, str, str, int, str]] = [
    ("concurrent-duplicates", "kube-status", "one_active_record", 6, "A A clock B B B B B A A A"),
    ("concurrent-duplicates", "kube-status", "one_created_answer", 5, "A A B B B B B A A A A"),
    ("l1-reentrant-lock", "kube-lease", "one_active_record", 4, "A A A A B B B B B B B B A A A A"),
    ("l2-early-release", "kube-lease", "lease_deleted_by_owner", 9, "A A A B B B B B B B B A A A A C C C C C C C C"),
    ("l3-foreign-delete", "kube-lease", "lease_deleted_as_seen", 35, "A A A A A A A A B B B B B B B C C C A C C C C"),
    ("l4-stolen-release", "kube-lease", "lease_deleted_as_seen", 13, "B B B B B B B B expiry A A A B A A A A"),
    ("l5-leaked-lease", "kube-lease", "lease_released", 6, "A A A client:A"),
    ("l6-unrenewed-lease", "kube-lease", "one_active_record", 18, "A A A A expiry B B B B B B B B B A A A A"),
    ("r1-across-a-second", "kube-status", "one_active_record", 6, "A A clock B B B B B A A A"),
    ("r2-same-second-losers", "kube-status", "one_created_answer", 2, "A A B B B B B A A A A"),
    ("r3-status-init-lost", "kube-status-cached", "hits_equal_answers", 1, "A A A B B"),
    ("r4-loser-without-cache", "kube-status-cached", "no_server_error", 1, "A A A B B"),
    ("r5-stale-list", "kube-status-cached", "one_active_record", 3, "A A A clock B B B"),
    (
        "r6-retry-exhaustion",
        "kube-status",
        "hits_equal_answers",
        5,
        "A A A B B B B A A C C C C A A D D D D A A E E E E A",
    ),
    (
        "r6-retry-exhaustion",
        "kube-status",
        "distinct_counts",
        5,
        "A A A B B B B A A C C C C A A D D D D A A E E E E A",
    ),
    (
        "r6-retry-exhaustion",
        "kube-status",
        "no_phantom_count",
        5,
        "A A A B B B B A A C C C C A A D D D D A A E E E E A",
    ),
    ("r7-stale-cache-conflict", "kube-status-cached", "hits_equal_answers", 1, "A A A B B B B B"),
    ("r8-phase-flip", "kube-status", "hits_equal_answers", 2, "writer A A A A A A"),
    ("r9-delete-under-foot", "kube-status", "hits_equal_answers", 4, "A A A cleanup A"),
    ("t1-five-at-once", "kube-status", "one_created_answer", 2, "A A B B B B B A A A A C C C C D D D D E E E E"),
    ("t1-five-at-once", "kube-status", "linearizable_hits", 2, "A A B B B B B A A A A C C C C D D D D E E E E"),
]


def auto_of(executor: ModelExecutor, *, clock_apart: bool = False) -> Auto:
    """Make the scheduler that a search uses by default."""
    return Auto(
        dependence_of(executor),
        fused=True,
        possible=executor.possible,
        alike=alike_in(executor),
        clock_apart=clock_apart,
    )


def outcome(executor: ModelExecutor, trace: Trace) -> object:
    """Give what a run comes to, up to the names of the requests: answers, states, and what is broken."""
    answers = sorted((one.status, one.record or "", one.count or 0) for one in trace.answers)
    broken = frozenset(one.invariant for one in run_checks(executor.scenario.invariants, trace))
    return tuple(answers), trace.outcome[1], broken


def outcomes(executor: ModelExecutor, scheduler: Scheduler) -> set[object]:
    """Run all schedules of a scheduler."""
    found = set()
    while scheduler.more():
        trace = executor.run(scheduler)
        scheduler.learn(trace)
        found.add(outcome(executor, trace))
    return found


@pytest.mark.unmeasured
@pytest.mark.parametrize(("name", "target", "schedules", "classes", "races"), CASES)
def test_each_bundled_race_is_found_in_ten_schedules_and_each_class_is_run(
    name: str, target: str, schedules: int, classes: int, races: dict[str, tuple[int, str]]
) -> None:
    """Exactly so many schedules exhaust the case, and each expected race shows first in this minimal one.

    The two largest are followed for as many schedules as a race may take, as they cost more than all others together.
    """
    large = schedules > 1000
    executor = ModelExecutor(scenario_of(name), target_of(target))
    auto = auto_of(executor)
    first: dict[str, tuple[int, str]] = {}
    while auto.more() and not (large and auto.schedules == 10):
        trace = executor.run(auto)
        auto.learn(trace)
        word = " ".join(move.actor for move in trace.moves)
        for one in run_checks(executor.scenario.invariants, trace):
            first.setdefault(one.invariant, (auto.schedules, word))
    if not large:
        assert (auto.schedules, auto.classes, auto.exhausted) == (schedules, classes, True)
    assert {race: first[race] for race in races} == races
    assert all(found <= 10 for found, _ in races.values())


@pytest.mark.unmeasured
@pytest.mark.parametrize(("name", "target", "race", "schedules", "word"), KUBERNETES)
def test_each_race_over_kubernetes_is_found_in_fifty_schedules(
    name: str, target: str, race: str, schedules: int, word: str
) -> None:
    """The adversaries find within exactly so many schedules what few preemptions alone do not (L3, L4, R6)."""
    executor = ModelExecutor(scenario_of(name), target_of(target))
    auto = auto_of(executor)
    found = ""
    while not found and auto.more():
        trace = executor.run(auto)
        auto.learn(trace)
        if any(one.invariant == race for one in run_checks(executor.scenario.invariants, trace)):
            found = " ".join(move.actor for move in trace.moves)
    assert (auto.schedules, found) == (schedules, word)
    assert schedules <= 50


def test_the_table_has_every_race_over_kubernetes() -> None:
    """None of a bundled Gateway over Kubernetes is left out."""
    loaded = [Scenario.load(path) for path in bundled("").glob("*.yaml")]
    races = {
        (one.name, target, race)
        for one in loaded
        for target, expected in one.expect.items()
        if target.startswith("kube-") and not isinstance(expected, str)
        for race in expected.race
    }
    assert {row[:3] for row in KUBERNETES} == races


def test_the_table_has_every_bundled_case() -> None:
    """None over Redis is left out."""
    loaded = [Scenario.load(path) for path in bundled("").glob("*.yaml")]
    cases = {(one.name, target) for one in loaded for target in one.expect if target.startswith("redis-")}
    assert {row[:2] for row in CASES} == cases


@pytest.mark.unmeasured
@pytest.mark.parametrize(("name", "target"), [row[:2] for row in CASES if row[0] != "expiry" or not row[4]])
def test_up_to_the_names_of_requests_nothing_is_lost(name: str, target: str) -> None:
    """With at most three requests the same outcomes and violations are met as with one schedule of each class."""
    scenario = scenario_of(name)
    small = scenario.model_copy(update={"concurrent": min(3, scenario.concurrent)})
    executor = ModelExecutor(small, target_of(target))
    assert outcomes(executor, auto_of(executor)) == outcomes(executor, Dpor(dependence_of(executor)))


def test_the_clock_comes_last_and_nothing_is_lost_by_it() -> None:
    """Where the clock is slow the schedules without it come first; together they are the same 20 classes."""
    executor = ModelExecutor(scenario_of("concurrent-duplicates"), target_of("redis-named-by-second"))
    auto, clocks = auto_of(executor, clock_apart=True), []
    while auto.more():
        trace = executor.run(auto)
        auto.learn(trace)
        clocks.append(any(move.actor == "clock" for move in trace.moves))
        if len(clocks) == 4:
            assert (auto.clock_cut, auto.exhausted) == (False, False)
        if len(clocks) == 5:
            assert (auto.clock_cut, auto.exhausted) == (True, False)
    assert clocks[:5] == [False] * 4 + [True]
    assert (auto.schedules, sum(clocks), auto.classes, auto.exhausted, auto.clock_cut) == (41, 35, 20, True, False)


@pytest.mark.unmeasured
@settings(max_examples=PROGRAMS // 2)
@given(random_programs())
def test_random_programs_reach_what_brute_force_reaches(drawn: tuple[Program, list[str]]) -> None:
    """Whatever waits, acts or is alike: the same is left behind, up to names, and without names every class is run."""
    program, alike = drawn
    dependence = Dependence(fused=True, writes={"cleanup": ("x", "y")})
    possible = dict.fromkeys(program.environment, program.at_most)
    every = everything(program, dependence, alike=alike)
    auto = Auto(dependence, fused=True, possible=possible)
    found = everything(program, dependence, auto)
    assert (found.classes, found.finals, auto.exhausted) == (every.classes, every.finals, True)
    named = Auto(dependence, fused=True, possible=possible, alike=alike)
    assert everything(program, dependence, named, alike).renamed_finals == every.renamed_finals
    assert named.exhausted


def test_where_a_request_waits_every_schedule_is_run() -> None:
    """A request that waits for another is seen to, and then both schedules are run from the beginning."""
    program = Program({"A": writes("x"), "B": waits("x")})
    auto = Auto(FUSED, fused=True, possible={})
    found, every = everything(program, FUSED, auto), everything(program, FUSED)
    assert (found.schedules, found.finals, every.schedules) == (4, every.finals, 2)
    assert (auto.waits(), auto.exhausted, auto.classes, auto.total) == (True, True, None, 2)


def retrying(attempts: int) -> Any:  # noqa: ANN401 - the code of an actor
    """Make an actor that reads and then writes what nobody has changed since, and gives up after some attempts."""

    def code(program: Program) -> Generator[Op, Any, bool]:
        for _ in range(attempts):
            found = yield get("k")
            won = yield put_if(program, found)
            if won:
                return True
        return False

    return code


def put_if(program: Program, found: object) -> Op:
    """Write one more, if the key holds what was found."""

    def run(values: dict[str, Any]) -> bool:
        same = values.get("k") == found
        if same:
            values["k"] = (values.get("k") or 0) + 1
        return same

    del program
    return put("k", 0)._replace(command="CAS", run=run)


def test_an_adversary_for_retries_is_part_of_the_hunt() -> None:
    """Five writers and four attempts: the order in which one of them gives up (R6) is the fifth of many."""
    program = Program(of([retrying(4)] * 5))
    hunt = Hunt(FUSED, fused=True, alike=tuple("ABCDE"))
    gave_up = []
    while hunt.more() and hunt.schedules < 50:
        trace = program.run(hunt)
        hunt.learn(trace)
        if max(sum(move.command == "CAS" for move in trace.moves if move.actor == name) for name in "ABCDE") == 4:
            gave_up.append(hunt.schedules)
    assert gave_up == [5]


@pytest.mark.parametrize(
    ("code", "bounds", "schedules"),
    [(get_set, [0, 1, 2], 8), (count_seen, [2], 1)],
)
def test_the_hunt_says_up_to_how_many_preemptions_it_went(
    code: Any,  # noqa: ANN401 - the code of an actor
    bounds: list[int],
    schedules: int,
) -> None:
    """After its schedules with b preemptions the bound is b; identical requests leave few of them."""
    program = Program(of([code] * 3))
    hunt = Hunt(FUSED, fused=True, alike=tuple("ABC"))
    seen: list[int | None] = [hunt.bound]
    while hunt.more():
        hunt.learn(program.run(hunt))
        seen.append(hunt.bound)
    assert [one for one in dict.fromkeys(seen) if one is not None] == bounds
    assert (seen[0], hunt.schedules) == (None, schedules)


def reached(program: Program, scheduler: Hunt | Exhaustive, most: int, alike: list[str]) -> list[set[object]]:
    """Run a scheduler; give what is left behind, up to names, by all that it ran when its bound became 0, 1, …."""
    found: list[set[object]] = []
    finals: set[object] = set()
    while len(found) <= most and scheduler.more():
        run = Run(program)
        run.follow(scheduler)
        scheduler.learn(run.trace())
        finals.add(run.final(alike))
        bound = scheduler.bound
        found += [set(finals)] * (0 if bound is None else min(bound, most) + 1 - len(found))
    return found


@pytest.mark.unmeasured
@settings(max_examples=PROGRAMS)
@given(random_programs())
def test_the_bound_of_the_hunt_is_what_brute_force_reaches_below_it(drawn: tuple[Program, list[str]]) -> None:
    """When the bound is b, whatever any schedule with up to b preemptions leaves behind has been seen, up to names."""
    program, alike = drawn
    dependence = Dependence(fused=True, writes={"cleanup": ("x", "y")})
    hunt = Hunt(dependence, fused=True, alike=alike)
    hunted = reached(program, hunt, 2, alike)
    for bound, (seen, every) in enumerate(
        zip(hunted, reached(program, Exhaustive(fused=True), 2, alike), strict=False)
    ):
        assert hunt.waited or every <= seen, bound


def test_a_executor_that_does_not_repeat_itself_is_a_divergence() -> None:
    """The hunt says at which step what was possible no longer is."""
    hunt = Hunt(FUSED, fused=True)
    assert hunt.more()
    hunt.learn(Program(of([get_set] * 2)).run(hunt))
    assert hunt.more()
    with pytest.raises(Diverged, match=r"DIVERGED at step 1: expected B GET k"):
        Program({"A": get_set}).run(hunt)


def effect(actor: str, command: str, access: Access) -> Effect:
    """Make what a step on the one key did."""
    return Effect(Move(actor, command, "k"), (Touch("k", access),))


def test_classes_are_distinguished_up_to_swaps_and_names() -> None:
    """Two reads may be swapped, a read and a write may not, and of identical requests the names do not matter."""
    reads = [effect(actor, "GET", Access.READ) for actor in "AB"]
    writes_k = {actor: effect(actor, "SET", Access.WRITE) for actor in "AB"}
    plain, named = Classes(FUSED), Classes(FUSED, "AB")
    runs = (
        [*reads, writes_k["A"], writes_k["B"]],
        [*reversed(reads), writes_k["A"], writes_k["B"]],
        [*reads, writes_k["B"], writes_k["A"]],
        [reads[0], writes_k["A"], reads[1], writes_k["B"]],
    )
    assert [plain.add(run) for run in runs] == [True, False, True, True]
    assert [named.add(run) for run in runs] == [True, False, False, True]
    assert (len(plain), len(named)) == (3, 2)


def test_what_an_schedule_asks_for_but_does_not_get_is_run_after_all() -> None:
    """Made-up names that change with the schedule are no reason to leave a class out."""

    def named(program: Program) -> Generator[Op, Any, None]:
        yield get("k")
        number = program.values["named"] = program.values.get("named", 0) + 1
        yield put_new(f"id{number}", 1)

    program = Program(of([named] * 2))
    auto = Auto(FUSED, fused=True, possible={})
    every = everything(program, FUSED)
    assert everything(program, FUSED, auto).finals == every.finals
    assert auto.exhausted
