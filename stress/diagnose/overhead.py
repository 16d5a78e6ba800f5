"""What one command costs beside another: paired runs in one go, and a ratio, never an absolute time."""

from __future__ import annotations

from random import Random
from statistics import median
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field, ValidationError

from stress.config.formats import Part
from stress.core.errors import Fault, Place, UsageFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_RESAMPLES = 2000
_LOW, _HIGH = 0.025, 0.975

Verdict = Literal["pass", "fail", "inconclusive"]


class Ratio(Part):
    """How much longer B takes than A: the median of the pairs, and the interval that covers it in 95 %."""

    median: float = Field(gt=0, description="the middle one of the ratios B / A of all pairs")
    low: float = Field(gt=0, description="the lower end of the interval")
    high: float = Field(gt=0, description="the upper end of the interval")
    pairs: int = Field(ge=1, description="how many pairs were run")

    def __str__(self) -> str:
        """Give ``1.05 (1.02 to 1.09, 20 pairs)``."""
        pairs = "1 pair" if self.pairs == 1 else f"{self.pairs} pairs"
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g}, {pairs})"

    def at_most(self, most: float) -> Verdict:
        """Tell whether the ratio is within a limit: all of its interval must be, or beyond."""
        return "pass" if self.high <= most else "fail" if self.low > most else "inconclusive"

    def worse_than(self, earlier: Ratio) -> bool:
        """Tell whether it has grown since: the intervals do not meet."""
        return self.low > earlier.high


class Compared(Part):
    """What is compared."""

    a: list[str] = Field(description="the command that is compared with")
    b: list[str] = Field(description="the command whose cost it is")
    clock: Literal["wall", "cpu"] = Field(description="what was measured of each run")


class Baseline(Part):
    """A ratio to compare with next time, and of what it is."""

    compared: Compared = Field(description="of what it is")
    ratio: Ratio = Field(description="what was measured")


class Pair(NamedTuple):
    """What A and B took in one pair, in seconds."""

    a: float
    b: float


def pairs(run_a: Callable[[], float], run_b: Callable[[], float], many: int) -> Iterator[Pair]:
    """Run both so many times, as A B B A A B …: what grows steadily meanwhile meets both alike.

    Each is run once before, for what is slow the first time only.
    """
    run_a()
    run_b()
    for number in range(many):
        if number % 2:
            b, a = run_b(), run_a()
        else:
            a, b = run_a(), run_b()
        yield Pair(a, b)


def ratio_of(measured: Sequence[Pair], seed: int) -> Ratio:
    """Give the median ratio with its bootstrap interval; the same seed draws the same resamples.

    The interval is the percentile one: B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.

    Raises:
        ValueError: when a run took no time that could be measured.

    """
    if any(pair.a <= 0 or pair.b <= 0 for pair in measured):
        raise ValueError("a run took no time that could be measured")
    ratios = [pair.b / pair.a for pair in measured]
    draw = Random(seed)  # noqa: S311 - seeded, so that the same figures give the same interval
    medians = sorted(median(draw.choices(ratios, k=len(ratios))) for _ in range(_RESAMPLES))
    low, high = (medians[round(share * (_RESAMPLES - 1))] for share in (_LOW, _HIGH))
    return Ratio(median=median(ratios), low=low, high=high, pairs=len(ratios))


def load(file: Path, compared: Compared) -> Ratio | None:
    """Read the ratio of a baseline; None where there is no file.

    Raises:
        UsageFault: when the file is no baseline, or is one of other commands or another clock.

    """
    try:
        found = Baseline.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _fault(file, f"can't be read: {error.strerror}", "check the path") from None
    except ValidationError:
        raise _fault(file, "is no baseline", "write it again with --save") from None
    for name in ("a", "b", "clock"):
        value = getattr(found.compared, name)
        if value != getattr(compared, name):
            message = f"is of another {name}: {value if isinstance(value, str) else ' '.join(value)}"
            raise _fault(file, message, "name another file, or write it again with --save")
    return found.ratio


def save(file: Path, compared: Compared, ratio: Ratio) -> None:
    """Write a baseline.

    Raises:
        UsageFault: when it can't be written.

    """
    try:
        file.write_text(Baseline(compared=compared, ratio=ratio).model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise _fault(file, f"can't be written: {error.strerror}", "name another file") from None


def _fault(file: Path, message: str, hint: str) -> UsageFault:
    return UsageFault([Fault(Place(str(file), 1, 1), message, hint)])
