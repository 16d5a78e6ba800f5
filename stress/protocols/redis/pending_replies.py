"""What a server owes to one connection: replies come in the order of the commands."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stress.core.outcomes import Outcome, together
from stress.protocols.gate import Frame
from stress.protocols.redis.commands import Awaited, Unit, verb
from stress.protocols.redis.outcomes import of_command, of_transaction, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.protocols.redis.commands import Command

_NO_UNIT = Unit((), parked=True)
_PLAIN = Awaited(1)


@dataclass(slots=True, eq=False)
class RedisFrame(Frame):
    """A frame of commands or a message; ``unit`` is what the commands are (none for a message)."""

    unit: Unit = _NO_UNIT

    def outcome(self, naming: Callable[[str], str]) -> Outcome:
        """Give what it came to, once it is replied to; values have the names that ``naming`` gives."""
        commands = [command for command in self.unit.commands if command.awaited is not None]
        if not commands or len(commands) != len(self.replies):
            return Outcome(value=value_of(self.replies, naming))
        parts = [
            of_transaction([effect.args for effect in command.effects], reply, naming)
            if verb(command.request.args) == b"EXEC"
            else of_command(command.request.args, reply, naming)
            for command, reply in zip(commands, self.replies, strict=True)
            if not command.passes
        ]
        return together(parts) if parts else Outcome()


@dataclass(slots=True)
class Owed:
    """Replies that the server owes: ``left`` of them, to a parked frame or (None) to what passed.

    ``command`` is a command that waits at the server although the gate was open when it came. ``saved`` is what was
    saved before it was sent, where the store is lent.
    """

    left: int
    frame: RedisFrame | None
    awaited: Awaited
    command: Command | None = None
    saved: tuple[object, ...] = ()

    @property
    def name(self) -> str:
        """What the command is called, as far as it is known."""
        return self.frame.command if self.frame is not None else self.awaited.name.decode("latin-1")


class PendingReplies:
    """All that is owed, the next reply first."""

    def __init__(self) -> None:
        """Begin with nothing owed."""
        self._owed: deque[Owed] = deque()

    def __bool__(self) -> bool:
        """Tell whether any reply is owed."""
        return bool(self._owed)

    @property
    def first(self) -> Owed | None:
        """What the next reply is for."""
        return self._owed[0] if self._owed else None

    def last_of(self, commands: Sequence[Command]) -> Owed | None:
        """Give what the last reply is for, where it is of the last of these commands."""
        return self._owed[-1] if commands and commands[-1].awaited is not None else None

    @property
    def waits(self) -> bool:
        """Whether a command waits at the server for another client."""
        return any(owed.command is not None or (owed.frame is not None and owed.frame.waiting) for owed in self._owed)

    @property
    def passing(self) -> bool:
        """Whether a reply is owed to what passed and waits for nobody."""
        return any(owed.frame is None and owed.command is None for owed in self._owed)

    def plain(self) -> None:
        """Owe one reply that means nothing to the gate; many of them in a row are one debt."""
        last = self._owed[-1] if self._owed else None
        if last is not None and last.frame is None and last.awaited is _PLAIN:
            last.left += 1
        else:
            self._owed.append(Owed(1, None, _PLAIN))

    def passed(self, command: Command) -> None:
        """Owe what a command that passes awaits."""
        if command.awaited == _PLAIN and not command.blocking:
            self.plain()
        elif command.awaited is not None:
            waiting = command if command.blocking else None
            self._owed.append(Owed(command.awaited.replies, None, command.awaited, waiting))

    def released(self, frame: RedisFrame) -> None:
        """Owe what the commands of a frame await."""
        for command in frame.unit.commands:
            if command.awaited is not None:
                self._owed.append(Owed(command.awaited.replies, frame, command.awaited))

    def paid(self, replies: int) -> bool:
        """Take off what came of the first debt; tell whether that is all of it."""
        self._owed[0].left -= replies
        if self._owed[0].left:
            return False
        self._owed.popleft()
        return True
