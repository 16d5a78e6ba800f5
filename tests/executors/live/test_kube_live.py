"""The live executor over the Kubernetes API: requests and watch events are steps, on any server."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from conftest import scenario_of, target_of
from following import Follow

from stress.checks import run_checks
from stress.config.formats import bundled
from stress.config.target import Target
from stress.core.errors import Unavailable
from stress.core.schedule import parse
from stress.engine.case import Case
from stress.engine.limits import Limits
from stress.engine.running import run, schedule_of
from stress.executors.live.executor import LiveExecutor
from stress.executors.model.executor import ModelExecutor
from stress.protocols.kube.kubeconfig import written
from stress.protocols.kube.server.server import KubeServer
from stress.protocols.kube.store import KubeStore
from stress.schedulers.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stress.core.step import Move
    from stress.core.trace import Trace
    from stress.report.events import Result

RECORDS = "remediationrequests.kubernaut.ai"
LIMITS = Limits(60.0, 5000)


async def searched(scenario: str, target: Target) -> Result:
    """Search a bundled scenario, in the model first; what that finds is followed on the wire, and must be the same."""
    one = scenario_of(scenario)
    async with LiveExecutor(one, target) as wire:
        return await Case(ModelExecutor(one, target), wire, LIMITS).result()


async def ran(scenario: str, target: str, actors: str) -> Trace:
    """Run one schedule on the wire."""
    async with LiveExecutor(scenario_of(scenario), target_of(target)) as executor:
        trace = await executor.run(Follow(actors))
    assert trace.fault == ""
    return trace


@pytest.mark.measured_once
@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("scenario", "target", "actors"),
    [
        ("r8-phase-flip", "kube-status", "writer A A A A A A"),
        ("r2-same-second-losers", "kube-status", "A A B B B B B A A A A"),
        ("r4-loser-without-cache", "kube-status-cached", "A A A B B"),
        ("r5-stale-list", "kube-status-cached", "A A A clock B B B"),
        ("r6-retry-exhaustion", "kube-status", "A A A B B B B A A C C C C A A D D D D A A E E E E A"),
        ("r7-stale-cache-conflict", "kube-status-cached", "A A A B B B B B"),
        ("r9-delete-under-foot", "kube-status", "A A cleanup A"),
        ("l1-reentrant-lock", "kube-lease", "A A A A B B B B B B B B A A A A"),
        ("l6-unrenewed-lease", "kube-lease", "A A A A expiry B B B B B B B B B A A A A"),
    ],
)
async def test_what_the_model_finds_is_confirmed_on_the_wire(scenario: str, target: str, actors: str) -> None:
    """Each race is the same order in both executors, described alike step by step, and fails again in each replay."""
    result = await searched(scenario, target_of(target))
    assert result.faults == ()
    assert [(one.schedule.actors, one.confirmed, one.replays) for one in result.findings] == [(actors, True, (3, 3))]
    assert result.as_expected


GUIDE = [
    [cell.strip(" `") for cell in line.strip("|").split("|")]
    for line in (bundled("") / "README.md").read_text().split("## Bundled over")[1].split("## What")[0].splitlines()
    if line.startswith("| ") and not line.startswith("| scenario")
]


@pytest.mark.unmeasured
@pytest.mark.asyncio
@pytest.mark.parametrize(("name", "race", "target", "invariant", "actors"), GUIDE)
async def test_the_guide_tells_the_minimal_schedule_of_each_race_over_kubernetes(
    name: str, race: str, target: str, invariant: str, actors: str
) -> None:
    """The schedule that the search reports for the invariant is the one in the guide, as is the race."""
    scenario = scenario_of(name)
    assert race in scenario.races
    result = await Case(ModelExecutor(scenario, target_of(target)), None, LIMITS).result()
    assert [one.schedule.actors for one in result.findings if invariant in one.invariants] == [actors]


@pytest.mark.asyncio
async def test_a_client_that_hangs_up_leaves_a_lease() -> None:
    """L5: the lock of today stays where its request is cancelled; the fixed counterpart releases it in every schedule.

    A schedule ends with the last step of what a cancelled request still does.
    """
    result = await searched("l5-leaked-lease", target_of("kube-lease"))
    assert [(one.schedule.actors, one.replays) for one in result.findings] == [("A A A client:A", (3, 3))]
    answer = result.findings[0].trace.answers[0]
    assert (answer.status, answer.error, answer.hung_up) == (0, "its client hung up", True)
    fixed = await searched("l5-leaked-lease", target_of("kube-lease-fenced"))
    assert (fixed.verdict.ruling, fixed.faults) == ("holds", ())
    assert [(one.executor, one.schedules, one.exhausted) for one in fixed.verdict.evidence] == [
        ("model", 8, True),
        ("live", 12, True),
    ]


@pytest.mark.asyncio
async def test_an_event_that_is_let_through_is_known_to_the_next_request() -> None:
    """Held back, A's record is unknown to B, who finds its name taken; let through, B counts a hit (R4)."""
    reported = {}
    for actors in ("A A A B B", "A A watch:1 B B"):
        trace = await ran("r4-loser-without-cache", "kube-status-cached", actors)
        reported[actors] = sorted((answer.actor, answer.status) for answer in trace.answers)
    assert reported == {"A A A B B": [("A", 201), ("B", 500)], "A A watch:1 B B": [("A", 201), ("B", 202)]}


