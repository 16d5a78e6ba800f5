"""What the documents show is what the commands do: each command is run as it is written, or `NOT_RUN` says why not.

A command is a line of a block without a language, or what stands between backticks and begins with a program. Whoever
adds one adds it to what is run: most one by one, those of a page that is a story in its order (`test_pages`), those of
the pages of doctor and triage in the tests of those commands. A command that such a page has too is not run here again.
What searches many cases is run on one of them (`LESS`); CI runs it whole, as `make stress-gateway`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path
from shutil import which

import click
import pytest
import yaml
from commands import command, stress
from pydantic import BaseModel
from shown_commands import (
    DOCUMENTS,
    FAILS_STILL,
    FILES,
    PAGES,
    PROGRAMS,
    ROOT,
    SCHEDULE,
    THERE,
    WALK,
    blocks,
    lines_of,
    mentioned,
    own_files,
    shown,
)

from stress.cli.main import LATER, main
from stress.config.formats import find
from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.processes.child import accepts, free_port
from stress.protocols.redis.server import Valkey

KUBERNAUT = "needs a build of Kubernaut's Gateway: tests/kubernaut runs it where one is named"
NOT_RUN = {
    **{
        line: KUBERNAUT
        for line in sorted(mentioned("docs/kubernaut.md") | lines_of(["docs/kubernaut.md"]))
        if re.match(
            r"(stress-gateway run .*--target |make stress-gateway TARGET=)kubernaut-|.* -- \./gateway\.test ", line
        )
    },
    "export KUBERNAUT_GATEWAY_2026_01=…/gateway-2026-01 KUBERNAUT_GATEWAY_HEAD=…/gateway": "names one's own files",
    "make stress-gateway PROFILE=nightly SHARD=1/4": "takes minutes: each night, and by its words in test_nightly.py",
    "make bench": "takes ten minutes: test_bench.py runs what it is made of",
    "make lint": "is what CI runs before the tests",
    "make test": "is these tests",
    "make test-fast": "is a part of these tests",
    "make test-cases": "takes minutes: CI runs it after these tests",
}
"""Every command that no test runs, with the reason. Of those of make it is seen that make knows them."""
LESS = {
    "stress-gateway run": ("--shard", "21/21"),
    "make stress-gateway": ("--shard", "21/21"),
    'make stress-gateway SCENARIO="t1-five-at-once t2-one-then-three"': ("--shard", "5/7"),
    "make stress-gateway TARGET=my-gateway.yaml": ("atomic-hit-count",),
}
"""What is added to a search of many cases, so that one of them is left."""
FIGURES = ("scenario x target", "client A B C --HTTP", "RACE lost-hit hits_equal_answers", "my-gateway.yaml:5:16: ")
"""How blocks begin that are neither commands nor files."""
APART = "pytest |make help|make stress-gateway TARGET=|stress-gateway gateway "
"""How commands begin that have tests of their own."""
SERVER = """\
import asyncio, os
from stress.gateways.serve import serve
host, store, port = (os.environ[name] for name in ("REDIS_HOST", "REDIS_PORT", "PORT"))
asyncio.run(serve("redis-atomic", f"redis://{host}:{store}/0", int(port)))
"""
MOST_BYTES = 300_000
"""Of a picture."""

ALL = lines_of(DOCUMENTS) | set(chain.from_iterable(map(mentioned, DOCUMENTS)))
ONE_BY_ONE = sorted(ALL - lines_of({WALK, SCHEDULE, *PAGES, *THERE}) - NOT_RUN.keys())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_stands_in_a_block_is_known(document: str) -> None:
    """A file, a figure, or commands; what stands below one is compared with what it prints."""
    begins = [text.splitlines()[0] for language, text in blocks(document) if language not in FILES]
    assert [line for line in begins if not re.match(f"({PROGRAMS}) |{'|'.join(FIGURES)}", line)] == []
    compared = document in {WALK, SCHEDULE, *PAGES}
    assert compared or [one for one in shown(document) if one.prints] == []


def test_each_command_is_run_or_it_is_said_why_not() -> None:
    """The programs that tests can run are three; what else is shown stands in the table, and the table has no other."""
    others = {line for line in ALL if not line.startswith(("stress-gateway ", "make stress-gateway", "pytest "))}
    assert others - NOT_RUN.keys() == {"make help"}
    assert NOT_RUN.keys() - ALL == set()
    assert LESS.keys() - set(ONE_BY_ONE) == set()


@pytest.mark.parametrize(("document", "tests"), THERE.items())
def test_what_is_not_run_here_is_run_there(document: str, tests: str) -> None:
    """Those tests read the document, and its commands are where they look for them: in indented lines."""
    assert Path(document).name in (ROOT / "tests" / tests).read_text()
    assert len(shown(document)) == len(re.findall(r"(?m)^    stress-gateway ", (ROOT / document).read_text()))


def test_every_command_of_the_program_is_shown_in_the_readme() -> None:
    """Each has a line in the list of commands."""
    assert {line.split()[1] for line in lines_of(["README.md"]) if line.startswith("stress-gateway")} == LATER.keys()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_to_a_file(document: str) -> None:
    """Each file and picture that a document links to is there; a picture says in words what it shows, and is small."""
    links = re.findall(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", (ROOT / document).read_text())
    inside = [link for link in links if "://" not in link[2]]
    places = {link: (ROOT / document).parent / link.partition("#")[0] for _, _, link in inside}
    assert [link for link, place in places.items() if not place.exists()] == []
    pictures = [(words, places[link]) for picture, words, link in inside if picture]
    assert [place.name for words, place in pictures if not words or place.stat().st_size > MOST_BYTES] == []


# --- commands one by one -----------------------------------------------------------------------------


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


@pytest.mark.parametrize("line", sorted(line for line in ALL if line.startswith("make ")))
def test_every_verb_that_is_shown_is_one(line: str) -> None:
    """Make knows what to do for each command that the documents show."""
    assert bool(made(line)) == line.startswith("make stress-gateway")


@pytest.mark.unmeasured
@pytest.mark.parametrize("line", [line for line in ONE_BY_ONE if not re.match(APART, line)])
def test_every_command_that_is_shown_does_what_is_reported(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command ends as expected; a replay of the racy Gateway's schedule fails, also in letters."""
    own_files(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    times = re.search(r" replay .* --times (\d+)$", line)
    if times:
        assert stress(tmp_path, "run", "atomic-hit-count", "--target", "redis-read-modify-write").code == 0
    words = made(line) if line.startswith("make ") else shlex.split(line)[1:]
    done = stress(tmp_path, *words, *LESS.get(line, ()))
    assert done.code == (FAILS_STILL if times or " --schedule " in line else 0), done
    assert times is None or done.out == f"STILL FAILING {times[1]}/{times[1]}\n"


@pytest.mark.parametrize("line", [line for line, why in NOT_RUN.items() if why == KUBERNAUT])
def test_what_is_shown_for_a_program_that_is_not_here_is_understood(line: str) -> None:
    """The command knows its options, and each scenario and target that it names is a bundled one."""
    name, *words = made(line) if line.startswith("make ") else shlex.split(line)[1:]
    command_named = main.get_command(click.Context(main), name)
    assert command_named is not None
    asked = command_named.make_context(name, words).params
    scenarios, targets = (list(asked.get(key, ())) for key in ("scenarios", "targets"))
    assert [Scenario.load(find(one, "")).name for one in scenarios] == scenarios
    assert [Target.load(find(one, "targets")).name for one in targets] == targets


@pytest.mark.unmeasured
def test_the_bundled_gateway_is_started_as_shown() -> None:
    """The command that is shown serves on its port, on a store that runs."""
    (line,) = [line for line in ONE_BY_ONE if line.startswith("stress-gateway gateway ")]
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


@pytest.mark.parametrize("code", [1, 64])
def test_make_has_one_exit_code_and_prints_that_of_the_command(tmp_path: Path, code: int) -> None:
    """Whatever the command ends with, make ends with 2, and its last line has the code, as the README says."""
    if which("make") is None:
        pytest.skip("make is not installed")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    program = tmp_path / "bin" / "stress-gateway"
    program.write_text(f"#!/bin/sh\nexit {code}\n")
    program.chmod(0o755)
    (tmp_path / ".run").write_text(f"{ROOT}\n")
    words = ["make", f"VENV={tmp_path}", "stress-gateway"]
    env = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.rstrip().endswith(f"Error {code}")


# --- what the README has -----------------------------------------------------------------------------


def readme(word: str) -> str:
    """Give the block of the README that has a word."""
    (text,) = [text for _, text in blocks("README.md") if word in text]
    return text


def test_the_race_that_is_shown_is_what_the_command_prints(tmp_path: Path) -> None:
    """The excerpt in the README is the beginning of the command's output, to the letter."""
    done = stress(tmp_path, "run", "atomic-hit-count", "--target", "redis-read-modify-write")
    assert done.out[: len(readme("RACE"))] == readme("RACE")


def test_the_target_that_is_shown_is_all_it_takes(tmp_path: Path) -> None:
    """The README's target, with a corrected Gateway that reads the same variables, holds in every check.

    Of the two scenarios that make runs on it that is the one without a clock: the other takes real seconds.
    """
    (line,) = [line for line in ONE_BY_ONE if "TARGET=" in line]
    (tmp_path / "my-gateway").mkdir()
    (tmp_path / "my-gateway" / "server.py").write_text(SERVER)
    words = json.dumps([sys.executable, "server.py"])
    (tmp_path / "my-gateway.yaml").write_text(readme("# my-gateway.yaml").replace('["node", "server.js"]', words))
    done = stress(tmp_path, *made(line), *LESS[line], "--json")
    (one,) = json.loads(done.out)
    assert (done.code, one["target"], one["verdict"], one["notes"]) == (0, "my-gateway", "holds", [])


@pytest.mark.cases
@pytest.mark.unmeasured
@pytest.mark.parametrize("line", [line for line in ONE_BY_ONE if line.startswith("pytest ")])
def test_what_is_shown_for_pytest_passes(line: str, tmp_path: Path) -> None:
    """A scenario file is a test, and so is the README's own, which stands beside it; the Gateway is right."""
    own_files(tmp_path)
    (tmp_path / "test_mine.py").write_text(readme("@given").replace("max_examples=20", "max_examples=3"))
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *shlex.split(line)[1:], "test_mine.py"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "= 2 passed in" in done.stdout, done.stdout


# --- what the guide to both formats has --------------------------------------------------------------


def keys(model: type[BaseModel]) -> set[str]:
    """Name every key of a format, each with the part that it is of."""
    schema = model.model_json_schema()
    parts = {model.__name__: schema, **schema["$defs"]}
    return {f"{name}.{key}" for name, part in parts.items() for key in part.get("properties", {})}


def given(value: object) -> set[str]:
    """Name the keys that stand in a file, in the same way."""
    if isinstance(value, dict | list):
        return set[str]().union(*map(given, value.values() if isinstance(value, dict) else value))
    if not isinstance(value, BaseModel):
        return set()
    own = {f"{type(value).__name__}.{key}" for key in value.model_fields_set}
    return own.union(*(given(getattr(value, key)) for key in value.model_fields_set))


def test_every_key_of_both_formats_has_an_example() -> None:
    """It stands in one of the complete files of scenarios/README.md, or in its table of other forms."""
    guide = "scenarios/README.md"
    table = (ROOT / guide).read_text().split("### Other forms")[1].split("###")[0]
    texts = [text for language, text in blocks(guide) if language == "yaml"]
    texts += re.findall(r"(?m)^\| .+ \| `(.+)` \|$", table)
    shown_keys: set[str] = set()
    for one in map(yaml.safe_load, texts):
        if one.keys() & {"signal", "actors"}:
            shown_keys |= given(Scenario.model_validate({"name": "x", "story": "x", **one}))
        else:
            begun = {} if one.keys() & {"protocol", "url"} else {"start": {"command": ["x"]}}
            shown_keys |= given(Target.model_validate({"name": "x", **begun, **one}))
    assert shown_keys == keys(Scenario) | keys(Target)
