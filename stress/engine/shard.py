"""Splitting a run for several CI jobs: its cases are dealt out, so that all shards are about as heavy."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, Self

from stress.report.disk import put

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from pathlib import Path

_SECONDS = "seconds.json"
"""What each case took, by its name. No shard writes it: all shards must find the same."""


class Shard(NamedTuple):
    """One of ``of`` shards, counted from 1."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``2/3``: the second of three.

        Raises:
            ValueError: when that is no shard, with a line for the user.

        """
        match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        if match is None:
            raise ValueError(f"{text!r} is no shard: write NUMBER/OF, such as 1/3")
        number, of = int(match[1]), int(match[2])
        if not of:
            raise ValueError("there are no 0 shards: write NUMBER/OF, such as 1/3")
        if not 1 <= number <= of:
            raise ValueError(f"there is no shard {number} of {of}: they are 1/{of} to {of}/{of}")
        return cls(number, of)

    def __str__(self) -> str:
        """Give what a user writes."""
        return f"{self.number}/{self.of}"


def took(reports: Path) -> dict[str, int]:
    """Give what cases took in runs without --shard, in tenths of a second, by name; nothing where it can't be read."""
    try:
        seconds = json.loads((reports / _SECONDS).read_text())
        return {name: max(1, round(10 * taken)) for name, taken in seconds.items()}
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return {}


def remember(seconds: Mapping[str, float], reports: Path) -> None:
    """Keep what cases took in a run without --shard, in seconds, beside what others took before.

    Raises:
        ReportUnwritable: when the disk refuses.

    """
    before = {name: tenths / 10 for name, tenths in took(reports).items()}
    put(reports / _SECONDS, json.dumps({**before, **seconds}, indent=2) + "\n")


def places(weights: Sequence[int], groups: Sequence[Hashable], shards: int) -> list[int]:
    """Say for each case in which shard it is, counted from 1, by its weight and its group (its target).

    The heaviest case that is left goes to the shard that is the lightest so far, so that no shard is heavier than
    another by more than one case (Graham, Bounds on multiprocessing timing anomalies, 1969). That alone says how many
    cases of each weight a shard has; which ones they are is chosen so that those of a group stay together, as they
    share its processes.
    """
    loads = [0] * shards
    free: dict[int, Counter[int]] = {}
    for weight in sorted(weights, reverse=True):
        shard = loads.index(min(loads))
        loads[shard] += weight
        free.setdefault(weight, Counter())[shard] += 1
    found = [0] * len(weights)
    homes: dict[Hashable, set[int]] = {}
    for weight, slots in free.items():
        members: dict[Hashable, list[int]] = {}
        for at, group in enumerate(groups):
            if weights[at] == weight:
                members.setdefault(group, []).append(at)
        for group, cases in sorted(members.items(), key=lambda one: -len(one[1])):
            home = homes.setdefault(group, set())
            for at in cases:
                shard = min((shard for shard in slots if slots[shard]), key=lambda s: (s not in home, -slots[s], s))
                slots[shard] -= 1
                home.add(shard)
                found[at] = shard + 1
    return found