@pytest.mark.unmeasured
@pytest.mark.asyncio
async def test_replays_with_events_of_a_watch_give_the_same_trace() -> None:
    """A schedule that lets an event through in its midst is followed ten times, to the same trace."""
    scenario, target = scenario_of("r4-loser-without-cache"), target_of("kube-status-cached")
    async with LiveExecutor(scenario, target) as executor:
        trace = await executor.run(Follow("A A B watch:1 B"))
        schedule = parse(schedule_of(trace, executor, 0, ()).text(), "schedule.txt")
        signatures = {(await run(schedule, executor)).signature for _ in range(10)}
    name = "rr-{fingerprint:12}-{time:1}"
    reported = [str(event) for event in trace.events if event.actor == "watch:1"]
    assert reported == [f"watch:1 ADDED remediationrequests/prod-payments/{name} -> ADDED {name}"]
    assert signatures == {trace.signature}


@pytest.mark.asyncio
async def test_an_schedule_leaves_no_object_behind() -> None:
    """Records and leases of a schedule are deleted, those of others stay."""
    scenario, target = scenario_of("l1-reentrant-lock"), target_of("kube-lease")
    async with LiveExecutor(scenario, target) as executor:
        kube = executor.deployment.stores["kubernetes"].store
        assert kube is not None
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "other"}}
        assert (await kube.call("POST", "/apis/coordination.k8s.io/v1/namespaces/default/leases", lease))[0] == 201
        trace = await executor.run(Follow("A A A A B B B B B B B B A A A A"))
        left = [one["metadata"]["name"] for one in await kube.objects("leases.coordination.k8s.io")]
        assert (await kube.objects(RECORDS), left) == ([], ["other"])
    assert len(trace.final.records or ()) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("controlled", [True, False])
async def test_a_server_of_ones_own_is_used_and_left_as_it_was(tmp_path: Path, *, controlled: bool) -> None:
    """A kubeconfig leads to it, the Gateway speaks TLS to the gate, and what the run made is gone afterwards.

    Only namespaces are left where no controller would finish their deletion: it would never end.
    """
    text = (bundled("targets") / "kube-status-cached.yaml").read_text()
    manifests = bundled("targets") / "manifests"
    text = text.replace("{kubernetes: {}}", "{kubernetes: {kubeconfig: config.yaml, tls: true}}")
    (tmp_path / "target.yaml").write_text(text.replace("manifests", str(manifests)))
    async with KubeServer() as server:
        (tmp_path / "config.yaml").write_text(written(server.url, "default"))
        before = [one["metadata"]["name"] for one in server.objects("namespaces")]
        if controlled:
            await made(server, "serviceaccounts", {"kind": "ServiceAccount", "metadata": {"name": "default"}})
        result = await searched("r3-status-init-lost", Target.load(tmp_path / "target.yaml"))
        assert [(one.schedule.actors, one.replays) for one in result.findings] == [("A A A B B", (3, 3))]
        left = {one["metadata"]["name"] for one in server.objects("namespaces")} - {*before}
        assert {name.split("-")[0] for name in left} == (set() if controlled else {"gateway", "prod"})
        assert server.objects("customresourcedefinitions.apiextensions.k8s.io") == []


async def made(server: KubeServer, resource: str, one: dict[str, Any]) -> None:
    """Make an object in the namespace `default`, or a namespace."""
    path = "/api/v1/namespaces" if resource == "namespaces" else f"/api/v1/namespaces/default/{resource}"
    async with aiohttp.ClientSession() as session:
        answer = await session.post(server.url + path, json={"apiVersion": "v1", **one})
        assert answer.status == 201


