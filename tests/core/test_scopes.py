"""What a generated value is equal within."""

from __future__ import annotations

import pytest

from stress.core.patterns import Shown, learn
from stress.core.scopes import Made, made

NOW = 1_800_000_000.0
FLEETING = "0f8b4c1e-7d2a-4e7b-9a51-%012x"


class Run:
    """Sequential requests, each on its replica: what they send, what the store says, and when, a hundredth apart."""

    def __init__(self, begun: float = 0.0, seconds: float = 0.01) -> None:
        """Begin ``begun`` seconds after the others' beginning; ``seconds`` pass with each command."""
        self.shown: dict[str, list[Shown]] = {}
        self._now, self._seconds = NOW + begun, seconds

    def __call__(self, actor: str, words: str, reply: str = "OK", replica: int = 1) -> Run:
        """Show one command; its first word names an object."""
        self._now += self._seconds
        one = Shown(tuple(words.split()), frozenset({1}), self._now, replica, repr([reply]))
        self.shown.setdefault(actor, []).append(one)
        return self


def scopes(*runs: Run, turned: tuple[Run, ...] = ()) -> list[tuple[str, str]]:
    """Give the first sample of each value with its scope."""
    samples = [run.shown for run in runs]
    found = made(samples, learn(samples, NOW), NOW, [run.shown for run in turned])
    return [(one.values[0], one.scope) for one in found]


def test_a_value_is_of_who_showed_it_first() -> None:
    """What another request received from the store and shows is still the first one's; all of its places are one."""
    runs = []
    for number in (1041, 1051, 1061):
        run = Run()("A", f"SET job:{number} {number + 1}")("A answer", f"record rr-{number}")
        runs.append(run("B", "GET latest", f"rr-{number}")("B answer", f"record rr-{number}"))
    samples = [run.shown for run in runs]
    assert made(samples, learn(samples, NOW), NOW) == [
        Made("SET", 1, ("1041", "1051", "1061"), "request"),
        Made("SET", 2, ("1042", "1052", "1062"), "request"),
    ]


@pytest.mark.parametrize(
    "values",
    [
        "01JXYZABCDK3M9QRTV5WXY0001 01JXYZABCDZ8N2PQRSTVWX9002 01JXYZABCE4H6J8KMNPQRS7003 01JXYZABCE9ABCDEFGHJKM5004",
        "1b9d6bcd 00314159 c0ffee11 27182818",
        "V1StGXR8_Z5jdHi6B-myT Uakgb_J5m9g-0JDMbcJqL 4f90d13a42_-ABCDEFGHI qX-1_zzPQ8rT5uV2wY7aB",
        "k3x9qa 7zz1mp 0ab4kd wq8r2t",
        "1800000000001 1800000000017 1800000000093 1800000000108",
        "1800000000001000001 1800000000017000040 1800000000093007000 1800000000108000900",
        "1041 1042 1043 1044",
        "alert-x7f2k alert-9wq4d alert-bbbbb alert-z2k8m",
    ],
)
def test_a_value_that_each_request_makes_is_the_requests_whatever_its_shape(values: str) -> None:
    """ULIDs, hex digits, nanoids, base 36, times in ms and ns, counts that go on from run to run, random suffixes."""
    made_up = values.split()
    runs = [Run()("A", f"SET job:{one} x")("B", f"SET job:{other} x") for one, other in (made_up[:2], made_up[2:])]
    assert [scope for _, scope in scopes(*runs)] == ["request", "request"]


@pytest.mark.parametrize("value", [FLEETING, "%08x", "%06d"])
def test_a_value_of_the_run_is_shown_by_each_request_and_by_none_of_another_run(value: str) -> None:
    """All samples are of one second, so that it is not the second's; a shape alone says nothing."""
    runs = [Run()("A", f"SET run:{value % at} x")("B", f"SET run:{value % at} x") for at in (3_000, 4_711, 5_000)]
    assert scopes(*runs) == [(value % 3_000, "run")]


