"""The kinds of store that `wrap` knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.engine.wrap.kubernetes import KUBECONFIG, KubernetesGated
from stress.engine.wrap.redis import RedisGated, variables_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stress.engine.wrap.stores import GatedStore, Wanted

KINDS: dict[str, Callable[[Wanted], GatedStore]] = {"redis": RedisGated, "kubernetes": KubernetesGated}


def named_by(environment: Mapping[str, str]) -> str:
    """Name the kind of store that the environment of a command names; empty where it names none."""
    if variables_of(environment):
        return "redis"
    return "kubernetes" if environment.get(KUBECONFIG) else ""
