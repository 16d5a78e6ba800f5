"""The two file formats: every key obeys, every fault is one line at its place, and the schemas agree."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner
from conftest import scenario_of, target_of
from hypothesis import given
from hypothesis import strategies as st

from stress.cli.main import main
from stress.config import yaml_file
from stress.config.formats import bundled, find, nearest
from stress.config.placeholders import fill, from_environment
from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.core.errors import UsageFault
from stress.core.masking import mask_text

HEAD = "name: a\nstory: b\n"
START = "name: t\nstart:\n  command: [x]\n"


def faults_of(kind: type[Scenario | Target], path: Path, text: str) -> list[str]:
    """Load a text and give its faults, without the folder."""
    path.write_text(text)
    with pytest.raises(UsageFault) as caught:
        kind.load(path)
    return [str(fault).replace(f"{path.parent}/", "") for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "f.yaml:1:1: the file is empty (see scenarios/README.md for its keys)"),
        ("# nothing\n", "f.yaml:1:1: the file is empty (see scenarios/README.md for its keys)"),
        ("- a\n", "f.yaml:1:1: must be a mapping of keys to values (write `name: …` in its first line)"),
        ("name: a\nname: b\n", "f.yaml:2:1: the key 'name' stands here twice (leave one of them out)"),
        ("name: [a\n", "f.yaml:2:1: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("name: a\x07\n", "f.yaml:1:1: not YAML: the character '\\x07' may not stand"),
        (
            "name: a\n---\nname: b\n",
            "f.yaml:2:1: a second document begins here (one file holds one document: leave out the line `---`)",
        ),
        ("[a]: b\n", "f.yaml:1:1: a key must be a word (write `key: value`)"),
        (
            "name: !!python/object:os.system x\n",
            "f.yaml:1:7: unknown tag or value tag:yaml.org,2002:python/object:os.system (write plain values)",
        ),
        ("name: !!bool x\n", "f.yaml:1:7: unknown tag or value tag:yaml.org,2002:bool (write plain values)"),
        (HEAD + "concurent: 2\n", "f.yaml:3:1: unknown key 'concurent' (did you mean 'concurrent'?)"),
        (HEAD + "search: {orders: 2}\n", "f.yaml:3:10: unknown key 'search.orders' (it is called 'schedules' now)"),
        (HEAD + "search: {schedule: 2}\n", "f.yaml:3:10: unknown key 'search.schedule' (did you mean 'schedules'?)"),
        (HEAD + "concurrent: 0\n", "f.yaml:3:13: concurrent: must be at least 1, not 0"),
        (HEAD + "concurrent: 10000\n", "f.yaml:3:13: concurrent: must be at most 26, not 10000"),
        (HEAD + "concurrent: two\n", "f.yaml:3:13: concurrent: must be a whole number, not 'two'"),
        (HEAD + "concurrent: true\n", "f.yaml:3:13: concurrent: must be a whole number, not true"),
        (HEAD + "before:\n", "f.yaml:3:8: before: must be a whole number, not nothing"),
        (
            HEAD + "before: {request: 1, requests: 1}\n",
            "f.yaml:3:10: unknown key 'before.request' (did you mean 'requests'?)",
        ),
        (
            HEAD + "before: {requests: 1, late: added}\n",
            "f.yaml:3:29: before.late: must be ADDED, MODIFIED or DELETED and the plural of a resource, not 'added'",
        ),
        (HEAD + "search: {seconds: .inf}\n", "f.yaml:3:19: search.seconds: must be a finite number, not inf"),
        (HEAD + "search: {seconds: 0}\n", "f.yaml:3:19: search.seconds: must be more than 0, not 0"),
        ("name: 7\nstory: b\n", 'f.yaml:1:7: name: must be a text, not 7 (write it in quotes: "7")'),
        (
            "name: a/b\nstory: b\n",
            "f.yaml:1:7: name: may hold letters, digits, '.', '_' and '-', at most 80, not 'a/b'",
        ),
        ("name: a\nstory: ''\n", "f.yaml:2:8: story: must not be empty"),
        ("story: b\n", "f.yaml:1:1: the key 'name' is missing"),
        (HEAD + "source: {races: [R1]}\n", "f.yaml:3:10: unknown key 'source.races' (known: test)"),
        (
            HEAD + "races:\n  R1: {breaks: one_active_record, conflict: [start]}\n",
            (
                "f.yaml:4:45: races.R1.conflict: must be two accesses "
                "(such as [list remediationrequests, create remediationrequests])"
            ),
        ),
        (
            HEAD + "races:\n  R1: {breaks: one_active_record, conflict: [start, SET]}\n",
            (
                "f.yaml:4:53: races.R1.conflict.1: 'SET' is no access (write a command and what it accesses, such as "
                "`create remediationrequests`, or start, clock, expiry, cleanup, writer, client, watch)"
            ),
        ),
        (
            HEAD + "races:\n  R1: {breaks: same_answer, conflict: [start, clock]}\n",
            "f.yaml:4:16: races.R1.breaks: 'same_answer' is not in `invariants` (add it there)",
        ),
        (
            HEAD + "races:\n  R1: {breaks: one_active_record, conflict: [start, clock], schedule: [A, A clock B]}\n",
            "f.yaml:4:75: races.R1.schedule.1: needs clock (let them act: `actors`)",
        ),
        (
            HEAD + "races:\n  R1: {breaks: one_active_record, conflict: [start, clock], schedule: A C}\n",
            (
                "f.yaml:4:71: races.R1.schedule: word 2, at character 3: 'C' names no actor "
                "(allowed: A to B, clock, expiry, cleanup, writer, watch, watch:2, client, client:A)"
            ),
        ),
        (HEAD + "signal: [a]\n", "f.yaml:3:9: signal: must be a mapping of keys to values, not a list"),
        (
            HEAD + "invariants: [one_active_recrod]\n",
            "f.yaml:3:14: invariants.0: unknown invariant 'one_active_recrod' (did you mean 'one_active_record'?)",
        ),
        (HEAD + "invariants: []\n", "f.yaml:3:13: invariants: must not be empty"),
        (
            HEAD + "search: {scheduler: exhaustiv}\n",
            "f.yaml:3:21: search.scheduler: unknown scheduler 'exhaustiv' (did you mean 'exhaustive'?)",
        ),
        (HEAD + "actors: {clok: {}}\n", "f.yaml:3:10: unknown key 'actors.clok' (did you mean 'clock'?)"),
        (
            HEAD + "concurrent: 2\nreplicas: [1]\n",
            "f.yaml:4:11: replicas: names 1 requests, and concurrent says 2 (one number for each request)",
        ),
        (HEAD + "expect: {x: hold}\n", "f.yaml:3:13: expect.x: unknown value 'hold' (did you mean 'holds'?)"),
        (HEAD + "expect: {x: 1}\n", "f.yaml:3:13: expect.x: unknown value 1 (known: holds)"),
        (
            HEAD + "expect:\n  x: {race: [no_server_error, nope]}\n",
            (
                "f.yaml:4:31: expect.x.race.1: unknown invariant 'nope' (known: busy_is_temporary, "
                "distinct_counts, hits_equal_answers, lease_deleted_as_seen, lease_deleted_by_owner, lease_released, "
                "linearizable_hits, no_phantom_count, no_repeated_create, no_server_error, nothing_left_processing, "
                "one_active_record, one_created_answer, one_effect, same_answer, status_initialised, "
                "test_t1_one_record, test_t2_hits_at_least_requests)"
            ),
        ),
        (HEAD + "expect: {x: {rase: []}}\n", "f.yaml:3:14: unknown key 'expect.x.rase' (did you mean 'race'?)"),
        (
            HEAD + "invariants: [no_server_error]\nexpect: {x: {race: [distinct_counts]}}\n",
            (
                "f.yaml:4:21: expect.x.race.0: 'distinct_counts' is expected to break and is not in `invariants` "
                "(add it there)"
            ),
        ),
        (
            HEAD + "signal: {labels: {pod: 'p-{frsh}'}}\n",
            "f.yaml:3:24: signal.labels.pod: unknown placeholder {frsh} (did you mean {fresh}?)",
        ),
        (
            "a: &a [x, x]\nb: &b [*a, *a]\n"
            + "".join(f"{c}: &{c} [{', '.join(['*' + p] * 9)}]\n" for p, c in zip("bcdef", "cdefg", strict=True)),
            "f.yaml:1:8: unfolds to too much (write it out without aliases)",
        ),
        ("a: &a [*a]\n", "f.yaml:1:4: unfolds to too much (write it out without aliases)"),
        ("a: " + "[" * 4000, "f.yaml:1:53: not YAML: nested too deeply, at most 50 deep"),
    ],
)
def test_a_wrong_scenario_is_one_clear_line(tmp_path: Path, text: str, fault: str) -> None:
    """What is wrong, at the place of the value, and what to do; one line, never another exception."""
    lines = faults_of(Scenario, tmp_path / "f.yaml", text)
    assert fault in lines
    assert not any("\n" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "name: t\n",
            "f.yaml:1:1: exactly one of `protocol`, `start` and `url` must be given, not none of them (see `start`)",
        ),
        (
            START + "protocol: redis-atomic\n",
            (
                "f.yaml:1:1: exactly one of `protocol`, `start` and `url` must be given, not protocol and start "
                "(see `start`)"
            ),
        ),
        (
            "name: t\nprotocol: redis-atomik\n",
            "f.yaml:2:11: protocol: unknown protocol 'redis-atomik' (did you mean 'redis-atomic'?)",
        ),
        (
            "name: t\nstart:\n  command: [x, '--port={prot}']\n",
            "f.yaml:3:16: start.command.1: unknown placeholder {prot} (did you mean {port}?)",
        ),
        (
            "name: t\nstart: {command: [x], env: {A: '{fingerprint}'}}\n",
            (
                "f.yaml:2:32: start.env.A: unknown placeholder {fingerprint} (known: {port}, {redis_host}, "
                "{redis_port}, {redis_url}, {kubeconfig}, {kube_url}, {namespace}, {sink_url}, {replica}, {folder}, "
                "{files}, {token}, {env.NAME})"
            ),
        ),
        (START + "  files: {c.ini: 'p = {prot}'}\n", "unknown placeholder {prot} (did you mean {port}?)"),
        (
            START + "  files: {../c: x}\n",
            (
                "f.yaml:4:11: start.files.../c: '../c' is no name of a file below a folder "
                "(write a relative name without `..`)"
            ),
        ),
        (
            "name: t\nstart: {command: [x, '{folder}/c.ini'], files: {c.ini: x}}\n",
            "f.yaml:2:22: start.command.1: 'c.ini' is not written to {folder} (write {files}/c.ini)",
        ),
        (
            START + "  folder: nowhere\n",
            "f.yaml:4:11: start.folder: no such folder: nowhere (it is relative to this file)",
        ),
        ("name: t\nstart: {}\n", "f.yaml:2:8: start: the key 'command' is missing"),
        ("name: t\nstart: {command: []}\n", "f.yaml:2:18: start.command: must not be empty"),
        (
            START + "  env: {PORT: true}\n",
            'f.yaml:4:15: start.env.PORT: must be a text, not true (write it in quotes: "true")',
        ),
        (START + "  ready: {path: ready}\n", "f.yaml:4:17: start.ready.path: must begin with '/', not 'ready'"),
        (
            "name: t\nurl: http://127.0.0.1:1\n",
            "f.yaml:1:1: stores.redis.listen is missing (with `url` the gate needs a port: {redis: {listen: 6380}})",
        ),
        (
            "name: t\nurl: http://127.0.0.1:1\nstores: {redis: {listen: 6380}}\nreplicas: 2\n",
            "f.yaml:4:11: replicas: with `url` there is 1 replica (leave `replicas` out)",
        ),
        (
            "name: t\nurl: ftp://127.0.0.1\n",
            "f.yaml:2:6: url: 'ftp://127.0.0.1' is no address of a Gateway (write http://127.0.0.1:8080)",
        ),
        ("name: t\nurl: 'http://[::1'\n", "'http://[::1' is no address of a Gateway (write http://127.0.0.1:8080)"),
        (
            START + "stores: {redis: {url: 'http://:secret@127.0.0.1'}}\n",
            (
                "f.yaml:4:23: stores.redis.url: is no address of a Redis "
                "(write redis://127.0.0.1:6379/0, with user:password@ where needed)"
            ),
        ),
        (START + "stores: {redis: {url: 'redis://127.0.0.1:x'}}\n", "is no address of a Redis"),
        (
            START + "stores: {redis: {url: 'unix:///run/redis.sock'}}\n",
            "a socket of the file system can't be gated (let the store listen on a port of 127.0.0.1 too)",
        ),
        (
            START + "stores: {redis: {url: 'redis+sentinel://127.0.0.1:26379/main'}}\n",
            "what leads to other nodes leads past the gate (name one node: redis://127.0.0.1:6379/0)",
        ),
        (
            START + "stores: {redis: {url: 'rediss://127.0.0.1', ca: gone.pem}}\n",
            "f.yaml:4:49: stores.redis.ca: no such file: gone.pem (it is relative to this file)",
        ),
        (START + "stores: {redis: {url: 'redis://127.0.0.1/x'}}\n", "is no address of a Redis"),
        (
            START + "stores: {redis: {listen: 70000}}\n",
            "f.yaml:4:26: stores.redis.listen: must be at most 65535, not 70000",
        ),
        (
            START + "stores: {redis: {listen: 65535}}\nreplicas: 2\n",
            "f.yaml:4:26: stores.redis.listen: leaves no port for the last replica (choose a lower one)",
        ),
        (START + "stores: {rediss: {}}\n", "f.yaml:4:10: unknown key 'stores.rediss' (did you mean 'redis'?)"),
        (
            START + "fingerprint: '{alertnam}'\n",
            "f.yaml:4:14: fingerprint: unknown placeholder {alertnam} (did you mean {alertname}?)",
        ),
        (START + "fingerprint: {anser: x}\n", "f.yaml:4:15: unknown key 'fingerprint.anser' (did you mean 'answer'?)"),
        (START + "fingerprint: 5\n", "f.yaml:4:14: fingerprint: must be a mapping of keys to values, not 5"),
        (
            START + "answers: {count: a..b}\n",
            (
                "f.yaml:4:18: answers.count: must be words with a '.' between them, or '.' for the whole body, "
                "not 'a..b'"
            ),
        ),
        (START + "answers: {created: x}\n", "f.yaml:4:20: answers.created: must be a whole number, not 'x'"),
        (START + "answers: {created: []}\n", "f.yaml:4:20: answers.created: must not be empty"),
        (
            START + "answers: {created: [200, x]}\n",
            "f.yaml:4:26: answers.created.1: must be a whole number, not 'x'",
        ),
        (
            START + "answers: {created: {status: 99}}\n",
            "f.yaml:4:29: answers.created.status: must be at least 100, not 99",
        ),
        (
            START + "answers: {created: {}}\n",
            "f.yaml:4:20: answers.created: fits every answer (say its `status`, `body` or `headers`)",
        ),
        (
            START + "answers: {created: {stats: 200}}\n",
            "f.yaml:4:21: unknown key 'answers.created.stats' (did you mean 'status'?)",
        ),
        (
            START + "answers: {duplicate: {body: {a: [1]}}}\n",
            (
                "f.yaml:4:33: answers.duplicate.body.a: must be a text, a number, true, false or null "
                "(write one plain value)"
            ),
        ),
        (
            START + "answers: {duplicate: {headers: {'a b': 1}}}\n",
            "f.yaml:4:33: answers.duplicate.headers.a b: may hold letters, digits and '-', not 'a b'",
        ),
        (
            START + "answers: {created: 200, retry_later: [429, 200]}\n",
            "f.yaml:4:38: answers.retry_later: 200 is `created` too (leave it out of one of them)",
        ),
        (
            START + "observe:\n  records: {redis: [GET, '{record}']}\n",
            "f.yaml:5:26: observe.records.redis.1: unknown placeholder {record} (known: {fingerprint}, {fresh})",
        ),
        (
            START + "observe:\n  hits: {redis: [GET, 'x:{recrod}']}\n",
            "f.yaml:5:23: observe.hits.redis.1: unknown placeholder {recrod} (did you mean {record}?)",
        ),
        (
            START + "observe: {hits: {rediz: []}}\n",
            "f.yaml:4:18: unknown key 'observe.hits.rediz' (did you mean 'redis'?)",
        ),
        (
            START + "stores: {kubernetes: {}}\nenvironment: {writer: {kubernetes: pods, sets: {a: {b: 1}}}}\n",
            (
                "f.yaml:5:52: environment.writer.sets.a: must be a text, a number, true, false or null "
                "(write the path of one value as the key)"
            ),
        ),
        (
            START + "stores: {kubernetes: {}}\nenvironment: {writer: {kubernetes: pods, sets: {a: '{ocurrence}'}}}\n",
            "f.yaml:5:52: environment.writer.sets.a: unknown placeholder {ocurrence} (did you mean {occurrence}?)",
        ),
        (START + "environment: {cleanup: {redis: []}}\n", "f.yaml:4:32: environment.cleanup.redis: must not be empty"),
        (
            START + "request: {headers: {A: '{frsh}'}}\n",
            "f.yaml:4:24: request.headers.A: unknown placeholder {frsh} (did you mean {fresh}?)",
        ),
        (
            START + "request: {method: get}\n",
            "f.yaml:4:19: request.method: must be a method in capitals, such as POST, not 'get'",
        ),
        (
            START + "request: {path: '/o/{frsh}'}\n",
            "f.yaml:4:17: request.path: unknown placeholder {frsh} (did you mean {fresh}?)",
        ),
        (
            START + "request: {query: {a: '{fingerprnt}'}}\n",
            "f.yaml:4:22: request.query.a: unknown placeholder {fingerprnt} (did you mean {fingerprint}?)",
        ),
        (
            START + "request: {body: none.json}\n",
            "f.yaml:4:17: request.body: none.json: No such file or directory (it is relative to this file)",
        ),
        (
            START + "request: {body: .}\n",
            "f.yaml:4:17: request.body: .: Is a directory (it is relative to this file)",
        ),
        (
            START + "request: {body: binary}\n",
            "f.yaml:4:17: request.body: binary: is no UTF-8 text of at most 1 MiB (it is relative to this file)",
        ),
        (
            START + "request: {body: huge}\n",
            "f.yaml:4:17: request.body: huge: is no UTF-8 text of at most 1 MiB (it is relative to this file)",
        ),
        (
            START + "request: {body: typo.json}\n",
            "f.yaml:4:17: request.body: unknown placeholder {frsh} in the file (did you mean {fresh}?)",
        ),
        (
            START + "stores: {kubernetes: {}}\neach_run: [{redis: [SET, k, 1]}]\n",
            "f.yaml:5:12: each_run.0: the target has no redis (add `stores: {redis: {}}`)",
        ),
        (
            START + "each_run: [{apiVersion: v1, kind: Pod, metadata: {name: x}}]\n",
            "f.yaml:4:12: each_run.0: the target has no kubernetes (add `stores: {kubernetes: {}}`)",
        ),
        (
            START + "each_run: [{redis: [SET, '{frsh}', 1]}]\n",
            "f.yaml:4:26: each_run.0.redis.1: unknown placeholder {frsh} (did you mean {fresh}?)",
        ),
        (START + "correlation: 'a b'\n", "f.yaml:4:14: correlation: may hold letters, digits and '-', not 'a b'"),
        (START + "second: maters\n", "f.yaml:4:9: second: unknown value 'maters' (did you mean 'matters'?)"),
    ],
)
def test_a_wrong_target_is_one_clear_line(tmp_path: Path, text: str, fault: str) -> None:
    """What is wrong, at the place of the value, and what to do; no password is repeated."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "huge").write_bytes(b"x" * (1024 * 1024 + 1))
    (tmp_path / "typo.json").write_text('{"a": "{frsh}", "b": {word}}')
    lines = faults_of(Target, tmp_path / "f.yaml", text)
    assert any(fault in line for line in lines), lines
    assert not any("\n" in line or "secret" in line for line in lines)


