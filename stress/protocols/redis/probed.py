"""The probe of a store that runs already: reachable, new enough, and with the rights that a run needs."""

from __future__ import annotations

from contextlib import suppress
from secrets import token_hex
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.retry import Retry

from stress.processes.probe import Ill

_WITHIN = 5.0
_LEAST_VERSION = 7


def probed(url: str, ca: str | None = None) -> str:
    """Ask, write and delete a key of our own, and ask which keys a command touches; ``ca`` is whom to trust.

    Raises:
        Ill: when it is not there, refuses something, or is too old.

    """
    parts = urlsplit(url)
    where = f"{parts.hostname}:{parts.port or 6379}"
    client = Redis.from_url(
        url,
        protocol=2,
        socket_timeout=_WITHIN,
        socket_connect_timeout=_WITHIN,
        retry=Retry(NoBackoff(), 0),
        **({"ssl_ca_certs": ca} if ca is not None else {}),
    )
    with client:
        try:
            client.ping()
        except (AuthenticationError, ResponseError) as error:
            raise Ill(f"{where} refuses us: {error}", "correct user and password in stores.redis.url") from None
        except (RedisError, OSError) as error:
            raise Ill(f"{where} does not answer: {error}", "start it, or correct stores.redis.url") from None
        known = _version(client)
        _writes(client, where)
        _knows_keys(client, where, known)
    return f"{where} answers, lets us write and delete, and tells keys{f' (version {known})' if known else ''}"


def _version(client: Redis) -> str:
    """Give the server's version; empty where we may not ask."""
    with suppress(RedisError):
        reported = client.info("server")
        return str(reported.get("valkey_version") or reported.get("redis_version") or "")
    return ""


def _writes(client: Redis, where: str) -> None:
    key = f"gateway-stress:doctor:{token_hex(8)}"
    try:
        client.set(key, "1", ex=60)
        client.delete(key)
    except RedisError as error:
        fix = "give its user the rights to write and delete, or name another user in stores.redis.url"
        raise Ill(f"{where} does not let us write and delete a key: {error}", fix) from None


def _knows_keys(client: Redis, where: str, known: str) -> None:
    try:
        client.command_getkeysandflags("SET", "k", "v")
    except RedisError as error:
        if "unknown" in str(error).lower():
            reported = f"{where} is too old: version {known or 'unknown'}"
            raise Ill(reported, f"use Valkey, or Redis {_LEAST_VERSION} or newer") from None
        fix = "allow COMMAND GETKEYSANDFLAGS to its user"
        raise Ill(f"{where} does not tell which keys a command touches: {error}", fix) from None
