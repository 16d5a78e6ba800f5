"""One schedule of each class: counts known in advance, brute force on random programs, and every rule of dependence."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from conftest import scenario_of, target_of
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import (
    NOW,
    Op,
    Program,
    count,
    delete,
    everything,
    get,
    listing,
    move_over,
    put,
    put_new,
    script,
    up_to_names,
    wait_for,
)

from stress.config.scenario import EnvironmentActor
from stress.core.step import START, Access, Move, Touch
from stress.core.trace import Details, Event, Kind, Trace
from stress.executors.model.executor import ModelExecutor
from stress.schedulers.base import Diverged
from stress.schedulers.dependence import Dependence, Effect, effects
from stress.schedulers.dpor.scheduler import Dpor
from stress.schedulers.exhaustive import Exhaustive

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from stress.schedulers.base import Scheduler

    Code = Generator[Op, Any, Any]
    Actor = Callable[[Program], Code]

PROGRAMS = 2000 if os.environ.get("STRESS_NIGHTLY") == "1" else 200


def get_set(_: Program) -> Code:
    """Read, then write what was read and one more."""
    found = yield get("k")
    yield put("k", (found or 0) + 1)


def get_set_if_missing(_: Program) -> Code:
    """Write only what is not there."""
    if (yield get("k")) is None:
        yield put("k", 1)


def create_or_count(_: Program) -> Code:
    """Create what is not there; count a hit if another was faster, or if it was there."""
    if (yield get("k")) is not None or not (yield put_new("k", 1)):
        yield count("k")


def count_seen(_: Program) -> Code:
    """Count, and look at the reply."""
    yield count("k")


def count_blind(_: Program) -> Code:
    """Count, and look at nothing."""
    yield count("k", blind=True)


def writer(_: Program) -> Code:
    """Write."""
    yield put("k", 1)


def reader(_: Program) -> Code:
    """Read."""
    yield get("k")


def own_key(name: str) -> Actor:
    """Read and write a key of one's own."""

    def code(_: Program) -> Code:
        yield get(f"k{name}")
        yield put(f"k{name}", 1)

    return code


def private_writes(name: str) -> Actor:
    """Write eight times to a key of one's own, then read and write a common one."""

    def code(program: Program) -> Code:
        for number in range(8):
            yield put(f"p{name}", number)
        yield from get_set(program)

    return code


def nobody(move: Move) -> bool:  # noqa: ARG001 - an answer for every move
    """Say of every move that nobody reads the time after it."""
    return False


def of(actors: Sequence[Actor]) -> dict[str, Actor]:
    """Name actors A, B, C, …."""
    return dict(zip("ABCDEF", actors, strict=False))


def own_object(effect: Effect, actor: str) -> Effect:
    """Rename an effect, and the objects that hold its actor's name."""
    change = str.maketrans(effect.move.actor, actor)
    touches = tuple(Touch(touch.object.translate(change), touch.access) for touch in effect.touches)
    move = effect.move._replace(actor=actor, object=effect.move.object.translate(change))
    return effect._replace(move=move, touches=touches)


def blind(one: Effect, other: Effect) -> bool:
    """Return whether both are increments at whose replies nobody looks."""
    return one.move.command == other.move.command == "INCR"


TABLE = [
    ("GET SET", of([get_set] * 2), 6, 4, 2),
    ("GET SET", of([get_set] * 3), 90, 36, 6),
    ("GET SET", of([get_set] * 4), 2520, 576, 24),
    ("GET, SET if nil", of([get_set_if_missing] * 2), 6, 4, 2),
    ("GET, SET if nil", of([get_set_if_missing] * 3), 66, 21, 4),
    ("GET, SET if nil", of([get_set_if_missing] * 4), 1176, 148, 8),
    ("create or count", of([create_or_count] * 2), 6, 4, 2),
    ("create or count", of([create_or_count] * 3), 198, 66, 11),
    ("INCR", of([count_seen] * 2), 2, 2, 1),
    ("INCR", of([count_seen] * 3), 6, 6, 1),
    ("INCR", of([count_seen] * 4), 24, 24, 1),
    ("INCR not observed", of([count_blind] * 2), 2, 1, 1),
    ("INCR not observed", of([count_blind] * 3), 6, 1, 1),
    ("INCR not observed", of([count_blind] * 4), 24, 1, 1),
    ("one SET, five GET", of([writer, *[reader] * 5]), 720, 32, 6),
    ("own keys", of([own_key(name) for name in "ABC"]), 90, 1, 1),
    ("private writes", of([private_writes(name) for name in "AB"]), None, 4, 2),
]


