"""The Gateways over Kubernetes in the model: its API against the embedded server, and every order of each protocol."""

from __future__ import annotations

import asyncio
import copy
from contextlib import AsyncExitStack
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_kube_server import DEFINITION

from stress.gateways.kubeapi import LEASES, RECORDS, ApiError
from stress.gateways.kubeconfig import Cluster
from stress.gateways.kubestore import KubeStore, Pod
from stress.gateways.remediations import FINGERPRINT
from stress.stores.kube.server import KubeServer
from stress.stores.kubememory import KubeMemory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from stress.gateways.kubeapi import Json, Resource

PRINTS = ("ab" * 32, "cd" * 32, "ef" * 32)
_TAKEN = ("uid", "resourceVersion")
_OTHERS = ("0b0e7a0c-0000-4000-8000-000000000000", "999999999")
_SERVERS_OWN = ("creationTimestamp", "generation", "managedFields")
"""What the model leaves out of an object's metadata, as no Gateway reads it."""


class Call(NamedTuple):
    """A call of the API.

    ``held`` is the place of an object of the resource that an earlier reply gave, counted from the last one: that is
    changed or deleted, with its uid and version ``sent`` as they are (``own``), left out, or made up (``other``). Where
    none is held one is created. ``about`` are the namespace and name of what is created or read.
    """

    verb: str
    resource: Resource
    about: tuple[str, str]
    held: int
    value: int
    sent: tuple[str, str]


CALLS = st.builds(
    Call,
    verb=st.sampled_from(["create", "get", "list", "update", "update", "update_status", "update_status", "delete"]),
    resource=st.sampled_from([RECORDS, LEASES]),
    about=st.sampled_from([("1", "a"), ("1", "b"), ("2", "a")]),
    held=st.sampled_from([0, 0, 0, 1, 2]),
    value=st.integers(0, 2),
    sent=st.sampled_from(
        [("own", "own")] * 4 + [("own", ""), ("", "own"), ("", ""), ("other", "own"), ("own", "other")]
    ),
).map(lambda call: call._replace(resource=RECORDS) if call.verb == "update_status" else call)


class Side:
    """One of the two APIs, with the objects that it gave and its versions by number."""

    def __init__(self, ask: Callable[..., Awaitable[Any]], prefix: str) -> None:
        """Call it by a verb and arguments; use namespaces that are empty, and whose names begin with ``prefix``."""
        self._ask, self._prefix = ask, prefix
        self._held: list[tuple[Resource, Json]] = []
        self._numbers: dict[tuple[str, ...], dict[str, int]] = {}

    async def tell(self, call: Call) -> object:
        """Make a call; give what it comes to: status and reason of a refusal, or objects without their own names."""
        try:
            found = await self._ask(*self._words(call))
        except ApiError as error:
            return error.status, error.reason
        if found is None:
            return "deleted"
        if isinstance(found, list):  # where items of built-in resources tell no kind
            items = [self._plain(call.resource, one) for one in found]
            return [{name: part for name, part in one.items() if name not in ("kind", "apiVersion")} for one in items]
        self._held.append((call.resource, found))
        return self._plain(call.resource, found)

    def _words(self, call: Call) -> tuple[Any, ...]:
        """Give the verb and its arguments."""
        verb, resource = call.verb, call.resource
        namespace, name = self._prefix + call.about[0], call.about[1]
        if verb == "list" and (call.held or resource is LEASES):
            return verb, resource, namespace, "metadata.name", name
        if verb == "list":
            return verb, resource, namespace, FINGERPRINT, PRINTS[call.value]
        if verb == "get":
            return verb, resource, namespace, name
        held = [one for of, one in self._held if of is resource]
        if verb == "create" or call.held >= len(held):
            return "create", resource, self._new(call)
        body = copy.deepcopy(held[-1 - call.held])
        for part, other, sent in zip(_TAKEN, _OTHERS, call.sent, strict=True):
            body["metadata"][part] = {"own": body["metadata"][part], "": "", "other": other}[sent]
        if verb == "delete":
            return verb, resource, *(body["metadata"][part] for part in ("namespace", "name", *_TAKEN))
        body |= {part: made for part, made in self._new(call).items() if part != "metadata"}
        body["metadata"]["labels"] = {"value": f"v{call.value}"}
        return verb, resource, body

    def _new(self, call: Call) -> Json:
        resource, value = call.resource, call.value
        lease = {"holderIdentity": f"gateway-{value}", "leaseDurationSeconds": 30}
        record = {"signalFingerprint": PRINTS[value], "signalName": "HighMemoryUsage"}
        status = {"status": {"deduplication": {"occurrenceCount": value}}}
        return {
            "apiVersion": f"{resource.group}/{resource.version}",
            "kind": resource.kind,
            "metadata": {"name": call.about[1], "namespace": self._prefix + call.about[0]},
            "spec": lease if resource is LEASES else record,
            **(status if resource is RECORDS else {}),
        }

    def _plain(self, resource: Resource, one: Json) -> Json:
        """Put numbers, by first appearance, in the place of an object's uids and versions."""
        metadata = {name: part for name, part in one["metadata"].items() if name not in _SERVERS_OWN}
        metadata["namespace"] = metadata["namespace"].removeprefix(self._prefix)
        for part in _TAKEN:
            numbers = self._numbers.setdefault((resource.plural, metadata["namespace"], metadata["name"], part), {})
            metadata[part] = numbers.setdefault(metadata[part], len(numbers))
        return {**one, "metadata": metadata}


