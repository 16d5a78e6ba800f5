"""The state of the model executor where a Gateway keeps it in Kubernetes: as the target says, over an API in memory."""

from __future__ import annotations

import copy
import types
from typing import TYPE_CHECKING, Any, NamedTuple

from stress.core.outcomes import Outcome
from stress.core.step import REPLY, Move, letters
from stress.executors.environment import ends_epoch
from stress.executors.model.kube_memory import KubeMemory, KubeReply, News
from stress.executors.model.tree import UnreadReply, Words
from stress.gateways.kubeapi import RECORDS, ApiError
from stress.gateways.protocols import is_cached
from stress.gateways.remediations import FINGERPRINT
from stress.protocols.kube.outcomes import outcome_of
from stress.protocols.kube.parts import KubeCleanup, KubeHits, KubeRecords
from stress.protocols.kube.records import change, chosen, name_of, snapshot_of
from stress.protocols.kube.replies import reported
from stress.protocols.kube.requests import EVENT, WRITES, KubeEffect, described, effect_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence

    from stress.config.scenario import Scenario
    from stress.config.target import Target
    from stress.core.symbols import Names
    from stress.core.trace import Snapshot
    from stress.executors.model.tree import Known, Node
    from stress.gateways.kubeapi import Json, Resource
    from stress.protocols.kube.parts import KubeExpiry, KubeWriter

NAMESPACE = "gateway-stress"
"""The namespace of leases, as on the embedded server."""
_REFUSED = 400
_METHODS = {"list": "GET", "get": "GET", "create": "POST", "update": "PUT", "update_status": "PUT", "delete": "DELETE"}


