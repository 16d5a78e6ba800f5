"""What the stores held after the same request, several times: where the records are, and their hits."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from stress.core.values import number
from stress.executors.live.said import fields_of
from stress.executors.observe import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stress.diagnose.proposal.asking import Name, Round
    from stress.protocols.base import Content

_COMMANDS = {
    "set": ("SMEMBERS", ()),
    "list": ("LRANGE", (0, -1)),
    "zset": ("ZRANGE", (0, -1)),
    "hash": ("HKEYS", ()),
}
"""How the members of a value of each type are read."""
_SECOND = re.compile(r"(?<!\d)1\d{9}(?!\d)")
_NEAR = 60
"""How many seconds a number may be off from the clock to be of the clock."""
_DOTTED = re.compile(r"[^.\s]+(\.[^.\s]+)*")
_OWN_KEY = re.compile(r"[^*?\[\]\\]*\{(?:fresh|fingerprint)\}[^*?\[\]\\]*")
"""A key that each request has for itself, and that is no pattern of other keys."""
BY_KEY = "KEYS"
"""The command that reads records which no answer names: the key is the record."""
_HASH = re.compile(r"[0-9a-f]{16,}")


class Kept(NamedTuple):
    """What a target says about its state: `fingerprint`, `observe`, and whether names have the second in them."""

    fingerprint: object
    observe: dict[str, object]
    second: bool


def kept(rounds: Sequence[Round], record: str | None, sent: str) -> Kept:
    """Find where the stores hold what the answers name; ``sent`` is the text over ``{fresh}`` that was sent."""
    named = [{one.fresh: "{fresh}"} for one in rounds]
    how = _fingerprint(rounds, sent)
    for one, words in zip(rounds, named, strict=True):
        if (value := _value(one, how, sent)) is not None:
            words[value] = "{fingerprint}"
    finder = _Finder(rounds, named, [text_of(one.replies[0].field(record)) if record else None for one in rounds])
    observe = finder.of_kubernetes() or finder.of_redis()
    return Kept(how, observe, any(map(_has_second, rounds)))


def _fingerprint(rounds: Sequence[Round], sent: str) -> object:
    """Find a value in the names of keys that answers tell, or that is the hash of what was sent."""
    for path in fields_of(rounds[0].replies[0].body):
        values = [text_of(one.replies[0].field(path)) or "" for one in rounds]
        if _DOTTED.fullmatch(path) and all(
            _HASH.fullmatch(value) and value != one.fresh and _in_keys(one, value)
            for one, value in zip(rounds, values, strict=True)
        ):
            return {"answer": path}
    hashed = {"sha256": sent}
    return hashed if all(_in_keys(one, str(_value(one, hashed, sent))) for one in rounds) else None


def _value(one: Round, how: object, sent: str) -> str | None:
    if not isinstance(how, dict):
        return None
    if "answer" in how:
        return text_of(one.replies[0].field(how["answer"]))
    return hashlib.sha256(sent.replace("{fresh}", one.fresh).encode()).hexdigest()


def _in_keys(one: Round, value: str) -> bool:
    return any(value in name[1] for name in one.states[-1] if name[0] != "object")


def _has_second(one: Round) -> bool:
    """Tell whether a name that was made has the second of the clock in it."""
    made = one.states[-1].keys() - one.states[0].keys()
    numbers = (int(text) for name in made for text in _SECOND.findall(" ".join(name)))
    return any(abs(number - one.begun) < _NEAR for number in numbers)


def _added(before: Content, after: Content) -> Content:
    """Give what was added to each list, numbered from 0: what was there may have moved."""
    found: Content = {}
    for key in dict.fromkeys(name[1] for name in after if name[0] == "list"):
        old = Counter(value for name, value in before.items() if name[:2] == ("list", key))
        new = Counter(value for name, value in after.items() if name[:2] == ("list", key)) - old
        found |= {("list", key, str(number)): value for number, value in enumerate(new.elements())}
    return found


class _Finder:
    """Looks for values that all rounds have at the same name, but for what is another in each."""

    def __init__(
        self, rounds: Sequence[Round], named: Sequence[Mapping[str, str]], records: Sequence[str | None]
    ) -> None:
        self._rounds, self._named, self._records = rounds, named, records
        self._made = [self._of(at) for at in range(len(rounds))]

    def _of(self, at: int) -> list[Content]:
        """Give what a round has made, after each request, by the names that other rounds have too."""
        one = self._rounds[at]
        there = one.states[0]
        found = []
        for state in one.states[1:]:
            made = {name: value for name, value in state.items() if name[0] != "list" and there.get(name) != value}
            found.append({self._alike(at, name): value for name, value in (made | _added(there, state)).items()})
        return found

    def _alike(self, at: int, name: Name) -> Name:
        """Write a name with placeholders for what is another in each round; a key may be named by its record."""
        words = dict(self._named[at])
        if (record := self._records[at]) is not None and record not in words:
            words[record] = "{record}"
        parts = []
        for part in name:
            for value, word in sorted(words.items(), key=lambda one: -len(one[0])):
                part = part.replace(value, word)  # noqa: PLW2901 - one after another
            parts.append(part)
        return tuple(parts)

    def _common(self) -> list[Name]:
        """Give the names that are there after each request of each round."""
        states = [state for made in self._made for state in made]
        return [name for name in states[0] if all(name in state for state in states)]

    def of_redis(self) -> dict[str, object]:
        """Find the records that answers name, and the hits of each.

        Where answers name nothing that the service has made, the key that holds the hits is the record.
        """
        records, hits = next(self._records_of_redis(), None), next(self._hits_of_redis(), None)
        if records is None and hits is not None and not self._telling and _OWN_KEY.fullmatch(str(hits[1])):
            records = [BY_KEY, hits[1]]
        found = {"records": records, "hits": hits if records is not None else None}
        return {name: {"redis": how} for name, how in found.items() if how is not None}

    @property
    def _telling(self) -> bool:
        """Whether answers name what the service has made, and not only what it was sent."""
        pairs = zip(self._records, self._rounds, strict=True)
        return not all(record is None or one.fresh in record for record, one in pairs)

    def _records_of_redis(self) -> Iterator[list[object]]:
        if None in self._records:
            return
        keys = dict.fromkeys(name[:2] for name in self._common() if "{record}" not in name[1])
        for kind, key in keys:
            if kind in _COMMANDS and all(
                self._members(state, kind, key) == [self._record_in(kind, at)]
                for at, made in enumerate(self._made)
                for state in made
            ):
                command, rest = _COMMANDS[kind]
                yield [command, key, *rest]
        for name in self._common():
            own = name[0] in ("string", "hash") and "{record}" not in "".join(name) and _OWN_KEY.fullmatch(name[1])
            if own and all(state[name] == self._records[at] for at, made in enumerate(self._made) for state in made):
                yield ["GET", name[1]] if name[0] == "string" else ["HGET", name[1], name[2]]

    def _record_in(self, kind: str, at: int) -> object:
        return self._records[at] if kind == "list" else self._alike(at, (str(self._records[at]),))[0]

    def _members(self, state: Content, kind: str, key: str) -> list[object]:
        """Give the members of a value, as `_record_in` writes the record."""
        return [value if kind == "list" else name[2] for name, value in state.items() if name[:2] == (kind, key)]

    def _hits_of_redis(self) -> Iterator[list[object]]:
        for name in self._common():
            rows = [[number(state[name]) for state in made] for made in self._made]
            if name[0] in ("string", "hash") and all(row == [*range(1, len(row) + 1)] for row in rows):
                yield ["GET", name[1]] if name[0] == "string" else ["HGET", name[1], name[2]]
        for key in dict.fromkeys(name[1] for name in self._common() if name[0] == "list"):
            sizes = [[len(self._members(state, "list", key)) for state in made] for made in self._made]
            if "{" in key and all(row == [*range(1, len(row) + 1)] for row in sizes):
                yield ["LRANGE", key, 0, -1]

    def of_kubernetes(self) -> dict[str, object]:
        """Find the resource of which each request made one object, which field of it is the request's, and its hits."""
        made = [[name for name in one.states[-1] if name not in one.states[0]] for one in self._rounds]
        resources = {tuple(name[1] for name in names if name[0] == "object") for names in made}
        if len(resources) != 1 or len(resource := resources.pop()) != 1:
            return {}
        objects = [
            [state.get(next(name for name in names if name[0] == "object")) for state in one.states[1:]]
            for one, names in zip(self._rounds, made, strict=True)
        ]
        if any(one is None for row in objects for one in row):
            return {}
        rows = [[dict(_leaves(one, "")) for one in row] for row in objects]
        common = [path for path in rows[0][0] if all(path in leaves for row in rows for leaves in row)]
        where = [(path, word) for path in common if (word := self._placed(path, rows)) is not None]
        records: dict[str, object] = {"kubernetes": resource[0]}
        if where:
            records["where"] = dict(where[:1])
        found: dict[str, object] = {"records": records}
        for path in common:
            rising = all([number(leaves[path]) for leaves in row] == [*range(1, len(row) + 1)] for row in rows)
            if rising and path not in ("metadata.generation", "metadata.resourceVersion"):
                found["hits"] = {"kubernetes": path}
                break
        return found

    def _placed(self, path: str, rows: Sequence[Sequence[Mapping[str, object]]]) -> str | None:
        """Give what stands at a path of all objects, where that holds what the request is about."""
        texts = {self._alike(at, (str(leaves[path]),))[0] for at, row in enumerate(rows) for leaves in row}
        word = next(iter(texts))
        named = "{fresh}" in word or "{fingerprint}" in word
        return word if len(texts) == 1 and named and not path.startswith("metadata.name") else None


def _leaves(value: object, before: str) -> Iterator[tuple[str, object]]:
    """Give the plain values of an object by their dotted paths."""
    for key, one in value.items() if isinstance(value, dict) else ():
        if "." in key:
            continue  # no path leads there
        if isinstance(one, dict):
            yield from _leaves(one, f"{before}{key}.")
        elif isinstance(one, str | int) and not isinstance(one, bool):
            yield f"{before}{key}", one
