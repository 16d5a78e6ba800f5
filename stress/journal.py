"""What a search ran, kept so that one that was interrupted goes on where it stopped.

An explorer is determined by its seed and by what it was offered and told. So nothing of its own is kept, but each of
its runs: what was possible at each point, what it chose, and the trace. Fed with them, a new explorer stands where the
old one stood, and whoever judges orders judges the same traces again. A file has one line for each run, after a head
that says what was searched: where anything differs, nothing of it is used.

    explorer <--> Recorder <--> world        each run, as it ends --> Journal --> file
    explorer <--- Recorder.feed <--- Journal <--- file                before the first new run
"""

from __future__ import annotations

import fcntl
import json
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Generic, NamedTuple, TypeVar

from stress import __version__
from stress.explore.base import Diverged, Explorer
from stress.recorded import Books, Point, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from stress.step import Move
    from stress.trace import Trace

VERSION = 1
"""Version of the format; a file of another one is not used."""
FLUSH_SECONDS = 1.0
"""What is lost at most when the process is killed: what it ran in the last second, and what is not yet learned."""
_MOST_BYTES = 256 * 1024 * 1024

Of = TypeVar("Of", bound=Explorer)


class Origin(NamedTuple):
    """What is searched, and how: the digests of scenario and target, the world, the explorer and its seed."""

    scenario: str
    target: str
    world: str
    explorer: str
    seed: int

    def line(self) -> bytes:
        """Give the first line of a file."""
        head = {"gateway-stress journal": VERSION, "version": __version__, **self._asdict()}
        return json.dumps(head).encode() + b"\n"


class _Different(Exception):
    """A run goes another way than it was recorded."""


