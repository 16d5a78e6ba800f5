"""Commands on a store that their user lends: its dumps are equal before and after, however a command ends."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from commands import GATEWAYS, command, own_files, report, stress
from redis import Redis

from stress.protocols.redis.server import Valkey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = GATEWAYS / "lent_gateway.py"
Dumps = dict[bytes, tuple[object, object]]


@pytest.fixture
def store() -> Iterator[Redis]:
    """Run a store in which every key that the Gateway writes is there already, but for those of one alert."""
    server = Valkey()
    client = Redis(port=server.port)
    client.sadd("seen", "keep-me")
    client.mset({"stats:total": 123456, "stats:starts": 3})
    client.hset("stats", "all", 7)
    client.hset("last", "keep-me", 1)
    client.zadd("recent", {"keep-me": 5})
    client.xadd("log", {"name": "keep-me"})
    client.rpush("queue", "a", "b", "c")
    client.set("lease", "mine", px=3_600_000)
    client.set("old", "old")
    client.set("new", "new")
    yield client
    client.close()
    server.close()


def dumps(store: Redis) -> Dumps:
    """Give what the store holds, and until when."""
    return {key: (store.dump(key), store.pexpiretime(key)) for key in sorted(store.keys())}


def files(folder: Path, store: Redis, mode: str) -> list[str]:
    """Write a scenario and a target whose store is lent; give the words that search them."""
    port = store.connection_pool.connection_kwargs["port"]
    more = f"stores: {{redis: {{url: 'redis://127.0.0.1:{port}/0'}}}}\nfingerprint: {{answer: fingerprint}}\n"
    return [*own_files(folder, mode, program=PROGRAM, patience=1.0, more=more), "--schedules", "12", "--no-examples"]


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("mode", "code"),
    [
        pytest.param("correct", 0, marks=pytest.mark.cases),
        pytest.param("racy", 1, marks=pytest.mark.cases),
        ("SIGINT-2", 130),  # in the warm-up
        ("SIGTERM-4", 130),  # in the preflight
    ],
)
def test_a_lent_store_is_byte_for_byte_what_it_was(tmp_path: Path, store: Redis, mode: str, code: int) -> None:
    """A correct and a racy Gateway, to the end or interrupted: every key holds what it held, and no key is left."""
    before = dumps(store)
    said = stress(tmp_path, *files(tmp_path, store, mode))
    assert (said.code, dumps(store)) == (code, before), said


@pytest.mark.unmeasured
def test_ctrl_c_in_the_midst_of_a_search_leaves_a_lent_store_as_it_was(tmp_path: Path, store: Redis) -> None:
    """A command in a process of its own, interrupted after a request has written: each key holds what it held."""
    before = dumps(store)
    done = subprocess.run(
        command(*files(tmp_path, store, "SIGINT-13")), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, dumps(store)) == (130, before), done.stderr


@pytest.mark.cases
@pytest.mark.unmeasured
def test_what_somebody_else_writes_in_a_search_stays_and_is_named(tmp_path: Path, store: Redis) -> None:
    """Of a counter and a set that others write too the runs' part alone is taken back; the report names the key."""
    before = dumps(store)
    said = stress(tmp_path, *files(tmp_path, store, f"past-{store.connection_pool.connection_kwargs['port']}"))
    others = int(store.get("others"))
    assert (said.code, others > 0) == (0, True)
    assert int(store.get("stats:total")) == 123456 + others
    assert store.smembers("seen") == {b"keep-me", b"others"}
    shared = {b"stats:total", b"seen", b"others"}
    assert {key: one for key, one in dumps(store).items() if key not in shared} == {
        key: one for key, one in before.items() if key not in shared
    }
    notes = report(tmp_path)[0]["notes"]
    assert (
        "stats:total in the store was changed by somebody else during a run: what the run did to it was taken back "
        "item by item, see that it is as it should be"
    ) in notes


@pytest.mark.unmeasured
def test_a_gateway_that_would_empty_the_store_is_refused(tmp_path: Path, store: Redis) -> None:
    """A FLUSHALL as it starts never arrives: exit code 64 with the remedy, and the store is as it was."""
    before = dumps(store)
    said = stress(tmp_path, *files(tmp_path, store, "flush"))
    assert (said.code, dumps(store)) == (64, before), said
    assert said.lines[0] == (
        "own.yaml:4:23: stores.redis.url: FLUSHALL may change any key, in a store that was not started here "
        "(leave `url` out, so that a store is started, or say `scratch: true` if nothing in it is worth keeping)"
    )


@pytest.mark.cases
@pytest.mark.unmeasured
def test_two_searches_share_a_lent_store(tmp_path: Path, store: Redis) -> None:
    """Two commands at the same time, each seeing what the other writes: neither leaves anything, nor takes anything."""
    before = dumps(store)
    running = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        words = files(tmp_path / name, store, "correct")
        running.append(subprocess.Popen(command(*words), cwd=tmp_path / name, stdout=-1, stderr=-2, text=True))
    said = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    assert dumps(store) == before
