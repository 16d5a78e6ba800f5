"""Texts with placeholders: ``{port}`` stands for a value that is known only when a run begins.

A word in braces is a placeholder when it is written in small letters. ``${port}`` is the shell's own and stays as it
is. ``{fingerprint:12}`` are its first twelve characters. Where braces must stand around a value (the hash tag of a
Redis key), write them twice: ``{{fingerprint}}``. ``{env.NAME|default}`` is a variable of our own environment, where a
target starts something; without ``|default`` it must be set.
"""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING

from pydantic import AfterValidator

from stress.config.formats import nearest, wrong

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WORD = re.compile(r"(?<!\$)\{([a-z_]+(?:\.[\w./-]+)?(?::\d+)?|env\.\w+\|[^{}]*)\}")
_ENV = re.compile(r"(?<!\$)\{env\.(\w+)(?:\|([^{}]*))?\}")


@lru_cache(maxsize=4096)
def _pieces(text: str) -> tuple[str, ...]:
    """Split a text into what stands there and, at every second place, the name of a placeholder."""
    return tuple(_WORD.split(text))


def filled(text: str, values: Mapping[str, str]) -> str:
    """Replace each placeholder that has a value; each text is taken apart only once."""
    pieces = _pieces(text)
    if len(pieces) == 1:
        return text
    found = list(pieces)
    for at in range(1, len(found), 2):
        name, _, most = found[at].partition(":")
        value = values.get(name)
        found[at] = "{" + found[at] + "}" if value is None else value[: int(most)] if most else value
    return "".join(found)


def from_environment(text: str) -> str:
    """Replace each ``{env.NAME|default}``; one that is empty counts as not set, and without a default it is empty."""
    return _ENV.sub(lambda match: os.environ.get(match[1]) or match[2] or "", text)


def not_set(text: str) -> list[str]:
    """Name the variables of our environment that a text needs and that are not set."""
    needed = (match[1] for match in _ENV.finditer(text) if match[2] is None)
    return [name for name in dict.fromkeys(needed) if not os.environ.get(name)]


def fill(words: Sequence[str], **values: str) -> tuple[str, ...]:
    """Replace the placeholders in each word of a command."""
    return tuple(filled(word, values) for word in words)


def unknown(text: str, known: Sequence[str], *, foreign: bool = False) -> list[tuple[str, str]]:
    """List the placeholders that are not known, each with a hint.

    A ``foreign`` text has braces of its own (JSON, a configuration file): there only what is nearly a placeholder
    counts, as does everywhere a word in two pairs of braces.
    """
    found = []
    for match in _WORD.finditer(text):
        name, doubled = match[1].partition(":")[0], text[match.start() - 1 : match.start()] == "{"
        family = name.partition(".")[0]
        if name in known or (family != name and f"{family}.NAME" in known):
            continue
        if (foreign or doubled) and not get_close_matches(name, known, 1, 0.7):
            continue
        found.append((name, nearest(name, known, "{{{}}}")))
    return found


def placeholders(*known: str, foreign: bool = False) -> AfterValidator:
    """Make the validator of a text that may hold these placeholders."""

    def check(text: str) -> str:
        for name, hint in unknown(text, known, foreign=foreign):
            raise wrong(f"unknown placeholder {{{name}}}", hint)
        return text

    return AfterValidator(check)