@pytest.mark.parametrize("value", [FLEETING, "%06d", "1800000%03d"])
def test_a_value_of_the_second_is_that_of_all_runs_of_the_second(value: str) -> None:
    """It is no nondeterministic input, although two of three samples have it in common."""
    runs = [
        Run(begun)("A", f"SET w:{value % second} x")("B", f"SET w:{value % second} x")
        for begun, second in ((0.0, 0), (1.0, 1), (1.5, 1))
    ]
    assert scopes(*runs) == [(value % 0, "second")]
    assert learn([run.shown for run in runs], NOW).unsure == ()


def test_samples_of_as_many_seconds_do_not_tell_a_second_from_a_run() -> None:
    """Both are named where each sample was of a second of its own."""
    runs = [Run(at)("A", f"SET w:{4711 + at} x")("B", f"SET w:{4711 + at} x") for at in (0, 1, 2)]
    assert scopes(*runs) == [("4711", "run or second")]


@pytest.mark.parametrize("value", [FLEETING, "%08x", "%d", "pod-%d"])
def test_a_value_of_the_replica_is_that_of_the_one_that_it_answers(value: str) -> None:
    """The same request shows the other value once it goes to the other replica; without that, it may be its own."""
    one, other = value % 4711, value % 5022
    runs = [Run()("A", f"SET by:{one} x")("B", f"SET by:{other} x", replica=2) for _ in range(3)]
    turned = Run()("A", f"SET by:{other} x", replica=2)("B", f"SET by:{one} x")
    found = [(text.removeprefix("by:"), scope) for text, scope in scopes(*runs, turned=(turned,))]
    assert found == [(one, "replica"), (other, "replica")]
    assert value == FLEETING or scopes(*runs) == []


def test_a_word_that_is_a_requests_is_no_replicas() -> None:
    """What each request counts for itself is the same on every replica; what all have in common is data."""
    runs = [Run()("A", "SET hits 1")("B", "SET hits 2", replica=2) for _ in range(3)]
    assert scopes(*runs, turned=(Run()("A", "SET hits 1", replica=2)("B", "SET hits 2"),)) == []


@pytest.mark.parametrize("value", [FLEETING, "%08x", "%d", "1800000%03d-0"])
def test_what_the_store_sent_first_is_the_stores(value: str) -> None:
    """A number that INCR gave, the id of a stream's entry, a uid: also where requests go on to send it."""
    runs = [
        Run()("A", "INCR seq", value % at)("A", f"SET rec:{value % at} x")("B", f"GET rec:{value % at}")
        for at in (31, 41, 57)
    ]
    assert [scope for _, scope in scopes(*runs)] == ["store"]


def test_what_is_in_replies_alone_is_the_stores() -> None:
    """A version that no request sends back is named with the command whose reply has it; a request's value is not."""
    runs = [
        Run()("A", f"create alerts/a-{at}", f"a-{at} version {at * 3}")("B", "list alerts", f"a-{at} version {at * 3}")
        for at in (1041, 1051, 1061)
    ]
    samples = [run.shown for run in runs]
    assert made(samples, learn(samples, NOW), NOW) == [
        Made("create", 1, ("1041", "1051", "1061"), "request"),
        Made("create", 0, ("3123", "3153", "3183"), "store"),
    ]


def test_what_is_sometimes_equal_is_a_nondeterministic_input() -> None:
    """Two of three runs of one second have it in common, or two requests of one run."""
    for numbers in (("1041", "1041", "1042"), ("1041 1041", "1042 1043", "1044 1045")):
        runs = []
        for pair in numbers:
            run = Run()
            for actor, number in zip("AB", pair.split(), strict=False):
                run(actor, f"SET job:{number} x")
            runs.append(run)
        assert scopes(*runs)[0] == ("1041", "sometimes equal")
