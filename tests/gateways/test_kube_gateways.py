"""The bundled Gateways over the Kubernetes API, on the wire: against the embedded API server."""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer
from test_kube_server import DEFINITION

from stress.config.gateways import KUBE_PROTOCOLS
from stress.core.errors import UsageFault
from stress.gateways.app import make_app
from stress.gateways.kubeapi import LEASES, RECORDS, ApiError
from stress.gateways.kubeconfig import Cluster, read_kubeconfig
from stress.gateways.kubestore import KubeStore, Pod
from stress.gateways.protocols import is_cached
from stress.gateways.remediations import new_record
from stress.gateways.serve import serve
from stress.gateways.store import Incoming
from stress.protocols.kube.server.server import KubeServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from stress.gateways.kubeapi import Json

PATH = "/api/v1/signals/prometheus"
KIND = "remediationrequests.kubernaut.ai"
WEBHOOK = json.dumps({"alerts": [{"labels": {"alertname": "HighMemoryUsage", "namespace": "prod"}}]}).encode()
SIGNAL = Incoming("ab" * 32, "HighMemoryUsage", "prod")


@pytest_asyncio.fixture
async def server() -> AsyncIterator[KubeServer]:
    """Start an API server that knows records and has the namespaces of signals and leases."""
    async with KubeServer() as found:
        found.install(DEFINITION)
        for name in ("prod", "locks"):
            found.install({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        yield found


@asynccontextmanager
async def store_of(server: KubeServer, replica: int = 1, *, cached: bool = False) -> AsyncIterator[KubeStore]:
    """Open a store as a bundled Gateway does."""
    async with KubeStore(Cluster(server.url, None, ""), Pod(replica, "locks"), cached=cached) as found:
        await found.probe()
        yield found


@asynccontextmanager
async def gateway(server: KubeServer, protocol: str, replica: int = 1) -> AsyncIterator[TestClient[Any, Any]]:
    """Serve a bundled Gateway."""
    async with (
        store_of(server, replica, cached=is_cached(protocol)) as store,
        TestClient(TestServer(make_app(protocol, store), handler_cancellation=True)) as client,
    ):
        yield client


async def post(client: TestClient[Any, Any]) -> tuple[int, Json]:
    """Send the signal; give status and body."""
    headers = {"Content-Type": "application/json", "X-Timestamp": str(int(time.time()))}
    answer = await client.post(PATH, data=WEBHOOK, headers=headers)
    return answer.status, await answer.json()


async def reported(store: KubeStore, records: list[Json]) -> None:
    """Wait until the cache of a store holds these records of the signal, and no others."""
    while await store.cached_list("prod", SIGNAL.fingerprint) != records:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0)


def count(server: KubeServer) -> list[object]:
    """Give the stored hits of all records, by name."""
    return [one.get("status", {}).get("deduplication", {}).get("occurrenceCount") for one in server.objects(KIND)]


@pytest.mark.asyncio
@pytest.mark.parametrize("protocol", [name for name in KUBE_PROTOCOLS if not is_cached(name)])
async def test_one_after_another_every_gateway_is_right(server: KubeServer, protocol: str) -> None:
    """The first signal creates, the next two count to 2 and 3, all naming one record, and no lock is left."""
    async with gateway(server, protocol) as client:
        answers = [await post(client) for _ in range(3)]
    bodies = [body for _, body in answers]
    names = {body["remediationRequestName"] for body in bodies}
    assert [status for status, _ in answers] == [201, 202, 202], bodies
    assert [body["metadata"]["count"] for body in bodies[1:]] == [2, 3]
    assert names == {one["metadata"]["name"] for one in server.objects(KIND, "prod")}
    assert (len(names), count(server)) == (1, [3])
    assert server.objects("leases.coordination.k8s.io") == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("protocol", "suffix"),
    [
        ("kube-lease", r"-a0[0-9a-f]{8}"),
        ("kube-lease-fenced", ""),
        ("kube-named-by-fingerprint", ""),
        ("kube-status", r"-\d{10}"),
        ("kube-status-cached", r"-\d{10}"),
    ],
)
async def test_names_are_those_of_the_contract(server: KubeServer, protocol: str, suffix: str) -> None:
    """A record is named after twelve digits of the fingerprint, and a second or made-up digits where names are new."""
    async with gateway(server, protocol) as client:
        _, body = await post(client)
    assert re.fullmatch(rf"rr-{body['fingerprint'][:12]}{suffix}", body["remediationRequestName"])


