"""Names that a Gateway makes up (times, UUIDs, suffixes) get numbers, so that schedules compare between runs."""

from __future__ import annotations

import re
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from stress.core.patterns import COMPACT, RECORD, Patterns, of_digits, pieces, second_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DAY = 86_400
_SHORTEST_PREFIX = 12
_SHORTEST_PART = 4
"""So long is a symbol at least that is recognised inside of other words."""
_NO_NAMES: Mapping[str, str] = MappingProxyType({})
_UNCOUNTED = "{number}"
_NOTHING = Patterns()
_BETWEEN = re.compile(r"([ ,\[\]]+)")
_ANY_OBJECT = ("", "", 0)
"""The position of a word of which only the shape of known objects shows what it is."""
_FINE = re.compile(r"(?<![\da-fA-F.])\d{13}(?:\d{3}|\d{6})?(?![\da-fA-F])")
"""A time finer than a second."""
_MADE_UP = re.compile(
    r"(?P<uuid>[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})"
    r"|(?P<stamp>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)"
    rf"|(?P<compact>{COMPACT}Z?)"
    r"|(?P<unix>(?<![\da-fA-F.])\d{10}(?:\d{3}|\d{6}|\d{9})?(?:\.\d+)?(?![\da-fA-F]))"
    r"|(?P<id>(?<![0-9A-Za-z{])(?=[0-9A-Za-z]*\d)(?=[0-9A-Za-z]*[A-Za-z])(?:[0-9a-f]{8,}|[0-9A-Za-z]{16,})(?![0-9A-Za-z}]))"
)


