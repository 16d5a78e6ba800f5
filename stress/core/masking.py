"""Credentials are taken out where a text is made, so that no trace, order or report can hold one.

Pure functions. What is masked: the secret arguments of Redis commands, passwords in URLs, the values of headers that
carry credentials, and the values of names like ``password`` in queries, forms, environments and JSON.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MASK = "***"
"""What stands where a secret stood."""

_HEADERS = r"(?:proxy-)?authorization|(?:set-)?cookie2?|x-api-key|api-key|x-auth-token|x-csrf-token|x-vault-token"
_NAMES = (
    r"[\w.-]*(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|requirepass|masterauth|primaryauth|auth[_-]pass|credentials?)"
)
_STRING = r"(?P<open>[\"'])(?:\\.|(?!(?P=open))[^\\])*(?:(?P=open)|\\?$)"
_URL = re.compile(r"(?P<keep>[a-z][a-z0-9+.-]*://[^\s:/@?#\"'<>]*:)[^\s/?#\"'<>]+@", re.IGNORECASE)
_FIELD = re.compile(rf"(?P<keep>[\"'](?:{_HEADERS}|{_NAMES})[\"']\s*[:=,]\s*b?){_STRING}", re.IGNORECASE | re.DOTALL)
_ESCAPED = re.compile(
    rf"(?P<keep>\\\"(?:{_HEADERS}|{_NAMES})\\\"\s*:\s*)\\\".*?(?:(?<!\\)\\\"|$)", re.IGNORECASE | re.DOTALL
)
_HEADER = re.compile(rf"(?P<keep>(?<![\w-])(?:{_HEADERS})[ \t]*:[ \t]*)[^\r\n]+", re.IGNORECASE)
_PAIR = re.compile(
    rf"(?P<keep>(?<![\w.-]){_NAMES}(?:=|%3D|:[ \t]*))(?:{_STRING}|[^\s&\"'<>]+)", re.IGNORECASE | re.DOTALL
)
_HINT = re.compile(r"://|cookie|auth|key|pass|pwd|secret|token|credential", re.IGNORECASE)
_SECRET_SETTINGS = frozenset(
    [
        "REQUIREPASS",
        "MASTERAUTH",
        "PRIMARYAUTH",
        "TLS-KEY-FILE-PASS",
        "TLS-CLIENT-KEY-FILE-PASS",
        "AUTH-PASS",
        "SENTINEL-PASS",
    ]
)
_ADDS_OR_REMOVES = "><#!"
"""How a rule of ACL SETUSER begins that adds or removes a password or the hash of one."""


@lru_cache(maxsize=4096)
def mask_text(text: str) -> str:
    """Give a text without the secrets that can be told by what stands before them; masking twice changes nothing."""
    if _HINT.search(text) is None:
        return text
    text = _URL.sub(rf"\g<keep>{MASK}@", text)
    text = _FIELD.sub(rf"\g<keep>\g<open>{MASK}\g<open>", text)
    text = _ESCAPED.sub(rf'\g<keep>\\"{MASK}\\"', text)
    text = _HEADER.sub(rf"\g<keep>{MASK}", text)
    return _PAIR.sub(rf"\g<keep>{MASK}", text)


def clean(text: str) -> str:
    """Mask credentials, and show control characters (and so terminal escapes) as what they are."""
    masked = mask_text(text)
    if masked.isprintable():
        return masked
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in masked)


@lru_cache(maxsize=4096)
def mask_command(args: tuple[str, ...]) -> tuple[str, ...]:
    """Give a Redis command without its secrets: of AUTH, HELLO, CONFIG SET, ACL SETUSER, MIGRATE and SENTINEL SET.

    Every other argument goes through `mask_text`.
    """
    words = [arg.upper() for arg in args[:2]]
    secret: set[int] = set()
    if words[:1] == ["AUTH"]:
        secret = {1} if len(args) == len(words) else set(range(2, len(args)))
    elif words[:1] in (["HELLO"], ["MIGRATE"]):
        secret = _after_auth(args)
    elif words in (["CONFIG", "SET"], ["SENTINEL", "SET"], ["SENTINEL", "CONFIG"]):
        secret = {at + 1 for at in range(2, len(args) - 1) if args[at].upper() in _SECRET_SETTINGS}
    elif words == ["ACL", "SETUSER"]:
        return (*map(mask_text, args[:3]), *(_rule(arg) for arg in args[3:]))
    return tuple(MASK if at in secret else mask_text(arg) for at, arg in enumerate(args))


def _after_auth(args: Sequence[str]) -> set[int]:
    """Find the passwords of ``AUTH user password`` (HELLO), ``AUTH password`` and ``AUTH2 user password`` (MIGRATE)."""
    hello = args[0].upper() == "HELLO"
    for at in range(1, len(args)):
        word = args[at].upper()
        if word == "KEYS" and not hello:
            break
        if word == "AUTH" and not hello:
            return {at + 1}
        if word in ("AUTH", "AUTH2"):
            return {at + 2}
    return set()


def _rule(rule: str) -> str:
    return rule[0] + MASK if rule[:1] and rule[0] in _ADDS_OR_REMOVES else mask_text(rule)
