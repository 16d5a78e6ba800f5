"""Checks: from what clients were answered and what is left, to what is broken."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
from conftest import scenario_of, target_of
from hypothesis import example, given
from hypothesis import strategies as st
from made import came_to

import stress.checks
from stress.checks import any_checked, cause, not_checked, run_checks, why_not_checked
from stress.checks.linearizable_hits import linearizable, returned
from stress.core.registry import CHECKS
from stress.core.step import WHOLE, Access, Touch
from stress.core.trace import Answer, Details, Event, Kind, Snapshot, Trace
from stress.core.verdict import Violation
from stress.executors.model.executor import ModelExecutor
from stress.schedulers.exhaustive import Exhaustive

PROMISES = [
    *("no_server_error", "one_active_record", "one_created_answer"),
    *("hits_equal_answers", "distinct_counts", "linearizable_hits"),
]
ASSERTIONS = [name for name in CHECKS.names() if CHECKS[name].environment]
State = tuple[tuple[str, ...], dict[str, int | None]]


def answer(  # noqa: PLR0913 - an answer has that many parts
    actor: str,
    status: int,
    record: str | None = "r",
    count: int | None = None,
    *,
    places: tuple[int, ...] = (0,),
    between: tuple[int, int] = (0, 99),
) -> Answer:
    """Make one answer; all are in flight together unless ``between`` says otherwise."""
    return Answer(actor, status, record, count, *between, status == 201, status == 202, places)


def trace_of(answers: list[Answer], *states: State, events: tuple[Event, ...] = ()) -> Trace:
    """Make a trace of answers and of one state for each epoch."""
    snapshots = tuple(Snapshot(records, hits) for records, hits in states)
    return Trace("live", "", "", len(answers), (), lambda: Details(answers, snapshots, events))


def broken(answers: list[Answer], *states: State) -> list[str]:
    """Judge a trace by all invariants."""
    return [str(violation) for violation in run_checks(PROMISES, trace_of(answers, *states))]


def test_one_record_and_all_hits_break_nothing() -> None:
    """A created record with two duplicates, all counted, is what should be."""
    good = [answer("A", 201), answer("B", 202, count=2), answer("C", 202, count=3)]
    assert broken(good, (("r",), {"r": 3})) == []


def test_each_invariant_says_what_was_expected_and_seen() -> None:
    """Two records, two creators, a lost hit, a repeated count and a 500, each in one line."""
    assert broken([answer("A", 201), answer("B", 201, "s")], (("r", "s"), {"r": 1, "s": 1})) == [
        "one_active_record: expected 1 active record; observed 2: r, s"
    ]
    assert broken([answer("A", 201), answer("B", 201)], (("r",), {"r": 2})) == [
        "one_created_answer: expected 1 answer says created r; observed 2 of 2",
        "linearizable_hits: expected a schedule of 2 hits of r in which the k-th was answered k; observed A 1, B 1",
    ]
    lost = [answer("A", 201), answer("B", 202, count=2), answer("C", 202, count=2)]
    assert broken(lost, (("r",), {"r": 2})) == [
        "hits_equal_answers: expected 3 hits of r; observed 2",
        "distinct_counts: expected counts [2, 3] of r; observed [2, 2]",
        (
            "linearizable_hits: expected a schedule of 3 hits of r in which the k-th was answered k; "
            "observed A 1, B 2, C 2"
        ),
    ]
    assert broken([answer("A", 201), answer("B", 500, None)], (("r",), {"r": 1})) == [
        "no_server_error: expected an answer below 500 to B; observed 500"
    ]
    assert broken([answer("A", 201)], (("r",), {"r": None})) == [
        "hits_equal_answers: expected 1 hits of r; observed no number"
    ]


def test_an_accepted_signal_without_a_record_is_broken() -> None:
    """A 202 where no record is active says so, and names the one that was answered."""
    found = run_checks(["one_active_record"], trace_of([answer("A", 202, count=1)], ((), {})))
    assert [(str(one), one.answers) for one in found] == [
        ("one_active_record: expected 1 active record; observed 0", ("A",))
    ]


@pytest.mark.parametrize(
    ("counts", "right"),
    [
        ([2, 3], True),
        ([3, 2], True),
        ([2, 4], False),
        ([2, 2], False),
        ([1, 2], False),
        ([2, None], True),
        ([4, None], False),
    ],
)
def test_counts_of_duplicates_are_two_to_n(counts: list[int | None], right: bool) -> None:  # noqa: FBT001 - a case
    """Each number once, none beyond the number of hits; an unknown count says nothing."""
    answers = [answer("A", 201), *(answer(chr(66 + i), 202, count=count) for i, count in enumerate(counts))]
    assert (run_checks(["distinct_counts"], trace_of(answers, (("r",), {"r": 3}))) == []) is right


def test_a_count_answered_before_an_earlier_hit_was_sent_is_not_linearizable() -> None:
    """Counts 1, 3, 2 are distinct, and yet wrong when the one that got 3 was answered before 2 was sent."""
    answers = [
        answer("A", 201, between=(0, 1)),
        answer("B", 202, count=3, between=(2, 5)),
        answer("C", 202, count=2, between=(6, 9)),
    ]
    assert broken(answers, (("r",), {"r": 3})) == [
        "linearizable_hits: expected a schedule of 3 hits of r in which the k-th was answered k; observed A 1, B 3, C 2"
    ]
    together = [*answers[:2], answer("C", 202, count=2, between=(4, 9))]
    assert broken(together, (("r",), {"r": 3})) == []


@st.composite
def histories(draw: st.DrawFn) -> list[Answer]:
    """Draw up to five increments with any intervals and any counts, right ones more often than not."""
    number = draw(st.integers(0, 5))
    points = draw(st.permutations(range(2 * number)))
    counts = draw(st.permutations(range(1, number + 1)))
    found = []
    for index, count in enumerate(counts):
        between = sorted(points[2 * index : 2 * index + 2])
        shown = draw(st.one_of(st.just(count), st.none(), st.integers(1, 5)))
        status = 201 if shown == 1 and draw(st.booleans()) else 202
        found.append(answer("ABCDE"[index], status, count=shown, between=(between[0], between[1])))
    return found


def linearizable_by_trying(answers: list[Answer]) -> bool:
    """Try every schedule."""
    return any(
        all(returned(one) in (None, position) for position, one in enumerate(schedule, start=1))
        and all(later.ended >= one.started for at, one in enumerate(schedule) for later in schedule[at:])
        for schedule in permutations(answers)
    )


@pytest.mark.unmeasured
@example(
    [
        answer("A", 202, between=(0, 1)),
        answer("B", 202, between=(0, 9)),
        answer("C", 202, count=2, between=(5, 8)),
    ]
)
@given(histories())
def test_a_history_is_linearizable_when_some_schedule_explains_it(history: list[Answer]) -> None:
    """The check says what trying every permutation says."""
    assert linearizable(history) is linearizable_by_trying(history)


@pytest.mark.unmeasured
@given(st.lists(st.booleans(), min_size=1, max_size=5), st.data())
def test_a_counter_with_cleanups_between_never_breaks_anything(wipes: list[bool], data: st.DataObject) -> None:
    """Whatever a correct Gateway answers around cleanups is no violation, also when requests straddle them."""
    answers, states, count, place = [], [], 0, 0
    for number, wipe in enumerate(wipes):
        if wipe:
            states.append((("r",) if count else (), {"r": count} if count else {}))
            count, place = 0, place + 1
        count += 1
        # A request may have had steps before and after the epoch in which it took effect.
        places = tuple(range(place - (place > 0 and data.draw(st.booleans())), place + 1))
        shown = None if count == 1 else count
        answers.append(
            answer(chr(65 + number), 201 if count == 1 else 202, count=shown, places=places, between=(number, 20))
        )
    assert broken(answers, *states, (("r",), {"r": count})) == []


def test_an_answer_that_belongs_to_no_epoch_is_broken() -> None:
    """Two creations around a cleanup are right; a third hit that neither state counts is lost."""
    states: tuple[State, State] = ((("r",), {"r": 1}), (("r",), {"r": 1}))
    answers = [answer("A", 201), answer("B", 201, places=(1,))]
    assert broken(answers, *states) == []
    assert broken([*answers, answer("C", 202, count=2, places=(0, 1))], *states) == [
        "hits_equal_answers: expected 2 hits of r; observed 1"
    ]


def test_too_many_straddlers_are_not_judged_rather_than_wrongly() -> None:
    """With more assignments than can be tried nothing is said, and the checks are named as not run."""
    answers = [answer("A", 201), *(answer(f"B{i}", 202, count=2 + i, places=(0, 1)) for i in range(13))]
    trace = trace_of(answers, (("r",), {"r": 1}), ((), {}))
    assert run_checks(PROMISES, trace) == []
    assert not_checked(PROMISES, trace) == tuple(PROMISES[1:])
    assert broken(answers[:10], (("r",), {"r": 1}), ((), {})) == [
        "hits_equal_answers: expected 9 hits of r; observed 0"
    ]


def test_checks_that_need_more_than_is_shown_are_left_out() -> None:
    """Without stored hits the check of them is not run, and that is said."""
    trace = Trace("live", "", "", 1, (), lambda: Details([answer("A", 201)], (Snapshot(None, None),)))
    assert run_checks(PROMISES, trace) == []
    assert not_checked(PROMISES, trace) == ("hits_equal_answers",)


def test_records_are_judged_by_their_names_in_answers_where_they_can_not_be_read() -> None:
    """Two names are two records, each created once; an answer without a name is no record."""
    answers = [answer("A", 201), answer("B", 201, "s"), answer("C", 202, None)]
    trace = Trace("live", "", "", 3, (), lambda: Details(answers, (Snapshot(None, None),)))
    assert [str(one) for one in run_checks(PROMISES, trace)] == [
        "one_active_record: expected 1 active record; observed 2: r, s"
    ]
    silent = Trace("live", "", "", 1, (), lambda: Details([answer("A", 201, None)], (Snapshot(None, None),)))
    assert run_checks(PROMISES, silent) == []


def test_each_invariant_is_a_file_of_its_name() -> None:
    """The names that scenario files may use are the files in checks/."""
    folder = Path(stress.checks.__file__).parent
    assert {path.stem for path in folder.glob("[a-z]*.py")} == set(CHECKS.names())
    assert {name for name in CHECKS.names() if CHECKS[name].default} == set(PROMISES)


def test_what_only_a_test_asserts_is_the_environments_fault() -> None:
    """A record that a sibling test deleted breaks both tests and no invariant; the cause is the environment."""
    answers = [answer("A", 201), answer("B", 202, count=2)]
    wiped = (Snapshot(("r",), {"r": 2}, "cleanup"), Snapshot((), {}))
    events = (Event(0, Kind.ENVIRONMENT, "clock"), Event(1, Kind.ENVIRONMENT, "cleanup"))
    trace = Trace("live", "", "", 2, (), lambda: Details(answers, wiped, events))
    of_counts = [name for name in CHECKS.names() if name != "one_effect"]  # two hits are two effects
    found = run_checks(of_counts, trace)
    assert [(str(one), one.answers, one.steps) for one in found] == [
        ("test_t1_one_record: expected 1 record and only 201 or 202; observed 0", ("A", "B"), (1,)),
        ("test_t2_hits_at_least_requests: expected a count of at least 2; observed 0", ("A", "B"), (1,)),
    ]
    assert cause(found) == "environment"
    assert cause([*found, Violation("one_active_record", "1", "2")]) == "gateway"


def test_both_tests_pass_on_a_right_state() -> None:
    """One record with every hit satisfies them; a 500 fails the first, which names who got it."""
    answers = [answer("A", 201), answer("B", 202, count=2)]
    state: State = (("r",), {"r": 2})
    assert run_checks(ASSERTIONS, trace_of(answers, state)) == []
    found = run_checks(ASSERTIONS[:1], trace_of([*answers, answer("C", 500, None)], state))
    assert [(str(one), one.answers) for one in found] == [
        ("test_t1_one_record: expected 1 record and only 201 or 202; observed 1, and 1 other answers", ("C",))
    ]


def did(*lines: str) -> tuple[Event, ...]:
    """Make the steps of a trace: ``A create leases/ns/l -> 201 l``."""
    events = []
    for index, line in enumerate(lines):
        words, _, reply = line.partition(" -> ")
        actor, command, *names = words.split()
        came = came_to(command, words, reply)
        events.append(Event(index, Kind.STEP, actor, command, " ".join(names), words, reply, outcome=came))
    return tuple(events)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (("A create leases/n/l -> 201 l", "A get leases/n/l -> 200 l", "A delete leases/n/l -> 200 Success l"), []),
        (
            ("A create leases/n/l -> 201 l", "B delete leases/n/l -> 200 Success l", "A delete leases/n/l -> 404 l"),
            ["lease_deleted_by_owner: expected leases/n/l deleted by A, who held it; observed by B"],
        ),
        (("A create leases/n/l -> 201 l", "B update leases/n/l -> 200 l", "B delete leases/n/l -> 200 l"), []),
        (
            ("A create leases/n/l -> 201 l", "B update leases/n/l -> 200 l", "A delete leases/n/l -> 200 l"),
            ["lease_deleted_by_owner: expected leases/n/l deleted by B, who held it; observed by A"],
        ),
        (("A create leases/n/l -> 201 l", "B update leases/n/l -> 409 Conflict l", "A delete leases/n/l -> 200"), []),
        (("A create leases/n/l -> 201 l", "B delete leases/n/other -> 200", "B delete leases/n/l -> 409 Conflict"), []),
        (("A create rrs/n/l -> 201 l", "B delete rrs/n/l -> 200 l"), []),
    ],
)
def test_a_lease_is_deleted_by_its_holder(lines: tuple[str, ...], found: list[str]) -> None:
    """Its holder is who created it or took it over last; a refused step changes nothing, nor does another object."""
    trace = trace_of([answer("A", 201)], (("r",), {"r": 1}), events=did(*lines))
    assert [str(one) for one in run_checks(["lease_deleted_by_owner"], trace)] == found


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (("A create leases/n/l -> 201 l", "B get leases/n/l -> 200 l", "B delete leases/n/l -> 200 l"), []),
        (
            (
                "A create leases/n/l -> 201 l",
                "B get leases/n/l -> 200 l",
                "A delete leases/n/l -> 200 l",
                "C create leases/n/l -> 201 l",
                "B delete leases/n/l -> 200 l",
            ),
            ["lease_deleted_as_seen: expected leases/n/l of C to stay; observed deleted by B"],
        ),
        (
            ("A create leases/n/l -> 201 l", "C update leases/n/l -> 200 l", "A delete leases/n/l -> 200 l"),
            ["lease_deleted_as_seen: expected leases/n/l of C to stay; observed deleted by A"],
        ),
        (
            ("A create leases/n/l -> 201 l", "C update leases/n/l -> 409 Conflict l", "A delete leases/n/l -> 200 l"),
            [],
        ),
        (("A create leases/n/l -> 201 l", "B delete leases/n/l -> 409 Conflict l"), []),
        (("B delete leases/n/l -> 200 l",), []),
    ],
)
def test_a_delete_removes_the_lease_that_its_request_saw(lines: tuple[str, ...], found: list[str]) -> None:
    """One that was made or taken over since it was read is another; a refused step changes nothing."""
    trace = trace_of([answer("A", 201)], (("r",), {"r": 1}), events=did(*lines))
    assert [str(one) for one in run_checks(["lease_deleted_as_seen"], trace)] == found


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (("A create leases/n/l -> 201 l", "A delete leases/n/l -> 200 l"), []),
        (("A create leases/n/l -> 201 l",), ["lease_released: expected leases/n/l deleted; observed still held by A"]),
        (
            ("A create leases/n/l -> 201 l", "B update leases/n/l -> 200 l", "A delete leases/n/l -> 409 Conflict l"),
            ["lease_released: expected leases/n/l deleted; observed still held by B"],
        ),
        (("A create leases/n/l -> 409 AlreadyExists l", "A get leases/n/l -> 200 l"), []),
    ],
)
def test_no_lease_is_left_behind(lines: tuple[str, ...], found: list[str]) -> None:
    """The one that made it or took it over last still holds it; a refused step makes and deletes nothing."""
    trace = trace_of([answer("A", 201)], (("r",), {"r": 1}), events=did(*lines))
    assert [str(one) for one in run_checks(["lease_released"], trace)] == found


@pytest.mark.parametrize(
    ("lines", "count", "found"),
    [
        (("B update/status rrs/n/r -> 200 r occurrenceCount=2",), 2, []),
        (("B patch rrs/n/r -> 200 r phase=x occurrenceCount=2",), 2, []),
        (
            ("C update/status rrs/n/r -> 200 r occurrenceCount=2", "B get rrs/n/r -> 200 r occurrenceCount=2"),
            2,
            ["no_phantom_count: expected a count of r that it stored: none; observed 2 answered to B"],
        ),
        (
            ("B update/status rrs/n/r -> 409 Conflict r", "B update/status rrs/n/r -> 200 r occurrenceCount=1"),
            2,
            ["no_phantom_count: expected a count of r that it stored: 1; observed 2 answered to B"],
        ),
        (
            ("B update/status rrs/n/q -> 200 q occurrenceCount=2",),
            2,
            ["no_phantom_count: expected a count of r that it stored: none; observed 2 answered to B"],
        ),
        (("B HINCRBY hits 1 -> 2",), 7, []),
    ],
)
def test_no_count_is_answered_that_was_never_stored(lines: tuple[str, ...], count: int, found: list[str]) -> None:
    """What an answer has must be what its request wrote; a store that shows no counts says nothing."""
    trace = trace_of([answer("B", 202, count=count)], (("r",), {"r": 1}), events=did(*lines))
    assert [str(one) for one in run_checks(["no_phantom_count"], trace)] == found


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (
            ("B create rrs/n/r -> 409 AlreadyExists r", "A get rrs/n/r -> 200 r", "B create rrs/n/r -> 409 Conflict r"),
            ["no_repeated_create: expected one create of rrs/n/r; observed B sends it again after 409 AlreadyExists r"],
        ),
        (("B create rrs/n/r -> 503 Unavailable r", "B create rrs/n/r -> 201 r"), []),
        (("B create rrs/n/r -> 409 AlreadyExists r", "B create rrs/n/q -> 201 q"), []),
        (
            ("B create rrs/n/r -> 409 AlreadyExists r", "B get rrs/n/r -> 404 NotFound r", "B create rrs/n/r -> 201 r"),
            [],
        ),
        (("A create rrs/n/r -> 409 AlreadyExists r", "B create rrs/n/r -> 409 AlreadyExists r"), []),
    ],
)
def test_a_create_that_found_the_name_taken_is_not_repeated(lines: tuple[str, ...], found: list[str]) -> None:
    """Another error is worth another try, and so is a name that was looked at and is free."""
    trace = trace_of([answer("A", 201)], (("r",), {"r": 1}), events=did(*lines))
    assert [str(one) for one in run_checks(["no_repeated_create"], trace)] == found


def test_each_active_record_has_a_count() -> None:
    """One without is reported; one that somebody else ended needs none, and where hits are not read nothing is said."""
    states = [Snapshot(("q",), {"q": None}, "cleanup"), Snapshot(("r", "s"), {"r": None, "s": 1})]
    trace = Trace("live", "", "", 1, (), lambda: Details([answer("A", 201)], states))
    assert [str(one) for one in run_checks(["status_initialised"], trace)] == [
        "status_initialised: expected a stored count of r; observed none"
    ]
    unread = Trace("live", "", "", 1, (), lambda: Details([answer("A", 201)], (Snapshot(("r",), None),)))
    assert not_checked(["status_initialised"], unread) == ("status_initialised",)


def first_violations(scenario: str, target: str) -> tuple[Trace, list[Violation]]:
    """Give the first schedule in the model that breaks anything."""
    executor = ModelExecutor(scenario_of(scenario), target_of(target))
    scheduler = Exhaustive(fused=True)
    while scheduler.more():
        trace = executor.run(scheduler)
        scheduler.learn(trace)
        if found := run_checks(PROMISES, trace):
            return trace, found
    raise AssertionError("no schedule breaks anything")


def test_a_violation_names_the_steps_that_contradict() -> None:
    """Of a lost hit: the reads and the writes of both, and not the step of the request long answered."""
    trace, found = first_violations("atomic-hit-count", "redis-read-modify-write")
    assert [one.invariant for one in found] == ["hits_equal_answers", "distinct_counts", "linearizable_hits"]
    assert found[0].answers == ("A", "B", "before1")
    assert [str(trace.events[index]).rsplit(" count", 1)[0] for index in found[0].steps] == [
        "A EXISTS gw:dedup:{fingerprint} -> 1",
        "A HGET gw:dedup:{fingerprint}",
        "B EXISTS gw:dedup:{fingerprint} -> 1",
        "B HGET gw:dedup:{fingerprint}",
        "B HSET gw:dedup:{fingerprint}",
        "A HSET gw:dedup:{fingerprint}",
    ]


def event(index: int, actor: str, *touches: Touch) -> Event:
    """Make a step."""
    return Event(index, Kind.STEP, actor, "C", touches=touches)


def test_steps_contradict_on_a_common_object_that_one_changes() -> None:
    """Two reads do not contradict; a step on the whole database contradicts every other actor's."""
    read, write = Touch("k", Access.READ), Touch("k", Access.WRITE)
    answers = [answer("A", 201), answer("B", 201, "s")]
    state: State = (("r", "s"), {"r": 1, "s": 1})

    def contradicting(*events: Event) -> tuple[int, ...]:
        return run_checks(["one_active_record"], trace_of(answers, state, events=events))[0].steps

    assert contradicting(event(0, "A", read), event(1, "B", read), event(2, "B", Touch("l", Access.WRITE))) == (2,)
    assert contradicting(event(0, "A", read), event(1, "B", write), event(2, "A", read)) == (0, 1, 2)
    assert contradicting(event(0, "A", read), event(1, "B", Touch(WHOLE, Access.WRITE))) == (0, 1)
    assert contradicting(event(0, "A", read), event(1, "A", write)) == (1,)


