"""TLS: certificates are checked, and connections that were opened before the clock ran are the ones that are used."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from distbench.errors import RunError
from distbench.models.openai_endpoint import OpenAIEndpoint, OpenAIOptions
from tests.conftest import CPU
from tests.endpoint.server import MODEL, Behaviour, Loopback, serve

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate with")


@contextmanager
def serving_tls(folder: Path, behaviour: Behaviour) -> Iterator[Loopback]:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server = Loopback(behaviour)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serve(server):
        yield server


def test_a_trusted_server_is_measured_over_kept_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    with serving_tls(tmp_path, Behaviour(ttft=0.05, itl=0.01)) as server:
        url = server.url.replace("http://", "https://")
        model = OpenAIEndpoint.open(url, CPU, OpenAIOptions(model=MODEL))
        for _ in range(3):
            decoded = model.decode(["one two"] * 3, 4)
        assert decoded.marks_ns[0] >= 50_000_000
        assert server.connections == 3


def test_an_untrusted_certificate_is_an_error_and_not_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with serving_tls(tmp_path, Behaviour()) as server:
        url = server.url.replace("http://", "https://")
        with pytest.raises(RunError, match="cannot be reached: TLS: CERTIFICATE_VERIFY_FAILED"):
            OpenAIEndpoint.open(url, CPU, OpenAIOptions(model=MODEL))
        assert server.asked == []
