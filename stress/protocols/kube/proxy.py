"""The proxy between one Gateway replica and a Kubernetes API server.

Gateway --HTTP/1.1--> [requests -> gate] --HTTP/1.1 (TLS)--> API server
Gateway <--HTTP/1.1-- [ replies, as they came; events of watches -> gate ] <--HTTP/1.1 (TLS)-- API server
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stress.protocols.kube.requests import KubeRules
from stress.protocols.kube.session import KubeChannel
from stress.protocols.kube.watches import Watches

if TYPE_CHECKING:
    from collections.abc import Callable

    from stress.protocols.gate import Gate
    from stress.protocols.kube.http import Headers
    from stress.protocols.outbox import Keeper

_CONNECT_SECONDS = 5.0


@dataclass(frozen=True)
class ApiServer:
    """An API server and how to reach it.

    ``tls`` holds the CA and the client certificate; without it the connection is plain. ``name`` is what the server's
    certificate is checked against (default: the host). ``headers`` (names in small letters) are added to requests that
    do not have them: ``((b"authorization", b"Bearer …"),)``. Neither is shown by ``repr``.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    name: str = ""
    headers: Headers = field(default=(), repr=False)

    async def connect(self, protocol: Callable[[], asyncio.Protocol]) -> tuple[str, asyncio.Transport | None]:
        """Connect; give why that is not possible, or nothing, and the connection."""
        name = (self.name or self.host) if self.tls is not None else None
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                loop = asyncio.get_running_loop()
                transport, _ = await loop.create_connection(
                    protocol, self.host, self.port, ssl=self.tls, server_hostname=name
                )
        except ssl.SSLCertVerificationError as error:
            return f"store lost: {self.host}:{self.port} has no certificate to trust ({error.verify_message})", None
        except ssl.SSLError as error:
            return f"store lost: {self.host}:{self.port} speaks no TLS that fits ({error.reason})", None
        except OSError as error:
            return f"store lost: {self.host}:{self.port} does not answer ({error.strerror or 'time-out'})", None
        return "", transport


class KubeProxy:
    """Listens on loopback for one replica and connects each of its connections to the API server.

    ``outdated`` are the collections, with selectors, whose watch was notified that its version is gone: what it lists
    again passes, as its first list did, until it watches again. ``keeper`` saves what requests may change before they
    reach the server.
    """

    def __init__(
        self,
        gate: Gate,
        replica: int,
        server: ApiServer,
        rules: KubeRules | None = None,
        watches: Watches | None = None,
    ) -> None:
        """Take the gate to park at, the server, and the rules of what is never parked.

        All proxies of one target share their ``watches``, so that a write through one is waited for in the watches of
        all.
        """
        self.gate = gate
        self.replica = replica
        self.server = server
        self.rules = KubeRules() if rules is None else rules
        self.watches = Watches(gate) if watches is None else watches
        self.keeper: Keeper | None = None
        self.channels: set[KubeChannel] = set()
        self.outdated: set[tuple[str, tuple[str, ...]]] = set()
        self._listener: asyncio.Server | None = None
        self.port = 0

    async def start(self, port: int = 0, tls: ssl.SSLContext | None = None) -> int:
        """Listen on 127.0.0.1; give the port. With ``tls`` the Gateway must speak it, and HTTP/1.1 is agreed on.

        Raises:
            OSError: when the port is taken.

        """
        loop = asyncio.get_running_loop()
        if tls is not None:
            tls.set_alpn_protocols(["http/1.1"])
        self._listener = await loop.create_server(lambda: KubeChannel(self), "127.0.0.1", port, ssl=tls)
        listening: int = self._listener.sockets[0].getsockname()[1]
        self.port = listening
        return listening

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._listener is not None:
            self._listener.close()
        for channel in list(self.channels):
            channel.abort()
        await asyncio.sleep(0)
