"""The embedded Kubernetes API server, against what a kube-apiserver 1.34 answered (`tests/data/`).

The recorded cases are played over real HTTP, and to a real server too, where the environment names one:

- `KUBEBUILDER_ASSETS`: a folder with etcd and kube-apiserver, which are started;
- `KUBE_CONFORMANCE_KUBECONFIG`: a kubeconfig of a server on this machine; it is used through an open gate;
- `KUBE_CONFORMANCE_URL`: the address of a plain proxy to one, such as `kubectl proxy` opens.

The last two must have the definition of `DEFINITION` and the namespace `conf`, and are changed.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio

from stress.protocols.gate import Gate
from stress.protocols.kube.assets import ASSETS, KubeAssets
from stress.protocols.kube.kubeconfig import upstream
from stress.protocols.kube.proxy import KubeProxy
from stress.protocols.kube.server.reviews import User
from stress.protocols.kube.server.server import KubeServer
from stress.protocols.kube.server.status import Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

Json = dict[str, Any]
ITEMS = "/apis/kubernaut.ai/v1alpha1/namespaces/conf/remediationrequests"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/conf/leases"
KIND = "remediationrequests.kubernaut.ai"
_OTHER = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_FINGERPRINT = {"type": "string", "pattern": "^[a-f0-9]{64}$"}
DEFINITION: Json = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": KIND},
    "spec": {
        "group": "kubernaut.ai",
        "scope": "Namespaced",
        "names": {
            "plural": "remediationrequests",
            "singular": "remediationrequest",
            "kind": "RemediationRequest",
            "listKind": "RemediationRequestList",
            "shortNames": ["rr"],
        },
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "selectableFields": [{"jsonPath": ".spec.signalFingerprint"}],
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                **_OTHER,
                                "required": ["signalFingerprint", "signalName"],
                                "properties": {
                                    "signalFingerprint": _FINGERPRINT,
                                    "signalName": {"type": "string"},
                                    "note": {"type": "string"},
                                    "maybe": {"type": "string", "nullable": True},
                                    "retry": {
                                        "type": "object",
                                        "properties": {
                                            "times": {"type": "integer", "default": 3},
                                            "after": {"type": "string", "nullable": True, "default": "1s"},
                                        },
                                    },
                                    "steps": {"type": "array", "items": {"type": "string"}},
                                },
                            },
                            "status": _OTHER,
                        },
                    }
                },
            }
        ],
    },
}


def _recorded() -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = defaultdict(list)
    for line in (
        (Path(__file__).parent.parent.parent.parent / "data" / "kube-apiserver-1.34.ndjson").read_text().splitlines()
    ):
        step = json.loads(line)
        found[step["case"]].append(step)
    return found


CASES = _recorded()
TOKENS = {"admintoken": User(), "gwtoken": User("sender", "2", ())}
_TIMES = ("creationTimestamp", "deletionTimestamp", "time")
_PARTS = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+)")
_BUILD = frozenset(("buildDate", "compiler", "gitCommit", "gitVersion", "goVersion"))


class Likeness:
    """Compares answers with the recorded ones of a case; values that are new on each run by how they relate."""

    def __init__(self, address: str) -> None:
        """Begin a case against a server at HOST:PORT."""
        self.address = address
        self.pairs: dict[str, str] = {}
        self.versions: dict[int, int] = {}
        self.reported: list[tuple[int, int]] = []
        self._rules: dict[str, Callable[[Any, Any, str], None]] = {
            "uid": self._paired,
            "resourceVersion": self._version,
            "continue": _empty_or_not,
            # Who owns which field is told more simply here (`stress.protocols.kube.server.objects.managed`).
            **dict.fromkeys(("fieldsV1", *_TIMES), _of_type),
        }

    def same(self, recorded: object, found: object, path: str = "") -> None:
        """Expect two values to be alike."""
        key = path.rpartition(".")[2]
        if key in self._rules:
            self._rules[key](recorded, found, path)
        elif isinstance(recorded, dict) and isinstance(found, dict):
            assert found.keys() == recorded.keys(), path
            for name, value in recorded.items():
                if name == "name" and "generateName" in recorded:
                    assert found[name].startswith(recorded["generateName"]), path
                else:
                    self.same(value, found[name], f"{path}.{name}")
        elif isinstance(recorded, list) and isinstance(found, list):
            assert len(found) == len(recorded), (path, found)
            for number, (each, other) in enumerate(zip(recorded, found, strict=True)):
                self.same(each, other, f"{path}.{number}")
        elif isinstance(recorded, str) and isinstance(found, str):
            self._text(recorded, found, path)
        else:
            assert found == recorded, path

    def in_order(self) -> None:
        """Expect resource versions to be equal, different and ordered as the recorded ones.

        Those in messages may be equal where the recorded ones differ: that server wrote for itself in between.
        """
        found = [self.versions[version] for version in sorted(self.versions)]
        assert found == sorted(set(found))
        reported = [version for _, version in sorted([*self.versions.items(), *self.reported])]
        assert reported == sorted(reported)

    def _text(self, recorded: str, found: str, path: str) -> None:
        """Expect two texts to be equal but for the new values in them."""
        ours = _PARTS.split(found.replace(self.address, "127.0.0.1:16443"))
        theirs = _PARTS.split(recorded)
        assert ours[::2] == theirs[::2], path
        for each, other in zip(theirs[1::2], ours[1::2], strict=True):
            if "-" in each:
                self._paired(each, other, path)
            elif each != other:
                self.reported.append((int(each), int(other)))

    def _version(self, recorded: Any, found: Any, path: str) -> None:  # noqa: ANN401 - any JSON
        assert self.versions.setdefault(int(recorded), int(found)) == int(found), path

    def _paired(self, recorded: Any, found: Any, path: str) -> None:  # noqa: ANN401 - any JSON
        assert self.pairs.setdefault(recorded, found) == found, path
        assert self.pairs.setdefault(f"back {found}", recorded) == recorded, path


def _of_type(recorded: object, found: object, path: str) -> None:
    assert type(found) is type(recorded), path


def _empty_or_not(recorded: object, found: object, path: str) -> None:
    assert bool(found) == bool(recorded), path


def part_of(found: Any, recorded: Any, path: str = "") -> None:  # noqa: ANN401 - any JSON
    """Expect that all that a server tells about itself was told by the recorded one too."""
    if isinstance(found, dict):
        for name in found.keys() - _BUILD:
            assert name in recorded, f"{path}.{name}"
            part_of(found[name], recorded[name], f"{path}.{name}")
    elif isinstance(found, list) and found and isinstance(found[0], dict):
        for each in found:
            named = [other for other in recorded if _name(other) == _name(each)]
            assert named, (path, _name(each))
            part_of(each, named[0], f"{path}.{_name(each)}")
    else:
        assert found == recorded, path


def _name(entry: Json) -> str:
    inner = entry.get("metadata", {}).get("name", "")
    return str(entry.get("name") or entry.get("resource") or entry.get("subresource") or entry.get("version") or inner)


class Player:
    """Plays cases to the server at ``url``. ``forget`` makes it forget its history, ``end`` ends its watches."""

    def __init__(
        self,
        url: str,
        forget: Callable[[], None] | None,
        end: Callable[[], Awaitable[None]] | None,
        address: str | None = None,
    ) -> None:
        """Take the server; ``address`` is HOST:PORT as it calls itself (default: that of ``url``)."""
        self.url = url
        self.forget = forget
        self.end = end
        self.answers: dict[str, Any] = {}
        self.likeness = Likeness(address or url.partition("://")[2])

    async def play(self, case: str) -> None:
        """Play one case and compare every answer."""
        watches = []
        async with aiohttp.ClientSession(skip_auto_headers=("User-Agent", "Content-Type")) as session:
            for step in CASES[case]:
                if "note" in step:
                    if self.forget is None:
                        pytest.skip("this server can't be made to forget its history")
                    self.forget()
                    continue
                response = await self._send(session, step)
                answer = step["answer"]
                assert response.status == answer["status"], await response.text()
                if "events" in answer:
                    watches.append((response, step))
                    if "timeoutSeconds" in step["path"]:
                        assert await response.read() == b""
                    continue
                await self._compare(response, step)
            expected = [await self._events(response, len(step["answer"]["events"])) for response, step in watches]
            if self.end is not None:
                await self.end()
                for response, _ in watches:
                    assert await response.content.read() == b""
            for found, (response, step) in zip(expected, watches, strict=True):
                response.close()
                self.likeness.same(step["answer"]["events"], found, f"{case}.{step['step']}")
        self.likeness.in_order()

    async def _send(self, session: aiohttp.ClientSession, step: Json) -> aiohttp.ClientResponse:
        headers = {"Accept": "application/json", **step["headers"]}
        data = step.get("raw")
        if "body" in step:
            data = self._filled(json.dumps(step["body"]))
        if data is not None:
            headers.setdefault("Content-Type", "application/json")
        url = self.url + self._filled(step["path"])
        # The path is sent as it was recorded.
        return await session.request(step["method"], aiohttp.client.URL(url, encoded=True), headers=headers, data=data)

    async def _compare(self, response: aiohttp.ClientResponse, step: Json) -> None:
        answer, where = step["answer"], f"{step['case']}.{step['step']}"
        assert response.headers["Content-Type"] == answer["type"], where
        for name, value in answer.get("headers", {}).items():
            assert response.headers[name] == value, where
        if not answer["type"].startswith("application/json"):
            assert await response.text() == answer["body"], where
            return
        found = self.answers[step["step"]] = json.loads(await response.read())
        if step["case"].startswith("discovery"):
            part_of(json.loads(json.dumps(found).replace(self.likeness.address, "127.0.0.1:16443")), answer["body"])
        else:
            self.likeness.same(answer["body"], found, where)

    async def _events(self, response: aiohttp.ClientResponse, count: int) -> list[Json]:
        return [json.loads(await response.content.readline()) for _ in range(count)]

    def _filled(self, text: str) -> str:
        return re.sub(r"\$\{([^}]+)\}", lambda match: self._value(match[1]), text)

    def _value(self, path: str) -> str:
        step, *names = path.split(".")
        value = self.answers[step]
        for name in names:
            value = value[name]
        return str(value)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[KubeServer]:
    """Give a server with the custom resource and the namespace of the cases."""
    async with KubeServer(tokens=TOKENS) as found:
        found.install(DEFINITION)
        async with (
            aiohttp.ClientSession(skip_auto_headers=("User-Agent",)) as session,
            session.post(f"{found.url}/api/v1/namespaces", json={"metadata": {"name": "conf"}}) as created,
        ):
            assert created.status == 201
        yield found


@pytest.mark.asyncio
@pytest.mark.parametrize("case", CASES)
async def test_a_recorded_case_is_answered_as_recorded(server: KubeServer, case: str) -> None:
    """Status, reason, message and fields are those of the real server; new values relate to each other as its own."""
    await Player(server.url, server.compact, server.stop).play(case)


@pytest_asyncio.fixture
async def real() -> AsyncIterator[tuple[str, str]]:
    """Give the address where a real server is reached without credentials, and HOST:PORT as it calls itself."""
    if url := os.environ.get("KUBE_CONFORMANCE_URL", ""):
        yield url, url.partition("://")[2]
        return
    started: KubeAssets | None = None
    if file := os.environ.get("KUBE_CONFORMANCE_KUBECONFIG", ""):
        server = upstream(Path(file))
    elif os.environ.get(ASSETS, ""):
        started = KubeAssets(TOKENS)
        await started.start()
        server = started.server
    else:
        pytest.skip(f"neither {ASSETS}, KUBE_CONFORMANCE_KUBECONFIG nor KUBE_CONFORMANCE_URL names a real server")
    gate = Gate()
    proxy = KubeProxy(gate, 1, server)
    url = f"http://127.0.0.1:{await proxy.start()}"
    try:
        if started is not None:
            await _prepare(url)
        yield url, f"{server.host}:{server.port}"
        assert gate.fault == ""
    finally:
        await proxy.close()
        if started is not None:
            await started.close()


async def _prepare(url: str) -> None:
    """Make what the cases need on a new server, and wait until it is served."""
    async with aiohttp.ClientSession(skip_auto_headers=("User-Agent",)) as session:
        for path, body in (
            ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION),
            ("/api/v1/namespaces", {"metadata": {"name": "conf"}}),
        ):
            async with session.post(url + path, json=body) as answer:
                assert answer.status == 201, await answer.text()
        while (await session.get(url + ITEMS)).status != 200:  # noqa: ASYNC110 - nobody tells when it is
            await asyncio.sleep(0.05)


@pytest.mark.asyncio
async def test_a_real_server_answers_as_recorded(real: tuple[str, str]) -> None:
    """The same cases hold for a real server: what is recorded is not the whim of one run."""
    url, address = real
    for case in CASES:
        if case != "watch-too-old":  # A store that forgets is not to be had from outside.
            await _empty(url)
            await Player(url, None, None, address).play(case)


async def _empty(url: str) -> None:
    """Take out of a real server what an earlier case left there."""
    async with aiohttp.ClientSession() as session:
        for collection in (ITEMS, LEASES):
            await (await session.delete(url + collection)).read()
        listed = await (await session.get(url + ITEMS)).json()
        for item in listed["items"]:
            patch = json.dumps({"metadata": {"finalizers": None}})
            headers = {"Content-Type": "application/merge-patch+json"}
            path = f"{url}{ITEMS}/{item['metadata']['name']}"
            await (await session.patch(path, data=patch, headers=headers)).read()
        await (await session.delete(f"{url}/api/v1/namespaces/conf2")).read()
        body = {"metadata": {"name": "conf2"}, "spec": {"finalizers": []}}
        await (await session.put(f"{url}/api/v1/namespaces/conf2/finalize", json=body)).read()


@pytest.mark.asyncio
async def test_a_body_of_more_than_3_mb_is_refused_and_the_next_request_is_served(server: KubeServer) -> None:
    """A body of the limit is taken, one byte more is too large, and the server goes on."""
    async with aiohttp.ClientSession() as session:
        body = b'{"metadata": {"name": "big"}, "data": {"k": "%s"}}'
        full = body % (b"v" * (3 * 1024 * 1024 - len(body) + 2))
        assert len(full) == 3 * 1024 * 1024
        path = f"{server.url}/api/v1/namespaces/conf/configmaps"
        headers = {"Content-Type": "application/json"}
        answers = []
        for sent in (full + b" ", full):
            async with session.post(path, data=io.BytesIO(sent), headers=headers) as answer:
                answers.append((answer.status, (await answer.json()).get("message")))
    assert answers == [(413, "Request entity too large: limit is 3145728"), (201, None)]


@pytest.mark.asyncio
async def test_objects_are_read_installed_and_deleted_past_the_wire(server: KubeServer) -> None:
    """What a manifest installs is there at once; a second replaces it, a patch changes it, deleting tells if it was."""
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "conf"}, "data": {}}
    server.install(manifest)
    server.install({**manifest, "data": {"k": "v"}})
    assert [found["data"] for found in server.objects("configmaps", "conf")] == [{"k": "v"}]
    server.patch("configmaps", "conf", "m", {"data": {"k": "w"}})
    assert (server.read("configmaps", "conf", "m") or {})["data"] == {"k": "w"}
    assert [server.delete("configmaps", "conf", "m") for _ in range(2)] == [True, False]
    assert (server.objects("configmaps"), server.read("configmaps", "conf", "m")) == ([], None)


@pytest.mark.asyncio
async def test_what_is_not_served_cant_be_installed_or_read(server: KubeServer) -> None:
    """An unknown kind or resource is named in the refusal."""
    with pytest.raises(Refused, match="no kind Nope in v1 is served"):
        server.install({"apiVersion": "v1", "kind": "Nope", "metadata": {"name": "x"}})
    with pytest.raises(Refused, match="no resource nopes is served"):
        server.objects("nopes")


@pytest.mark.asyncio
async def test_a_port_that_is_taken_is_reported(server: KubeServer) -> None:
    """A second server on the same port does not start, and the first goes on."""
    second = KubeServer()
    with pytest.raises(OSError, match="address already in use"):
        await second.start(server.port)
    await second.stop()
    async with aiohttp.ClientSession() as session:
        assert await (await session.get(f"{server.url}/readyz")).text() == "ok"


@pytest.mark.asyncio
async def test_a_client_that_leaves_its_watch_is_forgotten(server: KubeServer) -> None:
    """A closed connection ends the watch, so that nothing is kept for it."""
    listeners = server.verbs.storage.of(server.resource(KIND)).listeners
    async with aiohttp.ClientSession() as session:
        response = await session.get(f"{server.url}{ITEMS}?watch=true")
        assert len(listeners) == 1
        response.close()
        while listeners:  # noqa: ASYNC110 - the loop of the server turns meanwhile
            await asyncio.sleep(0)
    assert listeners == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("method", "body", "media"),
    [
        ("POST", "[1]", "json"),
        ("POST", '{"a" 1}', "json"),
        ("POST", "a: [", "yaml"),
        ("POST", '{"metadata": 5}', "json"),
        ("POST", '{"metadata": {"name": "m", "labels": ["a"]}}', "json"),
        ("PATCH", "{", "merge-patch+json"),
        ("PATCH", "[1]", "merge-patch+json"),
        ("DELETE", "[", "json"),
    ],
)
async def test_a_body_that_makes_no_sense_is_a_bad_request(
    server: KubeServer, method: str, body: str, media: str
) -> None:
    """Whatever is wrong with it, the answer is a `Status` with that reason."""
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "conf"}}
    path = server.url + "/api/v1/namespaces/conf/configmaps" + ("" if method == "POST" else "/m")
    server.install(manifest)
    headers = {"Content-Type": f"application/{media}"}
    async with aiohttp.ClientSession() as session, session.request(method, path, data=body, headers=headers) as answer:
        assert (answer.status, (await answer.json())["reason"]) == (400, "BadRequest")
