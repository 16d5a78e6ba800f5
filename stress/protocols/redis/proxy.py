"""The proxy between one Gateway replica and a Redis or Valkey server.

Gateway --RESP--> [requests -> units -> gate] --RESP--> server
Gateway <--RESP-- [ replies, as they came; messages -> gate ] <--RESP-- server
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stress.protocols.redis.session import RedisChannel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from ssl import SSLContext

    from stress.protocols.gate import Gate
    from stress.protocols.outbox import Keeper

_ROUNDS = 2
"""How often to ask the server something before all that was sent to it earlier is known to be served and answered.

A server serves the connections that have something to read in rounds, and writes the replies at the end of each. The
first answer shows that the round is over in which it saw what was sent before; the second, that its replies are out.
"""


class RedisProxy:
    """Listens on loopback for one replica and connects each of its connections to the server.

    ``keeper`` saves what commands may change before they reach a store that is lent.
    """

    def __init__(
        self,
        gate: Gate,
        replica: int,
        server: tuple[str, int],
        background: Sequence[str],
        ask: Callable[[str], Awaitable[object]] | None = None,
    ) -> None:
        """Take the gate to park at, the server's address, and the commands that are never parked.

        ``ask`` runs a command on a connection of our own: without it, how far the server has come can't be known.
        Where the server speaks TLS, ``tls`` is set to whom to trust.
        """
        self.gate = gate
        self.replica = replica
        self.server = server
        self.tls: SSLContext | None = None
        self.background = tuple(background)
        self._ask = ask
        self.keeper: Keeper | None = None
        self.channels: set[RedisChannel] = set()
        self._listener: asyncio.Server | None = None
        self.port = 0

    async def start(self, port: int = 0) -> int:
        """Listen on 127.0.0.1; give the port.

        Raises:
            OSError: when the port is taken.

        """
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: RedisChannel(self), "127.0.0.1", port)
        listening: int = self._listener.sockets[0].getsockname()[1]
        self.port = listening
        return listening

    async def catch_up(self) -> None:
        """Wait until the server has served what it was sent before, and its replies are here."""
        if self._ask is None:
            return
        try:
            for _ in range(_ROUNDS):
                await self._ask("PING")
        except Exception as error:  # noqa: BLE001 - whatever our own connection makes of a server that is gone
            self.gate.fail(f"store lost: {error}")
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._listener is not None:
            self._listener.close()
        for channel in list(self.channels):
            channel.abort()
        await asyncio.sleep(0)
