"""The state of one target in all its stores: read, changed by the environment, and forgotten, past the gate."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from stress.config.kube_keys import KubeCleanup, KubeExpiry, KubeRecords, KubeWriter
from stress.config.placeholders import fill
from stress.config.target_parts import Hits, Put
from stress.core.errors import Fault, StoreLost, UsageFault
from stress.core.trace import Snapshot
from stress.executors.environment import commands
from stress.executors.observe import at_once, snapshot, stored, texts
from stress.executors.observe_kube import change, chosen, name_of, snapshot_of
from stress.protocols.kube.requests import KubeEffect, touches_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping, Sequence

    from stress.config.target import Target
    from stress.executors.live.kube import Json, KubeStore
    from stress.executors.live.redis import Store, Written
    from stress.protocols.gate import Frame

_CREATED = 201


class State:
    """The stores of one target; at least one of the two is there."""

    def __init__(self, target: Target, redis: Store | None, kube: KubeStore | None) -> None:
        """Take the stores, which need not be open yet."""
        self._target, self._redis, self._kube = target, redis, kube

    async def probe(self) -> None:
        """Ask whether all stores are there: a Gateway whose store is lost is not to blame.

        Raises:
            StoreLost: when one is not.

        """
        if self._redis is not None:
            await self._redis.ask([("PING",)])
        if self._kube is not None:
            await self._kube.probe()

    @property
    def suspected(self) -> bool:
        """Whether a Redis was seen not to reply, and has not replied since."""
        return self._redis is not None and self._redis.suspected

    def suspect(self) -> None:
        """Wait no more than a moment for a Redis that was seen not to reply."""
        if self._redis is not None:
            self._redis.suspect()

    async def prepare(self, values: Mapping[str, str], written: set[Written]) -> None:
        """Make what a run needs to be there, and note it as written.

        Raises:
            UsageFault: when Redis refuses a command, or one names a key that is there in a Redis of the user's own.

        """
        if self._redis is not None:
            await self._redis.begin()
        if self._kube is not None:
            self._kube.kept.begin()
        for at, one in enumerate(self._target.each_run):
            if isinstance(one, Put):
                written.update(await self._put(at, fill(one.redis, **values)))
            else:
                assert self._kube is not None  # noqa: S101 - a target with such a part has it
                written.add(await self._kube.prepare(one, values))

    async def _put(self, at: int, words: tuple[str, ...]) -> set[Written]:
        """Run one command in Redis; give the keys that it names."""
        assert self._redis is not None  # noqa: S101 - a target with such a part has it
        place = self._target.place("each_run", at)
        try:
            keys = texts((await self._redis.ask([("COMMAND", "GETKEYS", *words)]))[0])
            if not (self._redis.embedded or self._redis.scratch) and (await self._redis.ask([("EXISTS", *keys)]))[0]:
                hint = "let its key hold {fresh}, or say `scratch: true` of the store"
                raise UsageFault([Fault(place, f"each_run: {' '.join(words)}: its key is there already", hint)])
            await self._redis.change([words])
        except ResponseError as error:
            hint = "write a command that names its keys, such as [SET, key, value]"
            raise UsageFault([Fault(place, f"each_run: {' '.join(words)}: {error}", hint)]) from None
        return {(self._redis.database, key) for key in keys}

    async def observe(
        self,
        values: Mapping[str, str],
        naming: Callable[[str], str],
        ended_by: str = "",
        forget: set[Written] | None = None,
    ) -> Snapshot:
        """Read the state, the made-up names in it replaced by ``naming``.

        ``values`` are fingerprint and fresh value. What was written and is to ``forget`` is deleted with it where state
        is read in one go; it is empty then.
        """
        observe = self._target.observe
        if observe is not None and isinstance(observe.records, KubeRecords):
            return await self._of_kubernetes(observe.records, values, naming, ended_by)
        if self._redis is None:
            return Snapshot(None, None, ended_by)
        reading: Generator[Sequence[tuple[str, ...]], list[object], Snapshot]
        reading = snapshot(self._target, values["fingerprint"], values["fresh"], naming, ended_by)
        at_end = forget is not None and self._kube is None and at_once(self._target)
        try:
            asked = next(reading)
            while True:
                if at_end and forget is not None:
                    replies = await self._redis.read_and_forget(asked, _keys(forget))
                    forget.clear()
                else:
                    replies = await self._redis.change(asked)
                asked = reading.send(replies)
        except StopIteration as stop:
            found: Snapshot = stop.value
            return found

    async def _of_kubernetes(
        self, records: KubeRecords, values: Mapping[str, str], naming: Callable[[str], str], ended_by: str
    ) -> Snapshot:
        assert self._kube is not None  # noqa: S101 - a target with such records has it
        raw: dict[str, str] = {}

        def remembering(name: str) -> str:
            shown = naming(name)
            raw[shown] = name
            return shown

        objects = await self._kube.objects(records.kubernetes)
        found = snapshot_of(self._target, objects, values, remembering, ended_by)
        hits = self._target.observe.hits if self._target.observe is not None else None
        if not isinstance(hits, Hits) or self._redis is None or not found.records:
            return found
        asked = [fill(hits.redis, **values, record=raw[name]) for name in found.records]
        replies = await self._redis.ask(asked)
        counts = {name: stored(hits.redis, reply) for name, reply in zip(found.records, replies, strict=True)}
        return Snapshot(found.records, counts, ended_by)

    async def act(
        self, actor: str, sets: Mapping[str, object] | None, occurrence: int, values: Mapping[str, str]
    ) -> Sequence[object]:
        """Let the environment act: ``sets`` is what a writer writes if not what the target says; give what came of it.

        Each reply is true where something was there to act on.
        """
        part = getattr(self._target.environment, actor)
        if not isinstance(part, KubeCleanup | KubeExpiry | KubeWriter):
            assert self._redis is not None  # noqa: S101 - a target with such a part has it
            return await self._redis.change(commands(self._target, actor, values["fingerprint"], values["fresh"]))
        assert self._kube is not None  # noqa: S101 - as above
        found = await self._acted_on(part, values)
        if isinstance(part, KubeCleanup):
            return [await self._kube.delete(part.kubernetes, one) for one in found]
        patch = change(sets or part.sets, {**values, "namespace": self._kube.namespace, "occurrence": str(occurrence)})
        return [await self._kube.patch(part.kubernetes, one, patch) for one in found]

    async def _acted_on(self, part: KubeCleanup | KubeExpiry | KubeWriter, values: Mapping[str, str]) -> list[Json]:
        assert self._kube is not None  # noqa: S101 - as above
        observe = self._target.observe
        where = part.where
        if where is None and observe is not None and isinstance(observe.records, KubeRecords):
            where = observe.records.where if observe.records.kubernetes == part.kubernetes else {}
        return sorted(chosen(await self._kube.objects(part.kubernetes), where or {}, values), key=name_of)

    async def forget(self, written: Collection[Written]) -> None:
        """Delete what was written. A store that is lost keeps it: that it is lost is told elsewhere."""
        if self._redis is not None:
            await self._redis.forget(_keys(written))
        if self._kube is not None:
            await self._kube.forget({one for one in written if isinstance(one, str)})

    async def clear(self, written: Collection[Written]) -> None:
        """Delete everything in a store that was started here for one Gateway alone, else what was written."""
        if self._redis is not None:
            await self._redis.clear(_keys(written))
        if self._kube is not None:
            await self._kube.forget({one for one in written if isinstance(one, str)})

    async def at_rest(self) -> None:
        """Wait until every watch has told of every write, so that nothing of a schedule comes later."""
        if self._kube is not None and self._kube.watches is not None:
            with suppress(StoreLost):
                await self._kube.watches.caught_up()


def _keys(written: Collection[Written]) -> set[tuple[int, str]]:
    return {one for one in written if not isinstance(one, str)}


def made_by(frame: Frame) -> str:
    """Give the path of an object that a request made by an update, or whose name the server chose; else nothing."""
    effect = frame.effects[0] if frame.effects else None
    if isinstance(effect, KubeEffect) and effect.name and getattr(frame, "status", 0) == _CREATED:
        return effect.path
    if not isinstance(effect, KubeEffect) or effect.verb != "create" or effect.name or not effect.resource:
        return ""
    name = ((getattr(frame, "answer", None) or {}).get("metadata") or {}).get("name")
    return f"{effect.path}/{name}" if name and touches_of(effect) else ""
