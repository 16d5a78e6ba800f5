"""The state of one target in all its stores: read, changed by the environment, and forgotten, past the gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.config.stores import StatePart
from stress.core.trace import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from stress.config.target import Target
    from stress.protocols.base import TargetStore, Written


class State:
    """The stores of one target, by their protocols; at least one is there."""

    def __init__(self, target: Target, stores: Mapping[str, TargetStore]) -> None:
        """Take the stores, which need not be open yet."""
        self._target, self._stores = target, stores

    async def probe(self) -> None:
        """Ask whether all stores are there: a Gateway whose store is lost is not to blame.

        Raises:
            StoreLost: when one is not.

        """
        for store in self._stores.values():
            await store.probe()

    @property
    def suspected(self) -> bool:
        """Whether one was seen not to reply, and has not replied since."""
        return any(store.suspected for store in self._stores.values())

    def suspect(self) -> None:
        """Wait no more than a moment for one that was seen not to reply."""
        for store in self._stores.values():
            store.suspect()

    @property
    def watched(self) -> bool:
        """Whether Gateways learn of changes by events."""
        return any(store.watched for store in self._stores.values())

    @property
    def watching(self) -> bool:
        """Whether a Gateway is sent events now."""
        return any(store.watching for store in self._stores.values())

    @property
    def hides(self) -> bool:
        """Whether Gateways are sent events that are no step."""
        return any(store.hides for store in self._stores.values())

    @property
    def database(self) -> int:
        """The number of the part of a store that state is read in, where one has several."""
        return next((store.database for store in self._stores.values() if store.database), 0)

    async def make_namespace(self, name: str) -> None:
        """Make sure that the namespace of a signal is there, where a store has such things."""
        for store in self._stores.values():
            await store.make_namespace(name)

    async def prepare(self, values: Mapping[str, str], written: set[Written]) -> None:
        """Make what a run needs to be there, and note it as written.

        Raises:
            UsageFault: when a store refuses it.

        """
        for store in self._stores.values():
            await store.begin()
        for at, (protocol, one) in enumerate(self._target.puts):
            written.update(await self._stores[protocol].put(at, one, values))

    async def is_done(self, part: StatePart, values: Mapping[str, str]) -> bool:
        """Tell whether what the target says under ``settle`` shows that no work is left."""
        return await self._stores[part.protocol].is_done(part, values)

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
        if observe is None or observe.records is None:
            return Snapshot(None, None, ended_by)
        store, hits, raw = self._stores[observe.records.protocol], observe.hits, dict[str, str]()

        def remembering(name: str) -> str:
            shown = naming(name)
            raw[shown] = name
            return shown

        with_it = forget if len(self._stores) == 1 else None
        found = await store.observe(values, remembering, ended_by, with_it)
        if not isinstance(hits, StatePart) or hits.protocol == observe.records.protocol or not found.records:
            return found
        counts = await self._stores[hits.protocol].hits([raw[name] for name in found.records], values)
        return Snapshot(found.records, dict(zip(found.records, counts, strict=True)), ended_by)

    async def act(
        self, actor: str, sets: Mapping[str, object] | None, occurrence: int, values: Mapping[str, str]
    ) -> Sequence[object]:
        """Let the environment act: ``sets`` is what a writer writes if not what the target says; give what came of it.

        Each reply is true where something was there to act on.
        """
        part: StatePart = getattr(self._target.environment, actor)
        return await self._stores[part.protocol].act(actor, sets, occurrence, values)

    async def forget(self, written: Collection[Written]) -> None:
        """Delete what was written. A store that is lost keeps it: that it is lost is reported elsewhere."""
        for store in self._stores.values():
            await store.forget(written)

    async def clear(self, written: Collection[Written]) -> None:
        """Delete everything in a store that was started here for one Gateway alone, else what was written."""
        for store in self._stores.values():
            await store.clear(written)

    async def drained(self) -> None:
        """Wait until every event of every write was sent, so that nothing of a run comes later."""
        for store in self._stores.values():
            await store.drained()
