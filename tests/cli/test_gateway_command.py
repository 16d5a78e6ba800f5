"""The command `stress-gateway gateway`: a bundled Gateway by itself, before the store that its protocol is over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import aiohttp
import pytest
from commands import command, stress
from redis import Redis
from test_kube_server import DEFINITION

from stress.processes.child import free_port
from stress.processes.replicas import by_command, start
from stress.protocols.kube.kubeconfig import written
from stress.protocols.kube.server.server import KubeServer
from stress.protocols.redis.server import Valkey

if TYPE_CHECKING:
    from pathlib import Path

WEBHOOK = {"alerts": [{"labels": {"alertname": "HighMemoryUsage", "namespace": "prod", "pod": "payment-api"}}]}


async def sent(folder: Path, *words: str) -> int:
    """Start the command, send it one alert; give the status of the answer."""
    port = free_port()
    begin = by_command(command("gateway", *words, "--port", port), {}, folder)
    replica = await start(1, begin, port=port, ready=("/ready", 20.0))
    try:
        headers = {"X-Timestamp": str(int(time.time()))}
        async with (
            aiohttp.ClientSession(replica.url, headers=headers) as session,
            session.post("/api/v1/signals/prometheus", json=WEBHOOK) as answer,
        ):
            return answer.status
    finally:
        replica.close()


@pytest.mark.asyncio
async def test_a_gateway_over_kubernetes_makes_a_record(tmp_path: Path) -> None:
    """Led to an API server by a kubeconfig, it answers 201 for one record, made under a lease of its own name."""
    async with KubeServer() as server:
        server.install(DEFINITION)
        for name in ("prod", "locks"):
            server.install({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        (tmp_path / "kubeconfig").write_text(written(server.url, "default"))
        words = ("--kubeconfig", "kubeconfig", "--namespace", "locks", "--replica", "2")
        status = await sent(tmp_path, "--protocol", "kube-lease", *words)
    (record,) = server.objects("remediationrequests.kubernaut.ai")
    made, gone = server.verbs.storage.of(server.resource("leases.coordination.k8s.io")).history
    assert (status, record["metadata"]["namespace"]) == (201, "prod")
    assert made.new is not None
    assert (made.new.key[0], made.new.value["spec"]["holderIdentity"]) == ("locks", "gateway-2")
    assert gone.new is None


@pytest.mark.asyncio
async def test_a_gateway_over_redis_makes_a_record(tmp_path: Path) -> None:
    """Led to a store by its URL, it answers 201, and the store has keys."""
    valkey = Valkey()
    try:
        status = await sent(tmp_path, "--protocol", "redis-atomic", "--redis", valkey.url)
        with Redis.from_url(valkey.url, protocol=2) as client:
            keys = client.dbsize()
    finally:
        valkey.close()
    assert (status, keys) == (201, 1)


@pytest.mark.parametrize(
    ("protocol", "words", "line"),
    [
        ("redis-atomic", "", "--redis is missing: redis-atomic keeps its state in Redis"),
        ("redis-atomic", "--kubeconfig k", "--redis is missing: redis-atomic keeps its state in Redis"),
        ("kube-lease", "", "--kubeconfig is missing: kube-lease keeps its state in the Kubernetes API"),
        (
            "kube-lease",
            "--kubeconfig k --redis redis://127.0.0.1",
            "--redis is not for kube-lease, which keeps its state in the Kubernetes API: leave it out",
        ),
        (
            "redis-atomic",
            "--redis redis://127.0.0.1 --replica 2",
            "--replica is not for redis-atomic, which keeps its state in Redis: leave it out",
        ),
    ],
)
def test_a_store_that_does_not_fit_the_protocol_is_a_usage_error(
    tmp_path: Path, protocol: str, words: str, line: str
) -> None:
    """What the protocol needs is named where it is missing, as is what it has no use for: exit 64."""
    said = stress(tmp_path, "gateway", "--protocol", protocol, "--port", "1", *words.split())
    assert (said.code, said.err.splitlines()[-1]) == (64, f"Error: {line}")


def test_a_kubeconfig_that_leads_nowhere_is_reported(tmp_path: Path) -> None:
    """No file exits 64 with its place, a server that does not answer 69 with what to do."""
    words = ("gateway", "--protocol", "kube-status", "--port", "1", "--kubeconfig", "kubeconfig")
    missing = stress(tmp_path, *words)
    (tmp_path / "kubeconfig").write_text(written("http://127.0.0.1:1", "default"))
    silent = stress(tmp_path, *words)
    assert (missing.code, missing.err.partition(": [")[0]) == (64, "kubeconfig:1:1: no kubeconfig")
    assert silent.code == 69
    assert silent.err.startswith("unavailable: the API server does not answer: ")
    assert silent.err.endswith(" (start it, or name another by --kubeconfig)\n")
