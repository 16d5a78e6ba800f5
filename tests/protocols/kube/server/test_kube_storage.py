"""The embedded Kubernetes API server beyond the recorded cases, without sockets: requests in, answers out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stress.protocols.kube.server import protobuf, schema, storage, watching
from stress.protocols.kube.server.patches import JSON, Patch
from stress.protocols.kube.server.requests import Answer, Request, Router
from stress.protocols.kube.server.reviews import User
from stress.protocols.kube.server.status import Refused
from stress.protocols.kube.server.verbs import Verbs
from stress.protocols.kube.server.watching import Watch

Json = dict[str, Any]
PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
THINGS = "/apis/example.com/v1/namespaces/default/things"
_METADATA = "as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PROTOBUF = "application/vnd.kubernetes.protobuf"
PARTIAL = f"{PROTOBUF};{_METADATA},application/json;{_METADATA},application/json"
LEASE = (
    b"k8s\x00\n\x1f\n\x16coordination.k8s.io/v1\x12\x05Lease\x12`\n8\n\x18gw-lock-464993baa00759c9\x12\x00\x1a\x10"
    b'kubernaut-system"\x00*\x002\x008\x00B\x00\x12$\n\x04pod1\x10\x1e\x1a\x0c\x08\xd0\xea\x93\xd8\x06\x10\x98\x80\x89'
    b'\x84\x02"\x0c\x08\xd0\xea\x93\xd8\x06\x10\x98\x80\x89\x84\x02\x1a\x00"\x00'
)
ACCESS = (
    b'k8s\x00\n.\n\x17authorization.k8s.io/v1\x12\x13SubjectAccessReview\x12\x8c\x01\n\x10\n\x00\x12\x00\x1a\x00"\x00'
    b'*\x002\x008\x00B\x00\x12n\n;\n\x10kubernaut-system\x12\x06create\x1a\x00"\x00*\x08services2\x00:\x0fgateway-'
    b'service\x1a-system:serviceaccount:kubernaut-system:sender2\x00\x1a\x08\x08\x00\x12\x00\x1a\x00 \x00\x1a\x00"\x00'
)
"""Two bodies as the newest Gateway sent them."""


class Api:
    """Asks a server without sockets."""

    def __init__(self) -> None:
        """Begin with an empty server whose clock stands at 1 January 2026."""
        self.verbs = Verbs(lambda: 1767225600.0)
        self.router = Router(self.verbs, {"good": User("sender", "7", ("robots",))}, "127.0.0.1:1")

    def ask(self, method: str, path: str, body: object = None, **more: Any) -> tuple[int, Any]:  # noqa: ANN401
        """Send a request and give the status and what is answered."""
        path, _, text = path.partition("?")
        query = dict(part.split("=", 1) for part in text.split("&")) if text else {}
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        found = self.router.answer(Request(method, path, body=content, **{"query": query, **more}))
        assert isinstance(found, Answer)
        return found.status, json.loads(found.body) if found.kind.startswith("application/json") else found.body

    def watch(self, path: str, accept: str = "", **query: str) -> Watch:
        """Open a watch."""
        found = self.router.answer(Request("GET", path, {"watch": "true", **query}, accept))
        assert isinstance(found, Watch)
        return found

    def make(self, path: str, name: str, **more: object) -> Json:
        """Create an object."""
        code, found = self.ask("POST", path, {"metadata": {"name": name}, **more})
        assert code == 201
        return found


@pytest.fixture
def api() -> Api:
    """Give an empty server."""
    return Api()


def events(watch: Watch) -> list[tuple[str, str]]:
    """Take the events of a watch: their types and the names of their objects."""
    found = [json.loads(line) for line in watch.take().splitlines()]
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in found]


def define(api: Api, spec: Json | None = None) -> Json:
    """Install a resource whose spec has the schema given."""
    properties = {"spec": {"type": "object", "properties": spec or {}}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
    }
    old = {"name": "v0", "served": False, "storage": False}
    names = {"plural": "things", "kind": "Thing"}
    wanted = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version, old]}
    return api.make(DEFINITIONS, "things.example.com", spec=wanted)


def thing(name: str, spec: Json) -> Json:
    """Give an object of the installed resource."""
    return {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": name}, "spec": spec}


def test_a_recorded_lease_in_protobuf_is_decoded() -> None:
    """The bytes of a real client say what its JSON would say; empty fields are left out."""
    assert protobuf.decode(LEASE) == {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "gw-lock-464993baa00759c9", "namespace": "kubernaut-system"},
        "spec": {
            "holderIdentity": "pod1",
            "leaseDurationSeconds": 30,
            "acquireTime": "2026-11-24T02:24:16.545407Z",
            "renewTime": "2026-11-24T02:24:16.545407Z",
        },
    }


def test_a_recorded_review_in_protobuf_is_decoded() -> None:
    """Nested messages are read, unknown ones passed over."""
    attributes = {"namespace": "kubernaut-system", "verb": "create", "resource": "services", "name": "gateway-service"}
    user = "system:serviceaccount:kubernaut-system:sender"
    assert protobuf.decode(ACCESS)["spec"] == {"resourceAttributes": attributes, "user": user}


@pytest.mark.parametrize("size", range(4, len(LEASE) - 8))
def test_a_body_in_protobuf_that_is_cut_off_is_refused_or_shorter(size: int) -> None:
    """However it is cut, it is a bad request or an object with less in it; never another fault."""
    try:
        found = protobuf.decode(LEASE[:size])
    except Refused as refused:
        code = refused.code
    else:
        code = 400 if len(json.dumps(found)) <= len(json.dumps(protobuf.decode(LEASE))) else 0
    assert code == 400


def test_protobuf_maps_lists_bytes_and_times_are_decoded() -> None:
    """Labels become an object, finalizers a list, bytes base64, and times before 1970 keep their sign."""
    labels = b"Z\x06\n\x01a\x12\x01b"
    meta = labels + b"r\x01f" + b"r\x01g"
    data = b"\x12\x06\n\x01k\x12\x01v" + b"\x1a\x06\n\x01x\x12\x01\xff"
    raw = b"\n" + bytes([len(meta)]) + meta + data
    body = b"k8s\0\n\x0f\n\x02v1\x12\tConfigMap\x12" + bytes([len(raw)]) + raw
    found = protobuf.decode(body)
    assert found["metadata"] == {"labels": {"a": "b"}, "finalizers": ["f", "g"]}
    assert (found["data"], found["binaryData"]) == ({"k": "v"}, {"x": "/w=="})
    before = b"\x08" + b"\xff" * 9 + b"\x01"
    raw = b"2" + bytes([len(before)]) + before + b"@\x03"
    body = b"k8s\0\n\x0b\n\x02v1\x12\x05Event\x12" + bytes([len(raw)]) + raw
    event = protobuf.decode(body)
    assert (event["firstTimestamp"], event["count"]) == ("1969-12-31T23:59:59Z", 3)


@pytest.mark.parametrize("body", [b"{}", b"k8s\0\n\x09\n\x02v1\x12\x03Pod\x12\x00", b"k8s\0\x0f"])
def test_what_is_no_known_protobuf_is_refused(api: Api, body: bytes) -> None:
    """A body without the mark, of an unknown kind or with an unknown sort of field is a bad request."""
    code, found = api.ask("POST", PODS, body, content_type=PROTOBUF)
    assert (code, found["reason"]) == (400, "BadRequest")


def test_preconditions_in_protobuf_are_kept(api: Api) -> None:
    """A deletion whose options name another uid is a conflict, also in protobuf."""
    api.make(LEASES, "l")
    options = b"\x12\x05\n\x03uid"
    body = b"k8s\0\n\x13\n\x02v1\x12\rDeleteOptions\x12" + bytes([len(options)]) + options
    code, found = api.ask("DELETE", f"{LEASES}/l", body, content_type=PROTOBUF)
    assert (code, found["reason"]) == (409, "Conflict")


def test_an_update_of_a_lease_that_is_gone_creates_it_or_meets_its_uid(api: Api) -> None:
    """Leases may be created by an update, but not by one that names the uid of the lease that it knew."""
    known = api.make(LEASES, "l", spec={"holderIdentity": "a"})
    assert api.ask("DELETE", f"{LEASES}/l")[0] == 200
    code, found = api.ask("PUT", f"{LEASES}/l", known)
    assert code == 409
    assert found["message"].endswith(f"UID in precondition: {known['metadata']['uid']}, UID in object meta: ")
    assert api.ask("PUT", f"{LEASES}/l", {"metadata": {"name": "l"}})[0] == 201
    assert api.ask("PUT", "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:x", {})[0] == 201


def test_metadata_alone_is_shown_where_it_is_asked_for(api: Api) -> None:
    """An object, a list and a watch give `PartialObjectMetadata` to who asks for it first."""
    api.make(PODS, "p", spec={"nodeName": "n"})
    one, many = api.ask("GET", f"{PODS}/p", accept=PARTIAL)[1], api.ask("GET", PODS, accept=PARTIAL)[1]
    assert (one["kind"], one.keys()) == ("PartialObjectMetadata", {"kind", "apiVersion", "metadata"})
    assert (many["kind"], many["items"]) == ("PartialObjectMetadataList", [one])
    watch = api.watch(PODS, PARTIAL, sendInitialEvents="true", resourceVersionMatch="NotOlderThan")
    assert json.loads(watch.take())["object"] == one


def test_a_namespace_takes_its_objects_with_it(api: Api) -> None:
    """Deleting a namespace deletes what is in it, and watches see both go."""
    api.make("/api/v1/namespaces", "n")
    api.make("/api/v1/namespaces/n/configmaps", "inside")
    api.make(MAPS, "outside")
    watch = api.watch("/api/v1/configmaps", resourceVersion=str(api.verbs.storage.version))
    code, found = api.ask("DELETE", "/api/v1/namespaces/n")
    assert (code, found["kind"]) == (200, "Namespace")
    assert events(watch) == [("DELETED", "inside")]
    assert api.ask("GET", "/api/v1/namespaces/n")[0] == 404


def test_pages_show_what_was_there_at_the_first(api: Api) -> None:
    """What is created or deleted between two pages changes nothing about the second."""
    for name in "abc":
        api.make(MAPS, name)
    first = api.ask("GET", f"{MAPS}?limit=1")[1]
    api.ask("DELETE", f"{MAPS}/c")
    api.make(MAPS, "bb")
    token = first["metadata"]["continue"]
    second = api.ask("GET", f"/api/v1/namespaces/default/configmaps?continue={token}")[1]
    assert [item["metadata"]["name"] for item in second["items"]] == ["b", "c"]
    assert second["metadata"] == {"resourceVersion": first["metadata"]["resourceVersion"]}


def test_what_fell_out_of_the_history_is_gone(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more changes than are remembered, a watch from before the oldest is told that it is too old."""
    monkeypatch.setattr(storage, "HISTORY", 2)
    begun = api.verbs.storage.version
    for name in "abc":
        api.make(MAPS, name)
    assert events(api.watch(MAPS, resourceVersion=str(begun + 1))) == [("ADDED", "b"), ("ADDED", "c")]
    watch = api.watch(MAPS, resourceVersion=str(begun))
    assert json.loads(watch.take())["object"]["message"] == f"too old resource version: {begun} ({begun + 1})"
    assert watch.ended