def test_every_fault_of_a_file_is_reported_in_the_order_of_its_lines(tmp_path: Path) -> None:
    """Four faults are four lines, top to bottom."""
    text = "name: 1\nstory: b\nconcurrent: 0\nexpect: {x: hold}\nserch: {}\n"
    lines = faults_of(Scenario, tmp_path / "f.yaml", text)
    assert [line.split(": ")[0] for line in lines] == ["f.yaml:1:7", "f.yaml:3:13", "f.yaml:4:13", "f.yaml:5:1"]


def test_files_that_can_not_be_read_are_faults(tmp_path: Path) -> None:
    """Missing, binary and huge files, and folders, are each one line."""
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "h.yaml").write_bytes(b"#" * (1024 * 1024 + 1))
    for name, fault in (
        ("none.yaml", "can't be read: No such file or directory (check the path)"),
        (".", "can't be read: Is a directory (check the path)"),
        ("\0.yaml", "can't be read: embedded null byte (check the path)"),
        ("b.yaml", "is not UTF-8 (it must be a text file)"),
        ("h.yaml", "the file is larger than 1048576 bytes"),
        ("/dev/zero", "the file is larger than 1048576 bytes"),
    ):
        with pytest.raises(UsageFault) as caught:
            yaml_file.load(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}:1:1: {fault}"


