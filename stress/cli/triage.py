"""`stress-gateway triage`: why does a test fail now and then?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stress.cli.common import ALLOW, ended_by_signals, examples, words_of
from stress.core.exits import INTERRUPT, RACE, UNAVAILABLE
from stress.core.masking import printed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.diagnose.triage.kinds import Condition
    from stress.diagnose.triage.measure import Measure
    from stress.processes.command import Ran


@click.command(
    "triage",
    epilog=examples(
        "stress-gateway triage -- pytest -q tests/test_dedup.py",
        "stress-gateway triage --times 50 --junit report.xml -- pytest --junitxml report.xml",
        'stress-gateway triage --after "go test ./cleanup" -- go test -count=1 ./gateway',
    ),
)
@click.argument("words", nargs=-1, required=True, metavar="COMMAND...", type=click.UNPROCESSED)
@click.option("--times", type=click.IntRange(1), default=20, show_default=True, help="Runs under each condition.")
@click.option("--after", metavar="COMMAND", help="Also run it right after this command.")
@click.option("--beside", metavar="COMMAND", help="Also run it while this command runs.")
@click.option("--junit", default="", metavar="PATH", help="The JUnit file that it writes; may hold * and **.")
@click.option("--target", "targets", multiple=True, help="What the doctor looks at besides the machine.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="A run that takes longer is ended, and has failed.",
)
@ALLOW
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def command(  # noqa: PLR0913, PLR0917 - one parameter for each option
    words: tuple[str, ...],
    times: int,
    after: str | None,
    beside: str | None,
    junit: str,
    targets: tuple[str, ...],
    timeout: float,
    hosts: tuple[str, ...],
    as_json: bool,  # noqa: FBT001 - an option of the command line
) -> int:
    """Run a test command many times, plain and with all cores busy, and say why it fails.

    Exit code 0: it always passes. 1: it fails, in the way that is reported. 69: the doctor found a fault, or the
    command is not there. 130: interrupted; what was measured is reported.
    """
    from stress.diagnose.triage.measure import Measure

    pairs: tuple[tuple[Condition, str | None], ...] = (("after", after), ("beside", beside))
    other = {name: words_of(text, f"--{name}") for name, text in pairs if text is not None}
    measure = Measure(words, times, timeout, other, junit)
    faults = _faults(targets, hosts)
    interrupted = False
    if not faults:
        interrupted = _measured(measure)
        if not interrupted and any(tally.rate.failed for tally in measure.tallies.values()):
            faults = _faults(targets, hosts)  # what was there may be gone
    return _report(measure, faults, as_json=as_json, interrupted=interrupted)


def _faults(targets: Sequence[str], hosts: Sequence[str]) -> list[str]:
    """Ask the doctor."""
    import asyncio

    from stress.cli.doctor import probes_of
    from stress.diagnose.doctor.machine import machine
    from stress.processes.probe import examine

    probes = [*machine({}), *probes_of(targets, hosts)]
    return [one.line for one in asyncio.run(examine(probes)) if not one.well]


def _measured(measure: Measure) -> bool:
    """Run it; tell whether that was interrupted.

    Raises:
        Unavailable: when a command is not there.
        UsageError: when the JUnit file is none.

    """
    from stress.core.errors import Unavailable

    try:
        with ended_by_signals():
            measure.run(_progress(measure))
    except KeyboardInterrupt:
        return True
    except OSError as error:
        message = f"{error.filename or measure.command[0]} can't be run: {error.strerror}"
        raise Unavailable(message, "correct the command") from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    finally:
        if _seen():
            click.echo("\r\x1b[K", nl=False, err=True)
    return False


def _seen() -> bool:
    import sys

    return sys.stderr.isatty()


def _progress(measure: Measure) -> Callable[[int, Condition, Ran], None]:
    total = measure.times * len(measure.conditions)
    done = 0

    def tell(_: int, condition: Condition, ran: Ran) -> None:
        nonlocal done
        done += 1
        if _seen():
            failed = sum(tally.rate.failed for tally in measure.tallies.values())
            line = f"\r\x1b[K{done} of {total} runs, {failed} failed ({condition}: {ran.seconds:.1f} s)"
            click.echo(line, nl=False, err=True)

    return tell


def _report(measure: Measure, faults: Sequence[str], *, as_json: bool, interrupted: bool) -> int:
    from stress.diagnose.triage.report import document, kind_of_command, lines

    if as_json:
        click.echo(printed(document(measure.command, measure.tallies, faults, interrupted=interrupted)))
    else:
        for line in lines(measure.command, measure.tallies, faults):
            click.echo(line)
    if interrupted:
        click.echo("interrupted: this is what was measured until then", err=True)
        return INTERRUPT
    if faults:
        return UNAVAILABLE
    return 0 if kind_of_command(measure.tallies) == "always passes" else RACE
