"""Schedules drawn by hypothesis: small integers, 0 = keep going, so that shrinking removes preemptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.schedulers.interleaving import Interleaving

if TYPE_CHECKING:
    from hypothesis import strategies as st

_MOST_MOVES = 64
_MOST_CHOICES = 5


def interleavings(*, moves: int = _MOST_MOVES) -> st.SearchStrategy[Interleaving]:
    """Draw schedules of at most ``moves`` chosen moves, for `stress.engine.running.run`.

    Use it with ``deadline=None``: a run on the wire may take longer than the 200 ms of hypothesis.
    """
    from hypothesis import strategies as st  # noqa: PLC0415 - it takes half a second to import

    return st.lists(st.integers(0, _MOST_CHOICES), max_size=moves).map(Interleaving)
