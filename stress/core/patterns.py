"""Which values a target makes up, learned by behaviour: what differs between sequential runs of the same requests.

Pure functions. The k-th command of the same request is compared, word by word. Where all samples have the same word it
is data, whatever its shape. Where they differ, prefix and suffix common to all stay and the middle is the symbol.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from itertools import combinations, takewhile
from typing import TYPE_CHECKING, NamedTuple

from stress.core.masking import mask_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

RECORD = "record"
"""The command that stands for naming a record, in an answer or in the state."""
UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
STAMP = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d"
COMPACT = r"(?<![0-9A-Za-z])20\d{6}[T_-]?\d{6}(?!\d)"
"""A time without separators, ``20261130T134850Z`` or ``20261130134850``."""
SECOND = r"(?<![\da-fA-F.])\d{10}(?![\da-fA-F])"
_SHAPES = {"{uuid}": UUID, "{stamp}": STAMP, "{compact}": COMPACT, "{second}": SECOND}
"""What is known by its shape alone, as no constant looks like it: it is named so while words are compared."""
_SHAPED = re.compile(rf"(?P<uuid>{UUID})|(?P<stamp>{STAMP})|(?P<compact>{COMPACT})|(?P<second>{SECOND})")
_NAMED = r"\{(?:uuid|stamp|compact|second)\}"
_COMPACT = re.compile(COMPACT)
_TOKENS = re.compile(rf"({_NAMED}|(?:(?!{_NAMED})[^0-9A-Za-z_-])+)")
_SOFT = re.compile(r"[-_]")
_LOOKS_MADE_UP = re.compile(
    r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[0-9A-Za-z_-]{16,36}(?![\w-])"
    r"|(?<![0-9A-Za-z])(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[0-9A-Za-z]{6,36}(?![0-9A-Za-z])"
)
"""What a process may have made up: letters and digits in any base, or nanoid's alphabet; a constant may be so, too."""
_NOT_LITERAL = re.compile(r"\([^()]*\)|\[[^]]*\](?:\{\d+\})?|\\d(?:\{\d+\})?")
"""What of a pattern stands for something."""
_NUMBER = r"(\d+)"
_GROUP = re.compile(r"(?<!\\)\((?!\?)[^()]*\)")
"""A symbol in a pattern."""
_DIGITS, _HEX = frozenset("0123456789"), frozenset("0123456789abcdef")
_DAY = 86_400
_ENOUGH = 16
"""So many characters, all hex digits, are of no wider alphabet: of base 36 they were two times in a million."""

Position = tuple[str, str, int]
"""Where a word stands: the command, what its first word is called (empty where that is asked for), and which word."""


class Shown(NamedTuple):
    """A command that a request showed: its words, what we chose named, and the places of those that name objects.

    ``at`` is when (wall clock, unix seconds), ``replica`` whose it is, ``reply`` what the store said to it.
    """

    words: tuple[str, ...]
    objects: frozenset[int]
    at: float = 0.0
    replica: int = 1
    reply: str = ""


class Unsure(NamedTuple):
    """A word that some samples have in common and others have not: a nondeterministic input."""

    command: str
    place: int
    values: tuple[str, ...]

    def __str__(self) -> str:
        """Say so for people."""
        what = "answers named the record" if self.command == RECORD else f"{self.command} was sent with"
        values = ", ".join(mask_text(value) for value in self.values)
        return f"nondeterministic input: in sequential runs {what} {values}"


@dataclass(frozen=True, slots=True)
class Patterns:
    """What was learned of a target.

    ``words`` are the patterns at each position; their groups are the symbols. ``objects`` are those of objects that are
    more than a symbol, and so are known with other commands too. ``data`` are the words that were equal in all samples,
    never symbols, and ``kept`` the parts of them that only look made up. ``unsure`` are words that name objects and
    were sometimes equal, though not as long as the second of the clock was.
    """

    words: Mapping[Position, tuple[re.Pattern[str], ...]] = field(default_factory=dict)
    objects: tuple[re.Pattern[str], ...] = ()
    data: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    unsure: tuple[Unsure, ...] = ()

    def match(self, position: Position, word: str) -> re.Match[str] | None:
        """Match a word at a place; None where no pattern fits, or where the word is data."""
        if word not in self.data:
            for pattern in (*self.words.get(position, ()), *(() if position[1] else self.objects)):
                if (match := pattern.fullmatch(word)) is not None:
                    return match
        return None

    def called(self, command: str, first: str, now: float) -> str:
        """Call the first word of a command by what does not change in it."""
        match = self.match((command, "", 1), first)
        if match is not None:
            for group in range(match.re.groups, 0, -1):
                first = f"{first[: match.start(group)]}{{}}{first[match.end(group) :]}"
        return shaped(first, now)


