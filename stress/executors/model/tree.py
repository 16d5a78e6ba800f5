"""What an actor of the model does after each history: a tree that grows as schedules are run.

A protocol is a function of the replies that it was given and of the clock, so what an actor does next depends on its
own history alone. Its coroutine is resumed where a history is new; where it is known, the next command, already in
words, is found in the tree. A search goes over the same histories again and again, which makes a schedule cheap.
"""

from __future__ import annotations

import asyncio
import types
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from stress.core.step import REPLY, START, Access, Move, Touch
from stress.executors.model.redis_memory import RedisMemory, touches
from stress.schedulers.dependence import Effect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Sequence

    from stress.core.symbols import Names
    from stress.gateways.store import Incoming, Outcome, Reply, Script

_UNHASHABLE = (list, BaseException)
_RAISED = (Exception, asyncio.CancelledError)
_UNREAD = -1.0
"""The time under which the node of a reply stands that is a step of its own."""
Known = tuple[tuple[str, str], ...]
"""Names that have numbers already, in order of first appearance."""
Edge = tuple[object, float]
"""What an actor received: a reply (or the error that it is), and the time on the clock then."""


class HungUp(asyncio.CancelledError):
    """What a request receives whose client hangs up."""


class ModelStore:
    """The store of a protocol in the model: each call yields what to run and is sent the reply.

    ``clock`` is the time.
    """

    def __init__(self, clock: float) -> None:
        """Begin at a time, in seconds since 1970."""
        self.clock = clock
        self.scripts: dict[str, Callable[..., Reply]] = {}

    def begin(self, actor: str, known: Known, made: Sequence[str]) -> None:
        """Make up nothing."""

    @property
    def made(self) -> tuple[str, ...]:
        """What was made up: nothing."""
        return ()

    def grown(self, node: Node, command: tuple[Any, ...], names: Names) -> Node:
        """Name a command, its objects and its occurrence as the wire would."""
        transaction = command[0] == "EXEC"
        effects = command[1] if transaction else command if isinstance(command[0], tuple) else (command,)
        touched: dict[str, Touch] = {}
        for effect in effects:
            for touch in touches(tuple(names.replace(word) for word in effect)):
                before = touched.get(touch.object)
                touched[touch.object] = touch if before is None or before.access is Access.READ else before
        watched = node.seen.get("watched", ())
        if transaction:
            for name in watched:
                touched.setdefault(name, Touch(name, Access.READ))
        title = "+".join(effect[0] for effect in effects)
        title = f"EXEC({title})" if transaction else title
        text = " ".join(names.replace(word) for word in effects[0])
        words = Words(title, " ".join(touched), text, tuple(touched.values()))
        grown = node.following(words, *_runner(command, node.move.actor), names.known)
        if title == "WATCH":
            grown.seen["watched"] = (*watched, *touched)
        elif transaction:
            grown.seen.pop("watched", None)
        return grown

    def now(self) -> float:
        """Give the virtual clock."""
        return self.clock

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


class Asking(Protocol):
    """The store of a protocol, as a tree sees it. ``clock`` is the time."""

    clock: float

    def begin(self, actor: str, known: Known, made: Sequence[str]) -> None:
        """Serve an actor from its start; ``made`` is what it made up before, to be made up again."""

    @property
    def made(self) -> tuple[str, ...]:
        """What the actor made up until now."""

    def grown(self, node: Node, command: Any, names: Names) -> Node:  # noqa: ANN401 - each store has its commands
        """Give what follows on a node: the step that asks for a command, in the words of the wire."""


class Words(NamedTuple):
    """A step as the wire would put it: command, objects, the whole text, what it touches."""

    title: str
    objects: str
    text: str
    touches: tuple[Touch, ...]


