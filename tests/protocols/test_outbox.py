"""The way to a server, on the event loop that users may have."""

from __future__ import annotations

import asyncio
import socket

import pytest

from stress.protocols.outbox import Outbox


def test_a_client_that_ends_after_the_server_has_closed_is_no_error() -> None:
    """On uvloop a transport that is closed has no end of its own any more: none is written."""
    uvloop = pytest.importorskip("uvloop", reason="the extra `fast` is not installed")

    async def end() -> bool:
        near, far = socket.socketpair()
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
        outbox = Outbox(None, lambda: None, lambda: None)
        outbox.connected(transport)
        transport.abort()
        await asyncio.sleep(0)
        outbox.end()
        far.close()
        return transport.is_closing()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(end())
