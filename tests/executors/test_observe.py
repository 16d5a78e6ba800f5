"""Reading replies and answers."""

from __future__ import annotations

from stress.executors.observe import field, shown

DEEP: object = b"x"
for _ in range(50_000):
    DEEP = [DEEP]


def test_a_reply_nested_deep_is_shown_cut() -> None:
    """What is nested more than 32 deep is shown as three dots."""
    assert shown(DEEP, str) == "[...]"
    assert shown([b"a", [1, None]], str) == "[a [1 nil]]"


def test_a_body_nested_deep_is_no_json() -> None:
    """A body that is nested too deep to be read has no field."""
    assert field("[" * 100_000, "a") is None
    assert field('{"a": {"b": 1}}', "a.b") == 1
