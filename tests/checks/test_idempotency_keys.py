"""Checks of idempotency keys: one effect, a busy answer that is temporary, and no marker that stays."""

from __future__ import annotations

import pytest

from stress.checks import run_checks
from stress.core.outcomes import How, Outcome
from stress.core.step import Access, Touch
from stress.core.trace import Answer, Details, Event, Kind, Snapshot, Trace

State = tuple[tuple[str, ...] | None, dict[str, int | None] | None, str]


def answer(actor: str, status: int, between: tuple[int, int] = (0, 99), *, hung_up: bool = False) -> Answer:
    """Make one answer: 201 is created, 200 a duplicate."""
    kinds = (status == 201, status == 200)
    return Answer(actor, status, "r", None, *between, *kinds, hung_up=hung_up)


def step(line: str, *, epoch: int = 0, how: How = How.OK, parts: tuple[How, ...] = ()) -> Event:
    """Make a step of ``3 A SET key write``: its index, its actor, its command, and what it touches."""
    index, actor, command, key, access = line.split()
    outcome = Outcome(how, None, tuple(Outcome(part) for part in parts))
    touches = (Touch(key, Access(access)),)
    return Event(int(index), Kind.STEP, actor, command, key, touches=touches, epoch=epoch, outcome=outcome)


def judged(check: str, answers: list[Answer], *states: State, events: tuple[Event, ...] = ()) -> list[str]:
    """Judge a run by one check."""
    epochs = [Snapshot(*state) for state in states or [(("r",), None, "")]]
    details = Details(answers, epochs, events)
    trace = Trace("test", "", "", len(answers), (), lambda: details)
    return [f"{one.observed} {','.join(one.answers)}" for one in run_checks([check], trace)]


@pytest.mark.parametrize(
    ("statuses", "states", "found"),
    [
        ((201, 200), [(("r",), None, "")], []),
        ((201, 409), [(("r",), None, "")], []),
        ((201, 201), [(("r", "r"), None, "")], ["2 A,B"]),
        ((201, 200), [((), None, "")], ["0 A,B"]),
        ((201, 200), [(("r",), {"r": 1}, "")], []),
        ((201, 200), [(("r",), {"r": 2}, "")], ["2 A,B"]),
        ((201, 200), [(("r",), {"r": None}, "")], ["0 A,B"]),
        ((409, 500), [((), None, "")], []),
        ((409, 500), [(("r",), None, "")], []),
        ((409, 500), [(("r", "s"), None, "")], ["2 "]),
        ((201, 201), [(None, None, "")], []),
    ],
)
def test_what_was_accepted_had_its_effect_once(
    statuses: tuple[int, ...], states: list[State], found: list[str]
) -> None:
    """A record or a count of 1 where one was accepted, at most that where none was; nothing where neither is seen."""
    answers = [answer(actor, status) for actor, status in zip("AB", statuses, strict=True)]
    assert judged("one_effect", answers, *states) == found


def test_a_key_that_somebody_else_ended_may_have_its_effect_again() -> None:
    """Its time ran out, or it was deleted, and what was done stayed; records that were deleted allow no second one."""
    expiry, cleanup = (Event(1, Kind.ENVIRONMENT, actor, actor) for actor in ("expiry", "cleanup"))
    answers, twice = [answer("A", 201), answer("B", 201)], (("r", "s"), None, "")
    assert judged("one_effect", answers, twice, events=(expiry,)) == []
    assert judged("one_effect", answers, twice, events=(cleanup,)) == []
    assert judged("one_effect", answers, (("r", "s", "t"), None, ""), events=(expiry,)) == ["3 A,B"]
    last = [Answer("B", 201, "r", None, 0, 99, created=True, duplicate=False, epochs=(1,))]
    assert judged("one_effect", last, ((), None, "cleanup"), twice, events=(cleanup,)) == ["2 B"]


LATER = (10, 20)


@pytest.mark.parametrize("status", [409, 425, 429, 503])
def test_who_asks_alone_is_not_asked_to_come_back(status: int) -> None:
    """A busy answer is right while another request is in flight, and wrong after the last was answered."""
    assert judged("busy_is_temporary", [answer("A", 201, (0, 11)), answer("B", status, LATER)]) == []
    assert judged("busy_is_temporary", [answer("A", 201, (0, 9)), answer("B", status, LATER)]) == [f"{status} B"]
    assert judged("busy_is_temporary", [answer("A", 500, (0, 9)), answer("B", status, LATER)]) == [f"{status} B"]


def test_who_may_still_be_at_work_excuses_a_busy_answer() -> None:
    """A client that hung up, a step after an answer, a worker: each may hold the key; a duplicate is no busy answer."""
    busy, ended = answer("B", 409, LATER), answer("A", 201, (0, 9))
    late, worker = step("15 A DEL key delete"), step("15 worker:1 DEL key delete")
    assert judged("busy_is_temporary", [answer("A", 0, (0, 9), hung_up=True), busy]) == []
    assert judged("busy_is_temporary", [ended, busy], events=(late,)) == []
    assert judged("busy_is_temporary", [ended, busy], events=(worker,)) == []
    early = (step("5 A DEL key delete"), step("15 B GET key read"))
    assert judged("busy_is_temporary", [ended, busy], events=early) == ["409 B"]
    duplicate = Answer("B", 409, "r", None, *LATER, created=False, duplicate=True)
    assert judged("busy_is_temporary", [ended, duplicate]) == []
    refused = Answer("B", 200, None, None, *LATER, created=False, duplicate=False, refused=True)
    assert judged("busy_is_temporary", [ended, refused]) == ["200 B"]


LEFT = ["left as A claimed it A"]
CLAIM = step("1 A SET key create-if-absent")


@pytest.mark.parametrize(
    ("after", "found"),
    [
        ((), LEFT),
        ((step("2 A EXPIRE key write"),), LEFT),
        ((step("2 A GET key read"), step("3 A SET other write")), LEFT),
        ((step("2 A SET key write", how=How.REFUSED),), LEFT),
        ((step("2 B SET key create-if-absent", how=How.REFUSED),), LEFT),
        ((step("2 A SET key write"),), []),
        ((step("2 A DEL key delete"),), []),
        ((step("2 A FLUSHALL * write"),), []),
        ((step("2 A DEL key delete"), step("3 B SET+SET key create-if-absent", parts=(How.REFUSED, How.OK))), []),
        (
            (step("2 A DEL key delete"), step("3 B SET+SET key create-if-absent", parts=(How.OK, How.OK))),
            ["left as B claimed it B"],
        ),
        ((step("2 A DEL key delete"), step("3 B EVAL key create-if-absent")), []),
    ],
)
def test_a_key_that_was_claimed_is_written_again_or_deleted(after: tuple[Event, ...], found: list[str]) -> None:
    """Any actor may do it: but a refused step changes nothing, and a script may have claimed nothing."""
    assert judged("nothing_left_processing", [answer("A", 201)], events=(CLAIM, *after)) == found


def test_a_claim_from_before_the_records_were_deleted_is_none_any_more() -> None:
    """Somebody else ended the epoch in which the key was claimed."""
    states: list[State] = [(("r",), None, "cleanup"), ((), None, "")]
    assert judged("nothing_left_processing", [answer("A", 409)], *states, events=(CLAIM,)) == []
