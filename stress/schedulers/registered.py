"""How a scheduler is registered, and what it may want to know of the search that it is made for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stress.core.trace import Trace
    from stress.schedulers.base import Scheduler
    from stress.schedulers.dependence import Dependence, Effect


class SearchSettings(NamedTuple):
    """What a scheduler may want to know of a search.

    ``seed`` is for whatever is drawn, and ``skip`` names actors that are never drawn. ``fused`` says that starts are
    placed in one way only. ``alike`` are the requests of which one is as good as another. ``possible`` says how often
    each actor of the environment may act; with ``clock_apart`` schedules in which the clock moves wait until
    ``clock_turn`` says so. ``read`` gives what each move of a trace did.
    """

    dependence: Dependence
    read: Callable[[Trace], Sequence[Effect]]
    seed: int = 0
    skip: frozenset[str] = frozenset()
    fused: bool = False
    alike: Sequence[str] = ()
    possible: Mapping[str, int] = {}
    clock_apart: bool = False
    clock_turn: Callable[[], bool] = lambda: False


class Registered(NamedTuple):
    """A scheduler as it is registered: how it is made for a search, and whether it is ``covering``: leaves nothing out.

    What is not covering draws for as long as it is asked to, and has ``schedules``, the number of schedules drawn.
    """

    make: Callable[[SearchSettings], Scheduler]
    covering: bool = False
