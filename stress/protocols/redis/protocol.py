"""Redis and Valkey as a wire protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.registry import PROTOCOLS
from stress.protocols.base import WireProtocol

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from stress.config.target import Target
    from stress.protocols.base import TargetStore
    from stress.protocols.gate import Gate


class RedisProtocol(WireProtocol):
    """RESP, over TCP and TLS."""

    name, title, leads = "redis", "Redis", "{redis_url} or {redis_port}"

    def of_target(self, target: Target, folder: Path, gate: Gate, allow: Collection[str]) -> TargetStore:  # noqa: ARG002 - `processes.launch` refuses other hosts
        """Make the Redis of a target."""
        from stress.protocols.redis.deployed import DeployedRedis

        return DeployedRedis(target, folder, gate)


PROTOCOLS.register("redis", RedisProtocol())