@pytest.mark.unmeasured
@pytest.mark.parametrize(("name", "actors", "schedules", "classes", "renamed"), TABLE)
def test_one_schedule_of_each_class_is_run(
    name: str, actors: dict[str, Actor], schedules: int | None, classes: int, renamed: int
) -> None:
    """The schedules by brute force, the classes by DPOR, and the classes up to names are as counted in advance."""
    program = Program(actors)
    dependence = Dependence(fused=True, commute=blind) if "not observed" in name else Dependence(fused=True)
    alike = [actor for actor in actors if actors[actor] is not writer]
    dpor = Dpor(dependence)
    found = everything(program, dependence, dpor, alike)
    assert (found.schedules, len(found.classes), dpor.exhausted, dpor.redundant) == (classes, classes, True, 0)
    assert up_to_names(found.classes, alike) == renamed
    if schedules is not None:
        every = everything(program, dependence, alike=alike)
        assert (every.schedules, every.classes, every.finals) == (schedules, found.classes, found.finals)
    symmetric = Dpor(dependence, alike=alike, rename=own_object)
    fewer = everything(program, dependence, symmetric, alike)
    assert fewer.schedules <= 1.5 * renamed
    assert fewer.renamed_finals == found.renamed_finals


Spec = tuple[tuple[str, ...], ...]


def step(program: Program, reply: Any, command: str, keys: Sequence[str]) -> Op:  # noqa: ANN401 - any reply
    """Make a step of a drawn text; what it writes may depend on what its actor last received, and on the time."""
    first, second = keys
    return {
        "get": lambda: get(first),
        "put": lambda: put(first, (reply or 0) + 1),
        "new": lambda: put_new(first, 7),
        "del": lambda: delete(first),
        "incr": lambda: count(first),
        "copy": lambda: move_over(first, second),
        "wait": lambda: wait_for(first),
        "scan": lambda: listing("x", "y", "z"),
        "eval": lambda: script(first, second, min({*"xyz"} - {first, second}), declares=True),
        "hide": lambda: script(first, second, min({*"xyz"} - {first, second}), declares=False),
        "time": lambda: put(first, 100 + program.now),
    }[command]()


def coded(spec: Spec) -> Actor:
    """Make an actor of a drawn text: ``unless`` leaves out the next step if there was something in it."""

    def code(program: Program) -> Code:
        reply, skip = None, False
        for command, *keys in spec:
            if command == "unless":
                skip = bool(reply)
            elif skip:
                skip = False
            else:
                reply = yield step(program, reply, command, keys)

    return code


def specs(*commands: str, most: int) -> st.SearchStrategy[Spec]:
    """Draw the text of an actor."""
    key = st.sampled_from("xyz")
    return st.lists(st.tuples(st.sampled_from(commands), key, key), min_size=1, max_size=most).map(tuple)


PLAIN = ("get", "get", "put", "put", "new", "incr", "copy", "unless", "scan")


def tick(values: dict[str, Any]) -> None:
    """Let a second pass."""
    values[NOW] += 1


def clean(values: dict[str, Any]) -> None:
    """Delete two keys."""
    values.pop("x", None)
    values.pop("y", None)


@st.composite
def random_programs(draw: st.DrawFn) -> tuple[Program, list[str]]:
    """Draw two or three actors of a few steps, sometimes identical ones, with a clock, or with steps that wait."""
    kind = draw(st.sampled_from(["plain", "plain", "wait", "clock", "cleanup"]))
    number = draw(st.integers(2, 3))
    most = {2: 4, 3: 2}[number] - (kind in ("clock", "cleanup"))
    more = {"plain": ("del",), "wait": ("wait", "wait"), "clock": ("time", "time"), "cleanup": ("del",)}[kind]
    commands = (*PLAIN, *more)
    drawn = [draw(specs(*commands, most=most)) for _ in range(number)]
    same = draw(st.integers(0, number))
    drawn[:same] = [drawn[0]] * same
    actors = of([coded(one) for one in drawn])
    alike = list(actors)[:same]
    environment: dict[str, Callable[[dict[str, Any]], None]] = {
        "clock": {"clock": tick},
        "cleanup": {"cleanup": clean},
    }.get(kind, {})
    return Program(actors, environment, starts=kind == "clock" and number == 2), alike


