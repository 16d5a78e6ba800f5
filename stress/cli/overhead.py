"""`stress-gateway overhead`: how much longer does one command take than another?"""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import click

from stress.cli.common import ended_by_signals, examples, words_of
from stress.core.exits import INCONCLUSIVE, INTERRUPT, RACE
from stress.core.masking import clean, clean_lines, mask_text, printed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stress.diagnose.overhead import Pair, Ratio, Verdict

INTERRUPTED = "interrupted"
_SAID: dict[Verdict, str] = {
    "pass": "PASS",
    "fail": "FAIL",
    "inconclusive": "inconclusive, the interval holds it: run more --pairs",
}
_CODES: dict[Verdict, int] = {"pass": 0, "fail": RACE, "inconclusive": INCONCLUSIVE}


@click.command(
    "overhead",
    epilog=examples(
        'stress-gateway overhead --a "./count --plain" --b "./count --traced" --most 1.10',
        'stress-gateway overhead --a "./count --plain" --b "./count --traced" --baseline overhead.json',
    ),
)
@click.option("--a", "text_a", required=True, metavar="COMMAND", help="What is compared with.")
@click.option("--b", "text_b", required=True, metavar="COMMAND", help="What is judged.")
@click.option("--pairs", "many", type=click.IntRange(1), default=20, show_default=True, help="How often both are run.")
@click.option("--most", type=click.FloatRange(0, min_open=True), metavar="RATIO", help="What B / A may be at most.")
@click.option(
    "--clock",
    type=click.Choice(["wall", "cpu"]),
    default="wall",
    show_default=True,
    help="What is measured: time that passes, or of processors, which others disturb less.",
)
@click.option("--baseline", type=click.Path(path_type=Path), help="A ratio to compare with; written when missing.")
@click.option("--save", is_flag=True, help="Write the baseline again.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed draws the same resamples.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="Of each run.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def command(  # noqa: PLR0913, PLR0917 - one parameter for each option
    text_a: str,
    text_b: str,
    many: int,
    most: float | None,
    clock: Literal["wall", "cpu"],
    baseline: Path | None,
    save: bool,  # noqa: FBT001 - an option of the command line
    seed: int,
    timeout: float,
    as_json: bool,  # noqa: FBT001 - an option of the command line
) -> int:
    """Run two commands in pairs and judge the ratio of their times, never a time.

    Exit code 0: the ratio is within --most, and no worse than the baseline. 1: it is not. 2: the interval holds the
    limit, so more pairs are needed, or a run failed. 130: interrupted; what was measured is reported.
    """
    from stress.diagnose.overhead import Compared, load, ratio_of
    from stress.diagnose.overhead import save as write

    if save and baseline is None:
        raise click.UsageError("--save needs a file: name it with --baseline")
    a, b = words_of(text_a, "--a"), words_of(text_b, "--b")
    compared = Compared(a=[mask_text(word) for word in a], b=[mask_text(word) for word in b], clock=clock)
    earlier = load(baseline, compared) if baseline is not None and not save else None
    measured: list[Pair] = []
    broken = _measured(measured, partial(_seconds, a, timeout, clock), partial(_seconds, b, timeout, clock), many)
    if not measured or broken not in ("", INTERRUPTED):
        click.echo(clean_lines(broken), err=True)
        return INTERRUPT if broken == INTERRUPTED else INCONCLUSIVE
    try:
        ratio = ratio_of(measured, seed)
    except ValueError as error:
        click.echo(clean_lines(f"inconclusive: {error}"), err=True)
        return INCONCLUSIVE
    judged = Judged(ratio, most, earlier)
    click.echo(printed(judged.document) if as_json else "\n".join(judged.lines))
    if broken:
        click.echo(f"{broken}: this is what was measured until then", err=True)
        return INTERRUPT
    if baseline is not None and earlier is None:
        write(baseline, compared, ratio)
    return _CODES[judged.verdict]


class _RunFailed(Exception):
    """A run that can't be compared with others."""


def _measured(measured: list[Pair], run_a: Callable[[], float], run_b: Callable[[], float], many: int) -> str:
    """Run all pairs; say what broke them off, or nothing.

    Raises:
        Unavailable: when a command is not there.

    """
    from stress.core.errors import Unavailable
    from stress.diagnose.overhead import pairs

    try:
        with ended_by_signals():
            for pair in pairs(run_a, run_b, many):
                measured.append(pair)  # noqa: PERF402 - one after another, for a user who interrupts it
    except KeyboardInterrupt:
        return INTERRUPTED
    except _RunFailed as failed:
        return f"inconclusive: {failed}"
    except OSError as error:
        raise Unavailable(f"{error.filename} can't be run: {error.strerror}", "correct the command") from None
    return ""


def _seconds(words: list[str], within: float, clock: str) -> float:
    from stress.processes.command import once

    ran = once(words, within=within)
    if not ran.passed:
        raise _RunFailed(clean(f"{shlex.join(words)}: {ran.ending}"))
    return ran.cpu if clock == "cpu" else ran.seconds


class Judged(NamedTuple):
    """A ratio, what it may be at most, and what it was earlier."""

    ratio: Ratio
    most: float | None
    earlier: Ratio | None

    @property
    def worse(self) -> bool:
        """Whether it has grown since the baseline."""
        return self.earlier is not None and self.ratio.worse_than(self.earlier)

    @property
    def verdict(self) -> Verdict:
        """What both limits say together."""
        within: Verdict = "pass" if self.most is None else self.ratio.at_most(self.most)
        return "fail" if self.worse else within

    @property
    def lines(self) -> Iterator[str]:
        """Tell it line by line."""
        yield f"B / A: {self.ratio}"
        if self.most is not None:
            yield f"at most {self.most:g}: {_SAID[self.ratio.at_most(self.most)]}"
        if self.earlier is not None:
            yield f"baseline {self.earlier}: {'WORSE, the intervals do not meet' if self.worse else 'no worse'}"

    @property
    def document(self) -> dict[str, Any]:
        """Give it as JSON can hold it."""
        return {
            "ratio": self.ratio.model_dump(),
            "most": self.most,
            "baseline": self.earlier.model_dump() if self.earlier is not None else None,
            "verdict": self.verdict,
        }
