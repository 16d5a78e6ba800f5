"""Ports for Gateways, kept out of the way of all that the kernel numbers by itself; how children are ended."""

from __future__ import annotations

import random
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

import pytest

from stress.processes import child
from stress.processes.child import end, free_port, spawn
from stress.processes.quiescence import ProcessWatch

if TYPE_CHECKING:
    from pathlib import Path


def chosen_from(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let the kernel choose ports from a range until the test ends."""
    (folder / "range").write_text(text)
    monkeypatch.setattr(child, "_CHOSEN_FROM", folder / "range")


def test_a_free_port_is_none_that_the_kernel_gives_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is below the range that connections are numbered from, and can be listened on."""
    chosen_from(tmp_path, monkeypatch, "32768\t60999\n")
    ports = [free_port() for _ in range(50)]
    assert [port for port in ports if not 20768 <= port < 32768] == []
    with socket.create_server(("127.0.0.1", ports[0])) as server:
        assert server.getsockname()[1] == ports[0]


def test_a_port_that_is_taken_is_not_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where somebody listens on the first that is drawn, the next is given."""
    chosen_from(tmp_path, monkeypatch, "32768\t60999\n")
    taken, free = free_port(), free_port()  # the port beside it may be another process's
    drawn = [taken, free]
    monkeypatch.setattr(child.secrets, "randbelow", lambda _: 32767 - drawn.pop(0))
    with socket.create_server(("127.0.0.1", taken)):
        assert free_port() == free


def test_processes_with_the_same_seed_draw_different_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers of one test run that seed alike must not meet at a port."""
    chosen_from(tmp_path, monkeypatch, "32768\t60999\n")
    drawn = []
    for _ in range(2):
        random.seed(1)
        drawn.append([free_port() for _ in range(10)])
    assert drawn[0] != drawn[1]


def test_where_the_kernel_numbers_from_all_ports_it_chooses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A range without room below, or none that can be read, leaves the choice to the kernel."""
    monkeypatch.setattr(child.secrets, "randbelow", lambda _: 0 / 0)
    for text in ("1024\t65535\n", "", "none"):
        chosen_from(tmp_path, monkeypatch, text)
        assert free_port() > 1023
    monkeypatch.setattr(child, "_CHOSEN_FROM", tmp_path / "gone")
    assert free_port() > 1023


DRAINS = """
import signal, sys, threading, time
def drain(*_):
    print("asked", flush=True)
    until = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < until:
        if sys.argv[1] == "sleeps":
            time.sleep(9)
    print("drained", flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, drain)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("how", "seconds", "printed"),
    [("sleeps", "9", ["ready", "asked"]), ("works", "0.5", ["ready", "asked", "drained"])],
)
def test_who_drains_is_waited_for_while_it_works_and_not_while_it_sleeps(
    tmp_path: Path, how: str, seconds: str, printed: list[str]
) -> None:
    """One sleeps for 9 s and is killed at once, although 30 s are allowed; one that works comes to its end."""
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = spawn([sys.executable, "-c", DRAINS, how, seconds], log=file.fileno())
    while not log.read_text():
        time.sleep(0.01)
    watch = ProcessWatch(process.pid)
    begun = time.monotonic()
    end(process, 30.0, watch.sleeping)
    assert time.monotonic() - begun < 9
    watch.close()
    assert log.read_text().split() == printed
    assert process.returncode == (-signal.SIGKILL if how == "sleeps" else 0)