@pytest.mark.asyncio
@pytest.mark.parametrize("protocol", ["kube-lease-fenced", "kube-named-by-fingerprint"])
@pytest.mark.parametrize("replicas", [1, 2])
async def test_twins_are_right_at_once(server: KubeServer, protocol: str, replicas: int) -> None:
    """Of five requests at once to one or two replicas one creates, the others count to 2…5, and 5 is stored."""
    async with gateway(server, protocol, 1) as one, gateway(server, protocol, 2) as other:
        clients = [one, other if replicas == 2 else one]
        answers = await asyncio.gather(*(post(clients[number % 2]) for number in range(5)))
    counts = sorted(body["metadata"]["count"] for status, body in answers if status == 202)
    assert (sorted(status for status, _ in answers), counts) == ([201, 202, 202, 202, 202], [2, 3, 4, 5])
    assert count(server) == [5]


@pytest.mark.asyncio
async def test_a_finished_record_gets_a_successor(server: KubeServer) -> None:
    """Once a record is finished the next signal makes generation 2, and the finished one keeps its count."""
    async with gateway(server, "kube-named-by-fingerprint") as client:
        _, first = await post(client)
        name = first["remediationRequestName"]
        server.patch(KIND, "prod", name, {"status": {"overallPhase": "Completed"}}, sub="status")
        answers = [await post(client), await post(client)]
    reported = [(status, body["remediationRequestName"]) for status, body in answers]
    assert reported == [(201, f"{name}-2"), (202, f"{name}-2")]
    assert count(server) == [1, 2]


@pytest.mark.asyncio
async def test_a_cache_is_no_request(server: KubeServer) -> None:
    """What the API server does not tell a cached Gateway of it does not know: its own record is missing at first."""
    async with store_of(server, cached=True) as store:
        record = await store.create(RECORDS, new_record(SIGNAL, "rr-1", 0.0))
        with pytest.raises(ApiError, match='"rr-1" not found'):
            await store.cached_get("prod", "rr-1")
        await reported(store, [record])
        assert await store.cached_get("prod", "rr-1") == record
        assert await store.cached_list("prod", "00" * 32) == []


@pytest.mark.asyncio
async def test_a_cache_follows_changes(server: KubeServer) -> None:
    """A change and a deletion reach the cache."""
    async with store_of(server, cached=True) as store:
        record = await store.create(RECORDS, new_record(SIGNAL, "rr-1", 0.0))
        record["status"] = {"overallPhase": "Completed"}
        changed = await store.update_status(RECORDS, record)
        await reported(store, [changed])
        await store.delete(RECORDS, "prod", "rr-1")
        await reported(store, [])


@pytest.mark.asyncio
async def test_a_cache_is_filled_before_its_gateway_is_ready(server: KubeServer) -> None:
    """A record that was there before is known once the store says that it is there."""
    async with store_of(server) as other:
        record = await other.create(RECORDS, new_record(SIGNAL, "rr-1", 0.0))
    async with store_of(server, cached=True) as store:
        assert await store.cached_get("prod", "rr-1") == record


@pytest.mark.asyncio
async def test_a_cache_begins_again_when_its_watch_ends(server: KubeServer) -> None:
    """Where the server restarts, what changed meanwhile is known after the watch is opened again."""
    async with store_of(server, cached=True) as store:
        port = server.port
        await server.stop()
        made = server.install(new_record(SIGNAL, "rr-1", 0.0))
        await server.start(port)
        await reported(store, [made])


@pytest.mark.asyncio
async def test_preconditions_keep_a_lock(server: KubeServer) -> None:
    """A lease is not deleted under another uid or version than its own, and is under its own."""
    async with store_of(server) as store:
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "gw-lock-1", "namespace": "locks"},
            "spec": {"holderIdentity": store.holder()},
        }
        lease = await store.create(LEASES, body)
        uid, version = lease["metadata"]["uid"], lease["metadata"]["resourceVersion"]
        for wrong in ({"uid": "other", "version": version}, {"uid": uid, "version": "1"}):
            with pytest.raises(ApiError) as refused:
                await store.delete(LEASES, "locks", "gw-lock-1", **wrong)
            assert (refused.value.status, refused.value.reason) == (409, "Conflict")
        await store.delete(LEASES, "locks", "gw-lock-1", uid=uid, version=version)
    assert server.objects("leases.coordination.k8s.io") == []


