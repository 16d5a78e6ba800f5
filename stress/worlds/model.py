"""The model world: the same deduplication protocols resumed as coroutines over a store in memory.

No event loop, no sockets, a virtual clock. Each store call suspends its coroutine once; releasing it runs the command
and the code after it, up to the next call. What an actor does next depends on its own history only, so each command is
put into words once and then found again by that history (a tree whose edges are commands).
"""

from __future__ import annotations

import types
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from stress.errors import UsageFault
from stress.explore.base import Diverged
from stress.gateways.protocols import protocol_named
from stress.gateways.store import Incoming, Outcome
from stress.names import Names
from stress.step import START, Move, Touch, letters
from stress.stores.memory import Memory, touches
from stress.trace import Answer, Details, Event, Kind, Snapshot, Trace
from stress.worlds.environment import commands, ends_incarnation, misfits
from stress.worlds.identity import identity
from stress.worlds.observe import shown, snapshot, with_told_hits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Sequence

    from stress.explore.base import Explorer
    from stress.gateways.store import Reply, Script
    from stress.scenario import Scenario
    from stress.target import Target

_BEGINNING = 1_767_225_600.0
"""The virtual clock begins with 2026, seconds since 1970."""
_FRESH = "5eed5eed5eed"
_CREATED, _DUPLICATE, _ERROR = 201, 202, 500

Known = tuple[tuple[str, str], ...]


class _Node:
    """One actor after some history: the step that it shows, and where each next command leads."""

    __slots__ = ("known", "move", "next", "run", "seen", "text", "touches")

    def __init__(  # noqa: PLR0913, PLR0917 - a record
        self,
        move: Move,
        run: Callable[[Memory], Reply],
        touched: tuple[Touch, ...],
        text: str,
        known: Known,
        seen: Any,  # noqa: ANN401
    ) -> None:
        self.move, self.run, self.touches, self.text, self.known, self.seen = move, run, touched, text, known, seen
        self.next: dict[object, _Node] = {}


Did = tuple[Kind, str, _Node | None, Any]
"""A thing that happened: its kind and actor, the node of a step, and what came of it (a reply, an outcome, a state)."""


class ModelStore:
    """The store of a protocol in the model: each call yields what to run and is sent the reply."""

    def __init__(self) -> None:
        """Begin without a memory; each run sets its own."""
        self.memory = Memory(_BEGINNING)
        self.scripts: dict[str, Callable[..., Reply]] = {}

    def now(self) -> float:
        """Give the virtual clock."""
        return self.memory.now

    @types.coroutine
    def call(self, *command: str) -> Generator[object, Reply, Reply]:
        """Run one command."""
        return (yield command)

    @types.coroutine
    def pipeline(self, *several: tuple[str, ...]) -> Generator[object, Reply, Any]:
        """Send commands in one write: one step."""
        return (yield several)

    def script(self, script: Script, keys: Sequence[str], arguments: Sequence[str]) -> Any:  # noqa: ANN401 - as `call`
        """Run a script."""
        self.scripts[script.lua] = script.python
        return self.call("EVAL", script.lua, str(len(keys)), *keys, *arguments)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[ModelSession]:
        """Give a connection of its own."""
        yield ModelSession(self)

    async def sleep(self, seconds: float) -> None:
        """Wait no time: a sleeper is waited out before others run, and only the clock's own move changes the second."""


class ModelSession:
    """A connection for one request alone."""

    def __init__(self, store: ModelStore) -> None:
        """Belong to a store."""
        self.call = store.call

    @types.coroutine
    def execute(self, *several: tuple[str, ...]) -> Generator[object, Reply, Any]:
        """Run a transaction: one step."""
        return (yield ("EXEC", several))


