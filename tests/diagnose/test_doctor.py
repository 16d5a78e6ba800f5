"""The doctor: each fault of the surroundings is named with its fix, before it could be taken for a race."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest
import yaml
from commands import command, stress
from redis import Redis

from stress.config.formats import bundled
from stress.config.target import Target
from stress.core.errors import Unavailable, UsageFault
from stress.core.schedule import Head, Schedule
from stress.core.step import Move
from stress.diagnose.doctor import machine
from stress.diagnose.doctor.targets import of_target
from stress.processes.needed import check
from stress.processes.probe import Ill, Probe, examine
from stress.protocols.redis.server import Valkey

if TYPE_CHECKING:
    from collections.abc import Iterator

FIVE = bundled("targets") / "examples" / "five-faults.yaml"


def target(folder: Path, text: str) -> Target:
    """Write a target file; load it."""
    path = folder / "mine.yaml"
    path.write_text(f"name: mine\n{text}\n")
    return Target.load(path)


def findings(folder: Path, text: str) -> list[tuple[str, bool, str, str]]:
    """Make all probes of a target: what was looked at, whether it is well, what is reported, the fix."""
    found = asyncio.run(examine(of_target(target(folder, text), folder, frozenset())))
    return [(one.name, one.well, one.reported, one.fix) for one in found]


@pytest.fixture
def url() -> Iterator[str]:
    """Serve 204 at /ready and 404 elsewhere, in this process."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(204 if self.path == "/ready?x=1" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def store() -> Iterator[Valkey]:
    """Give a store that runs already."""
    valkey = Valkey()
    yield valkey
    valkey.close()


def closed() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# --- the five faults ---------------------------------------------------------------------------------


def test_the_five_faults_that_hid_two_races_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example target has exactly these five faults, each with the line that fixes it; nothing else is wrong."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    said = stress(tmp_path, "doctor", "--target", FIVE, "--json")
    faults = [(one["name"], one["target"], one["fix"]) for one in json.loads(said.out) if not one["well"]]
    fixes = [one["fix"] for one in yaml.safe_load(FIVE.read_text())["requires"]]
    assert said.code == 69
    assert faults == [
        (name, "five-faults", fix)
        for name, fix in zip(("host", "file", "command", "command", "program"), fixes, strict=True)
    ]


def test_a_run_ends_with_the_fault_before_the_first_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each case is inconclusive with the first fault and its fix; no schedule was run, and the exit code is 69."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    said = stress(tmp_path, "run", "--target", FIVE, "--json")
    results = json.loads(said.out)
    line = said.err.splitlines()[0]
    assert said.code == 69
    assert line.startswith("unavailable: host.containers.internal does not resolve: ")
    assert line.endswith("in /etc/hosts; 4 more: stress-gateway doctor --target tells all)")
    assert [(one["verdict"], one["search"]["schedules"], one["faults"]) for one in results] == [
        ("inconclusive", 0, [line.removeprefix("unavailable: ")])
    ] * 2


def test_a_target_that_has_what_it_needs_is_asked_once_and_searched(tmp_path: Path) -> None:
    """Two scenarios on a target whose command exits 0: it was run once, and both hold."""
    (tmp_path / "mine.yaml").write_text(
        (bundled("targets") / "redis-atomic.yaml").read_text().replace("name: redis-atomic", "name: mine")
        + "requires: [{command: [sh, -c, 'echo once >> asked']}]\n"
    )
    said = stress(tmp_path, "run", "--target", "mine.yaml", "--executor", "live", "--schedules", "1")
    assert (tmp_path / "asked").read_text() == "once\n"
    assert (said.code, said.err) == (2, "")


def test_the_model_needs_no_surroundings(tmp_path: Path) -> None:
    """In the model executor nothing outside is touched, so nothing is asked for."""
    said = stress(tmp_path, "run", "atomic-hit-count", "--target", FIVE, "--executor", "model")
    assert (said.code, said.err) == (0, "")