def test_an_unknown_bundled_name_has_a_hint_and_the_place_that_names_it() -> None:
    """A name that is in a file is reported with its place there."""
    with pytest.raises(
        UsageFault, match=r"redis-atomc:1:1: no such file or bundled name \(did you mean 'redis-atomic'"
    ):
        find("redis-atomc", "targets")
    place = scenario_of("concurrent-duplicates").place("expect", "redis-atomic", key=True)
    with pytest.raises(UsageFault) as caught:
        find("redis-atomc", "targets", place)
    assert str(caught.value).startswith(f"{place}: 'redis-atomc' is no bundled name and no file (did you mean")
    assert nearest("x", []) == ""


def test_a_file_begins_with_a_byte_schedule_mark_or_not(tmp_path: Path) -> None:
    """The mark that some editors write is no part of the first key."""
    (tmp_path / "f.yaml").write_bytes(b"\xef\xbb\xbf" + HEAD.encode())
    assert Scenario.load(tmp_path / "f.yaml").name == "a"


@given(st.text(max_size=60) | st.text("!&*[]{}:, \n-|>?#'\"%@`azé09.", max_size=40))
def test_any_text_loads_or_is_a_fault(text: str) -> None:
    """Whatever is in a file, it is read or it is a usage fault; nothing else comes out."""
    with NamedTemporaryFile(suffix=".yaml") as file:
        file.write(text.encode("utf-8", "replace"))
        file.flush()
        with suppress(UsageFault):
            assert isinstance(yaml_file.load(Path(file.name)).data, dict)


