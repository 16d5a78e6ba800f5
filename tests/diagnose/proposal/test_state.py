"""Where the stores hold what the answers name, found by what they held after requests one after another."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from stress.diagnose.proposal.asking import Reply, Round
from stress.diagnose.proposal.state import kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from stress.protocols.looked import Content

NOW = 1_790_000_000.0


def rounds(state: Callable[[str, int], Content], body: Callable[[str], dict[str, Any]] | None = None) -> list[Round]:
    """Make three rounds of three requests; ``state`` gives what is there after a number of them."""
    body = body or (lambda fresh: {"id": f"made-{fresh}"})
    return [
        Round(
            fresh,
            [Reply(200, {}, json.dumps(body(fresh)))] * 3,
            [{("string", "config"): "x"} | (state(fresh, done) if done else {}) for done in range(4)],
            NOW,
        )
        for fresh in ("aaaa", "bbbb", "cccc")
    ]


@pytest.mark.parametrize(
    ("state", "observe"),
    [
        (
            lambda fresh, done: {("set", f"of:{fresh}", f"made-{fresh}"): "", ("string", f"n:{fresh}"): str(done)},
            {"records": {"redis": ["SMEMBERS", "of:{fresh}"]}, "hits": {"redis": ["GET", "n:{fresh}"]}},
        ),
        (
            lambda fresh, done: {("list", "all", "0"): f"made-{fresh}", ("hash", f"o:made-{fresh}", "n"): str(done)},
            {"records": {"redis": ["LRANGE", "all", 0, -1]}, "hits": {"redis": ["HGET", "o:{record}", "n"]}},
        ),
        (
            lambda fresh, done: {("hash", f"o:{fresh}", "id"): f"made-{fresh}", ("hash", f"o:{fresh}", "n"): str(done)},
            {"records": {"redis": ["HGET", "o:{fresh}", "id"]}, "hits": {"redis": ["HGET", "o:{fresh}", "n"]}},
        ),
        (
            lambda fresh, done: (
                {("hash", "open", f"made-{fresh}"): "1"}
                | {("list", f"log:{fresh}", str(at)): "seen" for at in range(done)}
            ),
            {"records": {"redis": ["HKEYS", "open"]}, "hits": {"redis": ["LRANGE", "log:{fresh}", 0, -1]}},
        ),
        (lambda fresh, done: {("string", f"o:{fresh}"): json.dumps({"id": f"made-{fresh}", "n": done})}, {}),
        (lambda fresh, done: {("set", "all", f"made-{fresh}-{at}"): "" for at in range(done)}, {}),
    ],
    ids=["set", "list", "hash", "keys-of-a-hash", "inside-a-text", "another-each-time"],
)
def test_records_and_hits_are_found_where_they_are_alone(
    state: Callable[[str, int], Content], observe: dict[str, object]
) -> None:
    """Members that are the record alone, a text that is its name, and numbers that go up by one; else nothing."""
    found = kept(rounds(state), "id", "{fresh}")
    assert (found.observe, found.fingerprint, found.second, found.by_key) == (observe, None, False, False)


def test_what_other_requests_left_is_no_record_of_this_one() -> None:
    """A list that grows at its head has one new member; the last record's pointer, and a counter of all, are none."""

    def state(fresh: str, done: int) -> Content:
        there = ["made-aaaa", "made-bbbb", "made-cccc"]
        now = there[: there.index(f"made-{fresh}") + (done > 0)][::-1]
        found: Content = {("list", "all", str(at)): name for at, name in enumerate(now)}
        total = 3 * there.index(f"made-{fresh}") + done
        return found | {("string", "last"): now[0] if now else "", ("string", "total"): str(total)}

    made = [
        Round(
            fresh, [Reply(200, {}, json.dumps({"id": f"made-{fresh}"}))] * 3, [state(fresh, done) for done in range(4)]
        )
        for fresh in ("aaaa", "bbbb", "cccc")
    ]
    assert kept(made, "id", "{fresh}").observe == {"records": {"redis": ["LRANGE", "all", 0, -1]}}


def test_a_key_with_hits_is_the_record_where_answers_name_what_was_sent() -> None:
    """Then no name is compared; where they name what the service has made, that must be found."""

    def state(fresh: str, done: int) -> Content:
        return {("string", f"n:{fresh}"): str(done)}

    echoed = kept(rounds(state, lambda fresh: {"id": f"rr-{fresh}"}), "id", "{fresh}")
    assert echoed.observe == {"records": {"redis": ["KEYS", "n:{fresh}"]}, "hits": {"redis": ["GET", "n:{fresh}"]}}
    assert echoed.by_key
    assert kept(rounds(state, lambda _: {}), None, "{fresh}").observe == echoed.observe
    assert kept(rounds(state, lambda fresh: {"id": f"made-{fresh[0]}"}), "id", "{fresh}").observe == {}
    shared = kept(rounds(lambda _, done: {("string", "n*"): str(done)}, lambda _: {}), None, "{fresh}")
    assert shared.observe == {}


def test_a_key_that_is_named_by_a_hash_of_what_was_sent_is_known() -> None:
    """Then the fingerprint is that hash, and the key holds it."""

    def state(fresh: str, _: int) -> Content:
        return {("string", f"o:{hashlib.sha256(f'ORD-{fresh}'.encode()).hexdigest()}"): f"made-{fresh}"}

    found = kept(rounds(state), "id", "ORD-{fresh}")
    assert found.fingerprint == {"sha256": "ORD-{fresh}"}
    assert found.observe == {"records": {"redis": ["GET", "o:{fingerprint}"]}}


def test_a_hash_that_answers_tell_is_the_fingerprint() -> None:
    """It is read from them, and keys hold it."""

    def body(fresh: str) -> dict[str, Any]:
        return {"id": f"made-{fresh}", "print": hashlib.md5(fresh.encode(), usedforsecurity=False).hexdigest()}

    found = kept(rounds(lambda fresh, _: {("set", f"o:{body(fresh)['print']}", f"made-{fresh}"): ""}, body), "id", "")
    assert found.fingerprint == {"answer": "print"}
    assert found.observe == {"records": {"redis": ["SMEMBERS", "o:{fingerprint}"]}}


def test_names_with_the_second_of_the_clock_are_seen() -> None:
    """A number near the clock in a key's name, and no other number."""
    near = kept(rounds(lambda fresh, _: {("string", f"o:{fresh}:{int(NOW) + 2}"): "1"}), "id", "")
    far = kept(rounds(lambda fresh, _: {("string", f"o:{fresh}:{int(NOW) + 7200}"): "1"}), "id", "")
    assert (near.second, far.second) == (True, False)


def test_objects_of_kubernetes_are_found_with_the_field_that_is_the_request() -> None:
    """The one resource of which each round makes one object; of its fields the count, and what was sent."""

    def state(fresh: str, done: int) -> Content:
        one = {
            "metadata": {"name": f"made-{fresh}", "labels": {"a.b/c": "x", "job": f"j-{fresh}"}},
            "spec": {"n": done},
        }
        return {("object", "jobs.example.org", f"/apis/example.org/v1/jobs/made-{fresh}"): one}

    assert kept(rounds(state), "id", "j-{fresh}").observe == {
        "records": {"kubernetes": "jobs.example.org", "where": {"metadata.labels.job": "j-{fresh}"}},
        "hits": {"kubernetes": "spec.n"},
    }
