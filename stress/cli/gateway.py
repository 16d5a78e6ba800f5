"""`stress-gateway gateway`: run a bundled Gateway by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stress.cli.common import examples
from stress.config.gateways import KUBE_PROTOCOLS, PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Mapping


@click.command(
    "gateway",
    epilog=examples(
        "stress-gateway gateway --protocol redis-atomic --redis redis://127.0.0.1:6379/0 --port 8080",
        "stress-gateway gateway --protocol kube-lease --kubeconfig kubeconfig --port 8080 --replica 2",
    ),
)
@click.option("--protocol", type=click.Choice(PROTOCOLS), required=True)
@click.option("--redis", metavar="URL", help="The store of a protocol over Redis.")
@click.option("--kubeconfig", metavar="FILE", help="What leads to the API server of a protocol over Kubernetes.")
@click.option("--namespace", metavar="NAME", help="Where its leases are.  [default: the namespace default]")
@click.option("--replica", type=click.IntRange(1), metavar="N", help="Its number among its replicas.  [default: 1]")
@click.option("--port", type=click.IntRange(1, 65535), required=True)
def command(  # noqa: PLR0913, PLR0917 - one parameter for each option
    protocol: str, redis: str | None, kubeconfig: str | None, namespace: str | None, replica: int | None, port: int
) -> None:
    """Run a bundled Gateway."""
    import asyncio

    over_kubernetes = {"--kubeconfig": kubeconfig, "--namespace": namespace, "--replica": replica}
    if protocol in KUBE_PROTOCOLS:
        file = _asked(protocol, "the Kubernetes API", "--kubeconfig", kubeconfig, {"--redis": redis})

        from stress.gateways.kubestore import Pod
        from stress.gateways.serve import serve_kubernetes

        asyncio.run(serve_kubernetes(protocol, file, port, Pod(replica or 1, namespace or "default")))
    else:
        url = _asked(protocol, "Redis", "--redis", redis, over_kubernetes)

        from stress.gateways.serve import serve

        asyncio.run(serve(protocol, url, port))


def _asked(protocol: str, store: str, option: str, value: str | None, others: Mapping[str, object]) -> str:
    """Give the value of the option that names the store of a protocol.

    Raises:
        UsageError: when it is missing, or one is given that belongs to another store.

    """
    if value is None:
        raise click.UsageError(f"{option} is missing: {protocol} keeps its state in {store}")
    for other, given in others.items():
        if given is not None:
            raise click.UsageError(f"{other} is not for {protocol}, which keeps its state in {store}: leave it out")
    return value
