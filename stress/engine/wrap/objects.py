"""Which objects are gated where nobody says it, and what others write to them."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from stress.core.step import WHOLE, Access
from stress.engine.wrap.schedule import FOREIGN, Turn
from stress.engine.wrap.start import gated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.engine.wrap.start import Ended, Taken

_MOST = 5


def shared_objects(runs: Sequence[Ended]) -> tuple[str, ...]:
    """Give patterns of the objects that two actors accessed and one wrote; none where there are none: all are gated."""
    users: dict[str, set[str]] = {}
    written: set[str] = set()
    for ended in runs:
        for one in ended.taken:
            for touch in one.touches:
                if touch.object != WHOLE:
                    name = _pattern(touch.object)
                    users.setdefault(name, set()).add(one.turn.actor)
                    if touch.access is not Access.READ:
                        written.add(name)
    return tuple(sorted(name for name, actors in users.items() if len(actors) > 1 and name in written))


def _pattern(name: str) -> str:
    """Give a pattern for an object: a generated value may be any."""
    escaped = re.sub(r"([\[*?])", r"[\1]", name)
    return re.sub(r"\{\w+(?::\d+)?\}", "*", escaped)


def foreign_writes(taken: Sequence[Taken], runs: Sequence[Ended], objects: Sequence[str]) -> tuple[list[Turn], int]:
    """Give what a suite writes to gated objects and its own ``runs`` of the command do not, what deletes first.

    The second is how many such writes are left out: they can't be repeated, or there are too many.
    """
    own: Counter[str] = Counter()
    for ended in runs:
        own |= Counter(one.turn.text for one in ended.taken)
    theirs = Counter(one.turn.text for one in taken if one.writes and gated(one.touches, objects)) - own
    found: dict[str, Turn] = {}
    left_out = 0
    for one in sorted(taken, key=lambda one: all(touch.access is not Access.DELETE for touch in one.touches)):
        if one.turn.text in theirs and not one.foreign:
            left_out += 1
        elif one.turn.text in theirs:
            turn = Turn(FOREIGN, one.turn.command, one.turn.objects, one.turn.text, one.foreign)
            found.setdefault(one.turn.text, turn)
    return list(found.values())[:_MOST], left_out + max(0, len(found) - _MOST)
