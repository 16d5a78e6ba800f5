"""`stress-gateway try`: the preflight of a target, shown; the stop that a run would end with."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from commands import stress

CASES = Path(__file__).parent.parent / "cases"


def tried(folder: Path, case: str, target: str) -> tuple[int, list[str]]:
    """Try a target of a case in a folder of its own; give the exit code and the lines."""
    shutil.copytree(CASES / case, folder / case)
    shutil.copy(CASES / "alerts.py", folder)
    said = stress(folder / case, "try", f"{target}.yaml", "--scenario", "scenario.yaml")
    assert said.err == ""
    return said.code, said.lines


def test_what_each_request_caused_is_shown(tmp_path: Path) -> None:
    """Requests, commands with their accesses, answers, states, what was learned; nothing stops a search (exit 0)."""
    code, lines = tried(tmp_path, "hits-without-records", "observed")
    assert (code, lines[0]) == (0, "two-hits on hits-of-records: requests one after another, 3 times")
    begin = lines.index("B POST /api/v1/signals/prometheus")
    assert lines[begin + 1 : begin + 4] == [
        "  INCR told:{fresh} -> 2   accesses told:{fresh} (write)",
        "  GET hits:{fresh} -> 1   accesses hits:{fresh} (read)",
        "  SET hits:{fresh} 2 -> OK   accesses hits:{fresh} (write)",
    ]
    assert lines[begin + 4].startswith('  answered 202 [{"fingerprint": "')
    assert lines[begin + 4].endswith("]: a duplicate, names rr-{fresh}, tells 2")
    assert lines[begin + 5 :] == [
        "state: rr-{fresh} with 2 hits",
        "learned:",
        "  keys written: told:{fresh}, hits:{fresh}",
        "  counters: told:{fresh}",
        "  generated values: none",
        "  passed as background: none",
        "  comes without a request: none",
        "  workers: none",
        "  errors of the store: none",
        "  settle time: none, it is over when its processes sleep",
        "it can be searched: stress-gateway run --target observed.yaml",
    ]


def test_what_would_fit_the_file_is_proposed(tmp_path: Path) -> None:
    """The fingerprint that is a hash of what is sent; without a search the exit code is the one of a run."""
    code, lines = tried(tmp_path, "expiry-before-answer", "hashed")
    at = lines.index("proposed for hashed.yaml:")
    assert lines[at + 1] == '  fingerprint: {sha256: "{labels.pod}"}'
    assert "  generated values: {id:1}, {uuid:1}, {uuid:2}" in lines
    assert [line.partition(":")[0] for line in lines if line.startswith("  generated, ")] == [
        "  generated, the run's",
        *["  generated, the request's"] * 2,
    ]
    assert (code, lines[-1].partition(": fingerprint:")[0]) == (
        64,
        "it can't be searched (exit code 64): hashed.yaml:6:14",
    )


def test_what_a_generated_value_is_equal_within_is_reported(tmp_path: Path) -> None:
    """Ids of replicas are told from those of requests by a sample in which requests change places."""
    code, lines = tried(tmp_path, "scopes", "target")
    generated = (line.removeprefix("  generated, ") for line in lines if line.startswith("  generated, "))
    assert {re.sub(r": ([a-z]*:)?\S+", r" \1", line) for line in generated} == {
        "the replica's handled: (word 1 of SET)",
        "the second's  (word 1 of SET)",
        "the store's  (word 1 of SET)",
        "the request's  (word 2 of SET)",
    }
    assert code == 0


def test_what_comes_after_an_answer_is_shown_below_it(tmp_path: Path) -> None:
    """It is a step of its request, over before the next one is sent, and how long such steps take is learned."""
    code, lines = tried(tmp_path, "answers-first-py", "sleeps-5")
    begin, end = lines.index("B POST /api/v1/signals/prometheus"), lines.index("learned:")
    assert lines[begin - 1] == "state: record:{fresh} with 1 hits"
    assert [line.partition(" [")[0] for line in lines[begin + 1 : end]] == [
        "  SET record:{fresh} 1 NX -> nil   accesses record:{fresh} (create-if-absent)",
        "  answered 202",
        "  INCRBY hits:{fresh} 1 -> 2   accesses hits:{fresh} (write)",
        "state: record:{fresh} with 2 hits",
    ]
    (settle,) = [line for line in lines if line.startswith("  settle time: ")]
    assert float(settle.removeprefix("  settle time: ").removesuffix(" s")) > 0
    assert code == 0


@pytest.mark.unmeasured
@pytest.mark.cases
@pytest.mark.parametrize(
    ("case", "target", "code", "reported"),
    [
        ("hits-without-records", "target", 64, "requests changed told:{fresh}, hits:{fresh} (add observe.records)"),
        ("always-500", "target", 69, "the store answered: AUTH -> WRONGPASS"),
        ("always-500", "path", 64, "request.path: POST /api/v1/signals/prometheus was answered 404"),
        ("gate-bypassed", "target", 2, "the service is connected to 127.0.0.1:"),
        ("gate-bypassed", "sentinel", 2, "it asked for SENTINEL"),
        ("names-differ", "target", 64, "and answers name rr-{fresh}: no name is in both"),
        (
            "expiry-before-answer",
            "answer",
            64,
            'say one of: `fingerprint: "{labels.pod}"` in the target, or `before: 1`',
        ),
    ],
)
def test_each_case_is_reported_as_a_run_tells_it(
    tmp_path: Path, case: str, target: str, code: int, reported: str
) -> None:
    """The last line has the exit code, the cause and the remedy."""
    found, lines = tried(tmp_path, case, target)
    assert (found, lines[-1].partition(":")[0]) == (code, f"it can't be searched (exit code {code})")
    assert reported in lines[-1]
