"""Values that are secret wherever they stand: what a target names, however it is written, and known tokens.

What a target names is taken in once, when its file is read. A word is *made up*, and so taken for a secret, where
letters and digits mix in it; an ordinary word is not, as it would be masked in every sentence.
"""

from __future__ import annotations

import base64
import html
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MASK = "***"
"""What stands where a secret stood."""

_SHORTEST = 8
"""How long a text must be to be masked wherever it stands: a shorter one is a part of too many others."""
_SHORTEST_MIXED = 6
_UNBROKEN = 20
_RUN = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
_USUAL_RUN = 3
"""How long letters of one kind follow each other at least, on average, in a name such as ``k8sRequestTimeout``."""
_TOKEN = re.compile(
    r"""
    (?<![A-Za-z0-9])(?:
      A[KSBC][IC]A[A-Z0-9]{16}                               # Amazon Web Services
    | gh[opsur]_[A-Za-z0-9]{20,} | github_pat_\w{20,}        # GitHub
    | gl(?:pat|dt|rt|ptt|cbt|ft|soat)-[\w-]{16,}             # GitLab
    | xox[a-z]-[\w-]{8,} | xapp-[\w-]{8,}                    # Slack
    | (?:sk|rk|pk)_(?:live|test)_\w{8,} | whsec_[\w+/=]{16,} # Stripe
    | sk-(?:[a-z]+-)*[\w-]{20,}                              # OpenAI, Anthropic
    | AIza[\w-]{30,} | ya29\.[\w-]{16,} | GOCSPX-[\w-]{16,}  # Google
    | npm_[A-Za-z0-9]{30,} | pypi-[\w-]{16,} | hf_[A-Za-z0-9]{20,} | do[op]_v1_[a-f0-9]{32,}
    | hv[sbr]\.[\w-]{16,} | SG\.[\w-]{10,}\.[\w-]{10,}
    | shp(?:at|ca|pa|ss)_[a-f0-9]{16,} | AGE-SECRET-KEY-1[A-Z0-9]{20,}
    | eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*){1,3}               # a JSON Web Token
    )
  | (?<=hooks\.slack\.com/services/)[\w/]+
    """,
    re.VERBOSE,
)
_TOKEN_HINT = re.compile(
    r"A[KSBC][IC]A|gh[opsur]_|github_|gl\w+-|xox|xapp-|_live_|_test_|whsec_|sk-|AIza|ya29|GOCSPX|npm_|pypi-|hf_|_v1_"
    r"|hv[sbr]\.|SG\.|shp|AGE-|eyJ|hooks\."
)
_SCHEME = re.compile(
    r"(?P<keep>\b(?:Bearer|Basic|Digest|Negotiate|ApiKey|Token)\s+)(?=\S*[\d=._-]|[A-Z]*[a-z]+[A-Z])[\w.~+/=-]{6,}"
)
_PEM = re.compile(
    r"(?P<keep>-----BEGIN (?P<kind>[A-Z0-9 ]*PRIVATE KEY[A-Z ]*)-----).*?(?P<end>-----END (?P=kind)-----|$)", re.DOTALL
)
_CHOSEN = re.compile(r"([a-z]+|[A-Z]+|[A-Z]?[a-z]{2,})\d{0,4}[a-z]?|\d+[A-Za-z]{0,2}|v\d+[a-z]+\d+")
"""A part of a word that somebody chose: letters, a number, or letters and then a short number."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ][\d:.]*(Z|[+-][\d:]*)?)?")
_BREAK = r"(?:\s|\\n)*"
"""What may stand between two letters of a value that was broken into lines."""

_known: dict[str, re.Pattern[str]] = {}
"""The known values in all their forms, without white space, and what finds each; the longest first."""
_named: set[str] = set()
_readable = {"gateway-stress schedule"}
"""Names that stay readable: by them files are found again."""


def made_up(word: str) -> bool:
    """Return whether a word looks as if a program made it up, and not as if somebody chose it."""
    if len(word) < _SHORTEST or _MOMENT.fullmatch(word) is not None:
        return False
    parts = [part for part in re.split(r"[^A-Za-z0-9]+", word) if part]
    return any(_CHOSEN.fullmatch(part) is None and _looks_random(part) for part in parts)


def _looks_random(part: str) -> bool:
    random = len(part) <= _USUAL_RUN * len(_RUN.findall(part))
    return random and (_mixed(part) or len(part) >= _UNBROKEN)


def _mixed(text: str) -> bool:
    return any(letter.isdigit() for letter in text) and any(letter.isalpha() for letter in text)


def known_from_now_on(values: Iterable[str], but: Iterable[str] = ()) -> bool:
    """Know these values, also in base64, in URLs, in JSON, in HTML, in hex, broken into lines; return if any is new.

    Too short ones are left out, and parts of the names ``but`` of this call or another.
    """
    _readable.update(but)
    lines = {line.strip() for value in values for line in (value, *value.splitlines())}
    wanted = {one for one in lines | _named if _long(one) and not any(one in name for name in _readable)}
    if wanted == _named:
        return False
    _named.clear()
    _named.update(wanted)
    _known.clear()
    forms = {"".join(form.split()) for value in _named for form in _forms(value)}
    for form in sorted(forms, key=len, reverse=True):
        _known[form] = re.compile(_BREAK.join(map(re.escape, form)))
    return True


def _long(value: str) -> bool:
    return len(value) >= _SHORTEST or (len(value) >= _SHORTEST_MIXED and _mixed(value))


def _forms(value: str) -> Iterator[str]:
    """Give the ways in which a value may be written."""
    raw = value.encode("utf-8", "surrogateescape")
    quoted = (quote(raw), quote(raw, safe=""), quote_plus(raw))
    yield from (value, unquote(value), *quoted, *(re.sub("%..", lambda at: at[0].lower(), one) for one in quoted))
    for ascii_only in (True, False):
        yield (once := json.dumps(value, ensure_ascii=ascii_only)[1:-1])
        yield json.dumps(once)[1:-1]
    yield from (repr(value)[1:-1], html.escape(value), value.replace("'", "'\"'\"'"), raw.hex(), raw.hex().upper())
    for shift in range(3):  # base64 takes three bytes at a time: what is beside the value changes its outermost letters
        coded = base64.b64encode(bytes(shift) + raw).decode("ascii").rstrip("=")
        first, rest = -(-shift * 8 // 6), (shift + len(raw)) % 3
        inner = coded[first : len(coded) - 1 if rest else None]
        yield from (inner, inner.replace("+", "-").replace("/", "_"))


def hide(text: str) -> str:
    """Give a text without the values that a target names, and without tokens and private keys known by their shape."""
    if _known:
        dense = "".join(text.replace("\\n", "").split())
        for form, found in _known.items():
            if form in dense:
                text = found.sub(MASK, text)
    if "PRIVATE KEY" in text:
        text = _PEM.sub(rf"\g<keep>{MASK}\g<end>", text)
    if _TOKEN_HINT.search(text) is not None:
        text = _TOKEN.sub(MASK, text)
    return _SCHEME.sub(rf"\g<keep>{MASK}", text) if " " in text else text
