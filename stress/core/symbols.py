"""Names that a Gateway makes up (times, UUIDs, suffixes) get numbers, so that orders compare between runs."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_DAY = 86_400
_SHORTEST_PREFIX = 12
_MADE_UP = re.compile(
    r"(?P<uuid>[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})"
    r"|(?P<stamp>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)"
    r"|(?P<unix>(?<![\da-fA-F.])\d{10}(?:\d{3}|\d{6}|\d{9})?(?:\.\d+)?(?![\da-fA-F]))"
    r"|(?P<id>(?<![0-9A-Za-z{])(?=[0-9A-Za-z]*\d)(?=[0-9A-Za-z]*[A-Za-z])(?:[0-9a-f]{8,}|[0-9A-Za-z]{16,})(?![0-9A-Za-z}]))"
)


class Names:
    """Replaces made-up names in the texts of one run, numbered in order of first appearance.

    ``now`` is the wall clock (unix seconds) around the run: numbers within a day of it are times. Where the target's
    names do not depend on the second (``seconds`` false) all times are one name, as two runs may differ in them.
    ``known`` are the names that have numbers already, in order of first appearance.
    """

    def __init__(
        self, fingerprint: str, fresh: str, now: float, *, seconds: bool, known: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Know what was chosen by us: it is named, not numbered."""
        self._fingerprint = fingerprint
        self._fresh = fresh
        self._now = now
        self._seconds = seconds
        self._numbers: dict[tuple[str, str], int] = {}
        self._replaced: dict[str, str] = {}
        for kind, word in known:
            self._number(kind, word)

    @property
    def known(self) -> tuple[tuple[str, str], ...]:
        """The names that have numbers, in order of first appearance."""
        return tuple(self._numbers)

    def replace(self, text: str) -> str:
        """Give the text with its made-up names replaced: ``rr-{fingerprint:12}-{time:1}``."""
        known = self._replaced.get(text)
        if known is None:
            chosen = text.replace(self._fresh, "{fresh}") if self._fresh else text
            parts = _parts(_name_fingerprint(chosen, self._fingerprint))
            known = "".join(word if kind == "text" else self._name(kind, word) for kind, word in parts)
            self._replaced[text] = known
        return known

    def _name(self, kind: str, word: str) -> str:
        if kind in ("unix", "stamp"):
            second = _second(word)
            if second is None or abs(second - self._now) > _DAY:
                return word
            if not self._seconds:
                return "{time}"
            kind, word = "time", str(second)
        return f"{{{kind}:{self._number(kind, word)}}}"

    def _number(self, kind: str, word: str) -> int:
        return self._numbers.setdefault((kind, word), 1 + sum(1 for other, _ in self._numbers if other == kind))


@lru_cache(maxsize=16_384)
def _parts(text: str) -> tuple[tuple[str, str], ...]:
    """Split a text, the same in every order once what we chose is named, into plain text and made-up names."""
    found: list[tuple[str, str]] = []
    at = 0
    for match in _MADE_UP.finditer(text):
        if match.start() > at:
            found.append(("text", text[at : match.start()]))
        found.append((str(match.lastgroup), match[0]))
        at = match.end()
    if at < len(text) or not found:
        found.append(("text", text[at:]))
    return tuple(found) if len(found) != 1 or found[0][0] == "text" else (*found, ("text", ""))


def _name_fingerprint(text: str, fingerprint: str) -> str:
    """Replace the fingerprint, and prefixes of it that are long enough to be no accident (``rr-<fp12>-…``)."""
    short = fingerprint[:_SHORTEST_PREFIX]
    if len(short) < _SHORTEST_PREFIX:
        return text
    at = text.find(short)
    while at >= 0:
        length = len(fingerprint) if text.startswith(fingerprint, at) else _SHORTEST_PREFIX
        while length < len(fingerprint) and text[at + length : at + length + 1] == fingerprint[length]:
            length += 1
        name = "{fingerprint}" if length == len(fingerprint) else f"{{fingerprint:{length}}}"
        text = text[:at] + name + text[at + length :]
        at = text.find(short, at + len(name))
    return text


@lru_cache(maxsize=4096)
def _second(word: str) -> int | None:
    if "-" in word:
        try:
            moment = datetime.fromisoformat(word)
        except ValueError:
            return None
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    return int(word.split(".", maxsplit=1)[0][:10])
