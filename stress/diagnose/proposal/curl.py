"""One sample request, read from a line of curl."""

from __future__ import annotations

import base64
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

if TYPE_CHECKING:
    from pathlib import Path

_JOINED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"|\\\r?\n|\\.|\$'(?:\\.|[^'\\])*'", re.DOTALL)
"""What a line that goes on below is taken apart into: quoted texts, escapes, and the end of a line that goes on."""
_FLAGS = {
    **dict.fromkeys(("-X", "--request"), "method"),
    **dict.fromkeys(("-H", "--header"), "header"),
    **dict.fromkeys(("-d", "--data", "--data-ascii"), "data"),
    "--data-raw": "raw",
    "--data-binary": "binary",
    "--data-urlencode": "encoded",
    "--json": "json",
    **dict.fromkeys(("-u", "--user"), "user"),
    **dict.fromkeys(("-b", "--cookie"), "cookie"),
    "--url": "url",
}
"""The options that say what is sent, and take a value."""
_OTHER = (
    " -o --output -w --write-out -m --max-time -A --user-agent -e --referer --connect-timeout --retry --retry-delay "
    "--retry-max-time -x --proxy --cacert --cert --key -c --cookie-jar --limit-rate --resolve "
)
"""Options that take a value and change nothing that is sent to the service."""
_ISOLATED = (
    " -s --silent -S --show-error -i --include -v --verbose -k --insecure -L --location -f --fail -g --globoff "
    "-N --no-buffer -# --progress-bar -0 --http1.0 --http1.1 --http2 --compressed --fail-with-body -q -4 -6 "
)
_FORM = "application/x-www-form-urlencoded"
_SHORTEST = 2


class Unread(ValueError):
    """What a call says that can't be read, and what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        """Say what is wrong, and what to do."""
        super().__init__(f"{message} ({hint})" if hint else message)


@dataclass(frozen=True)
class Sample:
    """A request: its method, its path as it is written in a URL, parameters, headers, and body (None: none).

    ``port`` is that of the URL (0: it names none), ``host`` where it went: here it goes to the service that is started.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    host: str = ""
    port: int = 0

    @property
    def content_type(self) -> str:
        """The type of its body; a body without one is taken for what it is."""
        given = next((value for name, value in self.headers.items() if name.lower() == "content-type"), "")
        return given.partition(";")[0].strip().lower()

    @property
    def shown(self) -> str:
        """The request for people: ``POST /orders``."""
        return f"{self.method} {self.path}"


def parse(text: str, folder: Path) -> Sample:
    """Read a line of curl, which may go on below; files that it names are relative to a folder.

    Raises:
        Unread: when it is none, has an option that is not known, or a file is not there.

    """
    try:
        words = shlex.split(_JOINED.sub(_joined, text.strip()))
    except ValueError as error:
        raise Unread(f"no line of curl: {error}") from None
    if not words or words[0].rpartition("/")[2] != "curl":
        raise Unread("no line of curl", "write curl -X POST http://127.0.0.1:8080/orders -d '{…}', or name a file")
    given = _given(words[1:])
    urls = given["url"]
    if len(urls) != 1:
        raise Unread(f"names {len(urls)} URLs", "name one")
    return _sample(given, urls[0], folder)


