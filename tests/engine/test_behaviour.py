"""What requests do after equal observations: different steps show that they share more than the store."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from stress.core.step import REPLY, START, Move
from stress.core.trace import Details, Event, Kind, Snapshot, Trace
from stress.engine.behaviour import Behaviour

if TYPE_CHECKING:
    from collections.abc import Sequence


class Line(NamedTuple):
    """One event of a run: who, what, its reply; ``behind`` says that it was parked before the last of this actor.

    ``full`` is what it says in full, where the reply is a short form.
    """

    actor: str
    command: str
    object: str = ""
    reply: str = ""
    kind: Kind = Kind.STEP
    behind: bool = False
    full: str = ""


def starts(actor: str) -> Line:
    """Send a request."""
    return Line(actor, START, kind=Kind.START)


def answered(actor: str, status: int = 201) -> Line:
    """Answer a request."""
    return Line(actor, str(status), kind=Kind.ANSWER)


def run(*lines: Line, fault: str = "", crossed: int | None = None, symbols: dict[str, str] | None = None) -> Trace:
    """Make the trace of one run; an event a second. ``symbols`` are what made-up names stand for."""
    events = [
        Event(
            at,
            line.kind,
            line.actor,
            line.command,
            line.object,
            f"{line.command} {line.object}".rstrip(),
            line.reply,
            parked=0.0 if line.behind else at + 0.1,
            replied=at + 0.2,
            observed=line.full,
        )
        for at, line in enumerate(lines)
    ]
    moves = [Move(one.actor, one.command, one.object) for one in lines if one.kind in (Kind.START, Kind.STEP)]
    details = partial(Details, (), (Snapshot(None, None),), events)
    return Trace("live", "f", "p", 2, moves, details, fault, crossed_second=crossed, symbols=symbols or {})


def differs(*runs: Trace) -> str:
    """Give what a table of these runs says."""
    table = Behaviour()
    for trace in runs:
        table.take(trace)
    return table.contradiction


READ = Line("A", "GET", "k", "nil")


def test_two_steps_after_the_same_reply_are_named_with_both_schedules() -> None:
    """A cache in the process answers the second of two requests that saw the same."""
    cached = run(starts("A"), READ, answered("A"), starts("B"), READ._replace(actor="B"), answered("B", 202))
    assert differs(cached) == ("after GET k -> nil, A is answered 201 in `A A B B`, but B is answered 202 in `A A B B`")


def test_a_different_reply_explains_a_different_step() -> None:
    """What follows a reply that is not the same is a function of the reply."""
    received = READ._replace(actor="B", reply="1")
    assert differs(run(starts("A"), READ, answered("A"), starts("B"), received, answered("B", 202))) == ""


def test_names_are_compared_from_the_side_of_who_meets_them() -> None:
    """The lock that B made and reads again is to B what A's is to A, whatever number each has in the run."""

    def locks(actor: str, own: str, found: str, status: int) -> tuple[Line, ...]:
        return starts(actor), Line(actor, f"SET l {own}"), Line(actor, "GET", "l", found), answered(actor, status)

    alike = run(*locks("A", "{id:1}", "{id:1}", 201), *locks("B", "{id:2}", "{id:2}", 201))
    foreign = run(*locks("A", "{id:1}", "{id:1}", 201), *locks("B", "{id:2}", "{id:1}", 423))
    assert differs(alike, foreign) == ""
    marked = run(*locks("A", "{fresh}-A", "{fresh}-A", 201), *locks("B", "{fresh}-B", "{fresh}-A", 423))
    assert differs(marked) == ""
    assert differs(alike, run(*locks("A", "{id:1}", "{id:1}", 423))).startswith("after GET l -> {id:1}, A is answered")


def test_what_the_wire_does_not_show_ends_the_observations() -> None:
    """Nothing follows from a request that was blocked, tried again, had two commands under way, or worked on."""
    other = READ._replace(command="TTL")
    waits = Line("B", "blocked", kind=Kind.BLOCKED)
    plain = run(starts("A"), READ, answered("A"))
    for one in (
        run(starts("A"), waits, READ, answered("A", 503)),
        run(starts("A"), other._replace(behind=True), READ, answered("A", 503)),
        run(starts("A"), READ, answered("A", 503), other),
        run(starts("A"), Line("client:A", "hang-up", kind=Kind.ENVIRONMENT), READ, answered("A", 503)),
        run(starts("A"), READ, answered("A", 503), fault="store lost"),
        run(starts("A"), READ, answered("A", 503), crossed=1),
        run(starts("A"), Line("A", "BLPOP", "q", "x"), READ, answered("A", 503)),
    ):
        assert differs(plain, one) == ""
    timed = READ._replace(reply="{time}")
    assert differs(run(starts("A"), timed, other, answered("A")), run(starts("A"), timed, answered("A"))) == ""
    repeat = run(starts("A"), READ, READ, READ, answered("A", 503))
    assert differs(repeat, run(starts("A"), READ, READ, answered("A"))) == ""


def test_the_clock_and_messages_are_observed() -> None:
    """What comes after a move of the clock, or after a message from the store, may be something else."""
    plain = run(starts("A"), READ, answered("A"))
    for seen in (Line("clock", "clock", kind=Kind.ENVIRONMENT), Line("B", "MESSAGE", "done")):
        assert differs(plain, run(starts("A"), READ, seen, answered("A", 202))) == ""


GET = Line("A", "get", "alerts/a", "200 a")


