"""Templates, styles and scripts of the pages. A page is one file: it holds what it needs, and it loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from stress.core.masking import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

_FOLDER = Path(__file__).parent / "templates"
_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["clean"] = lambda value: clean(str(value))


def rendered(template: str, scripts: Sequence[str], **values: Any) -> str:  # noqa: ANN401 - what templates take
    """Fill in a template. ``scripts`` are the files of its script; the page's own policy allows that one alone."""
    script = _script(tuple(scripts))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _TEMPLATES.get_template(template).render(
        style=Markup(_file("style.css")),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        digest=digest,
        **values,
    )


def embedded(value: object) -> Markup:
    """Give a value as JSON that can stand in a page: nothing in it can end the element or begin another.

    Raises:
        TypeError: when it is no value that JSON can hold.

    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)  # noqa: S704 - no letter in it means anything to HTML


@cache
def _script(names: tuple[str, ...]) -> str:
    body = "\n".join(_file(name) for name in names)
    return f'"use strict";\n(() => {{\n{body}}})();\n'


@cache
def _file(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
