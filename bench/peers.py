"""The peers: what one schedule costs in each tool, how many runs exhaust a program, whether the lost update is found.

All run the same coroutines, n times GET and SET, on the same store in memory; each call of the store suspends once.
The unit of cost is one plain `asyncio.gather` of those coroutines, measured in the same run. A peer's cost is that of
its whole search divided by its runs: choosing a schedule belongs to it. Ours is given both ways. Each cost is the best
of a few rounds. A peer that is not there is left out in a line that says why.
"""

from __future__ import annotations

import asyncio
import sys
import time
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.figure import Figure, in_turns
from bench.getset import in_model
from bench.getset_gateway import Named, get_set
from bench.model import GatherStore
from stress.executors.model.executor import effects_of
from stress.executors.model.redis_memory import RedisMemory
from stress.schedulers.dependence import Dependence
from stress.schedulers.dpor.scheduler import Dpor
from stress.schedulers.random_walk import Walk
from stress.schedulers.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stress.core.step import Move
    from stress.executors.model.executor import ModelExecutor

AT_ONCE, ROUNDS = (2, 3, 5), 5
FOLDER = Path(sys.prefix) / "peers"
"""Where the Makefile puts them: two of them plug into pytest, and must not do so in our own tests."""
_SCHEDULES, _COSTLY_SCHEDULES = 500, 20
_MOST_RUNS, _MOST_SECONDS = 5000, 20.0
_SIGNAL = Named("same")


class Search(NamedTuple):
    """What a search of a peer came to: how many runs, in how many seconds, and what it says of itself."""

    runs: int
    seconds: float
    found: bool = False
    said: str = ""

    @property
    def each(self) -> float:
        """The seconds of one run."""
        return self.seconds / self.runs


class Peer(NamedTuple):
    """One peer: its package, and how it searches.

    ``search`` is given how many requests there are, how many schedules to run at most, and whether a lost update is a
    failure (then the first one ends the search). ``exhaust`` runs all schedules that the peer can tell apart.
    """

    name: str
    search: Callable[[Any, int, int, bool], Search]
    exhaust: Callable[[Any, int], Search] | None
    python: tuple[int, int] = (3, 11)


def _store() -> GatherStore:
    return GatherStore(RedisMemory(0.0))


def _counted(store: GatherStore, concurrent: int) -> bool:
    """Tell whether no update was lost."""
    return store.memory.execute("GET", f"hits:{_SIGNAL.fingerprint}") == str(concurrent)


async def _all(concurrent: int, *, strict: bool) -> None:
    """Send the requests at once."""
    store = _store()
    await asyncio.gather(*(get_set(store, _SIGNAL) for _ in range(concurrent)))
    assert not strict or _counted(store, concurrent)  # noqa: S101 - how a test under a peer fails


async def _plainly(concurrent: int) -> None:
    for _ in range(_SCHEDULES):
        await _all(concurrent, strict=False)


def _frontrun(frontrun: Any, concurrent: int, schedules: int, strict: bool, **more: Any) -> Search:  # noqa: ANN401, FBT001
    """Let its DPOR search without a bound on preemptions."""

    async def worker(store: GatherStore) -> None:
        await get_set(store, _SIGNAL)

    async def explore() -> Any:  # noqa: ANN401 - its own type
        return await frontrun.explore(
            setup=_store,
            workers=worker,
            count=concurrent,
            invariant=lambda store: not strict or _counted(store, concurrent),
            preemption_bound=None,
            max_executions=schedules,
            stop_on_first=strict,
            reproduce_on_failure=0,
            **more,
        )

    begun = time.perf_counter()
    found = asyncio.run(explore())
    said = "exhausted" if found.property_holds else str(found.inconclusive_reason or "").partition(". ")[0]
    return Search(found.num_explored, time.perf_counter() - begun, found.property_holds is False, said)


def _frontrun_whole(frontrun: Any, concurrent: int) -> Search:  # noqa: ANN401 - a module
    return _frontrun(frontrun, concurrent, _MOST_RUNS, strict=False, total_timeout=_MOST_SECONDS)


def _detangle(detangle: Any, concurrent: int, schedules: int, strict: bool, strategy: str = "auto") -> Search:  # noqa: ANN401, FBT001
    """Let its default portfolio search, without shrinking and without its database."""
    begun = time.perf_counter()
    asked = {"runs": schedules, "strategy": strategy, "seed": 0, "shrink": False, "database": False}
    try:
        found = detangle.explore(partial(_all, concurrent, strict=strict), max_duration=_MOST_SECONDS, **asked)
    except detangle.BugFound as bug:
        return Search(bug.report.runs, time.perf_counter() - begun, found=True)
    said = f"{found.distinct_schedules} distinct, {'exhausted' if found.exhausted else 'cut off'}"
    return Search(found.runs, time.perf_counter() - begun, said=said)


