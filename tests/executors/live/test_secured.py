"""A store that speaks TLS, with a user and a database of its own, and a service that speaks TLS to the gate."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme
from conftest import scenario_of
from redis import Redis

from stress.config.formats import bundled
from stress.config.target import Target
from stress.core.errors import Unavailable
from stress.core.trace import Kind
from stress.executors.live.executor import LiveExecutor
from stress.processes.probe import Ill
from stress.protocols.redis.probed import probed
from stress.protocols.redis.server import Valkey
from stress.schedulers.interleaving import Interleaving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

CA = trustme.CA()


@pytest.fixture(scope="module")
def store() -> Iterator[Valkey]:
    """Start a store that only the user `mine` may use."""
    valkey = Valkey()
    yield valkey
    valkey.close()


@contextlib.asynccontextmanager
async def secured(port: int) -> AsyncIterator[int]:
    """Speak TLS before the store of a port; give the port of that."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    CA.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    tasks: list[asyncio.Task[None]] = []

    async def copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", port)
        tasks.extend([asyncio.create_task(copied(reader, outer)), asyncio.create_task(copied(inner, writer))])

    server = await asyncio.start_server(taken, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def written(folder: Path, url: str, *, ca: bool = True) -> Target:
    """Write a target of a store at a URL."""
    CA.cert_pem.write_to_path(folder / "ca.pem")
    text = (bundled("targets") / "redis-atomic.yaml").read_text()
    trust = ", ca: ca.pem" if ca else ""
    (folder / "own.yaml").write_text(f"{text}\nstores: {{redis: {{url: '{url}', scratch: true{trust}}}}}\n")
    return Target.load(folder / "own.yaml")


@pytest.mark.asyncio
async def test_a_store_that_speaks_tls_is_gated(store: Valkey, tmp_path: Path) -> None:
    """The service is given a plain address with its user and database; its commands are steps, and nothing is left."""
    admin = Redis(port=store.port, db=3)
    admin.execute_command("ACL", "SETUSER", "mine", "on", ">opaque", "~*", "&*", "+@all")
    async with secured(store.port) as port:
        url = f"rediss://mine:opaque@127.0.0.1:{port}/3"
        async with LiveExecutor(scenario_of("atomic-hit-count"), written(tmp_path, url)) as executor:
            trace = await executor.run(Interleaving(()))
            assert executor.deployment.stores["redis"].store.url(1) == "redis://mine:opaque@127.0.0.1:1/3"
        assert (trace.fault, trace.answers[0].status, admin.dbsize()) == ("", 201, 0)
        assert [event.command for event in trace.events if event.kind is Kind.STEP] == ["EVAL", "EVAL"]
        reported = await asyncio.to_thread(probed, url, str(tmp_path / "ca.pem"))
        assert reported.startswith(f"127.0.0.1:{port} answers")
        with pytest.raises(Ill, match="certificate verify failed"):
            await asyncio.to_thread(probed, url)
        with pytest.raises(Unavailable, match="certificate verify failed"):
            async with LiveExecutor(scenario_of("atomic-hit-count"), written(tmp_path, url, ca=False)):
                pass
    admin.close()


@pytest.mark.asyncio
async def test_a_service_that_speaks_tls_to_the_gate_is_reported_so(tmp_path: Path) -> None:
    """It can't be followed: before any schedule one line says what to give it, also where it does not start without."""
    hello = (
        "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
        r" s.sendall(b'\\x16\\x03\\x01'); s.recv(1)"
    )
    (tmp_path / "own.yaml").write_text(f'name: own\nstart: {{command: [python3, -c, "{hello}", "{{redis_port}}"]}}\n')
    reported = "the service speaks TLS to the gate, which can't read that (give it {redis_url}"
    with pytest.raises(Unavailable, match=re.escape(reported)):
        async with LiveExecutor(scenario_of("atomic-hit-count"), Target.load(tmp_path / "own.yaml")):
            pass