def test_one_that_was_answered_long_before_contradicts_nobody() -> None:
    """A request that was over before the others began has no part in what went wrong between them."""
    write = Touch("k", Access.WRITE)
    answers = [
        answer("before1", 201, between=(0, 2)),
        answer("A", 202, count=2, between=(3, 8)),
        answer("B", 202, count=2, between=(4, 9)),
    ]
    events = (event(1, "before1", write), event(5, "A", write), event(6, "B", write))
    found = run_checks(["hits_equal_answers"], trace_of(answers, (("r",), {"r": 2}), events=events))
    assert [(one.answers, one.steps) for one in found] == [(("A", "B", "before1"), (5, 6))]


def test_a_server_error_names_its_last_step() -> None:
    """The last step before a 500 is what failed; a request without a step names none."""
    answers = [answer("A", 500, None), answer("B", 0, None)]
    found = run_checks(["no_server_error"], trace_of(answers, ((), {}), events=(event(0, "A"), event(1, "A"))))
    assert [(one.answers, one.steps) for one in found] == [(("A",), (1,)), (("B",), ())]


# --- answers that do not say everything --------------------------------------------------------------


def unnamed(answers: list[Answer], *kinds: str, states: tuple[State, ...] = ()) -> Trace:
    """Make a trace of a target whose answers do not show some things."""
    snapshots = tuple(Snapshot(records, hits) for records, hits in states) or (Snapshot(None, None),)
    return Trace("live", "", "", len(answers), (), lambda: Details(answers, snapshots), unreported=frozenset(kinds))


