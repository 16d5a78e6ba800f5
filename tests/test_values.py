"""Values: orders as text, names, verdicts, checks, files."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from conftest import scenario_of, target_of
from hypothesis import given
from hypothesis import strategies as st

from stress import yamlfile
from stress.errors import UsageFault
from stress.formats import bundled, find
from stress.names import Names
from stress.order import Head, Order, parse
from stress.scenario import ASSERTIONS, INVARIANTS, Scenario
from stress.step import Access, Move, Step, Touch
from stress.target import Target
from stress.verdict import Evidence, Violation, judge

PROMISES = [name for name in INVARIANTS if name not in ASSERTIONS]
FINGERPRINT = "b19ffa4bbcf2155c" + "0" * 48
words = st.text("abcXYZ:{}-+*/()0123456789 %#", min_size=1, max_size=12).map(lambda text: text.replace(" ", "_"))
moves = st.builds(Move, words.filter(lambda w: w[0] not in "#-"), words, words | st.just(""), st.integers(1, 9))


@given(st.lists(moves, max_size=8), words, st.integers())
def test_an_order_file_reads_back_as_written(sequence: list[Move], name: str, seed: int) -> None:
    """Any order survives being written and read."""
    order = Order(tuple(sequence), Head(scenario=name, world="wire", seed=seed, fresh="f", outcome="race a b"))
    assert parse(order.text()) == order


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "order:1:1: not an order file (its first line must be `gateway-stress order 1`)"),
        (
            "gateway-stress order 9\n---\n",
            "order:1:22: order format 9 is unknown (this version of gateway-stress reads format 1)",
        ),
        ("gateway-stress order 1\nseed: x\n---\n", "order:2:6: the seed must be a whole number (write `seed: 0`)"),
        (
            "gateway-stress order 1\nworld: wire\n",
            "order:2:1: no moves (a line `---` must stand between head and moves)",
        ),
    ],
)
def test_a_wrong_order_file_is_one_clear_line(text: str, fault: str) -> None:
    """Each fault has its place and a hint."""
    with pytest.raises(UsageFault, match=re.escape(fault)):
        parse(text)


def test_a_line_that_is_no_move_is_named() -> None:
    """A move needs an actor and a command; comments and attachments are understood."""
    head = "gateway-stress order 1\nnonsense\n---\n# a comment\nA\nB start\n"
    with pytest.raises(UsageFault) as caught:
        parse(head, "o.txt")
    assert [str(fault.place) for fault in caught.value.faults] == ["o.txt:2:1", "o.txt:5:1"]
    good = parse("gateway-stress order 1\n\n---\nB start # why\n--- target my.yaml\nname: x\n")
    assert (good.actors, good.attachments) == ("B", (("target my.yaml", "name: x\n"),))
    assert parse(good.text()) == good
    assert good.with_head(seed=3).head.seed == 3


def test_switches_are_counted_where_an_actor_could_have_gone_on() -> None:
    """Going over to another actor at the end of one is no switch."""
    order = Order(tuple(Move(actor, "STEP", "k", n) for n, actor in enumerate("AABBA", start=1)))
    assert order.switches() == 1


def test_made_up_names_are_numbered_by_first_appearance() -> None:
    """Times, UUIDs and random suffixes get numbers; fingerprints and fresh values get names."""
    names = Names(FINGERPRINT, "f00dfeed1234", 1_800_000_000, seconds=True)
    assert names.replace(f"gw:rr:rr-{FINGERPRINT[:12]}-1800000001") == "gw:rr:rr-{fingerprint:12}-{time:1}"
    assert names.replace("at 2027-01-15T08:00:01Z and 2027-01-15T08:00:02Z") == "at {time:1} and {time:2}"
    assert names.replace("0b0e7a2c-1111-4222-8333-123456789abc") == "{uuid:1}"
    assert (
        names.replace(f"{FINGERPRINT} pod-f00dfeed1234 1234567890 count")
        == "{fingerprint} pod-{fresh} 1234567890 count"
    )
    assert names.replace("rr-a1b2c3d4") == "rr-{id:1}"
    assert names.replace("2026-99-99T00:00:00Z") == "2026-99-99T00:00:00Z"
    assert Names("", "", 1_800_000_000, seconds=False).replace("x-1800000001") == "x-{time}"


def test_steps_conflict_on_a_common_object_that_one_changes() -> None:
    """Two reads do not conflict; a step on the whole database conflicts with every write."""

    def step(name: str, access: Access) -> Step:
        return Step(Move("A", "C", name), (Touch(name, access),))

    assert not step("k", Access.READ).conflicts(step("k", Access.READ))
    assert step("k", Access.READ).conflicts(step("k", Access.WRITE))
    assert not step("k", Access.WRITE).conflicts(step("l", Access.WRITE))
    assert step("*", Access.WRITE).conflicts(step("l", Access.READ))
    assert step("k", Access.READ).actor == "A"


def evidence(**changes: object) -> Evidence:
    """Make evidence of one order."""
    return Evidence(**{"world": "wire", "explorer": "auto", "orders": 1, "seconds": 0.1, **changes})  # type: ignore[arg-type]


VIOLATION = Violation("one_active_record", "1", "2")


@pytest.mark.parametrize(
    ("violations", "proof", "faults", "ruling"),
    [
        ([VIOLATION], evidence(exhausted=True), (), "race"),
        ([VIOLATION], evidence(), ("store lost",), "race"),
        ([], evidence(exhausted=True, total=1), ("store lost",), "inconclusive"),
        ([], evidence(exhausted=True, total=1), (), "holds"),
        ([], evidence(bound=1), (), "holds"),
        ([], evidence(clock_cut=True, clock_orders=2), (), "holds"),
        ([], evidence(bound=0), (), "inconclusive"),
        ([], evidence(sampled=900), (), "inconclusive"),
        ([], evidence(orders=0), (), "inconclusive"),
    ],
)
def test_holds_needs_evidence(
    violations: list[Violation], proof: Evidence, faults: tuple[str, ...], ruling: str
) -> None:
    """A violation is a race; a fault, no order, or a search cut off below one switch is inconclusive."""
    assert judge(violations, [proof], faults).ruling == ruling


def test_a_twin_holds_only_exhaustively() -> None:
    """Bounded evidence is not enough where exhaustion is asked for."""
    assert judge([], [evidence(bound=3)], exhaustively=True).ruling == "inconclusive"
    assert judge([], [evidence(exhausted=True, total=1)], exhaustively=True).holds


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "f.yaml:1:1: the file is empty"),
        ("- a\n", "f.yaml:1:1: must be a mapping of keys to values"),
        ("name: a\nname: b\n", "f.yaml:2:1: the key 'name' stands here twice (leave one of them out)"),
        ("name: [a\n", "f.yaml:2:1: not YAML: expected ',' or ']', but got '<stream end>'"),
        (
            "name: !!python/object:os.system x\n",
            "f.yaml:1:7: unknown tag or value tag:yaml.org,2002:python/object:os.system",
        ),
        ("name: a\nstory: b\nconcurent: 2\n", "f.yaml:3:1: unknown key 'concurent' (did you mean 'concurrent'?)"),
        ("name: a\nstory: b\nconcurrent: 0\n", "f.yaml:3:1: concurrent: Input should be greater than or equal to 1"),
        ("name: a\nstory: b\nconcurrent: 10000\n", "f.yaml:3:1: concurrent: Input should be less than or equal to 26"),
        (
            "name: a\nstory: b\ninvariants: [one_active_recrod]\n",
            "f.yaml:3:14: invariants.0: unknown invariant 'one_active_recrod'; did you mean 'one_active_record'?",
        ),
        (
            "name: a\nstory: b\nconcurrent: 2\nreplicas: [1]\n",
            "f.yaml:1:1: replicas names 1 requests, concurrent says 2",
        ),
        (
            "a: &a [x, x]\nb: &b [*a, *a]\n"
            + "".join(f"{c}: &{c} [{', '.join(['*' + p] * 9)}]\n" for p, c in zip("bcdef", "cdefg", strict=True)),
            "unfolds to too much",
        ),
    ],
)
def test_a_wrong_file_is_one_clear_line_for_each_fault(tmp_path: Path, text: str, fault: str) -> None:
    """What is wrong, where, and what to do; never another exception."""
    path = tmp_path / "f.yaml"
    path.write_text(text)
    with pytest.raises(UsageFault) as caught:
        Scenario.load(path)
    assert fault in str(caught.value).replace(str(tmp_path) + "/", "")


def test_files_that_can_not_be_read_are_faults(tmp_path: Path) -> None:
    """Missing, binary and huge files are each one line; an unknown bundled name has a hint."""
    with pytest.raises(UsageFault, match="can't be read: No such file"):
        yamlfile.load(tmp_path / "none.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageFault, match="is not UTF-8"):
        yamlfile.load(tmp_path / "b.yaml")
    (tmp_path / "h.yaml").write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(UsageFault, match="larger than 1048576 bytes"):
        yamlfile.load(tmp_path / "h.yaml")
    (tmp_path / "d.yaml").write_text("a: " + "[" * 400)
    with pytest.raises(UsageFault):
        yamlfile.load(tmp_path / "d.yaml")
    with pytest.raises(UsageFault, match="did you mean 'redis-atomic'"):
        find("redis-atomc", "targets")


@given(st.text(max_size=60))
def test_any_text_loads_or_is_a_fault(text: str) -> None:
    """Whatever stands in a file, it is read or it is a usage fault; nothing else comes out."""
    with NamedTemporaryFile(suffix=".yaml") as file:
        file.write(text.encode("utf-8", "replace"))
        file.flush()
        with suppress(UsageFault):
            assert isinstance(yamlfile.load(Path(file.name)).data, dict)


def test_bundled_files_load_and_agree() -> None:
    """Every bundled scenario and target loads under its own name, and expects of known targets only."""
    for path in bundled("").glob("*.yaml"):
        scenario = scenario_of(path.stem)
        assert scenario.name == path.stem
        assert [target_of(name).name for name in scenario.expect] == list(scenario.expect)
    assert len(target_of("redis-atomic").digest) == 12


def test_a_target_says_how_to_start_exactly_once() -> None:
    """Neither a protocol nor a command, or both, is a fault."""
    with pytest.raises(ValueError, match="exactly one of"):
        Target(name="x")
