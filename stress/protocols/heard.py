"""What went between a Gateway and its store and is no step: errors, what passed, and questions for other nodes."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

_MOST = 20
_NORMAL = ("NOSCRIPT ", "BUSYGROUP ", "409")
"""How errors begin that clients reckon with."""
_REFUSALS = ("WRONGPASS", "NOPERM", "NOAUTH", "DENIED", "ERR AUTH", "401", "403")
"""How errors begin that say: not you, or not with these rights."""


class Refused(NamedTuple):
    """An error that a store replied with, and the command that it replied to (empty: it is not known)."""

    command: str
    text: str

    def __str__(self) -> str:
        """Give one line: ``AUTH -> WRONGPASS invalid username-password pair``."""
        return f"{self.command} -> {self.text}" if self.command else self.text

    @property
    def refuses(self) -> bool:
        """Whether it says that who asks may not."""
        return self.text.startswith(_REFUSALS)


class Heard:
    """What went through one gate since it was made, in so far as it explains why a target can't be tested.

    ``errors`` are the distinct ones, at most twenty; ``passed`` counts the commands that passed as background
    unparked; ``discoveries`` are commands that ask for the addresses of nodes, which do not lead through the gate;
    ``speaks_tls`` is whether a client spoke TLS to a gate that does not.
    """

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self.errors: dict[Refused, None] = {}
        self.passed: Counter[str] = Counter()
        self.discoveries: dict[str, None] = {}
        self.speaks_tls = False

    def error(self, command: str, text: str) -> None:
        """Note an error reply."""
        if len(self.errors) < _MOST and not text.startswith(_NORMAL):
            self.errors[Refused(command, text)] = None
