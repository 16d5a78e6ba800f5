"""Reading the answers of a target: of which kind each is, what it names and counts, what is learned of others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from stress.config.answers import Answers
from stress.executors.live.answers import Flight, Reader
from stress.executors.live.client import Raw

if TYPE_CHECKING:
    from stress.core.trace import Answer


def reader(**keys: object) -> Reader:
    """Make the reader of a target's answers."""
    return Reader(Answers.model_validate(keys), "fingerprint")


def read(by: Reader, status: int, body: object = None, actor: str = "A", **headers: str) -> Answer:
    """Read one answer; a body that is no text is JSON."""
    text = body if isinstance(body, str) else json.dumps(body)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return by.read(Raw(status, text.encode(), headers=names), Flight(actor, 0, 1, (0,), hung_up=False), str)


def kind(one: Answer) -> str:
    """Name the kind of an answer, and whether it is accepted."""
    kinds = [name for name in ("created", "duplicate", "either", "refused", "normal") if getattr(one, name)]
    return " ".join([*kinds, *(["accepted"] if one.accepted else [])])


OPENED = {"created": {"status": 200, "body": {"state": "opened"}}, "duplicate": 200}
REPLAYED = {"created": [200, 201], "duplicate": {"headers": {"X-Replayed": True}}}


@pytest.mark.parametrize(
    ("keys", "status", "body", "headers", "expected"),
    [
        ({}, 201, {}, {}, "created normal accepted"),
        ({}, 202, {}, {}, "duplicate normal accepted"),
        ({}, 200, {}, {}, "accepted"),
        ({}, 409, {}, {}, ""),
        ({"duplicate": [200, 409]}, 409, {}, {}, "duplicate normal accepted"),
        (OPENED, 200, {"state": "opened"}, {}, "created normal accepted"),
        (OPENED, 200, {"state": "seen"}, {}, "duplicate normal accepted"),
        (OPENED, 201, {"state": "opened"}, {}, "accepted"),
        ({"created": {"body": {"new": True}}, "duplicate": {"body": {"new": False}}}, 200, {"new": False}, {},
         "duplicate accepted"),
        ({"created": {"body": {"n": 1}}}, 200, {"n": "1"}, {}, "created accepted"),
        ({"created": {"body": {"n": 1}}}, 200, {"n": True}, {}, "accepted"),
        ({"created": {"body": "done"}}, 200, "done\n", {}, "created accepted"),
        ({"created": {"body": 1}}, 200, "1", {}, "created accepted"),
        ({"created": {"body": {"error": None}}}, 200, {"id": 5}, {}, "created accepted"),
        (REPLAYED, 201, {}, {"X_Replayed": "true"}, "duplicate normal accepted"),
        (REPLAYED, 201, {}, {}, "created normal accepted"),
        ({"created": 201, "duplicate": [200, 201]}, 201, {}, {}, "either normal accepted"),
        ({"created": 201, "duplicate": [200, 201]}, 200, {}, {}, "duplicate normal accepted"),
        ({"retry_later": [429, 503]}, 503, {}, {}, "refused normal"),
        ({"created": 200, "duplicate": 200, "retry_later": {"body": {"ok": False}}}, 200, {"ok": False}, {},
         "refused normal"),
    ],
)  # fmt: skip
def test_an_answer_is_of_the_kind_that_fits_it_closest(
    keys: dict[str, Any], status: int, body: object, headers: dict[str, str], expected: str
) -> None:
    """All parts of a form must fit; of two that do the one that demands more decides, and of equals neither."""
    assert kind(read(reader(**keys), status, body, **headers)) == expected


