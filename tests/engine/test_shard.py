"""Shards of a run: each case in exactly one, all about as heavy, and targets together where that costs nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stress.engine.shard import Shard, places

CASES = st.lists(st.tuples(st.integers(1, 80), st.sampled_from("abcd")), max_size=40)


@given(CASES, st.integers(1, 12))
def test_the_shards_are_a_partition_of_the_cases(cases: list[tuple[int, str]], shards: int) -> None:
    """Each case has one shard, and the heaviest shard outweighs the lightest by no more than one case."""
    weights = [weight for weight, _ in cases]
    found = places(weights, [group for _, group in cases], shards)
    members = [[at for at, place in enumerate(found) if place == number] for number in range(1, shards + 1)]
    assert sorted(at for shard in members for at in shard) == list(range(len(cases)))
    loads = [sum(weights[at] for at in shard) for shard in members]
    assert max(loads) - min(loads) <= max(weights, default=0)


@given(CASES, st.integers(1, 12))
def test_the_same_cases_are_split_alike_everywhere(cases: list[tuple[int, str]], shards: int) -> None:
    """What the groups are called makes no difference, so that every job splits the run in the same way."""
    weights = [weight for weight, _ in cases]
    found = places(weights, [group for _, group in cases], shards)
    assert found == places(weights, [ord(group) for _, group in cases], shards)


@pytest.mark.parametrize(
    ("weights", "groups", "shards", "found"),
    [
        ([2, 2, 2, 2], "abab", 2, [1, 2, 1, 2]),
        ([2, 2, 2, 2], "aabb", 2, [1, 1, 2, 2]),
        ([2, 2, 2, 2], "aaab", 2, [1, 1, 2, 2]),
        ([32, 2, 2, 2], "aabb", 2, [1, 2, 2, 2]),
        ([5, 4, 3, 3, 3], "abcab", 2, [1, 2, 2, 1, 2]),
        ([2, 2], "ab", 3, [1, 2]),
        ([], "", 2, []),
    ],
)
def test_cases_of_a_target_stay_together_where_that_costs_no_balance(
    weights: list[int], groups: str, shards: int, found: list[int]
) -> None:
    """Equal cases change places for it, and a shard is never made heavier for it."""
    assert places(weights, groups, shards) == found


@pytest.mark.parametrize(("text", "shard"), [("1/1", (1, 1)), ("2/3", (2, 3)), ("10/12", (10, 12))])
def test_a_shard_is_written_as_its_number_of_all(text: str, shard: tuple[int, int]) -> None:
    """It is read as it is written."""
    assert Shard.parse(text) == shard
    assert str(Shard.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0/3", "there is no shard 0 of 3: they are 1/3 to 3/3"),
        ("4/3", "there is no shard 4 of 3: they are 1/3 to 3/3"),
        ("1/0", "there are no 0 shards: write NUMBER/OF, such as 1/3"),
        ("x/y", "'x/y' is no shard: write NUMBER/OF, such as 1/3"),
        ("1", "'1' is no shard: write NUMBER/OF, such as 1/3"),
        ("-1/3", "'-1/3' is no shard: write NUMBER/OF, such as 1/3"),
        ("", "'' is no shard: write NUMBER/OF, such as 1/3"),
    ],
)
def test_what_is_no_shard_is_reported(text: str, message: str) -> None:
    """A number that is not among them and what is no number are each one clear line."""
    with pytest.raises(ValueError, match="shard") as raised:
        Shard.parse(text)
    assert str(raised.value) == message
