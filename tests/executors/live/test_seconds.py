"""A run that goes into another second unasked counts, unless names show it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from conftest import scenario_of, target_of
from following import Follow

from stress.executors.live.deployment import Deployment
from stress.executors.live.executor import LiveExecutor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.step import Move


class Dawdler(Follow):
    """Lets another second begin before one of its choices, the first time that it is asked for it."""

    def __init__(self, actors: str, before: int) -> None:
        """Take the word, and the number of the choice, counted from 1."""
        super().__init__(actors)
        self._left = before

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Choose as the word says, in the next second if it is time for that."""
        self._left -= 1
        if not self._left:
            second = int(time.time())
            while int(time.time()) == second:
                time.sleep(0.01)
        return super().choose(moves, done=done)


@pytest.mark.asyncio
async def test_a_run_may_cross_a_second_until_a_name_shows_it() -> None:
    """A duplicate that makes no name may take longer; a name of another second has the run repeated in one."""
    target = target_of("kube-status")
    duplicate = scenario_of("t2-one-then-three").model_copy(update={"concurrent": 1})
    async with Deployment(target) as deployment:
        async with LiveExecutor(duplicate, target, deployment=deployment) as wire:
            slow = await wire.run(Dawdler("A A A", 3))
        async with LiveExecutor(scenario_of("r2-same-second-losers"), target, deployment=deployment) as wire:
            repeat = await wire.run(Dawdler("A A B B", 3))
    assert (slow.fault, slow.crossed_second, list((slow.final.hits or {}).values())) == ("", 2, [2])
    assert (repeat.fault, repeat.crossed_second, len(repeat.final.records or ())) == ("", None, 1)
