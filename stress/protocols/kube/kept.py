"""Objects of an API server as they were before somebody changed them: saved before that, given back by their uid."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from stress.core.errors import Fault, StoreLost, UsageFault
from stress.core.masking import clean
from stress.protocols.kube.requests import WRITES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from stress.core.errors import Place
    from stress.protocols.kube.parked import KubeFrame
    from stress.protocols.kube.requests import KubeEffect

    Calling = Callable[[str, str, dict[str, Any] | None], Awaitable[tuple[int, dict[str, Any] | None]]]

Json = dict[str, Any]

_OK, _NOT_FOUND, _CONFLICT = 200, 404, 409
_TRIES = 5
_NAMESPACES = "namespaces"
_OF_THE_SERVER = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink")
"""What of the metadata the server alone writes."""


class Kept:
    """What objects were before a run, and before the Gateway started.

    ``lent`` is whether others have objects there too: then none that was there may be deleted, but in ``namespaces``,
    which were made for the run, or in it. ``notes`` are for the user.
    """

    def __init__(self, call: Calling, place: Place, *, lent: bool) -> None:
        """Take what sends one request past the gate, and the place of the store in the target's file."""
        self._call, self._place, self._lent = call, place, lent
        self.namespaces: set[str] = set()
        self.refuse: Callable[[Exception], None] | None = None
        self._session: dict[str, Json | None] = {}
        self._run: dict[str, Json | None] | None = None
        self._left: dict[str, Json] = {}
        self.notes: list[str] = []

    # --- before a request -------------------------------------------------------------------------------

    def changes(self, frames: Sequence[KubeFrame]) -> bool:
        """Tell whether a request may change an object that is there, or make one of a known name."""
        return any(_writes(frame.effect) for frame in frames)

    async def before(self, frames: Sequence[KubeFrame]) -> object | None:
        """Save what a request may change; None where it must not be sent."""
        try:
            for frame in frames:
                await self.save(frame.effect, background=frame.background)
        except (UsageFault, StoreLost) as error:
            assert self.refuse is not None  # noqa: S101 - it is set before anything is sent
            self.refuse(error)
            return None
        return ()

    def after(self, saved: object) -> None:
        """Nothing to do: `left` reports what was left."""

    async def save(self, effect: KubeEffect, *, background: bool = False) -> None:
        """Save what a request may change; one in the background is of no run.

        Raises:
            UsageFault: when it would delete what was there before and is somebody else's.
            StoreLost: when the server does not answer.

        """
        if not _writes(effect):
            return
        kept = self._session if self._run is None or background else self._run
        foreign = self._lent and effect.namespace not in self.namespaces
        if effect.verb == "deletecollection":
            if foreign:
                raise self._refusal(effect, "may delete what was there before")
            _, found = await self._call("GET", effect.path, None)
            for one in (found or {}).get("items") or ():
                kept.setdefault(f"{effect.path}/{one['metadata']['name']}", one)
            return
        if effect.path not in kept:
            status, found = await self._call("GET", effect.path, None)
            kept[effect.path] = found if status == _OK else None
            if effect.resource == _NAMESPACES and effect.verb == "create" and kept[effect.path] is None:
                self.namespaces.add(effect.name)
        deletes = effect.verb == "delete" or effect.subresource == "eviction"
        if deletes and foreign and kept[effect.path] is not None:
            raise self._refusal(effect, "deletes an object that was there before, and can't come back with its uid")

    def left(self, path: str, found: Json) -> None:
        """Note what an object of a run is now that a request has changed or made it."""
        if self._run is not None and found.get("metadata") and found.get("kind") != "Status":
            self._run.setdefault(path, None)
            self._left[path] = found

    # --- giving back ------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Count what is written from now on to a run, but for what is written in the background."""
        if self._run is None:
            self._run = {}

    async def give_back(self, paths: Collection[str]) -> None:
        """Let objects that a run has written be what they were before it, or delete them where they were not there.

        What else was written is given back at the end.

        Raises:
            StoreLost: when the server does not answer.

        """
        run, self._run = self._run or {}, None
        for path in sorted(run.keys() & set(paths)):
            await self._return(path, run.pop(path))
        self._session = {**run, **self._session}
        self._left.clear()

    async def give_all_back(self, staying: str = "") -> None:
        """Do so with every object that was written at all, the last one first.

        Objects themselves whose paths begin with ``staying`` stay, if they were made here.
        """
        kept = {**(self._run or {}), **self._session}
        self._run, self._session = None, {}
        for path in reversed(list(kept)):
            own = bool(staying) and path.startswith(staying) and "/" not in path.removeprefix(staying)
            if not own or kept[path] is not None:
                await self._return(path, kept[path])

    async def _return(self, path: str, before: Json | None) -> None:
        left = self._left.get(path)
        for _ in range(_TRIES):
            status, now = await self._call("GET", path, None)
            if before is None:
                if status != _OK or now is None:
                    return
                uid = now["metadata"].get("uid")
                if left is not None and left["metadata"].get("uid") != uid:
                    self.notes.append(f"{path} was made again by somebody else in a run: it was left as it is")
                    return
                status, _ = await self._call("DELETE", path, {"preconditions": {"uid": uid}})
            elif status == _NOT_FOUND or now is None:
                status = await self._make(path, before)
            else:
                status = await self._put(path, now, left, before)
            if status != _CONFLICT:
                return
        self.notes.append(f"{path} is changed all the time: what a run did to it was not taken back")

    async def _make(self, path: str, before: Json) -> int:
        """Make an object again that was deleted, in a namespace of ours."""
        made = copy.deepcopy(before)
        for name in _OF_THE_SERVER:
            made["metadata"].pop(name, None)
        status, now = await self._call("POST", path.rpartition("/")[0], made)
        return await self._put(path, now, now, before) if now is not None and status < _NOT_FOUND else status

    async def _put(self, path: str, now: Json, left: Json | None, before: Json) -> int:
        if now["metadata"].get("uid") != before["metadata"].get("uid") and left is not now:
            self.notes.append(f"{path} was made again by somebody else in a run: it was left as it is")
            return _OK
        wanted = _without(now, left or now, before)
        for name in _OF_THE_SERVER:
            if name in now["metadata"]:
                wanted["metadata"][name] = now["metadata"][name]
        if left is not None and left["metadata"].get("resourceVersion") != now["metadata"].get("resourceVersion"):
            self.notes.append(f"{path} was changed by somebody else in a run: what the run did was taken back alone")
        status = _OK
        for where in (path, f"{path}/status"):
            if wanted == now or (where != path and wanted.get("status") == now.get("status")):
                break
            status, found = await self._call("PUT", where, wanted)
            if status != _OK or found is None:
                break
            wanted["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
            now = found
        return _OK if status == _NOT_FOUND else status

    def _refusal(self, effect: KubeEffect, why: str) -> UsageFault:
        message = (
            f"stores.kubernetes.kubeconfig: {effect.verb} {effect.object} {why}, on a server that was not started here"
        )
        hint = "let the service work in {namespace}, which is made for it, or leave `kubeconfig` out"
        return UsageFault([Fault(self._place, clean(message), hint)])


def _writes(effect: KubeEffect) -> bool:
    """Tell whether a request writes an object whose name is known, or a collection."""
    named = bool(effect.name) or effect.verb == "deletecollection"
    return effect.verb in WRITES and bool(effect.resource) and named


def _without(now: Json, left: Json, before: Json) -> Json:
    """Take back what a run did to an object: each field that nobody else has written since is what it was."""
    found = dict(now)
    for name in left.keys() | before.keys() | now.keys():
        was, became, held = (one.get(name) for one in (before, left, now))
        if was == became:
            continue
        if held == became:
            if name in before:
                found[name] = copy.deepcopy(was)
            else:
                found.pop(name, None)
        elif all(isinstance(one, dict) for one in (was, became, held)):
            found[name] = _without(held, became, was)  # type: ignore[arg-type]  # they were looked at
    return found
