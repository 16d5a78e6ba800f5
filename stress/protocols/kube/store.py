"""The Kubernetes API server of a target, as the harness uses it past the gate: what must be there, what is left.

One that was not started here keeps what was there before: only objects of this run are changed and deleted.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import aiohttp
import yaml

from stress.config.placeholders import filled
from stress.core.errors import Fault, StoreLost, Unavailable, UsageFault
from stress.protocols.kube.assets import KubeAssets
from stress.protocols.kube.kept import Kept
from stress.protocols.kube.kubeconfig import upstream
from stress.protocols.kube.parts import KubernetesStore
from stress.protocols.kube.proxy import ApiServer
from stress.protocols.kube.replies import meta
from stress.protocols.kube.requests import effect_of
from stress.protocols.kube.server.requests import Answer, Request
from stress.protocols.kube.server.server import KubeServer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from stress.config.target import Target
    from stress.protocols.kube.watches import Watches

Json = dict[str, Any]
_MERGE = "application/merge-patch+json"
_JSON = "application/json"
_SECONDS = 5.0
_ESTABLISHED_SECONDS = 10.0
_ENDING_SECONDS = 10.0
_LOOK_SECONDS = 0.05
_NAMESPACES = "/api/v1/namespaces/"
_OF_CONTROLLERS = "/api/v1/namespaces/default/serviceaccounts/default"
"""What only a server with controllers has: they make it, and they finish what is deleted."""
_ACCOUNT = "gateway-stress"
_OK, _MULTIPLE, _NOT_FOUND, _CONFLICT = 200, 300, 404, 409


class _Served(NamedTuple):
    """A resource as the server has it: the path of its version, its plural, and whether it has namespaces."""

    prefix: str
    plural: str
    namespaced: bool

    def path(self, namespace: str = "", name: str = "") -> str:
        """Give the path of a collection or of an object."""
        inside = f"/namespaces/{quote(namespace)}" if self.namespaced and namespace else ""
        return f"{self.prefix}{inside}/{self.plural}" + (f"/{quote(name)}" if name else "")


class KubeStore:
    """The API server of one target. ``server`` is how the gate reaches it, ``namespace`` one made for this run.

    ``watches`` are notified of what is written past the gate. ``embedded`` tells that the server is one of this
    process.
    """

    def __init__(self, target: Target, folder: Path, allow: Collection[str] = frozenset()) -> None:
        """Start nothing yet; ``allow`` are hosts other than this machine that a kubeconfig may lead to.

        Raises:
            UsageFault: when the kubeconfig can't be used.

        """
        wanted = target.stores.part("kubernetes")
        assert isinstance(wanted, KubernetesStore)  # noqa: S101 - what this protocol contributes
        self._target, self._folder = target, folder
        self._assets = KubeAssets() if wanted.assets else None
        self._named: ApiServer | Unavailable | None = None
        if wanted.kubeconfig is not None:
            try:
                self._named = upstream(folder / wanted.kubeconfig, wanted.context, allow)
            except Unavailable as error:  # such as a certificate that has expired: reported when the target is started
                self._named = error
        self._embedded: KubeServer | None = None
        self.embedded = self._assets is None and self._named is None
        self._session: aiohttp.ClientSession | None = None
        self._served: dict[str, _Served] = {}
        self._kinds: dict[tuple[str, str], _Served] = {}
        self.namespace = "gateway-stress" if self._named is None else f"gateway-stress-{uuid.uuid4().hex[:8]}"
        self.watches: Watches | None = None
        place = target.place("stores", "kubernetes", "kubeconfig")
        self.kept = Kept(self._calling, place, lent=self._named is not None)
        self.kept.namespaces.add(self.namespace)

    async def open(self) -> None:
        """Start or reach the server, and make what the target wants to be there.

        Raises:
            Unavailable: when it does not answer, or refuses what must be there.
            UsageFault: when a manifest can't be read.

        """
        if isinstance(self._named, Unavailable):
            raise self._named
        if self._assets is not None:
            await self._assets.start()
            self.server = self._assets.server
        elif self._named is not None:
            self.server = self._named
        else:
            self._embedded = KubeServer()
            await self._embedded.start()
            self.server = ApiServer("127.0.0.1", self._embedded.port)
        if self._embedded is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS))
        await self.probe()
        await self.make_namespace(self.namespace)
        for manifest in [*self._manifests(), *self._target.setup]:
            if isinstance(manifest, dict):
                await self._apply(self._filled(manifest, {}))

    async def token(self) -> str:
        """Make a service account in the namespace of this run, and give a token of it.

        Raises:
            Unavailable: when the server gives none.

        """
        if self._embedded is not None:
            return secrets.token_urlsafe(32)  # it accepts every token
        account = {"apiVersion": "v1", "kind": "ServiceAccount"}
        path = await self._apply({**account, "metadata": {"name": _ACCOUNT, "namespace": self.namespace}})
        request: Json = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        status, found = await self.call("POST", f"{path}/token", request)
        if found is None or status >= _MULTIPLE:
            message = f"no token for {{token}}: the API server says {_reported(status, found)}"
            raise Unavailable(message, "allow `create serviceaccounts/token` to the user of the kubeconfig")
        return str(found["status"]["token"])

    async def probe(self) -> None:
        """Ask whether the server is there.

        Raises:
            StoreLost: when it does not answer.
            Unavailable: when it does not let us in.

        """
        status, _ = await self.call("GET", "/version")
        if status >= _MULTIPLE:
            message = f"the API server at {self.server.host}:{self.server.port} answers {status} to us"
            raise Unavailable(message, "check the user of the kubeconfig")

    async def close(self) -> None:
        """Give back what was there, delete what was made, and end the server if it was started here."""
        if self._session is not None:
            if self._assets is None:
                with suppress(StoreLost):
                    await self.kept.give_all_back(await self._left_untouched())
            await self._session.close()
        if self._assets is not None:
            await self._assets.close()
        if self._embedded is not None:
            await self._embedded.stop()

    async def _left_untouched(self) -> str:
        """Give how the paths begin of objects that stay: a namespace, where no controller would finish its deletion."""
        controlled = (await self.call("GET", _OF_CONTROLLERS))[0] == _OK
        return "" if controlled else _NAMESPACES

    async def make_namespace(self, name: str) -> None:
        """Make a namespace unless there is one of this name; one that is being deleted is waited for.

        Raises:
            Unavailable: when its deletion does not end.

        """
        deadline = time.monotonic() + _ENDING_SECONDS
        while True:
            status, found = await self.call("GET", f"{_NAMESPACES}{quote(name)}")
            if status == _NOT_FOUND:
                self.kept.namespaces.add(name)
                await self._apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            if not meta(found).get("deletionTimestamp"):
                return
            if time.monotonic() > deadline:
                message = f"the namespace {name} is being deleted, and that did not end within {_ENDING_SECONDS:g} s"
                raise Unavailable(message, f"see what holds it: kubectl get namespace {name} -o yaml")
            await asyncio.sleep(_LOOK_SECONDS)

    # --- objects of a schedule ----------------------------------------------------------------------------

    async def prepare(self, manifest: Json, values: Mapping[str, str]) -> str:
        """Make an object that a run needs; give its path."""
        return await self._apply(self._filled(manifest, values))

    async def objects(self, resource: str) -> list[Json]:
        """Read all objects of a resource (``remediationrequests.kubernaut.ai``).

        Raises:
            Unavailable: when the server has no such resource, or refuses.

        """
        served = await self._resource(resource)
        status, found = await self.call("GET", served.path())
        if status != _OK or found is None:
            raise Unavailable(f"{resource} can't be listed: {_reported(status, found)}", "allow it to our user")
        return [one for one in found.get("items", ()) if isinstance(one, dict)]

    async def patch(self, resource: str, one: Json, changes: Json) -> bool:
        """Change an object by a merge patch, its status by another; tell whether it was there."""
        served = await self._resource(resource)
        path = served.path(one["metadata"].get("namespace", ""), one["metadata"]["name"])
        await self.kept.save(effect_of("PATCH", path))
        status = {"status": changes["status"]} if "status" in changes else None
        rest = {key: value for key, value in changes.items() if key != "status"}
        done = True
        for where, body in ((path, rest), (f"{path}/status", status)):
            if body:
                done = (await self.write("PATCH", where, body, _MERGE))[0] < _MULTIPLE and done
        return done

    async def delete(self, resource: str, one: Json) -> bool:
        """Delete an object; tell whether it was there."""
        served = await self._resource(resource)
        path = served.path(one["metadata"].get("namespace", ""), one["metadata"]["name"])
        await self.kept.save(effect_of("DELETE", path))
        return (await self.write("DELETE", path))[0] < _MULTIPLE

    async def forget(self, paths: Collection[str]) -> None:
        """Give back objects by their paths. A server that is lost keeps them: that it is lost is reported elsewhere."""
        with suppress(StoreLost):
            await self.kept.give_back(paths)

    async def _calling(self, method: str, path: str, body: Json | None) -> tuple[int, Json | None]:
        return await (self.call(method, path) if method == "GET" else self.write(method, path, body))

    async def write(self, method: str, path: str, body: Json | None = None, kind: str = "") -> tuple[int, Json]:
        """Send a write past the gate, of which watches may tell; give status and body.

        Raises:
            StoreLost: when the server does not answer.

        """
        status, found = await self.call(method, path, body, kind or _JSON)
        if self.watches is not None and _OK <= status < _MULTIPLE:
            self.watches.wrote(effect_of(method, path), found)
        return status, found or {}

    # --- asking -----------------------------------------------------------------------------------------

    async def call(
        self, method: str, path: str, body: Json | None = None, kind: str = _JSON
    ) -> tuple[int, Json | None]:
        """Send one request past the gate; give status and body.

        Raises:
            StoreLost: when the server does not answer.

        """
        raw = b"" if body is None else json.dumps(body).encode()
        if self._embedded is not None:
            parts = urlsplit(path)
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            request = Request(method, unquote(parts.path), query, _JSON, kind, "gateway-stress", raw)
            answer = self._embedded.answer(request)
            assert isinstance(answer, Answer)  # noqa: S101 - no watch was asked for
            return answer.status, _document(answer.body)
        assert self._session is not None  # noqa: S101 - it was opened
        host = f"{'https' if self.server.tls else 'http'}://{self.server.host}:{self.server.port}"
        headers = {name.decode(): value.decode() for name, value in self.server.headers} | {"Content-Type": kind}
        how: dict[str, Any] = {} if self.server.tls is None else {"ssl": self.server.tls}
        if self.server.tls is not None and self.server.name:
            how["server_hostname"] = self.server.name
        try:
            async with self._session.request(method, host + path, data=raw or None, headers=headers, **how) as answer_:
                return answer_.status, _document(await answer_.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            message = f"the API server at {self.server.host}:{self.server.port} does not answer us: {error}"
            raise StoreLost(message, "start it, and check stores.kubernetes") from None

    async def _resource(self, name: str) -> _Served:
        known = self._served.get(name)
        if known is None:
            plural, _, group = name.partition(".")
            prefix = "/api/v1"
            if group:
                status, found = await self.call("GET", f"/apis/{group}")
                version = (found or {}).get("preferredVersion", {}).get("groupVersion")
                if status != _OK or not version:
                    raise self._lacks(name)
                prefix = f"/apis/{version}"
            listed = (await self.call("GET", prefix))[1] or {}
            one = next((one for one in listed.get("resources", ()) if one.get("name") == plural), None)
            if one is None:
                raise self._lacks(name)
            known = self._served[name] = _Served(prefix, plural, bool(one.get("namespaced")))
        return known

    def _lacks(self, name: str) -> Unavailable:
        return Unavailable(f"the API server has no {name}", "install its definition: name its file in `setup`")

    # --- what must be there -----------------------------------------------------------------------------

    def _manifests(self) -> list[Json]:
        found: list[Json] = []
        for at, name in enumerate(self._target.setup):
            if not isinstance(name, str):
                continue
            try:
                documents = list(yaml.safe_load_all((self._folder / name).read_text()))
            except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
                raise self._unread(at, name, str(error).splitlines()[0]) from None
            for one in documents:
                if one is not None and not (isinstance(one, dict) and "kind" in one and "apiVersion" in one):
                    raise self._unread(at, name, "a document of it is no object of the Kubernetes API")
                found += [] if one is None else [one]
        return found

    def _unread(self, at: int, name: str, why: str) -> UsageFault:
        place = self._target.place("setup", at)
        return UsageFault([Fault(place, f"setup: {name}: {why}", "write manifests as kubectl applies them")])

    def _filled(self, value: Any, values: Mapping[str, str]) -> Any:  # noqa: ANN401 - what JSON holds
        if isinstance(value, dict):
            return {key: self._filled(inner, values) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._filled(inner, values) for inner in value]
        return filled(value, {"namespace": self.namespace, **values}) if isinstance(value, str) else value

    async def _apply(self, manifest: Json) -> str:
        """Make an object, or bring it up to date; give its path.

        Raises:
            Unavailable: when the server refuses it.

        """
        served = await self._kind(str(manifest["apiVersion"]), str(manifest["kind"]))
        metadata = manifest.get("metadata") or {}
        namespace = metadata.get("namespace") or ("default" if served.namespaced else "")
        path = served.path(namespace, metadata.get("name", ""))
        await self.kept.save(effect_of("PUT", path))
        status, found = await self.write("POST", served.path(namespace), manifest)
        if status == _CONFLICT:
            _, there = await self.call("GET", path)
            version = ((there or {}).get("metadata") or {}).get("resourceVersion")
            newer = {**manifest, "metadata": {**metadata, "resourceVersion": version}}
            status, found = await self.write("PUT", path, newer)
        if status >= _MULTIPLE:
            message = (
                f"the API server refuses {manifest['kind']} {metadata.get('name', '')}: {_reported(status, found)}"
            )
            raise Unavailable(message, "check `setup` and `each_run`, and what our user may do")
        return path

    async def _kind(self, version: str, kind: str) -> _Served:
        """Find a kind; one whose definition was just installed may take a moment to be served."""
        prefix = f"/apis/{version}" if "/" in version else f"/api/{version}"
        deadline = time.monotonic() + _ESTABLISHED_SECONDS
        while (version, kind) not in self._kinds:
            listed = (await self.call("GET", prefix))[1] or {}
            for one in listed.get("resources", ()):
                if "/" not in one.get("name", "/"):
                    served = _Served(prefix, one["name"], bool(one.get("namespaced")))
                    self._kinds[version, str(one.get("kind"))] = served
            if (version, kind) not in self._kinds:
                if self._embedded is not None or time.monotonic() > deadline:
                    raise Unavailable(f"the API server has no kind {kind} in {version}", "install it before: `setup`")
                await asyncio.sleep(_LOOK_SECONDS)
        return self._kinds[version, kind]


def _document(body: bytes) -> Json | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _reported(status: int, found: Json | None) -> str:
    return f"{status} {(found or {}).get('message', '')}".rstrip()
