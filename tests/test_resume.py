"""Searches that begin with what earlier ones left: orders that failed, and the runs of one that was interrupted."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from conftest import target_of
from test_pair import with_explorer

from stress import search
from stress.journal import Journal, Origin
from stress.order import Head, Order
from stress.pair import Pair
from stress.resume import Earlier, journal_of
from stress.search import INTERRUPTED, Covered, Limits, Search
from stress.step import Move
from stress.worlds.identity import UNKNOWN
from stress.worlds.model import ModelWorld

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stress.result import Result
    from stress.trace import Trace

pytestmark = pytest.mark.unmeasured

LIMITS = Limits(60.0, 5000)
RACY, TWIN = "redis-read-modify-write", "redis-optimistic"


def world_of(target: str, explorer: str = "exhaustive", scenario: str = "atomic-hit-count") -> ModelWorld:
    """Make the model world of a pair."""
    return ModelWorld(with_explorer(scenario, explorer), target_of(target))


def journal_at(path: Path, world: ModelWorld) -> Journal:
    """Open a journal that a search in the model would not have."""
    return Journal(path, Origin(world.scenario.digest, world.digest, world.name, "any", 0))


async def searched(
    world: ModelWorld, path: Path, compare: Callable[[Trace], str] = lambda _: "", limits: Limits = LIMITS
) -> Covered:
    """Search with a journal."""
    return await Search(world, limits, compare=compare, journal=journal_at(path, world)).run()


def after(orders: int, seen: list[object]) -> Callable[[Trace], str]:
    """Make what interrupts a search after so many orders, and notes what was run."""

    def compare(trace: Trace) -> str:
        seen.append(tuple(trace.moves))
        if len(seen) > orders:
            seen.pop()
            raise asyncio.CancelledError
        return ""

    return compare


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("scenario", "explorer", "stop"),
    [
        *(("atomic-hit-count", "exhaustive", stop) for stop in (1, 7, 15)),
        *(("atomic-hit-count", "dpor", stop) for stop in (1, 2, 5)),
        *(("t2-one-then-three", "auto", stop) for stop in (1, 15)),
    ],
)
async def test_an_interrupted_search_goes_on(scenario: str, explorer: str, stop: int, tmp_path: Path) -> None:
    """What it ran is judged again and not run again; all is exhausted in the end, and no file is left."""
    path, pair = tmp_path / "folder" / "journal", (TWIN, explorer, scenario)
    whole, before, later, runs = list[object](), list[object](), list[object](), list[object]()
    plain = await Search(world_of(*pair), LIMITS, compare=after(9999, whole)).run()
    cut = await searched(world_of(*pair), path, after(stop, before))
    assert (cut.fault, before, cut.evidence.exhausted) == (INTERRUPTED, whole[:stop], False)
    world = world_of(*pair)
    run = world.run
    world.run = lambda *args, **more: (runs.append(1), run(*args, **more))[1]  # type: ignore[method-assign]
    done = await searched(world, path, after(9999, later))
    assert later == whole
    assert (done.evidence.orders, done.evidence.exhausted, done.fault) == (plain.evidence.orders, True, "")
    assert len(runs) == len(whole) - stop + min(stop, 2)  # the first and the last are run once more
    assert done.notes == [f"went on after {stop} order{'s' * (stop > 1)} of a search that was interrupted"]
    assert not path.parent.exists()


@pytest.mark.asyncio
async def test_a_search_whose_time_is_up_goes_on_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run of it has its seconds anew: a second passes in each order, and what was run before takes none."""
    path, ran, now = tmp_path / "journal", list[int](), [0.0]
    monkeypatch.setattr(search, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def second(_: Trace) -> str:
        now[0] += 1.0
        return ""

    while path.exists() or not ran:
        done = await searched(world_of(TWIN), path, second, Limits(7.5, 5000))
        ran.append(done.evidence.orders)
    assert (ran, done.evidence.exhausted) == ([8, 16, 20], True)


@pytest.mark.asyncio
async def test_a_gateway_that_changed_meanwhile_is_searched_anew(tmp_path: Path) -> None:
    """Its program looks the same and does something else: nothing of the old one's runs counts."""
    path, old, new = tmp_path / "journal", world_of("redis-atomic"), world_of(TWIN)
    new.digest = old.digest
    await searched(old, path, after(1, []))
    done = await searched(new, path)
    assert (done.evidence.orders, done.evidence.exhausted) == (20, True)
    assert done.notes == ["began anew: the Gateway is not the one whose search was interrupted"]


@pytest.mark.asyncio
async def test_a_search_that_ends_with_a_race_leaves_nothing(tmp_path: Path) -> None:
    """There is nothing to go on with."""
    path = tmp_path / "journal"
    await searched(world_of(RACY), path, after(2, []))
    assert path.exists()
    done = await searched(world_of(RACY), path)
    assert (set(done.found), path.exists()) == ({"hits_equal_answers", "distinct_counts"}, False)


def test_some_searches_keep_no_journal(tmp_path: Path) -> None:
    """None without a file, in the model, of hypothesis, and of a Gateway that nobody knows."""
    world = world_of(TWIN)
    earlier = Earlier(journal=tmp_path / "journal")
    assert journal_of(earlier, world, 0) is None
    world.name = "wire"
    assert journal_of(earlier, world, 0) is not None
    assert journal_of(Earlier(), world, 0) is None
    drawing = world_of(TWIN, "hypothesis")
    drawing.name = "wire"
    assert journal_of(earlier, drawing, 0) is None
    world.digest = UNKNOWN
    assert journal_of(earlier, world, 0) is None


# --- orders that failed ------------------------------------------------------------------------------


async def result_of(target: str, *examples: Order) -> tuple[Result, tuple[Order, ...]]:
    """Search in the model, with orders that failed before."""
    pair = Pair(world_of(target, "auto"), None, LIMITS, earlier=Earlier(examples))
    return await pair.result(), pair.stale


@pytest.mark.asyncio
async def test_an_order_that_fails_still_is_found_first() -> None:
    """The search ends with it, and says so; it is not stale."""
    found, _ = await result_of(RACY)
    order = found.findings[0].order
    again, stale = await result_of(RACY, order)
    assert [one.order for one in again.findings] == [order]
    assert stale == ()
    assert again.verdict.evidence[0].covered.endswith("1 order of an earlier run tried")
    assert again.as_expected


@pytest.mark.asyncio
async def test_an_order_that_passes_is_stale_and_changes_no_verdict() -> None:
    """One order passes, one can't be followed, and the twin, which knows neither, holds in every order."""
    found, _ = await result_of(RACY)
    passing = found.findings[0].nearest
    assert passing is not None
    strange = Order((Move("Z", "GET", "k"),), Head("atomic-hit-count"))
    mine = Order(passing.moves)
    again, stale = await result_of(RACY, strange, mine)
    assert (stale, again.as_expected, str(again.verdict.ruling)) == ((strange, mine), True, "race")
    held, stale = await result_of(TWIN, strange, found.findings[0].order)
    assert (stale, held.verdict.holds) == ((strange, found.findings[0].order), True)


@pytest.mark.asyncio
async def test_an_order_that_was_not_tried_is_not_stale() -> None:
    """Enough was found before its turn."""
    found, _ = await result_of(RACY)
    strange = Order((Move("Z", "GET", "k"),), Head("atomic-hit-count"))
    assert (await result_of(RACY, found.findings[0].order, strange))[1] == ()