def either(actor: str, record: str | None = "r", **changes: object) -> Answer:
    """Make an answer that says neither created nor duplicate."""
    return replace(answer(actor, 200, record), either=True, **changes)  # type: ignore[arg-type]


def test_the_same_answer_takes_the_place_of_checks_that_need_created() -> None:
    """Where nothing shows which one created, all answers must be one result; without names even that is unknown."""
    names = ["one_created_answer", "linearizable_hits", "distinct_counts", "no_server_error"]
    same, differ = [either("A"), either("B")], [either("A"), either("B", "s")]
    assert run_checks(names, unnamed(same, "created")) == []
    assert [str(one) for one in run_checks(names, unnamed(differ, "created"))] == [
        "same_answer: expected the same result in all answers; observed r, s"
    ]
    assert not_checked(names, unnamed(same, "created")) == (
        "one_created_answer",
        "linearizable_hits",
        "distinct_counts",
    )
    assert why_not_checked("one_created_answer", unnamed(same, "created")) == (
        "no answer says whether it created or counted; same_answer is checked instead"
    )
    assert "same_answer" in not_checked(names, unnamed(same, "created", "names"))
    assert [str(one) for one in run_checks(["same_answer"], trace_of(differ, (("r", "s"), {})))] == [
        "same_answer: expected the same result in all answers; observed r, s"
    ]


