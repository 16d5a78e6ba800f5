"""The embedded server: several start at the same time, and none is left behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from commands import children

from stress.protocols.redis import server
from stress.protocols.redis.server import Valkey

if TYPE_CHECKING:
    import subprocess


@pytest.mark.asyncio
async def test_several_servers_start_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """All three are spawned before it is asked whether one of them accepts connections; each has a port of its own."""
    noted: list[str] = []
    spawn, accepts = server.spawn, server.accepts

    def spawned(command: list[str], *, log: int) -> subprocess.Popen[bytes]:
        noted.append("spawn")
        return spawn(command, log=log)

    def asked(host: str, port: int) -> bool:
        noted.append("ask")
        return accepts(host, port)

    monkeypatch.setattr(server, "spawn", spawned)
    monkeypatch.setattr(server, "accepts", asked)
    started = await asyncio.gather(*(Valkey.beside_others() for _ in range(3)))
    try:
        assert noted[:4] == ["spawn", "spawn", "spawn", "ask"]
        assert len({one.port for one in started}) == 3
        assert [accepts("127.0.0.1", one.port) for one in started] == [True] * 3
    finally:
        for one in started:
            one.close()


@pytest.mark.asyncio
async def test_who_interrupts_the_start_of_a_server_leaves_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled while it is waited for: its process has ended."""
    monkeypatch.setattr(server, "accepts", lambda *_: False)
    before = children()
    starting = asyncio.create_task(Valkey.beside_others())
    await asyncio.sleep(0)
    assert len(children()) == len(before) + 1
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert children() == before
