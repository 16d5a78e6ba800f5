"""What is wrong with bytes on their way through the gate, whatever the store."""

from __future__ import annotations

_SHOWN = 40


class ProtocolFault(Exception):
    """Bytes that are not of the protocol. ``offset`` counts the bytes of the stream before them."""

    def __init__(self, offset: int, message: str, data: bytes) -> None:
        """Say where, what and show the bytes."""
        self.offset = offset
        super().__init__(f"{message} at byte {offset}: {data[:_SHOWN]!r}")
