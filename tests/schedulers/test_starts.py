"""Starts that are independent of other requests, until a request is seen to begin otherwise."""

from __future__ import annotations

import pytest

from stress.core.step import START, Move
from stress.core.trace import Details, Snapshot, Trace
from stress.schedulers.base import fused_starts
from stress.schedulers.exhaustive import Exhaustive
from stress.schedulers.starts import Starts

A, B = Move("A", START, ""), Move("B", START, "")
TRACE = Trace("test", "", "", 2, (), lambda: Details((), (Snapshot(None, None),)))


def play(first: dict[str, list[Move]], replicas: dict[str, int]) -> tuple[bool, int]:
    """Run all, given what the first and the second to start show; return whether starts stayed fused, and the count."""
    starts = Starts(lambda fused: Exhaustive(fused=fused), replicas, fused=True)
    ran = 0
    while starts.more():
        left, shown = [A, B], {}
        while left or shown:
            moves = sorted([*left, *shown.values()])
            move = starts.choose(moves, done=False)
            assert move is not None
            if move in left:
                left.remove(move)
                shown[move.actor] = first["first" if left else "second"][0]._replace(actor=move.actor)
            else:
                del shown[move.actor]
        starts.learn(TRACE)
        ran += 1
    return starts.fused, ran


@pytest.mark.parametrize(
    ("second", "replicas", "fused", "ran"),
    [
        ("GET k", {"A": 1, "B": 1}, True, 2),
        ("SET k", {"A": 1, "B": 1}, False, 7),
        ("SET k", {"A": 1, "B": 2}, False, 8),
        ("GET {uuid:2}", {"A": 1, "B": 1}, False, 7),
    ],
)
def test_starts_are_explored_once_a_request_begins_otherwise(
    second: str,
    replicas: dict[str, int],
    fused: bool,  # noqa: FBT001 - a column
    ran: int,
) -> None:
    """Both begin alike: 2 schedules. Else all 6 with starts anywhere, after those up to the one that showed it."""
    command, _, name = second.partition(" ")
    shows = {"first": [Move("", "GET", "k")], "second": [Move("", command, name)]}
    assert play(shows, replicas) == (fused, ran)


def test_a_name_that_a_service_makes_up_is_as_good_as_another() -> None:
    """Names of one kind are equal whatever their numbers, also one that another request has shown."""
    starts = Starts(lambda fused: Exhaustive(fused=fused), {"A": 1, "B": 1}, fused=True)
    one, two = Move("A", "SET", "r-{uuid:1}"), Move("B", "SET", "r-{uuid:2}")
    starts._taken = [A]
    starts._look("A", [one, B])
    starts._taken = [A, one, B]
    starts._look("B", [two])
    starts._look("B", [two._replace(object="r-{uuid:1}")])
    assert not starts.differ
    starts._look("B", [two._replace(object="r-{id:1}")])
    assert starts.differ


def test_fused_starts_leave_what_a_start_depends_on() -> None:
    """The own client may hang up at once; who shows nothing lets all the others go on."""
    step, other, gone = Move("A", "GET", "k"), Move("B", "GET", "k"), Move("client:A", "hang-up", "")
    late, clock = Move("client:B", "hang-up", ""), Move("clock", "clock", "")
    assert fused_starts([step, other, gone, late], [A]) == [step, gone]
    assert fused_starts([other, clock], [A]) == [other, clock]