class Journal:
    """The runs of one search in a file, which is made after a second, and not at all where the search ends before.

    The file is locked, so that two searches never write to the same one: the second keeps no journal. Nor does one
    whose disk refuses it; ``trouble`` says so. With ``fresh`` what is there is not used.

    ``clock`` gives seconds.
    """

    def __init__(
        self, path: Path, origin: Origin, *, fresh: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Open what is there; the head decides whether it is used."""
        self._path, self._origin, self._clock = path, origin, clock
        self._books = Books()
        self._waiting: list[bytes] = []
        self._flushed = clock()
        self._parts = self._kept = 0
        self._answers: list[bool] = []
        self._recorded: list[bool] | None = None
        self._adding = False
        self._usable = True
        self.trouble = ""
        self._file = self._open("r+b") if path.exists() else None
        if self._file is not None and not fresh and self._file.readline() == origin.line():
            self._kept = len(origin.line())

    def asked(self, question: Callable[[], bool]) -> Callable[[], bool]:
        """Wrap a question of an explorer whose answer depends on the time: when fed it gets the recorded answer."""

        def answer() -> bool:
            if self._recorded is None:
                self._answers.append(question())
                return self._answers[-1]
            if not self._recorded:
                raise _Different
            return self._recorded.pop(0)

        return answer

    def ends(self) -> list[Trace]:
        """Give the first and the last trace that are there, to see whether their orders still lead to the same."""
        found: list[Trace] = []
        begin = self.place()
        while (run := self._next()) is not None:
            found[1:] = [run.trace]
        self.back(begin)
        return found

    def forget(self) -> None:
        """Use nothing of what is there."""
        self.back((0, (0, 0)))

    def part(self) -> int:
        """Count the explorers of the search, which come one after another."""
        self._parts += 1
        return self._parts

    def runs(self, part: int, name: str) -> Iterator[Run]:
        """Give the runs of an explorer that are next in the file; each that is taken stays in the file."""
        while True:
            place = self.place()
            run = self._next()
            if run is None or (run.part, run.name) != (part, name):
                self.back(place)
                return
            yield run

    def beyond(self, part: int) -> bool:
        """Tell whether what is next in the file is of a later explorer."""
        place = self.place()
        run = self._next()
        self.back(place)
        return run is not None and run.part > part

    def replay(self, answers: Sequence[bool] | None) -> bool:
        """Begin to give recorded answers, or to ask again (None); tell whether all recorded ones were asked for."""
        spent = not self._recorded
        self._recorded = None if answers is None else list(answers)
        return spent

    def place(self) -> tuple[int, tuple[int, int]]:
        """Say where the next run stands, to come back to it."""
        return self._kept, self._books.mark()

    def back(self, place: tuple[int, tuple[int, int]]) -> None:
        """Go back to an earlier place."""
        self._kept = place[0]
        self._books.cut(place[1])

    def begin(self) -> None:
        """Begin a run: what was asked before belongs to none."""
        self._answers = []

    def add(self, part: int, name: str, points: Sequence[Point], trace: Trace) -> None:
        """Take in a run that has ended."""
        self._adding = True  # what is left in the file is dropped
        if not self._usable:
            return
        self._waiting.append(self._books.write(Run(part, name, points, self._answers, trace)))
        self.tick()

    def tick(self) -> None:
        """Write what waits, if the last time was a second ago."""
        if self._waiting and self._clock() - self._flushed >= FLUSH_SECONDS:
            self._flush()

    def close(self, *, finished: bool) -> None:
        """Write what waits; a search that has ``finished`` has nothing to go on with, so its file is removed."""
        if self._waiting and not finished:
            self._flush()
        if self._file is None:
            return
        if finished:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
                self._path.parent.rmdir()  # only where nothing else is in it
        self._file.close()

    def _flush(self) -> None:
        self._flushed = self._clock()
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._open("x+b")
            if self._file is not None:
                lines = [*([] if self._kept else [self._origin.line()]), *self._waiting]
                self._file.seek(self._kept)
                self._file.truncate()
                self._kept += self._file.write(b"".join(lines))
                self._file.flush()
        except OSError as error:
            self._give_up(str(error))
        self._waiting.clear()
        if self._kept > _MOST_BYTES:
            self._usable = False  # what was run until here is enough to go on from

    def _open(self, mode: str) -> IO[bytes] | None:
        file = None
        try:
            file = self._path.open(mode)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if file is not None:
                file.close()
            busy = isinstance(error, BlockingIOError)
            self._give_up(f"{self._path}: another search keeps its runs there" if busy else str(error))
            return None
        return file

    def _give_up(self, trouble: str) -> None:
        self._usable, self.trouble = False, f"a search that is interrupted can't go on: {trouble}"

    def _next(self) -> Run | None:
        """Read the run that is next and step behind it; None where there is none, or only a part of one."""
        if self._file is None or not self._kept or self._adding:
            return None
        self._file.seek(self._kept)
        line = self._file.readline()
        try:
            run = self._books.read(line)
        except ValueError:  # the process was killed while it wrote
            return None
        self._kept += len(line)
        return run


class Recorder(Generic[Of]):
    """An explorer whose runs are kept in a journal, and that first takes in those that are there.

    ``make`` makes the explorer: always the same one. Without a ``journal`` nothing is kept. It must be used as a world
    does, one run after another. ``explorer`` is the one inside, which is another one after `feed`; ``fed`` counts the
    runs that it was fed with.
    """

    def __init__(self, make: Callable[[], Of], journal: Journal | None = None) -> None:
        """Make the explorer."""
        self._make, self._journal = make, journal
        self.explorer = make()
        self.name = self.explorer.name
        self.fed = 0
        self._part = 0 if journal is None else journal.part()
        self._points: list[Point] = []
        self._over = False

    def feed(self) -> Iterator[Trace]:
        """Let the explorer make the recorded runs, and give the trace of each to be judged again.

        At the first choice that differs this ends, and what comes later in the file is dropped: the explorer has then
        taken in all runs before it, and nothing else.
        """
        journal = self._journal
        if journal is None:
            return
        begin = journal.place()
        for run in journal.runs(self._part, self.name):
            if not self._follows(run):
                self._start_over(begin)
                return
            self.fed += 1
            yield run.trace
        self._over = journal.beyond(self._part)

    def more(self) -> bool:
        """Begin the next order; False too where the search had gone on to its next explorer."""
        self._points = []
        if self._journal is not None:
            self._journal.begin()
        return self.explorer.more() and not self._over

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Let the explorer choose, and note it."""
        chosen = self.explorer.choose(moves, done=done)
        if self._journal is not None:
            self._points.append(Point(tuple(moves), done, chosen))
            self._journal.tick()
        return chosen

    def learn(self, trace: Trace) -> None:
        """Let the explorer learn, and keep the run."""
        self.explorer.learn(trace)
        if self._journal is not None:
            self._journal.add(self._part, self.name, self._points, trace)

    def _start_over(self, begin: tuple[int, tuple[int, int]]) -> None:
        """Make the explorer again, and feed it with the runs that it has followed."""
        assert self._journal is not None  # noqa: S101 - whoever was fed has one
        while True:
            self._journal.back(begin)
            self.explorer, left = self._make(), self.fed
            for run in self._journal.runs(self._part, self.name) if left else ():
                if not self._follows(run):
                    break
                left -= 1
                if not left:
                    break
            if not left:
                return
            self.fed -= left

    def _follows(self, run: Run) -> bool:
        """Let the explorer make a recorded run; tell whether it chooses alike."""
        journal = self._journal
        assert journal is not None  # noqa: S101 - whoever is fed has one
        journal.replay(run.answers)
        try:
            if not self.explorer.more():
                return False
            for point in run.points:
                if self.explorer.choose(point.moves, done=point.done) != point.chosen:
                    return False
            self.explorer.learn(run.trace)
        except (_Different, Diverged):
            return False
        finally:
            spent = journal.replay(None)
        return spent
