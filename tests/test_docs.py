"""What the documents show is what the commands do: each is run as it is written."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import click
import pytest
from commands import TWO_AT_ONCE, command, stress

from stress.cli import main
from stress.formats import find
from stress.order import Head, Order
from stress.scenario import Scenario
from stress.step import Move
from stress.stores.process import accepts, free_port
from stress.stores.valkey import Valkey
from stress.target import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parent.parent
WALK = "docs/reproduce-before-fixing.md"
ELSEWHERE = "docs/kubernaut.md"
"""Its commands need a program that is not here; they are only understood."""
THERE = {"docs/doctor.md": "test_doctor.py", "docs/triage.md": "test_triage.py"}
"""Documents whose commands are run by tests that have what these need."""
DOCUMENTS = (
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "reports/README.md",
    "scenarios/README.md",
    "scenarios/regressions/README.md",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md")),
)
GATEWAY = ROOT / "tests" / "gateways" / "lock_gateway.py"
SERVER = """\
import asyncio, os
from stress.gateways.serve import serve
host, store, port = (os.environ[name] for name in ("REDIS_HOST", "REDIS_PORT", "PORT"))
asyncio.run(serve("redis-atomic", f"redis://{host}:{store}/0", int(port)))
"""
MOST_BYTES = 300_000
"""Of a picture."""
FAILS_STILL = 1


NAMES = {f"stress-gateway {name}" for name in ("overhead", "replay", "triage")}
"""Not calls: commands that need more are only named so."""


def blocks(document: str) -> list[str]:
    """Give the code blocks of a document, indented or fenced."""
    text = (ROOT / document).read_text()
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    indented = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", rest, re.MULTILINE)
    return [*fenced, *(textwrap.dedent(block).strip("\n") + "\n" for block in indented)]


HERE = tuple(one for one in DOCUMENTS if one not in {WALK, ELSEWHERE, *THERE})


def shown(program: str, documents: Sequence[str] = HERE) -> list[str]:
    """Give every command of a program that a document shows, each once."""
    lines = [line for document in documents for block in blocks(document) for line in block.splitlines()]
    found = [line.split("  #")[0].strip() for line in lines if line.startswith(f"{program} ")]
    inline = [
        words.replace("\n", " ")
        for document in documents
        for words in re.findall(rf"`({program} [^`]+)`", (ROOT / document).read_text())
    ]
    return sorted(line for line in {*found, *inline} if line not in NAMES)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_to_a_file(document: str) -> None:
    """Each file and picture that a document links to is there; a picture says in words what it shows, and is small."""
    links = re.findall(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", (ROOT / document).read_text())
    inside = [link for link in links if "://" not in link[2]]
    places = {link: (ROOT / document).parent / link.partition("#")[0] for _, _, link in inside}
    assert [link for link, place in places.items() if not place.exists()] == []
    pictures = [(words, places[link]) for picture, words, link in inside if picture]
    assert [place.name for words, place in pictures if not words or place.stat().st_size > MOST_BYTES] == []


def own_target(folder: Path, mode: str) -> None:
    """Write the target that the documents speak of."""
    words = json.dumps([sys.executable, str(GATEWAY), "{port}", "{redis_port}", mode])
    (folder / "my-gateway.yaml").write_text(f"name: my-gateway\nstart: {{command: {words}}}\npatience: 0.2\n")


def own_files(folder: Path) -> None:
    """Write the scenario and the target that the documents speak of; the Gateway holds a lock, so it is right.

    Beside them is an order of that scenario.
    """
    own_target(folder, "locked")
    (folder / "my-scenario.yaml").write_text(
        TWO_AT_ONCE.replace("no_server_error, one_created_answer", "no_server_error")
    )
    order = Order(
        (Move("A", "SET", "k"),), Head("two-at-once", target="my-gateway"), (("scenario my-scenario.yaml", ""),)
    )
    (folder / "order.txt").write_text(order.text())


def made(line: str) -> list[str]:
    """Give the words after `stress-gateway` that make runs for a line, none where it runs something else."""
    if which("make") is None:
        pytest.skip("make is not installed")
    words = [*shlex.split(line), "-n"]
    env = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stdout != "") == (0, True), done.stderr
    program, *rest = shlex.split(done.stdout.splitlines()[-1])
    return rest if program.endswith("/stress-gateway") else []


@pytest.mark.parametrize("line", shown("make"))
def test_every_verb_that_is_shown_is_one(line: str) -> None:
    """Make knows what to do for each command that the documents show."""
    assert bool(made(line)) == line.startswith("make stress-gateway")


@pytest.mark.unmeasured
@pytest.mark.parametrize("line", [line for line in shown("stress-gateway") if " gateway " not in line])
def test_every_command_that_is_shown_does_what_is_told(line: str, tmp_path: Path) -> None:
    """Each command ends as expected; a replay of the racy Gateway's order fails still."""
    own_files(tmp_path)
    if "replay" in line:
        assert stress(tmp_path, "run", "atomic-hit-count", "--target", "redis-read-modify-write").code == 0
    done = stress(tmp_path, *shlex.split(line)[1:])
    assert done.code == (FAILS_STILL if "replay" in line else 0), done
    assert "replay" not in line or done.out == "STILL FAILING 100/100\n"


