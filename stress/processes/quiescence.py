"""Seeing from outside that a local process has taken in everything: the kernel's own account of its threads.

A process is quiet when all its threads sleep. Two passes over the known threads, with a look for unknown ones between
them, prove it without any waiting: if a thread is asleep in both passes and its run time and number of timeslices
stand still, it slept the whole time from its first reading to its second. All those intervals share the look between
the passes, which found no other thread: while it was taken nobody was awake to wake anybody, or to start a thread
(fields: Linux Documentation/scheduler/sched-stats.rst and proc(5)).
"""

from __future__ import annotations

import os
import platform
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

_WAITS_IN_MILLISECONDS = {"x86_64": {232: 3, 281: 3, 7: 2}, "aarch64": {22: 3}}
"""System calls whose argument at this index is a timeout in milliseconds: epoll_wait, epoll_pwait, poll."""
_WAITS_OF_UNKNOWN_LENGTH = {
    "x86_64": {202: 3, 35: 0, 230: 2, 271: 2, 270: 4, 23: 4, 441: 3},
    "aarch64": {98: 3, 101: 0, 115: 2, 73: 2, 72: 4, 441: 3},
}
"""System calls whose argument at this index points to a timeout (null: for ever): futex, nanosleep,
clock_nanosleep, ppoll, pselect6, select, epoll_pwait2."""

