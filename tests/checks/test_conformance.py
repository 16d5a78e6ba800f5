"""Every registered check finds the same after independent neighbours have been swapped, as the reduction assumes."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from stress.checks import Reads, check_named, invariant, run_checks
from stress.checks.linearizable_hits import check as linearizable
from stress.core.registry import CHECKS
from stress.core.step import START, Access, Move, Touch
from stress.core.trace import Answer, Details, Event, Kind, Snapshot, Trace
from stress.core.verdict import Violation
from stress.schedulers.dependence import Dependence, Effect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.checks import Check

pytestmark = pytest.mark.unmeasured

QUICKLY = settings(max_examples=200, database=None, deadline=None, phases=[Phase.generate])
LEASE = "leases/prod/k"
RECORDS = ["rr/prod/r", "rr/prod/s"]
STATUSES = [200, 201, 202, 202, 202, 400, 429, 500]


class Answering(NamedTuple):
    """What a request is answered."""

    status: int
    record: str | None
    count: int | None


class Run(NamedTuple):
    """What the moves of a run did, in order, what each request was answered, and the states that were left."""

    effects: tuple[Effect, ...]
    answers: dict[str, Answering]
    states: tuple[Snapshot, ...]


steps = st.sampled_from(
    [
        *(Effect(Move("", command, LEASE), (Touch(LEASE, access),), reply) for reply in ("201 Created", "409 Conflict")
          for command, access in (("create", Access.CREATE), ("update", Access.WRITE), ("delete", Access.DELETE))),
        Effect(Move("", "get", LEASE), (Touch(LEASE, Access.READ),), "200 prod/k"),
        *(Effect(Move("", "update", record), (Touch(record, Access.WRITE),), f"200 {record[-1]} n={count}")
          for record in RECORDS for count in (1, 2)),
        Effect(Move("", "GET", "other"), (Touch("other", Access.READ),), "nil"),
    ]
)  # fmt: skip


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Draw up to three requests of up to three steps, a cleanup and a clock at most, in any order of theirs."""
    left: dict[str, list[Effect]] = {}
    for actor in "ABC"[: draw(st.integers(1, 3))]:
        did = [Effect(Move(actor, START, "")), *draw(st.lists(steps, max_size=3))]
        moves = [one.move._replace(actor=actor, occurrence=at) for at, one in enumerate(did, start=1)]
        effects = [one._replace(move=move) for one, move in zip(did, moves, strict=True)]
        left[actor] = [*effects[:-1], effects[-1]._replace(answered=True)]
    answers = {
        actor: Answering(
            draw(st.sampled_from(STATUSES)),
            draw(st.sampled_from(["r", "r", "s", None])),
            draw(st.sampled_from([None, 2, 2, 3])),
        )
        for actor in left
    }
    acting = draw(st.sets(st.sampled_from(["cleanup", "clock"])))
    left |= {actor: [Effect(Move(actor, actor, ""))] for actor in acting}
    found = []
    while left:
        actor = draw(st.sampled_from(sorted(left)))
        found.append(left[actor].pop(0))
        left = {name: rest for name, rest in left.items() if rest}
    hits = st.dictionaries(st.sampled_from("rs"), st.sampled_from([None, 1, 2, 3]))
    states = [
        Snapshot(tuple(sorted(counts)), counts, "cleanup" if at < ("cleanup" in acting) else "")
        for at, counts in enumerate(draw(hits) for _ in range(1 + ("cleanup" in acting)))
    ]
    return Run(tuple(found), answers, tuple(states))


