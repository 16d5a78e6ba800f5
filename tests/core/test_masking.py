"""Credentials never reach a text."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stress.core.masking import MASK, mask_command, mask_text

secrets = st.text(st.sampled_from("QWZXJ0189+=%!~"), min_size=3, max_size=24).filter(lambda text: not text.isdigit())
"""Letters that no other part of the tested texts holds."""
words = st.text(st.sampled_from("abcdefgh:{}-_ 12"), max_size=30)
awkward = st.text(st.characters(exclude_characters="\r\n\x00", exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize(
    ("command", "masked"),
    [
        ("AUTH S", "AUTH ***"),
        ("auth user S", "auth user ***"),
        ("AUTH user S S", "AUTH user *** ***"),
        ("AUTH", "AUTH"),
        ("HELLO 3", "HELLO 3"),
        ("HELLO 3 AUTH user S SETNAME me", "HELLO 3 AUTH user *** SETNAME me"),
        ("CONFIG SET requirepass S", "CONFIG SET requirepass ***"),
        ("config set maxmemory 1 MasterAuth S", "config set maxmemory 1 MasterAuth ***"),
        ("CONFIG GET requirepass", "CONFIG GET requirepass"),
        ("CONFIG SET requirepass", "CONFIG SET requirepass"),
        ("SENTINEL SET main auth-pass S", "SENTINEL SET main auth-pass ***"),
        ("ACL SETUSER me on >S <S #S !S ~k:* +@all", "ACL SETUSER me on >*** <*** #*** !*** ~k:* +@all"),
        ("MIGRATE h 6379 k 0 9 COPY AUTH S", "MIGRATE h 6379 k 0 9 COPY AUTH ***"),
        ("MIGRATE h 6379 '' 0 9 AUTH2 user S KEYS AUTH b", "MIGRATE h 6379 '' 0 9 AUTH2 user *** KEYS AUTH b"),
        ("MIGRATE h 6379 '' 0 9 KEYS AUTH b", "MIGRATE h 6379 '' 0 9 KEYS AUTH b"),
        ("SET url redis://user:S@host/0", "SET url redis://user:***@host/0"),
        ("HSET gw:rr:{fingerprint} count 1", "HSET gw:rr:{fingerprint} count 1"),
        ("", ""),
    ],
)
def test_the_secret_arguments_of_a_command_are_masked(command: str, masked: str) -> None:
    """Each command that carries a password loses it and nothing else."""
    assert mask_command(tuple(command.split())) == tuple(masked.split())


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("redis://user:S@host:6379/0", "redis://user:***@host:6379/0"),
        ("rediss://:S@S@host", "rediss://:***@host"),
        ("http://127.0.0.1:8080/a@b", "http://127.0.0.1:8080/a@b"),
        ("POST / HTTP/1.1\r\nAuthorization: Bearer S S\r\nHost: h", "POST / HTTP/1.1\r\nAuthorization: ***\r\nHost: h"),
        ("cookie: a=S; b=S\nX-Request-ID: 1", "cookie: ***\nX-Request-ID: 1"),
        ("Set-Cookie:sid=S; HttpOnly", "Set-Cookie:***"),
        ("X-Api-Key: S", "X-Api-Key: ***"),
        ("GET /?user=me&password=S&page=2", "GET /?user=me&password=***&page=2"),
        ("DB_PASSWORD='S S' PATH=/bin", "DB_PASSWORD=*** PATH=/bin"),
        ('{"password": "S\\"S", "user": "me"}', '{"password": "***", "user": "me"}'),
        ('{"password": "S', '{"password": "***"'),
        ("{'Authorization': 'Bearer S'}", "{'Authorization': '***'}"),
        ("[('Cookie', b'a=S')]", "[('Cookie', b'***')]"),
        ('{"body": "{\\"api_key\\": \\"S\\", \\"a\\": 1}"}', '{"body": "{\\"api_key\\": \\"***\\", \\"a\\": 1}"}'),
        ("the password of the day", "the password of the day"),
        ("created: rr-{fingerprint:12}-{time:1}", "created: rr-{fingerprint:12}-{time:1}"),
    ],
)
def test_secrets_in_a_text_are_recognised_by_what_comes_before_them(text: str, masked: str) -> None:
    """URLs, headers, queries, environments and JSON lose their secrets and nothing else."""
    assert mask_text(text) == masked


@given(secrets, words, st.sampled_from(["AUTH {0}", "AUTH u {0}", "HELLO 3 AUTH u {0}", "CONFIG SET requirepass {0}"]))
def test_no_command_shows_its_password(secret: str, word: str, form: str) -> None:
    """Whatever the password and whatever follows in the pipeline's text, it is not in the result."""
    masked = mask_command(tuple(part.replace("{0}", secret) for part in form.split()))
    assert secret not in " ".join(masked)
    assert mask_command(masked) == masked
    assert mask_command(("SET", word, word)) == ("SET", word, word)


@given(
    secrets,
    words,
    st.sampled_from(
        [
            "{1} redis://u:{0}@host/0 {1}",
            "{1}\nAuthorization: Basic {0}\n{1}",
            "{1}\nSet-Cookie: a={0}\n{1}",
            "{1} /?password={0}&{1}",
            '{1} {{"token": "{0}"}} {1}',
        ]
    ),
)
def test_no_text_shows_its_secret(secret: str, word: str, form: str) -> None:
    """Whatever stands around it, a secret in a known place is gone and the rest stays."""
    masked = mask_text(form.format(secret, word))
    assert secret not in masked
    assert masked.startswith(word)
    assert masked.rstrip().endswith(word.rstrip())
    assert MASK in masked


@given(awkward)
def test_a_password_in_json_is_masked_whatever_its_letters(secret: str) -> None:
    """Quotes and backslashes in a secret do not end the masking early, and what follows is kept."""
    text = json.dumps({"password": secret, "user": "me"})
    assert json.loads(mask_text(text)) == {"password": MASK, "user": "me"}


@given(st.text(max_size=60) | st.from_regex(re.compile(r"(password|cookie|://a:|[=:@'\"\\ &x]){1,12}"), fullmatch=True))
def test_masking_twice_changes_nothing(text: str) -> None:
    """A masked text has nothing left to mask."""
    once = mask_text(text)
    assert mask_text(once) == once
