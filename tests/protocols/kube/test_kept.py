"""An API server that its user lends: objects that were there are after a run what they were, by their uid."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.core.errors import Place, UsageFault
from stress.executors.live.executor import LiveExecutor
from stress.protocols.kube.kept import Kept
from stress.protocols.kube.kubeconfig import written
from stress.protocols.kube.requests import effect_of
from stress.protocols.kube.server.requests import Answer, Request
from stress.protocols.kube.server.server import KubeServer
from stress.schedulers.random_walk import Walk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Json = dict[str, Any]
MAPS = "/api/v1/namespaces/default/configmaps"
SHARED = f"{MAPS}/shared"
HERE = Place("target.yaml", 3, 5)
OF_THE_SERVER = ("resourceVersion", "generation", "managedFields")
CASES = Path(__file__).parent.parent.parent / "cases"
SERVICE = """
import sys
from config_maps import api, config_map, serve

def handle(pod):
    status, _ = api("POST", "configmaps", config_map(pod, {}))
    api("PATCH", "configmaps/shared", {"data": {pod: "1"}, "metadata": {"labels": {"team": pod}}})
    if sys.argv[1] == "deletes":
        api("DELETE", "configmaps/shared")
    return (201 if status == 201 else 202), f"alert-{pod}", None

api("PATCH", "configmaps/shared", {"data": {"started": "1"}})
serve(handle)
"""


class Cluster:
    """A server that somebody else uses too, with one ConfigMap."""

    def __init__(self, server: KubeServer) -> None:
        """Make the ConfigMap."""
        self.server = server
        metadata = {"name": "shared", "labels": {"team": "theirs"}}
        server.install({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1", "b": "2"}})

    async def call(self, method: str, path: str, body: Json | None = None) -> tuple[int, Json | None]:
        """Send one request."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        answer = self.server.answer(Request(method, path, {}, "", kind, "", json.dumps(body or {}).encode()))
        assert isinstance(answer, Answer)
        return answer.status, json.loads(answer.body)

    async def does(self, kept: Kept, method: str, path: str, body: Json | None = None) -> None:
        """Do to the server what a request of a run does, which is saved before and noted after it."""
        await kept.save(effect_of(method, path))
        _, found = await self.call(method, path, body)
        kept.left(path, found or {})

    def held(self) -> dict[str, Json]:
        """Give every ConfigMap, but for what the server alone writes."""
        found = {}
        for one in self.server.objects("configmaps"):
            own = {name: value for name, value in one["metadata"].items() if name not in OF_THE_SERVER}
            found[f"{own['namespace']}/{own['name']}"] = {**one, "metadata": own}
        return found


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[Cluster]:
    """Start a server with one ConfigMap."""
    async with KubeServer() as server:
        yield Cluster(server)


def patch(**data: str | None) -> Json:
    """Give a merge patch of data."""
    return {"data": data}


@pytest.mark.asyncio
async def test_what_was_there_is_as_it_was_and_what_was_not_is_gone(cluster: Cluster) -> None:
    """A patched object has its fields and its uid again, a new one is deleted."""
    before, kept = cluster.held(), Kept(cluster.call, HERE, lent=True)
    kept.begin()
    await cluster.does(kept, "PATCH", SHARED, {**patch(a="9", b=None, c="3"), "metadata": {"labels": {"team": None}}})
    await cluster.does(kept, "PATCH", SHARED, {"metadata": {"annotations": {"more": "1"}}})
    new = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}}
    await kept.save(effect_of("PUT", f"{MAPS}/new"))
    _, made = await cluster.call("POST", MAPS, new)
    kept.left(f"{MAPS}/new", made or {})
    assert cluster.held() != before
    await kept.give_back([SHARED, f"{MAPS}/new"])
    assert (cluster.held(), kept.notes) == (before, [])


@pytest.mark.asyncio
async def test_what_is_written_outside_runs_and_in_the_background_is_given_back_at_the_end(cluster: Cluster) -> None:
    """A run begins with what the start has left, and ends with it; at last all is as it was."""
    before, kept = cluster.held(), Kept(cluster.call, HERE, lent=True)
    await cluster.does(kept, "PATCH", SHARED, patch(started="1"))
    await kept.give_back([SHARED])  # it is of no run
    assert cluster.held()["default/shared"]["data"]["started"] == "1"
    kept.begin()
    await cluster.does(kept, "PATCH", SHARED, patch(started="2"))
    await kept.save(effect_of("PUT", f"{MAPS}/lease"), background=True)
    await cluster.call("POST", MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "lease"}})
    await kept.give_back([SHARED])
    held = cluster.held()
    assert (held["default/shared"]["data"]["started"], "default/lease" in held) == ("1", True)
    await kept.give_all_back()
    assert (cluster.held(), kept.notes) == (before, [])