def test_a_replay_on_the_wire_ends_with_the_fault_too(tmp_path: Path) -> None:
    """What is missing is reported with its fix (exit 69), and nothing is started; in the model nothing is asked for."""
    schedule = Schedule((Move("A", "start", ""),), Head(scenario="atomic-hit-count", target="mine.yaml"))
    (tmp_path / "schedule.txt").write_text(schedule.text())
    target(tmp_path, "protocol: redis-atomic\nrequires: [{file: gone, fix: put it there}]")
    said = stress(tmp_path, "replay", "schedule.txt", "--trust", "--executor", "live")
    assert (said.code, said.out, said.err) == (69, "", "unavailable: no such file: gone (put it there)\n")
    assert stress(tmp_path, "replay", "schedule.txt", "--trust", "--executor", "model").code == 0


def test_a_replay_asks_once_for_what_is_required(tmp_path: Path) -> None:
    """Neither each of its runs nor the search of a Gateway that has changed asks again."""
    asks = "requires: [{command: [sh, -c, 'echo once >> asked']}]\n"
    for name in ("redis-read-modify-write", "redis-atomic"):
        text = (bundled("targets") / f"{name}.yaml").read_text().replace(f"name: {name}", "name: mine")
        (tmp_path / f"{name}.yaml").write_text(text + asks)
    stress(tmp_path, "run", "atomic-hit-count", "--target", "redis-read-modify-write.yaml", "--executor", "model")
    words = ("replay", tmp_path / "reports" / "latest" / "schedule.txt", "--executor", "live")
    assert stress(tmp_path, *words, "--target", "redis-read-modify-write.yaml", "--times", "4").code == 1
    assert (tmp_path / "asked").read_text() == "once\n"
    said = stress(tmp_path, *words, "--target", "redis-atomic.yaml")
    assert (said.code, said.out.partition(" (")[0]) == (0, "FIXED")
    assert (tmp_path / "asked").read_text() == "once\n" * 2


# --- what a target names itself ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "reported"),
    [
        ("{file: here.txt}", "here.txt is there"),
        ("{file: $THERE/here.txt}", "$THERE/here.txt is there"),
        ("{program: sh}", "sh is there"),
        ("{program: ./run.sh}", "./run.sh is there"),
        ("{host: localhost}", "localhost is 127.0.0.1"),
        ("{command: 'test -f \"here.txt\"'}", "test -f here.txt exits 0"),
        ("{command: [test, 1, -eq, 1]}", "test 1 -eq 1 exits 0"),
    ],
)
def test_what_is_there_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, item: str, reported: str) -> None:
    """Files, programs, hosts and commands that a target names, relative to its file."""
    monkeypatch.setenv("THERE", str(tmp_path))
    (tmp_path / "here.txt").write_text("")
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    assert findings(tmp_path, f"protocol: redis-atomic\nrequires: [{item}]") == [
        (item[1:].partition(":")[0], True, reported, "")
    ]


@pytest.mark.parametrize(
    ("item", "reported", "fix"),
    [
        ("file: gone.txt", "no such file: gone.txt", "put it there, or correct `requires` of the target"),
        ("file: $UNSET/x", "no such file: $UNSET/x, as UNSET is not set", "put it there, or"),
        ("program: no-such-program", "no such program: no-such-program", "build or install it"),
        ("program: ./here.txt", "may not be run: ./here.txt", "make it executable: chmod +x"),
        ("program: ./gone", "no such program: ./gone", "build or install it"),
        ("host: no-such-host.invalid", "no-such-host.invalid does not resolve: ", "let no-such-host.invalid resolve"),
        ("tcp: 'localhost:{port}'", "nobody listens at localhost:{port}: Connection refused", "start it"),
        ("http: 'http://127.0.0.1:{port}/x'", "http://127.0.0.1:{port}/x does not answer: Connection refused", "start"),
        ("command: 'sh -c \"echo why; exit 3\"'", "sh -c 'echo why; exit 3': exit code 3: why", "run it by hand"),
        ("command: 'sh -c \"kill -9 $$\"'", "sh -c 'kill -9 $$': killed by signal 9", "run it by hand"),
        ("command: no-such-program -x", "no-such-program can't be run: No such file or directory", "install it"),
        ("command: 'sh -c \"echo password=hunter2; exit 1\"'", "sh -c 'echo password=***", "run it by hand"),
    ],
)
def test_what_is_not_there_is_a_fault(tmp_path: Path, item: str, reported: str, fix: str) -> None:
    """Each is reported in a line without credentials; its fix is ours until the target has one of its own."""
    (tmp_path / "here.txt").write_text("")
    item, reported = (text.replace("{port}", str(port)) for port in [closed()] for text in (item, reported))
    ((name, well, found, advice),) = findings(tmp_path, f"protocol: redis-atomic\nrequires: [{{{item}}}]")
    assert (name, well) == (item.split(":")[0], False)
    assert found.startswith(reported)
    assert "hunter2" not in found
    assert advice.startswith(fix)
    ((*_, own),) = findings(tmp_path, f"protocol: redis-atomic\nrequires: [{{{item}, fix: do this}}]")
    assert own == "do this"


