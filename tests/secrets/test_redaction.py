"""What looks like a credential is blanked wherever a text is recorded or said; ordinary words are not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from distbench import secrets
from distbench.executors import logs
from distbench.executors.environment import child_environment
from distbench.executors.job import Job
from distbench.executors.local import LocalExecutor
from distbench.store.run_dir import RunDir
from tests.secrets.canaries import ENVIRONMENT, MARK

SECRET = [
    "Authorization: Bearer c4n4ry.x-y_z",
    "authorization: Basic YzRuNHJ5Og==c4n4ry",
    "x-api-key: c4n4ry",
    "got 401 for https://me:c4n4ry@h.x/v1 (retrying)",
    "https://h.x/a?token=c4n4ry&x=1: refused",
    "s3://bucket/x?X-Amz-Signature=c4n4ry",
    "https://me:c4n4?ry@h.x/ and postgres://u:c4n4ry@db/x",
    "https://me:p@c4n4ry@h.x/",
    "hf_c4n4ryAbCdEfGh sk-proj-c4n4ry-012345 ghp_c4n4ry01234567890123456789 glpat-c4n4ry-0123456789",
    "AKIAC4N4RYABCDEFGH AIzac4n4ry01234567890123 xoxb-c4n4ry-123 pypi-c4n4ry0123456789",
    "eyJhbGciOiJIUzI1NiJ9.c4n4ryzdWIiOiIxIn0.c4n4ry",
    "password=c4n4ry",
    '{"password": "c4n4ry", "token": "c4n4ry"}',
    "--token c4n4ry --api-key=c4n4ry",
    "AWS_SECRET_ACCESS_KEY=c4n4ry/x+y",
    "Set-Cookie: a=b; session=c4n4ry",
    "authorization: bearer c4n4ry",
    "no run at https:/me:c4n4ry@h.x/run",
    "-----BEGIN RSA PRIVATE KEY-----\nc4n4ry\n-----END RSA PRIVATE KEY-----",
]
ORDINARY = [
    "max_tokens=4, eos_token: </s>, tokenizer: gpt2, token 5 differs: ' the'",
    "token: the",
    "the token was refused (status 401); log in again (hf auth login), or set HF_TOKEN",
    "put a valid key into the environment variable OPENAI_API_KEY",
    "unknown key 'studnets'; did you mean 'students'?",
    "two\nlines\tand a tab",
    "https://h.x/v1: refused (see https://docs.x/a/b).",
    "file:///tmp/x.html and C:\\x",
    "the author of basic attention heads",
    "Basic English, bearer of news",
]


@pytest.mark.parametrize("said", [*SECRET, "password: c4n4ry(not recorded)", "Authorization: Basic (not recorded)"])
def test_what_is_blank_is_blanked_once(said: str) -> None:
    once = secrets.text(said)
    assert secrets.text(once) == once
    assert once.count("recorded)") == once.count(secrets.BLANK)


@pytest.mark.parametrize("text", SECRET)
def test_a_secret_is_blanked(text: str) -> None:
    assert MARK not in secrets.text(text).lower()
    assert secrets.text(secrets.text(text)) == secrets.text(text)


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_text_stays(text: str) -> None:
    assert secrets.text(text) == text


def test_values_of_variables_with_telling_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SERVICE_PASSWORD", "plain words c4n4ry")
    monkeypatch.setenv("SHORT_KEY", "abc")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/agent-socket")
    assert secrets.text("it said: plain words c4n4ry!") == f"it said: {secrets.BLANK}!"
    assert secrets.text("abc /tmp/agent-socket") == "abc /tmp/agent-socket"


def test_a_recorded_command() -> None:
    given = [
        "distbench",
        "run",
        "--set",
        "teachers.a.api_key=c4n4ry",
        "--token",
        "c4n4ry",
        "--set=max_tokens=5",
        "x.yaml",
    ]
    blank = secrets.BLANK
    expected = [*given[:3], f"teachers.a.api_key={blank}", "--token", blank, "--set=max_tokens=5", "x.yaml"]
    assert secrets.command(given) == expected


def test_model_arguments_keep_their_settings() -> None:
    given = "pretrained=a/b,token=hf_c4n4ry,add_bos_token=True,max_tokens=100,auth={}"
    found = secrets.arguments(given)
    assert found["token"] == secrets.BLANK
    assert (found["add_bos_token"], found["max_tokens"], found["pretrained"]) == ("True", "100", "a/b")
    assert secrets.arguments({"headers": {"x": "c4n4ry"}, "seed": 1}) == {"headers": secrets.BLANK, "seed": 1}


def test_long_lines_take_no_time_that_grows_faster_than_they_do() -> None:
    for piece in (
        "a_",
        "https://",
        "://",
        "token ",
        "password ",
        "hf_",
        "x-",
        "eyJaaaaaaaaa.",
        "-----BEGIN PRIVATE KEY-----",
    ):
        secrets.text(piece * (50_000 // len(piece)))  # a pattern that tries again from everywhere would take minutes


def test_children_get_no_variable_that_is_called_a_credential() -> None:
    made = child_environment(1, {**ENVIRONMENT, "HF_HOME": "/x", "HF_TOKEN_PATH": "/y", "PATH": "/bin"})
    assert "OPENAI_API_KEY" not in made
    assert [name for name, value in made.items() if MARK in value.lower()] == ["HF_TOKEN", "HTTPS_PROXY"]
    assert (made["HF_HOME"], made["HF_TOKEN_PATH"]) == ("/x", "/y")
    assert "HF_TOKEN" not in child_environment(1, {**ENVIRONMENT, "HF_HUB_OFFLINE": "1"})
    assert (
        child_environment(1, ENVIRONMENT, wanted={"OPENAI_API_KEY"})["OPENAI_API_KEY"] == ENVIRONMENT["OPENAI_API_KEY"]
    )


def test_a_log_is_cleaned_and_any_other_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"fine \xff\n" + b"GET https://me:c4n4ry@h/ -> 401\nlast\n")
    logs.clean(log)
    assert log.read_bytes() == b"fine \xff\nGET https://h/ -> 401\nlast\n"
    before = log.stat()
    logs.clean(log)
    assert log.stat().st_ino == before.st_ino
    assert logs.tail(log).splitlines()[-1] == "last"
    assert [path.name for path in tmp_path.iterdir()] == ["x.log"]


def test_what_a_library_prints_before_its_process_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is a process that prints a header and ends: as an unhandled crash of a library would."""
    (tmp_path / "logs").mkdir()
    script = tmp_path / "worker.py"
    script.write_text("import sys; print('Authorization: Bearer c4n4ry-x', file=sys.stderr); sys.exit(9)")
    monkeypatch.setattr("distbench.executors.local._prefix", lambda processes: [str(script)])
    ended = LocalExecutor(tmp_path).execute(Job(["a"], 1), lambda event: None)
    assert ended.code == 9
    assert ended.tail == f"Authorization: {secrets.BLANK}"
    assert MARK not in (tmp_path / "logs" / "a.log").read_text()
    assert sys.executable


def test_a_failure_and_the_journal(tmp_path: Path) -> None:
    run = RunDir.prepare(tmp_path / "run")
    message = "GET https://me:c4n4ry@h.x/?token=c4n4ry failed"
    run.fail("cell", {"message": message, "tail": f"x\n{message}"})
    run.log("failed", cell="cell", message=message)
    attempt = json.loads(next((run.path / "attempts" / "cell").iterdir()).read_text())
    assert attempt["message"] == "GET https://h.x/ failed"
    assert MARK not in (run.path / "journal.jsonl").read_text() + attempt["tail"]
