"""Commands."""

from __future__ import annotations

import asyncio

import click

from stress.gateways.app import PROTOCOLS
from stress.gateways.serve import serve


@click.group()
def main() -> None:
    """Reproduce races in a Gateway by controlling the order of its store commands."""


@main.command()
@click.option("--protocol", type=click.Choice(PROTOCOLS), required=True)
@click.option("--redis", required=True)
@click.option("--port", type=int, required=True)
def gateway(protocol: str, redis: str, port: int) -> None:
    """Run a bundled Gateway."""
    asyncio.run(serve(protocol, redis, port))


if __name__ == "__main__":
    main()