@pytest.mark.parametrize(("document", "tests"), THERE.items())
def test_what_is_not_run_here_is_run_there(document: str, tests: str) -> None:
    """Those tests read the document whose commands they run."""
    assert Path(document).name in (ROOT / "tests" / tests).read_text()


def test_the_bundled_gateway_is_started_as_shown() -> None:
    """The command that is shown serves on its port, on a store that runs."""
    (line,) = [line for line in shown("stress-gateway") if " gateway " in line]
    store, port = Valkey(), free_port()
    words = line.replace("6379", str(store.port)).replace("8080", str(port))
    process = subprocess.Popen(command(*shlex.split(words)[1:]))
    try:
        while not accepts("127.0.0.1", port):
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        store.close()


def test_the_race_that_is_shown_is_what_the_command_prints(tmp_path: Path) -> None:
    """The excerpt in the README is the beginning of the command's output, to the letter."""
    (excerpt,) = [block for block in blocks("README.md") if block.startswith("RACE")]
    done = stress(tmp_path, "run", "atomic-hit-count", "--target", "redis-read-modify-write")
    assert done.out[: len(excerpt)] == excerpt


def test_the_target_that_is_shown_is_all_it_takes(tmp_path: Path) -> None:
    """The README's target, with a corrected Gateway that reads the same variables, holds in what make runs on it.

    Of the two scenarios that is the one without a clock, as the other takes real seconds (`test_cli` runs both).
    """
    (text,) = [block for block in blocks("README.md") if block.startswith("# my-gateway.yaml")]
    (tmp_path / "my-gateway").mkdir()
    (tmp_path / "my-gateway" / "server.py").write_text(SERVER)
    words = json.dumps([sys.executable, "server.py"])
    (tmp_path / "my-gateway.yaml").write_text(text.replace('["node", "server.js"]', words))
    (line,) = [line for line in shown("make") if "TARGET" in line]
    done = stress(tmp_path, *made(line), "atomic-hit-count", "--json")
    (one,) = json.loads(done.out)
    assert (done.code, one["target"], one["verdict"], one["notes"]) == (0, "my-gateway", "holds", [])


def test_the_test_that_is_shown_passes(tmp_path: Path) -> None:
    """A developer's own test, as the README has it, passes on a Gateway that is right."""
    own_files(tmp_path)
    (text,) = [block for block in blocks("README.md") if "@given" in block]
    (tmp_path / "test_mine.py").write_text(text.replace("max_examples=20", "max_examples=3"))
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("line", shown("pytest"))
def test_every_run_of_pytest_that_is_shown_passes(line: str, tmp_path: Path) -> None:
    """Each has one scenario on one target, which holds."""
    own_files(tmp_path)
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *shlex.split(line)[1:]]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "= 1 passed in" in done.stdout, done.stdout


@pytest.mark.parametrize("line", shown("stress-gateway", [one for one in DOCUMENTS if one == ELSEWHERE]))
def test_what_is_shown_for_a_program_that_is_not_here_is_understood(line: str) -> None:
    """The command knows its options, and each scenario and target that it names is a bundled one."""
    name, *words = shlex.split(line)[1:]
    found = main.get_command(click.Context(main), name)
    assert found is not None
    asked = found.make_context(name, words).params
    for scenario in asked.get("scenarios", ()):
        assert Scenario.load(find(scenario, "")).name == scenario
    targets = asked.get("targets") or ([asked["target"]] if asked.get("target") else [])
    assert [Target.load(find(target, "targets")).name for target in targets] == list(targets)


RACY = """\
name: my-scenario
story: Two identical signals at once.
signal: {labels: {pod: "p-{fresh}"}}
invariants: [no_server_error, one_created_answer]
expect: {my-gateway: holds}
"""


def test_a_race_is_walked_from_red_to_a_regression(tmp_path: Path) -> None:
    """Each command of the walk, in its order, prints what stands below it; in between, the Gateway is mended."""
    (tmp_path / "my-scenario.yaml").write_text(RACY)
    walk = [block.splitlines() for block in blocks(WALK) if block.startswith("stress-gateway ")]
    assert [line.split()[1] for line, *_ in walk] == ["run", "replay", "replay", "promote", "run"]
    own_target(tmp_path, "racy")
    said = [stress(tmp_path, *shlex.split(walk[0][0])[1:])]
    shutil.copyfile(tmp_path / "reports" / "latest" / "order.txt", tmp_path / "my-scenario-my-gateway.txt")
    said += [stress(tmp_path, *shlex.split(walk[1][0])[1:])]
    own_target(tmp_path, "locked")
    said += [stress(tmp_path, *shlex.split(line)[1:]) for line, *_ in walk[2:]]
    assert [one.code for one in said] == [1, FAILS_STILL, 0, 0, 0]
    for (_, *lines), one in zip(walk, said, strict=True):
        for line, printed in zip(lines, one.out.splitlines(), strict=False):
            assert printed.startswith(line.removesuffix("…")), printed
    assert "regression that can't be followed any more: regressions/my-scenario-my-gateway-" in said[-1].out
