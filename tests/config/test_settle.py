"""How long a target works on after an answer: seconds, a key, or nothing said."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from stress.config.target import Target
from stress.protocols.redis.parts import EmptyKey

KEY = {"key": "queue:{fresh}", "empty": True}


def target(settle: object, **more: object) -> Target:
    """Make a target that says so."""
    return Target.model_validate({"name": "t", "start": {"command": ["./svc"]}, "settle": settle, **more})


@pytest.mark.parametrize(
    ("said", "read"), [(None, None), (0.5, 0.5), (2, 2.0), (0, 0.0), (KEY, EmptyKey(key="queue:{fresh}", empty=True))]
)
def test_settle_is_seconds_or_a_key(said: object, read: object) -> None:
    """Whole seconds are seconds too, and a key may hold the fresh value."""
    settle = target(said).settle
    assert (settle, type(settle)) == (read, type(read))


@pytest.mark.parametrize("said", [-1, 61, "soon", {"key": "q"}, {**KEY, "empty": False}, {**KEY, "key": "{port}"}])
def test_nothing_else_is_accepted(said: object) -> None:
    """Neither other texts, nor a key that is to be full, nor a placeholder that has no value then."""
    with pytest.raises(ValidationError):
        target(said)


def test_a_key_needs_a_redis() -> None:
    """A target whose state is in Kubernetes alone has no key to look at."""
    with pytest.raises(ValidationError, match="the target has no redis"):
        target(KEY, stores={"kubernetes": {}})
