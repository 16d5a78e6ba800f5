"""The parts of `wrap`: schedules as text, who goes next, who is whose, and which variables lead to a store."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from stress.core.errors import UsageFault
from stress.core.outcomes import Outcome
from stress.core.step import Access, Touch
from stress.engine.wrap.actors import Actors, name_of
from stress.engine.wrap.answer import Answer, bisect_code, difference
from stress.engine.wrap.choosers import WAIT, Drawn, InStep, Letters, Replay, Serial, WithClock
from stress.engine.wrap.minimal import nearest, size, small
from stress.engine.wrap.objects import foreign_writes, shared_objects
from stress.engine.wrap.schedule import CLOCK, FOREIGN, Schedule, Turn, parse
from stress.engine.wrap.start import Ended, Taken, gated


def turns(text: str) -> list[Turn]:
    """Make turns of words such as ``A:GET``; one without a command is of the clock."""
    return [Turn(CLOCK) if word == CLOCK else Turn(*word.split(":"), "key") for word in text.split()]


def ended(text: str, code: int = 0) -> Ended:
    """Make a start that took these turns."""
    return Ended(code=code, taken=[Taken(turn) for turn in turns(text)])


# --- schedules as text --------------------------------------------------------------------------------


def test_a_schedule_is_the_same_when_it_is_read_again() -> None:
    """Whatever stands in keys and values: spaces, line ends, the sign of a comment."""
    odd = Turn("B", "SET", "a key # \n é", "SET a key # \n é 1")
    foreign = Turn(FOREIGN, "DEL", "job 7", "DEL job 7", ("DEL", "job 7"))
    first = Schedule(
        (Turn("A", "GET", "k"), Turn(CLOCK), odd, foreign), "redis", ("k", "job:*"), "pytest -q", "exit code 1"
    )
    assert parse(first.text(), "") == first


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "s.txt:1:1: no schedule of wrap (its first line must be `gateway-stress wrap 1`)"),
        ("gateway-stress wrap 1\nkind: x\n---\nA GET k\n", "s.txt:2:1: unknown line 'kind: x' in the head"),
        ("gateway-stress wrap 1\n---\nGET\n", "s.txt:3:1: no step: 'GET'"),
        ('gateway-stress wrap 1\n---\nforeign DEL "k\n', "s.txt:3:1: no step: 'foreign DEL \"k'"),
        ("gateway-stress wrap 1\nA GET k\n", "s.txt:2:1: unknown line 'A GET k' in the head"),
        ("gateway-stress wrap 1\n---\n", "s.txt:2:1: no steps"),
    ],
)
def test_a_wrong_line_of_a_schedule_is_named(text: str, fault: str) -> None:
    """With its place and what would be right."""
    with pytest.raises(UsageFault) as raised:
        parse(text, "s.txt")
    assert str(raised.value).startswith(fault)


def test_preemptions_are_counted_where_the_actor_before_could_have_gone_on() -> None:
    """One who has ended is not preempted."""
    assert Schedule(tuple(turns("A:GET B:GET B:SET A:SET"))).preemptions() == 1
    assert Schedule(tuple(turns("A:GET A:SET B:GET"))).preemptions() == 0


# --- who goes next ------------------------------------------------------------------------------------


def test_one_after_another_keeps_to_who_has_begun() -> None:
    """The first by the ranking, and then for as long as it can."""
    serial = Serial(("B", "A"))
    assert [serial.choose(turns(one)).actor for one in ("A:GET B:GET", "A:GET B:SET", "A:GET")] == ["B", "B", "A"]


def test_in_step_lets_all_come_equally_far() -> None:
    """A step that nobody else could have taken does not count."""
    step = InStep()
    able = ("A:GET", "A:GET B:GET", "A:SET B:GET", "A:SET B:SET")
    assert [step.choose(turns(one)).actor for one in able] == ["A", "A", "B", "A"]


def test_the_clock_steps_once_before_the_choice_that_is_asked_for() -> None:
    """What is no choice is not counted."""
    chooser = WithClock(InStep(), 2)
    assert chooser.clock
    able = ("A:GET", "A:GET B:GET", "A:SET B:GET", "A:SET B:GET")
    assert [chooser.choose(turns(one)).actor for one in able] == ["A", "A", CLOCK, "B"]
    assert not chooser.clock


@pytest.mark.parametrize("kind", ["pct", "random_walk"])
def test_what_is_drawn_is_the_same_for_the_same_seed(kind: str) -> None:
    """Each schedule is drawn by itself, so that it does not depend on what ran beside it."""
    able = turns("A:GET B:GET C:GET")
    drawn = [[chooser.choose(able).actor for _ in range(8)] for chooser in (Drawn(kind, 7, 3, 8), Drawn(kind, 7, 3, 8))]
    assert drawn[0] == drawn[1]
    assert len({tuple(Drawn(kind, seed, 3, 8).choose(able)) for seed in range(20)}) > 1


def test_letters_that_nobody_can_follow_are_skipped() -> None:
    """Behind their end one goes after another; a foreign write has its place among them."""
    write = Turn(FOREIGN, "DEL", "key", "DEL key", ("DEL", "key"))
    letters = Letters(["A", "C", FOREIGN, "B", CLOCK], [write])
    able = turns("A:GET B:GET")
    assert letters.clock
    assert [letters.choose(able).actor for _ in range(5)] == ["A", FOREIGN, "B", CLOCK, "B"]
    assert not letters.clock


def test_a_replay_does_not_count_how_often_a_test_asks_at_its_end() -> None:
    """Where one actor is left that repeats its last step, it may do so once more, or once less."""
    for asked in (1, 3):
        replay = Replay(turns("A:GET B:GET B:GET B:DEL"))
        shown = [replay.choose(turns("A:GET B:GET")), *(replay.choose(turns("B:GET")) for _ in range(asked))]
        shown.append(replay.choose(turns("B:DEL")))
        assert [turn.command for turn in shown] == ["GET", *["GET"] * asked, "DEL"]
        assert replay.diverged == ""


def test_a_replay_waits_for_a_step_and_then_says_where_it_was_left() -> None:
    """Another caller that is parked meanwhile does not go before it is too late."""
    replay = Replay(turns("A:GET B:SET A:SET"))
    able = turns("A:GET B:GET")
    assert replay.choose(able).actor == "A"
    assert replay.choose(turns("B:GET")) == WAIT
    assert replay.choose(turns("B:GET"), late=True).actor == "B"
    assert replay.diverged == "step 2: expected B SET key, parked: B GET key"


def test_callers_that_are_alike_exchange_their_names_in_a_replay() -> None:
    """They came in another sequence this time: what each sends tells which it is."""
    replay = Replay([Turn("A", "SET", "key", "SET key one"), Turn("B", "SET", "key", "SET key two")])
    able = [Turn("A", "SET", "key", "SET key two"), Turn("B", "SET", "key", "SET key one")]
    assert replay.choose(able) == able[1]
    assert replay.choose(able[:1]) == able[0]
    assert (replay.diverged, replay.left) == ("", 0)


def test_a_generated_value_may_be_another_in_a_replay() -> None:
    """The rest of the name of an object must be the same."""
    assert Turn("A", "GET", "job:{id:1}").fits(Turn("A", "GET", "job:{id:2}"))
    assert not Turn("A", "GET", "job:{id:1}").fits(Turn("A", "GET", "lock:{id:1}"))


# --- who is whose -------------------------------------------------------------------------------------


@dataclass(eq=False)
class Parked:
    """As much of a parked command as names an actor."""

    channel: str
    text: str
    parked_at: float = 0.0
    actor: str = ""


def named(actors: Actors, parked: dict[str, str], *fresh: Parked) -> list[str]:
    """Name new commands; give the names."""
    actors.name(fresh, parked, lambda frame: frame.text)  # type: ignore[arg-type]  # as much as is asked of them
    return [frame.actor for frame in fresh]


def test_new_callers_are_named_by_what_they_send_and_not_by_when() -> None:
    """So that a replay has the same names."""
    assert named(Actors(), {}, Parked("two", "SET b", 1.0), Parked("one", "SET a", 2.0)) == ["B", "A"]


def test_who_takes_another_connection_is_known_by_causality() -> None:
    """Only who was let go goes on; where it waits elsewhere the connection is somebody new's."""
    actors = Actors()
    assert named(actors, {}, Parked("one", "GET")) == ["A"]
    actors.let_go = "A"
    assert named(actors, {}, Parked("two", "SET")) == ["A"]
    assert named(actors, {"A": "two"}, Parked("three", "GET")) == ["B"]
    assert named(actors, {"A": "two", "B": "three"}, Parked("one", "GET")) == ["C"]