class KubeCall(NamedTuple):
    """A call of a protocol: the name of the verb, its arguments, and whether it is made ``apart``."""

    verb: str
    arguments: tuple[Any, ...]
    apart: bool

    @property
    def effect(self) -> KubeEffect:
        """What it does, read from method and path as on the wire."""
        resource: Resource = self.arguments[0]
        if self.verb == "list":
            _, namespace, field, value = self.arguments
            return effect_of("GET", f"{resource.path(namespace)}?fieldSelector={field}%3D{value}")
        if self.verb in ("get", "delete"):
            namespace, name = self.arguments[1:3]
            return effect_of(_METHODS[self.verb], resource.path(namespace, name))
        metadata = self.arguments[1]["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        if self.verb == "create":
            return effect_of("POST", resource.path(namespace)).of(name)
        return effect_of("PUT", resource.path(namespace, name, "status" if self.verb == "update_status" else ""))


class ModelKubeStore:
    """The API of a protocol in the model: each verb yields a `KubeCall` and is sent the `KubeReply`.

    ``replicas`` is the replica of each request; those that came before go where the first goes. ``watches`` says
    whether each replica watches the records.
    """

    namespace = NAMESPACE

    def __init__(self, now: float, replicas: Mapping[str, int], *, watches: bool) -> None:
        """Begin at a time, in seconds since 1970."""
        self._watches = watches
        self.clock = now
        self._replicas = replicas
        self._actor = ""
        self._known: Known = ()
        self._made: list[str] = []
        self._left: list[str] = []
        self._apart = False

    def begin(self, actor: str, known: Known, made: Sequence[str]) -> None:
        """Serve an actor from its start."""
        self._actor, self._known = actor, known
        self._made, self._left, self._apart = [], [*made], False

    @property
    def made(self) -> tuple[str, ...]:
        """What the actor made up until now."""
        return tuple(self._made)

    def grown(self, node: Node, command: KubeCall, names: Names) -> Node:
        """Give the step that asks for a command, or what no step is asked for."""
        actor = node.move.actor
        if command.verb.startswith("cached"):
            return node.silently(
                getattr(KubeMemory, command.verb), (self.replica(actor), *command.arguments), names.known
            )
        touches, objects, words = described(command.effect, names.replace)
        title = Words(words[0], " ".join(objects), " ".join(words), touches)
        grown = node.following(title, getattr(KubeMemory, command.verb), command.arguments, names.known)
        grown.apart = command.apart
        grown.announced = self._watches and command.effect.verb in WRITES and command.effect.resource == RECORDS.plural
        return grown

    def now(self) -> float:
        """Give the virtual clock."""
        return self.clock

    async def sleep(self, seconds: float) -> None:
        """Wait no time: a sleeper is waited out before others run, and only the clock's own move changes the second."""

    @property
    def identity(self) -> str:
        """Give the name of the replica that the actor is sent to."""
        return f"gateway-{self.replica(self._actor)}"

    def unique(self) -> str:
        """Count the names that were made up before, in hex, as long as those of the clock are."""
        new = f"a0{sum(1 for kind, _ in self._known if kind == 'id'):08x}"
        self._made.append(self._left.pop(0) if self._left else new)
        return self._made[-1]

    def holder(self) -> str:
        """Give the identity of the replica and the name of the request."""
        return f"{self.identity}-{self._actor}"

    async def apart(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something to its end although the request may be cancelled meanwhile: these steps stay."""
        self._apart = True
        await work
        self._apart = False

    async def list(self, resource: Resource, namespace: str, field: str, value: str) -> Sequence[Json]:
        """List the objects of a namespace in which a field has a value."""
        return _items(await self._ask("list", resource, namespace, field, value))

    async def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """Read an object."""
        return await self._ask("get", resource, namespace, name)

    async def create(self, resource: Resource, body: Json) -> Json:
        """Create an object."""
        return await self._ask("create", resource, body)

    async def update(self, resource: Resource, body: Json) -> Json:
        """Put an object in the place of another version."""
        return await self._ask("update", resource, body)

    async def update_status(self, resource: Resource, body: Json) -> Json:
        """Put a status in the place of another version's."""
        return await self._ask("update_status", resource, body)

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str = "", version: str = "") -> None:
        """Delete an object, if it is the one that is meant."""
        await self._ask("delete", resource, namespace, name, uid, version)

    async def cached_list(self, namespace: str, fingerprint: str) -> Sequence[Json]:
        """List the records of a fingerprint out of the cache."""
        return _items(await self._ask("cached_list", namespace, FINGERPRINT, fingerprint))

    async def cached_get(self, namespace: str, name: str) -> Json:
        """Read a record out of the cache."""
        return await self._ask("cached_get", RECORDS, namespace, name)

    def replica(self, actor: str) -> int:
        """Give the replica that an actor is sent to."""
        return self._replicas.get(actor, self._replicas["A"])

    @types.coroutine
    def _ask(self, verb: str, *arguments: Any) -> Generator[KubeCall, KubeReply, Json]:  # noqa: ANN401 - each has its own
        """Ask for one step.

        Raises:
            ApiError: when it is refused.

        """
        # What is asked for is in the tree as it is now, whatever the protocol does to its objects later.
        kept = tuple(copy.deepcopy(one) if isinstance(one, dict) else one for one in arguments)
        reply = yield KubeCall(verb, kept, self._apart)
        document: Json = copy.deepcopy(reply.document)
        if reply.status >= _REFUSED:
            raise ApiError(reply.status, document["reason"], document["message"])
        return document


def _items(found: Json) -> Sequence[Json]:
    items: Sequence[Json] = found["items"]
    return items


class KubeModel:
    """The API in memory of one target. ``rest`` is its state before the concurrent requests.

    ``watches`` says whether replicas watch the records; what they receive then is a move of ``watch:<replica>``.
    ``cancels``: a request whose client hangs up is cancelled.
    """

    cancels = True

    def __init__(self, scenario: Scenario, target: Target, values: Mapping[str, str], now: float) -> None:
        """Begin empty; ``values`` are fingerprint and fresh value."""
        self._target = target
        self._values = {**values, "namespace": NAMESPACE}
        self._late = scenario.earlier.late if scenario.earlier else None
        self._sets = {str(name): actor.sets for name, actor in scenario.actors.items()}
        hits = target.observe.hits if target.observe is not None else None
        self._show = [hits.kubernetes] if isinstance(hits, KubeHits) else []
        self.watches = is_cached(str(target.protocol))
        actors, places = letters(scenario.concurrent), scenario.places
        self.store = ModelKubeStore(now, dict(zip(actors, places, strict=True)), watches=self.watches)
        watching = range(1, target.replicas + 1) if self.watches else ()
        self.rest = KubeMemory(now, RECORDS.plural, watching)

    def replica(self, actor: str) -> int:
        """Give the replica that an actor is sent to."""
        return self.store.replica(actor)

    def at_rest(self) -> None:
        """Let every replica know of everything, but the first of the event that is to come late."""
        while news := [one for one in self.rest.news() if not self._is_late(*one)]:
            for replica, _ in news:
                self.rest.deliver(replica)

    def _is_late(self, replica: int, news: News) -> bool:
        """Return whether an event is to come late."""
        return replica == self.replica("A") and f"{news.type} {RECORDS.plural}" == self._late

    def describe(self, command: str, result: KubeReply | News, naming: Callable[[str], str]) -> str:
        """Write what a request was replied, or what an event says."""
        if command == REPLY and isinstance(result, KubeReply):
            return str(result.status)
        if isinstance(result, News):
            return naming(reported(result.type, result.stored.document, self._show))
        return naming(reported(result.status, result.document, self._show))

    def outcome(self, node: object, result: KubeReply | News, naming: Callable[[str], str]) -> Outcome:
        """Give what a step came to, or what an event says."""
        if isinstance(node, UnreadReply):
            return Outcome()
        if isinstance(result, News):
            return outcome_of(0, result.stored.document, self._show, naming)
        return outcome_of(result.status, result.document, self._show, naming)

    def event(self, replica: int, news: News, naming: Callable[[str], str]) -> tuple[Move, str]:
        """Give the move that lets a replica know of an event, the first of its kind, and its text."""
        namespace, name = news.stored.key
        effect = KubeEffect(EVENT, RECORDS.group, RECORDS.plural, namespace, name, reported=news.type)
        words = described(effect, naming)
        return Move(f"watch:{replica}", words.words[0], " ".join(words.objects)), " ".join(words.words)

    def act(self, move: Move, memory: KubeMemory) -> Snapshot | None:
        """Let the environment act; give the epoch that ended with it, if one did."""
        before = self.observe(memory, str, move.actor)
        part: KubeCleanup | KubeExpiry | KubeWriter = getattr(self._target.environment, move.actor)
        plural = part.kubernetes.partition(".")[0]
        found = sorted(chosen(_documents(memory, plural), self._where(part), self._values), key=name_of)
        keys = [(plural, one["metadata"]["namespace"], one["metadata"]["name"]) for one in found]
        if isinstance(part, KubeCleanup):
            for key in keys:
                memory.drop(key)
        else:
            values = {**self._values, "occurrence": str(move.occurrence)}
            changes = change(self._sets.get(move.actor) or part.sets, values)
            for key in keys:
                memory.patch(key, changes)
        return before if ends_epoch(before, self.observe(memory, str), move.actor, keys) else None

    def observe(self, memory: KubeMemory, naming: Callable[[str], str], ended_by: str = "") -> Snapshot:
        """Read the state as the target says."""
        observe = self._target.observe
        records = observe.records if observe is not None else None
        plural = records.kubernetes.partition(".")[0] if isinstance(records, KubeRecords) else ""
        return snapshot_of(self._target, _documents(memory, plural), self._values, naming, ended_by)

    def _where(self, part: KubeCleanup | KubeExpiry | KubeWriter) -> Mapping[str, str]:
        """Give which objects an actor acts on: as it says, or the records."""
        observe = self._target.observe
        if part.where is None and observe is not None and isinstance(observe.records, KubeRecords):
            return observe.records.where if observe.records.kubernetes == part.kubernetes else {}
        return part.where or {}


def _documents(memory: KubeMemory, plural: str) -> list[Json]:
    return [one.document for one in memory.objects(plural)]
