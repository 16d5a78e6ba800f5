"""Telling the other side at once that its bytes are here, so that what it sends next does not wait in its kernel.

Who writes one thing in two parts without TCP_NODELAY sends the second part only when the first is acknowledged
(RFC 9293 section 3.7.4), and a kernel may take 40 ms over that. Meanwhile the sender sleeps and looks blocked.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

_QUICK = getattr(socket, "TCP_QUICKACK", None)
"""Linux only; it lasts for a few segments (tcp(7))."""


def acknowledge(transport: asyncio.BaseTransport | None) -> None:
    """Acknowledge what has arrived on a TCP connection now."""
    raw = transport.get_extra_info("socket") if transport is not None else None
    if raw is not None and _QUICK is not None:
        raw.setsockopt(socket.IPPROTO_TCP, _QUICK, 1)