def test_one_creation_is_counted_without_names_too() -> None:
    """Answers that name no record may say created once, and once more for each further active record."""
    two = [answer("A", 201, None), answer("B", 201, None), answer("C", 202, None)]
    assert [str(one) for one in run_checks(["one_created_answer"], unnamed(two, "names"))] == [
        "one_created_answer: expected 1 answer says created; observed 2 of 3"
    ]
    both: State = (("r", "s"), {})
    assert run_checks(["one_created_answer"], unnamed(two, "names", states=(both,))) == []
    assert run_checks(["one_created_answer"], unnamed(two[1:], "names")) == []
    assert run_checks(["one_created_answer"], unnamed(two[2:], "names")) == []


def test_hits_are_compared_in_sum_where_answers_name_no_record() -> None:
    """A lost hit shows in the only record, or in the sum of several."""
    three = [answer("A", 201, None), answer("B", 202, None), answer("C", 202, None)]
    one: State = (("r",), {"r": 2})
    both: State = (("r", "s"), {"r": 2, "s": 1})
    assert [str(found) for found in run_checks(["hits_equal_answers"], unnamed(three, "names", states=(one,)))] == [
        "hits_equal_answers: expected 3 hits of r; observed 2"
    ]
    assert run_checks(["hits_equal_answers"], unnamed(three, "names", states=(both,))) == []
    assert [
        str(found) for found in run_checks(["hits_equal_answers"], unnamed(three[:2], "names", states=(both,)))
    ] == ["hits_equal_answers: expected 2 hits of all records; observed 3"]


