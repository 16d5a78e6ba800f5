"""Credentials are taken out where a text is made, so that no trace, schedule or report can hold one.

What is masked: the secret arguments of Redis commands, passwords in URLs, the values of headers that carry credentials,
the values of names like ``password`` in queries, forms, environments and JSON, and what is secret wherever it stands
(`stress.core.secrets`).
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from stress.core.secrets import MASK, hide, known_from_now_on, made_up

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["MASK", "hide"]

_HEADERS = r"(?:proxy-)?authorization|(?:set-)?cookie2?|x-api-key|api-key|x-auth-token|x-csrf-token|x-vault-token"
_NAMES = (
    r"(?:[\w.-]*(?:password|passwd|passphrase|pwd|pw|secret|token|(?:api|access|account|private|signing|client)[_-]?key"
    r"|requirepass|masterauth|primaryauth|credentials?|signature|bearer|jwt)"
    r"|(?:[\w.-]*[_.-])?(?:(?:db|pg|my|redis|user)?pass|pin|sig|sign|signing|salt))"
)
_STRING = r"(?P<open>[\"'])(?:\\.|(?!(?P=open))[^\\])*(?:(?P=open)|\\?$)"
_URL = re.compile(r"(?P<keep>[a-z][a-z0-9+.-]*://[^\s:/@?#\"'<>]*:)[^\s/?#\"'<>]+@", re.IGNORECASE)
_FIELD = re.compile(rf"(?P<keep>[\"'](?:{_HEADERS}|{_NAMES})[\"']\s*[:=,]\s*b?){_STRING}", re.IGNORECASE | re.DOTALL)
_ESCAPED = re.compile(
    rf"(?P<keep>\\\"(?:{_HEADERS}|{_NAMES})\\\"\s*:\s*)\\\".*?(?:(?<!\\)\\\"|$)", re.IGNORECASE | re.DOTALL
)
_HEADER = re.compile(rf"(?P<keep>(?<![\w-])(?:{_HEADERS})[ \t]*:[ \t]*)[^\r\n]+", re.IGNORECASE)
_PAIR = re.compile(
    rf"(?P<keep>(?<![\w.-]){_NAMES}[ \t]*(?:=|%3D|:)[ \t]*)(?!\{{[\w.:]+\}})(?:{_STRING}|[^\s&\"'<>]+)",
    re.IGNORECASE | re.DOTALL,
)
_HINT = re.compile(r"://|cookie|auth|key|pass|pwd|secret|token|credential|bearer|jwt|pw|pin|sig|salt", re.IGNORECASE)
_NAME = re.compile(_NAMES, re.IGNORECASE)
_FIELDS = frozenset(["HSET", "HMSET", "HSETNX", "XADD"])
"""Commands whose words are names and values of fields."""
_COMMAND = re.compile(
    r"(?<!\w)::(?=(?:error|warning|notice|debug|group|endgroup|add-mask|set-output|save-state|set-env|add-path|add-matcher"
    r"|remove-matcher|stop-commands|echo|\w+::))|##(?=\[|vso\[|teamcity\[)",
    re.IGNORECASE,
)
"""Begins what a CI system takes for a command in the output of a program."""
_WORDS = re.compile(r"[^\s\"'=,;:{}\[\]()<>&?|\\@]+(?![\"']?\s*[:=][\s\"'{\[])(?![^\s\"'=,;:{}\[\]()<>&?|\\@])")
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
    """Give a text without the secrets that can be recognised by the text before them; masking twice changes nothing."""
    text = hide(text)
    if _HINT.search(text) is None:
        return text
    text = _URL.sub(rf"\g<keep>{MASK}@", text)
    text = _FIELD.sub(rf"\g<keep>\g<open>{MASK}\g<open>", text)
    text = _ESCAPED.sub(rf'\g<keep>\\"{MASK}\\"', text)
    text = _HEADER.sub(rf"\g<keep>{MASK}", text)
    return _PAIR.sub(rf"\g<keep>{MASK}", text)


def name_secrets(values: Iterable[str], but: Iterable[str] = ()) -> None:
    """Mask these values from now on wherever they stand, in whichever way they are written (`stress.core.secrets`).

    A part of one of the names ``but``, which must stay readable, is none.
    """
    if known_from_now_on(values, but):
        mask_text.cache_clear()
        mask_command.cache_clear()


def named_in(text: str) -> Iterator[str]:
    """Give the secrets in a text that are known by what precedes them."""
    for pattern in (_URL, _FIELD, _ESCAPED, _HEADER, _PAIR):
        for found in pattern.finditer(text):
            value = found[0].removeprefix(found["keep"]).removesuffix("@").strip("\\\"'")
            yield from {value, value.rpartition(" ")[2]}


def made_up_in(text: str) -> Iterator[str]:
    """Give the words of a text that look made up, but paths, and keys before their values."""
    yield from filter(made_up, (word for word in _WORDS.findall(text) if word[0] not in "/.~"))


def is_secret_name(name: str) -> bool:
    """Return whether what has this name is a secret: ``DB_PASSWORD``, ``--token``, ``x-signature``."""
    return _NAME.fullmatch(name.lstrip("-")) is not None or re.fullmatch(_HEADERS, name, re.IGNORECASE) is not None


def masked_lines(text: str) -> str:
    """Mask credentials line by line, so that an open quote in one line hides nothing of the next."""
    return "".join(mask_text(line) for line in hide(text).splitlines(keepends=True))


def clean(text: str) -> str:
    """Mask credentials, and show what could act on a terminal or in CI as what it is: escapes, workflow commands."""
    masked = _COMMAND.sub(lambda found: f"\\x{ord(found[0][0]):02x}{found[0][1:]}", mask_text(text))
    if masked.isprintable():
        return masked
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in masked)


def clean_lines(text: str) -> str:
    """Do the same with several lines, which stay lines."""
    return "\n".join(map(clean, text.splitlines()))


def printed(value: object) -> str:
    """Give JSON for standard output, in which nothing is taken for a command by a CI system that reads along."""
    return json.dumps(value, indent=2).replace("##", "\\u0023#").replace("::", "\\u003a:")


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
    elif words[:1] and words[0] in _FIELDS:
        secret = {at + 1 for at in range(2, len(args) - 1) if _NAME.fullmatch(args[at]) is not None}
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
