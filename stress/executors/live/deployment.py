"""One target made ready: its store, the gate, its Gateways. Started once, for as many scenarios as there are."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from redis.exceptions import ResponseError

from stress.config.kube_keys import KubeHits
from stress.config.target_parts import OWN_CONNECTION
from stress.core.errors import Unavailable, UsageFault
from stress.core.masking import name_secrets
from stress.executors.identity import identity
from stress.executors.live.kube import KubeStore
from stress.executors.live.redis import Store
from stress.executors.live.said import encrypted
from stress.executors.live.state import State
from stress.processes.child import Ends, resident
from stress.processes.launch import launch, strangers
from stress.processes.quiescence import descendants
from stress.processes.sink import Sink
from stress.protocols.gate import Gate
from stress.protocols.kube.kubeconfig import written
from stress.protocols.kube.proxy import KubeProxy
from stress.protocols.kube.requests import KubeEffect, KubeRules, reads_of
from stress.protocols.kube.tls import authority
from stress.protocols.kube.watches import Watches
from stress.protocols.redis.accesses import KeyFinder
from stress.protocols.redis.proxy import RedisProxy
from stress.protocols.redis.scripts import ScriptWatch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

    from stress.config.target import Target
    from stress.processes.replicas import Replica
    from stress.protocols.gate import Frame


_START_SECONDS, _MOST_BYTES, _ALL_BYTES = 3.0, 500 << 20, 1 << 30
"""From which start or size on a target has one deployment alone, and how large all of them together may be."""
_DEATH_SECONDS, _GLANCE_SECONDS = 0.1, 0.002
"""How long after its last connection closed a Gateway may be seen to have died, and how often it is looked at."""


class Deployment:
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
        self.gate = Gate()
        redis, kubernetes = target.stores.redis, target.stores.kubernetes
        self._redis = Store(redis, self.folder) if redis is not None else None
        self.kube = KubeStore(target, self.folder, allow) if kubernetes is not None else None
        self.state = State(target, self._redis, self.kube)
        self._tls = kubernetes is not None and kubernetes.tls
        self.replicas: dict[int, Replica] = {}
        self._proxies: list[RedisProxy | KubeProxy] = []
        self._scripts: ScriptWatch | None = None
        self._sink: Sink | None = None
        self.given: dict[str, str] = {}  # what requests may hold that is known once the stores are there
        self._configs: Path | None = None
        self._ends = Ends(self.gate.signal.notify)
        self._allow = allow
        self._others: list[Deployment] = []
        self._opening = asyncio.Lock()
        self.seconds = 0.0  # that it took to start
        self.apart = 0.0  # that restarts and starts of others beside it took
        self.left_out = ""
        self.hung = False  # whether a Gateway was seen to answer nothing any more

    async def __aenter__(self) -> Self:
        """Start everything."""
        begun = time.monotonic()
        try:
            await self._open_stores()
            for number in range(1, self.target.replicas + 1):
                await self._start_replica(number)
            await self._remember()
            self._watch_ends()
        except BaseException:
            await self.__aexit__()
            self.gate.check()
            raise
        self.seconds = time.monotonic() - begun
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything that was started here."""
        await asyncio.gather(*(deployment.__aexit__() for deployment in self._others))
        self._ends.close()
        try:
            await self._end_replicas()
        finally:  # also when it is interrupted again
            if self._redis is not None:
                await self._redis.close()
        if self._scripts is not None:
            await self._scripts.close()
        if self.kube is not None:
            await self.kube.close()
        if self._sink is not None:
            await self._sink.close()
        if self._configs is not None:
            shutil.rmtree(self._configs, ignore_errors=True)

    async def restart(self) -> None:
        """End the Gateways and start them again, as new processes at the same stores.

        Raises:
            Unavailable: when one does not start.

        """
        begun = time.monotonic()
        try:
            self._ends.close()
            self._ends, self.hung = Ends(self.gate.signal.notify), False
            self.gate.let_go()
            await self._end_replicas()
            if self._redis is not None:
                await self._redis.empty()
            self.gate.check()
            for number in range(1, self.target.replicas + 1):
                await self._start_replica(number)
            await self._remember()
            self._watch_ends()
        finally:
            self.apart += time.monotonic() - begun

    async def beside(self, most: int) -> Sequence[Deployment]:
        """Give this deployment and others of the same target, at most so many together, started when first wanted.

        One that does not start is left out: then ``left_out`` says why, and no more are started.
        """
        async with self._opening:
            if most > 1 and not self.single and not self.left_out:
                most = min(most, _ALL_BYTES // max(self._bytes, 1))
                new = [Deployment(self.target, self.folder, self._allow) for _ in range(most - 1 - len(self._others))]
                begun = time.monotonic()
                for deployment, failed in zip(
                    new, await each(deployment.__aenter__() for deployment in new), strict=True
                ):
                    if failed is None:
                        self._others.append(deployment)
                    else:
                        self.left_out = str(failed)
                self.apart += time.monotonic() - begun
        return [self, *self._others][:most]

    @cached_property
    def digest(self) -> str:
        """What tells its Gateway from another; asked for late, as that reads its files."""
        return identity(self.target, self.folder)

    @property
    def restarts(self) -> bool:
        """Whether its Gateways were started here, and so can be started again."""
        return self.target.url is None

    @property
    def single(self) -> str:
        """Say why no other deployment of the target is started beside this one; empty where others may be."""
        start, stores = self.target.start, self.target.stores
        if self.target.url is not None:
            return "its Gateway was not started here"
        if any(store is not None and not store.embedded for store in (self._redis, self.kube)):
            return "its store was not started here"
        if stores.listens or (start is not None and "{port}" not in start.model_dump_json()):
            return "it needs fixed ports"
        if self.seconds > _START_SECONDS and self.target.protocol is None:  # a bundled one waited for the fork server
            return f"it takes {self.seconds:.1f} s to start"
        return f"it takes {self._bytes >> 20} MB" if self._bytes > _MOST_BYTES else ""

    @property
    def _bytes(self) -> int:
        """How much memory its processes hold."""
        valkey = self._redis.valkey if self._redis is not None else None
        children = [one.process.pid for one in (valkey, *self.replicas.values()) if one is not None and one.process]
        return sum(resident(pid) for child in children for pid in descendants(child))

    @property
    def store(self) -> Store:
        """The Redis of a target that has one."""
        assert self._redis is not None  # noqa: S101 - asked of such targets alone
        return self._redis

    def report(self) -> list[str]:
        """Give what the user of a lent store should know, once."""
        redis = self._redis.notes if self._redis is not None else []
        kube = self.kube.kept.notes if self.kube is not None else []
        found = list(dict.fromkeys([*redis, *kube]))
        redis.clear()
        kube.clear()
        return found

    @property
    def database(self) -> int:
        """The number of the database in Redis that its state is read in."""
        return self._redis.database if self._redis is not None else 0

    @property
    def ports(self) -> set[int]:
        """Where the gate listens, and the Gateways themselves."""
        own = {urlsplit(replica.url).port or 0 for replica in self.replicas.values()}
        return own | {proxy.port for proxy in self._proxies}

    @property
    def hurt(self) -> bool:
        """Whether a process that was started here is known to have ended, or to hang; costs nothing to ask."""
        return self._ends.any or self.hung

    @property
    def hurt_by_now(self) -> bool:
        """The same, also where the event loop will know it only a moment later; asks the kernel once."""
        return self._ends.by_now()

    @property
    def death(self) -> str:
        """Say whether the store that was started here or a Gateway has ended and how, or nothing while all live."""
        lost = f"store lost: {self._redis.death}" if self._redis is not None and self._redis.death else ""
        reported = (lost, *(replica.death for replica in self.replicas.values()))
        return next((death for death in reported if death), "")

    async def died(self) -> str:
        """Say how a process ended that was seen to close a connection, which shows a moment later; nothing if none."""
        until = time.perf_counter() + _DEATH_SECONDS
        while time.perf_counter() < until:
            if death := self.death:
                return death
            await asyncio.sleep(_GLANCE_SECONDS)
        return ""

    @property
    def broken(self) -> bool:
        """Whether a Gateway or the store that was started here has ended."""
        return bool(self.death)

    async def let(self, frame: Frame, naming: Callable[[str], str], seconds: float) -> bool:
        """Let a frame through and wait for its reply, at most so long; note what its scripts touch on the way."""
        if frame.effects and isinstance(frame.effects[0], KubeEffect):
            return await self.gate.release(frame, seconds)
        release = partial(self.gate.release, frame, seconds)
        released, frame.seen = await self.keys.during(frame.effects, naming, release)
        return released

    async def make_namespace(self, name: str) -> None:
        """Make sure that a namespace is there, where the target has the Kubernetes API."""
        if self.kube is not None:
            await self.kube.make_namespace(name)

    async def _open_stores(self) -> None:
        if self._redis is not None:
            await self._redis.open()
            started = self._redis.valkey is not None
            self._scripts = ScriptWatch(
                self._redis.address, self._ask, self._redis.login, stays=started, tls=self._redis.tls
            )
            self.keys = KeyFinder(self._ask, ResponseError, self._scripts)
            await self._redis.lend(self.gate.refuse, self.target.place("stores", "redis", "url"), self._scripts)
        if self.kube is not None:
            self.kube.watches = Watches(self.gate)
            self.kube.kept.refuse = self.gate.refuse
            await self.kube.open()
            if self.target.with_token:
                self.given["token"] = await self.kube.token()
                name_secrets(self.given.values())
        if self.target.start is not None and "{sink_url}" in self.target.start.model_dump_json():
            self._sink = Sink()
            await self._sink.open()

    async def _start_replica(self, number: int) -> None:
        addresses = {**self.given, **({"sink_url": self._sink.url} if self._sink is not None else {})}
        if self._redis is not None:
            rules = (*OWN_CONNECTION, *self.target.background.redis)
            redis = RedisProxy(self.gate, number, self._redis.address, rules, self._ask)
            redis.tls = self._redis.tls
            redis.keeper = self._redis.lent
            port = await self._listen(redis, "redis")
            url = self._redis.url(port)
            addresses |= {"redis_host": "127.0.0.1", "redis_port": str(port), "redis_url": url}
        if self.kube is not None:
            hits = self.target.observe.hits if self.target.observe is not None else None
            show = [hits.kubernetes] if isinstance(hits, KubeHits) else []
            rules = (*reads_of(self.target.watched_resources), *self.target.background.kubernetes)
            kube_rules = KubeRules(rules, show=show)
            kube_proxy = KubeProxy(self.gate, number, self.kube.server, kube_rules, self.kube.watches)
            kube_proxy.keeper = self.kube.kept
            port = await self._listen(kube_proxy, "kubernetes")
            addresses |= self._kubeconfig(number, port)
        try:
            self.replicas[number] = await launch(self.target, self.folder, number, addresses)
        except Unavailable as error:
            raise encrypted(self.gate.heard) or error from None

    async def _end_replicas(self) -> None:
        # Each may take a while to drain: meanwhile the others end, and the next target runs.
        try:
            await asyncio.gather(*(asyncio.to_thread(replica.close) for replica in self.replicas.values()))
        finally:
            for proxy in self._proxies:
                await proxy.close()
            self._proxies.clear()

    async def _remember(self) -> None:
        if self._redis is not None:
            with suppress(ResponseError):
                await self._redis.remember()

    def _watch_ends(self) -> None:
        valkey = self._redis.valkey if self._redis is not None else None
        for child in (valkey, *self.replicas.values()):
            if child is not None and child.process is not None:
                self._ends.watch(child.process)

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


async def each(starts: Iterable[Awaitable[object]]) -> list[Unavailable | None]:
    """Wait for several starts; give why each failed, or None.

    Raises:
        BaseException: whatever else one of them raised.

    """
    done = await asyncio.gather(*starts, return_exceptions=True)
    for one in done:
        if isinstance(one, BaseException) and not isinstance(one, Unavailable):
            raise one
    return [one if isinstance(one, Unavailable) else None for one in done]