def test_who_answers_is_asked(tmp_path: Path, url: str) -> None:
    """A port that is listened on, a URL that answers 204, and one that answers 404, which is a fault."""
    port = url.rpartition(":")[2]
    items = f"[{{tcp: '127.0.0.1:{port}'}}, {{http: '{url}/ready?x=1'}}, {{http: '{url}/gone'}}]"
    assert findings(tmp_path, f"protocol: redis-atomic\nrequires: {items}") == [
        ("tcp", True, f"somebody listens at 127.0.0.1:{port}", ""),
        ("http", True, f"{url}/ready?x=1 answers 204", ""),
        ("http", False, f"{url}/gone answers 404", "see the log of what answers there"),
    ]


def test_a_probe_that_hangs_holds_nobody_up() -> None:
    """The others are told, and of this one that nothing is known."""
    never = Event()

    def hang() -> str:
        never.wait()
        return "at last"

    found = asyncio.run(examine([Probe("host", "t", hang), Probe("file", "t", lambda: "is there")], within=0.2))
    never.set()
    assert [(one.well, one.line) for one in found] == [
        (False, "t: host: nothing is known of it after 0.2 s (see by hand what it waits for)"),
        (True, "t: file: is there"),
    ]


def test_a_probe_that_fails_in_its_own_way_has_found_a_fault() -> None:
    """Whatever goes wrong in a probe is a line as well."""
    (found,) = asyncio.run(examine([Probe("x", "", lambda: str(1 / 0))]))
    assert found.line == "x: can't be looked at: division by zero (see whether it is there by hand)"


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (
            "{file: x, host: y}",
            "requires.0: exactly one of file, program, host, tcp, http, command must be given, not fi",
        ),
        (
            "{fix: x}",
            "requires.0: exactly one of file, program, host, tcp, http, command must be given, not none of t",
        ),
        ("{tcp: 5432}", "requires.0.tcp: must be a text, not 5432"),
        ("{tcp: localhost}", "requires.0.tcp: 'localhost' is no host and port (write 127.0.0.1:5432, or [::1]:5432)"),
        ("{http: 'localhost:80'}", "requires.0.http: is no URL (write http://127.0.0.1:8080/ready)"),
        ("{command: ''}", "requires.0.command: must not be empty"),
        ("{command: '\"'}", "requires.0.command: '\"' is no command: No closing quotation (write its words as a list)"),
        ("{programme: x}", "unknown key 'requires.0.programme' (did you mean 'program'?)"),
    ],
)
def test_a_wrong_item_is_one_line_at_its_place(tmp_path: Path, item: str, message: str) -> None:
    """A fault in `requires` is told as any other fault of a target file."""
    with pytest.raises(UsageFault) as caught:
        target(tmp_path, f"protocol: redis-atomic\nrequires: [{item}]")
    (fault,) = caught.value.faults
    assert fault.place[1] == 3
    assert str(fault).partition(": ")[2].startswith(message)


# --- what a target needs -----------------------------------------------------------------------------


