"""What protocols contribute to the format of a target file."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from stress.config.stores import default, protocols
from stress.config.target import Target
from stress.core.errors import UsageFault

if TYPE_CHECKING:
    from pathlib import Path

TOY = """
from stress.config.stores import Parts, StatePart, StorePart
from stress.core.registry import PROTOCOLS

class Lines(StorePart):
    protocol = "lines"
    listen: int | None = None

class Names(StatePart):
    protocol = "lines"
    lines: list[str]

class Toy:
    default = False
    parts = Parts("a server", {}, Lines, "a server of lines", list[str], ("PING",), ("lines_port",), records=Names)

PROTOCOLS.register("lines", Toy())

from stress.config.target import Target

target = Target.model_validate({
    "name": "t",
    "start": {"command": ["serve", "{lines_port}"]},
    "stores": {"lines": {}},
    "observe": {"records": {"lines": ["NAMES"]}},
})
print(*target.stores.used, target.background.of("lines"), target.observe.records.protocol)
"""


def test_an_unknown_store_is_named_with_the_nearest(tmp_path: Path) -> None:
    """It is a fault of the file, at its place."""
    path = tmp_path / "t.yaml"
    path.write_text("name: t\nstart: {command: [serve]}\nstores: {rediss: {}}\n")
    with pytest.raises(UsageFault) as caught:
        Target.load(path)
    assert str(caught.value) == f"{path}:3:10: unknown key 'stores.rediss' (did you mean 'redis'?)"


def test_a_target_that_names_no_store_has_that_of_the_default_protocol() -> None:
    """The others come by their names."""
    assert list(protocols()) == ["redis", "kubernetes"]
    assert list(Target.model_validate({"name": "t", "start": {"command": ["serve"]}}).stores.used) == [default()]


def test_each_part_is_known_by_the_key_of_its_protocol() -> None:
    """The types that one key may have are distinguished by it."""
    roles = ("records", "hits", "cleanup", "expiry", "writer")
    kinds = [(name, kind) for name, parts in protocols().items() for role in roles if (kind := getattr(parts, role))]
    assert len(kinds) == 9
    assert all(kind.protocol == name and name in kind.model_fields for name, kind in kinds)


def test_a_protocol_that_is_registered_has_its_keys_in_a_target_file() -> None:
    """Its store, rules, placeholders and records are known by its registration alone."""
    done = subprocess.run([sys.executable, "-c", TOY], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("lines ['PING'] lines\n", "")
