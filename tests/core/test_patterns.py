"""What is learned of the values that a target makes up."""

from __future__ import annotations

import itertools
import random
import string
import uuid
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stress.core.patterns import Patterns, Shown, Unsure, counterparts, learn
from stress.core.symbols import Names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Make = Callable[[random.Random], str]

NOW = 1_800_000_000
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ALL = string.ascii_letters + string.digits
_counter = itertools.count(1041)


def drawn(letters: str, count: int) -> Make:
    """Give a maker of random texts."""
    return lambda draw: "".join(draw.choices(letters, k=count))


def _ms(draw: random.Random) -> int:
    return (NOW + 100) * 1000 + draw.randrange(1000) + next(_counter)


MAKES: dict[str, Make] = {
    "uuid": lambda draw: str(uuid.UUID(int=draw.getrandbits(128), version=4)),
    "uuid of time": lambda draw: f"018f2c3a-7b1c-7{draw.getrandbits(12):03x}-8123-{draw.getrandbits(48):012x}",
    "ulid": lambda draw: "01JXYZABCD" + drawn(CROCKFORD, 16)(draw),
    "hex": lambda draw: f"{draw.getrandbits(32):08x}",
    "digits": drawn(string.digits, 8),
    "snowflake": lambda draw: str(_ms(draw) << 22),
    "nanoid": drawn(ALL + "-_", 21),
    "base64url": drawn(ALL + "-_", 12),
    "base36": drawn(string.ascii_lowercase + string.digits, 6),
    "capitals": drawn(string.ascii_uppercase + string.digits, 10),
    "milliseconds": lambda draw: str(_ms(draw)),
    "nanoseconds": lambda draw: str(_ms(draw) * 1_000_000),
    "counter": lambda _: str(next(_counter)),
    "stream id": lambda draw: f"{_ms(draw)}-0",
}


def sample(*commands: Sequence[str], objects: Sequence[int] = (1,), actor: str = "A") -> dict[str, list[Shown]]:
    """Make what one actor showed in one sample."""
    return {actor: [Shown(tuple(command), frozenset(objects)) for command in commands]}


def learned(*words: str) -> Patterns:
    """Learn from one object that was called so in each sample."""
    return learn([sample(("GET", word)) for word in words], NOW)


def symbols(patterns: Patterns, word: str) -> tuple[str, ...] | None:
    """Give the symbols that an object is seen to hold; None where no pattern fits."""
    match = patterns.match(("GET", "", 1), word)
    return None if match is None else match.groups()


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(MAKES)),
    seed=st.integers(0, 2**32),
    before=st.sampled_from(["", "job:", "rr-{fingerprint:12}-", "a/b_", "{fresh}."]),
    after=st.sampled_from(["", ":lock", "-state", "/status"]),
)
def test_a_further_sample_of_a_generator_is_recognised(kind: str, seed: int, before: str, after: str) -> None:
    """Whatever three samples show, a fourth is matched, and what is literal in it is no symbol."""
    draw = random.Random(seed)
    *first, further = (f"{before}{MAKES[kind](draw)}{after}" for _ in range(4))
    found = symbols(learned(*first), further)
    if kind.startswith("uuid"):  # known by its shape: all words are equal but for it
        assert found is None
    else:
        assert found is not None
        assert not {"job", "rr", "lock", "state", "status"} & {part for one in found for part in one.split("-")}


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(MAKES)),
    seed=st.integers(0, 2**32),
    data=st.lists(st.from_regex(r"(job:)?[0-9a-z]{1,12}", fullmatch=True), min_size=1, max_size=5, unique=True),
)
def test_what_all_samples_have_in_common_is_never_a_symbol(kind: str, seed: int, data: list[str]) -> None:
    """Data stays data beside generated values at the same place, also where its shape looks generated."""
    draw = random.Random(seed)
    each = [sample(*(("GET", word) for word in (*data, f"job:{MAKES[kind](draw)}"))) for _ in range(3)]
    patterns = learn(each, NOW)
    names = Names("", "", NOW, seconds=True, patterns=patterns)
    for word in data:
        assert symbols(patterns, word) is None
        names.meet(("GET", word))
        assert names.replace(word) == word


