"""Small model programs, for tests that count schedules and classes: actors as generators over a dictionary."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any, NamedTuple

from stress.core.step import START, WHOLE, Access, Move, Touch
from stress.core.trace import Details, Event, Kind, Snapshot, Trace
from stress.schedulers.dependence import effects
from stress.schedulers.exhaustive import Exhaustive

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence

    from stress.schedulers.base import Scheduler
    from stress.schedulers.dependence import Dependence, Effect

Values = dict[str, Any]
Class = tuple[frozenset[Move], frozenset[tuple[Move, Move]]]
NOW = "now"
"""The name in the state under which the time stands; no step shows it."""


class Op(NamedTuple):
    """One step: its command, what it touches and how, what it does to the state, and when it is possible.

    ``also`` is what it touches without saying so, in the state that it finds: seen once it has been run.
    """

    command: str
    touches: tuple[Touch, ...]
    run: Callable[[Values], Any]
    possible: Callable[[Values], bool] = lambda _: True
    also: Callable[[Values], tuple[Touch, ...]] = lambda _: ()


def get(key: str) -> Op:
    """Read a key."""
    return Op("GET", (Touch(key, Access.READ),), lambda values: values.get(key))


def put(key: str, value: Any) -> Op:  # noqa: ANN401 - any value
    """Write a key."""
    return Op("SET", (Touch(key, Access.WRITE),), lambda values: values.update({key: value}))


def put_new(key: str, value: Any) -> Op:  # noqa: ANN401 - any value
    """Write a key if it is not there."""

    def run(values: Values) -> bool:
        won = key not in values
        values.setdefault(key, value)
        return won

    return Op("SETNX", (Touch(key, Access.CREATE),), run)


def delete(key: str) -> Op:
    """Delete a key."""
    return Op("DEL", (Touch(key, Access.DELETE),), lambda values: values.pop(key, None))


def count(key: str, *, blind: bool = False) -> Op:
    """Count a key up; ``blind`` when nobody looks at the reply."""

    def run(values: Values) -> Any:  # noqa: ANN401 - the reply
        values[key] = (values.get(key) or 0) + 1
        return None if blind else values[key]

    return Op("INCR", (Touch(key, Access.WRITE),), run)


def move_over(key: str, other: str) -> Op:
    """Write to one key what another holds, in one step."""
    touches = (Touch(key, Access.READ), Touch(other, Access.WRITE))
    return Op("COPY", touches, lambda values: values.update({other: (values.get(key) or 0) + 1}))


def script(key: str, other: str, third: str, *, declares: bool) -> Op:
    """Look at a key, which alone may be declared: count another if it is not there, copy or count by what it holds.

    Which keys it touches depends on what it finds.
    """
    looks = (Touch(key, Access.READ),)

    def branch(values: Values) -> tuple[str, str]:
        found = values.get(key)
        if found is None:
            return other, other
        return (other, third) if found % 2 else (key, key)

    def also(values: Values) -> tuple[Touch, ...]:
        source, goal = branch(values)
        return (*(() if declares else looks), Touch(source, Access.READ), Touch(goal, Access.WRITE))

    def run(values: Values) -> int:
        source, goal = branch(values)
        counted: int = (values.get(source) or 0) + 1
        values[goal] = counted
        return counted

    return Op("EVAL", looks if declares else (), run, also=also)


def wait_for(key: str) -> Op:
    """Read a key as soon as it is there; nothing is possible before."""
    return Op("WAIT", (Touch(key, Access.READ),), lambda values: values.get(key), lambda values: key in values)


def listing(*keys: str) -> Op:
    """Read which of some keys are there, as a number with a bit for each: a collection."""

    def run(values: Values) -> int:
        return sum(1 << place for place, key in enumerate(keys) if key in values)

    return Op("SCAN", (Touch(WHOLE, Access.READ),), run)


class Program:
    """Actors, and an environment that may act: what each of its actors does to the state, and how often.

    ``starts`` makes the start of each request a move. ``threads`` names the actor of each code that is a part of one,
    so that this actor shows several steps at once. The clock is possible from the first move of a request to the last
    answer.
    """

    def __init__(
        self,
        actors: Mapping[str, Callable[[Program], Generator[Op, Any, Any]]],
        environment: Mapping[str, Callable[[Values], Any]] | None = None,
        *,
        starts: bool = False,
        at_most: int = 1,
        threads: Mapping[str, str] | None = None,
    ) -> None:
        """Take the actors."""
        self.threads = threads or {}
        self.actors, self.environment, self.starts, self.at_most = actors, environment or {}, starts, at_most
        self.values: Values = {}

    @property
    def now(self) -> int:
        """The time, in seconds since the run began."""
        return int(self.values[NOW])

    def run(self, scheduler: Scheduler) -> Trace:
        """Run one schedule."""
        run = Run(self)
        run.follow(scheduler)
        return run.trace()


class Run:
    """One schedule of a program."""

    def __init__(self, program: Program) -> None:
        """Begin."""
        self.program = program
        self.values = program.values = {NOW: 0}
        self.code = {name: actor(program) for name, actor in program.actors.items()}
        self.pending: dict[Move, tuple[str, Op | None]] = {}
        self.left = dict.fromkeys(program.environment, program.at_most)
        self.results: dict[str, Any] = {}
        self.reported: dict[str, list[Any]] = {name: [] for name in program.actors}
        self.taken: list[Move] = []
        self.events: list[tuple[Kind, Move, tuple[Touch, ...], str]] = []
        self.seen: dict[tuple[str, str, str], int] = {}
        for name in program.actors:
            if program.starts:
                self.show(name, Move(name, START, ""), None)
            else:
                self.resume(name, None)

    def resume(self, name: str, reply: Any) -> bool:  # noqa: ANN401 - any reply
        """Run the code of an actor up to its next step; tell whether it has ended."""
        try:
            op: Op = self.code[name].send(reply)
        except StopIteration as stop:
            self.results[name] = stop.value
            return True
        keys = " ".join(touch.object for touch in op.touches)
        actor = self.program.threads.get(name, name)
        occurrence = self.seen[actor, op.command, keys] = self.seen.get((actor, op.command, keys), 0) + 1
        self.show(name, Move(actor, op.command, keys, occurrence), op)
        return False

    def show(self, name: str, move: Move, op: Op | None) -> None:
        """Let a code wait with its next move."""
        self.pending[move] = name, op

    def moves(self) -> list[Move]:
        """List what is possible."""
        found = sorted(move for move, (_, op) in self.pending.items() if op is None or op.possible(self.values))
        unfinished = len(self.results) < len(self.code)
        for name, left in self.left.items():
            if left and (name != "clock" or (unfinished and any(move.actor not in self.left for move in self.taken))):
                found.append(Move(name, name, "", self.program.at_most - left + 1))
        return found

    def follow(self, scheduler: Scheduler) -> None:
        """Ask who goes next until nothing is possible or the scheduler wants no more."""
        while moves := self.moves():
            move = scheduler.choose(moves, done=len(self.results) == len(self.code))
            if move is None:
                return
            self.taken.append(move)
            if move.actor in self.left:
                self.left[move.actor] -= 1
                self.program.environment[move.actor](self.values)
                self.events.append((Kind.ENVIRONMENT, move, (), ""))
                continue
            name, op = self.pending.pop(move)
            touches = () if op is None else (*op.touches, *op.also(self.values))
            reply = None if op is None else op.run(self.values)
            if op is not None:
                self.reported[name].append(reply)
            kind = Kind.START if op is None else Kind.STEP
            self.events.append((kind, move, touches, repr(reply)))
            if self.resume(name, reply):
                self.events.append((Kind.ANSWER, move, (), ""))

    def trace(self) -> Trace:
        """Give the trace."""
        return Trace("program", "", "", len(self.code), tuple(self.taken), self.details)

    def final(self, alike: Collection[str] = ()) -> str:
        """Give what was left behind: the state, and what each actor was told and came to, those ``alike`` unnamed."""
        reported = [
            ("" if name in alike else name, replies, self.results.get(name)) for name, replies in self.reported.items()
        ]
        return repr((sorted(self.values.items()), sorted(map(repr, reported))))

    def details(self) -> Details:
        """Put the run into events; the final state holds what was left and what each actor came to."""
        events = [
            Event(index, kind, move.actor, move.command, move.object, "", reply, touches, varies=_varies(move, touches))
            for index, (kind, move, touches, reply) in enumerate(self.events)
        ]
        return Details((), (Snapshot(None, None),), events)


def _varies(move: Move, touches: Sequence[Touch]) -> bool:
    return move.command == "EVAL" and any(touch.object not in move.object.split() for touch in touches)


class Found(NamedTuple):
    """What a search came to: how many schedules, their classes, and what they left behind, as it is and up to names."""

    schedules: int
    classes: set[Class]
    finals: set[str]
    renamed_finals: set[str]


def everything(
    program: Program, dependence: Dependence, scheduler: Scheduler | None = None, alike: Collection[str] = ()
) -> Found:
    """Run all schedules of a scheduler, of brute force by default, and sort them into classes by the definition.

    ``alike`` are the actors whose names are left out of ``renamed_finals``.
    """
    scheduler = scheduler or Exhaustive(fused=False)
    found, schedules = Found(0, set(), set(), set()), 0
    while scheduler.more():
        run = Run(program)
        run.follow(scheduler)
        trace = run.trace()
        scheduler.learn(trace)
        schedules += 1
        found.classes.add(class_of(effects(trace), dependence))
        found.finals.add(run.final())
        found.renamed_finals.add(run.final(alike))
    return found._replace(schedules=schedules)


def class_of(run: Sequence[Effect], dependence: Dependence) -> Class:
    """Name the class of a run: its moves, and the order of each two of them that depend on each other."""
    return frozenset(one.move for one in run), frozenset(
        (one.move, other.move)
        for place, one in enumerate(run)
        for other in run[place + 1 :]
        if dependence.between(one, other)
    )


def up_to_names(classes: Iterable[Class], alike: Sequence[str]) -> int:
    """Count classes, taking those for one that differ by the names of actors alone (an object may hold a name)."""
    left, orbits = set(classes), 0
    changes = [str.maketrans("".join(alike), "".join(names)) for names in permutations(alike)]
    while left:
        orbits += 1
        moves, pairs = next(iter(left))
        for change in changes:
            new = {move: renamed(move, change) for move in moves}
            left.discard((frozenset(new.values()), frozenset((new[one], new[other]) for one, other in pairs)))
    return orbits


def renamed(move: Move, change: dict[int, int]) -> Move:
    """Give a move under another name."""
    return move._replace(actor=move.actor.translate(change), object=move.object.translate(change))
