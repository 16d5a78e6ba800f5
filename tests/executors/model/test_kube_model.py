"""The Gateways over Kubernetes in the model: its API against the embedded server, every schedule of each protocol."""

from __future__ import annotations

import asyncio
import copy
import os
from contextlib import AsyncExitStack
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from conftest import scenario_of, target_of
from following import Follow
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_kube_server import DEFINITION

from stress.checks import run_checks
from stress.config.scenario import Before
from stress.engine.case import Case
from stress.engine.limits import Limits
from stress.engine.strategy import alike_in, dependence_of, read
from stress.executors.live.executor import LiveExecutor
from stress.executors.model.executor import ModelExecutor
from stress.executors.model.kube_memory import KubeMemory
from stress.gateways.kubeapi import LEASES, RECORDS, ApiError
from stress.gateways.kubeconfig import Cluster
from stress.gateways.kubestore import KubeStore, Pod
from stress.gateways.remediations import FINGERPRINT
from stress.protocols.kube.server.server import KubeServer
from stress.schedulers.dpor.scheduler import Dpor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from stress.core.step import Move
    from stress.core.trace import Trace
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
        if isinstance(found, list):  # where items of built-in resources have no kind
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


@pytest.mark.unmeasured
@example(calls=[once(verb, RECORDS, "own", "own") for verb in ("create", "delete", "delete", "update")])
@example(calls=[once(verb, LEASES, "own", "own") for verb in ("create", "delete", "delete", "update")])
@example(calls=[once(verb, LEASES, "", "own") for verb in ("create", "delete", "update", "get")])
@example(calls=[once(verb, RECORDS, "", "other") for verb in ("create", "delete")])
@example(calls=[once(verb, RECORDS, "other", "") for verb in ("create", "delete")])
@settings(max_examples=50)
@given(calls=st.lists(CALLS, min_size=6, max_size=16))
def test_the_memory_answers_as_the_server_does(served: Served, calls: list[Call]) -> None:
    """Whatever is asked, both give the same object, by its content and by which of its versions it is, or refusal."""
    served.compare(calls)


NAME = "rr-{fingerprint:12}"
LOCK = "gw-lock-{fingerprint:16}"
LEASE = f"leases/gateway-stress/{LOCK}"
MADE, GONE = f"A create {LEASE} -> 201 {LOCK}", f"A delete {LEASE} -> 200 {LOCK}"
R2 = "A A B B B B B A A A A"
R6 = "A A A B B B B A A C C C C A A D D D D A A E E E E A"
TWIN = "kube-named-by-fingerprint"
RECORD = f"remediationrequests/prod-payments/{NAME}"
LATER = pytest.mark.skipif(os.environ.get("STRESS_NIGHTLY") != "1", reason="takes seconds: STRESS_NIGHTLY=1 runs it")


def modelled(scenario: str, target: str, actors: str, **changes: object) -> Trace:
    """Run one schedule of a bundled scenario, or of what is made of it, in the model."""
    trace = ModelExecutor(scenario_of(scenario).model_copy(update=changes), target_of(target)).run(Follow(actors))
    assert trace.fault == ""
    return trace


@pytest.mark.parametrize(
    ("target", "actors", "before", "after"),
    [
        ("kube-lease", "A A A client:A", [f"A get {LEASE} -> 404 NotFound {LOCK}", MADE], []),
        ("kube-lease-fenced", "A A client:A A", [MADE], [GONE]),
    ],
)
def test_a_request_is_cancelled_where_it_stands_when_its_client_hangs_up(
    target: str, actors: str, before: list[str], after: list[str]
) -> None:
    """What it waits for is never sent: it is answered nothing, and does only what it does apart from its client."""
    trace = modelled("l5-leaked-lease", target, actors)
    answer = trace.answers[0]
    assert [str(event) for event in trace.events] == ["A start", *before, "client:A hang-up", "A 0", *after]
    assert (answer.status, answer.error, answer.hung_up) == (0, "its client hung up", True)
    assert trace.final.records == ()


@pytest.mark.parametrize("steps", range(2, 6))
def test_the_fixed_releases_its_lease_wherever_its_client_hangs_up(steps: int) -> None:
    """Every schedule of L5: also when the client leaves while the lease is being deleted."""
    trace = modelled("l5-leaked-lease", "kube-lease-fenced", " ".join(["A"] * steps + ["client:A", "A"]))
    assert run_checks(["lease_released"], trace) == []
    assert str(trace.events[-1]) == GONE


