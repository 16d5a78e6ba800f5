"""`wrap` on the Kubernetes API: a user's own test is led to the gate, also where it starts its own control plane."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme
from commands import Said, stress

from stress.engine.wrap.schedule import parse
from stress.processes.child import free_port

if TYPE_CHECKING:
    from stress.engine.wrap.schedule import Schedule

OBJECTS = Path(__file__).parent.parent / "engine" / "wrap" / "suites" / "plain" / "objects.py"
FAILS = r"FAILS under a schedule: the schedule below failed again in (\d+) of \1 replays"
COUNTER, MAPS = "configmaps/default/counter", "/api/v1/namespaces/default/configmaps"


@pytest.fixture(autouse=True)
def no_cluster_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """See that no variable of this machine names an API server, or says how a suite finds its own."""
    for name in ("KUBECONFIG", "USE_EXISTING_CLUSTER", "KUBEBUILDER_ASSETS"):
        monkeypatch.delenv(name, raising=False)


def test_of(mode: str, *words: object) -> list[str]:
    """Give the words of a user's test."""
    return [sys.executable, "-S", str(OBJECTS), mode, *map(str, words)]


test_of.__test__ = False  # type: ignore[attr-defined]  # it is no test itself


def wrapped(folder: Path, test: list[str], *options: str, times: int = 4) -> Said:
    """Wrap a test, with an API server that is started for it."""
    return stress(folder, "wrap", "--store", "kubernetes", "--times", str(times), *options, "--", *test)


def schedule(folder: Path) -> Schedule:
    """Read the schedule that was found."""
    return parse((folder / "reports" / "latest" / "schedule.txt").read_text(), "")


@pytest.mark.cases
def test_a_lost_update_is_found_and_fails_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers take turns with connections, and are told apart all the same; what else they need is answered."""
    port = free_port()
    monkeypatch.setenv("AUDIT", f"http://127.0.0.1:{port}")
    said = wrapped(tmp_path, test_of("racy"), "--sink", str(port), times=3)
    assert said.code == 1
    assert re.fullmatch(FAILS, said.lines[4])
    made, *found = schedule(tmp_path).turns
    late, early = found[0].actor, found[1].actor
    assert [f"{turn.actor} {turn.command} {turn.objects}" for turn in (made, *found)][:5] == [
        f"A create {COUNTER}",
        f"{late} get {COUNTER}",
        f"{early} get {COUNTER}",
        f"{early} update {COUNTER}",
        f"{late} update {COUNTER}",
    ]
    assert f"passes if {late} update {COUNTER} comes before {early} get {COUNTER}" in said.lines
    assert f"wrap --schedule reports/latest/schedule.txt --store kubernetes --sink {port} -- " in said.lines[-2]


def test_what_is_right_is_not_accused(tmp_path: Path) -> None:
    """Whose update is refused tries again, and that is no failure."""
    said = wrapped(tmp_path, test_of("fixed"), "--only", "configmaps")
    assert (said.code, said.lines[4]) == (0, "NO FAILING SCHEDULE in 4: that is no proof that there is none")


@pytest.mark.cases
def test_records_that_are_named_by_the_second_need_a_clock_step(tmp_path: Path) -> None:
    """Both see that there is none, and make one each, in two seconds; that fails again in twenty of twenty."""
    said = wrapped(tmp_path, test_of("second"), times=12)
    assert said.code == 1
    assert re.fullmatch(FAILS, said.lines[4])
    one, clock, two = schedule(tmp_path).letters[:3]
    assert (clock, {one, two}) == ("clock", {"A", "B"})
    file = str(tmp_path / "reports" / "latest" / "schedule.txt")
    repeat = wrapped(tmp_path, test_of("second"), "--schedule", file, times=20)
    assert (repeat.code, repeat.lines[2]) == (1, "scheduled alone                20 of 20 failed")


@pytest.mark.cases
def test_a_foreign_clean_up_is_tried_after_each_step(tmp_path: Path) -> None:
    """A sibling that deletes all there is makes a test fail whose service is right, at once and each time."""
    said = wrapped(tmp_path, test_of("fixed"), "--suite", " ".join(test_of("sibling")))
    assert said.code == 1
    assert said.lines[4].startswith("OTHERS DISTURB IT: it fails with a foreign write; ")
    (foreign,) = [turn for turn in schedule(tmp_path).turns if turn.actor == "foreign"]
    assert foreign.foreign == ("DELETE", MAPS)


@pytest.mark.cases
def test_a_suite_with_a_control_plane_of_its_own_comes_to_the_gate(tmp_path: Path) -> None:
    """The programs that it starts lead there, with the certificate that it hands them."""
    shown = trustme.CA().issue_cert("127.0.0.1")
    shown.private_key_pem.write_to_path(str(tmp_path / "apiserver.key"))
    shown.cert_chain_pems[0].write_to_path(str(tmp_path / "apiserver.crt"))
    test = test_of("own", free_port(), free_port(), tmp_path)
    said = wrapped(tmp_path, test, "--workers", "1")
    assert said.code == 1
    assert re.fullmatch(FAILS, said.lines[4])


def test_without_a_kubeconfig_there_is_no_api_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several files are not one."""
    monkeypatch.setenv("KUBECONFIG", "one.yaml:two.yaml")
    said = stress(tmp_path, "wrap", "--", *test_of("racy"))
    why = "set it to one file, or say --store kubernetes to start a small API server"
    assert (said.code, said.err) == (64, f"KUBECONFIG names several files ({why})\n")


def test_a_port_that_somebody_has_is_not_one_of_a_sink(tmp_path: Path) -> None:
    """What listens there is not what the command was to find."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = wrapped(tmp_path, test_of("racy"), "--sink", str(port))
    why = "end it, or leave --sink out if it is what the command needs"
    assert (said.code, said.err) == (
        69,
        f"unavailable: another process listens on port {port}, which --sink names ({why})\n",
    )