def trace_of(run: Run, effects: Sequence[Effect]) -> Trace:
    """Write down the moves of a run in some schedule, as an executor does."""
    events: list[Event] = []
    answers: list[Answer] = []
    started: dict[str, int] = {}
    places: dict[str, list[int]] = {}
    epoch = 0
    for move, touches, reply, answered, _ in effects:
        kind = Kind.START if move.command == START else Kind.STEP if move.actor in run.answers else Kind.ENVIRONMENT
        events.append(Event(len(events), kind, move.actor, move.command, move.object, "", reply, touches, epoch))
        epoch += move.actor == "cleanup"
        if kind is Kind.START:
            started[move.actor] = events[-1].index
        elif kind is Kind.STEP:
            places.setdefault(move.actor, []).append(epoch)
        if answered:
            status, record, count = run.answers[move.actor]
            events.append(Event(len(events), Kind.ANSWER, move.actor, str(status)))
            times, of = (started[move.actor], events[-1].index), tuple(dict.fromkeys(places.get(move.actor, [epoch])))
            nameless = record is None and status in (201, 202)
            kinds = (status == 201, status == 202, of)
            answers.append(Answer(move.actor, status, record, count, *times, *kinds, nameless=nameless))
    details = Details(answers, run.states, events)
    return Trace("test", "", "", len(run.answers), [one.move for one in effects], lambda: details)


def found(name: str, trace: Trace) -> list[tuple[object, ...]]:
    """Return what a check finds: which steps it names, as places in the trace, in any order."""
    return sorted((one.invariant, one.expected, one.answers, one.epoch or 0) for one in run_checks([name], trace))


def dependence_of(check: Check) -> Dependence:
    """Give the relation that a search has for a check."""
    reads = check.reads
    return Dependence(fused=True, precedence=Reads.PRECEDENCE in reads, real_time=Reads.REAL_TIME in reads)


def differs(name: str, run: Run) -> list[str]:
    """Name the pairs of independent neighbours that a check distinguishes."""
    rule, effects, independent = dependence_of(check_named(name)), run.effects, []
    expected = found(name, trace_of(run, effects))
    for at in range(len(effects) - 1):
        one, other = effects[at : at + 2]
        if not rule.between(one, other):
            swapped = [*effects[:at], other, one, *effects[at + 2 :]]
            if found(name, trace_of(run, swapped)) != expected:
                independent.append(f"{one.move}, {other.move}")
    return independent


@settings(deadline=None)
@given(run=runs())
def test_swapping_independent_neighbours_changes_no_violation(run: Run) -> None:
    """What a check does not declare it does not read: no swap that a search may make shows it anything else."""
    assert {name: differs(name, run) for name in CHECKS.names()} == {name: [] for name in CHECKS.names()}


@cache
def drawn() -> list[Run]:
    """Draw two hundred runs by a seed."""
    found: list[Run] = []
    with pytest.raises(NoSuchExample):
        find(runs(), found.append, settings=QUICKLY, random=Random(1))
    return found


def renamed(trace: Trace) -> list[Violation]:
    """Judge as `linearizable_hits` does."""
    return [one.__class__("mine", one.expected, one.observed, one.answers) for one in linearizable(trace)]


def first_answered(trace: Trace) -> list[Violation]:
    """Demand that A is answered before the others."""
    return [Violation("mine", "A first", one.actor) for one in trace.answers[:1] if one.actor != "A"]


def first_sent(trace: Trace) -> list[Violation]:
    """Demand that A is sent before the others."""
    first = min(trace.answers, key=lambda one: one.started)
    return [] if first.actor == "A" else [Violation("mine", "A first", first.actor)]


@pytest.mark.parametrize(
    ("judge", "reads", "caught"),
    [
        (renamed, {Reads.ANSWERS}, True),
        (renamed, {Reads.ANSWERS, Reads.PRECEDENCE}, False),
        (first_answered, {Reads.ANSWERS, Reads.PRECEDENCE}, True),
        (first_answered, set(Reads), False),
        (first_sent, {Reads.ANSWERS, Reads.PRECEDENCE}, True),
        (first_sent, set(Reads), False),
    ],
)
def test_a_check_that_reads_more_than_it_declares_is_caught(
    judge: Callable[[Trace], list[Violation]],
    reads: set[Reads],
    caught: bool,  # noqa: FBT001 - a column
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only who declares everything, which is the default, may read the order of answers and of starts."""
    monkeypatch.setattr(CHECKS, "_items", dict(CHECKS._items))
    invariant("mine", demands="As its docstring says.", reads=reads)(judge)
    assert any(differs("mine", run) for run in drawn()) == caught