class Looking(Follow):
    """Follows a schedule, and notes what the environment might do before each of its moves."""

    def __init__(self, actors: str) -> None:
        """Have seen nothing."""
        super().__init__(actors)
        self.seen: list[list[str]] = []

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Look, then choose."""
        self.seen.append([move.actor for move in moves if ":" in move.actor])
        return super().choose(moves, done=done)


def test_only_a_request_under_way_has_a_client_that_can_hang_up() -> None:
    """Nobody hangs up before the start, or a second time."""
    scenario = scenario_of("l5-leaked-lease").model_copy(update={"concurrent": 2})
    looking = Looking("A B client:A")
    ModelExecutor(scenario, target_of("kube-lease")).run(looking)
    assert looking.seen[:3] == [[], ["client:A"], ["client:A", "client:B"]]
    assert [one for one in looking.seen[3:] if one] == []


def test_an_event_is_a_move_of_each_replicas_watch_until_the_last_answer() -> None:
    """Both replicas may be notified of A's record; what is held at the end is lost: the next run begins at rest."""
    scenario = scenario_of("r4-loser-without-cache").model_copy(update={"replicas": [1, 2]})
    executor = ModelExecutor(scenario, target_of("kube-status-cached").model_copy(update={"replicas": 2}))
    for _ in range(2):
        trace = executor.run(looking := Looking("A A A watch:1 B B"))
        assert looking.seen == [[], [], *[["watch:1", "watch:2"]] * 2, ["watch:2"], ["watch:2"]]
        assert [str(event) for event in trace.events if event.actor == "watch:1"] == [
            f"watch:1 ADDED {RECORD}-{{time:1}} -> ADDED {NAME}-{{time:1}}"
        ]
        assert [(answer.actor, answer.status) for answer in trace.answers] == [("A", 201), ("B", 500)]


@pytest.mark.parametrize(("actors", "status"), [("cleanup A A A A A", 202), ("cleanup watch:1 A A", 201)])
def test_a_deleted_record_is_known_until_the_watch_has_shown_it(actors: str, status: int) -> None:
    """Whose cache still has it counts a hit of what is gone; afterwards a new one is made."""
    trace = modelled("r9-delete-under-foot", "kube-status-cached", actors)
    assert [(answer.actor, answer.status) for answer in trace.answers] == [("before1", 201), ("A", status)]


@pytest.mark.parametrize(
    ("name", "target", "actors", "states"),
    [
        ("r1-across-a-second", "kube-status", "A A clock B B B B B A A A", [("", "{time:1} {time:2}")]),
        ("r8-phase-flip", "kube-status", "writer A A A A A A", [("writer", "{time:1}"), ("", "")]),
        ("r9-delete-under-foot", "kube-status", "A A cleanup A", [("cleanup", "{time:1}"), ("", "")]),
        ("l6-unrenewed-lease", "kube-lease", "A A A A expiry B B B B B B B B B A A A A", [("", "{id:1} {id:2}")]),
    ],
)
def test_the_environment_acts_on_what_is_stored(
    name: str, target: str, actors: str, states: list[tuple[str, str]]
) -> None:
    """A new second or a lease that ran out make two records active, of a hit each; a writer or a deletion end one."""
    trace = modelled(name, target, actors)
    hits = [(ended_by, {f"{NAME}-{part}": 1 for part in parts.split()}) for ended_by, parts in states]
    assert [(state.ended_by, state.hits) for state in trace.epochs] == hits


