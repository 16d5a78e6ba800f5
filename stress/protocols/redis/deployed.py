"""The Redis of a target in one deployment: started or attached, behind the gate, restored after each run."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, cast

from redis.exceptions import ResponseError

from stress.config.placeholders import fill, filled
from stress.core.errors import Fault, UsageFault
from stress.core.step import Access
from stress.protocols.base import TargetStore
from stress.protocols.redis.accesses import KeyFinder, changes_session
from stress.protocols.redis.content import content
from stress.protocols.redis.parts import OWN_CONNECTION, EmptyKey, Hits, Put
from stress.protocols.redis.proxy import RedisProxy
from stress.protocols.redis.records import at_once, commands, snapshot, stored, texts
from stress.protocols.redis.scripts import ScriptWatch
from stress.protocols.redis.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from stress.config.stores import StatePart
    from stress.config.target import Target
    from stress.core.step import Touch
    from stress.core.trace import Snapshot
    from stress.processes.child import Child
    from stress.protocols.base import Found, Written
    from stress.protocols.gate import Frame, Gate
    from stress.protocols.looked import Content
    from stress.protocols.redis.parts import RedisStore
    from stress.protocols.redis.store import Key

_IN_DATABASE = re.compile(r"db(\d+):")


class DeployedRedis(TargetStore):
    """One Redis or Valkey of one deployment; ``store`` is it past the gate."""

    protocol = "redis"

    def __init__(self, target: Target, folder: Path, gate: Gate) -> None:
        """Start nothing yet; ``folder`` is what paths are relative to."""
        super().__init__(target, gate)
        self._part = cast("RedisStore", target.stores.part(self.protocol))
        self.store = Store(self._part, folder)
        self.embedded = self.store.embedded
        self._scripts: ScriptWatch | None = None

    # --- its life -----------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Start the server or attach to it; one that is lent is saved before it is changed."""
        store = self.store
        await store.open()
        started = store.valkey is not None
        self._scripts = ScriptWatch(store.address, store.reply, store.login, stays=started, tls=store.tls)
        self._keys = KeyFinder(store.reply, ResponseError, self._scripts)
        self.database = store.database
        await store.lend(self._gate.refuse, self._target.place("stores", self.protocol, "url"), self._scripts)

    async def close(self) -> None:
        """Give back what was there before, and end what was started here."""
        await self.store.close()
        if self._scripts is not None:
            await self._scripts.close()

    async def serve(self, number: int) -> dict[str, str]:
        """Listen for a replica; give the address of the gate in each form."""
        rules = (*OWN_CONNECTION, *self._target.background.of(self.protocol))
        proxy = RedisProxy(self._gate, number, self.store.address, rules, self.store.reply)
        proxy.tls, proxy.keeper = self.store.tls, self.store.lent
        port = await self._listen(proxy, self._part, proxy.start)
        return {"redis_host": "127.0.0.1", "redis_port": str(port), "redis_url": self.store.url(port)}

    @property
    def processes(self) -> Sequence[Child]:
        """The server that was started here."""
        return () if self.store.valkey is None else (self.store.valkey.process,)

    @property
    def death(self) -> str:
        """Say how the server that was started here ended, or nothing while it lives."""
        return self.store.death

    @property
    def notes(self) -> list[str]:
        """Keys that somebody else has changed too."""
        return self.store.notes

    async def remember(self) -> None:
        """Keep what replicas have written as they started."""
        with suppress(ResponseError):
            await self.store.remember()

    async def empty(self) -> None:
        """Delete everything in a server that was started here; one that is lent holds what it did at first."""
        await self.store.empty()

    # --- a command ----------------------------------------------------------------------------------------

    async def found(self, frame: Frame, naming: Callable[[str], str], seen: Sequence[Touch] | None = None) -> Found:
        """Give what commands access, as the server says."""
        return await self._keys.touches(frame.effects, frame.watched, naming, seen)

    async def release(self, frame: Frame, naming: Callable[[str], str], seconds: float) -> bool:
        """Let a frame through, and note what its scripts access on the way."""
        release = partial(self._gate.release, frame, seconds)
        released, frame.seen = await self._keys.during(frame.effects, naming, release)
        return released

    def written(self, frame: Frame, touches: Sequence[Touch], raw: Mapping[str, str]) -> set[Written]:  # noqa: ARG002 - the interface
        """Give the keys that commands write."""
        found: set[Written] = set()
        for touch in touches:
            database, name = 0, touch.object
            if name not in raw and (where := _IN_DATABASE.match(name)):
                database, name = int(where[1]), name[where.end() :]
            if touch.access != Access.READ and name in raw:
                found.add((self.protocol, (database, raw[name])))
        return found

    def session(self, command: str) -> str:
        """Tell what a command does to what its connection watches."""
        if not changes_session(command):
            return ""
        return "begins" if command.upper() == "WATCH" else "ends"

    # --- a run --------------------------------------------------------------------------------------------

    async def probe(self) -> None:
        """Ask whether it is there."""
        await self.store.ask([("PING",)])

    @property
    def suspected(self) -> bool:
        """Whether it was seen not to reply, and has not replied since."""
        return self.store.suspected

    def suspect(self) -> None:
        """Wait no more than a moment for it."""
        self.store.suspect()

    async def begin(self) -> None:
        """Count what is written from now on to a run."""
        await self.store.begin()

    async def put(self, at: int, one: StatePart | dict[str, object], values: Mapping[str, str]) -> set[Written]:
        """Run a command; give the keys that it names.

        Raises:
            UsageFault: when it is refused, or names a key that is there in a Redis of the user's own.

        """
        assert isinstance(one, Put)  # noqa: S101 - what a target may put here
        words, store, place = fill(one.redis, **values), self.store, self._target.place("each_run", at)
        try:
            keys = texts((await store.ask([("COMMAND", "GETKEYS", *words)]))[0])
            if not (store.embedded or store.scratch) and (await store.ask([("EXISTS", *keys)]))[0]:
                hint = "let its key hold {fresh}, or say `scratch: true` of the store"
                raise UsageFault([Fault(place, f"each_run: {' '.join(words)}: its key is there already", hint)])
            await store.change([words])
        except ResponseError as error:
            hint = "write a command that names its keys, such as [SET, key, value]"
            raise UsageFault([Fault(place, f"each_run: {' '.join(words)}: {error}", hint)]) from None
        return {(self.protocol, (store.database, key)) for key in keys}

    async def forget(self, written: Collection[Written]) -> None:
        """Delete the keys that a run wrote, or restore them."""
        await self.store.forget(self._keys_of(written))

    async def clear(self, written: Collection[Written]) -> None:
        """Delete everything in a server that was started here, but what was there at its start."""
        await self.store.clear(self._keys_of(written))

    async def is_done(self, part: StatePart, values: Mapping[str, str]) -> bool:
        """Tell whether a key is empty."""
        assert isinstance(part, EmptyKey)  # noqa: S101 - what `settle` may name here
        return await self.store.is_empty(filled(part.key, values))

    # --- its state ----------------------------------------------------------------------------------------

    async def observe(
        self, values: Mapping[str, str], naming: Callable[[str], str], ended_by: str, forget: set[Written] | None
    ) -> Snapshot:
        """Read the records, and their hits; delete what was written in the same go where that is one."""
        reading = snapshot(self._target, values["fingerprint"], values["fresh"], naming, ended_by)
        at_end = forget is not None and at_once(self._target)
        try:
            asked = next(reading)
            while True:
                if at_end and forget is not None:
                    replies = await self.store.read_and_forget(asked, self._keys_of(forget))
                    forget.clear()
                else:
                    replies = await self.store.change(asked)
                asked = reading.send(replies)
        except StopIteration as stop:
            found: Snapshot = stop.value
            return found

    async def hits(self, names: Sequence[str], values: Mapping[str, str]) -> list[int | None]:
        """Run the command that counts once for each record."""
        part = self._target.observe.hits if self._target.observe is not None else None
        assert isinstance(part, Hits)  # noqa: S101 - asked of such targets alone
        replies = await self.store.ask([fill(part.redis, **values, record=name) for name in names])
        return [stored(part.redis, reply) for reply in replies]

    async def act(
        self,
        actor: str,
        sets: Mapping[str, object] | None,  # noqa: ARG002 - there is no writer
        occurrence: int,  # noqa: ARG002 - for a writer
        values: Mapping[str, str],
    ) -> Sequence[object]:
        """Delete what a cleanup names, or let keys run out."""
        return await self.store.change(commands(self._target, actor, values["fingerprint"], values["fresh"]))

    async def content(self) -> Content:
        """Read all keys of the target's database."""
        return await content(self.store)

    def _keys_of(self, written: Collection[Written]) -> set[Key]:
        return {cast("Key", one) for name, one in written if name == self.protocol}
