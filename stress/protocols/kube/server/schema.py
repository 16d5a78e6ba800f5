"""Custom resources against the schema of their definition: defaults, pruning of unknown fields, validation.

Of the rules in CEL only ``self == oldSelf`` (must not change) is known; others are not checked.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from stress.protocols.kube.server.status import Cause, Json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sized

_UNKNOWN = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED = "x-kubernetes-embedded-resource"
_SYSTEM = frozenset(("apiVersion", "kind", "metadata"))
_NOTHING: Json = {}


def fill(value: Any, schema: Json, *, top: bool = True) -> None:  # noqa: ANN401 - whatever is in an object
    """Put in defaults, take out fields that the schema does not know and nulls where it allows none, in place.

    As Kubernetes does it: a null where a field is not nullable is its default, or nothing; items of lists stay.
    """
    if isinstance(value, dict):
        _fill_fields(value, schema, top=top)
    elif isinstance(value, list) and (items := schema.get("items")):
        for item in value:
            fill(item, items, top=False)


def _fill_fields(value: Json, schema: Json, *, top: bool) -> None:
    fields: Json = schema.get("properties", _NOTHING)
    for name, field in fields.items():
        if top and name in _SYSTEM:
            continue
        if "default" in field and value.get(name) is None and not (name in value and field.get("nullable")):
            value[name] = json.loads(json.dumps(field["default"]))
        if name in value:
            _fill_field(value, name, field)
    others = schema.get("additionalProperties")
    if isinstance(others, dict):
        for name in value.keys() - fields.keys():
            _fill_field(value, name, others)
    elif not others and not schema.get(_UNKNOWN):
        system = _SYSTEM if top or schema.get(_EMBEDDED) else ()
        for name in [name for name in value if name not in fields and name not in system]:
            del value[name]


def _fill_field(value: Json, name: str, schema: Json) -> None:
    if value[name] is None and not schema.get("nullable"):
        del value[name]
    else:
        fill(value[name], schema, top=False)


def faults(value: Any, schema: Json, path: str = "", old: Any = None) -> Iterator[Cause]:  # noqa: ANN401 - as above
    """Give what is wrong with a value; ``old`` is what it replaces, None if nothing."""
    if value is None and schema.get("nullable"):
        return
    if (wanted := schema.get("type")) and not _is(value, wanted):
        yield _of_type(path, value, wanted)
        return
    if schema.get("x-kubernetes-int-or-string") and not _is(value, "integer") and not isinstance(value, str):
        yield _of_type(path, value, "integer or string")
    if "enum" in schema and value not in schema["enum"]:
        offered = ", ".join(json.dumps(each) for each in schema["enum"])
        yield Cause("FieldValueNotSupported", f"Unsupported value: {_shown(value)}: supported values: {offered}", path)
    for keyword, fits, words in _LIMITS:
        if keyword in schema and not fits(value, schema[keyword]):
            why = f"{path} in body should {words.format(schema[keyword])}"
            yield Cause.wrong(path, _shown(value), why)
    if old is not None and value != old:
        for rule in schema.get("x-kubernetes-validations", ()):
            if rule.get("rule", "").replace(" ", "") == "self==oldSelf":
                yield Cause.wrong(path, _shown(value), rule.get("message") or f"failed rule: {rule['rule']}")
    yield from _inside(value, schema, path, old)


def _inside(value: Any, schema: Json, path: str, old: Any) -> Iterator[Cause]:  # noqa: ANN401 - as above
    if isinstance(value, dict):
        dot = path and f"{path}."
        for name in schema.get("required", ()):
            if name not in value:
                yield Cause.required(dot + name)
        fields: Json = schema.get("properties", _NOTHING)
        others = schema.get("additionalProperties")
        before = old if isinstance(old, dict) else _NOTHING
        for name, field in value.items():
            inner = fields.get(name) or (others if isinstance(others, dict) and name not in fields else None)
            if inner:
                yield from faults(field, inner, dot + name, before.get(name))
    elif isinstance(value, list) and (items := schema.get("items")):
        for number, item in enumerate(value):
            yield from faults(item, items, f"{path}[{number}]")


def _is(value: Any, wanted: str) -> bool:  # noqa: ANN401 - as above
    if wanted == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if wanted == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, _TYPES[wanted])


def _of_type(path: str, value: Any, wanted: str) -> Cause:  # noqa: ANN401 - as above
    found = next((name for name in ("boolean", "integer", "number", *_TYPES) if _is(value, name)), "null")
    why = f'{path} in body must be of type {wanted}: "{found}"'
    return Cause("FieldValueTypeInvalid", f'Invalid value: "{found}": {why}', path)


def _shown(value: Any) -> str:  # noqa: ANN401 - as above
    return json.dumps(value, separators=(",", ":"))


@lru_cache(maxsize=512)
def _pattern(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:
        # RE2 knows classes that Python does not; what can't be checked passes.
        return None


def _matches(value: Any, pattern: str) -> bool:  # noqa: ANN401 - as above
    compiled = _pattern(pattern) if isinstance(value, str) else None
    return compiled is None or compiled.search(value) is not None


def _number(check: Callable[[float, float], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, limit: not isinstance(value, int | float) or check(value, limit)


def _length(kind: type[Sized], check: Callable[[int, int], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, limit: not isinstance(value, kind) or check(len(value), limit)


_TYPES: dict[str, type] = {"string": str, "boolean": bool, "object": dict, "array": list}
_LIMITS: tuple[tuple[str, Callable[[Any, Any], bool], str], ...] = (
    ("pattern", _matches, "match '{}'"),
    ("minLength", _length(str, lambda found, limit: found >= limit), "be at least {} chars long"),
    ("maxLength", _length(str, lambda found, limit: found <= limit), "be at most {} chars long"),
    ("minimum", _number(lambda found, limit: found >= limit), "be greater than or equal to {}"),
    ("maximum", _number(lambda found, limit: found <= limit), "be less than or equal to {}"),
    ("minItems", _length(list, lambda found, limit: found >= limit), "have at least {} items"),
    ("maxItems", _length(list, lambda found, limit: found <= limit), "have at most {} items"),
    ("maxProperties", _length(dict, lambda found, limit: found <= limit), "have at most {} properties"),
    ("minProperties", _length(dict, lambda found, limit: found >= limit), "have at least {} properties"),
)