def test_the_program_of_a_target_is_looked_for_as_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its folder, on its own PATH, with variables of our environment, and not twice where the target names it."""
    monkeypatch.setenv("GATEWAY", "gateway")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gateway").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "gateway").chmod(0o755)
    fix = "build it, or correct start.command"
    for text, found in (
        ("start: {command: [./gateway], folder: bin}", [("program", True, "./gateway is there", "")]),
        (
            f"start: {{command: [gateway], env: {{PATH: '{tmp_path}/bin'}}}}",
            [("program", True, "gateway is there", "")],
        ),
        ("start: {command: ['{files}/run']}", [("program", True, "{files}/run is known only when it starts", "")]),
        (
            "start: {command: ['{env.GATEWAY}'], env: {PATH: '{folder}/bin:{env.PATH}'}}",
            [("program", True, "gateway is there", "")],
        ),
        (
            "start: {command: ['{env.GATEWAYS|./bin}/gone']}",
            [("program", False, f"start.command: no such program: ./bin/gone in {tmp_path}", fix)],
        ),
        (
            "start: {command: [./gateway]}",
            [("program", False, f"start.command: no such program: ./gateway in {tmp_path}", fix)],
        ),
        (
            "start: {command: [./gateway], folder: bin}\nrequires: [{program: bin/gateway, fix: make}]",
            [("program", True, "bin/gateway is there", "")],
        ),
    ):
        assert findings(tmp_path, text) == found


def test_a_program_in_the_folder_where_we_are_is_found(tmp_path: Path) -> None:
    """A target that is named without a folder: `./gateway` is the file beside it, not one of that name on PATH."""
    (tmp_path / "gateway").write_text("#!/bin/sh\n")
    (tmp_path / "gateway").chmod(0o755)
    target(tmp_path, "start: {command: [./gateway]}\nrequires: [{program: ./gateway}]")
    said = stress(tmp_path, "doctor", "--target", "mine.yaml")
    assert [line for line in said.lines if "./gateway" in line] == ["ok     mine: program: ./gateway is there"]
    (tmp_path / "gateway").rename(tmp_path / "other")
    assert "no such program: ./gateway" in stress(tmp_path, "doctor", "--target", "mine.yaml").out


def test_a_run_says_what_to_build(tmp_path: Path) -> None:
    """A Gateway that is not built ends the run with 69 and the line of the target that tells how."""
    target(tmp_path, "start: {command: [./gateway]}\nrequires: [{program: ./gateway, fix: 'go build -o gateway .'}]")
    said = stress(tmp_path, "run", "atomic-hit-count", "--target", "mine.yaml")
    assert (said.code, said.err) == (69, "unavailable: no such program: ./gateway (go build -o gateway .)\n")


def test_ports_where_the_gate_must_listen_are_free(tmp_path: Path) -> None:
    """Of three ports of three replicas the one that somebody listens on is a fault."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        text = f"start: {{command: [sh]}}\nreplicas: 2\nstores: {{redis: {{listen: {port - 1}}}}}"
        found = {reported: well for name, well, reported, _ in findings(tmp_path, text) if name == "port"}
    assert found[f"{port}, where the gate must listen, is taken"] is False
    assert len(found) == 2


def test_hosts_of_containers_that_a_target_names_must_resolve(tmp_path: Path) -> None:
    """A name below .internal in its environment or files is looked up; in `requires` it is looked up once."""
    text = 'start: {command: [sh], env: {DB: "postgres://db.no-such.internal:5432/x"}}'
    name = "db.no-such.internal"
    for more in ("", f"\nrequires: [{{host: {name}}}]"):
        found = [
            (well, reported.partition(":")[0])
            for kind, well, reported, _ in findings(tmp_path, text + more)
            if kind == "host"
        ]
        assert found == [(False, f"{name} does not resolve")]


def test_a_gateway_that_runs_already_must_answer(tmp_path: Path, url: str) -> None:
    """Any answer will do, as it may not be ready before its store is there; none is a fault."""
    more = f"\nstores: {{redis: {{listen: {closed()}}}}}"
    found = [one for one in findings(tmp_path, f"url: {url}{more}") if one[0] == "Gateway"]
    assert found == [("Gateway", True, f"{url} answers 404", "")]
    gone = f"http://127.0.0.1:{closed()}"
    found = [one for one in findings(tmp_path, f"url: {gone}{more}") if one[0] == "Gateway"]
    fix = "start it; its store is at stores.redis.listen while a run lasts"
    assert found == [("Gateway", False, f"{gone} does not answer: Connection refused", fix)]