class ModelWorld:
    """One scenario on one bundled protocol, in memory.

    Raises:
        UsageFault: when the target has no protocol of ours, or can't play the scenario.

    """

    name = "model"

    def __init__(self, scenario: Scenario, target: Target) -> None:
        """Run what comes before the concurrent requests, once."""
        faults = misfits(scenario, target)
        if faults or target.protocol is None:
            raise UsageFault(faults)
        self.scenario, self.target = scenario, target
        self.digest = identity(target)
        self._deduplicate = protocol_named(target.protocol)
        self._fingerprint = scenario.signal.fingerprint(_FRESH)
        self._signal = Incoming(self._fingerprint, scenario.signal.alertname, scenario.signal.namespace)
        self.store = ModelStore()
        self._actors = letters(scenario.concurrent)
        self.number_of = {actor: number for number, actor in enumerate(self._actors)}
        self._seconds = target.second == "matters"
        self.starts = [_Node(Move(actor, START, ""), _nothing, (), START, (), {}) for actor in self._actors]
        self.possible: dict[str, int] = {name: actor.at_most for name, actor in scenario.actors.items()}
        memory = self.store.memory = Memory(_BEGINNING, self.store.scripts)
        self.first: list[Did] = []
        for number in range(1, scenario.before + 1):
            self.first += self._alone(f"before{number}", memory)
        self.rest = memory

    def _alone(self, actor: str, memory: Memory) -> list[Did]:
        """Run one request by itself."""
        did = [(Kind.START, actor, None, None)]
        request = self.begin()
        reply: Reply = None
        try:
            while True:
                reply = _runner(request.send(reply), actor)(memory)
        except StopIteration as stop:
            return [*did, (Kind.ANSWER, actor, None, stop.value)]
        except Exception as error:  # noqa: BLE001 - whatever a protocol raises is a 500 to its client
            return [*did, (Kind.ANSWER, actor, None, error)]

    def begin(self) -> Coroutine[Any, Any, Outcome]:
        """Make the coroutine of one request."""
        return self._deduplicate(self.store, self._signal)

    def run(
        self,
        explorer: Explorer,
        fresh: str | None = None,  # noqa: ARG002 - names are the model's own
        also: frozenset[str] = frozenset(),
    ) -> Trace:
        """Run one order that the explorer chooses; ``also`` may act once although the scenario does not name them."""
        run = _Run(self, also)
        fault = ""
        try:
            run.follow(explorer.choose)
        except Diverged as divergence:
            fault = str(divergence)
        finally:
            run.close()
        return Trace(
            world="model",
            fresh=_FRESH,
            fingerprint=self._fingerprint,
            requests=self.scenario.before + self.scenario.concurrent,
            moves=run.taken,
            details=partial(self._details, run),
            fault=fault,
        )

    def _details(self, run: _Run) -> Details:
        """Put a run into words, as the wire would."""
        names = Names(self._fingerprint, _FRESH, _BEGINNING, seconds=self._seconds, known=run.known)
        events: list[Event] = []
        answers: list[Answer] = []
        ended: list[Snapshot] = []
        started: dict[str, int] = {}
        places: dict[str, list[int]] = {}
        for index, (kind, actor, node, result) in enumerate([*self.first, *run.did]):
            command = {Kind.START: START, Kind.ENVIRONMENT: actor}.get(kind, "")
            if kind is Kind.START:
                started[actor] = index
            elif node is not None:
                command = node.move.command
                places.setdefault(actor, []).append(len(ended))
            elif kind is Kind.ANSWER:
                where = tuple(dict.fromkeys(places.get(actor, ()))) or (len(ended),)
                answers.append(_answer(actor, result, names, (started[actor], index), where))
                command = str(answers[-1].status)
            if node is None:
                events.append(Event(index, kind, actor, command, "", command, incarnation=len(ended)))
            else:
                told = shown(_replies(node.move.command, result), names.replace)
                event = Event(index, kind, actor, command, node.move.object, node.text, told, node.touches, len(ended))
                events.append(event)
            if kind is Kind.ENVIRONMENT and result is not None:
                ended.append(_renamed(result, names))
        states = (*ended, self.observe(run.memory, names.replace))
        return with_told_hits(self.target, Details(answers, states, events))

    def grow(self, node: _Node, actor: str, command: Any, known: Known) -> _Node:  # noqa: ANN401 - what `ModelStore` yields
        """Put a command of an actor into words for the first time, as the wire would."""
        names = Names(self._fingerprint, _FRESH, _BEGINNING, seconds=self._seconds, known=known)
        transaction = command[0] == "EXEC"
        effects = command[1] if transaction else command if isinstance(command[0], tuple) else (command,)
        touched: dict[str, Touch] = {}
        for effect in effects:
            words = tuple(names.replace(word) for word in effect)
            for touch in touches(words):
                before = touched.get(touch.object)
                touched[touch.object] = touch if before is None or before.access == "read" else before
        if transaction:
            for name in node.seen.get("watched", ()):
                touched.setdefault(name, Touch(name, touches(("GET", name))[0].access))
        title = "+".join(effect[0] for effect in effects)
        title = f"EXEC({title})" if transaction else title
        objects = " ".join(touched)
        occurrence = 1 + node.seen.get((title, objects), 0)
        seen = {**node.seen, (title, objects): occurrence}
        if title == "WATCH":
            seen["watched"] = (*seen.get("watched", ()), *touched)
        elif transaction:
            seen.pop("watched", None)
        text = " ".join(names.replace(word) for word in effects[0])
        move = Move(actor, title, objects, occurrence)
        grown = _Node(move, _runner(command, actor), tuple(touched.values()), text, names.known, seen)
        node.next[command, known] = grown
        return grown

    def environment(self, move: Move, memory: Memory) -> Snapshot | None:
        """Let the environment act; give the incarnation that ended with it, if one did."""
        if move.actor == "clock":
            memory.advance()
            return None
        before = self.observe(memory, str, move.actor)
        asked = commands(self.target, move.actor, self._fingerprint, _FRESH)
        replies = [memory.execute(*command) for command in asked]
        return before if ends_incarnation(before, self.observe(memory, str), replies) else None

    def observe(self, memory: Memory, naming: Callable[[str], str], ended_by: str = "") -> Snapshot:
        """Read the state as the target says."""
        reading = snapshot(self.target, self._fingerprint, _FRESH, naming, ended_by)
        try:
            asked = next(reading)
            while True:
                asked = reading.send([memory.execute(*command) for command in asked])
        except StopIteration as stop:
            found: Snapshot = stop.value
            return found


