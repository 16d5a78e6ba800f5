"""A schedule of `wrap` as text: who took which step, the clock, and foreign writes.

    gateway-stress wrap 1
    store: redis
    objects: counter
    command: pytest -q test_counter.py
    outcome: exit code 1
    ---
    A GET counter
    clock
    B SET counter  # SET counter 1
    foreign DEL "job 7"

What stands behind ``#`` is the whole command: it tells callers apart that are alike in all else.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

from stress.config.stores import default
from stress.core.errors import Fault, Place, UsageFault
from stress.core.secrets import hide

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION = 1
_MAGIC = "gateway-stress wrap"
_KEYS = ("store", "objects", "command", "outcome")
_SAFE = ":{}*/,()+-_.;@= "
CLOCK, FOREIGN = "clock", "foreign"


class Turn(NamedTuple):
    """One line: an actor takes a step that is called ``command`` on ``objects``; ``text`` is the whole command.

    Of the actor ``clock`` it is the start of the next second, of ``foreign`` a write past the gate, whose words
    ``foreign`` are.
    """

    actor: str
    command: str = ""
    objects: str = ""
    text: str = ""
    foreign: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """Give it for people."""
        if self.actor == CLOCK:
            return "clock (the next second begins)"
        return f"{self.actor} {self.text or f'{self.command} {self.objects}'}".rstrip()

    def fits(self, other: Turn) -> bool:
        """Tell whether another is the same step; of objects that hold a generated value the rest must be the same."""
        same = self.actor == other.actor and self.command == other.command
        return same and _unnumbered(self.objects) == _unnumbered(other.objects)


def _unnumbered(objects: str) -> str:
    return re.sub(r"\{(\w+)(?::\d+)?\}", "{}", objects)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Turns in their sequence, and what a replay needs besides: the kind of store and the objects that are gated."""

    turns: tuple[Turn, ...]
    store: str = field(default_factory=default)
    objects: tuple[str, ...] = ()
    command: str = ""
    outcome: str = ""
    path: str = field(default="", compare=False)

    @property
    def letters(self) -> tuple[str, ...]:
        """The actor of each turn."""
        return tuple(turn.actor for turn in self.turns)

    def preemptions(self) -> int:
        """Count the places where another actor goes on although the one before still has steps."""
        last = {turn.actor: at for at, turn in enumerate(self.turns)}
        pairs = enumerate(zip(self.turns, self.turns[1:], strict=False))
        return sum(1 for at, (one, two) in pairs if one.actor != two.actor and last[one.actor] > at)

    def text(self) -> str:
        """Give the file."""
        lines = [
            f"{_MAGIC} {VERSION}",
            f"store: {self.store}",
            *(f"objects: {quote(name, safe=_SAFE)}" for name in self.objects),
            f"command: {self.command}",
            f"outcome: {self.outcome}",
            "---",
            *(_line(turn) for turn in self.turns),
        ]
        return hide("\n".join(lines) + "\n")


def _line(turn: Turn) -> str:
    if turn.actor == CLOCK:
        return CLOCK
    if turn.actor == FOREIGN:
        return f"{FOREIGN} {shlex.join(quote(word, safe=_SAFE) for word in turn.foreign)}"
    line = f"{turn.actor} {quote(turn.command, safe=_SAFE)}"
    line += f" {quote(turn.objects, safe=_SAFE)}" if turn.objects else ""
    return f"{line}  # {quote(turn.text, safe=_SAFE)}" if turn.text else line


def parse(text: str, path: str) -> Schedule:
    """Read a schedule.

    Raises:
        UsageFault: with one fault for each wrong line.

    """
    lines = text.splitlines()
    if not lines or lines[0].strip() != f"{_MAGIC} {VERSION}":
        hint = f"its first line must be `{_MAGIC} {VERSION}`"
        raise UsageFault([Fault(Place(path, 1, 1), "no schedule of wrap", hint)])
    values: dict[str, list[str]] = {key: [] for key in _KEYS}
    turns: list[Turn] = []
    faults: list[Fault] = []
    body = False
    for number, line in enumerate(lines[1:], start=2):
        if line.strip() == "---":
            body = True
        elif body and line.strip():
            turn = _turn(line)
            if turn is None:
                hint = "write `ACTOR COMMAND [OBJECT]`, `clock` or `foreign COMMAND…`"
                faults.append(Fault(Place(path, number, 1), f"no step: {line[:60]!r}", hint))
            else:
                turns.append(turn)
        elif line.strip():
            key, colon, value = line.partition(":")
            if not colon or key not in values:
                known = f"known: {', '.join(_KEYS)}"
                faults.append(Fault(Place(path, number, 1), f"unknown line {line[:40]!r} in the head", known))
            else:
                values[key].append(value.strip())
    if not (turns or faults):
        faults.append(Fault(Place(path, len(lines), 1), "no steps", "a line `---` must stand between head and steps"))
    if faults:
        raise UsageFault(faults)
    first = {key: (given or [""])[0] for key, given in values.items()}
    objects = tuple(map(unquote, values["objects"]))
    return Schedule(tuple(turns), first["store"] or default(), objects, first["command"], first["outcome"], path)


def _turn(line: str) -> Turn | None:
    steps, _, text = line.partition("  # ")
    words = steps.split(maxsplit=2)
    if words == [CLOCK]:
        return Turn(CLOCK)
    if words[0] == FOREIGN:
        try:
            foreign = tuple(map(unquote, shlex.split(steps)[1:]))
        except ValueError:
            return None
        return (
            Turn(FOREIGN, foreign[0].upper(), " ".join(foreign[1:2]), " ".join(foreign), foreign) if foreign else None
        )
    if len(words) < 2 or re.fullmatch(r"[A-Z]+\d*", words[0]) is None:  # noqa: PLR2004 - an actor and a command
        return None
    return Turn(words[0], unquote(words[1]), unquote("".join(words[2:])), unquote(text.strip()))


def of(turns: Sequence[Turn], **head: object) -> Schedule:
    """Make a schedule."""
    return Schedule(tuple(turns), **head)  # type: ignore[arg-type]  # the fields of the head
