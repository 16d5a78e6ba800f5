"""Who waits: seen by how a quiet process sleeps, and remembered from run to run."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stress.core.step import Move
    from stress.processes.quiescence import Sleep
    from stress.processes.replicas import Replica
    from stress.protocols.gate import Signal

GLANCE_SECONDS = 0.002
"""How long a look at a process waits for something to happen first."""

Prefix = tuple["Move", ...]
Done = tuple[str, ...]
"""What a request did and observed: where in its code it is."""


class Waits:
    """What is known of the sleep of each replica, and of the places where requests wait.

    ``seconds`` are how long it took to know each blocked request as blocked.
    """

    def __init__(self, patience: float) -> None:
        """Know nothing yet; ``patience`` in seconds is how long a sleeper is waited for."""
        self.patience = patience
        self.seconds: list[float] = []
        self._at_rest: dict[int, Sleep] = {}
        self._last: dict[int, Sleep] = {}
        self._slept_out: set[Prefix] = set()
        self._untimed: set[Done] = set()

    async def calm(self, replica: Replica, signal: Signal) -> None:
        """Wait until a process has taken in everything, so that all it shows now is here."""
        if replica.watch is None:
            await asyncio.sleep(GLANCE_SECONDS)
            return
        deadline = time.perf_counter() + self.patience
        while time.perf_counter() < deadline:  # who has died has no threads, and is quiet
            seen = signal.count
            sleep = replica.watch.sleeping()
            await asyncio.sleep(0)
            if sleep is not None:
                self._last[replica.number] = sleep
                await asyncio.sleep(0)
                if signal.count == seen:
                    return

    async def rest(self, replica: Replica, signal: Signal) -> None:
        """Take how a replica sleeps now, before the first schedule, as how it sleeps with nothing to do."""
        await self.calm(replica, signal)
        if replica.number in self._last:
            self._at_rest[replica.number] = self._last[replica.number]

    def last(self, replica: Replica) -> Sleep | None:
        """Give how a replica slept when it was last seen."""
        return self._last.get(replica.number)

    def timer(self, replica: Replica) -> float:
        """Give the moment by which the last timer ends that a replica was seen to wait for; 0 where it has none."""
        sleep = self._last.get(replica.number)
        return max(sleep.due.values(), default=0.0) if sleep is not None else 0.0

    def own_timer(self, replica: Replica, before: Sleep | None, most: float) -> float:
        """Give the same of the timers that were not there ``before`` and end by the moment ``most``."""
        sleep = self._last.get(replica.number)
        return max((due for due in sleep.new(before) if due <= most), default=0.0) if sleep is not None else 0.0

    def asleep(self, replica: Replica, until: float, before: Sleep | None, prefix: Prefix, done: Done) -> bool:
        """Whether the process is quiet and no timer of the request let go wakes it before the patience ends, ``until``.

        A timer that was there ``before`` it was let go is not its own, but may hide one that ends later. So it is
        waited for too, until a request that had ``done`` the same was seen to wait without any timer.
        """
        sleep = replica.watch.sleeping() if replica.watch is not None else None
        if sleep is None:
            return False
        self._last[replica.number] = sleep
        if time.perf_counter() >= until or prefix in self._slept_out:
            return True
        hidden = done not in self._untimed
        return not sleep.may_wake_by(until, self._at_rest.get(replica.number), before, hidden=hidden)

    def learn(self, waited: float, prefix: Prefix, done: Done) -> None:
        """Remember that after this prefix of moves a request that had ``done`` this waits, or is over."""
        if waited >= self.patience:
            self._slept_out.add(prefix)
        elif prefix not in self._slept_out:
            self._untimed.add(done)