PLAIN = (
    st.none() | st.booleans() | st.integers(-3, 70_000) | st.floats() | st.sampled_from(["", "x", "{port}", "holds"])
)
KEYS = st.sampled_from([*Scenario.model_fields, *Target.model_fields, "redis", "answer", "race", "command", "url"])
ANY = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=8
)


@pytest.mark.unmeasured
@given(st.dictionaries(KEYS, ANY, max_size=6), st.sampled_from([Scenario, Target]))
def test_any_values_load_or_are_faults_in_single_lines(data: dict[str, Any], kind: type[Scenario | Target]) -> None:
    """Whatever values stand under known keys, they load or each fault is a line of our own words."""
    with NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(data, file)
        file.flush()
        try:
            kind.load(Path(file.name))
        except UsageFault as caught:
            for fault in caught.faults:
                assert "\n" not in str(fault)
                assert "Input should" not in str(fault)
                assert fault.place.path == file.name


def test_bundled_files_load_and_agree() -> None:
    """Every bundled scenario and target loads under its own name, and expects of known targets only."""
    for path in bundled("").glob("*.yaml"):
        scenario = scenario_of(path.stem)
        assert scenario.name == path.stem
        assert [target_of(name).name for name in scenario.expect] == list(scenario.expect)
    assert len(target_of("redis-atomic").digest) == 12