@pytest.mark.parametrize(
    ("words", "further", "expected"),
    [
        (("job:1041", "job:1042", "job:1043"), "job:9", ("9",)),
        (("job:1041", "job:1042", "job:1043"), "job:lock", None),
        (("job1041", "job1042", "job1051"), "job99", ("99",)),
        (("v2-1041-lock", "v2-1051-lock", "v2-1061-lock"), "v2-7-lock", ("7",)),
        (("k:7:1041:l", "k:7:1042:l", "k:7:1043:l"), "k:8:1044:l", None),
        (("k:1:5e1f0a2b", "k:2:5e9f0a2c", "k:3:5e770a2d"), "k:44:01234567", ("44", "01234567")),
        (("k:abc-d", "k:ab_cd", "k:a-bcd"), "k:_____", ("_____",)),
        (("k:a1b2", "k:c3d4", "k:e5f6"), "k:wxyz", ("wxyz",)),
        (("k:a1b2c3d4", "k:c3d4e5f6", "k:e5f6a7b8"), "k:wxyzwxyz", None),
        (("k:1", "k:1:2", "k:1:2:3"), "k:4", None),
        (("k:", "k:1", "k:2"), "k:4", None),
    ],
)
def test_prefix_and_suffix_stay_and_the_middle_is_the_symbol(
    words: tuple[str, ...], further: str, expected: tuple[str, ...] | None
) -> None:
    """They end at a separator, never within digits; the alphabet and the length of what is no number are kept."""
    assert symbols(learned(*words), further) == expected


def test_values_are_learned_of_the_key_that_they_belong_to() -> None:
    """The time that is left beside one key is generated; a count beside another is data."""
    each = [
        sample(("SET", f"end:{next(_counter)}", "1", "PX", left), ("SET", "count", "2", "PX", "60000"))
        for left in ("59993", "59990", "58001")
    ]
    names = Names("", "", NOW, seconds=True, patterns=learn(each, NOW))
    shown = [("SET", "end:7", "1", "PX", "777"), ("SET", "count", "777", "PX", "60000")]
    for words in shown:
        names.meet(words)
    assert [names.replace(word) for word in shown[0]] == ["SET", "end:{id:1}", "1", "PX", "{number}"]
    assert names.replace("60000") == "60000"
    names.meet(("GET", "end:777"))
    assert names.replace("end:777") == "end:{id:2}"


def test_a_symbol_is_replaced_wherever_it_stands() -> None:
    """What was recognised once in a run is known in each later text, between separators; numbered as it appeared."""
    each = [sample(("GET", f"job:{number}"), ("GET", "shard:1045")) for number in (1041, 1042, 1043)]
    names = Names("", "", NOW, seconds=True, patterns=learn(each, NOW))
    names.meet(("GET", "job:1045"))
    names.meet(("GET", "job:7"))
    assert [names.replace(text) for text in ("job:7", "log:1045:x", "[7 1045]", "21045", "shard:1045")] == [
        "job:{id:2}",
        "log:{id:1}:x",
        "[7 {id:1}]",
        "21045",
        "shard:1045",
    ]


def test_a_text_keeps_the_name_that_it_was_given_first() -> None:
    """An object that was named before its symbol was known is the same object afterwards."""
    names = Names("", "", NOW, seconds=True, patterns=learned("job:1041", "job:1042", "job:1043"))
    assert names.replace("log:1045") == "log:1045"
    names.meet(("GET", "job:1045"))
    assert [names.replace(text) for text in ("log:1045", "old:1045")] == ["log:1045", "old:{id:1}"]


def test_a_name_that_the_server_made_is_known_exactly() -> None:
    """Of a generateName the rest is the symbol, in whatever text it stands."""
    names = Names("", "f00", NOW, seconds=True)
    names.generated("alert-f00-", "x7f2k")
    names.generated("alert-f00-", "bbbbb")
    names.generated("alert-f00-", "x7f2k")
    assert names.replace("alerts/ns/alert-f00-bbbbb") == "alerts/ns/alert-{fresh}-{id:2}"
    assert names.replace("alert-f00-x7f2k alert-f00-x7f2kk") == "alert-{fresh}-{id:1} alert-{fresh}-x7f2kk"


