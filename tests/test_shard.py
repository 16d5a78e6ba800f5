"""Shards of a run: each pair in exactly one, all about as heavy, and targets together where that costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import Class, Program, Run, class_of, everything, up_to_names
from test_dpor import FUSED, PROGRAMS, get_set, of, own_object, random_programs

from stress.explore.dependence import Dependence, effects
from stress.explore.dpor import Dpor
from stress.explore.exhaustive import Exhaustive
from stress.explore.part import Part
from stress.shard import Shard, places

if TYPE_CHECKING:
    from stress.step import Move

PAIRS = st.lists(st.tuples(st.integers(1, 80), st.sampled_from("abcd")), max_size=40)


@given(PAIRS, st.integers(1, 12))
def test_the_shards_are_a_partition_of_the_pairs(pairs: list[tuple[int, str]], shards: int) -> None:
    """Each pair has one shard, and the heaviest shard outweighs the lightest by no more than one pair."""
    weights = [weight for weight, _ in pairs]
    found = places(weights, [group for _, group in pairs], shards)
    members = [[at for at, place in enumerate(found) if place == number] for number in range(1, shards + 1)]
    assert sorted(at for shard in members for at in shard) == list(range(len(pairs)))
    loads = [sum(weights[at] for at in shard) for shard in members]
    assert max(loads) - min(loads) <= max(weights, default=0)


@given(PAIRS, st.integers(1, 12))
def test_the_same_pairs_are_split_alike_everywhere(pairs: list[tuple[int, str]], shards: int) -> None:
    """What the groups are called makes no difference, so that every job splits the run in the same way."""
    weights = [weight for weight, _ in pairs]
    found = places(weights, [group for _, group in pairs], shards)
    assert found == places(weights, [ord(group) for _, group in pairs], shards)


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
def test_pairs_of_a_target_stay_together_where_that_costs_no_balance(
    weights: list[int], groups: str, shards: int, found: list[int]
) -> None:
    """Equal pairs change places for it, and a shard is never made heavier for it."""
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
def test_what_is_no_shard_is_told(text: str, message: str) -> None:
    """A number that is not among them and what is no number are each one clear line."""
    with pytest.raises(ValueError, match="shard") as told:
        Shard.parse(text)
    assert str(told.value) == message


# --- a part of one search ----------------------------------------------------------------------------

CLEANS = Dependence(fused=True, writes={"cleanup": ("x", "y")})


@st.composite
def all_parts(draw: st.DrawFn) -> list[Part]:
    """Draw into how many parts a search is split, and how finely."""
    of, fused, alike = draw(st.integers(2, 4)), draw(st.booleans()), draw(st.booleans())
    beginnings = draw(st.sampled_from([1, 2, 8]))
    return [Part(number, of, fused, alike, beginnings) for number in range(1, of + 1)]


def classes_of(program: Program, dpor: Dpor, dependence: Dependence = CLEANS) -> list[Class]:
    """Run a search to its end; give the class of each order that is not redundant or of another part."""
    found = []
    while dpor.more():
        run, before = Run(program), dpor.explored
        run.follow(dpor)
        dpor.learn(trace := run.trace())
        if dpor.explored > before:
            found.append(class_of(effects(trace), dependence))
    assert dpor.exhausted
    return found


def orders_of(program: Program, every: Exhaustive) -> list[tuple[Move, ...]]:
    """Run a search to its end; give each order that is not of another part."""
    found = []
    while every.more():
        run, before = Run(program), every.orders
        run.follow(every)
        every.learn(run.trace())
        if every.orders > before:
            found.append(tuple(run.taken))
    assert every.exhausted
    return found


@settings(max_examples=PROGRAMS // 2)
@given(random_programs(), all_parts())
def test_the_parts_of_a_search_have_each_class_once(drawn: tuple[Program, list[str]], parts: list[Part]) -> None:
    """The classes of all parts together are those of the whole search, and none is in two parts."""
    program, _ = drawn
    whole = classes_of(program, Dpor(CLEANS, stays=True))
    found = [one for part in parts for one in classes_of(program, Dpor(CLEANS, stays=True, part=part))]
    assert (len(found), set(found)) == (len(whole), set(whole))


@settings(max_examples=PROGRAMS // 2)
@given(random_programs(), all_parts(), st.booleans())
def test_the_parts_of_a_search_of_every_order_have_each_once(
    drawn: tuple[Program, list[str]],
    parts: list[Part],
    fused: bool,  # noqa: FBT001 - drawn
) -> None:
    """The orders of all parts together are those of the whole search, and none is in two parts."""
    program, _ = drawn
    whole = orders_of(program, Exhaustive(fused=fused))
    found = [one for part in parts for one in orders_of(program, Exhaustive(fused=fused, part=part))]
    assert (len(found), set(found)) == (len(whole), set(whole))


@settings(max_examples=PROGRAMS // 4)
@given(random_programs(), all_parts())
def test_identical_requests_are_interchangeable_in_each_part(
    drawn: tuple[Program, list[str]], parts: list[Part]
) -> None:
    """Up to the names of requests all parts together come to what the whole search comes to."""
    program, alike = drawn
    whole = everything(program, CLEANS, Dpor(CLEANS, alike=alike), alike)
    found = [everything(program, CLEANS, Dpor(CLEANS, alike=alike, part=part), alike) for part in parts]
    assert frozenset().union(*(one.renamed_finals for one in found)) == whole.renamed_finals


@settings(max_examples=PROGRAMS // 4)
@given(random_programs(), all_parts())
def test_where_one_part_runs_every_order_and_the_others_do_not_nothing_is_lost(
    drawn: tuple[Program, list[str]], parts: list[Part]
) -> None:
    """Only one part may see that a request waits for another: what it has does not depend on how it is searched."""
    program, _ = drawn
    whole = everything(program, CLEANS)
    found = everything(program, CLEANS, Exhaustive(fused=False, part=parts[0])).classes
    for part in parts[1:]:
        found |= everything(program, CLEANS, Dpor(CLEANS, stays=True, part=part)).classes
    assert found == whole.classes


def test_a_large_search_is_split_about_evenly() -> None:
    """Of 576 classes each of three parts has about a third, for few runs more; so it is with identical requests."""
    program = Program(of([get_set] * 4))
    split = [Dpor(FUSED, part=Part(number, 3)) for number in (1, 2, 3)]
    found = [classes_of(program, dpor, FUSED) for dpor in split]
    assert ([len(one) for one in found], len(set().union(*found))) == ([188, 154, 234], 576)
    assert [(dpor.foreign, dpor.redundant) for dpor in split] == [(19, 0), (20, 0), (17, 0)]
    named = [Dpor(FUSED, alike="ABCD", rename=own_object, part=Part(number, 2, alike=True)) for number in (1, 2)]
    both = set().union(*(classes_of(program, dpor, FUSED) for dpor in named))
    assert ([dpor.explored for dpor in named], up_to_names(both, "ABCD")) == ([12, 11], 23)
