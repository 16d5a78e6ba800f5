"""Run a bundled Gateway in this process until it is asked to end."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from aiohttp import web
from redis.asyncio import Redis
from redis.exceptions import RedisError

from stress.config.gateways import KUBE_PROTOCOLS, REDIS_PROTOCOLS
from stress.core.errors import Fault, Place, Unavailable, UsageFault
from stress.gateways.app import STOPPING, KubeStore, RedisStore, make_app
from stress.gateways.kubeapi import ApiError
from stress.gateways.kubeconfig import read_kubeconfig
from stress.gateways.protocols import is_cached

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.gateways.kubestore import Pod

_DRAIN_SECONDS = 30.0
"""How long requests in flight may take to end (contract section 1.1)."""


async def serve(protocol: str, url: str, port: int) -> None:
    """Serve a protocol over Redis on loopback until SIGTERM or SIGINT.

    Raises:
        UsageFault: when the URL names no store, or the protocol wants another kind.
        Unavailable: when the store does not answer or the port is taken.

    """
    _fits(protocol, REDIS_PROTOCOLS, "--redis")
    try:
        client = Redis.from_url(url, decode_responses=True, protocol=2)
    except ValueError as error:
        place = Place("--redis", 1, 1)
        raise UsageFault([Fault(place, f"not a store's URL: {error}", "write redis://127.0.0.1:6379/0")]) from None
    async with client:
        store = RedisStore(client)
        try:
            await store.probe()
        except (RedisError, TimeoutError) as error:
            raise Unavailable(f"the store does not answer: {error}", "start it, or name another by --redis") from None
        await _serve(make_app(protocol, store), port, cancelling=False)


async def serve_kubernetes(protocol: str, kubeconfig: str, port: int, pod: Pod) -> None:
    """Serve a protocol over the Kubernetes API on loopback until SIGTERM or SIGINT.

    Requests are cancelled when their client hangs up, as the Gateway's are.

    Raises:
        UsageFault: when the kubeconfig can't be read, or the protocol wants another kind of store.
        Unavailable: when the server does not answer or the port is taken.

    """
    _fits(protocol, KUBE_PROTOCOLS, "--kubeconfig")
    async with KubeStore(read_kubeconfig(kubeconfig), pod, cached=is_cached(protocol)) as store:
        try:
            await store.probe()
        except (ApiError, TimeoutError) as error:
            remedy = "start it, or name another by --kubeconfig"
            raise Unavailable(f"the API server does not answer: {error}", remedy) from None
        await _serve(make_app(protocol, store), port, cancelling=True)


def _fits(protocol: str, fitting: Sequence[str], option: str) -> None:
    if protocol not in fitting:
        message = f"{protocol} keeps its state elsewhere"
        raise UsageFault([Fault(Place(option, 1, 1), message, f"choose one of {', '.join(fitting)}")])


async def _serve(app: web.Application, port: int, *, cancelling: bool) -> None:
    """Serve until asked to end; ``cancelling``: a request whose client hangs up is cancelled."""
    async with AsyncExitStack() as stack:
        runner = web.AppRunner(
            app,
            access_log=None,
            keepalive_timeout=3600,
            shutdown_timeout=_DRAIN_SECONDS,
            handler_cancellation=cancelling,
        )
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        stop = asyncio.Event()  # a client that sees it listen may end it at once
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError as error:
            remedy = "choose another by --port"
            raise Unavailable(f"port {port} can't be listened on: {error.strerror}", remedy) from None
        await stop.wait()
        app[STOPPING][0] = True
