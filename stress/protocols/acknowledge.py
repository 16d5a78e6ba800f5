"""What the kernel holds of a connection to a Gateway: nothing may wait there unseen while the Gateway looks asleep.

Who writes without TCP_NODELAY has its second short write sent only when the first is acknowledged (RFC 9293 section
3.7.4), and a kernel may take 40 ms over that. Meanwhile the sender sleeps and looks blocked. So what was read is
acknowledged at once; then what a sender has written is on our end, or was seen.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from fcntl import ioctl
from termios import FIONREAD
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


def bytes_wait(transport: asyncio.Transport | None) -> bool:
    """Tell whether bytes wait on our end of a TCP connection: they came and were not read, or are still to be sent."""
    if transport is None or transport.is_closing():
        return False
    if transport.get_write_buffer_size():
        return True
    with suppress(OSError, ValueError):  # it was closed a moment ago
        unread = ioctl(transport.get_extra_info("socket").fileno(), FIONREAD, struct.pack("i", 0))
        return unread != struct.pack("i", 0)
    return False