def _joined(found: re.Match[str]) -> str:
    """Join a line that goes on; write a text with escapes of C, as browsers copy it, as one that shlex reads."""
    text = found[0]
    if text.startswith("$'"):
        return shlex.quote(re.sub(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", _unescaped, text[2:-1], flags=re.DOTALL))
    return " " if text.startswith("\\") and text.endswith("\n") else text


def _unescaped(found: re.Match[str]) -> str:
    one = found[1]
    return chr(int(one[1:], 16)) if len(one) > 1 else {"n": "\n", "t": "\t", "r": "\r"}.get(one, one)


def _given(words: list[str]) -> dict[str, list[str]]:
    """Sort the words by what they say; of data each has before it how it was given."""
    given: dict[str, list[str]] = {kind: [] for kind in ("method", "header", "data", "user", "cookie", "url", "as")}
    left = list(words)
    while left:
        word = left.pop(0)
        name, value = _taken_apart(word)
        if name in ("-G", "--get", "-I", "--head"):
            given["as"].append(name)
        elif f" {name} " in _ISOLATED:
            left = [f"-{value}", *left] if value else left
        elif name in _FLAGS or f" {name} " in _OTHER:
            if value is None and not left:
                raise Unread(f"{name} lacks its value")
            value = left.pop(0) if value is None else value
            kind = _FLAGS.get(name, "other")
            if kind in ("data", "raw", "binary", "encoded", "json"):
                given["data"] += [kind, value]
            elif kind != "other":
                given[kind].append(value)
        elif word.startswith("-"):
            raise Unread(f"{name} of curl is not known here", "leave it out, or say what it sends by -H and -d")
        else:
            given["url"].append(word)
    return given


def _taken_apart(word: str) -> tuple[str, str | None]:
    """Split ``-XPOST``, ``-sS`` and ``--data=x`` into the option and what stands behind it."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    if word.startswith("-") and len(word) > _SHORTEST:
        return word[:2], word[2:]
    return word, None


def _sample(given: dict[str, list[str]], url: str, folder: Path) -> Sample:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        host, port = parts.hostname or "", parts.port or 0
    except ValueError:
        host, port = "", 0
    if parts.scheme not in ("http", "https") or not host:
        raise Unread(f"{url!r} is no URL of a service", "write http://127.0.0.1:8080/orders")
    headers = _headers(given, f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else "")
    data = given["data"]
    body = _body(data, folder) if data else None
    lower = {name.lower() for name in headers}
    if body is not None and "content-type" not in lower:
        headers = {"Content-Type": "application/json" if "json" in data[::2] else _FORM, **headers}
    query = parse_qsl(parts.query, keep_blank_values=True)
    method = "POST" if body is not None else "GET"
    if "-G" in given["as"] or "--get" in given["as"]:
        query += parse_qsl(body or "", keep_blank_values=True)
        method, body = "GET", None
        headers = {name: value for name, value in headers.items() if value != _FORM}
    elif given["as"]:
        method = "HEAD"
    method = given["method"][-1].upper() if given["method"] else method
    if re.fullmatch("[A-Z]+", method) is None:
        raise Unread(f"{method!r} is no method")
    return Sample(
        method, quote(unquote(parts.path or "/"), safe="/:@!$&'()*+,;=~-._{}"), tuple(query), headers, body, host, port
    )


def _headers(given: dict[str, list[str]], login: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given["header"]:
        name, colon, value = text.partition(":")
        if not colon or re.fullmatch("[A-Za-z0-9-]+", name) is None:
            if text.endswith(";"):
                found[text[:-1]] = ""
                continue
            raise Unread(f"-H {name}: no header", "write -H 'Name: value'")
        if value.strip():
            found[name] = value.strip()
    for user in (*given["user"], login):
        if user:
            found["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
    if given["cookie"]:
        found["Cookie"] = "; ".join(given["cookie"])
    return {name: value for name, value in found.items() if name.lower() not in ("host", "content-length", "accept")}


def _body(data: list[str], folder: Path) -> str:
    """Join what -d, --json and their like give, as curl does."""
    whole = ""
    for kind, text in zip(data[::2], data[1::2], strict=True):
        value = text
        if kind == "encoded":
            name, equals, rest = text.partition("=")
            value = f"{name}={quote_plus(rest)}" if equals else quote_plus(text)
        elif kind != "raw" and text.startswith("@"):
            value = read(folder / text[1:], text)
            value = value if kind in ("binary", "json") else re.sub(r"[\r\n]", "", value)
        whole += ("&" if whole and kind != "json" else "") + value
    return whole


def read(path: Path, named: str) -> str:
    """Read a file that a call names.

    Raises:
        Unread: when it is not there, or no text.

    """
    try:
        return path.read_text()
    except UnicodeDecodeError:
        raise Unread(f"{named}: is no UTF-8 text") from None
    except OSError as error:
        raise Unread(f"{named}: {error.strerror}") from None
