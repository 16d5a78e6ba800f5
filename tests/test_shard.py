"""Shards of a run: each pair in exactly one, all about as heavy, and targets together where that costs nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from commands import stress
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import Class, Program, Run, class_of, everything, up_to_names
from test_dpor import FUSED, PROGRAMS, get_set, of, own_object, random_programs, waits, writes

from stress.batch import Job, Where, part_of
from stress.core.registry import SCHEDULERS
from stress.explore.auto import Auto
from stress.explore.base import Search
from stress.explore.dependence import Dependence, effects
from stress.explore.dpor import Dpor
from stress.explore.exhaustive import Exhaustive
from stress.explore.part import Part
from stress.explore.starve import Starve
from stress.formats import bundled
from stress.search import Limits
from stress.shard import Shard, places, too_heavy
from stress.step import Move
from stress.verdict import Evidence, judge

if TYPE_CHECKING:
    from pathlib import Path

    from stress.trace import Trace

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


@pytest.mark.unmeasured
@settings(max_examples=PROGRAMS // 2)
@given(random_programs(), all_parts())
def test_the_parts_of_a_search_have_each_class_once(drawn: tuple[Program, list[str]], parts: list[Part]) -> None:
    """The classes of all parts together are those of the whole search, and none is in two parts."""
    program, _ = drawn
    whole = classes_of(program, Dpor(CLEANS, stays=True))
    found = [one for part in parts for one in classes_of(program, Dpor(CLEANS, stays=True, part=part))]
    assert (len(found), set(found)) == (len(whole), set(whole))


@pytest.mark.unmeasured
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


@pytest.mark.unmeasured
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


@pytest.mark.unmeasured
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


@pytest.mark.parametrize(
    ("moves", "done", "fused", "alike", "ways"),
    [
        ("A start, B start, A GET k", False, False, False, 3),
        ("A start, B start, A GET k", False, True, False, 2),
        ("A GET k, B GET k, B SET k", False, False, True, 2),
        ("A GET k, clock clock", False, False, False, 1),
        ("cleanup cleanup", True, False, False, 2),
        ("clock clock", False, False, False, 1),
    ],
)
def test_the_ways_to_begin_are_counted_alike_with_and_without_the_clock(
    moves: str,
    done: bool,  # noqa: FBT001 - a column
    fused: bool,  # noqa: FBT001 - a column
    alike: bool,  # noqa: FBT001 - a column
    ways: int,
) -> None:
    """Each move but the clock is one, and the end; starts are one together if fused, and so is each kind if alike."""
    offered = [
        Move(actor, command, key) for actor, command, key in (f"{one} ".split(" ")[:3] for one in moves.split(", "))
    ]
    assert Part(1, 2, fused, alike).ways(5, offered, done=done) == 5 * ways


def test_few_orders_of_other_parts_are_run_where_every_order_is() -> None:
    """Of 90 orders each part runs its own, and no more of another than there are beginnings."""
    program = Program(of([get_set] * 3))
    split = [Exhaustive(fused=False, part=Part(number, 2, beginnings=2)) for number in (1, 2)]
    assert [len(orders_of(program, every)) for every in split] == [42, 48]
    assert [every.foreign for every in split] == [2, 1]


@pytest.mark.parametrize("name", ["walk", "pct", "urw", "surw"])
def test_each_part_draws_orders_of_its_own_and_the_same_ones_again(name: str) -> None:
    """The same seed draws the same in a part, and something else in each other one."""
    program = Program(of([get_set] * 4))

    def drawn(seed: int, part: Part | None) -> list[list[Move]]:
        sampler = SCHEDULERS[name].make(Search(CLEANS, effects, Limits(1, 1, seed, part=part).drawing(), part=part))
        found = []
        for _ in range(10):
            sampler.more()
            run = Run(program)
            run.follow(sampler)
            sampler.learn(run.trace())
            found.append(run.taken)
        return found

    draws = [drawn(7, None), drawn(7, Part(1, 2)), drawn(7, Part(2, 2)), drawn(8, Part(1, 2))]
    assert draws == [drawn(7, None), drawn(7, Part(1, 2)), drawn(7, Part(2, 2)), drawn(8, Part(1, 2))]
    assert all(one != other for at, one in enumerate(draws) for other in draws[:at])


def test_no_two_parts_share_a_seed() -> None:
    """Whatever seeds their users name, and however far they count on."""
    seeds = [
        Limits(1, 1, seed, part=Part(number, 3)).drawing(more)
        for seed, more in ((0, 0), (0, 1), (2, 0))
        for number in (1, 2, 3)
    ]
    assert sorted(seeds) == list(range(9))


def test_victims_are_dealt_out() -> None:
    """Each of five who can starve does so in one part; all learn from a first order."""
    program = Program(of([get_set] * 5))

    def victims(part: Part | None) -> list[str | None]:
        starve, found = Starve(part=part), []
        while starve.more():
            starve.learn(program.run(starve))
            found.append(starve.victim)
        return found

    assert [victims(part) for part in (None, Part(1, 2), Part(2, 2))] == [
        [None, "A", "B", "C", "D", "E"],
        [None, "A", "C", "E"],
        [None, "B", "D"],
    ]


@pytest.mark.unmeasured
@settings(max_examples=PROGRAMS // 4)
@given(random_programs(), all_parts())
def test_hunting_in_the_first_part_leaves_nothing_out(drawn: tuple[Program, list[str]], parts: list[Part]) -> None:
    """Whatever waits, acts or is alike: the parts come to what brute force does, and have each class once."""
    program, alike = drawn
    possible = dict.fromkeys(program.environment, program.at_most)
    whole = everything(program, CLEANS, alike=alike)
    plain = [Auto(CLEANS, fused=True, possible=possible, part=part) for part in parts]
    found = [everything(program, CLEANS, auto) for auto in plain]
    assert frozenset().union(*(one.classes for one in found)) == whole.classes
    assert all(auto.exhausted for auto in plain)
    assert all(auto.bound is None for auto in plain[1:] if not auto.waits())
    if not any(auto.waits() for auto in plain):
        assert sum(auto.classes or 0 for auto in plain) == len(whole.classes)
    named = [Auto(CLEANS, fused=True, possible=possible, alike=alike, part=part) for part in parts]
    renamed = [everything(program, CLEANS, auto, alike).renamed_finals for auto in named]
    assert frozenset().union(*renamed) == whole.renamed_finals


def test_a_request_that_waits_is_searched_in_parts_as_well() -> None:
    """Where starts are moves too, all orders are run once between the parts, those of the hunt not for others."""
    program = Program({"A": writes("x"), "B": waits("x"), "C": writes("y")}, starts=True)
    split = [Auto(FUSED, fused=True, possible={}, part=Part(number, 2, fused=True)) for number in (1, 2)]
    found = [everything(program, FUSED, auto) for auto in split]
    whole = everything(program, FUSED)
    assert found[0].classes | found[1].classes == whole.classes
    assert [auto.waits() for auto in split] == [True, True]
    assert sum(auto.total or 0 for auto in split) == whole.orders


def test_only_a_pair_that_is_too_heavy_is_split() -> None:
    """It weighs more than all do in the mean of a shard; so one is wherever there are fewer pairs than shards."""
    assert too_heavy([2, 2], 2) == [False, False]
    assert too_heavy([2, 2], 3) == [True, True]
    assert too_heavy([32, 2, 2], 2) == [True, False, False]
    assert too_heavy([32, 2, 2], 1) == [False, False, False]


def test_only_what_is_searched_on_the_wire_alone_and_has_to_hold_is_split() -> None:
    """The model takes less time than to find the parts, and a search ends with the race that is expected."""
    jobs = [Job.load("expiry", name) for name in ("redis-atomic", "redis-store-overwrite")]
    wire = [part_of(jobs, Shard(number, 3), Where("wire")) for number in (1, 2, 3)]
    told = [[(job.target.name, job.part) for job in own] for own in wire]
    racy = ("redis-store-overwrite", None)
    assert told == [
        [("redis-atomic", Part(1, 3)), racy],
        [("redis-atomic", Part(2, 3))],
        [("redis-atomic", Part(3, 3))],
    ]
    both = [part_of(jobs, Shard(number, 3)) for number in (1, 2, 3)]
    assert [[(job.target.name, job.part) for job in own] for own in both] == [[("redis-atomic", None)], [racy], []]


def test_two_shards_of_one_pair_run_its_classes_on_the_wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each class of the whole search is in one of them, and each says that it has exhausted its part alone."""
    found: list[Class] = []

    class Noting(Dpor):
        def learn(self, trace: Trace) -> None:
            before = self.explored
            super().learn(trace)
            if self.explored > before:
                found.append(class_of(effects(trace), Dependence(fused=True, precedence=True)))

    monkeypatch.setattr("stress.strategy.Dpor", Noting)
    text = (bundled("") / "expiry.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(text + "search: {explorer: dpor, orders: 1000, seconds: 60}\n")
    words = ("run", "mine.yaml", "--target", "redis-atomic", "--world", "wire", "--json", "--profile", "nightly")
    whole = json.loads(stress(tmp_path, *words).out)[0]["search"]
    classes, found[:] = list(found), []
    said = [json.loads(stress(tmp_path, *words, "--shard", shard).out)[0] for shard in ("1/2", "2/2")]
    assert (len(found), set(found), whole["classes"]) == (len(classes), set(classes), len(classes))
    assert [(one["verdict"], one["as_expected"], one["search"]["exhausted"]) for one in said] == [
        ("holds", True, False),
        ("holds", True, False),
    ]
    assert [one["search"]["covered"].partition(",")[0] for one in said] == [
        "exhausted part 1 of 2: 11 classes (19 orders)",
        "exhausted part 2 of 2: 5 classes (17 orders)",
    ]
    assert (whole["exhausted"], whole["covered"].partition(",")[0]) == (
        True,
        "exhausted 16 of 16 classes (16 orders)",
    )


@pytest.mark.parametrize(
    ("changes", "told", "holds"),
    [
        (
            {"exhausted_part": True, "classes": 3, "renamed": True},
            "exhausted part 2 of 3: 3 classes up to renaming",
            True,
        ),
        ({"exhausted_part": True}, "exhausted part 2 of 3", True),
        ({"bound": 1}, "part 2 of 3: bounded: every order with up to 1 switch", False),
        ({"classes": 3}, "part 2 of 3: 3 classes of orders, not all", False),
    ],
)
def test_a_part_is_never_said_to_be_all(changes: dict[str, Any], told: str, holds: bool) -> None:  # noqa: FBT001
    """A twin holds for a part that was exhausted, and for nothing less; the words name the part."""
    one = Evidence("wire", "auto", 9, 1.0, part="2/3", **changes)
    assert one.covered.removesuffix(" (9 orders)") == told
    assert (judge([], [one], exhaustively=True).holds, one.exhausted) == (holds, False)
