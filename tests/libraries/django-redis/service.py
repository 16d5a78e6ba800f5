"""A counter in the cache of Django that runs out: who raises it after that must not make it again without an end.

django-redis 4.4.3 looks whether it is there before it raises it, 4.5.0 does both in a script.
"""

from __future__ import annotations

from django.conf import settings
from http_service import REDIS_URL, serve


def key_of(key: str, prefix: str, version: int) -> str:
    """Call a key as the record is called."""
    del prefix, version
    return key


CACHE = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": REDIS_URL, "KEY_FUNCTION": key_of}
settings.configure(CACHES={"default": CACHE})

from django.core.cache import cache  # noqa: E402 - it reads the settings


def handle(pod: str) -> tuple[int, int | None]:
    """Create the counter, or raise it."""
    while True:
        if cache.add(f"rr-{pod}", 1, timeout=300):
            return 201, 1
        try:
            return 202, cache.incr(f"rr-{pod}")
        except ValueError:
            continue


serve(handle)
