"""`stress-gateway init`: from one request to target, scenario and the first race, on real services."""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from commands import command, stress

from stress.cli.init import _write
from stress.diagnose.proposal.propose import Proposal

SERVICES = Path(__file__).parent.parent / "diagnose" / "proposal" / "services"
PAGE = (Path(__file__).parent.parent.parent / "docs" / "init.md").read_text()
ORDER = (
    "curl -X POST http://localhost:8000/v3/orders -H 'Content-Type: application/json' "
    """-H 'Authorization: Bearer not-4-everyone' -d '{"ref": "ORD-7", "amount": 3}'"""
)
TARGET = """\
# Written by stress-gateway init; `stress-gateway schema target` lists every key.
name: orders
start:
  command: [PYTHON, orders.py, racy]
  env: {HTTP_PORT: "{port}", ORDERS_CACHE_URL: "{redis_url}"}
stores: {redis: {}}
scenarios: [orders-twice.yaml, orders-again.yaml]
request:
  path: /v3/orders
  headers: {Authorization: "{env.ORDERS_AUTHORIZATION}"}
  body: orders-body.json
answers:
  created: 201
  duplicate: 200
  record: order.number
  count: order.times
observe:
  records: {redis: [LRANGE, placed, 0, -1]}
  hits: {redis: [HGET, "order:ORD-{fresh}", times]}
"""
SCENARIO = """\
# Written by stress-gateway init; `stress-gateway schema scenario` lists every key.
name: orders-twice
story: POST /v3/orders comes twice at once; the outcome is as if one had come after the other.
concurrent: 2
invariants: [INVARIANTS]
"""
INVARIANTS = (
    "distinct_counts, hits_equal_answers, linearizable_hits, no_server_error, one_active_record, one_created_answer, "
    "same_answer"
)
BODY = '{\n  "ref": "ORD-{fresh}",\n  "amount": 3\n}\n'


@pytest.fixture(autouse=True)
def _no_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no variable behind that the command sets for its own search."""
    monkeypatch.setenv("ORDERS_AUTHORIZATION", "")


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    """Give a folder with the service that keeps orders."""
    (tmp_path / "orders").mkdir()
    shutil.copy(SERVICES / "python" / "orders.py", tmp_path / "orders")
    return tmp_path / "orders"


def test_one_request_is_enough_for_a_race(orders: Path) -> None:
    """Variables, fields, keys and checks are found; the credential is in no file; the exit code is that of the race."""
    (orders / "request.sh").write_text(ORDER.replace(" -H", " \\\n  -H"))
    said = stress(
        orders, "init", "--request", "request.sh", "--seconds", "1", "--", sys.executable, "orders.py", "racy"
    )
    assert said.err == ""
    assert (said.code, said.lines[:8]) == (
        1,
        [
            f"started as: {sys.executable} orders.py racy with HTTP_PORT={{port}}, ORDERS_CACHE_URL={{redis_url}}",
            "what names the request: body ref (a new one in each run: ORD-{fresh})",
            "wrote: orders.yaml",
            "wrote: orders-twice.yaml",
            "wrote: orders-again.yaml",
            "wrote: orders-body.json",
            "a credential is in no file: export ORDERS_AUTHORIZATION=… before each further run",
            "searching it: stress-gateway run --target orders.yaml",
        ],
    )
    assert said.lines[8].startswith("RACE one_active_record, same_answer: orders-twice on orders")
    assert (orders / "orders.yaml").read_text() == TARGET.replace("PYTHON", sys.executable)
    twice = SCENARIO.replace("INVARIANTS", INVARIANTS)
    assert (orders / "orders-twice.yaml").read_text() == twice
    repeat = twice.replace("orders-twice", "orders-again").replace("twice at", "twice more at")
    assert (orders / "orders-again.yaml").read_text() == repeat.replace("concurrent", "before: 1\nconcurrent")
    assert (orders / "orders-body.json").read_text() == BODY
    written = [path for path in orders.rglob("*") if path.is_file() and path.name not in ("request.sh", "orders.py")]
    assert [path for path in written if b"not-4-everyone" in path.read_bytes()] == []


def test_files_that_are_there_stay_unless_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What differs is shown as a diff and nothing is written, not even a file that is new; what is alike is left."""
    proposal = Proposal({"a.yaml": "name: a\n", "b.yaml": "name: b\nconcurrent: 2\n", "c.json": "{}\n"}, "a.yaml")
    (tmp_path / "a.yaml").write_text("name: a\n")
    (tmp_path / "b.yaml").write_text("name: b\nconcurrent: 3\n")
    before = (tmp_path / "a.yaml").stat()
    monkeypatch.chdir(tmp_path)
    assert not _write(proposal, force=False)
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "--- b.yaml",
        "+++ b.yaml (proposed)",
        "@@ -1,2 +1,2 @@",
        " name: b",
        "-concurrent: 3",
        "+concurrent: 2",
    ]
    assert printed.err.startswith("nothing was written: --force overwrites what is there")
    assert ((tmp_path / "b.yaml").read_text(), (tmp_path / "c.json").exists()) == ("name: b\nconcurrent: 3\n", False)
    assert _write(proposal, force=True)
    assert capsys.readouterr().out.splitlines() == ["unchanged: a.yaml", "wrote: b.yaml", "wrote: c.json"]
    assert (tmp_path / "a.yaml").stat() == before
    assert _write(proposal, force=False)


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["init", "--request", "curl h/x"], "the start command is missing: give it after `--`, or by --start"),
        (
            ["init", "--", "true"],
            "a request that it accepts, as a line of curl is missing: give it by --request or --path",
        ),
        (["init", "--request", "wget h", "--", "true"], "Invalid value for --request: no line of curl (write curl"),
        (
            ["init", "--request", "curl h", "--path", "/", "--", "true"],
            "--request and --path are two requests: give one",
        ),
        (["init", "--data", "{}", "--", "true"], "--method, --header and --data need --path"),
        (["init", "--path", "/", "--env", "PORT", "--", "true"], "Invalid value for --env: 'PORT' is no NAME=VALUE"),
        (
            ["init", "--path", "/", "--start", "'"],
            'Invalid value for --start: "\'" is no command: No closing quotation',
        ),
    ],
)
def test_what_is_missing_is_a_fault_of_the_call_where_nobody_can_be_asked(
    words: list[str], printed: str, tmp_path: Path
) -> None:
    """One line and exit code 64, before anything is started."""
    said = stress(tmp_path, *words)
    assert said.code == 64
    assert said.lines[-1].startswith(f"Error: {printed}")


