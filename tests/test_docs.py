"""What the documents show is what the commands do: each is run as it is written."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from shutil import which

import pytest
from commands import TWO_AT_ONCE, command, stress

from stress.stores.process import accepts, free_port
from stress.stores.valkey import Valkey
from stress.target import Target

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "scenarios/README.md", "reports/README.md")
GATEWAY = ROOT / "tests" / "gateways" / "lock_gateway.py"
FAILS_STILL = 1


def blocks(document: str) -> list[str]:
    """Give the code blocks of a document, indented or fenced."""
    text = (ROOT / document).read_text()
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    indented = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", rest, re.MULTILINE)
    return [*fenced, *(textwrap.dedent(block).strip("\n") + "\n" for block in indented)]


def shown(program: str) -> list[str]:
    """Give every command of a program that a document shows, each once."""
    lines = [line for document in DOCUMENTS for block in blocks(document) for line in block.splitlines()]
    found = [line.split("  #")[0].strip() for line in lines if line.startswith(f"{program} ")]
    inline = [
        words.replace("\n", " ")
        for document in DOCUMENTS
        for words in re.findall(rf"`({program} [^`]+)`", (ROOT / document).read_text())
    ]
    return sorted(line for line in {*found, *inline} if line != "stress-gateway replay")


def own_files(folder: Path) -> None:
    """Write the scenario and the target that the documents speak of; the Gateway holds a lock, so it is right."""
    words = json.dumps([sys.executable, str(GATEWAY), "{port}", "{redis_port}", "locked"])
    (folder / "my-gateway.yaml").write_text(f"name: my-gateway\nstart: {{command: {words}}}\npatience: 0.2\n")
    (folder / "my-scenario.yaml").write_text(
        TWO_AT_ONCE.replace("no_server_error, one_created_answer", "no_server_error")
    )


@pytest.mark.parametrize("line", shown("make"))
def test_every_verb_that_is_shown_is_one(line: str) -> None:
    """Make knows what to do for each command that the documents show."""
    if which("make") is None:
        pytest.skip("make is not installed")
    done = subprocess.run(
        [*shlex.split(line), "-n"], cwd=ROOT, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"}
    )
    assert (done.returncode, done.stdout != "") == (0, True), done.stderr


@pytest.mark.parametrize("line", [line for line in shown("stress-gateway") if " gateway " not in line])
def test_every_command_that_is_shown_does_what_is_told(line: str, tmp_path: Path) -> None:
    """Each command ends as expected; a replay of the racy Gateway's order fails still."""
    own_files(tmp_path)
    if "replay" in line:
        assert stress(tmp_path, "run", "atomic-hit-count", "--target", "redis-read-modify-write").code == 0
    done = stress(tmp_path, *shlex.split(line)[1:])
    assert done.code == (FAILS_STILL if "replay" in line else 0), done
    assert "replay" not in line or done.out == "STILL FAILING 100/100\n"


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


def test_the_target_that_is_shown_is_a_target(tmp_path: Path) -> None:
    """The README's target file loads."""
    (text,) = [block for block in blocks("README.md") if block.startswith("# my-gateway.yaml")]
    (tmp_path / "my-gateway").mkdir()
    (tmp_path / "my-gateway.yaml").write_text(text)
    target = Target.load(tmp_path / "my-gateway.yaml")
    assert target.start is not None
    assert target.start.command == ["node", "server.js"]


def test_the_test_that_is_shown_passes(tmp_path: Path) -> None:
    """A developer's own test, as the README has it, passes on a Gateway that is right."""
    own_files(tmp_path)
    (text,) = [block for block in blocks("README.md") if "@given" in block]
    (tmp_path / "test_mine.py").write_text(text.replace("max_examples=20", "max_examples=3"))
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout
