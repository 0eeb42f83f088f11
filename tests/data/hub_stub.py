"""A hub on the loopback interface: what `datasets` and `huggingface_hub` use of its API, with faults on call."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Files = dict[str, bytes]


@dataclass
class Fault:
    """What happens to requests whose path holds `where`: the first `times` of them, or all."""

    where: str
    status: int | None = None
    error: str | None = None  # the hub's own code, in a header
    hang: bool = False
    cut: bool = False
    times: int = 10**9


@dataclass
class Hub:
    """Repositories by (kind, name), kind being "datasets" or "models"; `log` has every request."""

    repos: dict[tuple[str, str], Files] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    log: list[tuple[str, str, str | None]] = field(default_factory=list)
    url: str = ""
    stopped: threading.Event = field(default_factory=threading.Event)

    def commit(self, kind: str, repo: str) -> str:
        """A commit is what the files are, as on the hub."""
        files = self.repos[kind, repo]
        return hashlib.sha1(b"".join(name.encode() + files[name] for name in sorted(files))).hexdigest()

    def begin_again(self, repos: dict[tuple[str, str], Files]) -> None:
        """Forget everything, and let go what hangs."""
        self.stopped.set()
        self.repos, self.faults, self.log, self.stopped = repos, [], [], threading.Event()

    def fetched(self) -> list[str]:
        return [path for method, path, _ in self.log if method == "GET" and "/resolve/" in path]


def dataset(config: str | None = None, **splits: list[dict[str, Any]]) -> Files:
    """A data set in Parquet with its card, as most are on the hub."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = config or "data"
    lines = [f"  - split: {name}\n    path: {folder}/{name}-*\n" for name in splits]
    card = f"---\nconfigs:\n- config_name: {config or 'default'}\n  data_files:\n{''.join(lines)}---\n"
    files = {"README.md": card.encode()}
    for name, rows in splits.items():
        pq.write_table(pa.Table.from_pylist(rows), buffer := io.BytesIO())
        files[f"{folder}/{name}-00000-of-00001.parquet"] = buffer.getvalue()
    return files


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            Answer(hub, self).give()

        do_HEAD = do_POST = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()


class Answer:
    """One request."""

    def __init__(self, hub: Hub, handler: BaseHTTPRequestHandler) -> None:
        self.hub, self.handler = hub, handler
        self.path = unquote(urlsplit(handler.path).path)
        self.query = parse_qs(urlsplit(handler.path).query)
        length = int(handler.headers.get("Content-Length") or 0)
        self.body = handler.rfile.read(length) if length else b""

    def give(self) -> None:
        self.hub.log.append((self.handler.command, self.path, self.handler.headers.get("Authorization")))
        fault = next((f for f in self.hub.faults if f.where in self.path and f.times > 0), None)
        if fault is not None:
            fault.times -= 1
            if fault.hang:
                self.hub.stopped.wait(60)
                return
            if fault.status is not None:
                self.send(fault.status, b"", {"X-Error-Code": fault.error} if fault.error else {})
                return
        for (kind, repo), files in self.hub.repos.items():
            if self._api(kind, repo, files) or self._file(kind, repo, files, cut=fault is not None and fault.cut):
                return
        self.send(404, b"", {"X-Error-Code": "RepoNotFound"})

    def send(self, status: int, content: bytes, headers: dict[str, str], *, cut: bool = False) -> None:
        self.handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        if self.handler.command != "HEAD":
            self.handler.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.handler.close_connection = True

    def json(self, value: Any) -> bool:
        self.send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})
        return True

    def _api(self, kind: str, repo: str, files: Files) -> bool:
        base = f"/api/{kind}/{repo}"
        if self.path == base or self.path.startswith(f"{base}/revision/"):
            siblings = [{"rfilename": name, "size": len(content)} for name, content in files.items()]
            return self.json({
                "id": repo, "sha": self.hub.commit(kind, repo), "private": False, "gated": False, "tags": [],
                "siblings": siblings,
            })  # fmt: skip
        if self.path.startswith(f"{base}/tree/"):
            return self._tree(files, self.path.removeprefix(f"{base}/tree/").partition("/")[2])
        return False

    def _tree(self, files: Files, folder: str) -> bool:
        inside = {name: c for name, c in files.items() if not folder or name.startswith(f"{folder}/")}
        found: dict[str, dict[str, Any]] = {}
        for name, content in inside.items():
            rest = name[len(folder) + 1 if folder else 0 :]
            if "/" in rest and self.query.get("recursive", ["false"])[0].lower() != "true":
                at = name[: len(name) - len(rest)] + rest.partition("/")[0]
                found[at] = {"type": "directory", "oid": "0" * 40, "size": 0, "path": at}
            else:
                oid = hashlib.sha1(content).hexdigest()
                found[name] = {"type": "file", "oid": oid, "size": len(content), "path": name}
        if folder and not found:
            self.send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return True
        return self.json(list(found.values()))

    def _file(self, kind: str, repo: str, files: Files, *, cut: bool) -> bool:
        base = f"/datasets/{repo}/resolve/" if kind == "datasets" else f"/{repo}/resolve/"
        if not self.path.startswith(base):
            return False
        content = files.get(self.path.removeprefix(base).partition("/")[2])
        if content is None:
            self.send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": self.hub.commit(kind, repo)})
            return True
        tag = hashlib.sha1(content).hexdigest()
        headers = {"ETag": f'"{tag}"', "X-Repo-Commit": self.hub.commit(kind, repo)}
        self.send(200, content, headers, cut=cut)
        return True


def wait_until(ready: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
