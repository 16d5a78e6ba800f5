"""What a search may spend."""

from __future__ import annotations

from typing import NamedTuple

from stress.engine.running import WorkerCount


class Limits(NamedTuple):
    """What a search may spend, in seconds and in schedules, and the seed of whatever is drawn at random.

    ``workers`` is how many deployments run side by side on the wire.
    ``timed`` is whether schedules in which the clock moves are run on the wire, where each takes up to a second.
    ``proof`` is what the model may have at least, in seconds, before the wire is searched: there every schedule counts.
    ``aim`` is whether only the schedules of goals are run.
    ``kept`` are those of the ``seconds`` that no schedule is searched in: failing ones are made small and confirmed.
    """

    seconds: float
    schedules: int
    seed: int = 0
    workers: WorkerCount = WorkerCount()
    proof: float = 0.0
    timed: bool = True
    kept: float = 0.0
    aim: bool = False

    def drawing(self, number: int = 0) -> int:
        """Give a seed to draw with, the ``number``-th from the user's."""
        return self.seed + number
