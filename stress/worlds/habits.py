"""What a request does next, learned while it ran alone, and whether orders can run beside each other because of it.

A request that was let go has shown everything when it has shown what it showed before, after the same steps and
replies, while its process was quiet. So nobody need wait for the process to be quiet, which it never is while other
orders run. What is not known yet, or was seen to come in two ways, is run alone.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.gate.gate import Frame
    from stress.worlds.attribution import Request, Signature
    from stress.worlds.fingerprint import Marks

_REMEMBERED = 50_000
_NUMBER = re.compile(r":\d+\}")


class Habit(NamedTuple):
    """What a request shows after some history: ``steps`` with how often each, and its ``answer`` if it ends.

    An answer is its status, record and count.
    """

    steps: tuple[tuple[Signature, int], ...]
    answer: tuple[int, str, int | None] | None

    @property
    def frames(self) -> int:
        """How many steps it shows."""
        return sum(count for _, count in self.steps)


class Habits:
    """What the requests of one world do next. ``settled`` tells whether the last order that ran alone taught nothing.

    ``reason`` says why its orders can't run beside each other; empty while nothing speaks against it.
    """

    def __init__(self, reason: str = "") -> None:
        """Know nothing yet but a ``reason`` that is there from the start."""
        self.reason = reason
        self.settled = False
        self._known: dict[tuple[str, ...], Habit | None] = {}

    def after(self, request: Request) -> Habit | None:
        """Give what a request shows next; None where that is not known, or not always the same."""
        return self._known.get(tuple(request.done))

    def varies(self, request: Request) -> bool:
        """Tell whether a request was seen to go on in two ways from where it is."""
        return tuple(request.done) in self._known and self.after(request) is None

    def learn(self, request: Request) -> None:
        """Remember what a request has shown that was let go alone, and whose process is quiet now."""
        history, habit = tuple(request.done), habit_of(request)
        if history not in self._known and len(self._known) < _REMEMBERED:
            self._known[history] = habit
            self.settled = False
        elif self._known.get(history) not in (habit, None):
            self._known[history] = None
            self.settled = False

    def saw(self, frame: Frame, marks: Sequence[bytes]) -> None:
        """Look at a frame of an order that ran alone: it must tell by the ``marks`` of the order whose it is."""
        if self.reason:
            return
        if frame.pushed or frame.waiting:
            self.reason = f"its store answers {frame.command} later than it is asked"
        elif not carries(frame, marks):
            self.reason = f"{frame.command} does not carry the fingerprint"

    def waited(self) -> None:
        """Note that a request waited for another, or slept."""
        self.reason = self.reason or "a request waits inside the Gateway"


def habit_of(request: Request) -> Habit:
    """Give what a request has shown since its last step."""
    shown = [((command, plain(objects)), count) for (command, objects), count in request.showing.items()]
    told = request.told
    answer = None if told is None or not request.answered else (told[0], plain(told[1] or ""), told[2])
    return Habit(tuple(sorted(shown)), answer)


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """Leave out the numbers of made-up names, which tell what was met first in a run, not what a request does."""
    return _NUMBER.sub("}", text)


def marks_of(marks: Marks, fresh: str) -> tuple[bytes, ...]:
    """Give what the frames of one order carry and those of no other: its fresh value, its fingerprint or its begin."""
    fingerprint = marks.fingerprint(fresh)
    hashed = fresh not in fingerprint and len(fingerprint) >= _SHORTEST
    return (fresh.encode(), (fingerprint[:_SHORTEST] if hashed else fingerprint).encode())


_SHORTEST = 12
"""How many characters of a hash names hold at least (``rr-<fp12>-…``)."""


def carries(frame: Frame, marks: Sequence[bytes]) -> bool:
    """Tell whether a frame carries one of the marks of an order, itself or in what a transaction had queued before."""
    return any(mark in frame.raw or any(mark in arg for one in frame.effects for arg in one.args) for mark in marks)
