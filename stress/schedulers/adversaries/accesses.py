"""What steps were seen to read and to write, so that an adversary knows in advance what a step will do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.step import WHOLE, Access
from stress.core.trace import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from stress.core.step import Move, Touch
    from stress.core.trace import Trace

Action = tuple[str, str]
"""A command and the objects that it touches, of any actor."""


class Accesses:
    """The objects that each action has read and written in any of the runs so far."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._reads: dict[Action, set[str]] = {}
        self._writes: dict[Action, set[str]] = {}

    def note(self, trace: Trace) -> dict[str, list[Action]]:
        """Take in a run; give what each actor did."""
        plans: dict[str, list[Action]] = {}
        for event in trace.events:
            if event.kind is Kind.STEP:
                action = (event.command, event.object)
                self._reads.setdefault(action, set()).update(_objects(event.touches, writes=False))
                self._writes.setdefault(action, set()).update(_objects(event.touches, writes=True))
                plans.setdefault(event.actor, []).append(action)
        return plans

    def read_by(self, action: Action) -> set[str]:
        """Give the objects that an action reads, as far as is known."""
        return self._reads.get(action, set())

    def written_by(self, action: Action) -> set[str]:
        """Give the objects that an action writes, as far as is known."""
        return self._writes.get(action, set())


def victims_of(able: Iterable[str], plans: Mapping[str, Sequence[Action]], alike: Collection[str]) -> list[str]:
    """Put the actors that an adversary can turn on in order: who did the same as one before comes last.

    Of those ``alike`` one is enough.
    """
    able = list(able)
    first = {tuple(plans[actor]): actor for actor in reversed(able)}
    victims = sorted(able, key=lambda actor: first[tuple(plans[actor])] != actor)
    others = [actor for actor in victims if actor in alike][1:]
    return [actor for actor in victims if actor not in others]


def action_of(move: Move) -> Action:
    """Give the action that a move lets happen."""
    return (move.command, move.object)


def common(some: set[str], others: set[str]) -> set[str]:
    """Give what two sets of objects have in common; the whole store has everything."""
    if WHOLE in some or WHOLE in others:
        return some | others if some and others else set()
    return some & others


def meet(some: set[str], others: set[str]) -> bool:
    """Return whether two sets of objects have something in common."""
    return bool(common(some, others))


def _objects(touches: Iterable[Touch], *, writes: bool) -> set[str]:
    return {touch.object for touch in touches if (touch.access is not Access.READ) is writes}
