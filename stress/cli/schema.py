"""`stress-gateway schema`: the file formats, for editors."""

from __future__ import annotations

import json

import click

from stress.cli.common import examples
from stress.config.scenario import Scenario
from stress.config.target import Target


@click.command(
    "schema",
    epilog=examples(
        "stress-gateway schema scenario",
        "stress-gateway schema target > target.schema.json",
    ),
)
@click.argument("kind", type=click.Choice(["scenario", "target"]))
def command(kind: str) -> None:
    """Print the JSON Schema of a file format."""
    model = Scenario if kind == "scenario" else Target
    click.echo(json.dumps(model.model_json_schema(), indent=2, sort_keys=True))