def test_on_a_connection_from_a_pool_shows_who_was_let_go() -> None:
    """Whose command came last there has given it back, and takes the one that is free now."""
    actors = Actors(pooled=True)
    assert named(actors, {}, Parked("one", "GET a"), Parked("two", "GET b")) == ["A", "B"]
    actors.let_go = "A"
    assert named(actors, {}, Parked("two", "PUT")) == ["A"]
    assert named(actors, {"A": "two"}, Parked("one", "PUT")) == ["B"]


def test_commands_behind_one_another_on_a_connection_are_of_one_caller() -> None:
    """A second one does not make a second caller."""
    assert named(Actors(), {}, Parked("one", "GET"), Parked("one", "SET")) == ["A", "A"]


def test_there_are_names_for_more_callers_than_letters() -> None:
    """After Z comes A1."""
    assert [name_of(number) for number in (0, 25, 26, 52)] == ["A", "Z", "A1", "A2"]


# --- smaller, and the nearest that passes -------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_failing_start_is_made_as_small_as_the_runs_allow() -> None:
    """It fails where each reads before the other has written: the shortest beginning is kept, without the clock."""
    ran: list[str] = []

    async def run(chooser: object) -> Ended:
        assert isinstance(chooser, Letters)
        left = {"A": ["GET", "SET"], "B": ["GET", "SET"]}
        done = []
        while any(left.values()):
            able = [Turn(actor, steps[0], "key") for actor, steps in left.items() if steps]
            turn = chooser.choose(able)
            done.append(f"{turn.actor}:{turn.command}" if turn.actor != CLOCK else CLOCK)
            if turn.actor != CLOCK:
                left[turn.actor].pop(0)
        ran.append(" ".join(done))
        at = {step: number for number, step in enumerate(done)}
        return ended(ran[-1], int(at["A:GET"] < at["B:SET"] and at["B:GET"] < at["A:SET"]))

    passing: list[Ended] = []
    best = await small(ended("A:GET clock B:GET A:SET B:SET", 1), run, float("inf"), passing)
    assert [turn.shown for turn in best.turns] == ["A GET key", "B GET key", "B SET key", "A SET key"]
    assert size(best) == (0, 0, 1, 4)
    assert "A:GET A:SET B:GET B:SET" in ran