Skeleton = tuple[str | None, ...]
"""A word cut into literal parts, and None in place of each symbol."""


def learn(samples: Sequence[Mapping[str, Sequence[Shown]]], now: float) -> Patterns:
    """Compare what the same requests showed in all samples, each by the name of its actor.

    ``now`` is the wall clock (unix seconds): what is equal as it is of the same second is no data.
    """
    columns = list(_columns(samples, now)) if len(samples) > 1 else []
    data = frozenset(column.words[0] for column in columns if len(set(column.words)) == 1)
    differing = [column for column in columns if len(set(column.words)) > 1]
    objects = _patterns(((one.command, "", one.place), one.words) for one in differing if one.names_object)
    literal = [one for several in objects.values() for one in several if _literal(one.pattern)]
    keys = Patterns(objects, tuple(dict.fromkeys(literal)), data)
    others = [one for one in differing if not one.names_object]
    values = _patterns(
        ((one.command, keys.called(one.command, one.first, now), one.place), one.words) for one in others
    )
    unsure = [one for one in differing if one.names_object and len(set(one.words)) < len(samples) and not one.ticks]
    looks = (match[0] for word in data for match in _LOOKS_MADE_UP.finditer(word))
    kept = pieces(part for part in looks if not _of_now(part, now))
    named = tuple(dict.fromkeys(Unsure(one.command, one.place, one.words) for one in unsure))
    return Patterns({**objects, **values}, keys.objects, data, kept, named)


def counterparts(words: Iterable[str], others: Collection[str], kept: AbstractSet[str]) -> dict[str, str]:
    """Give the parts of the words of another process that stand where this one has parts that it keeps, and those.

    So a process may call itself, by what it made up when it started.
    """
    found: dict[str, set[str]] = {}
    for word in dict.fromkeys(words):
        for part in _LOOKS_MADE_UP.finditer(word):
            before, after = re.escape(word[: part.start()]), re.escape(word[part.end() :])
            like = re.compile(f"{before}({_LOOKS_MADE_UP.pattern}){after}")
            matches = [like.fullmatch(other) for other in others] if part[0] in kept else []
            for match in matches:
                if match is not None and match[1] not in kept:
                    found.setdefault(match[1], set()).add(part[0])
    return {other: next(iter(parts)) for other, parts in found.items() if len(parts) == 1}


def pieces(parts: Iterable[str]) -> frozenset[str]:
    """Give names, and their parts between hyphens: that alone may look made up."""
    return frozenset(piece for part in parts for piece in (part, *_SOFT.split(part)))


def _literal(pattern: str) -> bool:
    """Return whether a pattern holds a letter or a digit that stands for itself."""
    return any(letter.isalnum() for letter in _NOT_LITERAL.sub("", pattern))


def _of_now(part: str, now: float) -> bool:
    """Tell whether hex digits are a time of today in seconds or milliseconds."""
    return _HEX.issuperset(part) and any(abs(int(part, 16) / unit - now) < _DAY for unit in (1, 1000))


class _Column(NamedTuple):
    """The same word of the same command in each sample; ``first`` is the first word of that command in one.

    ``ticks`` is whether it is equal exactly where the second is.
    """

    command: str
    place: int
    words: tuple[str, ...]
    first: str
    names_object: bool
    ticks: bool


def _columns(samples: Sequence[Mapping[str, Sequence[Shown]]], now: float) -> Iterator[_Column]:
    for actor in samples[0] if samples else ():
        for shown in zip(*(sample.get(actor, ()) for sample in samples), strict=False):
            if len({(one.words[0], len(one.words), one.objects) for one in shown}) > 1:
                break  # from here on the request went another way
            for place in range(1, len(shown[0].words)):
                words = tuple(shaped(one.words[place], now) for one in shown)
                pairs = combinations(zip(words, (int(one.at) for one in shown), strict=True), 2)
                ticks = all((one == other) == (second == its) for (one, second), (other, its) in pairs)
                yield _Column(shown[0].words[0], place, words, shown[0].words[1], place in shown[0].objects, ticks)