@pytest.mark.asyncio
async def test_what_somebody_else_writes_meanwhile_stays(cluster: Cluster) -> None:
    """Of an object that others change too the fields of the run alone are taken back; one made again is left."""
    kept = Kept(cluster.call, HERE, lent=True)
    kept.begin()
    await cluster.does(kept, "PATCH", SHARED, patch(a="9", b="9"))
    await cluster.call("PATCH", SHARED, patch(b="theirs", c="theirs"))
    await kept.give_back([SHARED])
    assert cluster.held()["default/shared"]["data"] == {"a": "1", "b": "theirs", "c": "theirs"}
    assert kept.notes == [f"{SHARED} was changed by somebody else in a run: what the run did was taken back alone"]
    kept.notes.clear()
    new = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}}
    kept.begin()
    await kept.save(effect_of("PUT", f"{MAPS}/new"))
    _, made = await cluster.call("POST", MAPS, new)
    kept.left(f"{MAPS}/new", made or {})
    cluster.server.delete("configmaps", "default", "new")
    await cluster.call("POST", MAPS, new)
    await kept.give_back([f"{MAPS}/new"])
    assert "default/new" in cluster.held()
    assert kept.notes == [f"{MAPS}/new was made again by somebody else in a run: it was left as it is"]
    kept.notes.clear()
    kept.begin()
    await cluster.does(kept, "PATCH", SHARED, patch(a="9"))
    cluster.server.delete("configmaps", "default", "shared")
    await cluster.call("POST", MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shared"}})
    await kept.give_back([SHARED])
    assert "data" not in cluster.held()["default/shared"]
    assert kept.notes == [f"{SHARED} was made again by somebody else in a run: it was left as it is"]


@pytest.mark.asyncio
async def test_what_was_there_is_never_deleted_but_in_a_namespace_of_ours(cluster: Cluster) -> None:
    """A delete of somebody's object, or of a collection, is refused; in a namespace of the run it comes again."""
    before, kept = cluster.held(), Kept(cluster.call, HERE, lent=True)
    kept.begin()
    for path in (SHARED, MAPS):
        with pytest.raises(UsageFault, match=r"target.yaml:3:5: stores.kubernetes.kubeconfig: delete\w* configmaps/"):
            await kept.save(effect_of("DELETE", path))
    assert cluster.held() == before
    kept.namespaces.add("default")
    await cluster.does(kept, "DELETE", MAPS)
    assert cluster.held() == {}
    await kept.give_back([SHARED])
    repeat = cluster.held()["default/shared"]
    assert (repeat["data"], repeat["metadata"]["labels"]) == ({"a": "1", "b": "2"}, {"team": "theirs"})


def executor(folder: Path, cluster: Cluster, mode: str) -> LiveExecutor:
    """Make an executor whose Gateway works in a namespace that was there before."""
    (folder / "config.yaml").write_text(written(cluster.server.url, "default"))
    (folder / "service.py").write_text(SERVICE)
    env = {"PORT": "{port}", "KUBE_URL": "{kube_url}", "NAMESPACE": "default", "PYTHONPATH": str(CASES)}
    start = {"command": [sys.executable, "service.py", mode], "env": env, "ready": {"path": "/ready"}}
    stores = {"kubernetes": {"kubeconfig": "config.yaml"}}
    target = {"name": "own", "start": start, "stores": stores, "fingerprint": "{labels.pod}"}
    scenario = {
        "name": "two",
        "story": "Two.",
        "signal": {"labels": {"pod": "{fresh}"}},
        "invariants": ["no_server_error"],
    }
    return LiveExecutor(Scenario.model_validate(scenario), Target.model_validate(target), folder)


@pytest.mark.unmeasured
@pytest.mark.asyncio
async def test_a_lent_cluster_is_what_it_was(cluster: Cluster, tmp_path: Path) -> None:
    """Whatever a Gateway does as it starts and in runs, every object that was there is as it was."""
    before, names = cluster.held(), [one["metadata"]["name"] for one in cluster.server.objects("namespaces")]
    async with executor(tmp_path, cluster, "patches") as live:
        for seed in range(3):
            assert (await live.run(Walk(seed))).fault == ""
            held = cluster.held()
            assert (held.keys(), held["default/shared"]["data"]) == (
                before.keys(),
                {"a": "1", "b": "2", "started": "1"},
            )
    assert cluster.held() == before
    left = [one["metadata"]["name"] for one in cluster.server.objects("namespaces")]
    assert [name for name in left if not name.startswith("gateway-stress-")] == names  # no controller would delete it


@pytest.mark.unmeasured
@pytest.mark.asyncio
async def test_a_gateway_that_deletes_what_was_there_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    """The preflight says so, and every object is as it was."""
    before = cluster.held()
    with pytest.raises(UsageFault, match="delete configmaps/default/shared deletes an object that was there before"):
        async with executor(tmp_path, cluster, "deletes"):
            pass
    assert cluster.held() == before
