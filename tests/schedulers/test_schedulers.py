"""Schedulers, on programs small enough to count by hand."""

from __future__ import annotations

from math import factorial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stress.core.letters import letters
from stress.core.schedule import Schedule
from stress.core.step import START, Move
from stress.core.trace import Details, Snapshot, Trace
from stress.schedulers.base import Diverged, Scheduler
from stress.schedulers.exhaustive import Exhaustive
from stress.schedulers.random_walk import Walk
from stress.schedulers.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Sequence


def play(scheduler: Scheduler, lengths: Sequence[int], clocks: int = 0) -> tuple[Move, ...]:
    """Run one schedule of a program: each actor starts and has so many steps; the clock may act."""
    taken: list[Move] = []
    while True:
        moves = []
        for number, length in enumerate(lengths):
            actor = chr(65 + number)
            done = sum(move.actor == actor for move in taken)
            if done <= length:
                moves.append(Move(actor, "STEP", "k", done) if done else Move(actor, START, ""))
        done = not moves
        used = sum(move.actor == "clock" for move in taken)
        if used < clocks and taken and not done:
            moves.append(Move("clock", "clock", "", used + 1))
        if not moves:
            break
        move = scheduler.choose(moves, done=done)
        assert move is not None
        taken.append(move)
    trace = Trace("test", "", "", len(lengths), tuple(taken), lambda: Details((), (Snapshot(None, None),)))
    scheduler.learn(trace)
    return trace.moves


def everything(scheduler: Scheduler, lengths: Sequence[int], clocks: int = 0) -> list[tuple[Move, ...]]:
    """Run all schedules of a scheduler."""
    found = []
    while scheduler.more():
        found.append(play(scheduler, lengths, clocks))
    return found


@pytest.mark.parametrize(("clients", "schedules"), [(2, 6), (3, 90)])
def test_schedules_of_get_set_clients_are_counted_exactly(clients: int, schedules: int) -> None:
    """With starts in one place each, n clients of two steps have (2n)!/2^n schedules, each run once."""
    scheduler = Exhaustive(fused=True)
    found = everything(scheduler, [2] * clients)
    assert (len(found), len(set(found)), scheduler.exhausted) == (schedules, schedules, True)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=3))
def test_free_starts_are_moves_like_any_other(lengths: list[int]) -> None:
    """With free starts the number of schedules is the multinomial of starts and steps, each run once."""
    expected = factorial(sum(lengths) + len(lengths))
    for length in lengths:
        expected //= factorial(length + 1)
    found = everything(Exhaustive(fused=False), lengths)
    assert (len(found), len(set(found))) == (expected, expected)


def canonical(schedule: tuple[Move, ...]) -> tuple[object, ...]:
    """Name the class of a schedule in which starts commute with all but the clock."""
    epoch, starts, steps = 0, [], []
    for move in schedule:
        epoch += move.actor == "clock"
        if move.command == START:
            starts.append((move.actor, epoch))
        else:
            steps.append(move)
    return tuple(sorted(starts)), tuple(steps)


@given(st.lists(st.integers(1, 2), min_size=1, max_size=2), st.integers(0, 2))
def test_fused_starts_leave_one_schedule_of_each_class(lengths: list[int], clocks: int) -> None:
    """Fused starts run exactly one member of each class that free starts have, the clock's moves included."""
    free = {canonical(schedule) for schedule in everything(Exhaustive(fused=False), lengths, clocks)}
    fused = [canonical(schedule) for schedule in everything(Exhaustive(fused=True), lengths, clocks)]
    trailing = {one for one in free if one not in set(fused)}
    assert len(fused) == len(set(fused))
    assert set(fused) <= free
    assert trailing == set()


def test_schedules_with_fewer_preemptions_come_first() -> None:
    """The numbers of preemptions never decrease, and the bound says what is complete."""
    scheduler = Exhaustive(fused=True)
    preemptions = []
    bounds = []
    while scheduler.more():
        bounds.append((scheduler.bound, scheduler.exhausted))
        preemptions.append(Schedule(play(scheduler, [2, 2])).preemptions())
    assert preemptions == [0, 0, 1, 1, 2, 2]
    assert bounds == [(None, False), (None, False), (0, False), (0, False), (1, False), (1, False)]
    assert (scheduler.bound, scheduler.exhausted) == (2, True)


def test_schedules_with_the_clock_wait_until_the_others_are_done() -> None:
    """Apart from the rest, schedules in which the clock moves come last, unless it is their turn."""
    late = [
        any(m.actor == "clock" for m in schedule)
        for schedule in everything(Exhaustive(fused=True, clock_apart=True), [1, 1], 1)
    ]
    assert late == sorted(late)
    assert any(late)
    eager = Exhaustive(fused=True, clock_apart=True, clock_turn=lambda: True)
    assert eager.more()
    play(eager, [1, 1], 1)
    assert eager.more()
    assert any(move.actor == "clock" for move in play(eager, [1, 1], 1))


def test_a_replay_follows_an_schedule_to_the_letter() -> None:
    """The same moves again, as often as asked."""
    schedule = play(Walk(5), [2, 2])
    replay = Replay(schedule, times=3)
    assert everything(replay, [2, 2]) == [schedule] * 3


def test_a_replay_names_the_first_step_that_can_not_be_followed() -> None:
    """A divergence says which step was expected and what was possible instead."""
    schedule = (Move("A", START, ""), Move("A", "OTHER", "k"))
    replay = Replay(schedule)
    replay.more()
    message = r"DIVERGED at step 2: expected A OTHER k, saw A STEP k or B start"
    with pytest.raises(Diverged, match=message):
        play(replay, [1, 1])
    short = Replay(schedule[:1])
    short.more()
    with pytest.raises(Diverged, match="expected the end of the schedule, saw A STEP k"):
        play(short, [1])


def test_a_walk_is_repeated_by_its_seed() -> None:
    """The same seed draws the same schedules, another seed others, and every schedule can be drawn."""
    assert everything(Walk(1, 40), [2, 2]) == everything(Walk(1, 40), [2, 2])
    assert everything(Walk(1, 40), [2, 2]) != everything(Walk(2, 40), [2, 2])
    assert len(set(everything(Walk(1, 400), [1, 1]))) == 6
    assert not any(m.actor == "clock" for o in everything(Walk(1, 50, skip=frozenset({"clock"})), [2, 2], 1) for m in o)
    walk = Walk(3)
    ends = {walk.choose([Move("cleanup", "cleanup", "")], done=True) for _ in range(20)}
    assert ends == {None, Move("cleanup", "cleanup", "")}


def test_a_schedule_in_letters_is_followed_and_then_goes_on_by_itself() -> None:
    """A letter is the next step of its request, the first one its start; past the end the last one keeps going."""
    scheduler = Replay(letters("A clock B A B"), prefix=True)
    (moves,) = everything(scheduler, [2, 2], clocks=1)
    assert [str(move) for move in moves] == [
        "A start",
        "clock clock",
        "B start",
        "A STEP k",
        "B STEP k",
        "B STEP k #2",
        "A STEP k #2",
    ]


def test_a_letter_that_can_not_go_on_is_named_with_its_step() -> None:
    """A has two steps beside its start, so a fourth letter A can't be followed."""
    scheduler = Replay(letters("A A A A B"), prefix=True)
    scheduler.more()
    with pytest.raises(Diverged, match="DIVERGED at step 4: expected a step of A, saw B start"):
        play(scheduler, [2, 2])