class Names:
    """Replaces made-up names in the texts of one run, numbered in order of first appearance.

    ``now`` is the wall clock (unix seconds) around the run: numbers within a day of it are times. Where the target's
    names do not depend on the second (``seconds`` false) all times are one name, as two runs may differ in them.
    ``known`` are the names that have numbers already, in order of first appearance. ``own`` are the names of what is
    another at each start of the target, such as the numbers of its processes. ``patterns`` is what was learned of
    the target: symbols are recognised where the patterns say (`meet`), and then replaced wherever they stand. A text
    that was replaced once stays what it is called, as two names of one object would hide that steps conflict.
    """

    def __init__(  # noqa: PLR0913 - what we chose, and what is known
        self,
        fingerprint: str,
        fresh: str,
        now: float,
        *,
        seconds: bool,
        known: Sequence[tuple[str, str]] = (),
        patterns: Patterns = _NOTHING,
        own: Mapping[str, str] = _NO_NAMES,
    ) -> None:
        """Know what was chosen by us: it is named, not numbered."""
        self._fingerprint = fingerprint
        self._fresh = fresh
        self._now = now
        self._seconds, self._counting = seconds, True
        self._patterns = patterns
        self._numbers: dict[tuple[str, str], int] = {}
        self._replaced: dict[str, str] = {}
        self._records: dict[str, str] = {}
        self._symbols: dict[str, str] = {}
        self._anywhere: re.Pattern[str] | None = None
        self._own, self._kept = own, patterns.kept | pieces(own.values())
        words = "|".join(map(re.escape, own))
        self._of_process = re.compile(rf"(?<![0-9A-Za-z.])(?:{words})(?![0-9A-Za-z.])") if own else None
        for kind, word in known:
            self._number(kind, word)

    @property
    def known(self) -> tuple[tuple[str, str], ...]:
        """The names that have numbers, in order of first appearance."""
        return tuple(self._numbers)

    @property
    def symbols(self) -> dict[str, str]:
        """What the names stand for that replace values: ``{id:1}``."""
        counts, found = dict[str, int](), dict[str, str]()
        for kind, word in self._numbers:
            counts[kind] = counts.get(kind, 0) + 1
            found[f"{{{kind}:{counts[kind]}}}"] = word
        return found

    @property
    def seconds(self) -> tuple[int, ...]:
        """The seconds that have numbers, in order of first appearance."""
        return tuple(int(word) for kind, word in self._numbers if kind == "time")

    def given(self, text: str) -> str:
        """Give the text with what we chose named, and what is another at the next start."""
        chosen = text.replace(self._fresh, "{fresh}") if self._fresh else text
        named = _name_fingerprint(chosen, self._fingerprint)
        return named if self._of_process is None else self._of_process.sub(lambda match: self._own[match[0]], named)

    def replace(self, text: str) -> str:
        """Give the text with its made-up names replaced: ``rr-{fingerprint:12}-{time:1}``."""
        known = self._replaced.get(text)
        if known is None:
            known = self._words(text) if self._patterns.objects and " " in text else self._put(self.given(text))
            self._replaced[text] = known
        return known

    def in_full(self, text: str) -> str:
        """Give a text that a target has read likewise; a second of which it made no name itself is ``{time}``."""
        self._counting = False
        try:
            return self._replaced.get(text) or self._put(self.given(text))
        finally:
            self._counting = True

    def meet(self, words: Sequence[str]) -> None:
        """Recognise the symbols in a command that a target shows, before any of its words is replaced."""
        if not self._patterns.words:
            return
        command, *given = [words[0], *(self.given(word) for word in words[1:])]
        for place, (word, text) in enumerate(zip(given, words[1:], strict=True), start=1):
            self._recognise((command, "", place), word, text)
        called = self._patterns.called(command, given[0], self._now) if given else ""
        for place, (word, text) in enumerate(zip(given[1:], words[2:], strict=True), start=2):
            self._recognise((command, called, place), word, text)

    def generated(self, prefix: str, rest: str) -> None:
        """Take in a name of which the server says that it made the rest."""
        word = self.given(prefix + rest)
        if word not in self._symbols:
            self._symbols[word] = f"{self._put(self.given(prefix))}{{id:{self._number('id', rest)}}}"
            self._anywhere = None

    def record(self, text: str) -> str:
        """Replace the made-up names in the name of a record: two that differ in milliseconds stay two."""
        known = self._records.get(text)
        if known is None:
            if not self._recognise((RECORD, "", 1), self.given(text), text):
                for moment in _FINE.findall(text):
                    self._symbol(moment, numbered=True)
                self._replaced[text] = self._put(self.given(text))
            known = self._records[text] = self._replaced[text]
        return known

    def _words(self, text: str) -> str:
        """Replace the words of a longer text one by one, as each is called by itself."""
        parts = _BETWEEN.split(text)
        for part in parts[::2]:
            self._recognise(_ANY_OBJECT, self.given(part), part)
        return "".join(self._replaced.get(part) or self._put(self.given(part)) for part in parts)

    def _recognise(self, position: tuple[str, str, int], word: str, text: str) -> bool:
        match = self._patterns.match(position, word)
        if match is None:
            return False
        named, at = "", 0
        for group, number in enumerate(of_digits(match.re), start=1):
            symbol = self._symbol(match[group], numbered=not (position[1] and number))
            named, at = named + self._put(word[at : match.start(group)]) + symbol, match.end(group)
        self._replaced.setdefault(text, named + self._put(word[at:]))
        return True

    def _symbol(self, word: str, *, numbered: bool) -> str:
        """Name a symbol. Numbers that name no object are not counted: whether two are equal may be chance."""
        if word not in self._symbols:
            if not numbered:
                return _UNCOUNTED
            self._symbols[word] = f"{{id:{self._number('id', word)}}}"
            self._anywhere = None
        return self._symbols[word]

    def _put(self, text: str) -> str:
        """Replace the made-up names in a text in which what we chose is named."""
        if self._symbols and text not in self._patterns.data:
            if self._anywhere is None:
                long = sorted((word for word in self._symbols if len(word) >= _SHORTEST_PART), key=len, reverse=True)
                words = "|".join(map(re.escape, long)) or "(?!)"
                self._anywhere = re.compile(rf"(?<![0-9A-Za-z{{])(?:{words})(?![0-9A-Za-z}}])")
            text = self._anywhere.sub(lambda match: self._symbols[match[0]], text)
        return "".join(word if kind == "text" else self._name(kind, word) for kind, word in _parts(text))

    def _name(self, kind: str, word: str) -> str:
        if word in self._kept:
            return word
        if kind in ("unix", "stamp", "compact"):
            second = second_of(word)
            if second is None or abs(second - self._now) > _DAY:
                return word
            kind, word = "time", str(second)
            if not (self._seconds and (self._counting or (kind, word) in self._numbers)):
                return "{time}"
        return f"{{{kind}:{self._number(kind, word)}}}"

    def _number(self, kind: str, word: str) -> int:
        return self._numbers.setdefault((kind, word), 1 + sum(1 for other, _ in self._numbers if other == kind))


@lru_cache(maxsize=16_384)
def _parts(text: str) -> tuple[tuple[str, str], ...]:
    """Split a text, the same in every schedule once what we chose is named, into plain text and made-up names."""
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
