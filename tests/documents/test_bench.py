"""The bench: the program that it measures has the classes that it says, and a peer that is not there is left out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from bench.getset import CLASSES, in_model, on_wire
from bench.peers import PEERS, load
from stress.core.step import letters
from stress.executors.model.executor import effects_of
from stress.schedulers.dependence import Dependence
from stress.schedulers.dpor.scheduler import Dpor

if TYPE_CHECKING:
    from collections.abc import Sequence


def counted(concurrent: int, alike: Sequence[str] = ()) -> tuple[int, int, bool]:
    """Search the program to its end in the model; give schedules, classes, and whether all were run."""
    executor, dpor = in_model(concurrent), Dpor(Dependence(fused=True), alike=alike, read=effects_of)
    while dpor.more():
        dpor.learn(executor.run(dpor))
    return dpor.schedules, dpor.explored, dpor.exhausted


@pytest.mark.parametrize("concurrent", [2, 3, 4])
def test_the_program_of_the_bench_has_so_many_classes(concurrent: int) -> None:
    """GET and SET of two, three and four requests: each class is run once."""
    assert counted(concurrent) == (CLASSES[concurrent], CLASSES[concurrent], True)


@pytest.mark.parametrize(("concurrent", "most"), [(2, 3), (3, 9), (4, 36), (5, 180)])
def test_requests_that_are_alike_take_fewer_schedules(concurrent: int, most: int) -> None:
    """At most one and a half times the classes up to renaming."""
    schedules, _, exhausted = counted(concurrent, letters(concurrent))
    assert exhausted
    assert schedules <= most


@pytest.mark.asyncio
async def test_the_gateway_of_the_bench_has_the_same_classes() -> None:
    """Its requests do one GET and one SET each on the wire, as in the model."""
    dpor, reported = Dpor(Dependence(fused=True)), set()
    async with on_wire(2) as wire:
        while dpor.more():
            trace = await wire.run(dpor)
            assert trace.fault == ""
            dpor.learn(trace)
            reported.add(tuple(answer.count for answer in sorted(trace.answers, key=lambda answer: answer.actor)))
            assert [event.command for event in trace.steps_of("A")] == ["GET", "SET"]
    assert (dpor.schedules, dpor.explored, dpor.exhausted) == (4, 4, True)
    assert reported == {(1, 2), (2, 1), (1, 1)}


def test_a_peer_that_can_not_be_had_is_left_out_visibly() -> None:
    """One line says which Python it needs, or that it is not installed."""
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    newer = PEERS[0]._replace(python=(99, 0))
    absent = PEERS[0]._replace(name="no_such_peer", python=(3, 11))
    assert load(newer) == (None, f"left out: needs Python >= 99.0, this is {ours}")
    assert load(absent) == (None, "left out: No module named 'no_such_peer'; `make bench` installs it")
