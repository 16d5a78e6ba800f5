"""The Kubernetes API of a target in one deployment: a server behind the gate, its objects restored after each run."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from stress.core.errors import StoreLost
from stress.core.masking import name_secrets
from stress.protocols.base import Found, TargetStore
from stress.protocols.kube.content import content, served
from stress.protocols.kube.kubeconfig import written
from stress.protocols.kube.parts import KubeCleanup, KubeExpiry, KubeHits, KubeRecords, KubeWriter, resources
from stress.protocols.kube.proxy import KubeProxy
from stress.protocols.kube.records import change, chosen, name_of, snapshot_of
from stress.protocols.kube.requests import WRITES, KubeEffect, KubeRules, described, reads_of, touches_of
from stress.protocols.kube.store import KubeStore
from stress.protocols.kube.tls import authority
from stress.protocols.kube.watches import Watches

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from stress.config.stores import StatePart
    from stress.config.target import Target
    from stress.core.step import Touch
    from stress.core.trace import Snapshot
    from stress.protocols.base import Written
    from stress.protocols.gate import Frame, Gate
    from stress.protocols.kube.parts import KubernetesStore
    from stress.protocols.kube.store import Json
    from stress.protocols.looked import Content

_CREATED = 201


class DeployedKube(TargetStore):
    """One API server of one deployment; ``store`` is it past the gate."""

    protocol = "kubernetes"
    watched = True

    def __init__(self, target: Target, folder: Path, gate: Gate, allow: Collection[str]) -> None:
        """Start nothing yet; ``allow`` are hosts other than this machine that a kubeconfig may lead to.

        Raises:
            UsageFault: when the kubeconfig can't be used.

        """
        super().__init__(target, gate)
        self._part = cast("KubernetesStore", target.stores.part(self.protocol))
        self.store = KubeStore(target, folder, allow)
        self._watches = self.store.watches = Watches(gate)
        self.store.kept.refuse = gate.refuse
        self.embedded = self.store.embedded
        self._configs: Path | None = None
        self._collections: list[tuple[str, str]] = []

    # --- its life -----------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Start or reach the server, make what the target wants to be there, and a token where one is asked for."""
        await self.store.open()
        if self._target.with_token:
            self.given["token"] = await self.store.token()
            name_secrets(self.given.values())

    async def close(self) -> None:
        """Give back what was there, delete what was made, and end what was started here."""
        await self.store.close()
        if self._configs is not None:
            shutil.rmtree(self._configs, ignore_errors=True)

    async def serve(self, number: int) -> dict[str, str]:
        """Listen for a replica; give the address of the gate, and a kubeconfig that leads to it."""
        hits = self._target.observe.hits if self._target.observe is not None else None
        show = [hits.kubernetes] if isinstance(hits, KubeHits) else []
        rules = (*reads_of(resources(self._target)), *self._target.background.of(self.protocol))
        proxy = KubeProxy(self._gate, number, self.store.server, KubeRules(rules, show=show), self._watches)
        proxy.keeper = self.store.kept
        start = partial(proxy.start, tls=authority().context()) if self._part.tls else proxy.start
        return self._kubeconfig(number, await self._listen(proxy, self._part, start))

    def _kubeconfig(self, number: int, port: int) -> dict[str, str]:
        """Write the kubeconfig of a replica; give the values of its placeholders."""
        self._configs = self._configs or Path(tempfile.mkdtemp(prefix="gateway-stress-"))
        tls, file = self._part.tls, self._configs / f"kubeconfig-{number}.yaml"
        url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        file.write_text(written(url, self.store.namespace, authority().pem if tls else None))
        return {"kube_url": url, "kubeconfig": str(file), "namespace": self.store.namespace}

    @property
    def notes(self) -> list[str]:
        """Objects that somebody else has changed too."""
        return self.store.kept.notes

    # --- a command ----------------------------------------------------------------------------------------

    async def found(self, frame: Frame, naming: Callable[[str], str], seen: Sequence[Touch] | None = None) -> Found:  # noqa: ARG002 - nothing is known later
        """Give what a request accesses."""
        return Found(*described(_effect(frame), naming))

    async def release(self, frame: Frame, naming: Callable[[str], str], seconds: float) -> bool:  # noqa: ARG002 - as above
        """Let a frame through."""
        return await self._gate.release(frame, seconds)

    def written(self, frame: Frame, touches: Sequence[Touch], raw: Mapping[str, str]) -> set[Written]:  # noqa: ARG002 - its path says it
        """Give the path of the object that a request writes."""
        effect = _effect(frame)
        return {(self.protocol, effect.path)} if effect.verb in WRITES and effect.name else set()

    def replied(self, frame: Frame) -> set[Written]:
        """Note what an object is once a request has written it; give the path of one that the server named."""
        effect, answer, made = _effect(frame), getattr(frame, "answer", None), made_by(frame)
        if effect.verb in WRITES and answer is not None:
            self.store.kept.left(made or effect.path, answer)
        return {(self.protocol, made)} if made else set()

    # --- a run --------------------------------------------------------------------------------------------

    async def probe(self) -> None:
        """Ask whether it is there."""
        await self.store.probe()

    async def begin(self) -> None:
        """Count what is written from now on to a run."""
        self.store.kept.begin()

    async def put(self, at: int, one: StatePart | Json, values: Mapping[str, str]) -> set[Written]:  # noqa: ARG002 - the interface
        """Make an object."""
        assert isinstance(one, dict)  # noqa: S101 - what a target may put here
        return {(self.protocol, await self.store.prepare(one, values))}

    async def forget(self, written: Collection[Written]) -> None:
        """Give back the objects that a run has written."""
        await self.store.forget({str(path) for name, path in written if name == self.protocol})

    async def drained(self) -> None:
        """Wait until every watch was sent the events of every write."""
        with suppress(StoreLost):
            await self._watches.caught_up()

    @property
    def watching(self) -> bool:
        """Whether a watch is open."""
        return bool(self._watches)

    @property
    def hides(self) -> bool:
        """Whether the events of a watch are no step."""
        return self._watches.passing

    # --- its state ----------------------------------------------------------------------------------------

    async def observe(
        self,
        values: Mapping[str, str],
        naming: Callable[[str], str],
        ended_by: str,
        forget: set[Written] | None,  # noqa: ARG002 - they are given back one by one
    ) -> Snapshot:
        """Read the records, and their hits where they are a field of them."""
        observe = self._target.observe
        assert observe is not None  # noqa: S101 - asked of such targets alone
        assert isinstance(observe.records, KubeRecords)  # noqa: S101 - as above
        return snapshot_of(self._target, await self.store.objects(observe.records.kubernetes), values, naming, ended_by)

    async def act(
        self, actor: str, sets: Mapping[str, object] | None, occurrence: int, values: Mapping[str, str]
    ) -> Sequence[object]:
        """Delete objects, or write what runs out or what another writer changes."""
        part = getattr(self._target.environment, actor)
        assert isinstance(part, KubeCleanup | KubeExpiry | KubeWriter)  # noqa: S101 - asked of such targets alone
        found = await self._acted_on(part, values)
        if isinstance(part, KubeCleanup):
            return [await self.store.delete(part.kubernetes, one) for one in found]
        patch = change(sets or part.sets, {**values, "namespace": self.store.namespace, "occurrence": str(occurrence)})
        return [await self.store.patch(part.kubernetes, one, patch) for one in found]

    async def _acted_on(self, part: KubeCleanup | KubeExpiry | KubeWriter, values: Mapping[str, str]) -> list[Json]:
        observe, where = self._target.observe, part.where
        if where is None and observe is not None and isinstance(observe.records, KubeRecords):
            where = observe.records.where if observe.records.kubernetes == part.kubernetes else {}
        return sorted(chosen(await self.store.objects(part.kubernetes), where or {}, values), key=name_of)

    async def content(self) -> Content:
        """Read all objects."""
        self._collections = self._collections or await served(self.store.call)
        return await content(self.store.call, self._collections)

    async def make_namespace(self, name: str) -> None:
        """Make a namespace unless it is there."""
        await self.store.make_namespace(name)


def _effect(frame: Frame) -> KubeEffect:
    (effect,) = frame.effects
    assert isinstance(effect, KubeEffect)  # noqa: S101 - what a proxy of the Kubernetes API parks
    return effect


def made_by(frame: Frame) -> str:
    """Give the path of an object that a request made by an update, or whose name the server chose; else nothing."""
    effect = _effect(frame)
    if effect.name and getattr(frame, "status", 0) == _CREATED:
        return effect.path
    if effect.verb != "create" or effect.name or not effect.resource:
        return ""
    name = ((getattr(frame, "answer", None) or {}).get("metadata") or {}).get("name")
    return f"{effect.path}/{name}" if name and touches_of(effect) else ""
