"""`stress-gateway gateway`: run a bundled Gateway by itself."""

from __future__ import annotations

import click

from stress.commands.common import examples
from stress.gateways.protocols import PROTOCOLS


@click.command(
    "gateway",
    epilog=examples(
        "stress-gateway gateway --protocol redis-atomic --redis redis://127.0.0.1:6379/0 --port 8080",
    ),
)
@click.option("--protocol", type=click.Choice(PROTOCOLS), required=True)
@click.option("--redis", required=True, help="The store's URL.")
@click.option("--port", type=click.IntRange(1, 65535), required=True)
def command(protocol: str, redis: str, port: int) -> None:
    """Run a bundled Gateway."""
    import asyncio

    from stress.gateways.serve import serve

    asyncio.run(serve(protocol, redis, port))