def _detangle_whole(detangle: Any, concurrent: int) -> Search:  # noqa: ANN401 - a module
    """Search depth first, with so many delays that they are no bound."""
    return _detangle(detangle, concurrent, _MOST_RUNS, strict=False, strategy="dfs:1000")


def _seedloop(seedloop: Any, concurrent: int, schedules: int, strict: bool) -> Search:  # noqa: ANN401, FBT001
    """Run seed after seed; it keeps the loop's own order, and varies networks and timers, of which there are none."""

    async def scenario(_: object) -> None:
        await _all(concurrent, strict=strict)

    begun = time.perf_counter()
    found = seedloop.check(scenario, seeds=schedules, on_failure="return")
    return Search(found.checked, time.perf_counter() - begun, found.failing_seed is not None)


PEERS = (
    Peer("seedloop", _seedloop, None, (3, 12)),
    Peer("detangle", _detangle, _detangle_whole),
    Peer("frontrun", _frontrun, _frontrun_whole),
)


def load(peer: Peer) -> tuple[Any, str]:
    """Import a peer and say which it is, or None and why it is left out."""
    if sys.version_info < peer.python:
        ours = ".".join(map(str, sys.version_info[:2]))
        return None, f"left out: needs Python >= {'.'.join(map(str, peer.python))}, this is {ours}"
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    try:
        return import_module(peer.name), f"{peer.name} {version(peer.name)}"
    except (ImportError, PackageNotFoundError) as error:
        return None, f"left out: {error}; `make bench` installs it"


def _follow(executor: ModelExecutor, moves: Sequence[Move]) -> None:
    replay = Replay(moves, _SCHEDULES)
    while replay.more():
        executor.run(replay)


def _ours(executor: ModelExecutor) -> Search:
    """Let DPOR choose the schedules."""
    dpor, begun = Dpor(Dependence(fused=True), read=effects_of), time.perf_counter()
    while dpor.schedules < _SCHEDULES and dpor.more():
        dpor.learn(executor.run(dpor))
    return Search(dpor.schedules, time.perf_counter() - begun, said="exhausted" if dpor.exhausted else "cut off")


def _costs(modules: dict[Peer, Any], concurrent: int) -> Iterator[Figure]:
    executor = in_model(concurrent)
    moves = executor.run(Walk(0)).moves
    with asyncio.Runner() as runner:
        plainly = lambda: runner.run(_plainly(concurrent))  # noqa: E731 - as short as the other
        unit, followed = in_turns(ROUNDS, plainly, partial(_follow, executor, moves))
    chosen = min(_ours(executor).each for _ in range(ROUNDS))
    name = f"gathers that one schedule costs, n = {concurrent}:"
    yield Figure(f"{name} gateway-stress", f"{followed / unit:.2f}", "<= 0.33")
    yield Figure(f"{name} gateway-stress, chosen by DPOR", f"{chosen * _SCHEDULES / unit:.2f}")
    for peer, module in modules.items():
        schedules = _COSTLY_SCHEDULES if peer.name == "frontrun" else _SCHEDULES
        each = min(peer.search(module, concurrent, schedules, False).each for _ in range(ROUNDS))  # noqa: FBT003 - its type
        yield Figure(f"{name} {peer.name}", f"{each * _SCHEDULES / unit:.1f}")


def _whole(modules: dict[Peer, Any], concurrent: int) -> Iterator[Figure]:
    name = f"runs until [GET;SET] is exhausted, n = {concurrent}:"
    ours = _ours(in_model(concurrent))
    yield Figure(f"{name} gateway-stress", f"{ours.runs}, {ours.said}")
    for peer, module in modules.items():
        found = None if peer.exhaust is None else peer.exhaust(module, concurrent)
        value = "it can't: it keeps one schedule" if found is None else f"{found.runs}, {found.said}"
        yield Figure(f"{name} {peer.name}", value)


def _lost_update(modules: dict[Peer, Any]) -> Iterator[Figure]:
    for peer, module in modules.items():
        found = peer.search(module, 2, _MOST_RUNS, True)  # noqa: FBT003 - its type
        yield Figure(f"lost update, n = 2: {peer.name}", f"after {found.runs} runs" if found.found else "not found")


def figures() -> Iterator[Figure]:
    """Measure each peer that is there beside ours."""
    modules: dict[Peer, Any] = {}
    for peer in PEERS:
        module, said = load(peer)
        yield Figure(f"peer: {peer.name}", said)
        if module is not None:
            modules[peer] = module
    for concurrent in AT_ONCE:
        yield from _costs(modules, concurrent)
    for concurrent in (2, 3):
        yield from _whole(modules, concurrent)
    yield from _lost_update(modules)
