"""What is secret wherever it stands: values that a target names, however they are written, and known tokens."""

from __future__ import annotations

import base64
import html
import json
import textwrap
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stress.config.target import Target
from stress.core.masking import clean, mask_command, mask_text, name_secrets, printed
from stress.core.secrets import made_up

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "pÄss w0rd'\"/+&=%<?>\\1"  # noqa: S105 - no password of anything
"""A value with every letter that some form of writing changes."""
name_secrets([SECRET])


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        json.dumps({"body": json.dumps({"a": SECRET})}),
        repr(SECRET),
        html.escape(SECRET),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        "\n".join(textwrap.wrap(base64.b64encode(SECRET.encode()).decode(), 7)),
        f"{SECRET[:9]}\n{SECRET[9:]}",
    ],
)
def test_a_known_value_is_masked_however_it_is_written(form: str) -> None:
    """Percent signs, escapes of JSON and HTML, hex, base64, line breaks: nothing of the value is left, the rest is."""
    masked = mask_text(f"before {form} after")
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert "***" in masked
    assert not any(part in masked for part in ("0rd", "%2F", "\\u00c4", "7730"))


@given(st.binary(max_size=5), st.binary(max_size=5), st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]))
def test_a_known_value_is_masked_inside_of_base64(before: bytes, after: bytes, coding: object) -> None:
    """As basic authentication and Secrets have it: whatever stands beside it in the same base64, it is gone."""
    coded = coding(before + SECRET.encode() + after).decode()  # type: ignore[operator]
    left = mask_text(coded).replace("***", "")
    assert len(left) <= len(coded) - len(SECRET)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("key AKIAIOSFODNN7EXAMPLE.", "key ***."),
        ("ghp_" + "a1B2" * 9 + " gone", "*** gone"),
        ("github_pat_" + "a1B2" * 9, "***"),
        ("glpat-" + "x1-Y" * 5, "***"),
        ("xoxb-1234-5678-abcd", "***"),
        ("https://hooks.slack.com/services/T0/B0/xyz", "https://hooks.slack.com/services/***"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_def", "***"),
        ("said Bearer abc.def-123 and went", "said Bearer *** and went"),
        ("said Basic dXNlcjpwYXNz", "said Basic ***"),
        ("sk_live_abcdefgh1", "***"),
        ("AIza" + "a1-_" * 9, "***"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMII\nEow\n-----END RSA PRIVATE KEY-----\nrest",
            "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----\nrest",
        ),
        ("a -----BEGIN PRIVATE KEY-----\nMII", "a -----BEGIN PRIVATE KEY-----***"),
        ("the Token bucket is a Basic thing", "the Token bucket is a Basic thing"),
        ("task-abcdefghijklmnopqrstuvwxyz", "task-abcdefghijklmnopqrstuvwxyz"),
        ("password = S3 and user_pin: S4", "password = *** and user_pin: ***"),
        ("GET token:{id:1} lock", "GET token:{id:1} lock"),
        ("bypass: spin: compass: 3", "bypass: spin: compass: 3"),
    ],
)
def test_known_tokens_are_masked_and_words_like_them_are_not(text: str, masked: str) -> None:
    """Tokens of clouds and forges, schemes of authorization and private keys are recognised by their shape."""
    assert mask_text(text) == masked


def test_a_field_with_the_name_of_a_secret_loses_its_value() -> None:
    """What a hash or a stream keeps under such a name is masked, in commands that write it."""
    assert mask_command(("HSET", "cfg", "user", "me", "password", "x", "n", "1")) == (
        *("HSET", "cfg", "user", "me", "password", "***"),
        *("n", "1"),
    )
    assert mask_command(("HMGET", "cfg", "password", "n")) == ("HMGET", "cfg", "password", "n")


@pytest.mark.parametrize(
    ("word", "is_made_up"),
    [
        *((word, True) for word in ("S3cr-ENV-opaque", "x7Fq2LmZ", "QWxhZGRpbjpvcGVuIHNlc2FtZQ", "pod-7d4f8b9c5")),
        *((word, False) for word in ("tries-5000", "us-east-1", "en_US.UTF-8", "v1alpha1", "127.0.0.1:8080", "512Mi")),
        *(
            (word, False)
            for word in ("-Xmx256m", "2026-01-01T00:00:00Z", "r2-same-second", "a1B2", "k8sRequestTimeout")
        ),
    ],
)
def test_what_is_made_up_is_distinguished_from_what_is_chosen(word: str, *, is_made_up: bool) -> None:
    """Letters and digits that mix make a secret; words, versions, sizes and times do not."""
    assert made_up(word) is is_made_up


def test_what_a_target_names_is_masked_from_then_on(tmp_path: Path) -> None:
    """Passwords in URLs, what is named like a secret, made-up words of `start`, a Secret's data; the rest stays."""
    (tmp_path / "body.json").write_text('{"pin": "body-of-signal", "pod": "pod-7d4f8b9c5-xk2vn"}')
    (tmp_path / "target.yaml").write_text(
        """\
name: chosen-mode
start:
  command: [run, --token, argument-token, --password, gateway-stress, -p, Sh0rt-Q9x7, --mode, chosen-mode, "--dsn=pg://u:url-of-dsn@h/db"]
  env: {SIGNING: signed-by-env, OPAQUE: 0paqu3-value, LEVEL: information, PASS: chosen-mode}
  files: {app.ini: "password = blank-in-file\\nlevel = information\\nm4xReq9uests: 1\\n"}
stores: {kubernetes: {}, redis: {url: "redis://u:of%20the%20store@127.0.0.1/0"}}
request:
  path: /hook?sig=sig-of-query
  headers: {Authorization: Bearer bearer-of-head, X-Signature: signature-of-head}
  body: body.json
setup: [{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {a: b2YgYSBzZWNyZXQ=}}]
"""
    )
    Target.load(tmp_path / "target.yaml")
    secret = [
        *("argument-token", "Sh0rt-Q9x7", "url-of-dsn", "signed-by-env", "0paqu3-value", "blank-in-file"),
        *("bearer-of-head", "sig-of-query", "signature-of-head", "body-of-signal", "b2YgYSBzZWNyZXQ="),
    ]
    assert [word for word in [*secret, "of the store", "of a secret"] if mask_text(word) != "***"] == []
    kept = ["chosen-mode", "information", "pod-7d4f8b9c5-xk2vn", "m4xReq9uests", "gateway-stress"]
    assert list(map(mask_text, kept)) == kept


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
        ("a\r\n::error file=a::b", "a\\x0d\\x0a\\x3a:error file=a::b"),
        ("::set-output name=a::b", "\\x3a:set-output name=a::b"),
        ("::a1b2::", "\\x3a:a1b2::"),
        ("x ##[error]y ##vso[task.setvariable]z", "x \\x23#[error]y \\x23#vso[task.setvariable]z"),
        ("## heading of std::error and ::1", "## heading of std::error and ::1"),
        ("\u202egnp.exe\u200b", "\\x202egnp.exe\\x200b"),
    ],
)
def test_what_could_act_is_shown_as_what_it_is(text: str, shown: str) -> None:
    """Escapes of terminals and commands of CI systems are written out; what only looks like them is not."""
    assert clean(text) == shown


def test_json_on_standard_output_holds_no_command() -> None:
    """A value that is a workflow command is the same value when parsed, and none in the text."""
    value = ["##[error]x", "::error::x"]
    assert json.loads(printed(value)) == value
    assert "##" not in printed(value)
    assert "::" not in printed(value)