UNKNOWN = "which variable tells the service"
STORELESS = """\
import os
from http.server import HTTPServer, SimpleHTTPRequestHandler
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), SimpleHTTPRequestHandler).serve_forever()
"""


@pytest.mark.parametrize(
    ("program", "code", "printed"),
    [
        ("", 69, "unavailable: the service does not start: no-such-program: No such file or directory (check"),
        (
            "raise SystemExit('no store')",
            69,
            "unavailable: the service died (exit code 1) before it listened: no store (run its command by hand",
        ),
        (
            "from socket import *; import time; one = create_server(('127.0.0.1', 0)); time.sleep(60)",
            64,
            f"{UNKNOWN} its port is not known: it listens on port ",
        ),
        (
            STORELESS,
            64,
            f"{UNKNOWN} where its Redis is, is not known: it connected to nothing",
        ),
    ],
    ids=["absent", "dies", "own-port", "no-store"],
)
def test_a_service_that_can_not_be_reported_its_port_or_store_is_said_why(
    program: str, code: int, printed: str, tmp_path: Path
) -> None:
    """What it did instead, and which option helps; nothing is written."""
    words = ["no-such-program"] if not program else [sys.executable, "-c", program]
    said = stress(tmp_path, "init", "--path", "/", "--", *words)
    assert (said.code, [one.name for one in tmp_path.iterdir()]) == (code, ["temporary"])
    assert printed in said.lines[-1]


def test_a_request_that_is_refused_ends_it(orders: Path) -> None:
    """With what was answered (64), and no file."""
    words = ["init", "--path", "/v3/orders", "--data", '{"ref": "7"}', "--header", "Authorization: Bearer who-1-is-it"]
    said = stress(orders, *words, "--", sys.executable, "orders.py", "racy")
    assert said.code == 64
    assert (
        'POST /v3/orders was answered 403 [{"error": "who are you?"}] (give a request that it accepts' in said.lines[-1]
    )
    assert sorted(one.name for one in orders.iterdir()) == ["orders.py", "temporary"]


