"""What `wrap` needs of a protocol: a store behind a gate, to which the variables of a command lead its clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from stress.core.errors import UsageFault

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from stress.core.patterns import Shown
    from stress.core.step import Touch
    from stress.core.symbols import Names
    from stress.protocols.gate import Frame, Gate


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which store a user wants: a new one (``embedded``) or the one that ``environment`` names.

    ``hosts`` are those besides this machine that may be named. ``sinks`` are ports on which whatever the command needs
    beside its store is answered.
    """

    embedded: bool
    environment: Mapping[str, str]
    hosts: Collection[str] = ()
    sinks: Sequence[int] = ()


class NoStore(UsageFault):
    """The environment names no store, or one that may not be used; exit code 64."""

    def __init__(self, message: str, remedy: str) -> None:
        """Say why, and what to do."""
        super().__init__(())
        self.args = (f"{message} ({remedy})",)


class Called(NamedTuple):
    """A parked command, named so that it compares between runs.

    ``objects`` is what a step is called by (one text), ``touches`` all that it accesses, ``text`` the whole command
    without credentials. ``shown`` are its words, from which generated values are learned. ``foreign`` are the words by
    which a write is repeated as somebody else's; empty where it writes nothing, or can't be repeated.
    """

    command: str
    objects: str
    touches: tuple[Touch, ...]
    text: str
    shown: tuple[Shown, ...] = ()
    foreign: tuple[str, ...] = ()


class GatedStore(Protocol):
    """A store behind a gate. Each of several starts side by side has one of its own."""

    gate: Gate
    notes: list[str]

    @property
    def pooled(self) -> bool:
        """Whether callers take their connections from a pool, so that a connection is no caller."""

    @property
    def shared(self) -> bool:
        """Whether it was not started here, so that only one start at a time may use it."""

    @property
    def death(self) -> str:
        """Say how a server that was started here ended, or nothing while it lives."""

    async def open(self) -> None:
        """Start or reach the store, and listen.

        Raises:
            Unavailable: when it is not there.
            NoStore: when the environment names none, or one on another host that is not allowed.

        """

    def variables(self) -> dict[str, str]:
        """Give what changes in the environment of the command, so that its clients come to the gate."""

    def places(self) -> dict[str, str]:
        """Give the values of the placeholders that a user's own variables may hold, such as ``{port}``."""

    async def begin(self) -> None:
        """Count what is written from now on to a start."""

    async def reset(self) -> None:
        """Leave the store as it was before the start, and end every connection to the gate."""

    async def call(self, frame: Frame, names: Names) -> Called:
        """Name a parked command."""

    async def release(self, frame: Frame, names: Names, seconds: float) -> bool:
        """Let a parked command through; tell whether it was replied to within so many seconds."""

    async def write(self, words: Sequence[str]) -> str:
        """Do a foreign write past the gate; give what came of it, for people."""

    async def close(self) -> None:
        """End all that was started here."""