_MILLISECONDS = _WAITS_IN_MILLISECONDS.get(platform.machine(), {})
_UNKNOWN = _WAITS_OF_UNKNOWN_LENGTH.get(platform.machine(), {})
_SAME_SECONDS = 0.02
"""How far apart a timer may seem to be due when it is seen in two waits of a thread."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """A quiet process: the threads (their ids) that wait with a timeout. Moments are of `time.perf_counter`.

    ``due`` tells for each thread whose timeout is known when it ends: a little late rather than early, as the wait
    began before it was first seen. ``unknown`` are those whose timeout can't be seen, with when each was first seen
    in the wait that it is in.
    """

    due: dict[int, float]
    unknown: dict[int, float]

    def may_wake_by(self, moment: float, at_rest: Sleep | None, before: Sleep | None, *, hidden: bool = True) -> bool:
        """Tell whether a timer that was set since ``before`` may wake the process by a moment.

        A thread that waits for an unknown time does not count if it did so ``at_rest``, or is still in the wait in
        which it was ``before``. A known timer that was there before counts as long as it may hide one that ends
        later (``hidden``): a thread that serves many timers shows the soonest.
        """
        usual = at_rest.unknown.keys() if at_rest is not None else set()
        waits = before.unknown if before is not None else {}
        return any(due <= moment for due in self.new(None if hidden else before)) or any(
            thread not in usual and waits.get(thread) != since for thread, since in self.unknown.items()
        )

    def new(self, before: Sleep | None) -> list[float]:
        """Give when the known timers end that were not there ``before``."""
        timers = before.due.values() if before is not None else ()
        return [due for due in self.due.values() if not any(abs(due - known) < _SAME_SECONDS for known in timers)]


class ProcessWatch:
    """Watches one local process and all its descendants.

    Raises:
        OSError: at construction, when the process is gone or may not be looked at.

    """

    def __init__(self, pid: int) -> None:
        """Open the accounts of all threads of ``pid``."""
        self.pid = pid
        self._accounts: dict[tuple[int, int], tuple[int, int, int]] = {}
        self._folders: dict[int, int] = {}
        self._seen: list[bytes] = []
        self._since: dict[int, tuple[bytes, float]] = {}
        self._refresh()
        if not self._accounts:
            message = f"process {pid} has no threads to look at"
            raise ProcessLookupError(message)

    def close(self) -> None:
        """Close all files."""
        for thread in list(self._accounts):
            self._forget(thread)
        for folder in self._folders.values():
            os.close(folder)
        self._folders.clear()

    @property
    def family(self) -> list[int]:
        """The process, then those that it started, as far as they were seen."""
        return [self.pid, *sorted(self._folders.keys() - {self.pid})]

    def sleeping(self) -> Sleep | None:
        """Prove that the process is quiet now, or give None; costs about 5 microseconds a thread and pass."""
        first = self._read()
        if first is None or self._refresh():
            return None
        second = self._read()
        return self._sleep(first) if second == first else None

    def _sleep(self, readings: list[tuple[int, bytes, bytes]]) -> Sleep:
        now = time.perf_counter()
        due: dict[int, float] = {}
        unknown: dict[int, float] = {}
        for thread, account, where in readings:
            timeout = _timeout(where)
            if timeout is None:
                unknown[thread] = self._first_seen(thread, account, now)
            elif timeout >= 0:
                due[thread] = self._first_seen(thread, account, now) + timeout
        return Sleep(due, unknown)

    def _first_seen(self, thread: int, account: bytes, now: float) -> float:
        """Give when a thread was first seen in the wait that it is in: its account moves whenever it runs."""
        known = self._since.get(thread)
        if known is None or known[0] != account:
            known = self._since[thread] = (account, now)
        return known[1]

    def _read(self) -> list[tuple[int, bytes, bytes]] | None:
        readings: list[tuple[int, bytes, bytes]] = []
        try:
            for (_, thread), (account, call, _) in self._accounts.items():
                where = os.pread(call, 256, 0)
                if where.startswith(b"running"):
                    return None
                readings.append((thread, os.pread(account, 128, 0), where))
        except OSError:  # the thread has ended: another may have begun, so that there are as many as before
            self._refresh(whole=True)
            return None
        return readings

    def _as_before(self) -> bool:
        """Tell whether there are as many threads as are known, and no child that is not.

        All that are known are read right before and after: where one had ended, that would have failed. The links of
        a task folder are its threads, itself and the folder above (proc_task_getattr in Linux fs/proc/base.c).
        """
        try:
            threads = sum(os.fstat(folder).st_nlink - 2 for folder in self._folders.values())
            seen = [os.pread(children, 4096, 0) for _, _, children in self._accounts.values()]
        except OSError:
            return False
        return threads == len(self._accounts) and seen == self._seen

    def _refresh(self, *, whole: bool = False) -> bool:
        """Follow threads and child processes that come and go; tell whether any did. Look at all if ``whole``."""
        if self._accounts and not whole and self._as_before():
            return False
        seen: dict[tuple[int, int], bytes] = {}
        family, changed = [self.pid], False
        for pid in family:
            for thread in _threads(pid):
                key = (pid, thread)
                if key not in self._accounts:
                    changed = True
                    if not self._open(key):
                        continue
                seen[key] = b""
                try:
                    seen[key] = os.pread(self._accounts[key][2], 4096, 0)
                except OSError:  # it ended a moment ago
                    changed = True
                family += map(int, seen[key].split())
        for gone in self._accounts.keys() - seen.keys():
            changed = True
            self._forget(gone)
        # What was followed, not what there is by now: a child that was started meanwhile is to be seen as new.
        self._seen = [seen[key] for key in self._accounts]
        self._remember({pid for pid, _ in seen})
        return changed

    def _remember(self, family: set[int]) -> None:
        """Keep the task folders of all processes, whose links tell at little cost that no thread is new."""
        for gone in self._folders.keys() - family:
            os.close(self._folders.pop(gone))
        for pid in family - self._folders.keys():
            with suppress(OSError):  # it ended a moment ago: the next look is a whole one
                self._folders[pid] = os.open(f"/proc/{pid}/task", os.O_RDONLY | os.O_DIRECTORY)

    def _open(self, key: tuple[int, int]) -> bool:
        """Open the accounts of a thread: what it has run, where it is, what it has started."""
        pid, thread = key
        opened: list[int] = []
        try:
            for name in ("schedstat", "syscall", "children"):
                path = f"/proc/{pid}/task/{thread}/{name}"
                # Some kernels do not list children: then only the process itself is watched.
                known = name != "children" or os.access(path, os.R_OK)
                opened.append(os.open(path if known else os.devnull, os.O_RDONLY))
        except OSError:
            for file in opened:
                os.close(file)
            return False
        account, call, children = opened
        self._accounts[key] = (account, call, children)
        return True

    def _forget(self, key: tuple[int, int]) -> None:
        self._since.pop(key[1], None)
        for file in self._accounts.pop(key):
            os.close(file)


@lru_cache(maxsize=1024)
def _timeout(where: bytes) -> float | None:
    """Read from the system call that a thread sleeps in for how many seconds; less than 0: for ever, None: unknown."""
    words = where.split()
    number = int(words[0]) if words[0].lstrip(b"-").isdigit() else -1
    if number in _MILLISECONDS:
        raw = int(words[1 + _MILLISECONDS[number]], 16) & 0xFFFFFFFF
        (milliseconds,) = struct.unpack("<i", struct.pack("<I", raw))
        return float(milliseconds) / 1000
    return None if number in _UNKNOWN and int(words[1 + _UNKNOWN[number]], 16) else -1.0


def descendants(pid: int) -> list[int]:
    """List a process and all processes that it started, directly or not, and that still live."""
    found, position = [pid], 0
    while position < len(found):
        for thread in _threads(found[position]):
            try:
                with open(f"/proc/{found[position]}/task/{thread}/children", "rb", buffering=0) as file:  # noqa: PTH123 - hot path
                    found += [int(word) for word in file.read().split()]
            except OSError:
                continue
        position += 1
    return found


def _threads(pid: int) -> list[int]:
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]  # noqa: PTH208 - hot path
    except OSError:
        return []