def test_two_records_of_one_second_stay_two() -> None:
    """Names of records differ where their milliseconds do, although times of other texts are those of a second."""
    names = Names("", "", NOW, seconds=False)
    assert names.replace(f"at {NOW}001") == "at {time}"
    assert [names.record(f"rr-{NOW}{rest}") for rest in ("001", "002", "001")] == [
        "rr-{id:1}",
        "rr-{id:2}",
        "rr-{id:1}",
    ]


def test_constants_that_look_generated_are_data() -> None:
    """Eight hex digits that all samples have are no symbol, unless they may be the second of the clock."""
    each = [sample(("GET", "shard:deadbeef01"), ("GET", f"at:{NOW + 5:08x}"))] * 3
    names = Names("", "", NOW, seconds=True, patterns=learn(each, NOW))
    texts = ("shard:deadbeef01", "log:deadbeef01", f"at:{NOW + 5:08x}")
    assert [names.replace(text) for text in texts] == ["shard:deadbeef01", "log:deadbeef01", "at:{id:1}"]


def test_what_is_sometimes_equal_is_named() -> None:
    """An object whose name two of three samples have in common is a nondeterministic input."""
    patterns = learned("job:1041", "job:1041", "job:1042")
    assert patterns.unsure == (Unsure("GET", 1, ("job:1041", "job:1041", "job:1042")),)
    assert str(patterns.unsure[0]) == (
        "nondeterministic input: in sequential runs GET was sent with job:1041, job:1041, job:1042"
    )
    records = learn([sample(("record", word)) for word in ("a1", "a1", "a2")], NOW).unsure
    assert str(records[0]) == "nondeterministic input: in sequential runs answers named the record a1, a1, a2"
    assert learned("job:1041", "job:1042", "job:1043").unsure == ()


def test_requests_are_compared_up_to_where_they_went_another_way() -> None:
    """A command that another sample lacks, or has with other words, ends the comparison."""
    each = [
        sample(("GET", "a:1"), (command, "b:1"), ("GET", f"c:{number}"))
        for number, command in enumerate(("GET", "SET", "GET"))
    ]
    patterns = learn(each, NOW)
    assert (patterns.words, patterns.data) == ({}, frozenset({"a:1"}))
    assert learn(each[:1], NOW) == Patterns()


def test_seconds_are_called_times_whether_or_not_the_samples_crossed_one() -> None:
    """What a key is called does not depend on when the samples were taken; the rest of it is learned."""
    for seconds in ((0, 0, 0), (0, 0, 1)):
        patterns = learned(*(f"at:{NOW + second}-{next(_counter)}" for second in seconds))
        names = Names("", "", NOW, seconds=False, patterns=patterns)
        names.meet(("GET", f"at:{NOW + 9}-7"))
        assert names.replace(f"at:{NOW + 9}-7") == "at:{time}-{id:1}"
    assert symbols(learned("k:1234567890", "k:1234567891", "k:1234567892"), "k:7") == ("7",)


@pytest.mark.parametrize("text", ["20270115T080000Z", "20270115080000", "20270115-080000", "20270115_080000"])
def test_times_without_separators_are_times_although_all_samples_are_of_one_second(text: str) -> None:
    """A compact time that three samples have in common is no data; one of another day is."""
    names = Names("", "", NOW, seconds=False, patterns=learned(*[f"at:{text}"] * 3))
    assert names.replace(f"at:{text}") == "at:{time}"
    for other in (text.replace("2027", "2017"), text.replace("0115", "9915")):
        assert names.replace(f"at:{other}") == f"at:{other}"
    assert symbols(learned(*(f"at:{text}-{number}" for number in (1, 2, 3))), f"at:{text}-7") == ("7",)


def test_what_is_another_at_each_start_has_a_name() -> None:
    """The number of a process, or what it calls itself; a part of a number is none, and such a name is no symbol."""
    patterns = learn([sample(("GET", "alive:31279"))] * 3, NOW)
    own = {"31279": "{pid:1}", "4712": "{pid:2}", "77ab12cd": "3fa9c2d1"}
    names = Names("", "", NOW, seconds=True, patterns=patterns, own=own)
    texts = ("alive:31279", "rr:31279-4712", "n:312790", "31279.5", "by:77ab12cd")
    assert [names.replace(text) for text in texts] == [
        "alive:{pid:1}",
        "rr:{pid:1}-{pid:2}",
        "n:312790",
        "31279.5",
        "by:3fa9c2d1",
    ]