def test_a_digest_is_of_what_a_file_means(tmp_path: Path) -> None:
    """A comment or a default that is written out changes nothing; a value, or the body that is named, does."""
    path = tmp_path / "t.yaml"
    texts = {
        "plain": START,
        "comment": "# why\n" + START,
        "default": START + "replicas: 1\n",
        "value": START + "replicas: 2\n",
        "body": START + "request: {body: b}\n",
    }
    (tmp_path / "b").write_text("one")
    digests, loaded = {}, {}
    for name, text in texts.items():
        path.write_text(text)
        loaded[name] = Target.load(path)
        digests[name] = loaded[name].digest
    assert digests["plain"] == digests["comment"] == digests["default"] == "d6e4f7ca0a4d"
    assert loaded["plain"] == loaded["comment"]
    assert loaded["plain"] != loaded["value"]
    (tmp_path / "b").write_text("two")
    assert len({digests["plain"], digests["value"], digests["body"], loaded["body"].digest}) == 4


def test_placeholders_are_filled_once_and_foreign_braces_stay() -> None:
    """A value is never filled again; the shell's, doubled and unknown braces are kept."""
    words = ("{port}", "${port}", "{{port}}", "{other}", "{ port }", "{PORT}", "a{port}b{host}c")
    assert fill(words, port="{host}", host="h") == (
        "{host}",
        "${port}",
        "{{host}}",
        "{other}",
        "{ port }",
        "{PORT}",
        "a{host}bhc",
    )


