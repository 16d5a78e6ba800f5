"""A failing schedule beside the nearest schedule that passes."""

from __future__ import annotations

import dataclasses

import pytest
from known import moves, searched
from made import CLEANUP, found
from rich.cells import cell_len

from stress.core.step import Move
from stress.report.events import Nearest
from stress.report.explain.beside import Both, Side, beside, breaks, comparison
from stress.report.explain.race import race


def test_the_failing_schedule_stands_beside_the_nearest_that_passes() -> None:
    """Below what breaks it: what was moved stands alone, the two steps are marked, what is alike far off is counted."""
    finding = searched().findings[0]
    reported = [
        "what breaks it: B HGET gw:dedup:{fingerprint} before A HSET",
        "  gw:dedup:{fingerprint} (nearest passing schedule: 1 step moved)",
        "",
        "   fails                                   passes",
        "   … 4 steps alike",
        "   B EXISTS gw:dedup:{fingerprint}         B EXISTS gw:dedup:{fingerprint}",
        "                                        >  A HSET gw:dedup:{fingerprint}",
        ">  B HGET gw:dedup:{fingerprint}        >  B HGET gw:dedup:{fingerprint}",
        "   B HSET gw:dedup:{fingerprint}           B HSET gw:dedup:{fingerprint}",
        ">  A HSET gw:dedup:{fingerprint}",
        "",
    ]
    assert comparison(finding, 78) == reported
    lines = race(finding, "", width=78)
    at = lines.index(reported[0])
    assert (lines[at - 2 : at], lines[at : at + len(reported)]) == (["   is answered 202", ""], reported)
    assert lines[at + len(reported)].startswith("hits_equal_answers: expected")
    assert comparison(dataclasses.replace(finding, nearest=None), 78) == []


def test_an_act_of_the_environment_that_always_breaks_it_is_missing_beside() -> None:
    """It is said in words, and the schedule beside is the one without it."""
    finding = found(*CLEANUP)[0]
    schedule = finding.schedule.moves
    assert comparison(dataclasses.replace(finding, nearest=Nearest(schedule[1:], 1, schedule[0], None)), 78)[2:] == [
        "",
        "   fails                                   passes",
        ">  cleanup deletes the records",
        "   A starts                                A starts",
        "   … 5 steps alike",
        "",
    ]
    reported = breaks(Nearest(schedule[1:], 1, schedule[0], None))
    assert reported == "cleanup at any time (nearest passing schedule: the one without cleanup)"


def test_who_takes_another_branch_has_other_steps_beside() -> None:
    """A step that the passing schedule has not, or has later, leaves its place empty; only the pair is marked."""
    fails = moves("A GET k", "B GET k", "B SET k", "A SET k", "writer writer")
    passes = moves("B GET k", "B SET k", "A GET k", "A INCR k", "writer writer")
    nearest_one = Nearest(passes, 2, fails[0], fails[2])
    first, second = Side("A", "GET k", marked=True), Side("B", "SET k", marked=True)
    other, acts = Side("B", "GET k", marked=False), Side("writer", "acts", marked=False)
    assert beside(fails, nearest_one) == [
        Both(first, None),
        Both(other, other),
        Both(second, second),
        Both(Side("A", "SET k", marked=False), None),
        Both(None, first),
        Both(None, Side("A", "INCR k", marked=False)),
        Both(acts, acts),
    ]
    assert breaks(nearest_one) == "A GET k before B SET k (nearest passing schedule: 2 steps moved)"


def test_a_marked_step_is_shown_however_far_from_what_was_moved() -> None:
    """Of rows that are alike in both schedules those of the pair are not counted but shown, with their neighbours."""
    between = moves("C GET k", "C GET l", "C GET m")
    late, early = Move("B", "SET", "k"), Move("A", "SET", "k")
    after = moves("D GET k", "D GET l", "D GET m")
    finding = searched().findings[0]
    schedule = dataclasses.replace(finding.schedule, moves=(*between, early, *after, late))
    passes = Nearest((late, *between, early, *after), 1, early, late)
    assert comparison(dataclasses.replace(finding, schedule=schedule, nearest=passes), 40)[5:] == [
        "                     >  B SET k",
        "   C GET k              C GET k",
        "   C GET l              C GET l",
        "   C GET m              C GET m",
        ">  A SET k           >  A SET k",
        "   D GET k              D GET k",
        "   D GET l              D GET l",
        "   D GET m              D GET m",
        ">  B SET k",
        "",
    ]


@pytest.mark.parametrize("width", [20, 60, 78, 120])
def test_both_schedules_fit_the_width(width: int) -> None:
    """Long names and wide letters are cut in both, and what breaks it is folded."""
    finding = searched().findings[0]
    first, second = Move("A", "GET", "警" * 60), Move("B", "SET", "k" * 200, 2)
    schedule = dataclasses.replace(finding.schedule, moves=(first, second))
    both = dataclasses.replace(finding, schedule=schedule, nearest=Nearest((second, first), 1, first, second))
    rows = [row for row in comparison(both, width) if row.startswith((">", "   "))]
    assert max(cell_len(row) for row in rows) <= max(width, 22)
    assert sum(row.count("…") for row in rows) == 4