@pytest.mark.unmeasured
@settings(max_examples=PROGRAMS)
@given(random_programs())
def test_random_programs_reach_what_brute_force_reaches(drawn: tuple[Program, list[str]]) -> None:
    """DPOR runs as many schedules as brute force has classes, and both leave the same behind, up to names if asked."""
    program, alike = drawn
    dependence = Dependence(fused=True, writes={"cleanup": ("x", "y")})
    every = everything(program, dependence, alike=alike)
    dpor = Dpor(dependence, stays=True)
    found = everything(program, dependence, dpor, alike)
    assert found.classes == every.classes
    assert found.finals == every.finals
    assert (dpor.explored, dpor.exhausted) == (len(every.classes), True)
    symmetric = everything(program, dependence, Dpor(dependence, alike=alike), alike)
    assert symmetric.renamed_finals == every.renamed_finals
    assert symmetric.schedules <= found.schedules


@st.composite
def programs_with_scripts(draw: st.DrawFn) -> tuple[Program, list[str]]:
    """Draw two or three actors of a few steps, half of them scripts, sometimes identical ones."""
    number = draw(st.integers(2, 3))
    drawn = [draw(specs("eval", "hide", "eval", "hide", *PLAIN, most={2: 4, 3: 2}[number])) for _ in range(number)]
    same = draw(st.integers(0, number))
    drawn[:same] = [drawn[0]] * same
    actors = of([coded(one) for one in drawn])
    return Program(actors), list(actors)[:same]