def test_a_variable_of_our_environment_has_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not set, or empty, is its default; the shell's own stays."""
    monkeypatch.setenv("GATEWAY", "/opt/gateway")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("MISSING", raising=False)
    texts = ("{env.GATEWAY}", "{env.EMPTY|gateway}", "{env.MISSING|a:b}", "${env.GATEWAY}", "{env.MISSING}")
    assert [from_environment(text) for text in texts] == ["/opt/gateway", "gateway", "a:b", "${env.GATEWAY}", ""]


def test_a_variable_that_is_needed_and_not_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At its place, with what to do; one with a default is not needed."""
    monkeypatch.delenv("MISSING", raising=False)
    text = "name: t\nstart: {command: ['{env.MISSING}', '{env.MISSING|x}']}\n"
    text += "request: {headers: {Authorization: 'Bearer {env.MISSING}'}}\n"
    hint = "(export MISSING=…, or write {env.MISSING|…})"
    assert faults_of(Target, tmp_path / "t.yaml", text) == [
        f"t.yaml:2:19: start.command.0: the variable MISSING of your environment is not set {hint}",
        f"t.yaml:3:36: request.headers.Authorization: the variable MISSING of your environment is not set {hint}",
    ]


def test_a_token_needs_an_api_server(tmp_path: Path) -> None:
    """A target whose stores have none is wrong at the header that holds it."""
    text = "name: t\nstart: {command: [x]}\nrequest: {headers: {Authorization: 'Bearer {token}'}}\n"
    hint = "(add `stores: {kubernetes: {}}`, or write the token)"
    assert faults_of(Target, tmp_path / "t.yaml", text) == [
        f"t.yaml:3:36: request.headers.Authorization: {{token}} is of an API server {hint}"
    ]


def test_whether_a_token_is_sent_is_read_once(tmp_path: Path) -> None:
    """A body file that is gone by the next start of the stores does not matter to it."""
    (tmp_path / "body.json").write_text('{"as": "{token}"}')
    (tmp_path / "t.yaml").write_text("name: t\nstart: {command: [x]}\nrequest: {body: body.json}\n")
    found = Target.load(tmp_path / "t.yaml")
    assert found.with_token
    (tmp_path / "body.json").unlink()
    assert found.with_token


def test_what_a_variable_holds_is_masked_where_its_name_is_a_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password from our environment is repeated by no report."""
    monkeypatch.setenv("FROM_OUTSIDE", "horse-battery")
    (tmp_path / "t.yaml").write_text("name: t\nstart: {command: [x], env: {DB_PASSWORD: '{env.FROM_OUTSIDE}'}}\n")
    Target.load(tmp_path / "t.yaml")
    assert mask_text("it says horse-battery") == "it says ***"