def test_what_a_process_calls_itself_is_known_by_where_it_stands() -> None:
    """Only what is kept has a counterpart, and only if it is the same wherever it stands."""
    words = ("by:3fa9c2d1", "3fa9c2d1:log", "shard:deadbeef01", "x:0a0a0a0a", "y:1b1b1b1b")
    kept = {"3fa9c2d1", "deadbeef01", "0a0a0a0a", "1b1b1b1b"}
    others = {"by:77ab12cd", "77ab12cd:log", "shard:deadbeef01", "x:2c2c2c2c", "y:2c2c2c2c", "job:77ab12ff"}
    assert counterparts(words, others, kept) == {"77ab12cd": "3fa9c2d1"}
    assert counterparts(words, others, kept - {"3fa9c2d1"}) == {}


@pytest.mark.parametrize("kind", ["hex", "nanoid", "base36", "ulid"])
def test_what_a_process_made_up_is_known_in_any_alphabet(kind: str) -> None:
    """What is at the same place in another process is its counterpart, beside words that only look so."""
    draw, end = random.Random(f"process-{kind}"), "a1B" if kind == "nanoid" else "a1"
    for _ in range(50):
        own, other = (f"{MAKES[kind](draw)}{end}" for _ in range(2))
        each = [sample(("GET", f"by:{own}"), ("GET", "queue:shard01"), ("GET", "sha256:x"))] * 3
        there = {f"by:{other}", "queue:shard01", "sha256:x"}
        patterns = learn(each, NOW)
        assert counterparts([f"by:{own}", "queue:shard01", "sha256:x"], there, patterns.kept) == {other: own}
        names = Names("", "", NOW, seconds=True, patterns=patterns, own={other: own})
        assert [names.replace(f"seen:{name}:x") for name in (own, other)] == [f"seen:{own}:x"] * 2


def test_a_record_is_called_alike_in_answers_texts_and_state() -> None:
    """A check that looks in a reply for the record of an answer finds it, however short its number is."""
    each = [sample(("record", f"rr-{number}")) for number in (1, 2, 3)]
    names = Names("", "", NOW, seconds=True, patterns=learn(each, NOW))
    shown = names.replace("rr-7 count=3 [rr-8, rr-7]")
    assert shown == "rr-{id:1} count=3 [rr-{id:2}, rr-{id:1}]"
    assert [names.record("rr-7"), names.record("rr-9")] == ["rr-{id:1}", "rr-{id:3}"]
    assert names.replace("rr-8") == "rr-{id:2}"


def test_numbers_that_name_no_object_do_not_make_records_alike() -> None:
    """Two values that are left out of the count are no reason to call two records by one name."""
    each = [sample(("SET", "left", number), objects=(1,)) for number in ("1041", "1042", "1043")]
    names = Names("", "", NOW, seconds=True, patterns=learn(each, NOW))
    for number in ("2041", "2042"):
        names.meet(("SET", "left", number))
        assert names.replace(number) == "{number}"
    assert [names.record(f"rr-{number}") for number in ("2041", "2042")] == ["rr-2041", "rr-2042"]


def test_a_second_that_a_target_received_is_no_name_of_it() -> None:
    """What it reads has `{time}` for a second of which it made no name; one that it has shown keeps its number."""
    names = Names("", "", NOW, seconds=True)
    shown, own = f"seen {int(NOW)}", f"rr-{int(NOW) + 1}"
    assert (names.in_full(shown), names.seconds) == ("seen {time}", ())
    assert (names.replace(own), names.seconds) == ("rr-{time:1}", (int(NOW) + 1,))
    assert names.in_full(f"there is {own}") == "there is rr-{time:1}"


def test_hex_digits_that_happen_to_be_decimal_are_a_symbol_like_others() -> None:
    """Eight of them without a letter are no number: in a replay they have letters, and the step is the same."""
    samples = [
        {"A": [Shown((words[0], *words[1:]), frozenset({1})) for words in [("SET", "latest", value)]]}
        for value in ("3f2a9c1b", "a07be412", "c9d84f60")
    ]
    names = Names("", "", NOW, seconds=True, patterns=learn(samples, NOW))
    for value in ("20951734", "8e01ab3d"):
        names.meet(["SET", "latest", value])
    assert [names.replace(value) for value in ("20951734", "8e01ab3d")] == ["{id:1}", "{id:2}"]