def test_a_store_must_let_us_do_what_a_run_does(tmp_path: Path, store: Valkey) -> None:
    """Well for its owner; refused to a wrong password, to who may not write, and to who may not ask for keys."""
    with Redis.from_url(store.url) as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@read", "+@connection", "+command")
        client.execute_command("ACL", "SETUSER", "writer", "on", ">secret", "~*", "+@all", "-command")
        where = f"127.0.0.1:{store.port}"
        reported = {}
        for login in ("", "reader:secret@", "writer:secret@", "reader:wrong-secret@"):
            text = f"start: {{command: [sh]}}\nstores: {{redis: {{url: 'redis://{login}{where}/0'}}}}"
            ((_, well, line, fix),) = [one for one in findings(tmp_path, text) if one[0] == "store"]
            reported[login] = (well, line.partition(" (version")[0].partition(": ")[0], fix)
            assert "secret" not in line
        assert client.keys("*") == []
    rights = "give its user the rights to write and delete, or name another user in stores.redis.url"
    assert reported == {
        "": (True, f"{where} answers, lets us write and delete, and tells keys", ""),
        "reader:secret@": (False, f"{where} does not let us write and delete a key", rights),
        "writer:secret@": (
            False,
            f"{where} does not tell which keys a command touches",
            "allow COMMAND GETKEYSANDFLAGS to its user",
        ),
        "reader:wrong-secret@": (False, f"{where} refuses us", "correct user and password in stores.redis.url"),
    }


def test_a_store_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    """Nobody listens at the store's URL."""
    port = closed()
    text = f"start: {{command: [sh]}}\nstores: {{redis: {{url: 'redis://127.0.0.1:{port}'}}}}"
    ((_, well, reported, fix),) = [one for one in findings(tmp_path, text) if one[0] == "store"]
    assert (well, fix) == (False, "start it, or correct stores.redis.url")
    assert reported.startswith(f"127.0.0.1:{port} does not answer: ")


def test_a_store_elsewhere_is_not_asked_unless_allowed(tmp_path: Path) -> None:
    """As for a run: exit 64 with the place in the file, before anything is looked at."""
    target(tmp_path, "start: {command: [sh]}\nstores: {redis: {url: 'redis://store.invalid:6379'}}")
    said = stress(tmp_path, "doctor", "--target", "mine.yaml")
    assert (said.code, said.out) == (64, "")
    assert said.err.startswith("mine.yaml:3:23: stores.redis.url: store.invalid is not this machine (")


@pytest.mark.parametrize(
    ("made", "reported"),
    [
        (
            None,
            ["KUBEBUILDER_ASSETS is not set, so there is no etcd", "KUBEBUILDER_ASSETS is not set, so there is no ku"],
        ),
        (["etcd"], ["KUBEBUILDER_ASSETS has no kube-apiserver: "]),
        (["etcd", "kube-apiserver"], []),
    ],
)
def test_the_binaries_of_an_api_server_must_be_there_and_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: list[str] | None, reported: list[str]
) -> None:
    """Only a target that says `assets: true` needs them; a run asks too whether they are there."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    for name in made or []:
        (tmp_path / name).write_text(f"#!/bin/sh\necho {name} 1.2\n")
        (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    text = "start: {command: [sh]}\nstores: {kubernetes: {assets: true}}"
    found = [(well, line) for name, well, line, _ in findings(tmp_path, text) if name == "assets"]
    faults = [line for well, line in found if not well]
    assert len(faults) == len(reported)
    assert [line for line, begin in zip(faults, reported, strict=True) if not line.startswith(begin)] == []
    if not reported:
        assert [line for _, line in found[2:]] == ["etcd 1.2", "kube-apiserver 1.2"]
        asyncio.run(check(target(tmp_path, text), tmp_path))
    else:
        with pytest.raises(Unavailable, match=re.escape(reported[0])):
            asyncio.run(check(target(tmp_path, text), tmp_path))
    assert findings(tmp_path, "start: {command: [sh]}\nstores: {kubernetes: {}}") == [
        ("program", True, "sh is there", "")
    ]


# --- this machine ------------------------------------------------------------------------------------


def test_a_healthy_machine_is_reported_line_by_line(tmp_path: Path) -> None:
    """Every probe has a line, the exit code is 0."""
    said = stress(tmp_path, "doctor")
    names = [line.split(": ")[0] for line in said.out.splitlines()[:-1]]
    assert names == [
        "ok     platform",
        "ok     loopback",
        "ok     clock",
        "ok     descriptors",
        "ok     memory",
        "ok     disk for reports",
        "ok     disk for temporary files",
        "ok     embedded Valkey",
    ]
    assert (said.code, said.out.splitlines()[-1]) == (0, "all is well")


def test_too_few_descriptors_are_a_fault(tmp_path: Path) -> None:
    """A process that may open 100 files is told how to get more."""
    words = f"ulimit -S -n 100; exec {shlex.join(command('doctor'))}"
    done = subprocess.run(["sh", "-c", words], cwd=tmp_path, capture_output=True, text=True, check=False)
    line = "FAULT  descriptors: a process may open 100 files, 256 are needed (raise it: ulimit -n 1024)"
    assert (done.returncode, line in done.stdout.splitlines()) == (69, True), done.stdout
    assert done.stdout.splitlines()[-1] == "1 fault: until fixed, a failing test says nothing about races"


def reported(look: str, *args: object) -> tuple[str, str]:
    """Give what a probe of the machine finds wrong, and the fix."""
    with pytest.raises(Ill) as caught:
        getattr(machine, look)(*args)
    return str(caught.value), caught.value.fix


def test_what_runs_short_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory, room on disk and the year, against limits that no machine meets."""
    monkeypatch.setattr(machine, "LEAST_MEMORY", 2**60)
    monkeypatch.setattr(machine, "LEAST_DISK", 2**60)
    monkeypatch.setattr(machine, "YEARS", range(1990, 1991))
    assert re.fullmatch(r"\d+ MB are left, 1099511627776 are needed", reported("memory")[0])
    line, fix = reported("disk", tmp_path / "new" / "reports")
    assert re.fullmatch(rf"\d+ MB are free in {tmp_path}/new/reports, 1099511627776 are needed", line)
    assert fix == "make room"
    assert re.fullmatch(r"the year is \d{4}", reported("clock")[0])


