"""The model executor: the same deduplication protocols as coroutines over a store in memory.

No event loop, no sockets, a virtual clock. Each store call suspends its coroutine once; releasing it runs the command
and the code after it, up to the next call, or finds in a tree what that code did the last time
(`stress.executors.model.tree`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from stress.config.gateways import KUBE_PROTOCOLS
from stress.core.errors import Fault, UsageFault
from stress.core.step import START, Move, letters
from stress.core.symbols import Names
from stress.core.trace import Answer, Details, Event, Kind, Snapshot, Trace
from stress.executors.asked import endless
from stress.executors.environment import misfits
from stress.executors.identity import identity
from stress.executors.model.happened import Did, Gone, Notification, answer_of, renamed, unheard
from stress.executors.model.kube import KubeModel
from stress.executors.model.redis import RedisModel
from stress.executors.model.redis_memory import next_second
from stress.executors.model.tree import HungUp, Known, Node, RequestEnd, Silent, Tree, UnreadReply, key
from stress.executors.observe import with_answered_hits
from stress.gateways.protocols import kube_protocol_named, protocol_named
from stress.gateways.store import Incoming, Outcome
from stress.schedulers.base import Diverged
from stress.schedulers.dependence import Effect

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from stress.config.scenario import Scenario
    from stress.config.target import Target
    from stress.executors.model.kube_memory import KubeReply
    from stress.executors.model.tree import Edge
    from stress.schedulers.base import Scheduler

    Protocol = Callable[[Any, Incoming], Coroutine[Any, Any, Outcome]]

_BEGINNING = 1_767_225_600.0
"""The virtual clock begins with 2026, seconds since 1970."""
_FRESH = "5eed5eed5eed"
_REFUSED = 400
_LEFT = "hang-up"
"""The command of the move by which a client hangs up."""

_HUNG_UP = key(HungUp())
_PLAIN = (str, int, type(None))
"""Replies that stand for themselves in a tree; asking `key` for each of them costs a call a step."""


@dataclass
class ModelTrace(Trace):
    """The record of a run in the model; ``did`` is what it says before it is put into words."""

    did: list[Did] = field(default_factory=list, repr=False)


def effects_of(trace: Trace) -> list[Effect]:
    """Read what each move of a run in the model did: as `effects` does, without putting the run into words.

    A reply is written as Python writes it, with the names that a Gateway made up: two are equal when they are the same.

    Raises:
        TypeError: for a trace of another executor.

    """
    if not isinstance(trace, ModelTrace):
        raise TypeError(f"a trace of the model was expected, not one of {trace.executor}")
    found: list[Effect] = []
    for what, reply in trace.did:
        if isinstance(what, Silent):
            continue
        if isinstance(what, Node):
            last = what, reply
            found.append(what.effect(reply))
        elif isinstance(what, RequestEnd):  # it follows the last move of its actor
            found[-1] = last[0].effect(last[1], answered=True)
        else:
            found.append(Effect(trace.moves[len(found)]))
    return found


class ModelExecutor:
    """One scenario on one bundled protocol, in memory; ``protocol`` is what runs in its place.

    Raises:
        UsageFault: when the target has no protocol of ours, or can't play the scenario.

    """

    name = "model"

    def __init__(self, scenario: Scenario, target: Target, protocol: Protocol | None = None) -> None:
        """Run what comes before the concurrent requests, once."""
        faults = misfits(scenario, target)
        if target.protocol is None:
            message = f"{target.name} has no model executor: only a bundled `protocol` has one"
            faults = [*faults, Fault(target.place("name"), message, "search it with --executor live")]
        if faults or target.protocol is None:
            raise UsageFault(faults)
        self.scenario, self.target = scenario, target
        self.digest = identity(target)
        self._fingerprint = scenario.signal.fingerprint(_FRESH)
        self._seconds = target.second == "matters"
        signal = Incoming(self._fingerprint, scenario.signal.title, scenario.signal.namespace)
        values = {"fingerprint": self._fingerprint, "fresh": _FRESH}
        self.state: RedisModel | KubeModel
        if target.protocol in KUBE_PROTOCOLS:
            self.state = KubeModel(scenario, target, values, _BEGINNING)
            protocol = protocol or kube_protocol_named(target.protocol)
        else:
            self.state = RedisModel(target, values, _BEGINNING)
            protocol = protocol or protocol_named(target.protocol)
        self.tree = Tree(protocol, signal, self._names, self.state.store)
        self.rest: Any = self.state.rest
        self.known: Known = ()
        self._notifications: dict[object, Notification] = {}
        self._before: list[Did] = []
        for number in range(1, scenario.requests - scenario.concurrent + 1):
            self._before += self._run_isolated(self.tree.start(f"before{number}", self.known))
        actors = letters(scenario.concurrent)
        self.number_of = {actor: number for number, actor in enumerate(actors)}
        self.starts = [self.tree.start(actor, self.known) for actor in actors]
        self.possible: dict[str, int] = {name: actor.at_most for name, actor in scenario.actors.items()}

    def _names(self, known: Known) -> Names:
        return Names(self._fingerprint, _FRESH, _BEGINNING, seconds=self._seconds, known=known)

    def _run_isolated(self, node: Node | RequestEnd) -> Iterator[Did]:
        """Run one request by itself, each event before the reply after it; its steps are unseen as on the wire."""
        history: list[Edge] = []
        while isinstance(node, Node):
            reply = node.handler(self.rest, *node.arguments)
            self.state.at_rest()
            if not history:
                yield node, reply
            history.append((reply, self.rest.now))
            node = self.tree.grow(node, history, self.known)
            self.known = node.known
        yield node, None

    def run(
        self,
        scheduler: Scheduler,
        fresh: str | None = None,  # noqa: ARG002 - names are the model's own
        also: frozenset[str] = frozenset(),
    ) -> Trace:
        """Run one schedule that the scheduler chooses; ``also`` may act once though the scenario does not name them."""
        run = _Run(self, also)
        fault = ""
        try:
            run.follow(scheduler.choose)
        except (Diverged, _Endless) as ended:
            fault = str(ended)
        return ModelTrace(
            executor="model",
            fresh=_FRESH,
            fingerprint=self._fingerprint,
            requests=self.scenario.requests,
            moves=run.taken,
            details=partial(self._details, run),
            fault=fault,
            did=run.did,
        )

    @property
    def broken(self) -> bool:
        """Whether nothing can be run any more: never."""
        return False

    @property
    def apart(self) -> float:
        """How many seconds processes took to start and end: there are none."""
        return 0.0

    def abandoned(self, reason: str) -> None:
        """Give no trace: a run is over before anybody can interrupt it."""

    def _details(self, run: _Run) -> Details:
        """Put a run into words, as the wire would."""
        names = self._names(run.known)
        events: list[Event] = []
        answers: list[Answer] = []
        ended: list[Snapshot] = []
        started: dict[str, int] = {}
        places: dict[str, list[int]] = {}
        for what, result in (*self._before, *run.did):
            now, index = len(ended), len(events)
            if isinstance(what, Silent):
                continue
            if isinstance(what, Gone):
                where = tuple(dict.fromkeys(places.get(what.actor, ()))) or (now,)
                answers.append(unheard(what.actor, (started[what.actor], index + 1), where))
                events.append(Event(index, Kind.ENVIRONMENT, f"client:{what.actor}", _LEFT, "", _LEFT, epoch=now))
                events.append(Event(index + 1, Kind.ANSWER, what.actor, "0", "", "0", epoch=now))
            elif isinstance(what, str):
                events.append(Event(index, Kind.ENVIRONMENT, what, what, "", what, epoch=now))
                ended += [] if result is None else [renamed(result, names)]
            elif isinstance(what, RequestEnd):
                where = tuple(dict.fromkeys(places.get(what.actor, ()))) or (now,)
                answers.append(answer_of(what, names, (started[what.actor], index), where))
                status = str(answers[-1].status)
                events.append(Event(index, Kind.ANSWER, what.actor, status, "", status, epoch=now))
            elif what.move.command == START:
                started[what.move.actor] = index
                events.append(Event(index, Kind.START, what.move.actor, START, "", START, epoch=now))
            else:
                actor, command, objects, _ = what.move
                places.setdefault(actor, []).append(now)
                text = self.state.describe(command, result, names.replace)
                touches = what.touches if isinstance(what, Node) else ()
                came = self.state.outcome(what, result, names.replace)
                events.append(
                    Event(index, Kind.STEP, actor, command, objects, what.text, text, touches, now, outcome=came)
                )
        states = (*ended, self.state.observe(run.memory, names.replace))
        held = [one.move for one in self.notifications(run)] if self.state.watches else []
        return with_answered_hits(self.target, Details(answers, states, events, held))

    def notifications(self, run: _Run) -> list[Notification]:
        """Give the moves that let a replica know of what happened: the next event of each watch."""
        found = []
        for replica, news in run.memory.news():
            at = replica, news.type, news.stored.key, run.known
            first = self._notifications.get(at)
            if first is None:
                first = self._notifications[at] = Notification(
                    *self.state.event(replica, news, self._names(run.known).replace)
                )
            occurrence = 1 + run.acted.get((first.move.actor, first.move.command, first.move.object), 0)
            found.append(first._replace(move=first.move._replace(occurrence=occurrence)))
        return found


class _Endless(Exception):
    """A request waits by asking the store again and again, and nobody else is let go."""


class _Run:
    """One schedule in the model."""

    __slots__ = (
        *("_gone", "_left", "_nodes", "_requests", "_unanswered", "_executor"),
        *("acted", "did", "known", "memory", "taken"),
    )

    def __init__(self, executor: ModelExecutor, also: frozenset[str]) -> None:
        self._executor = executor
        self.memory: Any = executor.rest.copy()
        self._nodes: list[Node | None] = list(executor.starts)
        self._requests = [node.move for node in executor.starts]
        self._unanswered = len(executor.starts)
        self._left = dict.fromkeys(also, 1) | executor.possible if also else executor.possible.copy()
        self.acted: dict[object, int] = dict.fromkeys(self._left, 0)
        self.did: list[Did] = []
        self.taken: list[Move] = []
        self.known: Known = executor.known
        self._gone: set[str] = set()

    def follow(self, choose: Callable[..., Move | None]) -> None:
        """Ask who goes next until every request is answered and the scheduler wants no more."""
        memory, nodes, did, taken = self.memory, self._nodes, self.did, self.taken
        number_of, surrounded = self._executor.number_of, bool(self._left) or self._executor.state.watches
        known, moves, requests = self.known, self._requests, self._requests
        while True:
            if surrounded:
                moves = requests + self._environment()
            if not moves:
                return
            move = choose(moves, done=not requests)  # one whose client hung up may still have steps to show
            if move is None:
                return
            taken.append(move)
            number = number_of.get(move.actor)
            if number is None:
                self._act(move)
                known = self.known
                continue
            node = nodes[number]
            assert node is not None  # noqa: S101 - its move was offered
            try:
                reply: Any = node.handler(memory, *node.arguments)
            except ValueError as error:  # an error reply
                reply = error
            did.append((node, reply))
            which = reply if reply.__class__ in _PLAIN else key(reply), memory.now, known
            following = (self._unread(node, reply) if node.announced else None) or node.next.get(which)
            if following is None or following.__class__ is Silent:
                following = self._onward(node, following, known)
            if following.known is not known:
                self.known = known = following.known
            if isinstance(following, Node):
                nodes[number] = following
                requests[requests.index(move)] = following.move
            else:
                self._end(move, following)

    def _unread(self, node: Node, reply: KubeReply) -> UnreadReply | None:
        """Give the reply to a write as a step of its own, where its replica is still to know of something."""
        replica = self._executor.state.replica(node.move.actor)
        if reply.status >= _REFUSED or not self.memory.holds_news(replica):
            return None
        return node.unread(reply, self.known)

    def _end(self, move: Move, end: RequestEnd) -> None:
        """Note that a request has nothing more to do, and its answer unless its client is gone."""
        self._nodes[self._executor.number_of[move.actor]] = None
        self._requests.remove(move)
        if move.actor not in self._gone:
            self.did.append((end, None))
            self._unanswered -= 1

    def _onward(self, node: Node, following: Node | RequestEnd | None, known: Known) -> Node | RequestEnd:
        """Run a request where nothing is known of it, and do what it does besides its steps."""
        while following is None or isinstance(following, Silent):
            if following is None:
                history = self._history(node.move.actor)
                if fault := endless(node.move.actor, len(history)):
                    raise _Endless(fault)
                following = self._executor.tree.grow(node, history, known)
                continue
            node = following
            reply = node.handler(self.memory, *node.arguments)
            self.did.append((node, reply))
            following = node.next.get((reply, self.memory.now, known))
        return following

    def _history(self, actor: str) -> list[Edge]:
        """Give what an actor has received so far, and when."""
        now = _BEGINNING
        found: list[Edge] = []
        for what, reply in self.did:
            if what == "clock":
                now = next_second(now)
            elif isinstance(what, Gone):
                if what.cancelled and what.actor == actor:
                    found[len(found) - what.unread :] = [(HungUp(), now)]
            elif isinstance(what, Node) and what.move.actor == actor:
                found[len(found) - isinstance(what, UnreadReply) :] = [(reply, now)]
        return found

    def _environment(self) -> list[Move]:
        """List what the environment may do now; clock and watches matter only until the last answer.

        The clock matters only after the first start, too.
        """
        unfinished = self._unanswered > 0
        found = (
            [event.move for event in self._executor.notifications(self)]
            if unfinished and self._executor.state.watches
            else []
        )
        for name, left in self._left.items():
            if left and name == "client":
                flying = [one.actor for one in self._requests if one.command != START and one.actor not in self._gone]
                found += [Move(f"client:{actor}", _LEFT, "") for actor in flying]
            elif left and (name != "clock" or (unfinished and self.taken)):
                found.append(Move(name, name, "", self.acted[name] + 1))
        return found

    def _hang_up(self, actor: str) -> None:
        """Let a client leave; its request is cancelled where it stands if the Gateway does that."""
        number = self._executor.number_of[actor]
        node = self._nodes[number]
        assert node is not None  # noqa: S101 - its move was offered
        self._left["client"] -= 1
        self._gone.add(actor)
        self._unanswered -= 1
        cancelled = self._executor.state.cancels and not node.apart
        self.did.append((Gone(actor, cancelled, unread=isinstance(node, UnreadReply)), None))
        if not cancelled:
            return
        following = node.next.get((_HUNG_UP, self.memory.now, self.known))
        following = self._onward(node, following, self.known)
        if isinstance(following, Node):
            self._nodes[number] = following
            self._requests[self._requests.index(node.move)] = following.move
        else:
            self._end(node.move, following)

    def _act(self, move: Move) -> None:
        if move.command == _LEFT:
            self._hang_up(move.actor.partition(":")[2])
            return
        if move.actor in self._left:
            self._left[move.actor] -= 1
            self.acted[move.actor] += 1
            if move.actor == "clock":
                self.memory.advance()
            ended = self._executor.state.act(move, self.memory) if move.actor != "clock" else None
            self.did.append((move.actor, ended))
            return
        notification = next(one for one in self._executor.notifications(self) if one.move == move)
        self.acted[move[:3]] = move.occurrence
        self.did.append((notification, self.memory.deliver(int(move.actor.partition(":")[2]))))
