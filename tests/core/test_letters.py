"""Schedules in letters: what each word stands for, and what is said of a word that stands for nothing."""

from __future__ import annotations

import re

import pytest

from stress.core.letters import UnknownLetter, letters
from stress.core.schedule import Schedule
from stress.core.step import NEXT, Move


def test_each_word_is_a_move_of_its_actor_to_whatever_comes_next() -> None:
    """Requests and the environment are named as they are; `watch` is of replica 1 and `client` of the last request."""
    text = " A  B clock\nexpiry cleanup writer watch watch:2 client A client client:B "
    environment = ["clock", "expiry", "cleanup", "writer", "watch:1", "watch:2"]
    actors = ["A", "B", *environment, "client:B", "A", "client:A", "client:B"]
    assert letters(text, 2) == tuple(Move(actor, NEXT, "") for actor in actors)
    assert Schedule(letters("A A clock B B")).actors == "A A clock B B"
    assert str(letters("clock")[0]) == "clock"


@pytest.mark.parametrize(
    ("text", "requests", "message"),
    [
        ("A A colck B", 2, "word 3, at character 5: 'colck' names no actor (allowed: A to B, "),
        ("A\tC", 2, "word 2, at character 3: 'C' names no actor (allowed: A to B, "),
        ("B", 1, "word 1, at character 1: 'B' names no actor (allowed: A, "),
        ("client A", 2, "word 1, at character 1: 'client' hangs up no request, as none was sent before (allowed: "),
        ("A client:B", 1, "word 2, at character 3: 'client:B' names no actor (allowed: "),
        ("A watch:0", 1, "word 2, at character 3: 'watch:0' names no actor (allowed: "),
        (" ", 2, "the schedule has no word (allowed: A to B, "),
    ],
)
def test_a_word_that_names_no_actor_is_reported_with_its_place(text: str, requests: int, message: str) -> None:
    """The first such word is named with its number, its character and all that is allowed."""
    with pytest.raises(UnknownLetter, match=re.escape(message)) as caught:
        letters(text, requests)
    assert caught.value.hint.endswith(", clock, expiry, cleanup, writer, watch, watch:2, client, client:A")
