"""What requests to a Kubernetes API do and touch, and how what is said back is read."""

from __future__ import annotations

from itertools import pairwise

import pytest
from kubewire import LEASES, RRS, WATCH, event, framed, record, recorded

from stress.core.step import Move, Step
from stress.protocols.kube.http import Data, Head, header
from stress.protocols.kube.replies import document, reported
from stress.protocols.kube.requests import EVENT, KubeEffect, KubeRules, described, effect_of, reads_of, touches_of
from stress.protocols.kube.watches import EventParser

PROTOBUF = b"application/vnd.kubernetes.protobuf;stream=watch"


@pytest.mark.parametrize(
    ("method", "target", "command", "named", "touched"),
    [
        ("GET", f"{RRS}/a", "get", "remediationrequests/prod/a", "remediationrequests/prod/a read"),
        ("GET", RRS, "list", "remediationrequests/prod/*", "remediationrequests/prod/* read"),
        (
            "GET",
            "http://x/apis/kubernaut.ai/v1alpha1/remediationrequests?watch=0",
            "list",
            "remediationrequests/*",
            "remediationrequests/* read",
        ),
        (
            "GET",
            f"{RRS}?fieldSelector=metadata.name%3Da",
            "list",
            "remediationrequests/prod/*",
            f"{'remediationrequests/prod/a'} read",
        ),
        ("GET", WATCH, "watch", "remediationrequests/prod/*", "remediationrequests/prod/* read"),
        ("GET", "/api/v1/watch/namespaces/prod/pods", "watch", "pods/prod/*", "pods/prod/* read"),
        (
            "PUT",
            f"{RRS}/a/status",
            "update/status",
            "remediationrequests/prod/a",
            "remediationrequests/prod/a write, remediationrequests/prod/* write, remediationrequests/* write",
        ),
        ("PATCH", f"{LEASES}/l", "patch", "leases/prod/l", "leases/prod/l write, leases/prod/* write, leases/* write"),
        (
            "DELETE",
            f"{LEASES}/l",
            "delete",
            "leases/prod/l",
            "leases/prod/l delete, leases/prod/* write, leases/* write",
        ),
        ("DELETE", RRS, "deletecollection", "remediationrequests/prod/*", "* delete"),
        ("POST", LEASES, "create", "leases/prod/*", "leases/prod/* write, leases/* write"),
        (
            "POST",
            "/api/v1/namespaces/prod/pods/p/eviction",
            "create/eviction",
            "pods/prod/p",
            "pods/prod/p write, pods/prod/* write, pods/* write",
        ),
        ("GET", "/api/v1/namespaces/prod", "get", "namespaces/prod", "namespaces/prod read"),
        (
            "PUT",
            "/api/v1/namespaces/prod/finalize",
            "update/finalize",
            "namespaces/prod",
            "namespaces/prod write, namespaces/* write",
        ),
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", "create", "tokenreviews/*", ""),
        ("GET", "/apis/kubernaut.ai/v1alpha1", "get", "/apis/kubernaut.ai/v1alpha1", ""),
        ("POST", "/debug", "create", "/debug", "* write"),
    ],
)
def test_request_is_read_from_its_method_and_path(
    method: str, target: str, command: str, named: str, touched: str
) -> None:
    """Method and path tell what a request does, what it names, and what it touches."""
    effect = effect_of(method, target)
    assert (effect.command, effect.object) == (command, named)
    assert ", ".join(f"{touch.object} {touch.access}" for touch in touches_of(effect)) == touched


def test_create_touches_the_object_of_its_body() -> None:
    """A create touches the object by the name that its body gives, if absent; objects can be renamed."""
    effect = effect_of("POST", RRS).of("rr-1")
    assert effect.path == f"{RRS}/rr-1"
    assert [f"{one.object} {one.access}" for one in touches_of(effect, lambda text: text.replace("rr-1", "{rr}"))] == [
        "remediationrequests/prod/{rr} create-if-absent",
        "remediationrequests/prod/* write",
        "remediationrequests/* write",
    ]


def step(actor: str, method: str, target: str, name: str = "") -> Step:
    """Make a step of a request."""
    effect = effect_of(method, target)
    effect = effect.of(name) if name else effect
    return Step(Move(actor, effect.command, effect.object), touches_of(effect))


def test_conflicts() -> None:
    """Lists conflict with every change in their collection and with no read; objects conflict by name."""
    everywhere = "/apis/kubernaut.ai/v1alpha1/remediationrequests"
    reading, listing, all_listing = step("A", "GET", f"{RRS}/a"), step("A", "GET", RRS), step("A", "GET", everywhere)
    create = step("B", "POST", RRS, "a")
    change, remove, lease = (
        step("B", "PUT", f"{RRS}/a/status"),
        step("B", "DELETE", f"{RRS}/a"),
        step("B", "GET", f"{LEASES}/a"),
    )
    wipe = step("B", "DELETE", RRS)
    assert all(
        one.conflicts(other) for one in (reading, listing, all_listing) for other in (create, change, remove, wipe)
    )
    assert not any(
        one.conflicts(other) for one in (reading, listing, all_listing) for other in (reading, listing, lease)
    )
    assert not reading.conflicts(step("B", "POST", RRS, "b"))
    assert not listing.conflicts(step("B", "POST", RRS.replace("prod", "dev"), "b"))
    assert all_listing.conflicts(step("B", "POST", RRS.replace("prod", "dev"), "b"))


def test_event_touches_nothing() -> None:
    """An event of a watch is called by its type, and changes a cache, not the store."""
    reported_of = KubeEffect(EVENT, "kubernaut.ai", "remediationrequests", "prod", "a", reported="ADDED")
    words = ("ADDED", "remediationrequests/prod/a")
    assert described(reported_of) == ((), ("remediationrequests/prod/a",), words)


def test_words_of_a_list_name_what_it_selects() -> None:
    """A list is told with its selectors."""
    effect = effect_of("GET", f"{RRS}?fieldSelector=spec.signalFingerprint%3Dff&limit=5")
    assert effect.args == (b"list", b"remediationrequests/prod/*", b"fieldSelector=spec.signalFingerprint=ff")
    assert effect.database == 0
    named = described(effect, lambda text: text.replace("ff", "{fingerprint}").replace("prod", "{ns}"))
    assert named.words == ("list", "remediationrequests/{ns}/*", "fieldSelector=spec.signalFingerprint={fingerprint}")
    assert named.objects == ("remediationrequests/{ns}/*",) == tuple(touch.object for touch in named.touches)


@pytest.mark.parametrize(
    ("rule", "said"), [("leases", "no rule: 'leases'"), ("read leases", "no verb: 'read' in 'read leases'")]
)
def test_rule_that_cannot_be_read(rule: str, said: str) -> None:
    """A rule that is none is refused by name."""
    with pytest.raises(ValueError, match=said):
        KubeRules([rule])


@pytest.mark.parametrize(
    ("rules", "passes"),
    [
        ([], True),
        (["!list *"], False),
        (["!list *", "list remediationrequests resourceVersion=0"], True),
        (["!* *.kubernaut.ai"], False),
        (["!list leases"], True),
    ],
)
def test_last_rule_that_fits_decides(rules: list[str], passes: bool) -> None:  # noqa: FBT001 - a parameter
    """Of the rules that fit a request, the last says whether it passes."""
    assert KubeRules(rules).background(effect_of("GET", f"{RRS}?limit=500&resourceVersion=0")) is passes


def test_replies_of_real_servers_are_reported() -> None:
    """Replies in JSON, gzip and protobuf, refusals among them, are told by status, reason and name."""
    said = recorded("gateway-newest")[13][1]
    found, head, body = [], None, b""
    for part in framed(said, 200):
        if isinstance(part, Head):
            head, body = part, b""
        elif isinstance(part, Data):
            body += part.payload
        elif head is not None:
            read = document(header(head.headers, b"content-type"), header(head.headers, b"content-encoding"), body)
            found.append(reported(head.status, read))
    lease, name = "gw-lock-464993baa00759c9", "rr-464993baa007-649a5005"
    begin = found.index(f"404 NotFound {lease}")
    assert found[begin : begin + 3] == [f"404 NotFound {lease}", f"201 {lease}", "200 []"]
    assert f"201 {name}" in found
    assert found[4] == "200 [conf]"


@pytest.mark.parametrize("cuts", [[], [1], [5, 9, 40], list(range(200))])
@pytest.mark.parametrize("protobuf", [False, True])
def test_several_events_in_one_chunk_are_cut_apart(cuts: list[int], protobuf: bool) -> None:  # noqa: FBT001 - a parameter
    """Events that came in other chunks than their own can be given one by one, in valid chunks with the same body."""
    if protobuf:
        said = recorded("gateway-newest")[11][1]
        body = b"".join(part.payload for part in framed(said, 1) if isinstance(part, Data))
        types, kind = ["ADDED"] * 8 + ["BOOKMARK"], PROTOBUF
    else:
        body = b"\n" + event("ADDED", record("a", 2)) + b" \n" + event("MODIFIED", record("a", 3)) + b"\n"
        types, kind = ["ADDED", "MODIFIED"], b"application/json"
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    data = [Data(b"%x\r\n%b\r\n" % (end - at, body[at:end]), body[at:end]) for at, end in pairwise(places)]
    parser = EventParser(kind)
    groups = [group for one in data for group in parser.feed(one)]
    assert b"".join(group.raw for group in groups) + parser.end() == b"".join(one.raw for one in data)
    assert [one.type for group in groups for one in group.events][: len(types)] == types
    isolated = b"".join(raw for group in groups for raw in (group.cut() if group.events else [group.raw]))
    repeat = framed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + isolated + b"0\r\n\r\n", 1)
    assert b"".join(part.payload for part in repeat if isinstance(part, Data)) == body


MAPS, LISTED = "/api/v1/namespaces/prod/configmaps", "?resourceVersion=0"


def test_reads_of_a_resource_that_a_target_names_are_steps_in_the_core_group_too() -> None:
    """A get, a list and an event of it are parked, a list that fills a cache is not, nor is any other resource's."""
    event = KubeEffect(EVENT, "core", "configmaps", "prod", "a", reported="ADDED")
    asked = [effect_of("GET", f"{MAPS}/a"), effect_of("GET", MAPS), event, effect_of("GET", MAPS + LISTED)]
    others = [effect_of("GET", "/api/v1/namespaces/prod/pods/a"), effect_of("GET", "/api/v1/namespaces/prod/pods")]
    usual, rules = KubeRules(), KubeRules(reads_of(["configmaps"]))
    assert [usual.background(one) for one in (*asked, *others)] == [True] * 6
    assert [rules.background(one) for one in (*asked, *others)] == [False, False, False, True, True, True]