def test_a_refusal_that_is_called_duplicate_may_be_counted_or_not() -> None:
    """A limiter counts a 429, a lock does not count a 409: neither is a lost hit."""
    answers = [answer("A", 201), replace(answer("B", 409), duplicate=True)]
    for hits, right in ((0, False), (1, True), (2, True), (3, False)):
        found = run_checks(["hits_equal_answers"], trace_of(answers, (("r",), {"r": hits})))
        assert (found == []) is right
    assert str(found[0]) == "hits_equal_answers: expected 1 to 2 hits of r; observed 3"
    later = [*answers, answer("C", 202, count=2, between=(100, 101))]
    assert run_checks(["linearizable_hits", "distinct_counts"], trace_of(later, (("r",), {"r": 2}))) == []


def test_an_answer_without_a_record_breaks_the_checks_that_go_by_names() -> None:
    """It is no fault of the file: others like it name their record, so the line says which one was answered what."""
    answers = [answer("A", 201), replace(answer("B", 202, None), nameless=True)]
    line = "expected a record named to B; observed B was answered 202 without a record"
    trace = trace_of(answers, (("r",), {"r": 2}))
    assert [str(one) for one in run_checks(PROMISES, trace)] == [
        f"{name}: {line}" for name in ("hits_equal_answers", "distinct_counts", "linearizable_hits")
    ]
    created = replace(answer("A", 201, None), nameless=True)
    assert [str(one) for one in run_checks(["one_created_answer"], trace_of([created], (("r",), {})))] == [
        "one_created_answer: expected 1 answer says created r; observed 0 of 0",
        "one_created_answer: expected a record named to A; observed A was answered 201 without a record",
    ]
    assert run_checks(["one_active_record"], trace) == []
    assert [str(one) for one in run_checks(["one_active_record"], unnamed(answers))] == [f"one_active_record: {line}"]


