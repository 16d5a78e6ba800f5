"""`stress-gateway list`: what is bundled."""

from __future__ import annotations

import click

from stress.cli.common import examples
from stress.config.formats import bundled
from stress.config.scenario import Scenario


@click.command("list", epilog=examples("stress-gateway list"))
def command() -> None:
    """List the bundled scenarios, the races and targets of each."""
    for path in sorted(bundled("").glob("*.yaml")):
        scenario = Scenario.load(path)
        click.echo(f"{scenario.name}: {scenario.story} [{', '.join(scenario.expect)}]")