def test_what_the_replica_received_is_observed() -> None:
    """An event of a watch of the replica, before the request too, may fill a cache; one of another replica may not."""
    plain = run(starts("A"), GET, answered("A"))
    received = Line("watch:1", "ADDED", "alerts/a", full="{name: a}")
    late = run(starts("A"), GET, received, answered("A", 202))
    assert differs(plain, late) == ""
    assert differs(plain, run(received, starts("A"), GET, answered("A", 202))) == ""
    other = run(starts("A"), GET, received._replace(full="{name: a phase: Done}"), answered("A", 409))
    assert differs(plain, late, other) == ""
    assert differs(late, run(starts("A"), GET, received, answered("A", 409))) == (
        "after ADDED alerts/a, A is answered 202 in `A A watch:1`, but A is answered 409 in `A A watch:1`"
    )
    elsewhere = run(starts("A"), GET, received._replace(actor="watch:2"), answered("A", 202))
    assert differs(plain, elsewhere) == (
        "after get alerts/a -> 200 a, A is answered 201 in `A A`, but A is answered 202 in `A A watch:2`"
    )


def test_a_reply_in_full_is_what_is_compared() -> None:
    """Two objects of one name differ in what the short form leaves out; versions are compared, not read."""
    pending = GET._replace(full="{phase: Pending version: {version:41}}")
    done = GET._replace(full="{phase: Done version: {version:41}}")
    newer = GET._replace(full="{phase: Pending version: {version:52}}")
    first, repeat = (run(starts("A"), one, answered("A", status)) for one, status in ((pending, 201), (newer, 202)))
    assert differs(first, run(starts("A"), done, answered("A", 202))) == ""
    assert (
        differs(first, repeat)
        == "after get alerts/a -> 200 a, A is answered 201 in `A A`, but A is answered 202 in `A A`"
    )
    changed = [run(starts("A"), pending, newer, answered("A", 202)), run(starts("A"), newer, newer, answered("A"))]
    assert differs(*changed) == ""
    unread = GET._replace(full="***")
    assert differs(run(starts("A"), unread, answered("A")), run(starts("A"), unread, answered("A", 202))) == ""


def test_a_reply_that_is_a_step_of_its_own_is_observed_and_no_choice() -> None:
    """What the replica receives before the reply comes is observed before it."""
    write, reply = Line("A", "create", "alerts/a", "201 a"), Line("A", REPLY, "alerts/a", "201", behind=True)
    received = Line("watch:1", "ADDED", "alerts/a", full="{name: a}")
    before = run(starts("A"), write, received, reply, answered("A"))
    after = run(starts("A"), write, reply, received, answered("A", 202))
    assert differs(before, after, run(starts("A"), write, reply, answered("A", 409))) == ""
    assert differs(before, run(starts("A"), write, received, reply, answered("A", 202))).startswith(
        "after reply alerts/a, A"
    )


def test_made_up_values_are_compared_as_a_request_may_compare_them() -> None:
    """Who has the lowest of random names goes on, without sharing more: numbers by size, other values as texts."""

    def claims(own: str, other: str, status: int) -> Trace:
        found = Line("A", "SMEMBERS", "claims", "[{id:1} {id:2}]")
        symbols = {"{id:1}": own, "{id:2}": other}
        return run(starts("A"), Line("A", "SADD", "claims {id:1}"), found, answered("A", status), symbols=symbols)

    assert differs(claims("aa", "bb", 201), claims("cc", "bb", 202)) == ""
    assert differs(claims("9", "10", 201), claims("11", "10", 202)) == ""
    assert differs(claims("aa", "bb", 201), claims("bb", "cc", 202)) != ""
    assert differs(claims("9", "10", 201), claims("10", "11", 202)) != ""


def test_what_is_nested_too_deeply_to_be_shown_ends_the_observations() -> None:
    """Two replies that look alike may differ in what is left out."""
    deep = READ._replace(reply="[[...]]")
    assert differs(run(starts("A"), deep, answered("A")), run(starts("A"), deep, answered("A", 202))) == ""


def test_another_name_of_the_object_counts_once_the_first_comes_back() -> None:
    """An object whose name holds the minute never comes back; one that alternates does."""

    def names(window: str) -> Trace:
        return run(starts("A"), Line("A", "INCR", f"rate:{window}", "1"), answered("A"))

    assert differs(names("a"), names("a"), names("b"), names("b"), names("c")) == ""
    assert differs(names("a"), names("b"), names("a")) == (
        "after its start, A has INCR rate:a in `A A`, but A has INCR rate:b in `A A`"
    )


@given(
    st.dictionaries(st.tuples(st.text("xy", max_size=3)), st.sampled_from(["GET k", "SET k", "INCR k", "201"])),
    st.lists(st.tuples(st.permutations("AAAAABBBBB"), st.lists(st.sampled_from("xy"), min_size=10, max_size=10))),
)
def test_a_function_of_what_it_observes_never_contradicts_itself(
    program: dict[tuple[str], str], runs: Sequence[tuple[Sequence[str], Sequence[str]]]
) -> None:
    """Whatever the replies and the schedule, requests that do what a function of their replies says pass."""

    def lines(schedule: Sequence[str], replies: Sequence[str]) -> list[Line]:
        seen: dict[str, str] = {}
        over: set[str] = set()
        made = []
        for actor, reply in zip(schedule, replies, strict=True):
            if actor not in seen:
                seen[actor] = ""
                made.append(starts(actor))
            elif actor not in over:
                command = program.get((seen[actor],), "202")
                if command.isdigit():
                    over.add(actor)
                    made.append(answered(actor, int(command)))
                else:
                    made.append(Line(actor, *command.split(), reply))
                    seen[actor] += reply
        return made

    assert differs(*(run(*lines(schedule, replies)) for schedule, replies in runs)) == ""
