"""Keep secrets out of records and messages: arguments as they were typed, errors that quote a URL or a header.

Three nets, each for what the others miss: texts that look like a credential, values beside a name that says what they
are, and the values of this process's own environment variables that have such a name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

BLANK = "(not recorded)"
SHORTEST = 8  # characters of a variable's value; a shorter one would blank ordinary words

_NAMES = r"token(?!iz)|key|secret|passw|auth(?!or\b)|header|cookie|credential"
_SECRET = re.compile(_NAMES, re.IGNORECASE)
_VARIABLE = re.compile(r"TOKEN(?!IZ)|KEY|SECRET|PASSW|CREDENTIAL|AUTH|COOKIE", re.IGNORECASE)
# Names that only say where a secret lies, or whether one is used.
_NO_SECRET = re.compile(
    r"_(PATH|FILE|DIR|SOCK|HOME|COUNT|EVENT)$|DISABLE|_ASKPASS$|KEYRING|KEYMAP|KEYBOARD", re.IGNORECASE
)
# Every pattern is bounded where it could be tried again from each character: logs have lines of megabytes.
_URL = re.compile(  # a path of the command line has lost one of the two slashes
    r"(?P<scheme>(?<![A-Za-z0-9+.-])(?:[A-Za-z][A-Za-z0-9+.-]{0,30}://|https?:/))(?P<rest>[^\s\"'<>`]+)"
)
# Tokens that say themselves whose they are; the lengths are the least that each issuer has given out.
_LOOKS_SECRET = re.compile(
    r"""
    \b(?:
        hf_[A-Za-z0-9]{8,} | sk-[A-Za-z0-9_-]{8,} | gh[opusr]_[A-Za-z0-9]{20,} | github_pat_[A-Za-z0-9_]{20,}
      | glpat-[A-Za-z0-9_-]{16,} | xox[abeoprs]-[A-Za-z0-9-]{10,} | pypi-[A-Za-z0-9_-]{16,} | npm_[A-Za-z0-9]{20,}
      | (?:AKIA|ASIA)[A-Z0-9]{12,} | AIza[A-Za-z0-9_-]{20,} | wandb_v1_[A-Za-z0-9_]{16,} | nvapi-[A-Za-z0-9_-]{16,}
      | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?
      | Bearer\s+[A-Za-z0-9._~+/=-]{6,} | Basic\s+(?=[A-Za-z+/]{0,99}[0-9=])[A-Za-z0-9+/=]{8,}
    )
    """,
    re.VERBOSE,
)
_CERTAIN = re.compile(
    r"\bhf_[A-Za-z0-9]{20,}|\bsk-[A-Za-z0-9_-]{20,}|\bgh[opusr]_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{20,}"
    r"|\bAKIA[A-Z0-9]{16}\b|(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s/:@]{1,100}:[^\s/@]{1,200}@"
)
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
# `api_key=x`, `"password": "x"`, `Authorization: x`, `--token x`; a bare `key: x` is an ordinary word.
_NAMED = re.compile(
    r"""
    (?P<name> (?<![A-Za-z0-9]) (?:[A-Za-z0-9]{1,32}[_-]){0,4}
        (?: (?:api|access|secret|private|signing|account|auth)[_-]?key
          | (?:auth|access|refresh|session|api|hf|id)[_-]?token | (?<![A-Za-z_])token
          | client[_-]?secret | secret | passw(?:or)?d | passphrase | (?:proxy-)?authorization
          | credentials? ) )
    (?P<sign> ["']? \s{0,3} [:=] \s{0,3} ["']? | \s{1,3}(?=[^\s=:]) )
    (?P<value> (?:(?:bearer|basic|digest|token)\s{1,3})? [^\s"',;&|)}\]]+
        (?: (?<=\(not)\ recorded\) )? )  # what is blank already goes along
    """,
    re.VERBOSE | re.IGNORECASE,
)
_COOKIE = re.compile(r"(?<![A-Za-z])((?:set-)?cookie[\"']?\s{0,3}[:=]\s{0,3}[\"']?)[^\r\n\"']+", re.IGNORECASE)
_PLAIN = re.compile(r"true|false|none|null|[-+]?\d{1,6}(\.\d+)?", re.IGNORECASE)


def is_secret(name: str) -> bool:
    """Say whether a variable of this name holds a credential, judging by its name alone."""
    return bool(_VARIABLE.search(name)) and not _NO_SECRET.search(name)


def is_certain(value: str) -> bool:
    """Say whether a text holds what is a credential without any doubt, by its form alone."""
    return bool(_CERTAIN.search(value) or _PEM.search(value))


def arguments(given: Any) -> dict[str, Any]:
    """Return model arguments (a mapping, or `a=b,c=d`) without what may be a secret."""
    if isinstance(given, str):
        given = dict(part.partition("=")[::2] for part in given.split(",") if part.strip())
    if not isinstance(given, dict):
        return {}
    return {text(str(key)): _clean(str(key), value) for key, value in given.items()}


def command(words: Sequence[str]) -> list[str]:
    """Return a command line as it may be recorded: blank after `--api-key`, and what `--set a.token=` sets."""
    cleaned: list[str] = []
    for word in words:
        before = cleaned[-1] if cleaned else ""
        flag = before.startswith("--") and "=" not in before and _SECRET.search(before)
        name, equals, value = word.partition("=")
        if flag and not word.startswith("-"):
            cleaned.append(BLANK)
        elif equals and _SECRET.search(name.rpartition(".")[2]) and not _PLAIN.fullmatch(value):
            cleaned.append(f"{text(name)}={BLANK}")
        else:
            cleaned.append(text(word))
    return cleaned


def text(value: str) -> str:
    """Return a text without credentials that UTF-8 can hold; lines stay lines.

    A URL loses its user and its query, a token is blanked, so is what stands beside a name such as `password`, and so
    is every value of an environment variable that has such a name.
    """
    value = value.encode("utf-8", "replace").decode()
    value = _without_environment(value, os.environ)
    value = _PEM.sub(BLANK, value)
    value = _URL.sub(_bare_url, value)
    value = _LOOKS_SECRET.sub(BLANK, value)
    value = _COOKIE.sub(rf"\g<1>{BLANK}", value)
    return _NAMED.sub(_unnamed, value)


def _clean(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return BLANK if _SECRET.search(key) else {text(str(k)): _clean(str(k), v) for k, v in value.items()}
    if isinstance(value, list):
        return [_clean(key, each) for each in value]
    if not isinstance(value, str):
        return value
    return BLANK if _SECRET.search(key) and not _PLAIN.fullmatch(value) else text(value)


def _without_environment(value: str, environment: Mapping[str, str]) -> str:
    for name, secret in environment.items():
        if len(secret) >= SHORTEST and secret in value and is_secret(name):
            value = value.replace(secret, BLANK)
    return value


def _bare_url(found: re.Match[str]) -> str:
    """Return a URL without user, query and fragment; punctuation that ends the sentence stays."""
    rest = found["rest"]
    tail = rest[len(rest.rstrip(").,;:]}")) :]
    rest = rest[: len(rest) - len(tail)]
    place = re.split(r"[?#]", rest, maxsplit=1)[0]
    host, slash, path = place.partition("/")
    if "@" in rest and "@" not in place:  # a password with a ? or # that nobody escaped
        host, slash, path = rest.rpartition("@")[2], "", ""
        host = re.split(r"[?#]", host, maxsplit=1)[0]
    return f"{found['scheme']}{host.rpartition('@')[2]}{slash}{path}{tail}"


def _unnamed(found: re.Match[str]) -> str:
    sign = found["sign"].strip()
    spaced = not sign and not _is_flag(found)  # `--token x`, but not `the password is wrong`
    spoken = sign == ":" and found["name"].lower() == "token"  # of a tokenizer, as in `token: the`
    if spaced or spoken or _PLAIN.fullmatch(found["value"]):
        return found[0]
    return f"{found['name']}{found['sign']}{BLANK}"


def _is_flag(found: re.Match[str]) -> bool:
    return found.string[max(0, found.start() - 2) : found.start()] == "--"
