"""The programs that a test suite starts as its own control plane: started here as controller-runtime's envtest does."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import trustme

from stress.processes.child import free_port
from stress.protocols.gate import Gate
from stress.protocols.kube.envtest import Programs
from stress.protocols.kube.proxy import ApiServer, KubeProxy
from stress.protocols.kube.server.server import KubeServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NAMESPACES = "/api/v1/namespaces"


class Plane:
    """An API server behind a gate, for one control plane of a suite."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self.server = KubeServer()
        self.given = ""

    async def serve(self, port: int, tls: ssl.SSLContext, etcd: str) -> KubeProxy:
        """Listen as the suite wants it."""
        self.given = etcd
        proxy = KubeProxy(Gate(), 0, ApiServer("127.0.0.1", self.server.port))
        await proxy.start(port, tls)
        return proxy


@asynccontextmanager
async def programs() -> AsyncIterator[tuple[Programs, Plane]]:
    """Give the programs, and what the API server leads to."""
    plane = Plane()
    async with plane.server, Programs(plane.serve) as made:
        yield made, plane


async def run(program: Path, *words: str) -> tuple[int | None, str]:
    """Run a program to its end; give its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        program, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await process.communicate()
    return process.returncode, printed.decode()


async def asked(url: str, tls: ssl.SSLContext | None, **body: Any) -> tuple[int, Any]:  # noqa: ANN401 - any JSON
    """Ask once, as soon as somebody listens; give status and body."""
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                method = "POST" if body else "GET"
                async with session.request(method, url, ssl=tls or False, json=body or None) as answer:
                    return answer.status, json.loads(await answer.read() or "{}") if "health" not in url else None
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.01)


@pytest.mark.asyncio
async def test_a_control_plane_of_a_suite_is_ours_for_as_long_as_it_runs(tmp_path: Path) -> None:
    """Etcd is healthy; the API server shows the certificate that it was handed, and its port is closed with it."""
    authority = trustme.CA()
    shown = authority.issue_cert("127.0.0.1", "localhost")
    shown.private_key_pem.write_to_path(str(tmp_path / "apiserver.key"))
    shown.cert_chain_pems[0].write_to_path(str(tmp_path / "apiserver.crt"))
    trust = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    store, port = f"http://127.0.0.1:{free_port()}", free_port()
    async with programs() as (made, plane):
        assert (await run(made.folder / "etcd", "--help"))[0] == 0
        etcd = await asyncio.create_subprocess_exec(
            *(made.folder / "etcd", f"--data-dir={tmp_path}", f"--advertise-client-urls={store}"),
            *(f"--listen-client-urls={store}", "--listen-peer-urls=http://127.0.0.1:0", "--unsafe-no-fsync=true"),
        )
        assert (await asked(f"{store}/health", tls=None))[0] == 200
        apiserver = await asyncio.create_subprocess_exec(
            *(made.folder / "kube-apiserver", "--bind-address=127.0.0.1", f"--cert-dir={tmp_path}"),
            *(f"--secure-port={port}", f"--etcd-servers={store}", "--authorization-mode=RBAC"),
            f"--client-ca-file={tmp_path / 'client-cert-auth-ca.crt'}",
        )
        assert (await asked(f"https://127.0.0.1:{port}/healthz", tls=None))[0] == 200
        where = f"https://127.0.0.1:{port}{NAMESPACES}"
        assert (await asked(where, trust, metadata={"name": "made"}))[0] == 201
        names = [one["metadata"]["name"] for one in plane.server.objects("namespaces")]
        assert (await asked(f"{where}/made", trust))[1]["metadata"]["name"] in names
        assert plane.given == store
        for process in (apiserver, etcd):
            process.terminate()
            assert await process.wait() == -15
        while True:  # the port is closed as soon as we are told that the program is gone
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                break
            writer.close()
        folder = made.folder
    assert not folder.exists()


@pytest.mark.asyncio
async def test_a_program_says_why_it_can_not_be_what_was_asked_for(tmp_path: Path) -> None:
    """Without the certificate that it was to show, the API server ends and names what is missing."""
    async with programs() as (made, _):
        words = (f"--cert-dir={tmp_path}", f"--secure-port={free_port()}")
        code, printed = await run(made.folder / "kube-apiserver", *words)
        assert code == 1
        why = f"[Errno 2] No such file or directory: '{tmp_path}/apiserver.key'"
        assert printed == f"gateway-stress can't be this kube-apiserver: {why}\n"


@pytest.mark.asyncio
async def test_programs_that_lead_here_end_with_us() -> None:
    """A program that still runs when we leave ends by itself; nobody but the owner may start one."""
    store = f"http://127.0.0.1:{free_port()}"
    async with programs() as (made, _):
        assert os.stat(made.folder / "etcd").st_mode & 0o777 == 0o700  # noqa: PTH116 - the mode is enough
        etcd = await asyncio.create_subprocess_exec(made.folder / "etcd", f"--listen-client-urls={store}")
        assert (await asked(f"{store}/health", tls=None))[0] == 200
    assert await etcd.wait() == 1
