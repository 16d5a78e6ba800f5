"""What is wrong with bytes on their way through the gate, whatever the store."""

from __future__ import annotations

_SHOWN = 40
TLS_HELLO = 0x16
"""The first byte of a client that speaks TLS (RFC 8446, section 5.1)."""
SPEAKS_TLS = "TLS on a plain port"
"""What is said of one: nothing of what it sends can be read."""


class ProtocolFault(Exception):
    """Bytes that are not of the protocol. ``offset`` counts the bytes of the stream before them."""

    def __init__(self, offset: int, message: str, data: bytes) -> None:
        """Say where, what and show the bytes."""
        self.offset = offset
        super().__init__(f"{message} at byte {offset}: {data[:_SHOWN]!r}")