class Node:
    """One actor after some history: the step that it shows, how to run it, and where each reply leads.

    ``known`` are the names numbered so far, ``seen`` counts the steps shown so far and holds the keys watched, ``made``
    is what the actor made up. Where it is ``apart`` the step is asked for whether or not the client hangs up. A watch
    notifies the actor's own replica of a step that is ``announced``.
    """

    __slots__ = (
        *("announced", "apart", "arguments", "effects", "handler", "known", "made", "move", "next"),
        *("seen", "text", "touches"),
    )

    def __init__(
        self, move: Move, known: Known, handler: Callable[..., Any] = lambda _: None, arguments: tuple[Any, ...] = ()
    ) -> None:
        """Know how to run a command; a start touches no store."""
        self.move, self.known = move, known
        self.handler, self.arguments = handler, arguments
        self.touches: tuple[Touch, ...] = ()
        self.text = move.command
        self.made: tuple[str, ...] = ()
        self.announced, self.apart = False, True
        self.seen: dict[Any, Any] = {}
        self.next: dict[tuple[object, float, Known], Node | RequestEnd] = {}
        self.effects: dict[tuple[object, bool], Effect] = {}

    def following(self, words: Words, handler: Callable[..., Any], arguments: tuple[Any, ...], known: Known) -> Node:
        """Make the node of the same actor's next step."""
        occurrence = 1 + self.seen.get(words[:2], 0)
        grown = Node(Move(self.move.actor, words.title, words.objects, occurrence), known, handler, arguments)
        grown.text, grown.touches = words.text, words.touches
        grown.seen = {**self.seen, words[:2]: occurrence}
        return grown

    def silently(self, handler: Callable[..., Any], arguments: tuple[Any, ...], known: Known) -> Silent:
        """Make the node of something that the same actor does next and that the wire does not show."""
        grown = Silent(self.move, known, handler, arguments)
        grown.seen = self.seen
        return grown

    def unread(self, reply: object, known: Known) -> UnreadReply:
        """Make the node of a reply that is a step of its own."""
        which = key(reply), _UNREAD, known
        found = self.next.get(which)
        if not isinstance(found, UnreadReply):
            objects = self.move.object
            occurrence = 1 + self.seen.get((REPLY, objects), 0)
            found = UnreadReply(Move(self.move.actor, REPLY, objects, occurrence), known, lambda _: reply)
            found.text, found.made, found.apart = f"{REPLY} {objects}", self.made, self.apart
            found.seen = {**self.seen, (REPLY, objects): occurrence}
            self.next[which] = found
        return found

    def effect(self, reply: object, *, answered: bool = False) -> Effect:
        """Give what the step did, if this was the reply, and whether its request was answered then."""
        which = key(reply), answered
        found = self.effects.get(which)
        if found is None:
            text = "" if self.move.command == START else repr(reply)
            found = self.effects[which] = Effect(self.move, self.touches, text, answered)
        return found


class Silent(Node):
    """A node that is no step: what is done there is done with the step before it."""

    __slots__ = ()


class UnreadReply(Node):
    """A node at which the reply to the step before it is read."""

    __slots__ = ()


class RequestEnd(NamedTuple):
    """One actor after its last step: what it answers, an outcome or the error that it came to."""

    actor: str
    result: Outcome | BaseException
    known: Known


class Tree:
    """The trees of all actors of one scenario on one protocol."""

    def __init__(
        self,
        protocol: Callable[[Any, Incoming], Coroutine[Any, Any, Outcome]],
        signal: Incoming,
        names: Callable[[Known], Names],
        store: Asking,
    ) -> None:
        """Begin with nothing known; ``names`` makes what puts texts into words."""
        self._protocol, self._signal, self._names, self._store = protocol, signal, names, store

    def start(self, actor: str, known: Known = ()) -> Node:
        """Give the root of an actor's tree: it has not been started."""
        return Node(Move(actor, START, ""), known)

    def grow(self, node: Node, history: Sequence[Edge], known: Known) -> Node | RequestEnd:
        """Resume the coroutine of ``node``'s actor through its history, for the first time, and note where it leads."""
        reply, now = history[-1]
        found = node.next[key(reply), now, known] = self._resume(node, history, known)
        return found

    def _resume(self, node: Node, history: Sequence[Edge], known: Known) -> Node | RequestEnd:
        store = self._store
        store.begin(node.move.actor, known, node.made)
        request = self._protocol(store, self._signal)
        command: Any = ()
        try:
            for reply, now in history:
                store.clock = now
                command = request.throw(reply) if isinstance(reply, _RAISED) else request.send(reply)
        except StopIteration as stop:
            return RequestEnd(node.move.actor, stop.value, known)
        except _RAISED as error:  # whatever a protocol raises is a 500 to its client
            return RequestEnd(node.move.actor, error, known)
        finally:
            _close(request)
        grown = store.grown(node, command, self._names(known))
        grown.made = store.made
        return grown


def _close(request: Coroutine[Any, Any, Outcome]) -> None:
    """Forget a coroutine where it stands, also one that has still something to do in the end."""
    while True:
        try:
            request.close()
        except RuntimeError:  # it asked for another step: now it stands there
            continue
        return


def key(reply: object) -> object:
    """Give what stands for a reply in a tree: itself, or its text where it can't be hashed."""
    return repr(reply) if isinstance(reply, _UNHASHABLE) else reply


def _runner(command: tuple[Any, ...], actor: str) -> tuple[Callable[..., Reply], tuple[Any, ...]]:
    """Give what runs a command for an actor in a memory, and its arguments."""
    if command[0] == "EXEC":
        return RedisMemory.transaction, (actor, command[1])
    if isinstance(command[0], tuple):
        return RedisMemory.pipeline, (command,)
    if command[0] == "WATCH":
        return RedisMemory.watch, (actor, *command[1:])
    return RedisMemory.COMMANDS[command[0]].run, command[1:]
