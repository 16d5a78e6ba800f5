"""The words of the code and of the documents: none of those that only its authors know, and one meaning for a class."""

from __future__ import annotations

import ast
import re
import tokenize
from collections import Counter
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IDENTIFIERS = frozenset(
    {"again", "ahead", "alone", "anew", "beforehand", "debts", "habits", "kindest", "loose", "mend"}
) | {
    "nursery",
    "told",
    "vain",
    "whoever",
}
"""Words that no name of a module, class, function, argument, attribute or variable has between its underscores."""
PROSE = re.compile(
    r"\b(?:anew|beforehand|habits?|mend(?:s|ed|ing)?|nursery|told|whoever(?:'s)?|stands in(?= for\b)?)\b", re.IGNORECASE
)
"""What no text has, whether a docstring, a comment, a message or the name of a test."""
ANY = re.compile("|".join([*sorted(IDENTIFIERS), "habit", "stands in"]), re.IGNORECASE)
"""What a file has that is worth a closer look."""
NOT_YET = frozenset(
    {
        "tests/cases",
        "tests/cli",
        "tests/diagnose",
        "tests/documents",
        "tests/engine/wrap",
        "tests/executors/live",
        "tests/gateways",
        "tests/kubewire.py",
        "tests/known.py",
        "tests/programs.py",
        "tests/processes",
        "tests/protocols",
        "tests/pytest_plugin",
        "tests/report",
    }
)
"""Where words of these are left. It only shrinks: a folder that has none must be taken out."""
ALLOWED = frozenset({"mend"})
"""Words in quotation marks that a file names to refuse them: the key of old YAML files (`stress.config.formats`)."""


def files() -> list[Path]:
    """List what is judged: the code, its tests, and what users read."""
    found = chain(
        (ROOT / "stress").rglob("*.py"),
        (ROOT / "tests").rglob("*.py"),
        (ROOT / "docs").glob("*.md"),
        (ROOT / "scenarios").rglob("*.md"),
        (ROOT / "scenarios").rglob("*.yaml"),
        [ROOT / "README.md"],
    )
    return sorted(one for one in found if "data" not in one.parts and one != Path(__file__))


@cache
def words(path: Path) -> list[str]:
    """List the denied words of a file, each with its line."""
    if path.suffix != ".py":
        lines = path.read_text(encoding="utf-8").splitlines()
        return [f"{number} {one}" for number, line in enumerate(lines, start=1) for one in PROSE.findall(line)]
    if not ANY.search(path.name + path.read_text(encoding="utf-8")):
        return []
    found = [f"1 {one}" for one in path.stem.split("_") if one in IDENTIFIERS]
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.NAME:
                parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", token.string)
                is_test = token.string.startswith("test_")
                text = " ".join(parts)
                denied = PROSE.findall(text) if is_test else [one for one in parts if one.lower() in IDENTIFIERS]
            else:
                denied = [] if token.string.strip("\"'") in ALLOWED else PROSE.findall(token.string)
            found += [f"{token.start[0]} {one}" for one in denied]
    return found


def place(path: Path) -> str:
    """Name the part of the tree that a file belongs to: the entry of `NOT_YET`, else the file."""
    name = path.relative_to(ROOT).as_posix()
    return next((one for one in NOT_YET if name == one or name.startswith(f"{one}/")), name)


def test_no_word_is_used_that_only_authors_know() -> None:
    """Outside the folders that are left every name and text is free of the denied words."""
    found = [f"{place(path)}:{one}" for path in files() if place(path) not in NOT_YET for one in words(path)]
    assert found == []


def test_the_folders_that_are_left_only_shrink() -> None:
    """A folder that has no denied word any more is no longer named."""
    left = {place(path) for path in files() if words(path)}
    assert sorted(NOT_YET - left) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("told = 1", ["1 told"]),
        ("class Told: ...", ["1 Told"]),
        ("def run(*, again: bool) -> None: ...", ["1 again"]),
        ("x.left_alone = 2  # as before", ["1 alone"]),
        ("def test_it_is_told() -> None: ...", ["1 told"]),
        ("def test_it_runs_alone() -> None: ...", []),
        ('x = "Whoever waits"', ["1 Whoever"]),
        ("# what stands in for it", ["1 stands in"]),
        ('x = "mend"', []),
        ("lonely = standalone = 1", []),
    ],
)
def test_names_and_texts_are_judged_by_their_words(tmp_path: Path, text: str, found: list[str]) -> None:
    """A name is judged by its parts, a text and the name of a test by the words of prose."""
    (tmp_path / "one.py").write_text(text)
    assert words(tmp_path / "one.py") == found


TWICE = {
    "Answer": 3,
    "Asked": 2,
    "Cause": 2,
    "Cluster": 2,
    "Command": 2,
    "Drawn": 2,
    "Effect": 3,
    "Ending": 2,
    "Ends": 2,
    "Event": 2,
    "Finding": 2,
    "Flight": 2,
    "Found": 2,
    "Head": 2,
    "Held": 2,
    "Judged": 2,
    "Kept": 2,
    "KubeStore": 2,
    "Limits": 2,
    "Outcome": 2,
    "Owed": 2,
    "Place": 4,
    "Reader": 2,
    "RedisStore": 2,
    "Refused": 2,
    "Replay": 2,
    "Reply": 2,
    "Request": 4,
    "RequestParser": 2,
    "Resource": 2,
    "Sample": 2,
    "Schedule": 2,
    "Search": 3,
    "Seconds": 2,
    "Seen": 2,
    "Session": 3,
    "Signal": 2,
    "Start": 3,
    "Store": 2,
    "Taken": 2,
    "Tally": 2,
    "Turn": 2,
    "Unknown": 2,
    "Unread": 2,
    "Value": 2,
    "Watch": 2,
    "_Open": 2,
    "_Upstream": 2,
}
"""Classes that are defined more than once in `stress/`. It only shrinks: another meaning needs another name."""


def test_a_class_has_one_meaning() -> None:
    """No two classes at the top of a module have one name, but for those that are listed."""
    names = Counter(
        node.name
        for path in (ROOT / "stress").rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    )
    assert {name: times for name, times in names.items() if times > 1} == TWICE
