"""`stress-gateway replay`: follow the order of a file again."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from stress.cli.common import ALLOW, EXECUTOR, REPORTS, WORKERS, Seconds, await_it, examples
from stress.core.errors import Fault, Place, UsageFault
from stress.core.masking import MASK, clean_lines, mask_text
from stress.core.schedule import Schedule, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stress.config.target import Target
    from stress.engine.campaign import Job, Where
    from stress.engine.replay import Repetitions


@click.command(
    "replay",
    epilog=examples(
        "stress-gateway replay reports/latest/atomic-hit-count-redis-read-modify-write/schedule.txt --times 100",
        "stress-gateway replay schedule.txt --target my-fixed-gateway.yaml",
    ),
)
@click.argument("schedule_file", type=click.Path(path_type=Path))
@click.option("--target", help="Another target than the one of the schedule file: a bundled name or a file.")
@click.option("--times", type=click.IntRange(1), default=1, show_default=True, help="How often to follow the schedule.")
@click.option(
    "--seconds",
    type=Seconds(),
    help="At most so many, from the first request to the verdict, also where the scenario is searched instead.",
)
@click.option("--trust", is_flag=True, help="Start the target that is attached to the file.")
@EXECUTOR
@ALLOW
@WORKERS
@REPORTS
def command(  # noqa: PLR0913, PLR0917 - one parameter for each option
    schedule_file: Path,
    target: str | None,
    times: int,
    seconds: float | None,
    trust: bool,  # noqa: FBT001 - an option of the command line
    executor: str | None,
    hosts: tuple[str, ...],
    workers: int | None,
    reports: Path,
) -> int:
    """Follow one schedule again, with new values: STILL FAILING (exit 1), FIXED (0) or inconclusive (2).

    Where the Gateway does not allow the schedule (any more), its scenario is searched instead.
    """
    from stress.engine.campaign import Where

    try:
        text = schedule_file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{schedule_file} can't be read: {error}") from None
    schedule = parse(text, str(schedule_file))
    if target is None and not trust:
        _refuse_unread(schedule, str(schedule_file), text.splitlines())
    job = _job_of(schedule, target, str(schedule_file), text.splitlines())
    from stress.engine.replay import Repetitions

    where = Where(executor or "", frozenset(hosts), workers)
    return await_it(_replay(schedule, job, Repetitions(times, seconds), where, reports))


async def _replay(schedule: Schedule, job: Job, wanted: Repetitions, where: Where, reports: Path) -> int:
    from stress.engine import replay

    conclusion = await replay.replay(schedule, job, wanted, where, reports)
    click.echo(clean_lines(conclusion.line))
    return conclusion.code


def _job_of(schedule: Schedule, target: str | None, file: str, lines: Sequence[str]) -> Job:
    """Find the files of a schedule: by their path or bundled name, else as they are attached to it.

    Raises:
        UsageFault: when one is not there or wrong; one that is named or attached in the order's ``file`` is reported by
        its
            line there.

    """
    from stress.engine.campaign import Job

    begins: dict[str, int] = {}  # the lines of the schedule's file before that of a name or an attachment
    attached = {
        kind: (path, text) for (kind, _, path), text in ((n.partition(" "), t) for n, t in schedule.attachments)
    }
    with TemporaryDirectory() as folder:
        names = {"scenario": schedule.head.scenario, "target": target or schedule.head.target}
        for kind in ("scenario", "target"):
            if kind == "target" and target is not None:
                continue
            begins[names[kind]] = _line(lines, f"{kind}:")
            path, text = attached.get(kind, ("", ""))
            if Path(path).is_file():
                names[kind] = path
            elif path:
                names[kind] = str(Path(folder) / f"{kind}.yaml")
                Path(names[kind]).write_text(text)
                begins[names[kind]] = begin = _line(lines, f"--- {kind} {path}") + 1
                if kind == "target" and MASK in text:
                    message = f"the secrets of the target {path} are masked here, so it can't be started from this file"
                    raise UsageFault([Fault(Place(file, begin, 1), message, "name its own file with --target")])
        try:
            job = Job.load(names["scenario"], names["target"])
        except UsageFault as fault:
            raise UsageFault([_moved(one, file, begins) for one in fault.faults]) from None
        _refuse_another(job.target, schedule.head.target, attached.get("target", ("", ""))[1], Path(folder))
        return job if job.folder != Path(folder) else job._replace(folder=Path.cwd())


def _refuse_unread(schedule: Schedule, file: str, lines: Sequence[str]) -> None:
    """Refuse to start the target of a schedule, unless it is bundled, or a file that is here as it is attached.

    Raises:
        UsageFault: where it is another, or not here at all.

    """
    from stress.config.formats import bundled

    named = schedule.head.target
    attached = [(name, text) for name, text in schedule.attachments if name.split()[:1] == ["target"]]
    for name, text in attached:
        path = Path(name.partition(" ")[2])
        if not path.is_absolute() and any(_reads(here, text) for here in (path, bundled("targets") / f"{path}.yaml")):
            continue
        message = f"this file brings its own target, {path}, which may start any program"
        hint = "read it there, then say --trust; or name a target of your own with --target"
        raise UsageFault([Fault(Place(file, _line(lines, f"--- {name}") + 1, 1), message, hint)])
    if not attached and ("/" in named or Path(named).suffix in (".yaml", ".yml")):
        message = f"this file names a target by its path, {named}, which may start any program"
        hint = "read that file, then say --trust; or name a target of your own with --target"
        raise UsageFault([Fault(Place(file, _line(lines, "target:") + 1, 1), message, hint)])


def _reads(path: Path, text: str) -> bool:
    """Tell whether a target's file is here and reads as it was attached, without its secrets."""
    from stress.config.target import Target

    with suppress(OSError, ValueError, UsageFault):
        if path.is_file():
            Target.load(path)  # what it names as secret is masked in what was attached
            return mask_text(path.read_text()).rstrip("\n") == text.rstrip("\n")
    return False


def _refuse_another(target: Target, name: str, text: str, folder: Path) -> None:
    """Refuse a target that is another service than the one of that name, whose order it is: nothing would follow.

    ``text`` is that one's file as it is attached to the schedule; it is put into the ``folder`` to be read.

    Raises:
        UsageFault: where it is another, or what the schedule's own target was is not known any more.

    """
    from stress.config.formats import find

    if name in ("", target.name):
        return
    was = folder / "was.yaml"
    was.write_text(text)
    with suppress(UsageFault):
        if target.is_service_of(type(target).load(was if text else find(name, "targets"))):
            return
    hint = "if it is the same service, give it the same name"
    message = f"{target.name} is another service than {name}, whose order this is: a replay on it shows nothing"
    raise UsageFault([Fault(target.place("name"), message, hint)])


def _line(lines: Sequence[str], begin: str) -> int:
    """Count the lines before the first that begins so."""
    return next((number for number, line in enumerate(lines) if line.startswith(begin)), 0)


def _moved(fault: Fault, file: str, begins: Mapping[str, int]) -> Fault:
    """Report a fault in a schedule's file by its line there."""
    path, line, column = fault.place
    if path not in begins:
        return fault
    message = fault.message if Path(path).is_absolute() else f"{path}: {fault.message}"
    return Fault(Place(file, begins[path] + line, column), message, fault.hint)