def test_the_nearest_passing_start_has_most_steps_in_common() -> None:
    """What would have to be otherwise is told by where they part."""
    fails = ended("A:GET B:GET A:SET", 1)
    near, far = ended("A:GET A:SET B:GET"), ended("B:GET A:GET A:SET")
    assert nearest(fails, [far, near]) is near
    assert difference(fails, near) == (1, "passes if A SET key comes before B GET key")
    assert difference(ended("A:GET clock B:GET", 1), ended("A:GET B:GET clock")) == (
        1,
        "passes if the second does not change between A GET key and B GET key",
    )


# --- what is gated, what is answered ------------------------------------------------------------------


def test_what_two_callers_access_and_one_writes_is_gated() -> None:
    """A generated part of its name may be any; what one caller has for itself, or all only read, passes."""

    def took(actor: str, name: str, access: Access) -> Taken:
        return Taken(Turn(actor, "CMD", name), Outcome(), (Touch(name, access),))

    run = Ended(
        taken=[
            took("A", "job:{id:1}", Access.READ),
            took("B", "job:{id:2}", Access.WRITE),
            took("A", "own", Access.WRITE),
            took("A", "config", Access.READ),
            took("B", "config", Access.READ),
        ]
    )
    assert shared_objects([run]) == ("job:*",)
    assert gated((Touch("job:7", Access.READ),), ("job:*",))
    assert gated((Touch("*", Access.WRITE),), ("job:*",))
    assert not gated((Touch("own", Access.WRITE),), ("job:*",))


def test_foreign_writes_are_what_the_suite_writes_and_the_test_does_not() -> None:
    """As often as it writes itself is its own; what deletes comes first, and what can't be repeated is counted."""

    def wrote(text: str, access: Access, *, repeated: bool = True) -> Taken:
        words = tuple(text.split())
        turn = Turn("", words[0], words[1], text)
        return Taken(turn, Outcome(), (Touch(words[1], access),), (), words if repeated else ())

    own = Ended(taken=[wrote("SET job 1", Access.WRITE)])
    suite = [
        wrote("SET job 1", Access.WRITE),
        wrote("SET job 2", Access.WRITE),
        wrote("GET job", Access.READ),
        wrote("DEL job", Access.DELETE),
        wrote("SET other 1", Access.WRITE),
        wrote("EVAL job 3", Access.WRITE, repeated=False),
    ]
    found, left_out = foreign_writes(suite, [own], ("job",))
    assert [turn.foreign for turn in found] == [("DEL", "job"), ("SET", "job", "2")]
    assert left_out == 1


def test_what_can_not_be_reported_is_skipped_by_a_bisection() -> None:
    """125 is what `git bisect run` takes for it."""
    assert [bisect_code(code) for code in (0, 1, 2)] == [0, 1, 125]
    assert Answer("test", reason="it differs").code == 2
