"""The API server that `wrap` puts behind a gate: what leads there, what is given back, what may be repeated."""

from __future__ import annotations

import asyncio
import stat
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
import trustme

from stress.core.patterns import Patterns
from stress.core.registry import PROTOCOLS
from stress.core.symbols import Names
from stress.processes.child import free_port
from stress.protocols.kube.kubeconfig import written
from stress.protocols.kube.parked import KubeFrame
from stress.protocols.kube.requests import effect_of
from stress.protocols.kube.server.server import KubeServer
from stress.protocols.kube.wrapped import KubernetesGated
from stress.protocols.wrapped import Wanted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stress.protocols.gate import Channel

MAPS = "/api/v1/namespaces/default/configmaps"


@asynccontextmanager
async def gated(environment: dict[str, str], *, embedded: bool) -> AsyncIterator[KubernetesGated]:
    """Give a store behind its gate."""
    store = KubernetesGated(Wanted(embedded, environment))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def ask(store: KubernetesGated, method: str, path: str, **body: object) -> int:
    """Send a request through the gate; give the status."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, store.places()["url"] + path, json=body or None) as answer,
    ):
        return answer.status


def _read(config: Path) -> tuple[int, bool] | None:
    """Give the mode of a kubeconfig, and whether it leads to this machine; None if it is not there."""
    if not config.exists():
        return None
    return stat.S_IMODE(config.stat().st_mode), "server: http://127.0.0.1:" in config.read_text()


@pytest.mark.asyncio
async def test_what_a_start_wrote_is_gone_before_the_next() -> None:
    """A server that was started here is empty then, at the same address, which only its owner can read of."""
    async with gated({"USE_EXISTING_CLUSTER": "false"}, embedded=True) as store:
        before = store.variables()
        config = Path(before["KUBECONFIG"])
        assert _read(config) == (0o600, True)
        assert before.keys() == {"KUBECONFIG", "KUBEBUILDER_ASSETS"}
        assert await ask(store, "POST", MAPS, metadata={"name": "made"}) == 201
        await store.reset()
        assert await ask(store, "GET", f"{MAPS}/made") == 404
        assert store.variables() == before
    assert _read(config) is None


@pytest.mark.asyncio
async def test_what_was_there_before_comes_back(tmp_path: Path) -> None:
    """In the API server that KUBECONFIG names a start is taken back: what it made, and what it changed."""
    async with KubeServer() as own:
        own.install({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"hits": "1"}})
        (tmp_path / "config").write_text(written(own.url, "default"))
        environment = {"KUBECONFIG": str(tmp_path / "config")}
        assert PROTOCOLS["kubernetes"].named_by(environment)
        async with gated(environment, embedded=False) as store:
            assert store.shared
            assert store.variables()["USE_EXISTING_CLUSTER"] == "true"
            for _ in range(2):
                await store.begin()
                assert await ask(store, "POST", MAPS, metadata={"name": "made"}) == 201
                assert await ask(store, "PUT", f"{MAPS}/kept", metadata={"name": "kept"}, data={"hits": "2"}) == 200
                await store.reset()
                found = {one["metadata"]["name"]: one.get("data") for one in own.objects("configmaps")}
                assert found == {"kept": {"hits": "1"}}


@pytest.mark.asyncio
async def test_only_what_a_start_made_may_be_cleaned_up(tmp_path: Path) -> None:
    """A namespace that a start made it may empty, in later starts too; that of others stays as it is."""
    async with KubeServer() as own:
        own.install({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}})
        (tmp_path / "config").write_text(written(own.url, "default"))
        async with gated({"KUBECONFIG": str(tmp_path / "config")}, embedded=False) as store:
            for status in (201, 409):  # it stays, as no controller would finish its deletion
                await store.begin()
                assert await ask(store, "POST", "/api/v1/namespaces", metadata={"name": "test"}) == status
                maps = MAPS.replace("default", "test")
                assert await ask(store, "POST", maps, metadata={"name": "made"}) == 201
                assert await ask(store, "DELETE", maps) == 200
                await store.reset()
            with pytest.raises(aiohttp.ClientError):
                await ask(store, "DELETE", MAPS)
            assert store.gate.fault == (
                "deletecollection configmaps/default/* may delete what was there before, on a server that was not "
                "started here (let the command make a namespace for it, or say --store kubernetes)"
            )
        assert [one["metadata"]["name"] for one in own.objects("configmaps")] == ["kept"]


@pytest.mark.asyncio
async def test_a_control_plane_that_a_start_began_ends_with_it(tmp_path: Path) -> None:
    """It has an API server of its own, which foreign writes go to; the next start finds an empty one."""
    shown = trustme.CA().issue_cert("127.0.0.1")
    shown.private_key_pem.write_to_path(str(tmp_path / "apiserver.key"))
    shown.cert_chain_pems[0].write_to_path(str(tmp_path / "apiserver.crt"))
    async with gated({}, embedded=True) as store, aiohttp.ClientSession() as session:
        program, port = Path(store.variables()["KUBEBUILDER_ASSETS"], "kube-apiserver"), free_port()
        words = (f"--secure-port={port}", f"--cert-dir={tmp_path}", "--etcd-servers=http://127.0.0.1:1")
        maps = f"https://127.0.0.1:{port}{MAPS}"
        for _ in range(2):
            process = await asyncio.create_subprocess_exec(program, *words)
            while True:
                with suppress(aiohttp.ClientConnectorError):
                    async with session.get(maps, ssl=False) as answer:
                        assert (await answer.json())["items"] == []
                        break
                await asyncio.sleep(0.01)
            assert await store.write(("POST", MAPS, "application/json", '{"metadata": {"name": "theirs"}}')) == "201"
            async with session.delete(f"{maps}/theirs", ssl=False) as answer:
                assert answer.status == 200
            assert await store.write(("DELETE", f"{MAPS}/theirs")) == '404 configmaps "theirs" not found'
            assert await store.write(("POST", MAPS, "application/json", '{"metadata": {"name": "left"}}')) == "201"
            process.terminate()
            await process.wait()
            await store.reset()
        assert await ask(store, "GET", f"{MAPS}/left") == 404


@pytest.mark.parametrize(
    ("head", "body", "foreign"),
    [
        ("DELETE {maps}", "", ("DELETE", MAPS)),
        ("POST {maps}", '{"data": {}}', ("POST", MAPS, "application/json", '{"data":{}}')),
        ("POST {maps}", "k8s\0", ()),
        ("GET {maps}", "", ()),
        ("POST /api/v1/namespaces/default/secrets", "{}", ()),
    ],
)
@pytest.mark.asyncio
async def test_writes_are_repeated_that_can_be_read(head: str, body: str, foreign: tuple[str, ...]) -> None:
    """A read changes nothing, a body that is no JSON is not understood, and a secret is not to stand in a file."""
    line = head.format(maps=MAPS)
    raw = f"{line} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\r\n{body}".encode()
    effect = effect_of(*line.split(" "))
    channel: Channel = None  # type: ignore[assignment]  # it is not asked for
    frame = KubeFrame(channel, effect.command, raw, (effect,))
    store = KubernetesGated(Wanted(embedded=True, environment={}))
    called = await store.call(frame, Names("", "", 0.0, seconds=False, patterns=Patterns()))
    assert called.foreign == foreign
