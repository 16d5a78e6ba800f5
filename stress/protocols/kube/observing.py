"""Of which resource an API server has an object for each request, found by what it held after several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.values import number
from stress.protocols.looked import Observing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stress.protocols.looked import Looked


def observing(looked: Looked) -> Observing | None:
    """Find the resource of which each request made one object, which field of it is the request's, and its hits."""
    made = [[name for name in states[-1] if name not in states[0]] for states in looked.states]
    resources = {tuple(name[1] for name in names if name[0] == "object") for names in made}
    if len(resources) != 1 or len(resource := resources.pop()) != 1:
        return None
    objects = [
        [state.get(next(name for name in names if name[0] == "object")) for state in states[1:]]
        for states, names in zip(looked.states, made, strict=True)
    ]
    if any(one is None for row in objects for one in row):
        return None
    rows = [[dict(_leaves(one, "")) for one in row] for row in objects]
    common = [path for path in rows[0][0] if all(path in leaves for row in rows for leaves in row)]
    where = [(path, word) for path in common if (word := _placed(looked, path, rows)) is not None]
    records: dict[str, object] = {"kubernetes": resource[0]}
    if where:
        records["where"] = dict(where[:1])
    found: dict[str, object] = {"records": records}
    for path in common:
        rising = all([number(leaves[path]) for leaves in row] == [*range(1, len(row) + 1)] for row in rows)
        if rising and path not in ("metadata.generation", "metadata.resourceVersion"):
            found["hits"] = {"kubernetes": path}
            break
    return Observing(found)


def _placed(looked: Looked, path: str, rows: Sequence[Sequence[Mapping[str, object]]]) -> str | None:
    """Give what stands at a path of all objects, where that holds what the request is about."""
    texts = {looked.alike(at, (str(leaves[path]),))[0] for at, row in enumerate(rows) for leaves in row}
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
