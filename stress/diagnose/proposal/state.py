"""What the stores held after the same request, several times: where the records are, and their hits."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

from stress.config.stores import protocols
from stress.core.registry import PROTOCOLS
from stress.executors.live.said import fields_of
from stress.executors.observe import text_of
from stress.protocols.looked import Looked, Observing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.diagnose.proposal.asking import Round

_SECOND = re.compile(r"(?<!\d)1\d{9}(?!\d)")
_NEAR = 60
"""How many seconds a number may be off from the clock to be of the clock."""
_DOTTED = re.compile(r"[^.\s]+(\.[^.\s]+)*")
_HASH = re.compile(r"[0-9a-f]{16,}")


class Kept(NamedTuple):
    """What a target says about its state: `fingerprint`, `observe`, and whether names have the second in them.

    ``by_key`` is whether keys are the records, which no answer names.
    """

    fingerprint: object
    observe: dict[str, object]
    second: bool
    by_key: bool = False


def kept(rounds: Sequence[Round], record: str | None, sent: str) -> Kept:
    """Find where the stores hold what the answers name; ``sent`` is the text over ``{fresh}`` that was sent."""
    named = [{one.fresh: "{fresh}"} for one in rounds]
    how = _fingerprint(rounds, sent)
    for one, words in zip(rounds, named, strict=True):
        if (value := _value(one, how, sent)) is not None:
            words[value] = "{fingerprint}"
    records = [text_of(one.replies[0].field(record)) if record else None for one in rounds]
    looked = Looked([one.states for one in rounds], named, records, [one.fresh for one in rounds])
    others_first = (PROTOCOLS[name].observing(looked) for name in reversed(protocols()))
    found: Observing = next(filter(None, others_first), Observing({}))
    return Kept(how, found.observe, any(map(_has_second, rounds)), found.by_key)


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