def test_a_client_that_never_reads_its_watch_is_cut_off(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch that owes too much ends and keeps nothing."""
    monkeypatch.setattr(watching, "MOST_BYTES", 1000)
    watch = api.watch(MAPS)
    for number in range(9):
        api.make(MAPS, f"m{number}", data={"k": "v" * 100})
    assert (watch.ended, watch.take()) == (True, b"")


def test_a_bookmark_tells_how_far_a_watch_is(api: Api) -> None:
    """It carries the version of the whole storage, also of writes that the watch does not show."""
    watch = api.watch(PODS)
    api.make(MAPS, "m")
    watch.bookmark()
    version = str(api.verbs.storage.version)
    assert json.loads(watch.take()) == {
        "type": "BOOKMARK",
        "object": {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": version}},
    }


def test_a_custom_resource_is_filled_and_pruned(api: Api) -> None:
    """Defaults are put in, and fields that its schema does not know are dropped, at every depth."""
    inner = {"type": "object", "properties": {"n": {"type": "integer", "default": 1}}}
    define(api, {"list": {"type": "array", "items": inner}, "map": {"type": "object", "additionalProperties": inner}})
    sent = thing("t", {"list": [{"x": 1}], "map": {"k": {}}, "other": True})
    assert api.ask("POST", THINGS, sent)[1]["spec"] == {"list": [{"n": 1}], "map": {"k": {"n": 1}}}


def test_a_null_where_none_is_allowed_is_left_out(api: Api) -> None:
    """A field that is not nullable takes its default, or goes; where it is required, that is what is refused.

    Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions", defaulting and nullable.
    """
    text = {"type": "string"}
    fields = {"s": text, "n": {"type": "integer", "default": 3}, "kept": {**text, "nullable": True}}
    inner = {"type": "object", "properties": fields}
    define(api, {**fields, "o": inner, "map": {"type": "object", "additionalProperties": text}})
    nulls = dict.fromkeys(fields)
    sent = thing("t", {**nulls, "o": nulls, "map": {"k": None, "l": "x"}})
    left = {"n": 3, "kept": None}
    found = api.ask("POST", THINGS, sent)[1]
    assert found["spec"] == {**left, "o": left, "map": {"l": "x"}}
    found["spec"] = {"s": None, "o": {"s": "x", "n": None}}
    assert api.ask("PUT", f"{THINGS}/t", found)[1]["spec"] == {"n": 3, "o": {"s": "x", "n": 3}}


def test_a_null_in_a_required_field_is_missing(api: Api) -> None:
    """The refusal says so, as for a field that was not sent."""
    define(api, {"o": {"type": "object", "required": ["s"], "properties": {"s": {"type": "string"}}}})
    code, refused = api.ask("POST", THINGS, thing("t", {"o": {"s": None}}))
    assert (code, refused["message"]) == (422, 'Thing.example.com "t" is invalid: spec.o.s: Required value')


def test_a_rule_that_a_field_must_not_change_is_kept(api: Api) -> None:
    """`self == oldSelf` refuses an update of the field with the message of the definition."""
    rule = {"rule": "self == oldSelf", "message": "fixed"}
    define(api, {"a": {"type": "string", "x-kubernetes-validations": [rule]}})
    found = api.ask("POST", THINGS, thing("t", {"a": "x"}))[1]
    found["spec"]["a"] = "y"
    code, refused = api.ask("PUT", f"{THINGS}/t", found)
    assert (code, refused["message"]) == (422, 'Thing.example.com "t" is invalid: spec.a: Invalid value: "y": fixed')


@pytest.mark.parametrize(
    ("value", "rules", "said"),
    [
        ("x", {"type": "integer"}, 'Invalid value: "string": s in body must be of type integer: "string"'),
        (True, {"type": "number"}, 'Invalid value: "boolean": s in body must be of type number: "boolean"'),
        (None, {"type": "string"}, 'Invalid value: "null": s in body must be of type string: "null"'),
        ("c", {"enum": ["a", "b"]}, 'Unsupported value: "c": supported values: "a", "b"'),
        ("abc", {"maxLength": 2}, 'Invalid value: "abc": s in body should be at most 2 chars long'),
        (1, {"minimum": 2}, "Invalid value: 1: s in body should be greater than or equal to 2"),
        ([1], {"minItems": 2}, "Invalid value: [1]: s in body should have at least 2 items"),
        (1.5, {"x-kubernetes-int-or-string": True}, None),
        (None, {"type": "string", "nullable": True}, ""),
        ("a", {"pattern": r"\p{L}"}, ""),
    ],
)
def test_a_value_is_held_against_its_schema(value: object, rules: Json, said: str | None) -> None:
    """What is wrong is told as the server tells it; a pattern that Python can't read passes."""
    found = [cause.message for cause in schema.faults(value, rules, "s")]
    assert found == [said] if said else bool(found) is (said is None)


def test_a_resource_goes_with_its_definition(api: Api) -> None:
    """Objects of a deleted definition are gone, and come not back when it does."""
    define(api)
    assert api.ask("POST", THINGS, thing("t", {}))[0] == 201
    assert api.ask("DELETE", f"{DEFINITIONS}/things.example.com")[0] == 200
    assert api.ask("GET", THINGS) == (404, b"404 page not found\n")
    define(api)
    assert api.ask("GET", THINGS)[1]["items"] == []


def test_a_definition_without_a_part_is_refused(api: Api) -> None:
    """A definition that names no versions is not valid."""
    code, found = api.ask("POST", DEFINITIONS, {"metadata": {"name": "x.y"}, "spec": {"group": "y", "names": {}}})
    assert (code, found["reason"]) == (422, "Invalid")


@pytest.mark.parametrize(
    ("operations", "data"),
    [
        ([{"op": "add", "path": "/l/-", "value": 3}], {"l": [1, 2, 3], "m": {}}),
        ([{"op": "add", "path": "/l/0", "value": 0}], {"l": [0, 1, 2], "m": {}}),
        ([{"op": "remove", "path": "/l/1"}], {"l": [1], "m": {}}),
        ([{"op": "replace", "path": "/l/0", "value": 9}], {"l": [9, 2], "m": {}}),
        ([{"op": "copy", "from": "/l/0", "path": "/m/a~1b"}], {"l": [1, 2], "m": {"a/b": 1}}),
        ([{"op": "move", "from": "/l", "path": "/m/l"}], {"m": {"l": [1, 2]}}),
        ([{"op": "test", "path": "/l/0", "value": 1}], {"l": [1, 2], "m": {}}),
        ([{"op": "add", "path": "/l/9", "value": 3}], None),
        ([{"op": "shake", "path": "/l"}], None),
        ([{"op": "remove", "path": "l"}], None),
        ({"op": "remove"}, None),
    ],
)
def test_a_json_patch_edits_or_is_refused(operations: object, data: Json | None) -> None:
    """Each operation does what RFC 6902 says and leaves the original alone; what does not fit is refused."""
    original = {"l": [1, 2], "m": {}}
    if data is None:
        with pytest.raises(Refused, match="the server rejected our request"):
            Patch(JSON, operations).applied(original)
    else:
        assert Patch(JSON, operations).applied(original) == data
    assert original == {"l": [1, 2], "m": {}}


def test_an_applied_object_is_created_and_then_changed(api: Api) -> None:
    """An apply patch, in YAML, makes what is not there and merges into what is."""
    media = "application/apply-patch+yaml"
    body = b"{apiVersion: v1, kind: ConfigMap, metadata: {name: m}, data: {a: '1'}}"
    assert api.ask("PATCH", f"{MAPS}/m", body, content_type=media)[0] == 201
    code, found = api.ask("PATCH", f"{MAPS}/m", body.replace(b"a: '1'", b"b: '1'"), content_type=media)
    assert (code, found["data"]) == (200, {"a": "1", "b": "1"})


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("a!=1", ["n", "z"]),
        ("a==1", ["x", "y"]),
        ("a>1", ["z"]),
        ("a<2,b", ["y"]),
        ("!a", ["n"]),
        ("a in (1,3),a notin (3)", ["x", "y"]),
        ("b=", ["y"]),
    ],
)
def test_labels_select(api: Api, selector: str, names: list[str]) -> None:
    """Every form of a label selector picks the objects that it should."""
    for name, labels in (("n", {}), ("x", {"a": "1"}), ("y", {"a": "1", "b": ""}), ("z", {"a": "2"})):
        api.ask("POST", MAPS, {"metadata": {"name": name, "labels": labels}})
    found = api.ask("GET", MAPS, query={"labelSelector": selector})[1]
    assert [item["metadata"]["name"] for item in found["items"]] == names


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/apis/apps/v1/nothing", 404),
        ("GET", "/apis/nothing", 404),
        ("GET", f"{PODS}/p/log", 404),
        ("GET", "/api/v1/namespaces/default/nodes", 404),
        ("GET", "/api/v1/pods/p", 400),
        ("POST", "/api/v1/pods", 400),
        ("GET", "/apis/authentication.k8s.io/v1/tokenreviews", 405),
        ("DELETE", "/api/v1/namespaces", 405),
        ("OPTIONS", PODS, 405),
        ("GET", f"{PODS}?limit=many", 400),
        ("GET", f"{PODS}?labelSelector=a>b", 400),
        ("GET", f"{PODS}?fieldSelector=name", 400),
        ("GET", f"{PODS}?resourceVersion=0&resourceVersionMatch=Exact", 422),
        ("GET", f"{PODS}?continue=%%%", 400),
        ("GET", "/apis/apps", 200),
        ("PUT", f"{PODS}/p", 404),
    ],
)
def test_what_is_not_there_or_not_allowed_is_reported(api: Api, method: str, path: str, code: int) -> None:
    """Each request that makes no sense has the status that the API gives it."""
    assert api.ask(method, path, {} if method == "PUT" else None)[0] == code


def test_reviews_know_the_tokens_they_were_given(api: Api) -> None:
    """A token that was named stands for its user, and rules allow everything."""
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    user = api.ask("POST", path, {"spec": {"token": "good"}})[1]["status"]["user"]
    assert user == {"username": "sender", "uid": "7", "groups": ["robots"]}
    rules = api.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {}})[1]["status"]
    assert rules["resourceRules"] == [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]


def test_a_pod_begins_without_the_status_it_was_sent_with(api: Api) -> None:
    """A built-in kind with a status subresource takes its status there alone, and counts no generations."""
    found = api.make(PODS, "p", status={"phase": "Running"})
    assert (found["status"]["phase"], found["metadata"].get("generation")) == ("Pending", None)
    found["status"] = {"phase": "Running"}
    assert api.ask("PUT", f"{PODS}/p/status", found)[1]["status"] == {"phase": "Running"}
    assert found["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
