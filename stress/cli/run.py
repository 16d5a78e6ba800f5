"""`stress-gateway run`: search scenarios for races."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stress.cli.common import ALLOW, EXECUTOR, REPORTS, WORKERS, Seconds, await_it, examples
from stress.config.formats import bundled, find
from stress.config.scenario import Scenario, targets_of
from stress.config.target import Target
from stress.core.errors import UsageFault
from stress.core.letters import UnknownLetter, letters
from stress.core.step import ENVIRONMENT
from stress.engine.shard import Shard, took

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.engine.campaign import Job

QUICK_SECONDS = 15.0
OWN_TARGET = ("concurrent-duplicates", "atomic-hit-count")
"""The scenarios of the two failing tests, which a target of the user's own is run on."""


def _shard_named(_: click.Context, __: click.Parameter, text: str | None) -> Shard | None:
    """Read the value of --shard."""
    try:
        return None if text is None else Shard.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(
    "run",
    epilog=examples(
        "stress-gateway run",
        "stress-gateway run concurrent-duplicates --target redis-named-by-second",
        "stress-gateway run --target my-gateway.yaml",
    ),
)
@click.argument("scenarios", nargs=-1, metavar="[SCENARIO]...")
@click.option(
    "--target",
    "targets",
    multiple=True,
    help="A bundled target or a file; default: those the scenario names.",
)
@click.option(
    "--profile",
    type=click.Choice(["quick", "nightly"]),
    default="quick",
    show_default=True,
    help=f"quick: {QUICK_SECONDS:g} seconds for all cases together, or what their target says; nightly: for each case "
    "what its scenario says.",
)
@click.option("--schedules", type=click.IntRange(1), help="At most so many schedules a case.")
@click.option(
    "--seconds",
    type=Seconds(),
    help="At most so many seconds a case, from its first request to its verdict.",
)
@click.option(
    "--schedule",
    metavar="LETTERS",
    help='Run this schedule alone, as "A A clock B B": each letter lets that request go to its next step.',
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed draws the same schedules.")
@click.option(
    "--shard", callback=_shard_named, metavar="I/N", help="Only shard I of N, which together search each case once."
)
@click.option(
    "--examples",
    "kept",
    type=click.Path(path_type=Path),
    default=Path(".gateway-stress/examples"),
    show_default=True,
    help="The folder of failing schedules, which are tried first.",
)
@click.option("--no-examples", is_flag=True, help="Try and keep no such schedules.")
@EXECUTOR
@ALLOW
@WORKERS
@REPORTS
@click.option("--require", type=click.Choice(["exhausted"]), help="Exit with 2 where a search was not exhausted.")
@click.option("--quiet", is_flag=True, help="A line for each case instead of stories and a table.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def command(  # noqa: PLR0913, PLR0917 - one parameter for each option
    scenarios: tuple[str, ...],
    targets: tuple[str, ...],
    profile: str,
    schedules: int | None,
    seconds: float | None,
    schedule: str | None,
    seed: int,
    shard: Shard | None,
    kept: Path,
    no_examples: bool,  # noqa: FBT001 - an option of the command line
    executor: str | None,
    hosts: tuple[str, ...],
    workers: int | None,
    reports: Path,
    require: str | None,
    quiet: bool,  # noqa: FBT001 - an option of the command line
    as_json: bool,  # noqa: FBT001 - an option of the command line
) -> int:
    """Search scenarios for races."""
    if executor != "model":
        from stress.processes import forkserver

        forkserver.begin()  # it imports what bundled Gateways need while we import the rest
    from stress.engine.campaign import Budget, Campaign, Where
    from stress.engine.example_database import Folder, Nothing
    from stress.report.terminal import Terminal

    all_jobs = _jobs(scenarios, targets, quick=profile == "quick")
    total = _quick_seconds(all_jobs) if profile == "quick" and seconds is None else None
    budget = Budget(total, seconds, schedules, seed, schedule or "")
    jobs = _sharded(all_jobs, shard, reports)
    if schedule is not None:
        _check(schedule, jobs)
        executor = executor or "live"
    where = Where(executor or "", frozenset(hosts), workers)
    failed = Nothing() if no_examples else Folder(kept)
    terminal = Terminal(quiet=quiet)
    batch = Campaign(
        jobs,
        budget,
        where,
        reports,
        as_json=as_json,
        require=require or "",
        shard=shard is not None,
        examples=failed,
        terminal=terminal,
    )
    return await_it(batch.run())


def _sharded(jobs: list[Job], shard: Shard | None, reports: Path) -> list[Job]:
    """Give the cases of a shard; say so where it has none."""
    from stress.engine.campaign import part_of

    if shard is None:
        return jobs
    own = part_of(jobs, shard, took(reports))
    if not own:
        click.echo(f"nothing to do: shard {shard} has none of the cases, of which there are {len(jobs)}", err=True)
    return own


def _check(schedule: str, jobs: Sequence[Job]) -> None:
    """Refuse a schedule that names an actor which a scenario does not have, or no scenario to run it on."""
    for job in jobs:
        try:
            moves = letters(schedule, job.scenario.concurrent)
        except UnknownLetter as error:
            raise click.BadParameter(f"{job.scenario.name}: {error}", param_hint="'--schedule'") from None
        acting = {move.actor: None for move in moves if move.actor in ENVIRONMENT and move.actor != "clock"}
        for name in acting:
            if getattr(job.target.environment, name) is None:
                message = f"{name} needs environment.{name} in {job.target.name}"
                raise click.BadParameter(message, param_hint="'--schedule'")


def _bundled(*, quick: bool) -> list[str]:
    """Name the bundled scenarios, for the quick profile those alone that are for it."""
    found = [Scenario.load(path) for path in sorted(bundled("").glob("*.yaml"))]
    return [one.name for one in found if one.quick or not quick]


def _quick_seconds(jobs: Sequence[Job]) -> float:
    """Give what the quick profile spends on all cases together: more where a target says so."""
    own = {(job.folder, job.target.name): job.target.seconds for job in jobs if job.target.seconds is not None}
    return max(QUICK_SECONDS, sum(own.values()))


def _named(scenarios: Sequence[str], targets: Sequence[str], *, quick: bool) -> list[tuple[str, Sequence[str]]]:
    """Name the scenarios to run, each with its targets (none: those it names), or what each target lists."""
    if scenarios or not targets:
        return [(name, targets) for name in scenarios or _bundled(quick=quick)]
    listed = {target: Target.load(find(target, "targets")).scenario_paths() for target in targets}
    names = list(dict.fromkeys(name for own in listed.values() for name in own or OWN_TARGET))
    return [(name, [target for target in targets if name in (listed[target] or OWN_TARGET)]) for name in names]


def _jobs(scenarios: Sequence[str], targets: Sequence[str], *, quick: bool) -> list[Job]:
    from stress.engine.campaign import Job

    found = []
    faults = []
    for name, only in _named(scenarios, targets, quick=quick):
        try:
            path = find(name, "")
            scenario = Scenario.load(path)
            found += [Job.load(name, target) for target in only or targets_of(path, scenario).values()]
        except UsageFault as fault:
            faults += [one for one in fault.faults if one not in faults]
    if faults:
        raise UsageFault(faults)
    if not found:
        raise click.UsageError("no target: the scenario expects nothing of any, so name one with --target")
    return found