def test_records_that_nothing_shows_are_not_judged() -> None:
    """Where neither `observe` nor an answer names records that is said, and where nothing could be checked too."""
    trace = unnamed([answer("A", 201, None)], "names")
    assert not_checked(["one_active_record", "no_server_error"], trace) == ("one_active_record",)
    assert why_not_checked("one_active_record", trace) == "not every answer names a record: see answers.record"
    assert any_checked(["one_active_record", "no_server_error"], trace)
    assert not any_checked(["one_active_record", "distinct_counts"], trace)


def test_what_is_listed_or_refused_is_no_server_error() -> None:
    """A 503 that the target lists and any 429 are none; a 503 that it does not list is one, whatever it refuses."""
    answers = [
        replace(answer("A", 503), normal=True, refused=True),
        answer("B", 429, None),
        answer("C", 503, None),
    ]
    assert [one.answers for one in run_checks(["no_server_error"], unnamed(answers))] == [("C",)]
    assert [one.accepted for one in answers] == [False, False, False]


# --- clients that hang up ----------------------------------------------------------------------------


def gone(actor: str, *, places: tuple[int, ...] = (0,), between: tuple[int, int] = (0, 1)) -> Answer:
    """Make what is left of a request whose client hung up."""
    return replace(answer(actor, 0, None, places=places, between=between), error="its client hung up", hung_up=True)


