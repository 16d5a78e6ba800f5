"""The embedded Kubernetes API server, against what a kube-apiserver 1.34 answered (`tests/data/`).

The recorded cases are played over real HTTP. `KUBE_CONFORMANCE_URL` plays them to a real server too: the address of a
plain proxy to it, such as `kubectl proxy` opens; it must have the definition of `DEFINITION` and the namespace `conf`.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio

from stress.stores.kube.reviews import User
from stress.stores.kube.server import KubeServer

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
    for line in (Path(__file__).parent / "data" / "kube-apiserver-1.34.ndjson").read_text().splitlines():
        step = json.loads(line)
        found[step["case"]].append(step)
    return found


CASES = _recorded()
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
        self.told: list[tuple[int, int]] = []
        self._rules: dict[str, Callable[[Any, Any, str], None]] = {
            "uid": self._paired,
            "resourceVersion": self._version,
            "continue": _empty_or_not,
            # Who owns which field is told more simply here (`stress.stores.kube.objects.managed`).
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
        told = [version for _, version in sorted([*self.versions.items(), *self.told])]
        assert told == sorted(told)

    def _text(self, recorded: str, found: str, path: str) -> None:
        """Expect two texts to be equal but for the new values in them."""
        ours = _PARTS.split(found.replace(self.address, "127.0.0.1:16443"))
        theirs = _PARTS.split(recorded)
        assert ours[::2] == theirs[::2], path
        for each, other in zip(theirs[1::2], ours[1::2], strict=True):
            if "-" in each:
                self._paired(each, other, path)
            elif each != other:
                self.told.append((int(each), int(other)))

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

    def __init__(self, url: str, forget: Callable[[], None] | None, end: Callable[[], Awaitable[None]] | None) -> None:
        """Take the server."""
        self.url = url
        self.forget = forget
        self.end = end
        self.answers: dict[str, Any] = {}
        self.likeness = Likeness(url.partition("://")[2])

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
            for found, (_, step) in zip(expected, watches, strict=True):
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
    async with KubeServer(tokens={"admintoken": User(), "gwtoken": User("sender", "2", ())}) as found:
        found.install(DEFINITION)
        async with aiohttp.ClientSession(skip_auto_headers=("User-Agent",)) as session:
            created = await session.post(f"{found.url}/api/v1/namespaces", json={"metadata": {"name": "conf"}})
            assert created.status == 201
        yield found


@pytest.mark.asyncio
@pytest.mark.parametrize("case", CASES)
async def test_a_recorded_case_is_answered_as_recorded(server: KubeServer, case: str) -> None:
    """Status, reason, message and fields are those of the real server; new values relate to each other as its own."""
    await Player(server.url, server.compact, server.stop).play(case)