@pytest.mark.asyncio
@pytest.mark.parametrize(("protocol", "left"), [("kube-lease", ["gateway-1"]), ("kube-lease-fenced", [])])
async def test_a_client_that_hangs_up_leaves_the_lock_of_today(
    server: KubeServer, protocol: str, left: list[str]
) -> None:
    """L5: a request that is cancelled inside the lock leaves its lease behind; the fixed counterpart releases it."""
    store = KubeStore(Cluster(server.url, None, ""), Pod(1, "locks"), cached=False)
    async with store:
        listing, parked = asyncio.Event(), store.list

        async def parking(*_: object) -> list[Json]:
            listing.set()
            await asyncio.Event().wait()
            return []

        store.list = parking  # type: ignore[method-assign,assignment]
        async with TestClient(TestServer(make_app(protocol, store), handler_cancellation=True)) as client:
            request = asyncio.create_task(post(client))
            await listing.wait()
            request.cancel()
            await asyncio.gather(request, return_exceptions=True)
        store.list = parked  # type: ignore[method-assign]
    leases = server.objects("leases.coordination.k8s.io", "locks")
    assert [one["spec"]["holderIdentity"] for one in leases] == left


@pytest.mark.asyncio
async def test_errors_name_the_store(server: KubeServer) -> None:
    """What the API server refuses is a 500 whose detail names it, and a Gateway without it is not ready."""
    async with gateway(server, "kube-status") as client:
        assert (await client.get("/ready")).status == 200
        server.delete("namespaces", "", "prod")
        status, body = await post(client)
        assert (status, body["detail"]) == (500, 'Kubernetes API error: namespaces "prod" not found')
        await server.stop()
        answer = await client.get("/ready")
        reported = await answer.json()
    assert answer.status == 503
    assert reported["detail"].startswith("Kubernetes API is not reachable: no answer: ")


@pytest.mark.asyncio
async def test_a_protocol_wants_its_kind_of_store() -> None:
    """A protocol over the Kubernetes API can't be served over Redis, and the error names those that can."""
    with pytest.raises(UsageFault, match=r"--redis:1:1: kube-status keeps its state elsewhere \(choose one of redis-"):
        await serve("kube-status", "redis://127.0.0.1:1", 0)


CONFIG = """
current-context: two
clusters:
- {name: a, cluster: {server: "http://127.0.0.1:1/"}}
- {name: b, cluster: {server: "http://127.0.0.1:2/"}}
contexts:
- {name: one, context: {cluster: a}}
- {name: two, context: {cluster: b, user: u}}
users:
- {name: u, user: {token: secret}}
"""


def test_a_kubeconfig_leads_to_its_current_context(tmp_path: Path) -> None:
    """Server and token are those of the current context, and the token is not shown."""
    file = tmp_path / "config"
    file.write_text(CONFIG)
    found = read_kubeconfig(str(file))
    assert (found.url, found.tls, found.token) == ("http://127.0.0.1:2", None, "secret")
    assert repr(found) == "Cluster('http://127.0.0.1:2')"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "'NoneType' object is not subscriptable"),
        ("current-context: x", "contexts has no x"),
        (CONFIG.replace("cluster: b", "cluster: c"), "clusters has no c"),
        (CONFIG.replace('server: "http://127.0.0.1:2/"', "port: 2"), "'server'"),
        (
            CONFIG.replace('"http://127.0.0.1:2/"', '"https://h", certificate-authority-data: "?"'),
            "certificate-authority-data: ",
        ),
    ],
)
def test_a_kubeconfig_that_leads_nowhere_is_named(tmp_path: Path, text: str, why: str) -> None:
    """A file that does not say where the server is is a fault that names the file and the reason."""
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(UsageFault, match=f"config:1:1: no kubeconfig: .*{re.escape(why)}"):
        read_kubeconfig(str(file))
