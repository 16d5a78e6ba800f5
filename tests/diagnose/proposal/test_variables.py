"""Which variables may tell a service where to listen and where its Redis is: by its call, its sources, and custom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.diagnose.proposal.variables import Guess, Launch, names_in, with_placeholders

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_words_that_name_the_port_or_the_usual_redis_become_placeholders() -> None:
    """In the command but its program, and in variables; a longer number is another one."""
    launch = Launch(
        ["./8000", "--port=8000", "-n", "80001", "localhost:6379", "redis://127.0.0.1:6379/2"],
        {"AT": "0.0.0.0:8000", "STORE": "redis://localhost:6379"},
    )
    with_placeholders(launch, 8000)
    assert launch.command == [
        *("./8000", "--port={port}", "-n", "80001", "{redis_host}:{redis_port}", "{redis_url}"),
    ]
    assert launch.env == {"AT": "0.0.0.0:{port}", "STORE": "{redis_url}"}


def test_a_port_that_is_reported_already_is_reported_once() -> None:
    """Where the call has the placeholder itself, numbers stay."""
    launch = Launch(["run", "--port", "{port}", "--workers", "8000"])
    with_placeholders(launch, 8000)
    assert launch.command == ["run", "--port", "{port}", "--workers", "8000"]


def test_sources_name_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the service's own files, not of what it has installed; what is of another store is left alone."""
    monkeypatch.setenv("MY_STORE", "redis://localhost:6379/1")
    (tmp_path / "app.js").write_text(
        "process.env.ADMIN_PORT; process.env.PORT; process.env.JOBS_REDIS_HOST; process.env.JOBS_REDIS_PORT;"
        "process.env.SESSION_CACHE_ADDR; process.env.KAFKA_PORT; process.env.SUPPORT"
    )
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "other.js").write_text("process.env.OTHER_REDIS_URL")
    assert "OTHER_REDIS_URL" not in names_in(tmp_path)
    guess = Guess(Launch(["node", "app.js"], folder=tmp_path), store=True)
    assert list(guess.ports.items())[:4] == [
        ("PORT", "{port}"),
        ("ADMIN_PORT", "{port}"),
        ("HTTP_PORT", "{port}"),
        ("SERVER_PORT", "{port}"),
    ]
    own = {name: text for name, text in guess.stores.items() if name.startswith(("JOBS", "SESSION", "MY"))}
    assert own == {
        "JOBS_REDIS_PORT": "{redis_port}",
        "SESSION_CACHE_ADDR": "{redis_host}:{redis_port}",
        "MY_STORE": "{redis_url}",
    }
    assert (guess.host_of("JOBS_REDIS_PORT"), guess.host_of("REDIS_URL")) == ("JOBS_REDIS_HOST", "")
    assert {"KAFKA_PORT", "SUPPORT"} & {*guess.ports, *guess.stores} == set()


def test_what_is_with_placeholders_is_not_guessed(tmp_path: Path) -> None:
    """Neither a port nor a store, where a placeholder says it; and no store where none is asked for."""
    given = Guess(Launch(["a", "{port}"], {"R": "{redis_url}"}, tmp_path), store=True)
    assert (given.ports, given.stores) == ({}, {})
    assert Guess(Launch(["a"], folder=tmp_path), store=False).stores == {}