@pytest.mark.parametrize(
    ("keys", "body", "record", "count"),
    [
        ({}, {"remediationRequestName": "rr-1", "metadata": {"count": 2}}, "rr-1", 2),
        ({"record": "id", "count": "n"}, {"id": 1, "n": "2"}, "1", 2),
        ({"record": "id", "count": "hits"}, {"id": True, "hits": ["a", "b", "c"]}, None, 3),
        ({"record": "id", "count": "hits"}, {"id": ["x"], "hits": {"a": 1}}, None, 1),
        ({"record": ".", "count": "n"}, "schedule-7\n", "schedule-7", None),
        ({"record": ".", "count": "."}, "7", "7", 7),
        ({"record": ".", "count": "."}, '"seven"', "seven", None),
        ({"record": "."}, "", None, None),
        ({"record": None, "count": "first"}, {"remediationRequestName": "rr-1", "first": True}, None, 1),
        ({"count": "n"}, {"n": 2.5}, None, None),
    ],
)
def test_a_record_may_be_a_number_and_a_count_a_text(
    keys: dict[str, Any], body: object, record: str | None, count: int | None
) -> None:
    """Names are texts or whole numbers; counts are numbers, also in texts, or the members of a list; true is 1."""
    one = read(reader(**keys), 201, body)
    assert (one.record, one.count) == (record, count)


def test_a_fingerprint_may_be_a_number_too() -> None:
    """What an answer tells of the signal's identity is a text from then on."""
    assert reader().fingerprint(Raw(200, b'{"fingerprint": 5}')) == "5"
    assert reader().fingerprint(Raw(200, b"{}")) is None


def learned(by: Reader, *answers: tuple[int, object]) -> Reader:
    """Let a reader learn of requests one after another."""
    by.learn([read(by, status, body) for status, body in answers])
    return by


NAMED, OTHER, NAMELESS = {"remediationRequestName": "r"}, {"remediationRequestName": "s"}, {"ok": True}


@pytest.mark.parametrize(
    ("answers", "unreported", "nameless"),
    [
        ([], [], []),
        ([(201, NAMED), (202, NAMED)], [], [200, 201, 202]),
        ([(201, NAMED), (202, NAMELESS)], ["names"], [201]),
        ([(201, NAMELESS), (202, NAMELESS)], ["names"], []),
        ([(201, NAMED), (201, NAMED)], ["created"], [200, 201, 202]),
        ([(202, NAMED), (202, NAMED)], [], [200, 201, 202]),
        ([(201, NAMED), (201, OTHER)], [], [200, 201, 202]),
        ([(201, NAMELESS), (201, NAMELESS)], ["created", "names"], []),
        ([(429, NAMELESS), (500, NAMELESS)], [], []),
    ],
)
def test_what_answers_tell_is_learned_from_requests_one_after_another(
    answers: list[tuple[int, object]], unreported: list[str], nameless: list[int]
) -> None:
    """Where each such answer says created none tells it; where one names no record that is no fault of its like."""
    by = learned(reader(), *answers)
    assert sorted(by.unreported([])) == unreported
    assert [status for status in (200, 201, 202, 409) if read(by, status, NAMELESS).nameless] == nameless


def test_an_empty_name_is_none() -> None:
    """As of a field that was never set; where that is usual it is no fault."""
    empty = {"remediationRequestName": ""}
    assert read(learned(reader(), (201, NAMED), (202, NAMED)), 202, empty).nameless
    assert not read(learned(reader(), (201, NAMED), (202, empty)), 202, empty).nameless


def test_answers_that_say_both_tell_neither() -> None:
    """Equal forms never tell created from duplicate, others only not in a run in which both fit an answer."""
    assert reader(created=200, duplicate=[200]).unreported([]) == {"created"}
    both = reader(created=201, duplicate=[200, 201], record=None)
    assert both.unreported([read(both, 200)]) == {"names"}
    assert both.unreported([read(both, 200), read(both, 201)]) == {"names", "created"}


def test_the_status_of_sequential_answers_may_be_made_normal() -> None:
    """What else is no error can be added to what the target lists."""
    by = reader(retry_later={"status": [503], "body": {"busy": True}})
    assert [read(by, status).normal for status in (201, 503, 500)] == [True, True, False]
    by.normal.add(500)
    assert read(by, 500).normal
