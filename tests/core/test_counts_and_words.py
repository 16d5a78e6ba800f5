"""Values as files, stores and answers write them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stress.core.values import number, word


def test_a_count_is_a_whole_number_or_how_many_members_there_are() -> None:
    """Whole numbers count also as text and as fractions, members are counted, and nothing else is a number."""
    assert [number(one) for one in (b"3", "4", 5, True, None, "x", 6.0, float("nan"), [])] == [
        *(3, 4, 5, 1, None, None, 6, None, 0)
    ]


@given(st.integers())
def test_a_number_is_written_alike_wherever_it_stands(value: int) -> None:
    """A number, its text and a whole fraction are one word in a file."""
    assert word(value) == word(str(value)) == str(value)
    assert number(str(value)) == value
