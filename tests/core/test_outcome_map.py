"""The outcome map: how it is added up, and how it is shown."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from conftest import scenario_of, target_of
from known import NAME, counted_row, ended, moves, searched
from made import answer, hand_made

from stress.core.outcome_map import ClientAnswer, Left, OutcomeRow, Outcomes
from stress.core.schedule import Schedule
from stress.core.step import START, Move
from stress.core.trace import Details, Event, Kind, Snapshot, Trace
from stress.executors.model.executor import ModelExecutor
from stress.report.explain.endings import endings, lines_below, lines_of, percent
from stress.schedulers.exhaustive import Exhaustive
from stress.schedulers.random_walk import Walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.trace import Answer


def left(actors: str, records: str, fault: str = "") -> Trace:
    """Make a trace of starts that left these records."""
    moves = tuple(Move(actor, START, "", actors[: at + 1].count(actor)) for at, actor in enumerate(actors))
    return Trace("test", "", "", 0, moves, lambda: Details((), (Snapshot(tuple(records.split()), None),)), fault)


def summary(outcomes: Outcomes) -> Sequence[tuple[int, int, float | None, str]]:
    """Leave out what the outcomes are."""
    return [(row.schedules, row.sampled, row.share, Schedule(row.example).actors) for row in outcomes.rows]


def test_each_outcome_has_its_schedules_its_share_and_its_simplest_example() -> None:
    """Schedules are counted by outcome; only draws count for shares; the example has the fewest preemptions."""
    outcomes = Outcomes()
    assert outcomes.rows == []
    outcomes.add(left("AB", "one"))
    assert summary(outcomes) == [(1, 0, None, "A B")]
    for actors, records in (("ABAB", "one two"), ("AABB", "one two"), ("BBAA", "one two"), ("AB", "another")):
        outcomes.add(left(actors, records), sampled=records == "one two" or actors == "AB")
    assert summary(outcomes) == [(3, 3, 0.75, "A A B B"), (2, 1, 0.25, "A B")]
    assert (outcomes.schedules, outcomes.sampled) == (5, 4)
    assert [row.outcome for row in outcomes.rows] == [left("", "one two").outcome, left("", "one").outcome]


def test_a_run_with_a_fault_has_no_outcome() -> None:
    """What was not followed to its end is not counted."""
    outcomes = Outcomes()
    outcomes.add(left("AB", "one", fault="DIVERGED"))
    assert (outcomes.schedules, outcomes.rows) == (0, [])


def test_the_outcomes_of_lost_hits_are_shown_with_their_likelihood() -> None:
    """Two duplicates that read, then write: 2 of 20 schedules count both hits, in either turn, and 18 lose one."""
    executor = ModelExecutor(scenario_of("atomic-hit-count"), target_of("redis-read-modify-write"))
    outcomes = Outcomes()
    scheduler: Exhaustive | Walk
    for scheduler in (Exhaustive(fused=True), Walk(1, 400)):
        while scheduler.more():
            trace = executor.run(scheduler)
            outcomes.add(trace, sampled=scheduler.name == "random_walk")
            scheduler.learn(trace)
    assert (outcomes.schedules, outcomes.sampled) == (420, 400)
    hits = [next(iter(dict(row.outcome[1][0][1]).values())) for row in outcomes.rows]  # type: ignore[index]
    assert sorted(hits) == [2, 3, 3]
    assert sum(row.share or 0 for row in outcomes.rows) == 1


def worded(*rows: OutcomeRow) -> list[str]:
    """Give rows in words."""
    return [one.reported for one in endings(dataclasses.replace(searched(), outcomes=rows), 99).shown]


def test_a_row_tells_answers_and_what_is_left_by_name() -> None:
    """Who reads an outcome need not count the places of a tuple."""
    row = counted_row(2, 3, 3)
    assert row.answers[1:] == (ClientAnswer("B", 202, NAME, 3), ClientAnswer("before1", 201, NAME, None))
    assert row.left == (Left((NAME,), ((NAME, 3),)),)


WORDS = {
    "1 record, 3 hits; A 202 count 2, B 202 count 3": counted_row(2, 3, 3),
    "2 records, hits 1 and 1; A 201, B 201": ended(
        [("A", 201, "r", None), ("B", 201, "s", None)], (("r", "s"), (("r", 1), ("s", 1)))
    ),
    "1 record, hits not a number; A nothing": ended([("A", 0, None, None)], (("r",), (("r", None),))),
    "0 records; A 500": ended([("A", 500, None, None)], ((), ())),
    "1 record; A 201": ended([("A", 201, None, None)], (("r",), None)),
    "no hits; A 201": ended([("A", 201, None, None)], (None, ())),
    "A 202 count 7": ended([("A", 202, None, 7)], (None, None)),
    "1 record, 1 hit, then 0 records; A 201": ended([("A", 201, None, None)], (("r",), (("r", 1),)), ((), ())),
}


@pytest.mark.parametrize("words", WORDS)
def test_an_outcome_is_shown_in_words(words: str) -> None:
    """Records and hits of each epoch, then what each client was answered; what was not observed is left out."""
    assert worded(WORDS[words]) == [words]


def test_outcomes_that_would_read_the_same_are_distinguished() -> None:
    """By the numbers of the records where that is enough, else by their names; others stay short."""
    first, second = (("r", "s"), (("r", 1), ("s", 1))), (("r", "t"), (("r", 1), ("t", 1)))
    both = [
        ended([("A", 201, "r", None)], first),
        ended([("A", 201, "s", None)], first),
        ended([("A", 202, "s", None)], first),
    ]
    assert worded(*both) == [
        "2 records, hits 1 and 1; A 201 record 1",
        "2 records, hits 1 and 1; A 201 record 2",
        "2 records, hits 1 and 1; A 202",
    ]
    named = [ended([("A", 201, "r", None), ("before1", 201, "x", None)], state) for state in (first, second)]
    assert worded(*named) == [
        "2 records (r, s), hits r: 1 and s: 1; A 201 r, before1 201 x",
        "2 records (r, t), hits r: 1 and t: 1; A 201 r, before1 201 x",
    ]


def test_outcomes_that_differ_in_the_names_of_requests_are_added_up() -> None:
    """Identical requests may change places; how the reported schedule ended stands for its likes, and is marked."""
    one = searched()
    found = endings(one)
    assert [row[:-1] for row in found.shown] == [
        ("1 record, 3 hits; A 202 count 2, B 202 count 3", False, 14, 0.5),
        ("1 record, 2 hits; A 202 count 2, B 202 count 2", True, 6, 0.5),
    ]
    assert (found.shown[0].example, found.rest, found.renamed) == (moves("A start", "A GET k"), None, True)
    answers = [
        answer("A", 202, record=NAME, count=3),
        answer("B", 202, record=NAME, count=2),
        answer("before1", record=NAME),
    ]
    finding = dataclasses.replace(one.findings[0], trace=hand_made([], answers, [Snapshot((NAME,), {NAME: 3})]))
    found = endings(dataclasses.replace(one, findings=(finding,)))
    assert [(row.reported, row.raced, row.schedules) for row in found.shown] == [
        ("1 record, 3 hits; A 202 count 3, B 202 count 2", True, 14),
        ("1 record, 2 hits; A 202 count 2, B 202 count 2", False, 6),
    ]


def test_requests_of_different_replicas_do_not_change_places() -> None:
    """Who goes to another replica is another request: nothing is added up."""
    one = searched()
    apart = dataclasses.replace(one, scenario=one.scenario.model_copy(update={"replicas": [1, 2]}))
    found = endings(apart)
    assert ([row.schedules for row in found.shown], found.renamed, found.heading) == ([9, 6, 5], False, "how it ends")
    together = dataclasses.replace(one, scenario=one.scenario.model_copy(update={"replicas": [2, 2]}))
    assert [row.schedules for row in endings(together).shown] == [14, 6]


def test_eight_outcomes_are_shown_and_the_others_counted() -> None:
    """That of the race is among them however rare it is; one line sums up the rest."""
    one = searched()
    race = one.outcomes[1]._replace(schedules=1, share=0.001)
    many = [counted_row(n, n, n, 100 - n, 0.01 * n) for n in range(3, 13)]
    lines = lines_below(dataclasses.replace(one, outcomes=(*many, race)), 78)
    assert lines[:3] == [
        "   how it ends (> as above)                                  schedules   share",
        "   1 record, 3 hits; A 202 count 3, B 202 count 3                   97     3 %",
        "   1 record, 4 hits; A 202 count 4, B 202 count 4                   96     4 %",
    ]
    assert lines[7:11] == [
        "   1 record, 9 hits; A 202 count 9, B 202 count 9                   91     9 %",
        ">  1 record, 2 hits; A 202 count 2, B 202 count 2                    1    <1 %",
        "   3 other outcomes                                                267    33 %",
        "",
    ]


def test_a_line_of_the_map_ends_between_two_answers() -> None:
    """What one client was answered stays on one line, and figures stand beside the first."""
    answers = [(actor, 202, None, 10) for actor in "ABCDEF"]
    lines = lines_below(dataclasses.replace(searched(), outcomes=(ended(answers, (None, None)),)), 60)
    assert lines[:4] == [
        "   how it ends                             schedules   share",
        "   A 202 count 10, B 202 count 10,                 1       -",
        "     C 202 count 10, D 202 count 10,",
        "     E 202 count 10, F 202 count 10",
    ]


def test_a_share_is_never_rounded_to_none_or_all() -> None:
    """A race that one of a thousand schedules meets is not one that none meets."""
    shares = [None, 0, 0.001, 0.005, 0.124, 0.996, sum([0.1] * 10), 1]
    assert [percent(share) for share in shares] == ["-", "0 %", "<1 %", "<1 %", "12 %", ">99 %", "100 %", "100 %"]


def test_an_example_can_be_pasted_into_an_schedule_file() -> None:
    """Its lines are written as there."""
    assert lines_of([Move("A", "start", ""), Move("A", "GET", "a key", 2)]) == ["A start", "A GET a key #2"]


def test_nothing_stands_below_where_there_is_no_race() -> None:
    """The map belongs to a race; without random schedules and without outcomes there is nothing at all."""
    one = searched(drawn=False)
    assert lines_below(dataclasses.replace(one, findings=()), 78) == []
    assert lines_below(dataclasses.replace(one, outcomes=()), 78) == []
    assert lines_below(one, 78) == [
        "   how it ends, up to the names of requests (> as above)     schedules   share",
        "   1 record, 3 hits; A 202 count 2, B 202 count 3                   14       -",
        ">  1 record, 2 hits; A 202 count 2, B 202 count 2                    6       -",
    ]


def test_a_record_is_called_by_its_place_in_the_answers() -> None:
    """What a record is called makes no difference; which answers and states speak of the same one does."""

    def ended_with(first: str, second: str, *states: Snapshot) -> object:
        return hand_made([], [answer("A", record=first), answer("B", record=second)], states).outcome

    same = (("A", 201, "record 1", None), ("B", 201, "record 1", None))
    both = (("A", 201, "record 1", None), ("B", 201, "record 2", None))
    assert ended_with("x", "x", Snapshot(("x", "x"), None)) == (same, ((("record 1", "record 1"), None),))
    for first, second in (("x", "y"), ("y", "x")):
        left_of = Snapshot(("x", "y"), {first: 1, second: None})
        hits = (("record 1", 1), ("record 2", None))
        assert ended_with(first, second, left_of) == (both, ((("record 1", "record 2"), hits),))
    for high, low in (("p", "q"), ("q", "p")):
        unreported = Snapshot(("p", "q", "x"), {high: 9, low: 2, "x": 1})
        hits = (("record 1", 1), ("record 2", 2), ("record 3", 9))
        assert ended_with("x", "x", unreported) == (same, ((("record 1", "record 2", "record 3"), hits),))


def test_two_runs_are_the_same_whatever_values_they_show() -> None:
    """Texts, replies, times, answered counts are no part of a signature; actors, commands, objects and records are."""

    def run_of(obj: str, text: str, reply: str, count: int, replied: float) -> object:
        event = Event(0, Kind.STEP, "A", "SET", obj, text, reply, replied=replied)
        return hand_made([event], [answer("A", record=reply, count=count)], [Snapshot((reply,), {reply: 1})]).signature

    assert run_of("k", "SET k 1 PX 59993", "r", 1, 0.5) == run_of("k", "SET k 1 PX 59990", "s", 7, 0.7)
    assert run_of("k", "SET k 1", "r", 1, 0.5) != run_of("l", "SET k 1", "r", 1, 0.5)


def test_what_records_are_called_does_not_depend_on_the_names_of_requests() -> None:
    """Two requests that change places lead to the same outcome up to their names."""

    def outcome(first: Answer, second: Answer) -> object:
        answers, states = hand_made([], [first, second], [Snapshot(("x",), {"x": 2})]).outcome
        return sorted(repr(one[1:]) for one in answers), states

    assert outcome(answer("A", record="x"), answer("B", 202, record="y", count=1)) == outcome(
        answer("A", 202, record="y", count=1), answer("B", record="x")
    )
    assert outcome(answer("A", record="x"), answer("B", record="y")) == outcome(
        answer("A", record="y"), answer("B", record="x")
    )