async def over_http(store: KubeStore, verb: str, *arguments: Any) -> object:  # noqa: ANN401 - each verb has its own
    """Call the server."""
    if verb == "delete":
        await store.delete(*arguments[:3], uid=arguments[3], version=arguments[4])
        return None
    return await getattr(store, verb)(*arguments)


async def in_memory(memory: KubeMemory, verb: str, *arguments: Any) -> object:  # noqa: ANN401 - each verb has its own
    """Call the memory.

    Raises:
        ApiError: when it refuses.

    """
    reply = getattr(memory, verb)(*arguments)
    if reply.status >= 400:
        raise ApiError(reply.status, reply.document["reason"], reply.document["message"])
    return None if verb == "delete" else reply.document["items"] if verb == "list" else reply.document


class Served:
    """The embedded server, and one client of it as a bundled Gateway has."""

    def __init__(self, runner: asyncio.Runner, server: KubeServer, store: KubeStore) -> None:
        """Take what is open."""
        self._runner, self._server, self._store = runner, server, store
        self._examples = count()

    def compare(self, calls: list[Call]) -> None:
        """Make the calls of both, in namespaces that are empty, and compare what each comes to."""
        prefix = f"n{next(self._examples)}-"
        for number in "12":
            self._server.install({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": prefix + number}})
        memory = KubeMemory(0.0, RECORDS.plural)
        sides = Side(partial(over_http, self._store), prefix), Side(partial(in_memory, memory), prefix)
        for call in calls:
            said = [self._runner.run(side.tell(call)) for side in sides]
            assert said[0] == said[1], call


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """Start the server once."""

    async def begin() -> Served:
        server = await stack.enter_async_context(KubeServer())
        server.install(DEFINITION)
        store = KubeStore(Cluster(server.url, None, ""), Pod(1, "locks"), cached=False)
        return Served(runner, server, await stack.enter_async_context(store))

    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        found = runner.run(begin())
        yield found
        runner.run(stack.aclose())


def once(verb: str, resource: Resource, *sent: *tuple[str, str]) -> Call:
    """Call about the object that was held last."""
    return Call(verb, resource, ("1", "a"), 0, 1, sent)


@example(calls=[once(verb, RECORDS, "own", "own") for verb in ("create", "delete", "delete", "update")])
@example(calls=[once(verb, LEASES, "own", "own") for verb in ("create", "delete", "delete", "update")])
@example(calls=[once(verb, LEASES, "", "own") for verb in ("create", "delete", "update", "get")])
@given(calls=st.lists(CALLS, min_size=6, max_size=16))
def test_the_memory_answers_as_the_server_does(served: Served, calls: list[Call]) -> None:
    """Whatever is asked, both give the same object, by its content and by which of its versions it is, or refusal."""
    served.compare(calls)
