"""`stress-gateway try`: send a target what a scenario would, one request after another, and show what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stress.cli.common import ALLOW, await_it, examples
from stress.core.errors import Unavailable, UsageFault
from stress.core.exits import INCONCLUSIVE, UNAVAILABLE, USAGE
from stress.core.masking import clean_lines

if TYPE_CHECKING:
    from stress.engine.campaign import Job


@click.command(
    "try",
    epilog=examples(
        "stress-gateway try my-gateway.yaml",
        "stress-gateway try redis-atomic --scenario atomic-hit-count",
    ),
)
@click.argument("target")
@click.option(
    "--scenario",
    default="concurrent-duplicates",
    show_default=True,
    help="The scenario whose requests are sent: a bundled name or a file.",
)
@ALLOW
def command(target: str, scenario: str, hosts: tuple[str, ...]) -> int:
    """Try a target: send requests one after another, and show what each did in the store.

    Prints what a run learns before its search, and what would fit the target file. Exit code 0 when the target can be
    searched; else that of a run, which says why not: 64 a fault in a file, 69 something is not there, 2 nothing can be
    concluded.
    """
    from stress.engine.campaign import Job

    return await_it(_try(Job.load(scenario, target), frozenset(hosts)))


async def _try(job: Job, hosts: frozenset[str]) -> int:
    from stress.diagnose.trial import shown
    from stress.executors.live.executor import LiveExecutor
    from stress.processes.needed import check

    executor = LiveExecutor(job.scenario, job.target, job.folder, hosts)
    executor.judged = False
    await check(job.target, job.folder)
    async with executor:
        for line in shown(executor):
            click.echo(line)
        stop = await executor.stop()
    if stop is None:
        click.echo(
            "\nit can be searched: stress-gateway run --target " + click.format_filename(str(job.target.place().path))
        )
        return 0
    code = USAGE if isinstance(stop, UsageFault) else UNAVAILABLE if isinstance(stop, Unavailable) else INCONCLUSIVE
    click.echo(clean_lines(f"\nit can't be searched (exit code {code}): {stop}"))
    return code
