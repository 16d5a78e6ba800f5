"""A Kubernetes API server for `wrap`, behind a gate: a small one that is started here, or that which KUBECONFIG names.

A suite that starts a control plane of its own is given programs that lead to the gate. The events of watches pass.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stress.config.target import Target
from stress.core.errors import StoreLost, UsageFault
from stress.core.masking import mask_text
from stress.core.patterns import Shown
from stress.core.step import Access, Touch
from stress.protocols.gate import Gate
from stress.protocols.kube.assets import ASSETS
from stress.protocols.kube.envtest import Programs
from stress.protocols.kube.kubeconfig import written
from stress.protocols.kube.parked import KubeFrame
from stress.protocols.kube.proxy import KubeProxy
from stress.protocols.kube.requests import WRITES, KubeEffect, KubeRules, described
from stress.protocols.kube.store import KubeStore
from stress.protocols.kube.watches import Watches
from stress.protocols.wrapped import Called, NoStore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from stress.core.symbols import Names
    from stress.protocols.gate import Frame
    from stress.protocols.wrapped import Wanted

KUBECONFIG, EXISTING = "KUBECONFIG", "USE_EXISTING_CLUSTER"
_NAMESPACE = "default"
_BACKGROUND = (
    "get /*",
    "watch *",
    "list * resourceVersion=0",
    "event *",
    "create tokenreviews.authentication.k8s.io",
    "create *reviews.authorization.k8s.io",
)
"""What passes: discovery, reviews, and what fills a cache. Reads of the core group are steps as others are."""
_NAME_AT = 3
"""Which of its words names the object."""
_HIDDEN = "secrets"
"""The resource whose writes are not repeated as foreign ones, as a schedule would hold what is in them."""


@dataclass
class _Plane:
    """One API server, how many proxies ever lead to it, and what its watches tell."""

    store: KubeStore
    watches: Watches
    proxies: list[KubeProxy] = field(default_factory=list)


class KubernetesGated:
    """One API server behind a gate, and one more for each control plane that the command starts itself."""

    def __init__(self, wanted: Wanted) -> None:
        """Take what is wanted; nothing is started yet.

        Raises:
            NoStore: when the environment names no API server.
            UsageFault: when its kubeconfig can't be used, or leads to a host that is not allowed.

        """
        self.gate = Gate()
        self.notes: list[str] = []
        self._wanted = wanted
        named = wanted.environment.get(KUBECONFIG, "")
        if not wanted.embedded and (not named or os.pathsep in named):
            what = "names several files" if named else "is not set"
            hint = "set it to one file, or say --store kubernetes to start a small API server"
            raise NoStore(f"{KUBECONFIG} {what}", hint)
        kubernetes = {} if wanted.embedded else {"kubeconfig": str(Path.cwd() / named)}
        reported = {"name": "wrap", "start": {"command": ["true"]}, "stores": {"kubernetes": kubernetes}}
        self._target = Target.model_validate(reported)
        self._main = self._plane()
        self._others: dict[str, _Plane] = {}
        self._programs = Programs(self._serve)
        self._folder = Path()

    @property
    def pooled(self) -> bool:
        """Whether a connection is no caller."""
        return True

    @property
    def shared(self) -> bool:
        """Whether it was not started here."""
        return not self._wanted.embedded

    @property
    def death(self) -> str:
        """Say nothing: the one that is started here is a part of this process."""
        return ""

    def _plane(self) -> _Plane:
        store = KubeStore(self._target, Path(), self._wanted.hosts)
        store.namespace = _NAMESPACE
        store.kept.namespaces.clear()
        store.kept.refuse = self._refuse
        store.watches = watches = Watches(self.gate)
        return _Plane(store, watches)

    def _refuse(self, why: Exception) -> None:
        """Let a request not go on that would delete what is somebody else's."""
        if isinstance(why, UsageFault) and why.faults:
            what = why.faults[0].message.rpartition("kubeconfig: ")[2]
            why = NoStore(what, "let the command make a namespace for it, or say --store kubernetes")
        self.gate.refuse(why)

    async def open(self) -> None:
        """Start or reach the server, listen, and write what leads to the gate.

        Raises:
            Unavailable: when it is not there.

        """
        self._folder = Path(tempfile.mkdtemp(prefix="gateway-stress-"))
        await self._main.store.open()
        proxy = await self._listen(self._main)
        config = self._folder / "kubeconfig.yaml"
        config.touch(mode=0o600)
        config.write_text(written(f"http://127.0.0.1:{proxy.port}", _NAMESPACE))
        await self._programs.open()

    async def _listen(self, plane: _Plane, port: int = 0, tls: ssl.SSLContext | None = None) -> KubeProxy:
        proxy = KubeProxy(self.gate, 0, plane.store.server, KubeRules(usual=_BACKGROUND), plane.watches)
        proxy.keeper = plane.store.kept if self.shared else None
        await proxy.start(port, tls)
        plane.proxies.append(proxy)
        return proxy

    async def _serve(self, port: int, tls: ssl.SSLContext, etcd: str) -> KubeProxy:
        """Be the API server of a control plane that the command starts: a new one, unless it has one of its own."""
        if self.shared:
            return await self._listen(self._main, port, tls)
        if etcd not in self._others:
            self._others[etcd] = self._plane()
            await self._others[etcd].store.open()
        return await self._listen(self._others[etcd], port, tls)

    def variables(self) -> dict[str, str]:
        """Give what changes in the environment of the command."""
        own = {} if EXISTING in self._wanted.environment else {EXISTING: "true"}
        return own | {KUBECONFIG: self.places()["kubeconfig"], ASSETS: str(self._programs.folder)}

    def places(self) -> dict[str, str]:
        """Give where the gate is, and the file that leads there."""
        port = str(self._main.proxies[0].port)
        file = str(self._folder / "kubeconfig.yaml")
        return {"host": "127.0.0.1", "port": port, "url": f"http://127.0.0.1:{port}", "kubeconfig": file}

    async def begin(self) -> None:
        """Count what is written from now on to a start."""
        self._main.store.kept.begin()

    async def reset(self) -> None:
        """End every connection; forget what a server that was started here holds, else give back what was there."""
        for plane in (self._main, *self._others.values()):
            for proxy in plane.proxies:
                for channel in list(proxy.channels):
                    channel.abort()
        self.gate.check()
        for plane in self._others.values():
            await self._end(plane)
        self._others.clear()
        before, self._main = self._main, self._plane()
        await self._end(before)
        self._main.store.kept.namespaces |= before.store.kept.namespaces  # made by a start, if they are still there
        await self._main.store.open()
        (proxy,) = self._main.proxies = before.proxies[:1]
        proxy.server, proxy.watches = self._main.store.server, self._main.watches
        proxy.keeper = self._main.store.kept if self.shared else None

    async def _end(self, plane: _Plane) -> None:
        await plane.store.close()
        self.notes += plane.store.kept.notes

    async def call(self, frame: Frame, names: Names) -> Called:
        """Name a parked request by its verb and its object."""
        effect = _effect(frame)
        words = _words(effect)
        names.meet(words)
        inside = f"{effect.resource}/"

        def naming(text: str) -> str:
            """Replace generated values, but in the name of a resource, of which each definition has one in its name."""
            if not text.startswith(inside):
                return names.replace(text)
            return inside + names.replace(text.removeprefix(inside))

        found = described(effect, naming)
        touches = found.touches
        if effect.verb == "deletecollection":  # not of everything there is: what is gated is reported by its objects
            touches = (Touch(naming(effect.object), Access.DELETE), Touch(f"{inside}*", Access.WRITE))
        text = mask_text(" ".join(found.words))
        shown = Shown((words[0], *map(names.given, words[1:])), frozenset((_NAME_AT,)))
        return Called(effect.command, mask_text(found.objects[0]), touches, text, (shown,), _repeatable(frame))

    async def release(self, frame: Frame, names: Names, seconds: float) -> bool:
        """Let a parked request through, and take in the names that the server made."""
        released = await self.gate.release(frame, seconds)
        for prefix, rest in frame.generated:
            names.generated(prefix, rest)
        return released

    async def write(self, words: Sequence[str]) -> str:
        """Do a foreign write past the gate, at the server that the command uses."""
        method, target, kind, body = (*words, "", "")[:4]
        reported = ""
        for plane in self._others.values() or [self._main]:
            try:
                status, found = await plane.store.write(method, target, json.loads(body) if body else None, kind)
            except StoreLost as error:
                return str(error)
            reported = f"{status} {found.get('message', '')}".rstrip()
        return reported

    async def close(self) -> None:
        """End all that was started here."""
        await self._programs.close()
        for plane in (*self._others.values(), self._main):
            for proxy in plane.proxies:
                await proxy.close()
            with suppress(StoreLost):
                await self._end(plane)
        shutil.rmtree(self._folder, ignore_errors=True)


def _effect(frame: Frame) -> KubeEffect:
    (effect,) = frame.effects
    assert isinstance(effect, KubeEffect)  # noqa: S101 - what a proxy of the Kubernetes API parks
    return effect


def _words(effect: KubeEffect) -> list[str]:
    """Give the words from which generated values are learned: what a resource names its objects is its own."""
    return [effect.command, effect.resource or effect.path, effect.namespace, effect.name or "*", *effect.selectors]


def _repeatable(frame: Frame) -> tuple[str, ...]:
    """Give a write so that it can be sent again: method, target, the type of the body, and the body if it is JSON."""
    effect = _effect(frame)
    if not isinstance(frame, KubeFrame) or effect.verb not in WRITES or effect.resource == _HIDDEN:
        return ()
    head, _, body = frame.raw.partition(b"\r\n\r\n")
    line, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in rest)}
    kind = headers.get("content-type", "")
    try:
        text = json.dumps(json.loads(body), separators=(",", ":")) if body else ""
    except ValueError:  # protobuf, or packed
        return ()
    return tuple(line.split(" ")[:2]) + ((kind, text) if text else ())
