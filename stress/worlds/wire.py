"""The wire world: real Gateway processes, a real store, the gate between. Started once, used for many orders."""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Self

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from stress.errors import Unavailable, UsageFault
from stress.gate.gate import Gate
from stress.gate.redis import RedisProxy
from stress.step import letters
from stress.stores.keys import KeyFinder
from stress.stores.process import free_port
from stress.stores.valkey import Valkey
from stress.worlds.client import Client, Raw
from stress.worlds.drive import Crossed, Drive
from stress.worlds.environment import misfits
from stress.worlds.identity import identity
from stress.worlds.observe import fill
from stress.worlds.replicas import start

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.explore.base import Explorer
    from stress.gate.quiet import Sleep
    from stress.scenario import Scenario
    from stress.step import Move
    from stress.target import Target
    from stress.trace import Trace
    from stress.worlds.replicas import Replica

_CROSSINGS = 5
_ANSWER_SECONDS = 30.0
_WARM_PATIENCES = 10


class WireWorld:
    """One scenario on one target, on the wire. Use it as an async context manager.

    Raises:
        Unavailable: on entering, when the store or a Gateway does not start.
        UsageFault: when the target can't play the scenario (a missing ``environment`` entry).

    """

    name = "wire"

    def __init__(self, scenario: Scenario, target: Target, folder: Path | None = None) -> None:
        """Start nothing yet; ``folder`` is what the target's ``start.folder`` is relative to."""
        faults = misfits(scenario, target)
        if faults:
            raise UsageFault(faults)
        self.scenario, self.target = scenario, target
        self.patience = target.patience
        self.gate = Gate()
        self.replicas: dict[int, Replica] = {}
        self.clients: dict[str, Client] = {}
        self.at_rest: dict[int, Sleep | None] = {}
        self.slept: dict[int, Sleep] = {}
        self.expected: dict[tuple[tuple[str, str], ...], set[tuple[str, str]]] = {}
        self.blocked_before: set[tuple[Move, ...]] = set()
        self.waits_untimed: set[tuple[str, ...]] = set()
        self.blocked_seconds: list[float] = []
        self.fingerprint_field = "fingerprint"
        self._folder = folder or Path.cwd()
        self.digest = identity(target, self._folder)
        self._drive: Drive | None = None
        self._valkey: Valkey | None = None
        self._admin: Redis | None = None
        self._proxies: list[RedisProxy] = []

    async def __aenter__(self) -> Self:
        """Start store, gate and Gateways; warm every connection."""
        try:
            self._valkey = Valkey()
            self._admin = Redis.from_url(self._valkey.url, protocol=2)
            self._admin.response_callbacks.clear()
            self.keys = KeyFinder(self._ask_text, ResponseError)
            for number in range(1, self.target.replicas + 1):
                await self._start_replica(number)
            places = self.scenario.replicas or [1] * self.scenario.concurrent
            for actor, place in zip(letters(self.scenario.concurrent), places, strict=True):
                self.clients[actor] = Client(self.replicas[place].url, _ANSWER_SECONDS)
            await self._warm()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything that was started here."""
        for client in self.clients.values():
            await client.close()
        for replica in self.replicas.values():
            replica.close()
        for proxy in self._proxies:
            await proxy.close()
        if self._admin is not None:
            await self._admin.aclose()
        if self._valkey is not None:
            self._valkey.close()

    async def run(self, explorer: Explorer, fresh: str | None = None, also: frozenset[str] = frozenset()) -> Trace:
        """Run one order that the explorer chooses; ``fresh`` is the value of ``{fresh}`` (default: a new one).

        ``also`` are environment actors that may act once although the scenario does not name them. On a target where
        the second matters a run that crosses one unasked is repeated with the same choices.
        """
        memory = _Memory(explorer)
        for _ in range(_CROSSINGS):
            chosen = fresh or uuid.uuid4().hex[:12]
            self._drive = drive = Drive(self, memory, chosen, self.scenario.signal.fingerprint(chosen), also)
            try:
                return await drive.run()
            except Crossed:
                memory.again()
        trace = drive.abandoned(f"the run crossed a second unasked {_CROSSINGS} times")
        await self.forget(set())
        return trace

    def abandoned(self, reason: str) -> Trace | None:
        """Give the trace so far of the run that is under way, for a user who interrupts it."""
        return self._drive.abandoned(reason) if self._drive is not None else None

    async def send(self, client: Client, fresh: str, fingerprint: str, actor: str) -> Raw:
        """Send the scenario's signal for one actor."""
        headers = {
            name: fill([text], fresh=fresh, fingerprint=fingerprint)[0]
            for name, text in self.target.request.headers.items()
        }
        return await client.send(
            self.target, self.scenario.signal.body(fresh), {"X-Request-ID": f"{fresh}-{actor}", **headers}
        )

    async def ask(self, commands: Sequence[tuple[str, ...]]) -> list[object]:
        """Run commands past the gate."""
        assert self._admin is not None  # noqa: S101 - only used once entered
        run = self._admin.execute_command
        return [await run(*command) for command in commands]  # type: ignore[no-untyped-call]

    async def forget(self, keys: set[str]) -> None:
        """Delete what an order wrote."""
        if keys:
            await self.ask([("DEL", *sorted(keys))])

    async def _ask_text(self, *command: str) -> object:
        return _text((await self.ask([command]))[0])

    async def _start_replica(self, number: int) -> None:
        assert self._valkey is not None  # noqa: S101 - started before its replicas
        proxy = RedisProxy(self.gate, number, ("127.0.0.1", self._valkey.port), self.target.background["redis"])
        self._proxies.append(proxy)
        redis, port = await proxy.start(), free_port()
        values = {
            "port": str(port),
            "redis_host": "127.0.0.1",
            "redis_port": str(redis),
            "redis_url": f"redis://127.0.0.1:{redis}/0",
            "replica": str(number),
            "folder": str(self._folder),
        }
        begin = self.target.start
        if begin is None:
            own = [sys.executable, "-m", "stress.cli", "gateway", "--protocol", str(self.target.protocol)]
            command: Sequence[str] = [*own, "--redis", values["redis_url"], "--port", str(port)]
            replica = await start(number, command, env={}, folder=None, port=port, ready=("/ready", 10.0))
        else:
            env = {name: fill([text], **values)[0] for name, text in begin.env.items()}
            folder = self._folder / begin.folder
            ready = (begin.ready.path, begin.ready.within)
            replica = await start(number, fill(begin.command, **values), env=env, folder=folder, port=port, ready=ready)
        self.replicas[number] = replica

    async def _warm(self) -> None:
        """Open every connection before the first order: each client's, and as many to the store as requests at once."""
        path = (self.target.start.ready.path if self.target.start else None) or "/ready"
        for client in self.clients.values():
            await client.warm(path)
        fresh = uuid.uuid4().hex[:12]
        fingerprint = self.scenario.signal.fingerprint(fresh)
        sent = (self.send(client, fresh, fingerprint, actor) for actor, client in self.clients.items())
        try:
            async with asyncio.timeout(_WARM_PATIENCES * self.patience):
                answers = await asyncio.gather(*sent)
        except TimeoutError:
            answers = [Raw(0, b"", "in time")]
        if any(not answer.status for answer in answers):
            dead = next((replica.death for replica in self.replicas.values() if replica.death), "")
            message = dead or "the Gateway did not answer a warm-up request in time"
            raise Unavailable(message, "send it one signal by hand to see why")
        await asyncio.sleep(0.02)
        for number, replica in self.replicas.items():
            self.at_rest[number] = replica.watch.quiet() if replica.watch is not None else None
        await self.ask([("FLUSHDB",)])


class _Memory:
    """Remembers what an explorer chose, so that a run that must be repeated makes the same choices."""

    def __init__(self, explorer: Explorer) -> None:
        self.name = explorer.name
        self._explorer = explorer
        self._chosen: list[Move | None] = []
        self._at = 0

    def again(self) -> None:
        """Begin from the first choice."""
        self._at = 0

    def more(self) -> bool:
        return True

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        if self._at == len(self._chosen):
            self._chosen.append(self._explorer.choose(moves, done=done))
        self._at += 1
        return self._chosen[self._at - 1]

    def learn(self, trace: Trace) -> None:
        self._explorer.learn(trace)


def _text(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return [_text(item) for item in value] if isinstance(value, list | tuple | set) else value
