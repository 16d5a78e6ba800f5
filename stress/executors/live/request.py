"""One request in flight, and what is known of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from stress.executors.live.client import Client, Raw
    from stress.executors.live.record import Try

Signature = tuple[str, str]
"""A command and the objects that it touches."""
Place = tuple[Signature, ...] | tuple[str, ...]
"""Where in its code a request is, as far as its steps tell."""


@dataclass(slots=True, eq=False)
class Request:
    """One request in flight and what is known of it.

    ``history`` are its own steps so far, ``done`` the same in words with what each was replied, ``showing`` counts what
    it has shown since the last of them, ``reported`` is what it was answered: status, record and count. ``sent_as`` is
    the actor that it was sent as: two that nothing distinguished may exchange their names later. ``owes`` marks one
    that was answered and may have work left that waits for another's, ``late`` is for how long its steps after the
    answer were waited for, in seconds. ``sleeps`` is when the last timer ends that it set, as far as is known
    (`time.perf_counter`). ``tries`` are its steps with what each was replied; of those asked again and again the last.
    """

    actor: str
    replica: int
    client: Client
    task: asyncio.Task[Raw] | None = None
    started: int = -1
    answered: bool = False
    blocked: bool = False
    history: list[Signature] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    showing: Counter[Signature] = field(default_factory=Counter)
    epochs: list[int] = field(default_factory=list)
    reported: tuple[int, str | None, int | None] | None = None
    sent_as: str = ""
    owes: bool = False
    late: float = 0.0
    sleeps: float = 0.0
    tries: list[Try] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin under the name that it is sent as."""
        self.sent_as = self.actor

    @property
    def left(self) -> bool:
        """Whether its client hung up: nothing tells when what its Gateway still does for it ends."""
        return self.answered and self.client.hung_up

    @property
    def places(self) -> tuple[Place, Place]:
        """Where in its code it is: what it did with what it was replied, and what it did alone."""
        return tuple(self.done), tuple(self.history)

    @property
    def story(self) -> tuple[str, ...]:
        """What it did, was replied and was answered, by which its end is known again."""
        return (*self.done, str(self.reported[0] if self.reported else ""))

    def exchange(self, other: Request) -> None:
        """Exchange names with another request that is alike, and with them what was done under each name."""
        own = ("actor", "blocked", "history", "done", "showing", "epochs", "owes", "late", "sleeps", "tries")
        for name in own:
            mine, its = getattr(self, name), getattr(other, name)
            setattr(self, name, its)
            setattr(other, name, mine)
