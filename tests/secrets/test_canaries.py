"""Real commands in an environment full of credentials: none is in a run, a cache, a log, a page or a message."""

from __future__ import annotations

import base64
import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.command import distbench, here
from tests.data.hub_stub import Fault, Hub, dataset
from tests.data.hub_stub import serving as hub_serving
from tests.endpoint.server import Behaviour
from tests.endpoint.server import serving as served
from tests.importers.logs import choices, write_output
from tests.secrets.canaries import ENVIRONMENT, MARK, found

TREES = """\
version: 1
name: trees
device: cpu
threads: 1
teachers: {big: {use: decision-tree, fit: {use: hard-labels, data: {use: sklearn-digits}}}}
students:
  - {name: small, of: big, init: {use: decision-tree, max_depth: 4},
     distil: {use: soft-labels, data: {use: sklearn-digits}, control: none}}
tasks: [{use: classification, data: {use: sklearn-digits}}]
gate: {retained: 0.5, task_floor: 0.3}
"""
SERVED = """\
version: 1
name: served
device: cpu
threads: 1
teachers: {{big: {{use: openai, source: "{url}", model: tiny, api_key_env: OPENAI_API_KEY}}}}
students: [{{name: small, of: big, source: "{url}", options: {{model: tiny, api_key_env: OPENAI_API_KEY}}}}]
measure: {{latency: {{prompt_tokens: 4, output_tokens: 3, batch_sizes: [1], rounds: 2, launches: 1, control: false}}}}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "suite.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_search_finds_what_is_hidden(tmp_path: Path) -> None:
    hidden = base64.b64encode(gzip.compress(f"deep {MARK}".encode())).decode()
    (tmp_path / "page.html").write_text(f"<script>{hidden}</script>")
    pq.write_table(pa.table({"prompt": [MARK]}), tmp_path / "samples.parquet", compression="zstd")
    (tmp_path / "plain").write_text("nothing")
    assert [Path(each).name for each in found(tmp_path)] == ["page.html", "samples.parquet"]
    assert found(tmp_path / "plain", f"x {MARK}") == ["standard output or error"]


def test_a_run_and_everything_that_is_made_of_it(tmp_path: Path, own_cache: Path) -> None:
    write(tmp_path, TREES)
    done = here(tmp_path, "run", "suite.yaml", "--out", "run", "--debug", check=0, **ENVIRONMENT)
    said = done.stdout + done.stderr
    for arguments in (
        ["compare", "run", "--json"],
        ["gate", "run", "--junit", "g.xml", "--markdown", "g.md", "--json-file", "g.json", "--github"],
        ["report", "run", "--out", "page.html"],
        ["export", "run", "--format", "parquet", "--out", "tables", "--set", "samples=true"],
        ["export", "run", "--format", "json", "--out", "r.json"],
        ["show", "run", "--cells"],
    ):
        done = here(tmp_path, *arguments, **ENVIRONMENT)
        assert done.returncode in {0, 1, 3}, (arguments, done.stderr)
        said += done.stdout + done.stderr
    assert (tmp_path / "page.html").stat().st_size > 100_000
    assert found(tmp_path, said) == []
    assert found(own_cache) == []


def test_a_server_that_sends_the_key_back(tmp_path: Path) -> None:
    """In processes of their own, with the environment that they get."""
    with served(Behaviour(key="another")) as server:
        suite = write(tmp_path, SERVED.format(url=server.url))
        done = distbench(tmp_path, "run", str(suite), "--out", "run", "--debug", **ENVIRONMENT)
        assert any(MARK in str(headers) for headers in server.headers), "the key did not reach the server at all"
    assert done.returncode == 5, done.stderr
    assert "OPENAI_API_KEY" in done.stderr, "the remedy names the variable"
    assert found(tmp_path, done.stdout + done.stderr) == []


def test_a_pull_with_a_token(tmp_path: Path) -> None:
    rows = [{"goal": f"goal {i}", "sol1": "one", "sol2": "two", "label": i % 2} for i in range(9)]
    suite = write(
        tmp_path,
        "version: 1\nname: small\ndevice: cpu\nteachers: {big: {use: hf-causal, source: ./t}}\n"
        "students: [{name: ours, of: big, source: ./s}]\ntasks: [{use: lm-eval, name: piqa, samples: 7}]\n",
    )
    with hub_serving(Hub({("datasets", "baber/piqa"): dataset(train=rows, validation=rows, test=rows)})) as hub:
        environment = {k: v for k, v in ENVIRONMENT.items() if "PROXY" not in k}
        environment |= {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "home")}
        done = distbench(tmp_path, "data", "pull", str(suite), "--to", "data", "--debug", check=0, **environment)
        assert any(MARK in str(given) for _, _, given in hub.log), "the token did not reach the hub at all"
        hub.faults.append(Fault("piqa", status=401))
        refused = distbench(tmp_path, "data", "pull", str(suite), "--to", "more", "--debug", **environment)
    assert refused.returncode == 5, refused.stderr
    assert found(tmp_path, done.stdout + done.stderr + refused.stdout + refused.stderr) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--teacher", f"https://me:{MARK}@h.invalid/v1?token={MARK}", "--student", "x", "--task", "piqa"],
        ["run", "suite.yaml", "--set", f"teachers.big.source=https://me:{MARK}@h.invalid", "--out", "run"],
        ["run", "suite.yaml", "--set", f"teachers.big.api_key=sk-{MARK}-0123456789abcdef", "--out", "run"],
        ["gate", f"https://me:{MARK}@h.invalid/run"],
        ["plan", f"no-suite?password={MARK}"],
        ["run", "suite.yaml", "--out", "run", "--set", f"description=use sk-{MARK}0123456789abcdef here"],
    ],
    ids=range(6),
)
@pytest.mark.parametrize("debug", [[], ["--debug"]], ids=["plain", "debug"])
def test_a_command_that_fails(tmp_path: Path, arguments: list[str], debug: list[str]) -> None:
    write(tmp_path, TREES)
    done = here(tmp_path, *arguments, *debug, **ENVIRONMENT)
    assert done.returncode in {2, 5, 6}, (done.returncode, done.stderr)
    assert done.stderr.count("distbench: error[E") == 1
    assert ("Traceback" in done.stderr) == bool(debug)
    assert found(tmp_path, done.stdout + done.stderr) == []


def test_the_command_line_is_recorded_without_what_it_gave_away(tmp_path: Path) -> None:
    for name in ("t", "s"):
        write_output(tmp_path / name, name, {"piqa": choices(40)})
    results = next((tmp_path / "s").rglob("results_*"))
    document = json.loads(results.read_text())
    document["config"]["model_args"] = f"pretrained=s,token=hf_{MARK}0123456789,base_url=https://u:{MARK}@h/v1"
    results.write_text(json.dumps(document))
    name = f"https://me:{MARK}@h.invalid"
    done = here(tmp_path, "import", "lm-eval", "t", "s", "--out", "run", "--name", "fine", check=0, **ENVIRONMENT)
    refused = here(tmp_path, "import", "lm-eval", "t", "s", "--out", "other", "--name", name, **ENVIRONMENT)
    page = here(tmp_path, "report", "run", check=0, **ENVIRONMENT)
    assert refused.returncode == 2
    said = "".join(each.stdout + each.stderr for each in (done, refused, page))
    assert found(tmp_path / "run", said) == []
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["suite"]["name"] == "fine"


def test_nothing_of_the_environment_is_in_a_run(tmp_path: Path) -> None:
    """Also what has no telling name."""
    write(tmp_path, TREES)
    odd = {"LOOKS_HARMLESS": f"{MARK}-without-a-telling-name", "XDG_SESSION_DESKTOP": f"{MARK}-allowed"}
    here(tmp_path, "run", "suite.yaml", "--out", "run", check=0, **odd)
    assert found(tmp_path / "run") == []
    assert "PATH" in os.environ