@pytest.mark.asyncio
@pytest.mark.unmeasured
@pytest.mark.parametrize("before", [1, 2])
async def test_both_executors_begin_with_the_same_caches_after_earlier_requests(before: int) -> None:
    """What A and B do first shows what their cache knows of the earlier requests, each of which has counted."""
    scenario = scenario_of("r7-stale-cache-conflict").model_copy(update={"before": before})
    target = target_of("kube-status-cached")
    model = ModelExecutor(scenario, target)
    async with LiveExecutor(scenario, target) as wire:
        for actors in ("A A watch:1 B B", "A B A B"):
            real, modelled = await wire.run(Follow(actors)), model.run(Follow(actors))
            assert [str(event) for event in real.events] == [str(event) for event in modelled.events]
            assert real.outcome == modelled.outcome
            first = next(event for event in real.events if event.command == "update/status")
            assert str(first).endswith(f"occurrenceCount={before + 1}")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("late", "actors", "answer", "hits"),
    [
        ("ADDED remediationrequests", "watch:1 A A", (202, 1), 1),
        ("ADDED remediationrequests", "A A", (500, None), None),
        ("MODIFIED remediationrequests", "watch:1 A A", (202, 2), 2),
        ("MODIFIED remediationrequests", "A A A A A", (202, 1), 1),
    ],
)
async def test_an_event_of_the_earlier_requests_comes_late_where_the_scenario_says_so(
    late: str, actors: str, answer: tuple[int, int | None], hits: int | None
) -> None:
    """One request shows in each executor alike what a cache that was notified too late loses: R3, R4 and R7."""
    scenario = scenario_of("r7-stale-cache-conflict")
    scenario = scenario.model_copy(update={"before": Before(requests=1, late=late), "concurrent": 1})
    target = target_of("kube-status-cached")
    modelled = ModelExecutor(scenario, target).run(Follow(actors))
    async with LiveExecutor(scenario, target) as wire:
        real = await wire.run(Follow(actors))
    assert [(one.status, one.count) for one in real.answers if one.actor == "A"] == [answer]
    assert list((real.final.hits or {}).values()) == [hits]
    assert [str(event) for event in real.events] == [str(event) for event in modelled.events]
    assert (real.fault, real.moves, real.outcome) == ("", tuple(modelled.moves), modelled.outcome)


@pytest.mark.unmeasured
@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("concurrent-duplicates", {"one_created_answer": R2, "one_active_record": "A A clock B B B B B A A A"}),
        ("r6-retry-exhaustion", dict.fromkeys(("hits_equal_answers", "distinct_counts", "no_phantom_count"), R6)),
        (
            "t1-five-at-once",
            dict.fromkeys(("one_created_answer", "linearizable_hits"), f"{R2} C C C C D D D D E E E E"),
        ),
    ],
)
async def test_whatever_a_case_breaks_has_its_minimal_schedule(name: str, found: dict[str, str]) -> None:
    """Where more is broken than the guide says (`test_kube_live.py`) all of it is found, and nothing else."""
    result = await Case(ModelExecutor(scenario_of(name), target_of("kube-status")), None, Limits(60.0, 5000)).result()
    assert {broken: one.schedule.actors for one in result.findings for broken in one.invariants} == found
    assert result.as_expected


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("name", "target", "changes", "classes"),
    [
        ("concurrent-duplicates", TWIN, {}, 89),
        pytest.param("concurrent-duplicates", TWIN, {"concurrent": 3}, 9309, marks=LATER),
        ("r1-across-a-second", TWIN, {}, 89),
        ("r2-same-second-losers", TWIN, {}, 7),
        ("r2-same-second-losers", TWIN, {"concurrent": 3}, 255),
        ("r3-status-init-lost", TWIN, {}, 7),
        ("r3-status-init-lost", TWIN, {"concurrent": 3}, 255),
        ("r4-loser-without-cache", TWIN, {}, 7),
        ("r4-loser-without-cache", TWIN, {"concurrent": 3}, 255),
        ("r5-stale-list", TWIN, {}, 89),
        ("r7-stale-cache-conflict", TWIN, {}, 2),
        ("r7-stale-cache-conflict", TWIN, {"concurrent": 3}, 15),
        ("r8-phase-flip", TWIN, {}, 4),
        ("r9-delete-under-foot", TWIN, {}, 4),
        ("t2-one-then-three", TWIN, {}, 32),
        ("t2-one-then-three", "kube-status", {}, 75),
        ("l1-reentrant-lock", "kube-lease-fenced", {}, 16),
        ("l1-reentrant-lock", "kube-lease-fenced", {"replicas": [1, 2]}, 32),
        pytest.param("l1-reentrant-lock", "kube-lease-fenced", {"concurrent": 3}, 2648, marks=LATER),
        ("l4-stolen-release", "kube-lease-fenced", {}, 656),
        ("l6-unrenewed-lease", "kube-lease-fenced", {}, 656),
    ],
)
def test_a_fixed_holds_in_every_class_of_schedules(
    name: str, target: str, changes: dict[str, object], classes: int
) -> None:
    """One schedule of each class, requests to one replica being alike, breaks nothing; there are so many."""
    scenario = scenario_of(name).model_copy(update=changes)
    executor = ModelExecutor(scenario, target_of(target))
    scheduler = Dpor(dependence_of(executor), alike=alike_in(executor), read=read)
    while scheduler.more():
        trace = executor.run(scheduler)
        scheduler.learn(trace)
        assert run_checks(scenario.invariants, trace) == []
    assert (scheduler.explored, scheduler.exhausted) == (classes, True)
