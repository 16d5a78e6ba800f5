"""A request that was answered may go on; what it does then is not taken for a wait."""

from __future__ import annotations

from functools import partial

from stress.core.step import START, Move
from stress.core.trace import Details, Event, Kind, Snapshot, Trace
from stress.schedulers.dependence import effects
from stress.schedulers.dpor.level import waits


def test_what_a_request_does_after_its_answer_is_marked_as_answered() -> None:
    """Its last step is not taken for the place where it waits for another."""
    kinds = [(Kind.START, START), (Kind.ANSWER, "202"), (Kind.STEP, "GET"), (Kind.STEP, "SET")]
    events = [Event(at, kind, "A", command) for at, (kind, command) in enumerate(kinds)]
    moves = [Move("A", command, "") for kind, command in kinds if kind is not Kind.ANSWER]
    trace = Trace("live", "f", "p", 1, moves, partial(Details, (), (Snapshot(None, None),), events))
    found = effects(trace)
    assert [(one.move.command, one.answered) for one in found] == [(START, True), ("GET", True), ("SET", True)]
    assert not waits("A", moves, (), found[-1])
    assert waits("A", moves, (), found[-1]._replace(answered=False))
