"""The embedded Kubernetes API server: how soon it is there, and what one client in another process gets out of it."""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from bench.figure import Figure, median
from stress.protocols.kube.server.server import KubeServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS, REQUESTS, STARTS = 5, 2000, 20
_ITEMS = "/apis/kubernaut.ai/v1alpha1/namespaces/default/remediationrequests"
_JSON = {"Content-Type": "application/json"}
_OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_FINGERPRINT = {"type": "string", "pattern": "^[a-f0-9]{64}$"}
_DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "remediationrequests.kubernaut.ai"},
    "spec": {
        "group": "kubernaut.ai",
        "scope": "Namespaced",
        "names": {"plural": "remediationrequests", "kind": "RemediationRequest"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "selectableFields": [{"jsonPath": ".spec.signalFingerprint"}],
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {**_OPEN, "properties": {"signalFingerprint": _FINGERPRINT}},
                            "status": _OPEN,
                        },
                    }
                },
            }
        ],
    },
}
_RECORD = {
    "apiVersion": "kubernaut.ai/v1alpha1",
    "kind": "RemediationRequest",
    "metadata": {"name": "x", "labels": {"app": "bench"}},
    "spec": {"signalFingerprint": "a" * 64, "signalName": "HighMemory", "signalLabels": {"alertname": "HighMemory"}},
}


class _Client:
    """One client on one connection, that waits for each answer before it asks again."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port)

    def ask(self, method: str, path: str, body: object = None) -> bytes:
        self.connection.request(method, path, None if body is None else json.dumps(body), _JSON)
        response = self.connection.getresponse()
        content = response.read()
        if response.status >= http.client.BAD_REQUEST:
            raise ValueError(content.decode())
        return content


def _rates(port: int) -> list[float]:
    """Give gets, status updates and selected lists a second, each as the median of a few rounds."""
    client = _Client(port)
    client.ask("POST", _ITEMS, _RECORD)
    latest = json.loads(client.ask("GET", f"{_ITEMS}/x"))

    def get() -> None:
        client.ask("GET", f"{_ITEMS}/x")

    def update() -> None:
        nonlocal latest
        count = latest.get("status", {}).get("deduplication", {}).get("occurrenceCount", 0)
        latest["status"] = {"overallPhase": "Pending", "deduplication": {"occurrenceCount": count + 1}}
        latest = json.loads(client.ask("PUT", f"{_ITEMS}/x/status", latest))

    def select() -> None:
        client.ask("GET", f"{_ITEMS}?fieldSelector=spec.signalFingerprint%3D{'a' * 64}")

    return [_rate(work) for work in (get, update, select)]


def _rate(work: Callable[[], None]) -> float:
    found = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for _ in range(REQUESTS):
            work()
        found.append(REQUESTS / (time.perf_counter() - begun))
    return median(found)


async def _measure() -> tuple[list[float], list[float]]:
    starts = []
    for _ in range(STARTS):
        begun = time.perf_counter()
        async with KubeServer() as server:
            server.install(_DEFINITION)
            await asyncio.to_thread(_Client(server.port).ask, "GET", "/readyz")
            starts.append(time.perf_counter() - begun)
    async with KubeServer() as server:
        server.install(_DEFINITION)
        command = [sys.executable, "-m", "bench.kube", str(server.port)]
        client = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        out, _ = await client.communicate()
    return starts, json.loads(out)


def figures() -> Iterator[Figure]:
    """Measure it on loopback."""
    starts, (gets, updates, lists) = asyncio.run(_measure())
    yield Figure("embedded Kubernetes: start to first answer", f"{1000 * median(starts):.1f} ms", "<= 500 ms")
    yield Figure("embedded Kubernetes: gets a second, one client", f"{gets:.0f}", ">= 1500")
    yield Figure("embedded Kubernetes: status updates a second, one client", f"{updates:.0f}", ">= 800")
    yield Figure("embedded Kubernetes: lists by field selector a second, one client", f"{lists:.0f}")


if __name__ == "__main__":
    print(json.dumps(_rates(int(sys.argv[1]))))
