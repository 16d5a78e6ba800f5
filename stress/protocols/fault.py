"""What is wrong with bytes on their way through the gate, whatever the store."""

from __future__ import annotations

_SHOWN = 40
_HELLO = b"\x16\x03"
"""How a client begins that speaks TLS (RFC 8446, section 5.1)."""
SPEAKS_TLS = "the client speaks TLS"
"""What is said of one: nothing of what it sends can be read."""


def refuse_tls(data: bytes | bytearray) -> None:
    """Refuse the first bytes of a connection where they are TLS.

    Raises:
        ProtocolFault: where they are.

    """
    if data.startswith(_HELLO):
        raise ProtocolFault(0, SPEAKS_TLS, b"")


class ProtocolFault(Exception):
    """Bytes that are not of the protocol. ``offset`` counts the bytes of the stream before them."""

    def __init__(self, offset: int, message: str, data: bytes) -> None:
        """Say where, what and show the bytes."""
        self.offset = offset
        super().__init__(f"{message} at byte {offset}: {data[:_SHOWN]!r}" if data else message)
