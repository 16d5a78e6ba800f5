"""``stress-gateway promote``: keeps a failing schedule for good, so that each run of its scenario begins with it."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from stress.config.formats import find, is_bundled
from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.core.errors import Fault, Place, UsageFault
from stress.core.masking import masked_lines
from stress.engine.example_database import name_of
from stress.engine.regressions import FOLDER, files, home, read, unfit

if TYPE_CHECKING:
    from stress.core.schedule import Schedule

_LONGEST = 80
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


class _Case(NamedTuple):
    scenario: Scenario
    target: Target


_EXAMPLES = """\b
Examples:
  stress-gateway promote reports/latest/atomic-hit-count-redis-read-modify-write/schedule.txt
  stress-gateway promote schedule.txt --name lost-hit-of-may --into scenarios/regressions
"""


@click.command(epilog=_EXAMPLES)
@click.argument("schedule_file", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="What its file is called; default: scenario, target and a digest.")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Where to put it; default: regressions/ beside your scenario's or target's file, where runs look for it.",
)
@click.option("--force", is_flag=True, help="Replace a regression of that name.")
def command(schedule_file: Path, name: str | None, into: Path | None, force: bool) -> None:  # noqa: FBT001 - an option
    """Make a schedule a regression: each run of its scenario on its target begins with it.

    A schedule that still fails may be promoted too: runs report the race until the Gateway is fixed.
    """
    schedule = read(schedule_file)
    if name is not None and not _NAME.fullmatch(name):
        raise click.BadParameter("may hold letters, digits, '.', '_' and '-', at most 80", param_hint="--name")
    folder = into or _home(schedule, schedule_file)
    known = _known(schedule, folder)
    if known is not None and not force:
        click.echo(f"is one already: {_shown(known)}")
        return
    path = known if known is not None and name is None else folder / f"{name or _usual(schedule)}.txt"
    if path.exists() and not force:
        hint = "choose another with --name, or replace it with --force"
        raise UsageFault([Fault(Place(_shown(path), 1, 1), "another regression has that name", hint)])
    _write(path, schedule_file.read_text())
    click.echo(f"promoted: {_shown(path)}")
    where = f"{schedule.head.scenario} on {schedule.head.target}"
    click.echo(f"Each run of {where} begins with it, and reports a race for as long as it still fails.")


def _home(schedule: Schedule, file: Path) -> Path:
    """Find the folder of a schedule's regressions by the files that it was found with.

    Raises:
        UsageFault: where they are not here or wrong, or where the scenario does not allow the schedule.

    """
    scenario = Scenario.load(_file(schedule, file, "scenario", ""))
    line = _line(file, "scenario:")
    if scenario.name != schedule.head.scenario:
        message = f"the schedule is of {schedule.head.scenario}, and {scenario.name} is what the file is called now"
        raise UsageFault(
            [Fault(Place(str(file), line, 1), message, "let the schedule name the scenario as it is called")]
        )
    if why := unfit(schedule, scenario):
        hint = "allow it under `actors` of the scenario"
        raise UsageFault([Fault(Place(str(file), line, 1), f"would never be tried: {why}", hint)])
    if scenario.folder is not None and not is_bundled(scenario.folder):
        return scenario.folder / FOLDER
    return home(_Case(scenario, Target.load(_file(schedule, file, "target", "targets"))))


def _file(schedule: Schedule, file: Path, kind: str, folder: str) -> Path:
    """Find the file of a schedule's scenario or target: at the path that it had, else by its bundled name."""
    paths = [name.partition(" ")[2] for name, _ in schedule.attachments if name.partition(" ")[0] == kind]
    for path in paths:
        if not Path(path).is_file():
            hint = "go to the folder where it is, or name the folder of the regressions with --into"
            place = Place(str(file), _line(file, f"--- {kind} {path}"), 1)
            raise UsageFault([Fault(place, f"there is no {path} here", hint)])
        return Path(path)
    named = schedule.head.scenario if kind == "scenario" else schedule.head.target
    return find(named, folder, Place(str(file), _line(file, f"{kind}:"), 1))


def _line(file: Path, begin: str) -> int:
    """Number the first line that begins so, from 1."""
    return next((at for at, line in enumerate(file.read_text().splitlines(), 1) if line.startswith(begin)), 1)


def _known(schedule: Schedule, folder: Path) -> Path | None:
    """Find the regression that is this very schedule already."""
    for path in files(folder):
        with suppress(UsageFault):
            other = read(path)
            same = (other.head.scenario, other.head.target) == (schedule.head.scenario, schedule.head.target)
            if same and other.moves == schedule.moves:
                return path
    return None


def _usual(schedule: Schedule) -> str:
    names = (schedule.head.scenario, schedule.head.target)
    return "-".join([*(re.sub(r"[^A-Za-z0-9.-]+", "-", name)[:_LONGEST] for name in names), name_of(schedule)])


def _write(path: Path, text: str) -> None:
    """Write a file under another name first, so that it is whole or not there."""
    beside = path.with_name(f".{path.name[:_LONGEST]}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_text(masked_lines(text), errors="backslashreplace")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        message = f"{_shown(path)} can't be written: {error.strerror} (choose another folder with --into)"
        raise click.UsageError(message) from None


def _shown(path: Path) -> str:
    """Give a path as short as the user may type it."""
    whole = path.absolute()
    return str(whole.relative_to(Path.cwd())) if whole.is_relative_to(Path.cwd()) else str(path)
