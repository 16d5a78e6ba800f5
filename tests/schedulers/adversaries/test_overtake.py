"""The adversary for late writes: whom it holds, before what, and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from programs import Program, delete, get, put, put_new
from test_dpor import FUSED, of, waits, writes

from stress.schedulers.adversaries.overtake import HeldBack, Overtake
from stress.schedulers.exhaustive import Exhaustive
from stress.schedulers.hunt import Hunt

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping
    from typing import Any

    from programs import Op


def does(*steps: Op) -> Any:  # noqa: ANN401 - the code of an actor
    """Make an actor that takes these steps."""

    def code(_: Program) -> Generator[Op, Any, None]:
        yield from (step for step in steps)

    return code


GET_SET = does(get("k"), put("k", 1))


def held(program: Program, alike: Collection[str] = ()) -> list[tuple[HeldBack, str]]:
    """Let it learn from the schedule without a preemption; give whom it holds in each of its schedules, and those."""
    overtake, first = Overtake(alike), Exhaustive(fused=False)
    assert first.more()
    overtake.learn(program.run(first), program.environment)
    found = []
    while overtake.more():
        assert overtake.held is not None
        now, trace = overtake.held, program.run(overtake)
        overtake.learn(trace)
        found.append((now, "".join(move.actor for move in trace.moves)))
    return found


def test_a_write_is_overtaken_once_then_twice_as_often_as_others_write() -> None:
    """Three read, then write: each is held before its write until one other has written, then both, then for ever."""
    assert held(Program(of([GET_SET] * 3))) == [
        (HeldBack(1, "A", 1, changing=False), "ABBACC"),
        (HeldBack(1, "B", 1, changing=False), "BAABCC"),
        (HeldBack(1, "C", 1, changing=False), "CAACBB"),
        (HeldBack(2, "A", 1, changing=False), "ABBCCA"),
        (HeldBack(2, "B", 1, changing=False), "BAACCB"),
        (HeldBack(2, "C", 1, changing=False), "CAABBC"),
        (HeldBack(3, "A", 1, changing=False), "ABBCCA"),
        (HeldBack(3, "B", 1, changing=False), "BAACCB"),
        (HeldBack(3, "C", 1, changing=False), "CAABBC"),
    ]


def test_of_identical_requests_one_is_held() -> None:
    """The others would do the same."""
    assert [one.victim for one, _ in held(Program(of([GET_SET] * 3)), alike="ABC")] == ["A", "A", "A"]


def test_the_last_late_write_comes_first_and_who_did_the_same_last() -> None:
    """A writes k twice after it has read it; B and C do something else than A, and the same."""
    program = Program(of([does(get("k"), put("k", 1), put("k", 2)), GET_SET, GET_SET]))
    assert [(one.write, one.victim, schedule) for one, schedule in held(program) if one.writes == 1] == [
        (2, "A", "AABBACC"),
        (2, "B", "BBAAACC"),  # it has one late write only: nothing is held
        (2, "C", "CCAAABB"),
        (1, "A", "ABBAACC"),
        (1, "B", "BAABACC"),
        (1, "C", "CAACABB"),
    ]


def test_two_requests_are_held_only_where_the_environment_changes_what_is_stored() -> None:
    """It does so first, once, while the victim is held; and no clock does."""

    def schedules(environment: Mapping[str, Any]) -> list[tuple[HeldBack, list[str]]]:
        program = Program(of([GET_SET, GET_SET]), environment)
        return [(one, list(schedule.replace("cleanup", "-"))) for one, schedule in held(program)]

    assert schedules({"clock": lambda _: None}) == []
    assert schedules({"cleanup": dict.clear}) == [
        (HeldBack(1, "A", 1, changing=True), list("A-BBA")),
        (HeldBack(1, "B", 1, changing=True), list("B-AAB")),
        (HeldBack(2, "A", 1, changing=True), list("A-BBA")),
        (HeldBack(2, "B", 1, changing=True), list("B-AAB")),
    ]


def test_who_writes_what_it_did_not_know_is_never_held() -> None:
    """Nothing can become wrong between."""
    assert held(Program(of([writes("k")] * 3))) == []


def test_where_no_one_else_can_go_on_the_victim_does() -> None:
    """The others wait for what it is about to write: it is let go, and they after it."""
    program = Program(of([does(get("k"), put("k", 1)), waits("k"), waits("k")]))
    assert held(program)[0] == (HeldBack(1, "A", 1, changing=False), "ABCABC")


def test_a_lock_that_was_made_again_is_deleted_by_who_had_the_old_one() -> None:
    """A deletes the lock that C could make once B had deleted A's (race L3): in order 35, which would be 230 else."""

    def of_pod(pod: int) -> Any:  # noqa: ANN401 - the code of an actor
        def code(_: Program) -> Generator[Op, Any, None]:
            yield get("lock")
            won = yield put_new("lock", pod)
            if won or (yield get("lock")) == pod:
                yield get("more")
                if (yield get("lock")) == pod:
                    yield delete("lock")

        return code

    program = Program({"A": of_pod(1), "B": of_pod(1), "C": of_pod(2)})
    hunt = Hunt(FUSED, fused=True)
    found = []
    while hunt.more() and not found:
        trace = program.run(hunt)
        hunt.learn(trace)
        if any(event.actor in "AB" and (event.command, event.reply) == ("DEL", "2") for event in trace.events):
            found = [move.actor for move in trace.moves]
    assert (hunt.schedules, "".join(found)) == (35, "AAAABBBBBBCCACC")
