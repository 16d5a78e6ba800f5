"""A search that was interrupted goes on where it stopped: nothing is left out, nothing is run twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from conftest import scenario_of, target_of
from made import hand_made

from stress.explore.dependence import Dependence
from stress.explore.dpor import Dpor
from stress.explore.exhaustive import Exhaustive
from stress.explore.pct import Pct
from stress.explore.starve import Starve
from stress.explore.urw import Urw
from stress.explore.walk import Walk
from stress.journal import Journal, Origin, Recorder
from stress.recorded import Books, Point, Run
from stress.step import Access, Move, Touch
from stress.trace import Answer, Event, Kind, Snapshot, Trace
from stress.worlds.model import ModelWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from stress.explore.base import Explorer

ORIGIN = Origin("5ce7a810", "7a67e700", "wire", "auto", 7)
WORLD = ModelWorld(scenario_of("atomic-hit-count"), target_of("redis-read-modify-write"))
TIMED = ModelWorld(scenario_of("concurrent-duplicates"), target_of("redis-named-by-second"))
MOST = 12
MAKERS: dict[str, Callable[[], Explorer]] = {
    "exhaustive": lambda: Exhaustive(fused=True),
    "dpor": lambda: Dpor(Dependence(fused=True)),
    "walk": lambda: Walk(3, MOST),
    "pct": lambda: Pct(3, MOST),
    "urw": lambda: Urw(3, MOST),
    "surw": lambda: Urw(3, MOST, selective=True),
    "starve": Starve,
}


def run(explorer: Explorer, most: int | None = None, world: ModelWorld = WORLD) -> list[Trace]:
    """Let an explorer run so many orders, or all that it has."""
    found = []
    while (most is None or len(found) < most) and explorer.more():
        found.append(world.run(explorer))
        explorer.learn(found[-1])
    return found


def stories(traces: Sequence[Trace]) -> list[object]:
    """Give what must be the same."""
    return [trace.signature for trace in traces]


def interrupted(
    path: Path, after: int, make: Callable[[], Explorer], world: ModelWorld = WORLD, origin: Origin = ORIGIN
) -> list[Trace]:
    """Run so many orders of a search, and interrupt it."""
    journal = Journal(path, origin)
    found = run(Recorder(make, journal), after, world)
    journal.close(finished=False)
    return found


def resumed(
    path: Path, make: Callable[[], Explorer], world: ModelWorld = WORLD, origin: Origin = ORIGIN
) -> tuple[list[Trace], list[Trace]]:
    """Go on with a search to its end; give the traces that it was fed with, and those that it ran."""
    journal = Journal(path, origin)
    recorder = Recorder(make, journal)
    fed = list(recorder.feed())
    assert recorder.fed == len(fed)
    ran = run(recorder, None, world)
    journal.close(finished=False)
    return fed, ran


# --- going on ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAKERS)
def test_a_search_interrupted_anywhere_runs_each_order_once(kind: str, tmp_path: Path) -> None:
    """Wherever it stops, what it was fed with and what it runs after that are the orders of one search."""
    make = MAKERS[kind]
    whole = stories(run(make()))
    assert len(whole) == {"exhaustive": 20, "dpor": 6, "starve": 3}.get(kind, MOST)
    for stop in range(1, len(whole) + 1):
        path = tmp_path / f"{stop}.ndjson"
        interrupted(path, stop, make)
        fed, ran = resumed(path, make)
        assert (stories(fed), stories(ran)) == (whole[:stop], whole[stop:])


def test_a_search_is_interrupted_again_and_again(tmp_path: Path) -> None:
    """One order at a time: each time it goes on, and the file holds all of them."""
    make, found = MAKERS["exhaustive"], list[Trace]()
    for _ in range(20):
        journal = Journal(tmp_path / "journal", ORIGIN)
        recorder = Recorder(make, journal)
        assert stories(list(recorder.feed())) == stories(found)
        found += run(recorder, 1)
        journal.close(finished=False)
    assert stories(found) == stories(run(make()))
    assert recorder.explorer.exhausted


def test_what_an_explorer_knows_is_what_it_would_know(tmp_path: Path) -> None:
    """Fed with half of its search and run to the end, it has counted and exhausted what it would have."""
    make = MAKERS["dpor"]
    interrupted(tmp_path / "journal", 3, make)
    journal = Journal(tmp_path / "journal", ORIGIN)
    recorder = Recorder(lambda: Dpor(Dependence(fused=True)), journal)
    assert len(list(recorder.feed())) == 3
    assert (recorder.explorer.orders, recorder.explorer.exhausted) == (3, False)
    run(recorder)
    assert (recorder.explorer.orders, recorder.explorer.explored, recorder.explorer.exhausted) == (6, 6, True)
    journal.close(finished=True)


def test_without_a_journal_nothing_is_kept_or_fed() -> None:
    """The explorer runs as it would by itself."""
    recorder = Recorder(MAKERS["walk"])
    assert list(recorder.feed()) == []
    assert stories(run(recorder)) == stories(run(MAKERS["walk"]()))


def test_explorers_come_one_after_another(tmp_path: Path) -> None:
    """Interrupted in its third part, a search goes through the first two without running anything.

    The first was left before its end: it is not begun again.
    """
    makers = [MAKERS[kind] for kind in ("walk", "exhaustive", "pct")]
    parts = [4, 20, 5]
    journal = Journal(tmp_path / "journal", ORIGIN)
    ran = [run(Recorder(make, journal), most) for make, most in zip(makers, parts, strict=True)]
    journal.close(finished=False)
    journal = Journal(tmp_path / "journal", ORIGIN)
    for make, before, more in zip(makers, ran, (0, 0, MOST - 5), strict=True):
        recorder = Recorder(make, journal)
        assert stories(list(recorder.feed())) == stories(before)
        assert len(run(recorder)) == more
    journal.close(finished=False)
    assert recorded_parts(tmp_path / "journal") == [1] * 4 + [2] * 20 + [3] * MOST


def recorded_parts(path: Path) -> list[int]:
    """Read of which explorer each run in a file is."""
    return [json.loads(line)["run"][0] for line in path.read_bytes().splitlines()[1:]]


def test_what_was_run_of_a_later_part_is_dropped_when_an_earlier_one_goes_another_way(tmp_path: Path) -> None:
    """The first explorer differs at its third order: from there on all is run anew, also of the second explorer."""
    first, second = MAKERS["walk"], MAKERS["exhaustive"]
    journal = Journal(tmp_path / "journal", ORIGIN)
    for make in (first, second):
        run(Recorder(make, journal))
    journal.close(finished=False)
    journal = Journal(tmp_path / "journal", ORIGIN)
    recorder = Recorder(lambda: Turning(2), journal)
    assert len(list(recorder.feed())) == 2
    assert len(run(recorder, 3)) == 3
    recorder = Recorder(second, journal)
    assert list(recorder.feed()) == []
    journal.close(finished=False)
    assert recorded_parts(tmp_path / "journal") == [1] * 5


def test_what_was_run_of_a_later_part_is_dropped_when_an_earlier_one_goes_on(tmp_path: Path) -> None:
    """Whoever does not look beyond its own runs, and runs another, leaves nothing to feed the next with."""
    journal = Journal(tmp_path / "journal", ORIGIN)
    for make, most in ((MAKERS["walk"], 2), (MAKERS["exhaustive"], 3)):
        run(Recorder(make, journal), most)
    journal.close(finished=False)
    journal = Journal(tmp_path / "journal", ORIGIN)
    recorder = Recorder(MAKERS["walk"], journal)
    assert len(list(islice(recorder.feed(), 2))) == 2
    run(recorder, 1)
    assert list(Recorder(MAKERS["exhaustive"], journal).feed()) == []
    journal.close(finished=False)
    assert recorded_parts(tmp_path / "journal") == [1] * 3


class Turning(Walk):
    """A walk that draws otherwise after so many orders."""

    def __init__(self, orders: int) -> None:
        """Begin as the other walks do."""
        super().__init__(3, MOST)
        self._same = orders

    def more(self) -> bool:
        """Turn at the right time."""
        if self.orders == self._same:
            self._random.seed(4)
        return super().more()


@pytest.mark.parametrize("same", [0, 1, 5])
def test_an_explorer_that_differs_has_taken_in_what_came_before(same: int, tmp_path: Path) -> None:
    """It is fed up to its first other choice, and goes on as if it had run those orders; the rest is dropped."""
    path = tmp_path / "journal"
    interrupted(path, MOST, MAKERS["walk"])
    whole = stories(run(Turning(same)))
    fed, ran = resumed(path, lambda: Turning(same))
    assert (len(fed), stories(fed + ran)) == (same, whole)
    fed, ran = resumed(path, lambda: Turning(same))
    assert (stories(fed), ran) == (whole, [])


def test_an_explorer_with_fewer_orders_is_fed_with_those(tmp_path: Path) -> None:
    """Where it wants no more than three, the others are dropped."""
    interrupted(tmp_path / "journal", MOST, MAKERS["walk"])
    fed, ran = resumed(tmp_path / "journal", lambda: Walk(3, 3))
    assert (len(fed), len(ran)) == (3, 0)


def test_what_an_explorer_was_told_about_the_time_is_told_again(tmp_path: Path) -> None:
    """The turn of the clock came after ten orders; whatever the time is now, the search goes on as it would have."""

    def make(turn: Callable[[], bool]) -> Exhaustive:
        return Exhaustive(fused=True, clock_apart=True, clock_turn=turn)

    def counting() -> Callable[[], bool]:
        asked = iter(range(1000))
        return lambda: next(asked) >= 10

    whole = stories(run(make(counting()), 30, TIMED))
    journal = Journal(tmp_path / "journal", ORIGIN)
    turn = journal.asked(counting())
    run(Recorder(lambda: make(turn), journal), 15, TIMED)
    journal.close(finished=False)
    journal = Journal(tmp_path / "journal", ORIGIN)
    late = journal.asked(lambda: True)
    recorder = Recorder(lambda: make(late), journal)
    assert stories(list(recorder.feed())) == whole[:15]
    assert stories(run(recorder, 15, TIMED)) == whole[15:]
    journal.close(finished=False)


@pytest.mark.parametrize("asks", [0, 2])
def test_another_number_of_questions_is_a_difference(asks: int, tmp_path: Path) -> None:
    """An explorer that asks for the time more or less often than before is not fed with that run."""

    class Asking(Walk):
        def __init__(self, journal: Journal, questions: int) -> None:
            super().__init__(3, MOST)
            self._turn, self._questions = journal.asked(lambda: True), questions

        def more(self) -> bool:
            return {self._turn() for _ in range(self._questions)} <= {True} and super().more()

    journal = Journal(tmp_path / "journal", ORIGIN)
    run(Recorder(lambda: Asking(journal, 1), journal), 2)
    journal.close(finished=False)
    journal = Journal(tmp_path / "journal", ORIGIN)
    assert list(Recorder(lambda: Asking(journal, asks), journal).feed()) == []
    journal.close(finished=False)


# --- the file ----------------------------------------------------------------------------------------


def test_a_trace_is_read_as_it_was_written() -> None:
    """Everything in it, times to the microsecond; so checks and reports say the same of it."""
    touches = (Touch("k", Access.READ), Touch("*", Access.CREATE))
    events = [
        Event(0, Kind.START, "A", "start", parked=0.1, replied=0.123456),
        Event(1, Kind.STEP, "A", "GET", "k", "GET k\x00\udcff", "nil", touches, 1, 0.1, 0.2, 0.3),
        Event(2, Kind.ENVIRONMENT, "clock", "clock"),
    ]
    answers = [
        Answer("A", 201, "rr-1", 1, 0, 2, created=True, duplicate=False, incarnations=(0, 1), body="{}"),
        Answer("B", 0, None, None, 0, 2, created=False, duplicate=False, error="reset"),
    ]
    states = [Snapshot(None, None, "expiry"), Snapshot(("r", "s"), {"r": 1, "s": None})]
    trace = replace(hand_made(events, answers, states), moves=(Move("A", "GET", "k", 2),), fault="f", crossed_second=3)
    points = [Point((Move("A", "GET", "k", 2), Move("B", "start", "")), done=False, chosen=Move("A", "GET", "k", 2))]
    points.append(Point((Move("clock", "clock", ""),), done=True, chosen=None))
    writing, reading = Books(), Books()
    for _ in range(2):
        read = reading.read(writing.write(Run(2, "walk", points, [True, False], trace)))
        assert (read.part, read.name, read.points, read.answers) == (2, "walk", points, [True, False])
        other = read.trace
        assert (other.events, other.answers, other.incarnations) == (tuple(events), tuple(answers), tuple(states))
        assert replace(other, details=trace.details) == trace


def test_a_line_that_is_no_run_leaves_the_numbers_as_they_were() -> None:
    """What it names does not count, so that the lines that are written after it can be read."""
    books = Books()
    with pytest.raises(ValueError, match="not a run"):
        books.read(b'{"run": [1, "walk", []], "new": [[["A", "GET", "k", 1]], []], "points": [[7, 0]]}\n')
    assert books.mark() == (0, 0)


def test_what_was_named_once_is_a_number_after_that(tmp_path: Path) -> None:
    """A journal is small: a run like those before takes less than half the line of the first."""
    interrupted(tmp_path / "journal", 20, MAKERS["exhaustive"])
    lines = (tmp_path / "journal").read_bytes().splitlines()
    assert len(lines) == 21
    assert len(lines[20]) < len(lines[1]) / 2


@pytest.mark.parametrize(
    "other",
    [
        ORIGIN._replace(scenario="another"),
        ORIGIN._replace(target="another"),
        ORIGIN._replace(world="model"),
        ORIGIN._replace(explorer="walk"),
        ORIGIN._replace(seed=8),
    ],
)
def test_runs_of_another_search_are_not_used(other: Origin, tmp_path: Path) -> None:
    """Where the scenario, the target, the world, the explorer or the seed differs, the search begins anew."""
    make = MAKERS["walk"]
    interrupted(tmp_path / "journal", 5, make)
    fed, ran = resumed(tmp_path / "journal", make, origin=other)
    assert (fed, len(ran)) == ([], MOST)
    assert len(resumed(tmp_path / "journal", make, origin=other)[0]) == MOST


@pytest.mark.parametrize("key", ["gateway-stress journal", "version"])
def test_runs_of_another_version_are_not_used(key: str, tmp_path: Path) -> None:
    """Neither of another format, nor of another gateway-stress, whose explorers may choose otherwise."""
    path = tmp_path / "journal"
    interrupted(path, 5, MAKERS["walk"])
    head, _, rest = path.read_bytes().partition(b"\n")
    path.write_bytes(json.dumps({**json.loads(head), key: "0"}).encode() + b"\n" + rest)
    assert resumed(path, MAKERS["walk"])[0] == []


def test_a_fresh_search_replaces_what_is_there(tmp_path: Path) -> None:
    """Asked for, nothing is fed, and the file has the runs of the new search alone."""
    path = tmp_path / "journal"
    interrupted(path, 5, MAKERS["walk"])
    journal = Journal(path, ORIGIN, fresh=True)
    recorder = Recorder(MAKERS["walk"], journal)
    assert list(recorder.feed()) == []
    run(recorder, 2)
    journal.close(finished=False)
    assert len(resumed(path, MAKERS["walk"])[0]) == 2


def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    """Killed at any byte of a line, the search goes on after the run before, and the file is whole again."""
    path, make = tmp_path / "journal", MAKERS["walk"]
    whole = stories(run(make()))
    interrupted(path, 3, make)
    text = path.read_bytes()
    begin = text.rindex(b"\n", 0, -1) + 1
    for cut in (begin + 1, (begin + len(text)) // 2, len(text) - 1):
        path.write_bytes(text[:cut])
        fed, ran = resumed(path, make)
        assert (len(fed), stories(fed + ran)) == (2, whole)
        assert len(resumed(path, make)[0]) == MOST


@pytest.mark.parametrize(
    "line", [b"{}\n", b"[]\n", b"\xff\n", b"\n", b'{"run": 1, "new": [[], []], "points": [[9]]}\n']
)
def test_what_is_no_run_ends_the_file(line: bytes, tmp_path: Path) -> None:
    """Whatever stands there, what came before it is used, and nothing after it."""
    path = tmp_path / "journal"
    interrupted(path, 3, MAKERS["walk"])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], line, lines[3]]))
    assert len(resumed(path, MAKERS["walk"])[0]) == 2


def test_the_file_is_written_at_most_once_a_second(tmp_path: Path) -> None:
    """Nothing is there in the first second; after it what was run until then, also while an order is under way."""
    now = [100.0]
    path = tmp_path / "folder" / "journal"
    journal = Journal(path, ORIGIN, clock=lambda: now[0])
    recorder = Recorder(MAKERS["walk"], journal)
    run(recorder, 2)
    assert not path.exists()
    now[0] = 101.0
    recorder.more()
    recorder.choose([Move("A", "start", "")], done=False)
    assert len(recorded_parts(path)) == 2
    run(recorder, 3)
    now[0] = 101.9
    run(recorder, 1)
    assert len(recorded_parts(path)) == 2
    now[0] = 102.0
    run(recorder, 1)
    assert len(recorded_parts(path)) == 6
    journal.close(finished=False)


def test_a_search_that_ends_by_itself_leaves_nothing(tmp_path: Path) -> None:
    """Its file is removed, and the folder if nothing else is in it; a short one has never made them."""
    path = tmp_path / "folder" / "journal"
    journal = Journal(path, ORIGIN)
    run(Recorder(MAKERS["walk"], journal))
    journal.close(finished=True)
    assert list(tmp_path.iterdir()) == []
    interrupted(path, 3, MAKERS["walk"])
    Journal(path, ORIGIN).close(finished=True)
    assert list(tmp_path.iterdir()) == []
    interrupted(path, 3, MAKERS["walk"])
    (tmp_path / "folder" / "other").write_text("")
    Journal(path, ORIGIN).close(finished=True)
    assert [one.name for one in (tmp_path / "folder").iterdir()] == ["other"]


def test_two_searches_never_write_to_one_file(tmp_path: Path) -> None:
    """While one is under way, the other is fed with nothing, keeps nothing, removes nothing, and says why."""
    path = tmp_path / "journal"
    interrupted(path, 3, MAKERS["walk"])
    first, second = Journal(path, ORIGIN), Journal(path, ORIGIN)
    recorder = Recorder(MAKERS["walk"], second)
    assert list(recorder.feed()) == []
    assert len(run(recorder)) == MOST
    second.close(finished=True)
    assert second.trouble == f"a search that is interrupted can't go on: {path}: another search keeps its runs there"
    assert len(list(Recorder(MAKERS["walk"], first).feed())) == 3
    first.close(finished=False)
    assert first.trouble == ""


def test_a_disk_that_refuses_ends_the_journal_and_not_the_search(tmp_path: Path) -> None:
    """A file stands where the folder must be: all orders are run, and the trouble is told."""
    (tmp_path / "folder").write_text("")
    journal = Journal(tmp_path / "folder" / "journal", ORIGIN)
    assert len(run(Recorder(MAKERS["walk"], journal))) == MOST
    journal.close(finished=False)
    begin = "a search that is interrupted can't go on: [Errno 17] File exists: "
    assert journal.trouble == f"{begin}'{tmp_path / 'folder'}'"


def test_the_ends_are_the_first_and_the_last_run(tmp_path: Path) -> None:
    """They can be run again, to see whether the Gateway is what it was; to look at them takes nothing from the file."""
    path = tmp_path / "journal"
    found = stories(interrupted(path, 5, MAKERS["walk"]))
    journal = Journal(path, ORIGIN)
    assert stories(journal.ends()) == [found[0], found[-1]]
    assert len(list(Recorder(MAKERS["walk"], journal).feed())) == 5
    assert journal.ends() == []
    journal.close(finished=True)
    interrupted(path, 1, MAKERS["walk"])
    journal = Journal(path, ORIGIN)
    assert stories(journal.ends()) == found[:1]
    journal.close(finished=True)


def test_what_is_forgotten_is_replaced(tmp_path: Path) -> None:
    """Nothing is fed, and the file has the runs of the new search alone."""
    path = tmp_path / "journal"
    interrupted(path, 5, MAKERS["walk"])
    journal = Journal(path, ORIGIN)
    journal.forget()
    recorder = Recorder(MAKERS["walk"], journal)
    assert list(recorder.feed()) == []
    run(recorder, 2)
    journal.close(finished=False)
    assert len(resumed(path, MAKERS["walk"])[0]) == 2


def test_whoever_stops_taking_in_runs_loses_none(tmp_path: Path) -> None:
    """A search that ends while it is fed leaves the file as it was, unless it runs something else."""
    path = tmp_path / "journal"
    interrupted(path, 5, MAKERS["walk"])
    before = path.read_bytes()
    journal = Journal(path, ORIGIN)
    assert len(list(islice(Recorder(MAKERS["walk"], journal).feed(), 2))) == 2
    journal.close(finished=False)
    assert path.read_bytes() == before


KILLED = """
import os, signal, sys
from pathlib import Path
from stress.explore.walk import Walk
from stress.formats import find
from stress.journal import Journal, Origin, Recorder
from stress.scenario import Scenario
from stress.target import Target
from stress.worlds.model import ModelWorld
now = [0.0]
recorder = Recorder(lambda: Walk(3, 12), Journal(Path(sys.argv[1]), Origin(*sys.argv[2:6], 7), clock=lambda: now[0]))
world = ModelWorld(
    Scenario.load(find("atomic-hit-count", "")), Target.load(find("redis-read-modify-write", "targets"))
)
for at in (0.0, 0.5, 1.0, 1.5, 1.9):
    now[0] = at
    recorder.more()
    recorder.learn(world.run(recorder))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_search_that_is_killed_loses_its_last_second(tmp_path: Path) -> None:
    """Killed with SIGKILL after five orders, two of which had ended before the last time something was written."""
    path = tmp_path / "journal"
    done = subprocess.run([sys.executable, "-c", KILLED, path, *ORIGIN[:4]], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    fed, ran = resumed(path, MAKERS["walk"])
    assert (len(fed), stories(fed + ran)) == (2, stories(run(MAKERS["walk"]())))
