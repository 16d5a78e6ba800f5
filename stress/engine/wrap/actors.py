"""Who is whose: actors are callers. A connection has that of its last command, a new one that of who was let go last.

The caller let go goes on alone, so what shows next on a connection that nobody waits on is its own, also where it takes
another connection (by causality). What shows on a connection whose last caller is parked elsewhere is somebody new's.
New actors that are seen at the same time get their names by what they show, not by when it arrived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stress.protocols.gate import Channel, Frame

_LETTERS = 26


def name_of(number: int) -> str:
    """Name an actor by its number from 0: A to Z, then A1, B1, …."""
    letter, round_ = chr(ord("A") + number % _LETTERS), number // _LETTERS
    return f"{letter}{round_}" if round_ else letter


class Actors:
    """The names of all callers of one start.

    Where callers take their connections from a pool (``pooled``) one tells little: what shows after a caller was let go
    is that caller's, on whichever connection.
    """

    def __init__(self, *, pooled: bool = False) -> None:
        """Begin with nobody."""
        self._pooled = pooled
        self._of: dict[Channel, str] = {}
        self._count = 0
        self.let_go = ""

    @property
    def count(self) -> int:
        """How many there are so far."""
        return self._count

    def name(self, fresh: Sequence[Frame], parked: Mapping[str, Channel], text: Callable[[Frame], str]) -> None:
        """Give each new frame its actor; ``parked`` are those that wait, and where; ``text`` is what a frame says."""
        taken: dict[str, Channel] = dict(parked)
        left: list[Frame] = []
        fresh = sorted(fresh, key=lambda frame: (text(frame), frame.parked_at))
        if self._pooled and fresh and self.let_go and self.let_go not in taken:
            own = next((frame for frame in fresh if self._of.get(frame.channel) == self.let_go), fresh[0])
            self._exchange(own.channel)
        for frame in fresh:
            known = self._of.get(frame.channel, "")
            if known and taken.setdefault(known, frame.channel) is frame.channel:
                frame.actor = known
            else:
                left.append(frame)
        for frame in left:
            known = self._of.get(frame.channel, "")
            if not known or taken.get(known) is not frame.channel:
                known = self.let_go if self.let_go and self.let_go not in taken else self._new()
            frame.actor = self._of[frame.channel] = known
            taken[known] = frame.channel

    def _exchange(self, channel: Channel) -> None:
        """Give a connection to the caller let go, and those it had to whose that was."""
        other = self._of.get(channel)
        if other is not None:
            self._of.update({one: other for one, whose in self._of.items() if whose == self.let_go})
        self._of[channel] = self.let_go

    def _new(self) -> str:
        self._count += 1
        return name_of(self._count - 1)
