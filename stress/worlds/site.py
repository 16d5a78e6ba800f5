"""One target made ready: its store, the gate, its Gateways. Started once, for as many scenarios as there are."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from redis.exceptions import ResponseError

from stress.errors import Unavailable, UsageFault
from stress.gate.gate import Gate
from stress.gate.kube import KubeProxy
from stress.gate.kuberequests import KubeEffect, KubeRules
from stress.gate.kubewatch import Watches
from stress.gate.redis import RedisProxy
from stress.kubekeys import KubeHits
from stress.stores.keys import KeyFinder
from stress.stores.kubeconfig import written
from stress.stores.kubetls import authority
from stress.stores.process import Ends
from stress.stores.scripts import ScriptWatch
from stress.stores.sink import Sink
from stress.targetparts import OWN_CONNECTION
from stress.worlds.identity import identity
from stress.worlds.kubestore import KubeStore
from stress.worlds.launch import launch, strangers
from stress.worlds.state import State
from stress.worlds.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from stress.gate.gate import Frame
    from stress.target import Target
    from stress.worlds.replicas import Replica


class Site:
    """Store, gate and Gateways of one target. Use it as an async context manager.

    Raises:
        Unavailable: on entering, when the store or a Gateway does not start.
        UsageFault: when the target lacks a file, or has an address that is neither loopback nor in ``allow``.

    """

    def __init__(self, target: Target, folder: Path | None = None, allow: Collection[str] = frozenset()) -> None:
        """Start nothing yet; ``folder`` is what the target's paths are relative to (default: where its file stands).

        ``allow`` are hosts other than this machine that a target may name.
        """
        self.folder = folder or target.folder or Path.cwd()
        faults = [*strangers(target, allow), *target.misses(self.folder)]
        if faults:
            raise UsageFault(faults)
        self.target = target
        self.digest = identity(target, self.folder)
        self.gate = Gate()
        redis, kubernetes = target.stores.redis, target.stores.kubernetes
        self._redis = Store(redis) if redis is not None else None
        self.kube = KubeStore(target, self.folder, allow) if kubernetes is not None else None
        self.state = State(target, self._redis, self.kube)
        self._tls = kubernetes is not None and kubernetes.tls
        self.replicas: dict[int, Replica] = {}
        self._proxies: list[RedisProxy | KubeProxy] = []
        self._sink: Sink | None = None
        self._configs: Path | None = None
        self._ends = Ends(self.gate.signal.notify)

    async def __aenter__(self) -> Self:
        """Start everything."""
        try:
            await self._open_stores()
            for number in range(1, self.target.replicas + 1):
                await self._start_replica(number)
            valkey = self._redis.valkey if self._redis is not None else None
            for child in (valkey, *self.replicas.values()):
                if child is not None and child.process is not None:
                    self._ends.watch(child.process)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything that was started here."""
        self._ends.close()
        # Each may take a while to drain: meanwhile the others end, and the next target runs.
        await asyncio.gather(*(asyncio.to_thread(replica.close) for replica in self.replicas.values()))
        for proxy in self._proxies:
            await proxy.close()
        if self._redis is not None:
            await self._redis.close()
        if self.kube is not None:
            await self.kube.close()
        if self._sink is not None:
            await self._sink.close()
        if self._configs is not None:
            shutil.rmtree(self._configs, ignore_errors=True)

    @property
    def store(self) -> Store:
        """The Redis of a target that has one."""
        assert self._redis is not None  # noqa: S101 - asked of such targets alone
        return self._redis

    @property
    def hurt(self) -> bool:
        """Whether the event loop knows that a process that was started here has ended; costs nothing to ask."""
        return self._ends.any

    @property
    def hurt_by_now(self) -> bool:
        """The same, also where the event loop will know it only a moment later; asks the kernel once."""
        return self._ends.by_now()

    @property
    def death(self) -> str:
        """Say whether the store that was started here or a Gateway has ended and how, or nothing while all live."""
        lost = f"store lost: {self._redis.death}" if self._redis is not None and self._redis.death else ""
        told = (lost, *(replica.death for replica in self.replicas.values()))
        return next((death for death in told if death), "")

    @property
    def broken(self) -> bool:
        """Whether a Gateway or the store that was started here has ended."""
        return bool(self.death)

    async def let(self, frame: Frame, naming: Callable[[str], str], seconds: float) -> bool:
        """Let a frame through and wait for its reply, at most so long; learn what a script touches on the way."""
        if frame.effects and isinstance(frame.effects[0], KubeEffect):
            return await self.gate.release(frame, seconds)
        return await self.keys.learn(frame.effects, naming, partial(self.gate.release, frame, seconds))

    async def make_namespace(self, name: str) -> None:
        """Make sure that a namespace is there, where the target has the Kubernetes API."""
        if self.kube is not None:
            await self.kube.make_namespace(name)

    async def _open_stores(self) -> None:
        if self._redis is not None:
            await self._redis.open()
            own = self._redis.valkey is not None
            watch = ScriptWatch(self._redis.address, self._ask) if own else None
            self.keys = KeyFinder(self._ask, ResponseError, watch)
        if self.kube is not None:
            self.kube.watches = Watches(self.gate)
            await self.kube.open()
        if self.target.start is not None and "{sink_url}" in self.target.start.model_dump_json():
            self._sink = Sink()
            await self._sink.open()

    async def _start_replica(self, number: int) -> None:
        addresses = {"sink_url": self._sink.url} if self._sink is not None else {}
        if self._redis is not None:
            rules = (*OWN_CONNECTION, *self.target.background.redis)
            port = await self._listen(RedisProxy(self.gate, number, self._redis.address, rules, self._ask), "redis")
            url = self._redis.url(port)
            addresses |= {"redis_host": "127.0.0.1", "redis_port": str(port), "redis_url": url}
        if self.kube is not None:
            hits = self.target.observe.hits if self.target.observe is not None else None
            show = [hits.kubernetes] if isinstance(hits, KubeHits) else []
            kube_rules = KubeRules(self.target.background.kubernetes, show=show)
            proxy = KubeProxy(self.gate, number, self.kube.server, kube_rules, self.kube.watches)
            port = await self._listen(proxy, "kubernetes")
            addresses |= self._kubeconfig(number, port)
        self.replicas[number] = await launch(self.target, self.folder, number, addresses)

    async def _listen(self, proxy: RedisProxy | KubeProxy, store: str) -> int:
        """Let a proxy listen where the target wants it to; give the port."""
        self._proxies.append(proxy)
        first = self.target.stores.listens.get(store)
        wanted = 0 if first is None else first + proxy.replica - 1
        try:
            if isinstance(proxy, KubeProxy) and self._tls:
                return await proxy.start(wanted, authority().context())
            return await proxy.start(wanted)
        except OSError:
            message = f"another process listens on port {wanted}, where the gate must"
            raise Unavailable(message, f"end it, or change stores.{store}.listen") from None

    def _kubeconfig(self, number: int, port: int) -> dict[str, str]:
        """Write the kubeconfig of a replica, which leads to the gate; give the values of its placeholders."""
        assert self.kube is not None  # noqa: S101 - asked of such targets alone
        self._configs = self._configs or Path(tempfile.mkdtemp(prefix="gateway-stress-"))
        ca = authority().pem if self._tls else None
        url, file = (
            f"{'https' if self._tls else 'http'}://127.0.0.1:{port}",
            self._configs / f"kubeconfig-{number}.yaml",
        )
        file.write_text(written(url, self.kube.namespace, ca))
        return {"kube_url": url, "kubeconfig": str(file), "namespace": self.kube.namespace}

    async def _ask(self, *command: str) -> object:
        return _text((await self.store.ask([command]))[0])


def _text(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return [_text(item) for item in value] if isinstance(value, list | tuple | set) else value