def test_the_former_name_of_each_run_is_read(tmp_path: Path) -> None:
    """A target of an older release says `each_schedule`, and means the same."""
    loaded = []
    for key in ("each_run", "each_schedule"):
        (tmp_path / "t.yaml").write_text(START + f"{key}: [{{redis: [SET, 'k:{{fresh}}', 1]}}]\n")
        loaded.append(Target.load(tmp_path / "t.yaml").each_run)
    assert loaded[0] == loaded[1] != []


def test_numbers_are_words_of_a_command() -> None:
    """`[LRANGE, key, 0, -1]` and `PORT: 8080` need no quotes."""
    start = {"command": ["x", 5], "env": {"PORT": 8080}}
    target = Target.model_validate(
        {"name": "t", "start": start, "observe": {"records": {"redis": ["LRANGE", "k", 0, -1]}}}
    )
    assert target.start is not None
    assert (target.start.command, target.start.env) == (["x", "5"], {"PORT": "8080"})
    assert target.observe is not None
    assert target.observe.records is not None
    assert target.observe.records.redis == ["LRANGE", "k", "0", "-1"]


KINDS = (("scenario", Scenario, ""), ("target", Target, "targets"))


@pytest.mark.parametrize(("kind", "model", "folder"), KINDS)
def test_schema_files_equal_what_the_command_prints(kind: str, model: type[Scenario | Target], folder: str) -> None:
    """The files in scenarios/schema/ are what the command prints; each bundled file names and obeys one of them."""
    printed = CliRunner().invoke(main, ["schema", kind]).output
    file = bundled("schema") / f"{kind}.json"
    assert file.read_text() == printed
    schema = json.loads(printed)
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.Draft202012Validator(schema)
    bundled_files = sorted(bundled(folder).glob("*.yaml"))
    assert len(bundled_files) >= 4
    for path in bundled_files:
        checker.validate(yaml.safe_load(path.read_text()))
        first = path.read_text().splitlines()[0]
        assert first.startswith("# yaml-language-server: $schema=")
        assert (path.parent / first.partition("$schema=")[2]).resolve() == file.resolve()
    assert list(checker.iter_errors({"name": "x", "storry": "y"}))
    assert list(undescribed(schema)) == []
    assert schema["title"] == model.__name__