def test_a_request_whose_client_hung_up_may_have_had_an_effect_or_none() -> None:
    """Its record and its hit are there, or not; it created or counted, also after all others. No more is excused."""
    made: State = (("r",), {"r": 1})
    assert broken([gone("A")], made) == broken([gone("A")], ((), {})) == []
    assert broken([gone("A"), answer("B", 202, count=2)], (("r",), {"r": 2})) == []
    assert broken([gone("A"), answer("B", 201)], (("r",), {"r": 2})) == []
    assert broken([gone("A"), answer("B", 201, between=(2, 3))], made) == []
    late = [gone("A"), answer("B", 201, between=(2, 3)), answer("C", 202, count=3, between=(4, 5))]
    assert broken(late, (("r",), {"r": 3})) == []
    assert broken([gone("A"), answer("B", 201)], (("r",), {"r": 3})) == [
        "hits_equal_answers: expected 1 hits of r; observed 3"
    ]
    assert broken([gone("A"), answer("B", 201), answer("C", 201)], (("r",), {"r": 2})) == [
        "one_created_answer: expected 1 answer says created r; observed 2 of 2",
        "linearizable_hits: expected a schedule of 2 hits of r in which the k-th was answered k; observed B 1, C 1",
    ]
    assert broken([gone("A")], (("r", "s"), {"r": 1, "s": 1}))[0] == (
        "one_active_record: expected 0 active record; observed 2: r, s"
    )


def test_what_a_client_that_hung_up_left_behind_is_in_one_epoch_alone() -> None:
    """A request that spans a cleanup has its effect before it or after it, not on both sides."""
    before: State = (("r",), {"r": 1})
    assert broken([gone("A", places=(0, 1))], before, ((), {})) == []
    assert broken([gone("A", places=(0, 1))], ((), {}), before) == []
    both = broken([gone("A", places=(0, 1))], before, before)
    assert both[0] == "one_active_record: expected 0 active record; observed 1: r"