def test_on_a_terminal_it_asks_for_what_is_missing(tmp_path: Path) -> None:
    """The question stands there, and the answer is taken as the option is."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command("init", "--", "true"), cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    printed = b""
    while b"line of curl: " not in printed:
        printed += os.read(ours, 1000)
    os.write(ours, b"wget it\n")
    assert process.wait() == 64
    printed = os.read(ours, 10_000)
    os.close(ours)
    assert b"Invalid value for --request: no line of curl" in printed


class Service(NamedTuple):
    """A service: the programs that it needs, how it is built and started, its options, and what fixes its race."""

    needs: tuple[str, ...]
    build: tuple[str, ...]
    start: tuple[str, ...]
    options: tuple[str, ...]
    source: str
    fix: tuple[tuple[str, str], ...]


TO_THE_END = {
    "python": Service(
        (),
        (),
        (sys.executable, "orders.py", "racy"),
        ("--request", ORDER),
        "orders.py",
        (('MODE == "claims"', 'MODE == "racy"'),),
    ),
    "node": Service(
        ("node",),
        (),
        ("node", "server.js"),
        ("--request", "curl -X POST 'localhost:3000/seats?seat=A-12'"),
        "server.js",
        (('await command("GET", key);\n  if', "null;\n  if"), ('"SET", key, booking', '"SET", key, booking, "NX"')),
    ),
    "go": Service(
        ("go",),
        ("go", "build", "-o", "tickets", "."),
        ("./tickets", "-listen", ":9090", "-store", "localhost:6379"),
        ("--request", "curl -d show=opera-7 localhost:9090/tickets"),
        "main.go",
        (('known := ask("GET", key)', 'known := ""'), ('ask("SET", key, "sold")', 'ask("SET", key, "sold", "NX")')),
    ),
    "kubernetes": Service(
        (),
        (),
        (sys.executable, "jobs.py"),
        ("--kubernetes", "--request", "curl -X PUT localhost/jobs/nightly-7"),
        "jobs.py",
        (('f"job-{uuid.uuid4()}"', 'f"job-{job}"'),),
    ),
}


@pytest.mark.cases
@pytest.mark.unmeasured
@pytest.mark.parametrize("language", TO_THE_END)
def test_five_commands_lead_to_a_race_and_to_its_fix(language: str, tmp_path: Path) -> None:
    """It finds the race, replays it, knows the fix, and holds then: no file is edited but the service."""
    service = TO_THE_END[language]
    missing = [program for program in service.needs if shutil.which(program, path=_path()) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed")
    folder = tmp_path / language
    shutil.copytree(SERVICES / ("python" if language == "kubernetes" else language), folder)
    _build(folder, service)
    code, printed = _stress(folder, "init", *service.options, "--", *service.start)
    assert (code, re.findall("^RACE ", printed, re.MULTILINE)) == (1, ["RACE "]), printed
    (order,) = re.findall(r"^  replay: .*stress-gateway replay (\S+)$", printed, re.MULTILINE)
    assert _stress(folder, "replay", order, "--times", "10") == (1, "STILL FAILING 10/10\n")
    text = (folder / service.source).read_text()
    for racy, fixed in service.fix:
        assert racy in text
        text = text.replace(racy, fixed)
    (folder / service.source).write_text(text)
    _build(folder, service)
    code, printed = _stress(folder, "replay", order)
    assert (code, printed[:5]) == (0, "FIXED"), printed
    code, printed = _stress(folder, "run", "--target", f"{language}.yaml")
    assert (code, " holds " in printed) == (0, True), printed


@pytest.mark.cases
@pytest.mark.unmeasured
def test_the_commands_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    """A service with FastAPI: the race, its replay, the fix, the order that is kept, and what holds then."""
    if shutil.which("uvicorn", path=_path()) is None:
        pytest.skip("uvicorn not installed")
    folder = tmp_path / "payments"
    shutil.copytree(SERVICES / "fastapi", folder)
    init, repeat, fixed, keep, run = (
        shlex.split(line)[1:] for line in re.findall("^    (stress-gateway .*)$", PAGE, re.MULTILINE)
    )
    assert _stress(folder, *init)[0] == 1
    assert _stress(folder, *repeat) == (1, "STILL FAILING 10/10\n")
    text = (folder / "app.py").read_text()
    for racy, right in (("await store.get(key)\n    made", "None\n    made"), ("nx=False", "nx=True")):
        assert racy in text
        text = text.replace(racy, right)
    (folder / "app.py").write_text(text)
    code, printed = _stress(folder, *fixed)
    assert (code, printed[:5]) == (0, "FIXED"), printed
    assert _stress(folder, *keep)[0] == 0
    code, printed = _stress(folder, *run)
    assert (code, " holds " in printed) == (0, True), printed


def _build(folder: Path, service: Service) -> None:
    if service.build:
        subprocess.run(service.build, cwd=folder, check=True)


def _path() -> str:
    """Give where programs are looked for: those that are installed beside Python first."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def _stress(folder: Path, *words: str) -> tuple[int, str]:
    """Run a command in a folder, in a process of its own; give the exit code and what was printed."""
    variable = f"{folder.name}_AUTHORIZATION".upper()
    env = {**os.environ, "PATH": _path(), variable: "Bearer not-4-everyone"}
    done = subprocess.run(command(*words), cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr
