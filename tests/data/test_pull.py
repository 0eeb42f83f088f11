"""`data pull` against a hub of our own: what is fetched, pinned, checked, and what each fault says."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distbench.data import pull as pull_module
from distbench.data.json_lines import refuse_other_than_json
from distbench.errors import EnvironmentFault, RefusedError, UsageError
from distbench.plan.expand import expand
from distbench.schema.suite import TaskSpec
from distbench.suite.load import load_suite
from distbench.tasks.lm_eval_needs import data_needs, needed_splits
from tests.command import here
from tests.data.hub_stub import Fault, Hub, dataset, serving, wait_until
from tests.models.own_code import pickle_weights
from tests.warm import Warm

ROWS = [{"goal": f"goal {i}", "sol1": "ein Maß", "sol2": "two\n\u2028lines", "label": i % 2} for i in range(20)]
SUITE = """\
version: 1
name: small
device: cpu
teachers:
  big: {use: hf-causal, source: TEACHER}
students:
  - {name: ours, of: big, source: STUDENT}
tasks:
  - {use: lm-eval, name: piqa, samples: 7}
  - {use: lm-eval, name: distbench_facts, samples: 8}
gate: {retained: 0.9}
"""
PIQA = ("datasets", "baber/piqa")


LIBRARIES = (
    "tests.data.hurried", "distbench.cli.app", "distbench.data.json_lines", "distbench.tasks.lm_eval",
    "distbench.models.hf_causal", "datasets.packaged_modules", "huggingface_hub.hf_api",
    "huggingface_hub._snapshot_download", "aiohttp", "fsspec.implementations.http", "scipy.io",
)  # fmt: skip


@pytest.fixture(scope="module")
def served() -> Iterator[Hub]:
    with serving(Hub()) as found:
        yield found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what huggingface_hub keeps: one for all tests, because it is read when that is imported."""
    return tmp_path_factory.mktemp("hub") / "home"


@pytest.fixture(scope="module")
def warm(served: Hub, home: Path) -> Iterator[Warm]:
    found = Warm(LIBRARIES, environment(served, home))
    yield found
    found.close()


@pytest.fixture
def hub(served: Hub, home: Path) -> Hub:
    """The hub as it is at first, and nothing of it known here."""
    served.begin_again({PIQA: dataset(train=ROWS, validation=ROWS[:9], test=ROWS[:3])})
    shutil.rmtree(home, ignore_errors=True)
    return served


class Puller:
    """Pulls from a hub, each time in a process of its own."""

    def __init__(self, warm: Warm) -> None:
        self.warm = warm

    def __call__(self, suite: Path, out: Path, *arguments: str, code: int = 0, **given: str) -> str:
        """Run to the end and return standard error; it has one error line at the most, and no traceback."""
        done = self.warm.run(suite.parent, "data", "pull", str(suite), "--to", str(out), *arguments, **given)
        return checked(done.stderr, done.returncode, code)


@pytest.fixture
def pull(warm: Warm) -> Puller:
    return Puller(warm)


def write_suite(folder: Path, text: str = SUITE, teacher: str = "./t", student: str = "./s") -> Path:
    path = folder / "suites" / "suite.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.replace("TEACHER", teacher).replace("STUDENT", student))
    return path


def environment(hub: Hub, home: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    kept |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_DOWNLOAD_TIMEOUT": "1"}
    return kept | {"HF_HUB_ETAG_TIMEOUT": "1"}


def start(hub: Hub, suite: Path, out: Path, **given: str) -> subprocess.Popen[str]:
    """Begin in a fresh interpreter: where the environment that libraries read first is what is tried."""
    command = [sys.executable, "-m", "distbench", "data", "pull", str(suite), "--to", str(out)]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, env=environment(hub, suite.parent.parent / "hf-home") | given, **pipes)


def pull_afresh(hub: Hub, suite: Path, out: Path, *, code: int = 0, **given: str) -> str:
    process = start(hub, suite, out, **given)
    _, said = process.communicate(timeout=120)
    return checked(said, process.returncode, code)


def checked(said: str, returncode: int, code: int) -> str:
    assert returncode == code, said
    assert "Traceback" not in said
    assert [line.startswith("distbench: error[E") for line in said.splitlines()].count(True) == (code != 0)
    return said


# -- what is fetched --------------------------------------------------------------------------------------------------


def test_what_a_suite_reads_is_fetched_once_and_pinned(hub: Hub, pull: Puller, tmp_path: Path) -> None:
    suite, out = write_suite(tmp_path), tmp_path / "data"
    assert "piqa: fetched: validation 9, train 20" in pull(suite, out)
    assert [json.loads(line) for line in (out / "piqa/validation.jsonl").read_bytes().splitlines()] == ROWS[:9]
    lock = json.loads((out / "pull.lock.json").read_text())
    assert lock["tasks"]["piqa"]["repo"] == "baber/piqa"
    assert lock["tasks"]["piqa"]["commit"] == hub.commit(*PIQA)
    assert {name: f["rows"] for name, f in lock["tasks"]["piqa"]["splits"].items()} == {"validation": 9, "train": 20}
    assert not [path for path in hub.fetched() if "test-" in path], "no task reads the test split"
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    hub.log.clear()
    assert "piqa: complete" in pull(suite, out)
    assert not hub.log, "nothing is asked of the hub"
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_the_new_suite_runs_offline_as_it_is(
    hub: Hub, pull: Puller, tiny_lm: Path, other_lm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "t").symlink_to(tiny_lm)
    (tmp_path / "suites" / "s").symlink_to(other_lm)
    out = tmp_path / "data"
    pull(write_suite(tmp_path), out)

    def refused(*_: Any) -> None:
        raise AssertionError("nothing is asked of any other machine")

    monkeypatch.setattr(socket.socket, "connect", refused)
    done = here(tmp_path, "run", str(out / "suite.yaml"), "--out", str(tmp_path / "run"), "--json", check=0)
    tasks = {task["task"]: task["n"] for task in json.loads(done.stdout)["students"][0]["tasks"]}
    assert tasks == {"piqa": 7, "distbench_facts": 8}


def test_models_are_fetched_where_asked(hub: Hub, pull: Puller, tiny_lm: Path, tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in tiny_lm.iterdir() if path.is_file()}
    hub.repos["models", "org/small"] = files | {"pytorch_model.bin": b"pickle", "model.py": b"code"}
    suite, out = write_suite(tmp_path, teacher="org/small@main", student="org/small"), tmp_path / "data"
    said = pull(suite, out, "--models")
    assert "org/small@main: fetched" in said
    folder = out / "models" / "org__small"
    assert {path.name for path in folder.iterdir()} == set(files)
    new = load_suite(out / "suite.yaml")
    assert new.suite.teachers["big"].source == new.suite.students[0].source == "./models/org__small"
    (folder / "config.json").write_text("{}")
    assert f"{folder / 'config.json'} is not the file that was pulled" in pull(suite, out, "--models", code=6)


def test_a_model_without_safetensors_is_refused_before_it_is_kept(hub: Hub, pull: Puller, tmp_path: Path) -> None:
    hub.repos["models", "org/old"] = {"config.json": b"{}", "pytorch_model.bin": b"pickle"}
    out = tmp_path / "data"
    printed = pull(write_suite(tmp_path, teacher="org/old"), out, "--models", code=6)
    assert "allow_pickle: true reads that as weights only" in printed
    assert not (out / "models").exists()
    assert not any("pytorch_model.bin" in path for path in hub.fetched())


def test_what_a_model_may_bring_is_fetched_with_it(hub: Hub, pull: Puller, tiny_lm: Path, tmp_path: Path) -> None:
    folder = pickle_weights(Path(shutil.copytree(tiny_lm, tmp_path / "old")))
    (folder / "own.py").write_text("raise SystemExit\n")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoConfig": "own.Config"}}))
    hub.repos["models", "org/own"] = {path.name: path.read_bytes() for path in folder.iterdir()}
    allowed = "org/own, trust_remote_code: true, allow_pickle: true"
    pull(write_suite(tmp_path, teacher=allowed), tmp_path / "data", "--models")
    fetched = tmp_path / "data" / "models" / "org__own"
    assert {path.name for path in fetched.iterdir()} == {path.name for path in folder.iterdir()}
    teacher = load_suite(tmp_path / "data" / "suite.yaml").suite.teachers["big"]
    assert teacher.options == {"trust_remote_code": True, "allow_pickle": True}
    assert teacher.source == "./models/org__own"


def test_a_group_is_written_out_task_by_task(hub: Hub, pull: Puller, tmp_path: Path) -> None:
    tasks = tmp_path / "suites" / "own"
    tasks.mkdir(parents=True)
    for name in ("one", "two"):
        kind = "output_type: multiple_choice\ndoc_to_text: '{{goal}}'\ndoc_to_target: label\n"
        where = "dataset_path: baber/piqa\nvalidation_split: validation\n"
        (tasks / f"{name}.yaml").write_text(f"task: {name}\n{where}{kind}doc_to_choice: '{{{{[sol1, sol2]}}}}'\n")
    (tasks / "both.yaml").write_text("group: both\ntask: [one, two]\n")
    suite, out = (
        write_suite(tmp_path, SUITE.replace("name: piqa", "name: both, include: ./own, weight: 3")),
        tmp_path / "d",
    )
    pull(suite, out)
    new = load_suite(out / "suite.yaml").suite
    assert [(t.name, t.group, t.weight, t.data) for t in new.tasks[:2]] == [
        (name, "both", 1.5, {"validation": f"{name}/validation.jsonl"}) for name in ("one", "two")
    ]
    assert {(out / t.options["include"]).resolve() for t in new.tasks[:2]} == {tasks}


def test_relative_paths_of_the_suite_still_lead_there(hub: Hub, pull: Puller, tmp_path: Path) -> None:
    text = SUITE + "description: ./t\n"
    suite = write_suite(tmp_path, text.replace("samples: 8}", "samples: 8, data: {test: './{task}.jsonl'}}"))
    (suite.parent / "distbench_facts.jsonl").write_text("{}\n")
    (suite.parent / "t").mkdir()
    out = tmp_path / "deep" / "data"
    pull(suite, out)
    new = load_suite(out / "suite.yaml").suite
    assert (out / (new.teachers["big"].source or "")).resolve() == suite.parent / "t"
    facts = (new.tasks[1].data or {})["test"].replace("{task}", "distbench_facts")
    assert (out / facts).resolve() == suite.parent / "distbench_facts.jsonl"
    assert new.students[0].source == "./s", "nothing is there: it stays as it was"
    assert new.description == "./t"
    assert new.gate is not None
    assert new.gate.retained == 0.9


# -- pinned means pinned ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["piqa/train.jsonl", "suite.yaml"])
def test_a_changed_file_is_refused_by_name_and_refresh_replaces_it(
    hub: Hub, pull: Puller, tmp_path: Path, name: str
) -> None:
    suite, out = write_suite(tmp_path), tmp_path / "data"
    pull(suite, out)
    good = (out / name).read_bytes()
    (out / name).write_bytes(good.replace(b"a", b"b", 1))
    assert f"{out / name} is not the file that was pulled" in pull(suite, out, code=6)
    pull(suite, out, "--refresh")
    assert (out / name).read_bytes() == good
    (out / name).unlink()
    assert "is missing" in pull(suite, out, code=6)


def test_a_run_on_changed_data_is_refused(hub: Hub, pull: Puller, tiny_lm: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    pull(write_suite(tmp_path, teacher=str(tiny_lm), student=str(tiny_lm)), out)
    new = load_suite(out / "suite.yaml")
    before = expand(new.suite, new.directory).cells
    path = out / "piqa" / "validation.jsonl"
    path.write_text(path.read_text().replace("goal 3", "goal 33"))
    with pytest.raises(RefusedError, match="is not the file that was pulled"):
        expand(new.suite, new.directory)
    (out / "pull.lock.json").unlink()  # without its lock it is a local file like any other, and another cell
    after = expand(new.suite, new.directory).cells
    assert {c.title for c in before} == {c.title for c in after}
    changed = {c.title for c in before} - {c.title for c in before if c.id in {a.id for a in after}}
    assert changed == {"big on piqa"}


def test_new_commits_of_the_hub_change_nothing_until_refresh(hub: Hub, pull: Puller, tmp_path: Path) -> None:
    suite, out = write_suite(tmp_path), tmp_path / "data"
    pull(suite, out)
    first = json.loads((out / "pull.lock.json").read_text())["tasks"]["piqa"]["commit"]
    hub.repos[PIQA] = dataset(train=ROWS, validation=ROWS[:4])
    pull(suite, out)
    assert json.loads((out / "pull.lock.json").read_text())["tasks"]["piqa"]["commit"] == first
    assert "validation 4" in pull(suite, out, "--refresh")
    assert json.loads((out / "pull.lock.json").read_text())["tasks"]["piqa"]["commit"] != first


def test_a_damaged_lock_is_refused(hub: Hub, pull: Puller, tmp_path: Path) -> None:
    suite, out = write_suite(tmp_path), tmp_path / "data"
    pull(suite, out)
    lock = json.loads((out / "pull.lock.json").read_text())
    lock["tasks"]["piqa"]["splits"]["train"]["path"] = "../../secret"
    (out / "pull.lock.json").write_text(json.dumps(lock))
    assert "leaves its folder" in pull(suite, out, code=6)
    (out / "pull.lock.json").write_text("{")
    assert "pull.lock.json is damaged" in pull(suite, out, code=6)


def test_a_folder_of_something_else_keeps_its_suite(hub: Hub, pull: Puller, tmp_path: Path) -> None:
    out = tmp_path / "data"
    out.mkdir()
    (out / "suite.yaml").write_text("mine")
    assert "was not pulled" in pull(write_suite(tmp_path), out, code=2)
    assert (out / "suite.yaml").read_text() == "mine"


# -- faults of the hub ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        (Fault("/api/datasets/baber", 404, "RepoNotFound"), 5, "knows no such repository"),
        (Fault("/api/datasets/baber", 401), 5, "log in"),
        (Fault("/api/datasets/baber", 403, "GatedRepo"), 5, "is gated: accept its terms"),
        (Fault("/api/datasets/baber", 500), 5, "cannot be reached"),
        (Fault("/api/datasets/baber", 500, times=2), 0, "fetched"),
        (Fault(".parquet", 500, times=1), 0, "fetched"),
        (Fault(".parquet", 503), 5, "cannot be reached"),
        (Fault("validation-", hang=True), 5, "cannot be reached"),
        (Fault("validation-", cut=True), 5, "cannot be reached"),
        (Fault("validation-00000", cut=True, times=2), 0, "fetched"),
    ],
    ids=lambda value: f"{value.where}-{value.status or 'hang' * value.hang or 'cut'}-{min(value.times, 99)}"
    if isinstance(value, Fault)
    else "",
)  # fmt: skip
def test_faults_end_in_bounded_time_with_one_line(
    hub: Hub, pull: Puller, tmp_path: Path, fault: Fault, code: int, message: str
) -> None:
    hub.faults.append(fault)
    suite, out = write_suite(tmp_path), tmp_path / "data"
    said = pull(suite, out, code=code)
    assert message in said
    assert (out / "suite.yaml").exists() == (code == 0)
    assert not list(out.glob(".tmp-*"))
    if code:
        assert "baber/piqa" in said
        assert not (out / "pull.lock.json").exists()
        hub.faults.clear()
        pull(suite, out)  # the way back is to run it again


def test_a_hub_that_is_not_there_names_the_ways_out(tmp_path: Path) -> None:
    hub = Hub(url="http://127.0.0.1:9")  # the discard port: nothing listens
    said = pull_afresh(hub, write_suite(tmp_path), tmp_path / "data", code=5)
    for part in ("baber/piqa", "HF_HUB_OFFLINE", "data: {split: file}"):
        assert part in said


def test_offline_is_said_at_once(hub: Hub, tmp_path: Path) -> None:
    said = pull_afresh(hub, write_suite(tmp_path), tmp_path / "data", code=5, HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE is set" in said
    assert not hub.log


def test_a_token_reaches_the_hub_and_nothing_else(hub: Hub, pull: Puller, tmp_path: Path) -> None:
    token = "hf_CANARYcanary0123456789"
    suite, out = write_suite(tmp_path), tmp_path / "data"
    said = pull(suite, out, HF_TOKEN=token)
    assert any(sent == f"Bearer {token}" for _, _, sent in hub.log)
    hub.faults.append(Fault("/api/datasets/baber", 401))
    said += pull(suite, out, "--refresh", code=5, HF_TOKEN=token)
    assert token not in said
    assert not [path for path in out.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]


def test_a_loading_script_is_reported_as_such(hub: Hub, pull: Puller, tmp_path: Path) -> None:
    hub.repos[PIQA] = {"README.md": b"", "piqa.py": b"import os\n"}
    said = pull(write_suite(tmp_path), tmp_path / "data", code=6)
    assert "'baber/piqa' is a loading script" in said


def test_what_cannot_be_had_does_not_stop_the_rest(hub: Hub, pull: Puller, tmp_path: Path) -> None:
    text = SUITE.replace(
        "  - {use: lm-eval, name: piqa", "  - {use: lm-eval, name: boolq}\n  - {use: lm-eval, name: piqa"
    )
    out = tmp_path / "data"
    said = pull(write_suite(tmp_path, text), out, code=5)
    assert "1 of 2 cannot be pulled" in said
    assert (out / "piqa" / "train.jsonl").is_file()
    assert not (out / "suite.yaml").exists()
    hub.log.clear()
    pull(write_suite(tmp_path), out)
    assert not hub.fetched()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"\x89PNG", "column 'more' holds binary"),
        (datetime.datetime(2026, 1, 1), "column 'more' holds timestamp"),  # noqa: DTZ001
        (float("nan"), "a row has no JSON form"),
        ("2026-01-01", "column 'more' of row 1 does not come back"),
    ],
)
def test_rows_that_json_would_change_are_refused(
    hub: Hub, pull: Puller, tmp_path: Path, value: Any, message: str
) -> None:
    rows = [row | {"more": value} for row in ROWS]
    hub.repos[PIQA] = dataset(train=rows, validation=rows)
    out = tmp_path / "data"
    assert message in pull(write_suite(tmp_path), out, code=6)
    assert not list(out.rglob("*.jsonl"))


def test_an_absent_split_and_an_empty_one_are_named(hub: Hub, pull: Puller, tmp_path: Path) -> None:
    hub.repos[PIQA] = dataset(train=ROWS)
    assert "no split 'validation'; it has train" in pull(write_suite(tmp_path), tmp_path / "data", code=2)


def test_a_killed_pull_goes_on_where_it_stopped(hub: Hub, pull: Puller, home: Path, tmp_path: Path) -> None:
    hub.repos["datasets", "nyu-mll/blimp"] = dataset("adjunct_island", train=[
        {"sentence_good": f"good {i}", "sentence_bad": "bad"} for i in range(5)
    ])  # fmt: skip
    hub.faults.append(Fault("adjunct_island/train-", hang=True, times=1))
    text = SUITE.replace("distbench_facts, samples: 8", "blimp_adjunct_island")
    suite, out = write_suite(tmp_path, text), tmp_path / "data"
    patient = dict.fromkeys(("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"), "60")
    process = start(hub, suite, out, HF_HOME=str(home), **patient)
    wait_until(lambda: any("adjunct_island/train-" in path for _, path, _ in hub.log))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert list(out.glob(".tmp-pull-*"))
    hub.faults.clear()
    hub.log.clear()
    said = pull(suite, out)
    assert "piqa: complete" in said
    assert "blimp_adjunct_island: fetched: train 5" in said
    assert not [path for path in hub.fetched() if "piqa" in path]
    assert not list(out.glob(".tmp-pull-*"))


def test_two_pulls_to_one_folder_do_not_meet(hub: Hub, pull: Puller, tmp_path: Path) -> None:
    suite, out = write_suite(tmp_path), tmp_path / "data"
    with pull_module.Pull(out).held():
        assert "another process pulls" in pull(suite, out, code=5)


def test_a_full_disk_is_said_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = pull_module.Pull(tmp_path)
    free = pull_module.SPARE + 1000
    monkeypatch.setattr(pull_module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": free}))
    found._refuse_too_large("org/data", 1000)
    with pytest.raises(EnvironmentFault, match="not enough room"):
        found._refuse_too_large("org/data", 1001)


# -- what a task needs, without a hub ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "splits"),
    [
        ({"test_split": "test", "validation_split": "dev", "training_split": "train"}, ("test", "train")),
        ({"validation_split": "dev", "training_split": None}, ("dev",)),
        ({"test_split": "test", "validation_split": "dev"}, ("test", "dev")),
        ({"test_split": "test", "fewshot_split": "dev", "training_split": "train"}, ("test", "dev")),
        ({"test_split": "test", "fewshot_config": {"split": "val"}}, ("test", "val")),
        ({"test_split": "test", "training_split": "train", "fewshot_config": {"samples": None}}, ("test",)),
    ],
)
def test_the_splits_are_those_of_lm_evals_rule(fields: dict[str, Any], splits: tuple[str, ...]) -> None:
    assert needed_splits("t", fields) == splits


def test_a_task_whose_data_cannot_be_pinned_says_why() -> None:
    with pytest.raises(UsageError, match="names no split"):
        needed_splits("t", {})
    with pytest.raises(UsageError, match="unknown lm-eval task"):
        data_needs(TaskSpec(use="lm-eval", name="piqqa"), Path())
    with pytest.raises(UsageError, match="its own code chooses its data"):
        data_needs(TaskSpec(use="lm-eval", name="squadv2"), Path())


def test_what_is_local_is_not_pulled() -> None:
    assert data_needs(TaskSpec(use="lm-eval", name="distbench_facts"), Path()).local == "ships with distbench"
    assert data_needs(TaskSpec(use="lm-eval", name="piqa", data={"validation": "x.jsonl"}), Path()).repo is None


def test_every_kind_of_column_is_known_or_refused() -> None:
    datasets = pytest.importorskip("datasets")
    fine = datasets.Features(
        a=datasets.Value("int64"), b=datasets.ClassLabel(names=["x"]), c=datasets.List(datasets.Value("string")),
        d={"e": datasets.Value("bool")}, f=datasets.Translation(["de", "en"]),
    )  # fmt: skip
    refuse_other_than_json(fine, "it")
    for odd in (datasets.Image(), datasets.Audio(), datasets.List({"x": datasets.Value("binary")}),
                datasets.Array2D((2, 2), "int32"), datasets.Value("date32")):  # fmt: skip
        with pytest.raises(RefusedError, match="column 'odd' holds"):
            refuse_other_than_json({"odd": odd}, "it")


def test_the_list_tells_hub_and_local_apart(tmp_path: Path) -> None:
    done = here(tmp_path, "data", "list", str(write_suite(tmp_path)), "--json", check=0)
    rows = {row["task"]: row for row in json.loads(done.stdout)}
    assert (rows["piqa"]["from"], rows["piqa"]["splits"], rows["piqa"]["hub"]) == (
        "baber/piqa",
        "validation, train",
        True,
    )
    assert not rows["distbench_facts"]["hub"]