def test_a_folder_that_can_not_be_written_is_a_fault(tmp_path: Path) -> None:
    """Reports below a file can't be written."""
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "reports"
    assert reported("disk", folder) == (f"nothing can be written to {folder}", "allow it, or choose another folder")


def test_a_clock_that_is_set_meanwhile_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock and the steady one must agree; here the wall clock counts minutes for seconds."""
    real = machine.time.time
    monkeypatch.setattr(machine.time, "time", lambda: real() * 60)
    line, fix = reported("clock")
    assert re.fullmatch(r"it was set by \d+ ms while it was looked at", line)
    assert fix == "stop what sets it, or let it settle"


def test_wrong_targets_are_all_reported(tmp_path: Path) -> None:
    """Two names that are no targets: a line for each, and exit 64."""
    said = stress(tmp_path, "doctor", "--target", "redis-atomics", "--target", "gone.yaml")
    assert (said.code, [line.partition(":")[0] for line in said.err.splitlines()]) == (
        64,
        ["redis-atomics", "gone.yaml"],
    )


def test_the_commands_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    """Each `stress-gateway` line of docs/doctor.md runs; all is well, or the five faults are told."""
    page = (Path(__file__).parent.parent.parent / "docs" / "doctor.md").read_text()
    lines = re.findall(r"(?m)^    (stress-gateway .*)$", page)
    target(tmp_path, "protocol: redis-atomic").place()
    (tmp_path / "mine.yaml").rename(tmp_path / "my-gateway.yaml")
    codes = {
        line: stress(tmp_path, *shlex.split(line.replace("five-faults.yaml", str(FIVE)))[1:]).code for line in lines
    }
    assert codes == {line: 69 if "five-faults" in line else 0 for line in lines}
    assert len(lines) >= 3
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    loaded = target(tmp_path, "protocol: redis-atomic\n" + block)
    assert [one.kind for one in loaded.requires] == ["file", "program", "host", "tcp", "http", "command"]


def test_commands_that_look_do_not_load_the_search(tmp_path: Path) -> None:
    """What lists, shows or looks starts without the HTTP and Redis clients, hypothesis, and the search."""
    program = """
import sys
from stress.cli.main import main
for words in (["list"], ["schema", "target"], ["doctor"], ["overhead", "--help"], ["run", "--help"]):
    try:
        main(words)
    except SystemExit:
        pass
print([name for name in ("aiohttp", "redis", "hypothesis", "rich", "stress.engine.campaign") if name in sys.modules])
"""
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
