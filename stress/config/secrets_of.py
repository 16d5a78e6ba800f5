"""The secrets that a target names: what must not be read in any report, wherever it comes up."""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import yaml

from stress.config.placeholders import from_environment
from stress.core.masking import is_secret_name, made_up_in, named_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from stress.config.target_parts import RequestForm, Start

_PLACEHOLDER = re.compile(r"\{[\w.:]+\}")


def secrets_of(
    texts: Iterable[str],
    request: RequestForm,
    start: Start | None,
    objects: Iterable[str | dict[str, Any]],
    folder: Path,
) -> set[str]:
    """Give the passwords in URLs, what has the name of a secret, and the words of ``start`` that look made up.

    ``objects`` are those of the Kubernetes API that a target makes, or files of them in the ``folder``: of Secrets all
    that they hold is given. In ``texts`` only what the words before it say is taken for a secret.
    """
    found = {secret for text in (*texts, request.path) for secret in named_in(text)}
    headers = {name: from_environment(text) for name, text in request.headers.items()}
    found.update(_of_pairs([*headers.items(), *request.query.items()]))
    if start is not None:
        env = {name: from_environment(text) for name, text in start.env.items()}
        command = [from_environment(text) for text in start.command]
        found.update(_of_pairs([*env.items(), *pairwise(command)]))
        parts = [*env.values(), *command, *start.files.values()]
        found.update(secret for text in parts for secret in (*named_in(text), *made_up_in(_PLACEHOLDER.sub(" ", text))))
    found.update(secret for one in _read(objects, folder) for secret in _of_object(one))
    return {one for one in found if _PLACEHOLDER.search(one) is None}


def _of_pairs(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Give the values whose names are those of secrets, and what the others hold."""
    for name, value in pairs:
        if is_secret_name(name):
            yield from {value, value.rpartition(" ")[2]}
        yield from named_in(value)


def _read(objects: Iterable[str | dict[str, Any]], folder: Path) -> Iterator[Any]:
    for one in objects:
        if not isinstance(one, str):
            yield one
            continue
        with suppress(OSError, ValueError, RecursionError, yaml.YAMLError):  # reported elsewhere
            yield from yaml.safe_load_all((folder / one).read_text())


def _of_object(one: object) -> Iterator[str]:
    """Give what a Secret holds, as it stands and decoded."""
    if not isinstance(one, dict) or one.get("kind") != "Secret":
        return
    for key in ("data", "stringData"):
        for value in (one.get(key) or {}).values() if isinstance(one.get(key), dict) else ():
            yield str(value)
            with suppress(ValueError):
                yield base64.b64decode(str(value), validate=True).decode() if key == "data" else ""
