"""A Gateway in Go over the Kubernetes API, by controller-runtime, that knows nothing of the harness."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from stress.config.target import Target
from stress.processes.launch import launch
from stress.protocols.gate import Gate
from stress.protocols.kube.kubeconfig import written
from stress.protocols.kube.proxy import ApiServer, KubeProxy
from stress.protocols.kube.server.server import KubeServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from stress.processes.replicas import Replica

pytestmark = pytest.mark.unmeasured

HERE = Path(__file__).parent.parent.parent / "gateways"
KIND = "remediationrequests.kubernaut.ai"
MODES = ("racy", "cached", "corrected")
FINGERPRINT = hashlib.sha256(b"HighMemoryUsage:prod:Pod:payment-api").hexdigest()
WEBHOOK = {
    "alerts": [
        {"labels": {"alertname": "HighMemoryUsage", "namespace": "prod", "pod": "payment-api", "severity": "info"}}
    ]
}


def built(cache: Path) -> Path:
    """Build the Gateway in the cache, once for all workers and runs; give the folder.

    Where Go is not installed, or the modules can't be fetched, the test is skipped. Code that does not build fails it.
    """
    if shutil.which("go") is None:
        pytest.skip("go not installed")
    sources = sorted(path for path in (HERE / "go" / "kube").iterdir() if path.is_file())
    digest = hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in sources)).hexdigest()
    folder = cache / f"go-kube-{digest[:12]}"
    with (cache / "go-kube.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "gateway").exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for path in sources:
            shutil.copy(path, folder)
        fetched = subprocess.run(["go", "mod", "download"], cwd=folder, capture_output=True, text=True, check=False)
        if fetched.returncode:
            pytest.skip(f"go mod download failed: {fetched.stderr.strip()[-200:]}")
        making = ["go", "build", "-o", "gateway.new", "."]
        done = subprocess.run(making, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        (folder / "gateway.new").rename(folder / "gateway")
    return folder


@pytest.fixture
def target_of(pytestconfig: pytest.Config) -> Callable[[str], tuple[Target, Path]]:
    """Give a maker of targets by their mode, and the folder that they start in."""
    folder = built(pytestconfig.cache.mkdir("gateways"))

    def make(mode: str) -> tuple[Target, Path]:
        target = Target.load(HERE / "go-kube.yaml")
        assert target.start is not None
        start = target.start.model_copy(update={"command": [*target.start.command[:-1], mode]})
        return target.model_copy(update={"start": start}), folder

    return make


async def sent(session: aiohttp.ClientSession, **headers: str) -> tuple[int, dict[str, Any]]:
    """Send the signal; give status and body."""
    async with session.post("/api/v1/signals/prometheus", json=WEBHOOK, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


async def taken_in(proxy: KubeProxy, replica: Replica) -> None:
    """Wait until a Gateway has taken in what its watch tells of all that was written."""
    await proxy.watches.caught_up()
    assert replica.watch is not None
    while replica.watch.sleeping() is None:  # noqa: ASYNC110 - nothing notifies of it
        await asyncio.sleep(0)


def counted(server: KubeServer) -> tuple[str, int]:
    """Give the name of the only record, and how many hits are stored in it."""
    (record,) = server.objects(KIND)
    return record["metadata"]["name"], record.get("status", {}).get("deduplication", {}).get("occurrenceCount", 0)


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", MODES)
async def test_a_repeated_signal_is_counted(
    mode: str, target_of: Callable[[str], tuple[Target, Path]], tmp_path: Path
) -> None:
    """One request after another makes one record and counts hits, on the embedded server behind an open gate.

    Who reads from a cache may lose the first hit even so, as its cache may not have the new record yet (R3).
    """
    target, folder = target_of(mode)
    kubeconfig = tmp_path / "kubeconfig"
    async with KubeServer() as server:
        for manifest in target.setup:
            assert isinstance(manifest, dict)
            server.install(manifest)
        server.install({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "prod"}})
        proxy = KubeProxy(Gate(), 1, ApiServer("127.0.0.1", server.port))
        kubeconfig.write_text(written(f"http://127.0.0.1:{await proxy.start()}", "prod"))
        replica = await launch(target, folder, 1, {"kubeconfig": str(kubeconfig), "namespace": "prod"})
        try:
            async with aiohttp.ClientSession(replica.url) as session:
                unstamped, _ = await sent(session)
                first = await sent(session, **{"X-Timestamp": str(int(time.time()))})
                await taken_in(proxy, replica)
                name, hits = counted(server)
                second = await sent(session, **{"X-Timestamp": str(int(time.time()))})
        finally:
            replica.close()
            await proxy.close()
    assert hits in ((0, 1) if mode == "cached" else (1,))
    assert (unstamped, first[0], second[0], proxy.gate.fault) == (400, 201, 202, "")
    assert [answer["remediationRequestName"] for _, answer in (first, second)] == [name, name]
    assert [answer["fingerprint"] for _, answer in (first, second)] == [FINGERPRINT, FINGERPRINT]
    assert (second[1]["metadata"]["count"], counted(server)) == (hits + 1, (name, hits + 1))
    pattern = r"rr-[0-9a-f]{32}" if mode == "corrected" else r"rr-[0-9a-f]{12}-\d+"
    assert re.fullmatch(pattern, name)
