"""Actors that a sampler never lets act: the clock on the wire, whose every move costs a real second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.schedulers.base import is_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.step import Move


def without(moves: Sequence[Move], skip: frozenset[str], *, done: bool) -> Sequence[Move]:
    """Leave out the moves of the actors to ``skip``; where nothing else is possible and the run is not ``done``, keep.

    So a sampler always has a move to choose, or may end the run.
    """
    if not skip:
        return moves
    able = [move for move in moves if move.actor not in skip]
    return able or ([] if done else [move for move in moves if not is_environment(move)] or moves)
