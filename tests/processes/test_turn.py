"""Turns at what several processes use."""

from __future__ import annotations

import asyncio
import os

import pytest

from stress.processes.turn import Turn

MANY = 5
NAME = f"test-of-turns-{os.getpid()}"
"""No other process takes these turns, as another worker of the same tests would."""


@pytest.mark.asyncio
async def test_turns_are_taken_one_after_another_by_all_who_wait() -> None:
    """Two that want as many turns as they can get have them in turn, never both at once."""
    taken: list[str] = []

    async def want(name: str) -> None:
        turn = Turn(NAME)
        for _ in range(MANY):
            assert await turn.take(10.0)
            assert await turn.take(0.0)  # it is ours
            taken.append(name)
            await asyncio.sleep(0)
            taken.append(name)
            turn.give()

    await asyncio.gather(want("a"), want("b"))
    assert taken[::2] == taken[1::2]
    assert sorted(taken) == ["a"] * 2 * MANY + ["b"] * 2 * MANY
    assert taken[2:6] in (["a", "a", "b", "b"], ["b", "b", "a", "a"])


@pytest.mark.asyncio
async def test_who_waits_too_long_is_reported_and_leaves_nothing_behind() -> None:
    """While another has it nobody else does; afterwards it can be taken, also by who gave up before."""
    one, other, third = Turn(NAME), Turn(NAME), Turn(NAME)
    assert await one.take(0.0)
    waiting = asyncio.ensure_future(third.take(10.0))
    await asyncio.sleep(0)
    assert not await other.take(0.0)  # another holds the doorway
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert not await other.take(0.0)
    one.give()
    assert await other.take(0.0)
    other.give()
