"""The files of a proposal as texts: YAML with few keys, as a person would write it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PLAIN = re.compile(r"[A-Za-z_/.][\w./-]*( [\w./-]+)*|-{1,2}[a-z][\w-]*")
_SENTENCE = re.compile(rf"{_PLAIN.pattern}|[A-Za-z][^:#]*[^:#\s]")
_BLOCKS = ("start", "request", "answers", "observe")
"""Keys of which each part has a line."""


def document(keys: Mapping[str, object], notes: Mapping[str, Iterable[str]], head: str) -> str:
    """Write a file: a head, then each key, above it what is not known of it; notes of absent keys stand last."""
    lines = [f"# {head}"]
    for key, value in keys.items():
        lines += [f"# {note}" for note in notes.get(key, ())]
        if key in _BLOCKS and isinstance(value, dict):
            lines += [f"{key}:", *(f"  {inner}: {flow(one)}" for inner, one in value.items())]
        else:
            lines.append(f"{key}: {flow(value, top=True)}")
    lines += [f"# {note}" for key, left in notes.items() if key not in keys for note in left]
    return "\n".join(lines) + "\n"


def flow(value: object, *, top: bool = False) -> str:
    """Write a value in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    if _plain(value, top=top):
        return value
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in json.dumps(value, ensure_ascii=False))


def _plain(text: str, *, top: bool) -> bool:
    """Tell whether a text needs no quotes; a sentence needs none where it stands alone."""
    pattern = _SENTENCE if top else _PLAIN
    return text.isprintable() and pattern.fullmatch(text) is not None and yaml.safe_load(text) == text
