"""Which Gateways are bundled: every file of `stress/gateways/` that has the name of a store before it."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent.parent / "gateways"


def _named(pattern: str) -> tuple[str, ...]:
    return tuple(sorted(file.stem.replace("_", "-") for file in _FOLDER.glob(pattern)))


REDIS_PROTOCOLS = _named("redis_*.py")
"""Those that keep their state in Redis: a protocol ``redis-atomic`` is in ``redis_atomic.py``."""
KUBE_PROTOCOLS = _named("kube_*.py")
"""Those that keep it in objects of the Kubernetes API."""
PROTOCOLS = (*KUBE_PROTOCOLS, *REDIS_PROTOCOLS)
"""Their names."""
