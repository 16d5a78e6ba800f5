"""Which thread is at work for whom, by what has changed since the last look."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from stress.config.target_parts import Start
from stress.processes.source_lines.looker import Looker, Looks
from stress.processes.source_lines.sources import Sources
from stress.processes.source_lines.stacks import Place

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from stress.processes.source_lines.looker import Thread
    from stress.processes.source_lines.stacks import Stack

IDLE = 1
"""The line in which a thread of the service waits for work."""


class Given(Looker):
    """Sees what it is given: of each look the line in which each thread stands, 0 in no code of the service."""

    def __init__(self, folder: Path, *looks: dict[str, int]) -> None:
        """See these, one after another."""
        (folder / "app.py").write_text("")
        super().__init__(Sources(Start(command=["python3", "app.py"]), folder), 10.0)
        self.file, self.looks = str(folder / "app.py"), list(looks)

    async def look(self, pid: int, ports: Collection[int]) -> dict[Thread, Stack] | None:
        """See the next."""
        del ports
        library = Place("/usr/lib/python3/socket.py", 700)
        return {
            (pid, thread): (library, *([Place(self.file, line)] if line else []))
            for thread, line in self.looks.pop(0).items()
        }


async def looked(folder: Path, *looks: dict[str, int]) -> Looks:
    """Look that often, the first time at rest; ask nothing."""
    given = Looks(Given(folder, *looks), 7, ())
    for _ in looks:
        assert await given.look()
    return given


@pytest.mark.asyncio
async def test_the_only_stack_that_is_new_is_of_who_was_let_go(tmp_path: Path) -> None:
    """Threads that stand where they stood, at rest or at the last look, are not at work for this one."""
    looks = await looked(tmp_path, {"main": 50, "pool": IDLE}, {"main": 50, "pool": IDLE, "t1": 31})
    assert looks.lines("A", isolated=True) == ("app.py:31",)
    looks = await looked(tmp_path, {"pool": IDLE}, {"pool": 31, "t1": 40}, {"pool": IDLE, "t1": 41})
    assert looks.lines("B", isolated=True) == ("app.py:41",)


@pytest.mark.asyncio
async def test_of_two_stacks_that_are_new_none_is_shown_unless_one_is_known(tmp_path: Path) -> None:
    """Where several have changed only the thread that was at work for the same one before is its own."""
    given = Given(tmp_path, {"t1": 0}, {"t1": 31}, {"t1": 33, "t2": 40}, {"t1": 33, "t2": 41, "t3": 50})
    looks = Looks(given, 7, ())
    await looks.look()
    await looks.look()
    assert looks.lines("A", isolated=True) == ("app.py:31",)
    await looks.look()
    assert looks.lines("B", isolated=False) == ()
    assert looks.lines("A", isolated=False) == ("app.py:33",)
    await looks.look()
    assert looks.lines("B", isolated=True) == ()


@pytest.mark.asyncio
async def test_where_others_have_gone_on_too_nothing_follows_from_one_stack(tmp_path: Path) -> None:
    """Neither one stack that is new, nor that none is, tells of whom of several."""
    looks = Looks(Given(tmp_path, {}, {"t1": 31}, {"t1": 31}), 7, ())
    await looks.look()
    await looks.look()
    assert looks.lines("A", isolated=False) == ()
    assert looks.lines("A", isolated=True) == ("app.py:31",)
    await looks.look()
    assert looks.lines("A", isolated=False) == ()


@pytest.mark.asyncio
async def test_a_thread_that_stands_where_it_stood_has_the_same_line(tmp_path: Path) -> None:
    """The next step of one request may come from the line of the one before; another's thread is never taken for it."""
    given = Given(tmp_path, {}, {"t1": 31}, {"t1": 31}, {"t1": 31, "t2": 60}, {"t1": 0, "t2": 60})
    looks = Looks(given, 7, ())
    await looks.look()
    await looks.look()
    assert looks.lines("A", isolated=True) == ("app.py:31",)
    await looks.look()
    assert looks.lines("A", isolated=True) == ("app.py:31",)
    assert looks.lines("B", isolated=True) == ()
    await looks.look()
    assert looks.lines("A", isolated=True) == ()
    await looks.look()
    assert looks.lines("A", isolated=True) == ()


@pytest.mark.asyncio
async def test_a_request_that_goes_on_in_another_thread_is_followed(tmp_path: Path) -> None:
    """Where the thread that was at work has nothing to do any more, the one that is new is at work now."""
    given = Given(tmp_path, {}, {"t1": 31}, {"t1": 0, "t2": 60})
    looks = Looks(given, 7, ())
    await looks.look()
    await looks.look()
    assert looks.lines("A", isolated=True) == ("app.py:31",)
    await looks.look()
    assert looks.lines("A", isolated=True) == ("app.py:60",)


@pytest.mark.asyncio
async def test_a_thread_goes_before_coroutines_that_may_wait_for_it(tmp_path: Path) -> None:
    """That is one which had nothing to do at rest; where another has changed beside a coroutine nothing is known."""
    looks = await looked(tmp_path, {"t1": 0, "coroutine 1": IDLE}, {"t1": 31, "coroutine 1": 60})
    assert looks.lines("A", isolated=True) == ("app.py:31",)
    looks = await looked(tmp_path, {"t1": IDLE, "coroutine 1": IDLE}, {"t1": 31, "coroutine 1": 60})
    assert looks.lines("A", isolated=True) == ()
    looks = await looked(tmp_path, {"t1": IDLE, "coroutine 1": IDLE}, {"t1": IDLE, "coroutine 1": 60})
    assert looks.lines("A", isolated=True) == ("app.py:60",)


@pytest.mark.asyncio
async def test_who_sees_no_stack_of_the_service_change_is_blind(tmp_path: Path) -> None:
    """That it stands still, or changes in code of others alone, shows nothing; one that was new once does."""
    given = Given(
        tmp_path, {"main": 50, "t1": 0}, {"main": 50, "t1": 0}, {"main": 50, "t1": 31}, {"main": 50, "t1": 31}
    )
    looks = Looks(given, 7, ())
    seen = []
    for _ in range(4):
        await looks.look()
        seen.append(looks.blind)
        looks.lines("A", isolated=True)
    assert seen == [True, True, False, False]


@pytest.mark.asyncio
async def test_who_has_no_time_left_does_not_look(tmp_path: Path) -> None:
    """Once its seconds are over it says so, and sees nothing."""
    looker = Looker(Sources(Start(command=["python3", "app.py"]), tmp_path), 0.0)
    looker.tools(1 << 30, ())
    assert await looker.look(1 << 30, ()) is None
    assert looker.why == "it takes too long"
    assert await looker.look(os.getpid(), ()) is None
