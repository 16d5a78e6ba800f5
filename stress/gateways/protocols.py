"""The deduplication protocols: every file here that defines ``deduplicate`` (`stress.config.gateways` names them)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import ModuleType
    from typing import Any

    from stress.gateways.kubeapi import KubeApi
    from stress.gateways.store import Incoming, Outcome, Store

    Deduplicate = Callable[[Store, Incoming], Coroutine[Any, Any, Outcome]]
    KubeDeduplicate = Callable[[KubeApi, Incoming], Coroutine[Any, Any, Outcome]]


def protocol_named(name: str) -> Deduplicate:
    """Give the function of a protocol over Redis."""
    found: Deduplicate = _module(name).deduplicate
    return found


def kube_protocol_named(name: str) -> KubeDeduplicate:
    """Give the function of a protocol over the Kubernetes API."""
    found: KubeDeduplicate = _module(name).deduplicate
    return found


def is_cached(name: str) -> bool:
    """Tell whether a protocol reads from the cache of a watch."""
    return bool(getattr(_module(name), "CACHED", False))


def _module(name: str) -> ModuleType:
    return import_module(f"stress.gateways.{name.replace('-', '_')}")