def shaped(word: str, now: float) -> str:
    """Name what its shape alone shows: UUIDs, and times around ``now`` in seconds."""

    def name(match: re.Match[str]) -> str:
        if match.lastgroup in ("second", "compact"):
            second = second_of(match[0])
            if second is None or abs(second - now) > _DAY:
                return match[0]
        return f"{{{match.lastgroup}}}"

    return _SHAPED.sub(name, word)


@lru_cache(maxsize=4096)
def second_of(word: str) -> int | None:
    """Give the second (unix) that a text names, as a number, in ISO 8601 or without separators; UTC by default.

    None where it is no time.
    """
    try:
        if _COMPACT.match(word):
            moment = datetime.strptime("".join(re.findall(r"\d", word)[:14]), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        elif "-" in word:
            moment = datetime.fromisoformat(word)
        else:
            return int(word.split(".", maxsplit=1)[0][:10])
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _patterns(columns: Iterable[tuple[Position, Sequence[str]]]) -> dict[Position, tuple[re.Pattern[str], ...]]:
    """Make the patterns of each place; columns of one skeleton are one pattern."""
    found: dict[Position, dict[Skeleton, list[set[str]]]] = {}
    for position, words in columns:
        cut = _cut(words)
        if cut is not None:
            skeleton, middles = cut
            known = found.setdefault(position, {}).setdefault(skeleton, [set() for _ in middles])
            for together, middle in zip(known, middles, strict=True):
                together.update(middle)
    return {
        position: tuple(_compiled(skeleton, middles) for skeleton, middles in several.items())
        for position, several in found.items()
    }


def _cut(words: Sequence[str]) -> tuple[Skeleton, list[tuple[str, ...]]] | None:
    """Cut words into what they have in common and the symbols of each; None if they are not built alike."""
    split = [_TOKENS.split(word) for word in words]
    if len({(len(tokens), *tokens[1::2]) for tokens in split}) > 1:
        return None
    skeleton: list[str | None] = []
    middles: list[tuple[str, ...]] = []
    for tokens in zip(*split, strict=True):
        if len(set(tokens)) == 1:
            skeleton.append(tokens[0])
            continue
        before, after = _ends(tokens)
        middle = tuple(token[len(before) : len(token) - len(after)] for token in tokens)
        if not all(middle):
            return None
        skeleton += [before, None, after]
        middles.append(middle)
    return tuple(skeleton), middles


def _ends(tokens: Sequence[str]) -> tuple[str, str]:
    """Give prefix and suffix that are no accident: up to a separator, or a word beside nothing but digits."""
    before = _beginning(tokens)
    after = _beginning([token[len(before) :][::-1] for token in tokens])[::-1]
    last, first = [*_SOFT.finditer(before)][-1:], _SOFT.search(after)
    word, rest = before.rstrip("0123456789"), after.lstrip("0123456789")
    plain = all(token[len(word) : len(token) - len(rest)].isdecimal() for token in tokens)
    before = word if plain and not last else before[: last[0].end()] if last else ""
    after = rest if plain and first is None else after[first.start() :] if first is not None else ""
    return before, after


def _beginning(tokens: Sequence[str]) -> str:
    """Give what all begin with."""
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*tokens, strict=False))
    return "".join(letters[0] for letters in alike)


def _compiled(skeleton: Skeleton, middles: Sequence[Iterable[str]]) -> re.Pattern[str]:
    symbols = iter(middles)
    parts = [_SHAPES.get(part) or re.escape(part) if part is not None else _symbol(next(symbols)) for part in skeleton]
    return re.compile("".join(parts))


@lru_cache(maxsize=1024)
def of_digits(pattern: re.Pattern[str]) -> tuple[bool, ...]:
    """Say of each symbol of a pattern whether it is a number: hex digits may happen to be decimal ones alone."""
    return tuple(group == _NUMBER for group in _GROUP.findall(pattern.pattern))


def _symbol(values: Iterable[str]) -> str:
    """Describe symbols by their alphabet, and by their length where that is always the same and they are no numbers."""
    known = set(values)
    letters, lengths = set("".join(known)), {len(value) for value in known}
    if letters <= _DIGITS:
        return _NUMBER
    size = f"{{{lengths.pop()}}}" if len(lengths) == 1 else "+"
    lower, upper = any(one.islower() for one in letters), any(one.isupper() for one in letters)
    if (lower and upper) or letters & set("-_"):
        return f"([0-9A-Za-z_-]{size})"
    if size != "+" and len("".join(known)) >= _ENOUGH and letters <= _HEX:
        return f"([0-9a-f]{size})"
    return f"([0-9a-z]{size})" if lower else f"([0-9A-Z]{size})"
