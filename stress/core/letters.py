"""A schedule in letters, such as ``A A clock B B``: who goes on, and not to what."""

from __future__ import annotations

import re

from stress.core.step import ENVIRONMENT, NEXT, Move
from stress.core.step import letters as names_of


class UnknownLetter(ValueError):
    """A word that names no actor. ``message`` says which and where, ``hint`` what is allowed."""

    def __init__(self, message: str, hint: str) -> None:
        """Take both."""
        self.message, self.hint = message, hint
        super().__init__(f"{message} ({hint})")


def letters(text: str, requests: int = 26) -> tuple[Move, ...]:
    """Read a schedule in letters for so many ``requests``.

    Each letter lets that request go to its next step; its first one sends it. `clock`, `expiry`, `cleanup` and `writer`
    act; `watch` lets the next event reach the cache of replica 1, `watch:2` that of replica 2; `client` hangs up the
    request whose letter came last, `client:B` that of B. The moves have the command ``NEXT``, which stands for whatever
    their actor shows; where such a schedule ends, the rest goes on by itself.

    Raises:
        UnknownLetter: at the first word that names no actor.

    """
    known, last, moves = names_of(requests), "", list[Move]()
    for number, found in enumerate(re.finditer(r"\S+", text), 1):
        actor = word = found[0]
        if word == "watch":
            actor = "watch:1"
        elif word == "client" and last:
            actor = f"client:{last}"
        client = actor.removeprefix("client:")
        if not (client in known or actor in ENVIRONMENT or re.fullmatch(r"watch:[1-9]", actor)):
            place = f"word {number}, at character {found.start() + 1}"
            raise UnknownLetter(f"{place}: {word!r} {_why(word)}", _allowed(known))
        last = actor if actor in known else last
        moves.append(Move(actor, NEXT, ""))
    if not moves:
        raise UnknownLetter("the schedule has no word", _allowed(known))
    return tuple(moves)


def _why(word: str) -> str:
    return "hangs up no request, as none was sent before" if word == "client" else "names no actor"


def _allowed(known: tuple[str, ...]) -> str:
    names = known[0] if len(known) == 1 else f"{known[0]} to {known[-1]}"
    return f"allowed: {names}, {', '.join(ENVIRONMENT)}, watch, watch:2, client, client:{known[0]}"
