"""Probes of this machine, which every run needs."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import socket
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stress.processes.probe import Ill, Probe

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST_DISK = 100 * 2**20
"""What a nightly run with its reports may write, in bytes."""
LEAST_MEMORY = 300 * 2**20
"""What a run with all its processes takes at most, in bytes, and a little more."""
LEAST_DESCRIPTORS = 256
"""Two sockets for each connection of a Gateway's pool, in each of its replicas."""
YEARS = range(2025, 2100)
_MOMENT = 0.05
_MOST_STEP = 0.02
_MEGA = 2**20


def machine(rooms: Mapping[str, Path]) -> list[Probe]:
    """Give the probes of this machine; ``rooms`` are the folders to write to, by what is written there."""
    looks = {
        "platform": platforms,
        "loopback": loopback,
        "clock": clock,
        "descriptors": descriptors,
        "memory": memory,
    }
    disks = {**rooms, "temporary files": Path(tempfile.gettempdir())}
    return [
        *(Probe(name, "", look) for name, look in looks.items()),
        *(Probe(f"disk for {name}", "", partial(disk, folder)) for name, folder in disks.items()),
    ]


def platforms() -> str:
    """Name Python and the platform, and what can't be seen there."""
    if sys.version_info < (3, 11):  # noqa: UP036 - a user who runs it with another Python must know
        raise Ill(f"Python {platform.python_version()}", "use Python 3.11 or newer")
    text = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    seen = Path("/proc/self/schedstat").exists()
    return text if seen else f"{text}; processes can't be watched here, so patience decides whether a request sleeps"


def loopback() -> str:
    """Resolve `localhost`, and talk to ourselves."""
    try:
        found = {str(one[4][0]) for one in socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)}
    except OSError as error:
        raise Ill(f"localhost does not resolve: {error.strerror}", "add `127.0.0.1 localhost` to /etc/hosts") from None
    if not found <= {"127.0.0.1", "::1"}:
        raise Ill(f"localhost is {', '.join(sorted(found))}", "let /etc/hosts say `127.0.0.1 localhost`")
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), 2.0).close()
    except OSError as error:
        raise Ill(f"127.0.0.1 can't be talked to: {error.strerror or error}", "bring up the interface lo") from None
    return f"localhost is {', '.join(sorted(found))}, and 127.0.0.1 takes connections"


def clock() -> str:
    """Compare the wall clock with the steady one for a moment, and look at its year."""
    year = time.gmtime().tm_year
    if year not in YEARS:
        raise Ill(f"the year is {year}", "set the clock")
    first, steady = time.time(), time.monotonic()
    time.sleep(_MOMENT)
    slip = abs((time.time() - first) - (time.monotonic() - steady))
    if slip > _MOST_STEP:
        raise Ill(f"it was set by {slip * 1000:.0f} ms while it was looked at", "stop what sets it, or let it settle")
    return f"it goes steadily, {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} UTC"


def descriptors() -> str:
    """Look at how many files a process may have open."""
    most, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < LEAST_DESCRIPTORS:
        raise Ill(f"a process may open {most} files, {LEAST_DESCRIPTORS} are needed", _raise(hard))
    return f"a process may open {'any number of' if most == resource.RLIM_INFINITY else most} files"


def _raise(hard: int) -> str:
    if hard == resource.RLIM_INFINITY or hard >= LEAST_DESCRIPTORS:
        return "raise it: ulimit -n 1024"
    return "raise its hard limit: /etc/security/limits.conf, or --ulimit of the container"


def memory() -> str:
    """Look at how much memory is left, for the machine and for the container."""
    left = [_available(), _of_container()]
    known = [one for one in left if one is not None]
    if not known:
        return "how much is left can't be seen here"
    if min(known) < LEAST_MEMORY:
        text = f"{min(known) // _MEGA} MB are left, {LEAST_MEMORY // _MEGA} are needed"
        raise Ill(text, "end other programs, or give the container more")
    return f"{min(known) // _MEGA} MB are left"


def _available() -> int | None:
    """Give the bytes that programs can still get (proc(5))."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _of_container() -> int | None:
    """Give what the control group still allows, where it has a limit (cgroup v2)."""
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        most, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        lines = (line.split() for line in (group / "memory.stat").read_text().splitlines())
        cached = sum(int(value) for name, value in lines if name == "inactive_file")
        return most - used + cached
    return None


def disk(folder: Path) -> str:
    """Look at the room in a folder, or in the nearest one above it that is there."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise Ill(f"nothing can be written to {folder}", "allow it, or choose another folder")
    free = shutil.disk_usage(there).free
    if free < LEAST_DISK:
        raise Ill(f"{free // _MEGA} MB are free in {folder}, {LEAST_DISK // _MEGA} are needed", "make room")
    names = os.statvfs(there)
    if names.f_files and not names.f_favail:
        raise Ill(f"no file can be made any more in {folder}", "delete some: its file system is out of inodes")
    return f"{free // _MEGA} MB are free in {folder}"