@pytest.mark.asyncio
@pytest.mark.parametrize("ends", [True, False])
async def test_a_namespace_that_is_being_deleted_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, ends: bool
) -> None:
    """Nothing can be made in it: once it is gone it is made again, and where it does not go the line says so."""
    (tmp_path / "config.yaml").write_text("")
    text = "name: t\nprotocol: kube-status\nstores: {kubernetes: {kubeconfig: config.yaml}}\n"
    (tmp_path / "target.yaml").write_text(text)
    async with KubeServer() as server, aiohttp.ClientSession() as session:
        (tmp_path / "config.yaml").write_text(written(server.url, "default"))
        store = KubeStore(Target.load(tmp_path / "target.yaml"), tmp_path)
        await store.open()
        await made(server, "namespaces", {"kind": "Namespace", "metadata": {"name": "prod", "finalizers": ["a.b/c"]}})
        await session.delete(f"{server.url}/api/v1/namespaces/prod")
        waiting = asyncio.ensure_future(store.make_namespace("prod"))
        if ends:
            free = {"metadata": {"finalizers": None}}
            kind = {"Content-Type": "application/merge-patch+json"}
            await session.patch(f"{server.url}/api/v1/namespaces/prod", data=json.dumps(free), headers=kind)
            await waiting
            assert "prod" in [one["metadata"]["name"] for one in server.objects("namespaces")]
        else:
            monkeypatch.setattr("stress.protocols.kube.store._ENDING_SECONDS", 0.1)
            with pytest.raises(Unavailable, match=r"prod is being deleted, and that did not end within 0.1 s"):
                await store.make_namespace("prod")
            waiting.cancel()
        await store.close()


@pytest.mark.asyncio
async def test_objects_of_an_schedule_are_there_before_it_and_gone_after(tmp_path: Path) -> None:
    """A pod of the schedule's own is made before its first request and deleted at its end."""
    text = (
        (bundled("targets") / "kube-status.yaml")
        .read_text()
        .replace("manifests", str(bundled("targets") / "manifests"))
        .replace("second: matters", "second: ignored")  # a run that crosses one would be repeated
    )
    pod = '{apiVersion: v1, kind: Pod, metadata: {name: "p-{fresh}", namespace: "{namespace}"}}'
    (tmp_path / "target.yaml").write_text(f"{text}each_run: [{pod}]\n")
    seen: list[str] = []

    class Looking(Follow):
        """Looks, past the wire and in the midst of a run, at what is there."""

        def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
            """Look, then choose."""
            assert kube is not None
            assert kube._embedded is not None
            seen.extend(one["metadata"]["name"] for one in kube._embedded.objects("pods"))
            return super().choose(moves, done=done)

    async with LiveExecutor(scenario_of("r2-same-second-losers"), Target.load(tmp_path / "target.yaml")) as executor:
        kube = executor.deployment.stores["kubernetes"].store
        trace = await executor.run(Looking("A"))
        assert kube is not None
        assert await kube.objects("pods") == []
    assert set(seen) == {f"p-{trace.fresh}"}


@pytest.mark.asyncio
async def test_a_resource_that_is_not_served_is_named(tmp_path: Path) -> None:
    """Without its definition the records can't be read: the line says what to install."""
    text = (bundled("targets") / "kube-status.yaml").read_text()
    (tmp_path / "target.yaml").write_text("\n".join(line for line in text.splitlines() if "setup" not in line))
    with pytest.raises(Unavailable) as caught:
        async with LiveExecutor(scenario_of("r2-same-second-losers"), Target.load(tmp_path / "target.yaml")):
            pass
    assert str(caught.value) == (
        "the API server has no remediationrequests.kubernaut.ai (install its definition: name its file in `setup`)"
    )


@pytest.mark.unmeasured
@pytest.mark.asyncio
async def test_leases_replay_the_same_on_several_pods() -> None:
    """L3 with two pods: B deletes the lease that C has just made, in each of five replays."""
    scenario, target = scenario_of("l3-foreign-delete"), target_of("kube-lease")
    async with LiveExecutor(scenario, target) as executor:
        trace = await executor.run(Follow("A A A A A A A A B B B B B B B C C C A C C C C"))
        broken = [one.invariant for one in run_checks(scenario.invariants, trace)]
        repeat = {(await executor.run(Replay(trace.moves))).signature for _ in range(5)}
    assert broken == ["lease_deleted_as_seen"]
    assert repeat == {trace.signature}