@pytest.mark.unmeasured
@settings(max_examples=PROGRAMS // 4)
@given(programs_with_scripts())
def test_what_a_script_touches_may_be_another_thing_in_each_run(drawn: tuple[Program, list[str]]) -> None:
    """Where keys show in one branch alone, and not before, DPOR reaches what brute force reaches, also up to names."""
    program, alike = drawn
    dependence = Dependence(fused=True)
    every = everything(program, dependence, alike=alike)
    dpor = Dpor(dependence, stays=True)
    found = everything(program, dependence, dpor, alike)
    assert found.finals == every.finals
    assert (found.classes >= every.classes, dpor.exhausted) == (True, True)
    symmetric = everything(program, dependence, Dpor(dependence, alike=alike), alike)
    assert symmetric.renamed_finals == every.renamed_finals


def stamp(program: Program) -> Code:
    """Write the time at which the start was answered for."""
    yield put("k", program.now)


def count_for(name: str) -> Actor:
    """Read after another actor wrote, where no step shows it."""

    def code(program: Program) -> Code:
        yield get("k")
        yield put("k", program.values.get(name))

    return code


def first_come(program: Program) -> Code:
    """Be served in the order of arrival at the process; no step shows it."""
    number = program.values["arrived"] = program.values.get("arrived", 0) + 1
    yield get("k")
    return number


def sees_answers(program: Program) -> Code:
    """Read, and note how many were answered before this one was sent."""
    before = program.values.get("answered", 0)
    yield get("k")
    program.values["answered"] = program.values.get("answered", 0) + 1
    return before


def mark(name: str) -> Callable[[dict[str, Any]], None]:
    """Make an actor of the environment that leaves a mark."""
    return lambda values: values.update({name: True})


def write_read(_: Program) -> Code:
    """Write, then read."""
    yield put("k", 1)
    yield get("k")


def remove(values: dict[str, Any]) -> None:
    """Delete the key."""
    values.pop("k", None)


FUSED = Dependence(fused=True)
RULES = [
    ("clock", Program({"A": stamp}, {"clock": tick}, starts=True), FUSED, Dependence(fused=True, reads_time=nobody)),
    (
        "cleanup",
        Program({"A": write_read}, {"cleanup": remove}),
        Dependence(fused=True, writes={"cleanup": ["k"]}),
        Dependence(fused=True, writes={"cleanup": ["other"]}),
    ),
    ("expiry", Program({"A": write_read}, {"expiry": remove}), FUSED, Dependence(fused=True, writes={"expiry": []})),
    (
        "watch",
        Program({"A": count_for("seen")}, {"watch:2": mark("seen")}),
        Dependence(fused=True, replicas={"A": 2}),
        Dependence(fused=True, replicas={"A": 1}),
    ),
    (
        "client",
        Program({"A": count_for("gone")}, {"client": mark("gone")}),
        Dependence(fused=True, clients={"client": "A"}),
        FUSED,
    ),
    ("start", Program({"A": first_come, "B": first_come}, starts=True), Dependence(fused=False), FUSED),
    (
        "real time",
        Program({"A": sees_answers, "B": sees_answers}, starts=True),
        Dependence(fused=True, precedence=True),
        FUSED,
    ),
    ("replies", Program(of([count_seen] * 2)), FUSED, Dependence(fused=True, commute=blind)),
]


@pytest.mark.parametrize(("name", "program", "rule", "without"), RULES)
def test_each_rule_of_dependence_is_needed(name: str, program: Program, rule: Dependence, without: Dependence) -> None:
    """With the rule all that can be left behind is found, one schedule a class; without it some of it is lost."""
    del name
    every = everything(program, rule)
    found = everything(program, rule, Dpor(rule))
    assert (found.schedules, found.classes, found.finals) == (len(every.classes), every.classes, every.finals)
    assert everything(program, without, Dpor(without)).finals < every.finals


@pytest.mark.parametrize(
    ("rule", "classes"),
    [
        (Dependence(fused=True), 1),
        (Dependence(fused=True, precedence=True), 3),
        (Dependence(fused=True, real_time=True), 6),
    ],
)
def test_a_check_that_reads_the_order_of_starts_and_answers_costs_schedules(rule: Dependence, classes: int) -> None:
    """Two requests that share nothing have 6 interleavings; who comes after whom is one of 3 things."""
    program = Program({"A": write_of("a"), "B": write_of("b")}, starts=True)
    assert everything(program, rule, Dpor(rule)).schedules == classes
    assert len(everything(program, rule).classes) == classes


def test_the_order_of_starts_tells_identical_requests_apart() -> None:
    """Where a check reads it, two identical requests that have been started are no longer one as good as the other."""
    rule = Dependence(fused=True, real_time=True)
    program = Program(dict.fromkeys("AB", write_of("a")), starts=True)
    assert everything(program, rule, Dpor(rule, alike="AB")).schedules == 3


def write_of(key: str) -> Actor:
    """Write one object."""

    def code(_: Program) -> Code:
        yield put(key, 1)

    return code


def test_real_time_tells_identical_requests_apart_by_the_answers_before_them() -> None:
    """With symmetry the same numbers of earlier answers are seen as by brute force."""
    program = Program(dict.fromkeys("ABC", sees_answers), starts=True)
    rule = Dependence(fused=True, precedence=True)
    every = everything(program, rule, alike="ABC")
    found = everything(program, rule, Dpor(rule, alike="ABC"), alike="ABC")
    assert found.renamed_finals == every.renamed_finals
    assert found.schedules < len(every.classes)


def test_an_actor_may_show_several_steps_at_once() -> None:
    """Steps that one actor shows together are run in either order, as many as there are classes."""

    def part(key: str) -> Actor:
        def code(_: Program) -> Code:
            found = yield get(key)
            yield put("k", 10 * (found or 1))

        return code

    program = Program({"A": part("k"), "thread": part("x"), "B": get_set}, threads={"thread": "A"})
    every = everything(program, FUSED)
    dpor = Dpor(FUSED)
    found = everything(program, FUSED, dpor)
    assert (found.classes, found.finals) == (every.classes, every.finals)
    assert (dpor.schedules, every.schedules) == (len(every.classes), 90)


def waits(key: str, *more: Op) -> Actor:
    """Wait for a key, then do something more."""

    def code(_: Program) -> Code:
        yield get("y")
        yield wait_for(key)
        yield from more

    return code


def writes(*keys: str) -> Actor:
    """Write to keys."""

    def code(_: Program) -> Code:
        for key in keys:
            yield put(key, 1)

    return code


def test_a_move_that_is_blocked_is_asked_for_and_no_class_is_lost() -> None:
    """A schedule that asks for a step of a waiting actor too early counts as redundant, beside one of each class."""
    program = Program({"A": writes("x"), "B": waits("x", put("y", 1)), "C": writes("y")})
    dpor = Dpor(FUSED, stays=True)
    found, every = everything(program, FUSED, dpor), everything(program, FUSED)
    assert (found.classes, found.finals) == (every.classes, every.finals)
    assert (dpor.explored, dpor.redundant, dpor.exhausted, len(every.classes)) == (3, 3, True, 3)


@pytest.mark.parametrize("more", [writes("z"), writes("x")])
def test_who_is_seen_to_wait_makes_the_search_doubtful(more: Actor) -> None:
    """Whether it waits in vain or is let go on: a lock would hide a schedule, unless what it waits for stays."""
    program = Program({"A": waits("x"), "B": more})
    dpor, sure = Dpor(FUSED), Dpor(FUSED, stays=True)
    found = everything(program, FUSED, dpor)
    assert found == everything(program, FUSED, sure)
    assert (found.finals, dpor.explored) == (everything(program, FUSED).finals, 1)
    assert (dpor.doubtful, dpor.exhausted, sure.doubtful, sure.exhausted) == (True, False, False, True)


def test_a_lock_is_taken_by_either_first() -> None:
    """What takes a step away from a waiting actor is in a race with that step; nothing is called exhausted then."""

    def locked(_: Program) -> Code:
        yield wait_for("lock")
        yield delete("lock")
        yield put("lock", 1)

    program = Program({"A": locked, "B": locked, "C": writes("lock")})
    dpor = Dpor(FUSED)
    found, every = everything(program, FUSED, dpor), everything(program, FUSED)
    assert (found.classes, found.finals, every.schedules) == (every.classes, every.finals, 14)
    assert (dpor.explored, dpor.redundant, dpor.doubtful, dpor.exhausted) == (8, 0, True, False)


@pytest.mark.parametrize(("starts", "schedules", "renamed"), [(True, 60, 38), (False, 34, 24)])
def test_names_that_are_numbered_by_appearance_may_change_with_the_schedule(
    starts: bool,  # noqa: FBT001 - a parameter of the test
    schedules: int,
    renamed: int,
) -> None:
    """A step whose key has another number than in the order before is still known by its actor and command."""

    def named(program: Program) -> Code:
        yield get("k")
        number = program.values["named"] = program.values.get("named", 0) + 1
        yield put(f"{{id{number}}}", program.now)
        yield put("k", 1)

    program = Program({"A": named, "B": named}, {"clock": tick}, starts=starts)
    every = everything(program, FUSED, alike="AB")
    dpor, symmetric = Dpor(FUSED), Dpor(FUSED, alike="AB")
    assert everything(program, FUSED, dpor).finals == every.finals
    assert everything(program, FUSED, symmetric, "AB").renamed_finals == every.renamed_finals
    assert (dpor.schedules, dpor.redundant, symmetric.schedules, symmetric.redundant) == (schedules, 0, renamed, 0)


def test_a_executor_that_does_not_repeat_itself_is_a_divergence() -> None:
    """Where the prefix of a schedule is not possible any more the step is named."""
    dpor = Dpor(FUSED)
    assert (dpor.more(), dpor.exhausted) == (True, False)
    dpor.learn(Program(of([get_set] * 2)).run(dpor))
    assert (dpor.more(), dpor.exhausted) == (True, False)
    with pytest.raises(Diverged, match="DIVERGED at step 1: expected A GET k, saw A SET k or B SET k"):
        Program(of([writer] * 2)).run(dpor)


def test_what_each_move_did_is_read_from_the_events() -> None:
    """Requests that came before are left out; touches, replies and answers go to their moves."""
    touch = Touch("k", Access.READ)
    moves = [Move("A", START, ""), Move("A", "GET", "k"), Move("clock", "clock", "")]
    events = [
        Event(0, Kind.START, "before1", START),
        Event(1, Kind.ANSWER, "before1", "201"),
        Event(2, Kind.START, "A", START),
        Event(3, Kind.STEP, "A", "GET", "k", reply="1", touches=(touch,)),
        Event(4, Kind.BLOCKED, "A", "blocked"),
        Event(5, Kind.ENVIRONMENT, "clock", "clock"),
        Event(6, Kind.ANSWER, "A", "202"),
    ]
    trace = Trace("test", "", "", 2, moves, lambda: Details((), (), events))
    assert effects(trace) == [
        Effect(moves[0]),
        Effect(moves[1], (touch,), "1", answered=True),
        Effect(moves[2]),
    ]


BUNDLED = [
    ("redis-atomic", "clock", 12, 12, 6),
    ("redis-atomic", "cleanup", 8, 8, 4),
    ("redis-atomic", "expiry", 8, 8, 4),
    ("redis-atomic", "cleanup expiry", 38, 38, 19),
    ("redis-optimistic", "clock", 264, 98, 58),
    ("redis-optimistic", "cleanup", 214, 72, 46),
    ("redis-optimistic", "expiry", 214, 72, 46),
    ("redis-read-modify-write", "", 6, 4, 2),
    ("redis-read-modify-write", "clock", 52, 40, 20),
    ("redis-read-modify-write", "cleanup", 38, 28, 14),
    ("redis-read-modify-write", "expiry", 38, 28, 14),
    ("redis-read-modify-write", "clock cleanup", 382, 270, 135),
    ("redis-named-by-second", "", 6, 4, 2),
    ("redis-named-by-second", "clock", 54, 40, 20),
    ("redis-named-by-second", "cleanup", 40, 28, 14),
    ("redis-store-overwrite", "", 26, 6, 5),
    ("redis-store-overwrite", "clock", 302, 94, 61),
    ("redis-store-overwrite", "cleanup", 230, 70, 51),
    ("redis-store-overwrite", "expiry", 238, 70, 51),
    ("redis-pseudo-lock", "clock", 222, 104, 52),
    ("redis-pseudo-lock", "cleanup", 172, 80, 40),
    ("redis-pseudo-lock", "expiry", 172, 80, 40),
]


def outcomes(protocol: str, actors: str, scheduler: Scheduler) -> tuple[set[str], set[str]]:
    """Run two requests of a bundled protocol in the model; give what came out, as it is and up to names."""
    changes = {
        "before": 0,
        "concurrent": 2,
        "actors": {name: EnvironmentActor() for name in actors.split()},
    }
    executor = ModelExecutor(scenario_of("t2-one-then-three").model_copy(update=changes), target_of(protocol))
    found, renamed = set(), set()
    while scheduler.more():
        trace = executor.run(scheduler)
        assert not trace.fault
        scheduler.learn(trace)
        answers, states = trace.outcome
        found.add(repr((answers, states)))
        assert isinstance(answers, tuple)
        renamed.add(repr((sorted(repr(answer[1:]) for answer in answers), states)))
    return found, renamed


@pytest.mark.measured_once
@pytest.mark.parametrize(("protocol", "actors", "schedules", "classes", "renamed"), BUNDLED)
def test_a_bundled_protocol_comes_to_the_same_in_fewer_schedules(
    protocol: str, actors: str, schedules: int, classes: int, renamed: int
) -> None:
    """Every outcome of every schedule is found by one schedule of each class, and up to names by those up to names."""
    every, dpor = Exhaustive(fused=True), Dpor(FUSED)
    symmetric = Dpor(FUSED, alike=("A", "B"))
    expected, found, fewer = (outcomes(protocol, actors, scheduler) for scheduler in (every, dpor, symmetric))
    assert (every.schedules, dpor.schedules, symmetric.schedules) == (schedules, classes, renamed)
    assert (dpor.redundant, symmetric.redundant, symmetric.exhausted) == (0, 0, True)
    assert found == expected
    assert fewer[1] == expected[1]
    assert dpor.clock_schedules <= every.clock_schedules
