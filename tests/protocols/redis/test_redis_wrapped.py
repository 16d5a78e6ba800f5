"""The Redis that `wrap` puts behind a gate: which variables lead there."""

from __future__ import annotations

from stress.protocols.redis.wrapped import variables_of


def test_variables_that_lead_to_a_store_are_found() -> None:
    """URLs of any name by what they hold; hosts, ports and addresses by their usual names."""
    environment = {
        "CACHE": "rediss://:secret@localhost:7000/2",
        "REDIS_HOST": "localhost",
        "REDIS_PORT": "7001",
        "VALKEY_ADDR": "127.0.0.1:7002",
        "DATABASE_URL": "postgres://localhost/x",
    }
    found = {one.name: (one.address, one.kind) for one in variables_of(environment)}
    assert found == {
        "CACHE": (("localhost", 7000), "url"),
        "REDIS_HOST": (("localhost", 7001), "host"),
        "REDIS_PORT": (("localhost", 7001), "port"),
        "VALKEY_ADDR": (("127.0.0.1", 7002), "place"),
    }
