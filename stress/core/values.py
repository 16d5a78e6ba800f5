"""Values as files, stores and answers write them: counts and words. No I/O."""

from __future__ import annotations

import json


def number(value: object) -> int | None:
    """Read a count: a whole number, also one in a text; of what has members how many; of true 1, of false 0.

    None when it is nothing of that.
    """
    if isinstance(value, list | tuple | set | frozenset | dict):
        return len(value)
    try:
        if isinstance(value, float):
            return int(value) if value == int(value) else None
        return int(value) if isinstance(value, int | str | bytes) else None
    except (ValueError, OverflowError):
        return None


def word(value: object) -> str | None:
    """Give a value as it is written in a file, so that 5 and "5", or true and "true", are one; None for none."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float) else json.dumps(value, sort_keys=True)
