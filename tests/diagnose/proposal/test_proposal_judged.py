"""What the replies to requests one after another say of the key `answers`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from stress.diagnose.proposal.asking import Reply, Round
from stress.diagnose.proposal.judged import answers_of

if TYPE_CHECKING:
    from collections.abc import Callable

FRESH = ("f0", "f1", "f2")


def rounds(reply: Callable[[str, int], tuple[int, object, dict[str, str]]]) -> list[Round]:
    """Make three rounds of three requests; ``reply`` gives status, body and headers by the round and the number."""
    made = []
    for fresh in FRESH:
        replies = [reply(fresh, at) for at in range(3)]
        answers = [
            Reply(one, headers, body if isinstance(body, str) else json.dumps(body)) for one, body, headers in replies
        ]
        made.append(Round(fresh, answers))
    return made


@pytest.mark.parametrize(
    ("reply", "answers"),
    [
        (
            lambda fresh, at: (201 if at == 0 else 200, {"id": f"made-{fresh}", "key": fresh, "n": at + 1}, {}),
            {"created": 201, "duplicate": 200, "record": "id", "count": "n"},
        ),
        (
            lambda fresh, at: (200, {"state": "old" if at else "new", "job": {"key": fresh}}, {}),
            {"created": {"status": 200, "body": {"state": "new"}}, "duplicate": 200, "record": "job.key"},
        ),
        (
            lambda fresh, at: (200, {"id": fresh} | ({"again": True} if at else {}), {}),
            {"created": 200, "duplicate": {"status": 200, "body": {"again": True}}, "record": "id"},
        ),
        (
            lambda fresh, at: (200, f"t-{fresh}", {"x-replayed": "true"} if at else {}),
            {"created": 200, "duplicate": {"status": 200, "headers": {"x-replayed": "true"}}, "record": "."},
        ),
        (
            lambda fresh, at: (200, {"page": fresh, "visits": at + 1}, {}),
            {"created": {"status": 200, "body": {"visits": 1}}, "duplicate": 200, "record": "page", "count": "visits"},
        ),
        (
            lambda _, at: (200, "", {}) if at == 0 else (423, "", {}),
            {"created": 200, "duplicate": 423, "record": None},
        ),
        (
            lambda fresh, at: (200, f"sold {fresh}", {}) if at == 0 else (409, "", {}),
            {"created": 200, "duplicate": 409, "record": None},
        ),
        (
            lambda _, at: (200 if at < 2 else 429, "", {"content-length": str(at)}),
            {"created": 200, "duplicate": 200, "retry_later": [429], "record": None},
        ),
        (lambda fresh, _: (200, {"id": fresh}, {}), {"created": 200, "duplicate": 200, "record": "id"}),
    ],
    ids=["status", "field", "new-field", "header", "count", "lock", "refused", "limiter", "alike"],
)
def test_how_answers_are_read_is_found(
    reply: Callable[[str, int], tuple[int, object, dict[str, str]]], answers: dict[str, object]
) -> None:
    """By status, by a field or a header, by the count; a name that the service made goes before one it was sent."""
    assert answers_of(rounds(reply)).answers == answers


def test_what_can_not_be_reported_is_said() -> None:
    """Answers that are alike tell no creation, and one that has another id each time no result."""
    alike = answers_of(rounds(lambda fresh, _: (200, {"id": fresh}, {})))
    assert alike.open == ("no answer says whether it made the record or found it there",)
    ids = iter(range(100))
    other = answers_of(rounds(lambda _, at: (200 + at, {"id": f"x{next(ids)}"}, {})))
    assert other.open[-1] == "each answer has another id, also to the same request"
