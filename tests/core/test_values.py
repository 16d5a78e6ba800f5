"""Values: schedules as text, names, steps, verdicts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stress.core.errors import UsageFault
from stress.core.registry import CHECKS
from stress.core.schedule import Head, Schedule, parse
from stress.core.step import Access, Move, Step, Touch
from stress.core.symbols import Names
from stress.core.verdict import Evidence, Violation, judge

PROMISES = [name for name in CHECKS.names() if not CHECKS[name].environment]
FINGERPRINT = "b19ffa4bbcf2155c" + "0" * 48
words = st.text("abcXYZ:{}-+*/()0123456789 %#", min_size=1, max_size=12).map(lambda text: text.replace(" ", "_"))
moves = st.builds(Move, words.filter(lambda w: w[0] not in "#-"), words, words | st.just(""), st.integers(1, 9))


@given(st.lists(moves, max_size=8), words, st.integers())
def test_an_schedule_file_reads_back_as_written(sequence: list[Move], name: str, seed: int) -> None:
    """Any schedule survives being written and read."""
    schedule = Schedule(tuple(sequence), Head(scenario=name, executor="live", seed=seed, fresh="f", outcome="race a b"))
    assert parse(schedule.text()) == schedule


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "schedule:1:1: not a schedule file (its first line must be `gateway-stress schedule 1`)"),
        (
            "gateway-stress schedule 9\n---\n",
            "schedule:1:25: schedule format 9 is unknown (this version of gateway-stress reads format 1)",
        ),
        (
            "gateway-stress schedule 1\nseed: x\n---\n",
            "schedule:2:6: the seed must be a whole number (write `seed: 0`)",
        ),
        (
            "gateway-stress schedule 1\nworld: wire\n",
            "schedule:2:1: no moves (a line `---` must stand between head and moves)",
        ),
    ],
)
def test_a_wrong_schedule_file_is_one_clear_line(text: str, fault: str) -> None:
    """Each fault has its place and a hint."""
    with pytest.raises(UsageFault, match=re.escape(fault)):
        parse(text)


def test_a_line_that_is_no_move_is_named() -> None:
    """A move needs an actor and a command; comments and attachments are understood."""
    head = "gateway-stress schedule 1\nnonsense\n---\n# a comment\nA\nB start\n"
    with pytest.raises(UsageFault) as caught:
        parse(head, "o.txt")
    assert [str(fault.place) for fault in caught.value.faults] == ["o.txt:2:1", "o.txt:5:1"]
    good = parse("gateway-stress schedule 1\n\n---\nB start # why\n--- target my.yaml\nname: x\n")
    assert (good.actors, good.attachments) == ("B", (("target my.yaml", "name: x\n"),))
    assert parse(good.text()) == good
    assert good.with_head(seed=3).head.seed == 3


def test_a_file_of_before_is_read() -> None:
    """Files that were called orders, found in a world, are the same schedules."""
    old = parse("gateway-stress order 1\nscenario: s\nworld: wire\n---\nA start\n")
    assert old == parse("gateway-stress schedule 1\nscenario: s\nexecutor: live\n---\nA start\n")
    assert old.head.executor == "live"


def test_preemptions_are_counted_where_an_actor_could_have_gone_on() -> None:
    """Going over to another actor at the end of one is no preemption."""
    schedule = Schedule(tuple(Move(actor, "STEP", "k", n) for n, actor in enumerate("AABBA", start=1)))
    assert schedule.preemptions() == 1


def test_made_up_names_are_numbered_by_first_appearance() -> None:
    """Times, UUIDs and random suffixes get numbers; fingerprints and fresh values get names."""
    names = Names(FINGERPRINT, "f00dfeed1234", 1_800_000_000, seconds=True)
    assert names.replace(f"gw:rr:rr-{FINGERPRINT[:12]}-1800000001") == "gw:rr:rr-{fingerprint:12}-{time:1}"
    assert names.replace("at 2027-01-15T08:00:01Z and 2027-01-15T08:00:02Z") == "at {time:1} and {time:2}"
    assert names.replace("0b0e7a2c-1111-4222-8333-123456789abc") == "{uuid:1}"
    assert (
        names.replace(f"{FINGERPRINT} pod-f00dfeed1234 1234567890 count")
        == "{fingerprint} pod-{fresh} 1234567890 count"
    )
    assert names.replace("rr-a1b2c3d4") == "rr-{id:1}"
    assert names.replace("hits:8635471428eb14aa") == "hits:{id:2}"
    assert names.replace("2026-99-99T00:00:00Z") == "2026-99-99T00:00:00Z"
    assert Names("", "", 1_800_000_000, seconds=False).replace("x-1800000001") == "x-{time}"


def test_steps_conflict_on_a_common_object_that_one_changes() -> None:
    """Two reads do not conflict; a step on the whole database conflicts with every write."""

    def step(name: str, access: Access) -> Step:
        return Step(Move("A", "C", name), (Touch(name, access),))

    assert not step("k", Access.READ).conflicts(step("k", Access.READ))
    assert step("k", Access.READ).conflicts(step("k", Access.WRITE))
    assert not step("k", Access.WRITE).conflicts(step("l", Access.WRITE))
    assert step("*", Access.WRITE).conflicts(step("l", Access.READ))
    assert step("k", Access.READ).actor == "A"


def evidence(**changes: object) -> Evidence:
    """Make evidence of one schedule."""
    return Evidence(**{"executor": "live", "scheduler": "auto", "schedules": 1, "seconds": 0.1, **changes})  # type: ignore[arg-type]


VIOLATION = Violation("one_active_record", "1", "2")


@pytest.mark.parametrize(
    ("violations", "proof", "faults", "ruling"),
    [
        ([VIOLATION], evidence(exhausted=True), (), "race"),
        ([VIOLATION], evidence(), ("store lost",), "race"),
        ([], evidence(exhausted=True, total=1), ("store lost",), "inconclusive"),
        ([], evidence(exhausted=True, total=1), (), "holds"),
        ([], evidence(bound=1), (), "holds"),
        ([], evidence(clock_cut=True, clock_schedules=2), (), "holds"),
        ([], evidence(in_order=True, shared_connection="A and B"), (), "holds"),
        ([], evidence(shared_connection="A and B"), (), "inconclusive"),
        ([], evidence(in_order=True, polling="B"), (), "holds"),
        ([], evidence(polling="B"), (), "inconclusive"),
        ([], evidence(bound=0), (), "inconclusive"),
        ([], evidence(sampled=900), (), "inconclusive"),
        ([], evidence(schedules=0), (), "inconclusive"),
    ],
)
def test_holds_needs_evidence(
    violations: list[Violation], proof: Evidence, faults: tuple[str, ...], ruling: str
) -> None:
    """A violation is a race; a fault, no schedule, or a search cut off below one preemption is inconclusive."""
    assert judge(violations, [proof], faults).ruling == ruling


def test_a_fixed_holds_only_exhaustively() -> None:
    """Bounded evidence is not enough where exhaustion is asked for."""
    assert judge([], [evidence(bound=3)], exhaustively=True).ruling == "inconclusive"
    kept = evidence(in_order=True, shared_connection="A and B")
    assert judge([], [kept], exhaustively=True).ruling == "inconclusive"
    assert judge([], [evidence(exhausted=True, total=1)], exhaustively=True).holds