def undescribed(schema: dict[str, Any]) -> list[str]:
    """List the keys of a schema that say nothing about themselves."""
    parts = {"": schema, **schema["$defs"]}
    return [
        f"{name}.{key}"
        for name, part in parts.items()
        for key, value in part.get("properties", {}).items()
        if "description" not in value
    ]


def test_examples_of_the_guide_load(tmp_path: Path) -> None:
    """The complete scenario and target of scenarios/README.md load, and show every key of the format."""
    guide = (bundled("") / "README.md").read_text()
    examples = [block.split("```")[0] for block in guide.split("```yaml\n")[1:]]
    assert len(examples) == 3
    (tmp_path / "my-gateway" / "src").mkdir(parents=True)
    (tmp_path / "my-gateway" / "src" / "server.js").write_text("")
    (tmp_path / "my-body.json").write_text("{}")
    (tmp_path / "crd.yaml").write_text("")
    shown: set[str] = set()
    for text, kind in zip(examples, (Scenario, Target, Target), strict=True):
        path = tmp_path / "example.yaml"
        path.write_text(text)
        loaded = kind.load(path)
        shown = shown | loaded.model_fields_set if kind is Target else loaded.model_fields_set
        left_out = {"protocol", "url"} if text is examples[-1] else {"protocol", "url", "setup"}
        assert set(kind.model_fields) - shown == (left_out if kind is Target else set())
        for name in kind.model_fields:
            assert f"`{name}`" in guide or f"`{name}." in guide


def test_a_target_that_expect_names_wrongly_is_reported_where_it_is(tmp_path: Path) -> None:
    """The command that runs a scenario points at the name in the scenario's file, and exits 64."""
    path = tmp_path / "s.yaml"
    path.write_text(HEAD + "expect:\n  redis-atomik: holds\n")
    result = CliRunner().invoke(main, ["run", str(path)])
    line = f"{path}:4:3: 'redis-atomik' is no bundled name and no file (did you mean 'redis-atomic'?)\n"
    assert (result.exit_code, result.stderr) == (64, line)
