"""Child processes: started so that they can't outlive us, checked to be the ones that listen, and ended."""

from __future__ import annotations

import asyncio
import ctypes
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from stress.processes.quiescence import descendants

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

_PR_SET_PDEATHSIG, _PR_SET_PTRACER = 1, 0x59616D61
_LIBC = ctypes.CDLL(None)
_CHOSEN_FROM = Path("/proc/sys/net/ipv4/ip_local_port_range")
_BELOW, _LOWEST, _TRIES = 12000, 10000, 100
_ASLEEP_SECONDS, _GLANCE_SECONDS = 0.2, 0.01
"""For how long a child that is to end must sleep to be ended, and how often it is looked at."""
_ESTABLISHED, _LISTENING = "01", "0A"


class Child(Protocol):
    """What is asked of a child process and done to it: a part of `subprocess.Popen`, and reported as it reports it."""

    returncode: int | None

    @property
    def pid(self) -> int:
        """Its id, which means no other process before its end was seen."""

    def poll(self) -> int | None:
        """Give its exit code, less than 0: that of the signal that killed it; None while it lives."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end at most so many seconds; raises `subprocess.TimeoutExpired`."""

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""

    def kill(self) -> None:
        """End it (SIGKILL)."""


def die_with_parent() -> None:
    """Ask the kernel to end this process when its parent ends, even by SIGKILL (prctl(2))."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _begin_as_child() -> None:
    """Let our own debuggers look at this process too, where a kernel allows that to its parents alone (Yama)."""
    die_with_parent()
    _LIBC.prctl(_PR_SET_PTRACER, ctypes.c_ulong(os.getppid()))


def spawn(
    command: Sequence[str],
    *,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    log: int,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own that does not outlive this process; both outputs go to ``log``."""
    return subprocess.Popen(  # noqa: S603 - starting the user's own Gateway is what this is for
        command,
        cwd=folder,
        env=env,
        stdin=stdin,
        stdout=log,
        stderr=log,
        start_new_session=True,
        preexec_fn=_begin_as_child,  # noqa: PLW1509 - calls into libc, no locks taken
    )


def free_port() -> int:
    """Find a loopback port that nobody listens on now, and that the kernel gives nobody until it is listened on.

    A port of the range that the kernel chooses from (ip_local_port_range in ip(7)) may become, meanwhile, the port of
    any connection or of another gate: then what is meant for a Gateway comes to somebody else.
    """
    with suppress(OSError, ValueError, IndexError):
        first = int(_CHOSEN_FROM.read_text().split()[0])
        for _ in range(_TRIES if first - _BELOW >= _LOWEST else 0):
            port = first - 1 - secrets.randbelow(_BELOW)  # not by a seed, which others may share
            with suppress(OSError):
                return _bound(port)
    return _bound(0)


def _bound(port: int) -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        found: int = probe.getsockname()[1]
        return found


def end(process: Child, seconds: float = 2.0, sleeps: Callable[[], object] = lambda: False) -> None:
    """End a child: ask, and insist after so many seconds.

    One that ``sleeps`` all the time has nothing to do but to wait until nobody sends it requests any more: it is not
    waited for.
    """
    if process.poll() is None:
        process.terminate()
        awake = begun = time.monotonic()
        while process.poll() is None and (now := time.monotonic()) < min(begun + seconds, awake + _ASLEEP_SECONDS):
            awake = awake if sleeps() else now
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GLANCE_SECONDS)
        if process.poll() is None:
            process.kill()
    process.wait()


def ending(process: Child) -> str:
    """Say how a child that has ended did: its exit code, or the signal that killed it."""
    code = process.wait()
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


class Ends:
    """Tells at no price whether any of several children has ended: the event loop is notified (pidfd_open(2)).

    ``any`` is what the loop knows so far; `by_now` asks the kernel, of all of them at once.
    """

    def __init__(self, notify: Callable[[], None]) -> None:
        """Watch nobody yet; ``notify`` is called for each that ends."""
        self.any = False
        self._notify = notify
        self._files: list[int] = []
        self._poll = select.poll()

    def watch(self, process: Child) -> None:
        """Watch a child that lives, in the running event loop."""
        file = os.pidfd_open(process.pid)
        self._files.append(file)
        self._poll.register(file, select.POLLIN)
        asyncio.get_running_loop().add_reader(file, self._ended, file)

    def by_now(self) -> bool:
        """Tell whether one has ended, also where the loop will know it only a moment later."""
        return self.any or bool(self._poll.poll(0))

    def _ended(self, file: int) -> None:
        self.any = True
        asyncio.get_running_loop().remove_reader(file)
        self._notify()

    def close(self) -> None:
        """Watch nobody any more."""
        for file in self._files:
            asyncio.get_running_loop().remove_reader(file)
            self._poll.unregister(file)
            os.close(file)
        self._files.clear()


def accepts(host: str, port: int) -> bool:
    """Tell whether somebody listens there."""
    try:
        with socket.create_connection((host, port), timeout=0.5):
            return True
    except OSError:
        return False


def listens(pid: int, port: int) -> bool:
    """Tell whether a process or one of its descendants listens on a port; True where that can't be seen."""
    return port in ports(pid) or not Path("/proc/net/tcp").exists()


def ports(pid: int) -> set[int]:
    """Give the ports that a process and its descendants listen on; none where that can't be seen (proc(5))."""
    return {own for own, _, _ in _sockets(descendants(pid), _LISTENING)}


def connections(pid: int) -> set[tuple[str, int]]:
    """Give what a process and its descendants are connected to, but by their own doing; none where that can't be seen.

    A connection that somebody made to a port that they listen on is left out.
    """
    own = ports(pid)
    return {(host, port) for mine, host, port in _sockets(descendants(pid), _ESTABLISHED) if mine not in own}


def connected(pids: Iterable[int], to: Collection[int]) -> list[int]:
    """Give those processes that are connected to one of these ports; none where that can't be seen (proc(5))."""
    return [pid for pid in pids if any(port in to for _, _, port in _sockets([pid], _ESTABLISHED))]


def _sockets(pids: Iterable[int], state: str) -> set[tuple[int, str, int]]:
    """Give the port, and the address and port of the other end, of each socket in a state (proc(5))."""
    there = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == state:
                    (_, mine), (host, port) = (words[at].rsplit(":", 1) for at in (1, 2))
                    there[f"socket:[{words[9]}]"] = int(mine, 16), _address(host), int(port, 16)
    found = set()
    for child in pids:
        with suppress(OSError):
            for file in os.listdir(f"/proc/{child}/fd"):  # noqa: PTH208 - names are enough
                with suppress(OSError):
                    found.add(there.get(os.readlink(f"/proc/{child}/fd/{file}")))  # noqa: PTH115 - no path
    return {one for one in found if one is not None}


def _address(text: str) -> str:
    """Read an address as the kernel writes it: words of four bytes, each in the order of this machine."""
    raw = b"".join(int(text[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(text), 8))
    address = ip_address(raw)
    return str(getattr(address, "ipv4_mapped", None) or address)


def resident(pid: int) -> int:
    """Give how many bytes of memory a process holds; 0 where that can't be seen (proc(5))."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
