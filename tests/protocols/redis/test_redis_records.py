"""Reading records and counts out of replies."""

from __future__ import annotations

from stress.protocols.redis.records import stored, texts

DEEP: object = b"x"
for _ in range(50_000):
    DEEP = [DEEP]


def test_a_reply_nested_deep_is_flattened_whole() -> None:
    """The names in a reply are found in their order, at any depth; nil holds none."""
    assert texts([[b"a", [None, [b"b"]]], 3, (b"c",)]) == ["a", "b", "3", "c"]
    assert texts(DEEP) == ["x"]


def test_lists_count_their_members_but_those_that_hold_values() -> None:
    """The reply to LRANGE is counted, the one to HMGET holds the count; a nil there is no number."""
    assert stored(["LRANGE", "k", "0", "-1"], [b"7"]) == 1
    assert stored(["hmget", "k", "count"], [b"7"]) == 7
    assert stored(["HMGET", "k", "count"], [None]) is None