def _nothing(memory: Memory) -> Reply:
    """A start touches no store."""
    del memory
    return None


def _runner(command: Any, actor: str) -> Callable[[Memory], Reply]:  # noqa: ANN401 - what `ModelStore` yields
    """Make what runs a command for an actor in any memory."""
    if command[0] == "EXEC":
        return lambda memory: memory.transaction(actor, command[1])
    if isinstance(command[0], tuple):
        return lambda memory: memory.pipeline(command)
    if command[0] == "WATCH":
        return lambda memory: memory.watch(actor, *command[1:])
    handler, arguments = Memory.COMMANDS[command[0]].run, command[1:]
    return lambda memory: handler(memory, *arguments)


class _Run:
    """One order in the model."""

    __slots__ = ("_acted", "_left", "_nodes", "_requests", "_world", "did", "known", "memory", "taken")

    def __init__(self, world: ModelWorld, also: frozenset[str]) -> None:
        self._world = world
        self.memory = world.store.memory = world.rest.copy()
        self._nodes: list[_Node | None] = list(world.starts)
        self._requests: list[Coroutine[Any, Any, Outcome] | None] = [None] * len(world.starts)
        self._left = dict.fromkeys(also, 1) | world.possible
        self._acted = dict.fromkeys(self._left, 0)
        self.did: list[Did] = []
        self.taken: list[Move] = []
        self.known: Known = ()

    def follow(self, choose: Callable[..., Move | None]) -> None:
        """Ask who goes next until every request is answered and the explorer wants no more."""
        world, memory, nodes, requests, did, taken = (
            self._world,
            self.memory,
            self._nodes,
            self._requests,
            self.did,
            self.taken,
        )
        number_of, grow, begin = world.number_of, world.grow, world.begin
        running, known = len(nodes), self.known
        while True:
            moves = [node.move for node in nodes if node is not None]
            if self._left:
                moves += self._environment(unfinished=running > 0)
            if not moves:
                return
            move = choose(moves, done=not running)
            if move is None:
                return
            taken.append(move)
            number = number_of.get(move.actor)
            if number is None:
                self._act(move)
                continue
            node = nodes[number]
            assert node is not None  # noqa: S101 - its move was offered
            request = requests[number]
            try:
                if request is None:
                    did.append((Kind.START, move.actor, None, None))
                    request = requests[number] = begin()
                    command = request.send(None)
                else:
                    reply = node.run(memory)
                    did.append((Kind.STEP, move.actor, node, reply))
                    command = request.send(reply)
            except StopIteration as stop:
                did.append((Kind.ANSWER, move.actor, None, stop.value))
            except Exception as error:  # noqa: BLE001 - whatever a protocol raises is a 500 to its client
                did.append((Kind.ANSWER, move.actor, None, error))
            else:
                following = node.next.get((command, known)) or grow(node, move.actor, command, known)
                nodes[number], known = following, following.known
                self.known = known
                continue
            nodes[number] = None
            running -= 1

    def _environment(self, *, unfinished: bool) -> list[Move]:
        """List what the environment may do now; the clock matters only between first start and last answer."""
        return [
            Move(name, name, "", self._acted[name] + 1)
            for name, left in self._left.items()
            if left and (name != "clock" or (unfinished and self.taken))
        ]

    def _act(self, move: Move) -> None:
        self._left[move.actor] -= 1
        self._acted[move.actor] += 1
        ended = self._world.environment(move, self.memory)
        self.did.append((Kind.ENVIRONMENT, move.actor, None, ended))

    def close(self) -> None:
        """End the requests that were not run to their end."""
        for request in self._requests:
            if request is not None:
                request.close()


def _replies(title: str, result: Any) -> list[Any]:  # noqa: ANN401 - a reply
    """Give the replies of a step as they come on a connection: a pipeline has several, EXEC one."""
    return result if "+" in title and not title.startswith("EXEC") else [result]


def _answer(actor: str, result: object, names: Names, between: tuple[int, int], places: tuple[int, ...]) -> Answer:
    """Give the answer that the HTTP side of the bundled Gateways makes of an outcome, or of an error."""
    outcome = result if isinstance(result, Outcome) else None
    status = _ERROR if outcome is None else _CREATED if outcome.created else _DUPLICATE
    return Answer(
        actor=actor,
        status=status,
        record=names.replace(outcome.record) if outcome is not None else None,
        count=outcome.count if outcome is not None and not outcome.created else None,
        started=between[0],
        ended=between[1],
        created=status == _CREATED,
        duplicate=status == _DUPLICATE,
        incarnations=places,
        error="" if outcome is not None else str(result),
    )


def _renamed(state: Snapshot, names: Names) -> Snapshot:
    records = None if state.records is None else tuple(names.replace(name) for name in state.records)
    hits = None if state.hits is None else {names.replace(name): count for name, count in state.hits.items()}
    return Snapshot(records, hits, state.ended_by)
