"""A checkpoint's own Python and pickles: refused unless a suite allows them by name; then pinned, and said."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from distbench.data.checkpoint import check_checkpoint, checkpoint_identity, trusted_in
from distbench.data.pickles import check_pickle
from distbench.data.sources import resolve_checkpoint
from distbench.data.trust import Trust, identity_of, refuse_other_code
from distbench.errors import EnvironmentFault, RefusedError, UsageError
from distbench.models.hf_causal import HFCausal, HFCausalOptions
from distbench.schema.trusted import Trusted, trusted_lines
from distbench.store.files import seal
from tests.command import here
from tests.conftest import CPU
from tests.models.own_code import Payload, pickle_weights, save_own_code_lm

CODE, PICKLE = Trust(code=True), Trust(pickle=True)
SUITE = """\
version: 1
name: own
device: cpu
threads: 1
teachers:
  big: {use: hf-causal, source: ./own, trust_remote_code: true}
students:
  - {name: drop, of: big, init: {use: layer-drop, keep: 2}}
  - {name: int8, of: big, quantise: {use: int8-dynamic}}
  - {name: eager, of: big, options: {attention: eager}}
  - {name: again, of: big, deploy: {use: transformers, attention: eager}}
  - name: fresh
    of: big
    init: {use: like-teacher}
    distil:
      use: soft-labels
      steps: 1
      control: none
      data: {use: teacher-sampled, sequences: 8, length: 8, heldout: 2}
  - {name: pickled, of: big, source: ./pickled, options: {allow_pickle: true}}
tasks:
  - {use: lm-eval, name: distbench_facts, samples: 4}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that brings code, one that is a pickle, and a run of both. RAN: the code's mark."""
    folder = tmp_path_factory.mktemp("trust")
    save_own_code_lm(folder / "own", folder / "RAN", layers=3)
    pickle_weights(shutil.copytree(save_own_code_lm(folder / "native", folder / "RAN"), folder / "pickled"))
    native = json.loads((folder / "pickled" / "config.json").read_text())
    del native["auto_map"]
    native |= {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    (folder / "pickled" / "config.json").write_text(json.dumps(native))
    (folder / "suite.yaml").write_text(SUITE)
    return folder


@pytest.fixture(scope="module")
def finished(place: Path) -> Path:
    """The run. Nothing of the code had run while it was planned."""
    plan = json.loads(here(place, "plan", "suite.yaml", "--json", check=0).stdout)
    assert sorted(plan["allowed"]) == ["again", "big", "drop", "eager", "fresh", "int8", "pickled"]
    assert not (place / "RAN").exists()
    done = here(place, "run", "suite.yaml", "--out", "run", "-q", check=0)
    assert (place / "RAN").exists()
    said = [line for line in done.stderr.splitlines() if line.startswith("allowed: ")]
    assert said[0].startswith(
        "allowed: big, drop, int8, eager, again, fresh: Python of the checkpoint will run, as trust_"
    )
    assert said[1].startswith("allowed: pickled: weights will be read from a pickle, as weights only, as allow_pickle")
    return place / "run"


def model_of(run: Path, name: str) -> dict[str, Any]:
    models: list[dict[str, Any]] = json.loads((run / "manifest.json").read_text())["models"]
    return next(model for model in models if model["name"] == name)


def test_a_run_says_everywhere_whose_code_ran_and_what_was_a_pickle(finished: Path) -> None:
    result = json.loads((finished / "result.json").read_text())
    code = result["teachers"][0]["trusted"]["code"]
    assert sorted(code) == ["configuration_own.py", "modeling_own.py"]
    students = {student["name"]: student["trusted"] for student in result["students"]}
    assert all(students[name]["code"] == code for name in ("drop", "int8", "eager", "again", "fresh"))
    assert (students["pickled"]["pickles"], students["pickled"]["code"]) == (["pytorch_model.bin"], {})
    ran, read = "Python of the checkpoint was run", "weights were read from a pickle, as weights only"
    assert [sum(each in line for line in result["warnings"]) for each in (ran, read)] == [1, 1]
    page, shown = (finished / "report.html").read_text(), here(finished.parent, "show", "run", "--model", "big").stdout
    markdown = here(finished.parent, "export", "run", "--format", "markdown").stdout
    for text in (page, shown, markdown):
        assert ran in text
    assert code["modeling_own.py"][:16] in markdown
    assert all(ran in " ".join(here(finished.parent, "show", "run", "--model", each).stdout.split())
               for each in ("drop", "int8"))  # fmt: skip


def test_a_made_student_brings_its_parents_code_and_its_card_says_so(finished: Path) -> None:
    code = model_of(finished, "big")["ref"]["trusted"]["code"]
    for name in ("drop", "int8", "fresh"):
        model = finished / "cells" / model_of(finished, name)["ref"]["cell"] / "model"
        assert json.loads((model / "provenance.json").read_text())["code"] == code
        assert "trust_remote_code is needed to open it" in (model / "README.md").read_text()
        assert json.loads((model / "config.json").read_text())["auto_map"]["AutoModelForCausalLM"].startswith(
            "modeling"
        )
    model = finished / "cells" / model_of(finished, "pickled")["ref"]["cell"] / "model"
    assert (model / "model.safetensors").is_file()
    assert not list(model.glob("*.bin"))
    facts = json.loads((model / "provenance.json").read_text())
    assert facts["code"] == {}
    assert facts["start"]["trusted"]["pickles"] == ["pytorch_model.bin"]
    assert "trust_remote_code" not in (model / "README.md").read_text()


def verdicts(run: Path) -> dict[str, Any]:
    done = here(run.parent, "verify", str(run), "--json")
    return {check["id"]: check for check in json.loads(done.stdout)["runs"][0]["checks"]}


def test_verify_says_it_and_finds_a_changed_file_of_code(finished: Path, tmp_path: Path) -> None:
    checks = verdicts(finished)
    assert [check for check, found in checks.items() if found["verdict"] in {"damaged", "suspicious"}] == []
    sound = checks["trusted"]
    assert sound["verdict"] == "warning"
    assert [("was run" in each["what"], "pickle" in each["what"]) for each in sound["findings"]] == [
        (True, False), (False, True)
    ]  # fmt: skip
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    cell = run / "cells" / model_of(run, "drop")["ref"]["cell"]
    (cell / "model" / "modeling_own.py").unlink()
    (cell / "model" / "modeling_own.py").write_text("raise SystemExit\n")
    assert verdicts(run)["hashes.seals"]["verdict"] == "damaged"
    seal(cell)  # whoever changed it can seal it again
    assert verdicts(run)["hashes.seals"]["verdict"] == "ok"
    found = verdicts(run)["trusted"]
    assert found["verdict"] == "damaged"
    assert found["findings"][0]["where"].endswith("model/modeling_own.py")


def test_verify_finds_code_that_is_claimed_to_be_another(finished: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    true = model_of(run, "big")["ref"]["trusted"]["code"]["modeling_own.py"]
    for path in (run / "manifest.json", *(run / "plan").glob("*.json")):
        path.write_text(path.read_text().replace(true, "0" * 64))
    found = verdicts(run)["trusted"]
    assert found["verdict"] == "damaged"
    assert any("not what its content is the hash of" in each["what"] for each in found["findings"])
    assert any("its record and its plan differ" in each["what"] for each in found["findings"])


def test_changed_code_is_another_model_and_a_run_does_not_go_on_with_it(finished: Path) -> None:
    place = finished.parent
    path = place / "own" / "configuration_own.py"
    before = path.read_text()
    path.write_text(before + "# changed\n")
    try:
        refused = here(place, "run", "suite.yaml", "--out", "run", "-q", check=2)
        assert "a model, a data file or an installed package" in refused.stderr
        assert "--new-run" in refused.stderr
        ref = model_of(finished, "big")["ref"]
        with pytest.raises(RefusedError, match="not the code that was allowed when the run was planned"):
            refuse_other_code(place / "own", Trusted.model_validate(ref["trusted"]))
    finally:
        path.write_text(before)
    refuse_other_code(place / "own", Trusted.model_validate(ref["trusted"]))


def test_what_is_allowed_to_a_teacher_is_not_allowed_to_other_files(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "own", tmp_path / "own")
    suite = SUITE[: SUITE.index("  - {name: drop")] + "  - {name: other, of: big, source: ./own}\n"
    (tmp_path / "suite.yaml").write_text(suite + SUITE[SUITE.index("tasks:") :])
    refused = here(tmp_path, "plan", "suite.yaml", check=6).stderr
    assert "options: {trust_remote_code: true}" in refused
    allowed = here(tmp_path, "plan", "suite.yaml", "--json", "--trust-remote-code", "other", check=0)
    assert set(json.loads(allowed.stdout)["allowed"]) == {"big", "other"}


def test_the_command_line_allows_models_by_name_or_by_source(place: Path) -> None:
    plain = ("plan", "--teacher", "./own", "--student", "./pickled", "--task", "distbench_facts", "--json")
    assert "--trust-remote-code MODEL" in here(place, *plain, check=6).stderr
    assert "--allow-pickle MODEL" in here(place, *plain, "--trust-remote-code", "./own", check=6).stderr
    done = here(place, *plain, "--trust-remote-code", "./own", "--allow-pickle", "pickled", check=0)
    assert sorted(json.loads(done.stdout)["allowed"]) == ["own", "pickled"]
    assert "did you mean 'pickled'" in here(place, *plain, "--allow-pickle", "pickle", check=2).stderr
    made = ("plan", "suite.yaml", "--allow-pickle", "drop")
    assert "made from its teacher's files" in here(place, *made, check=2).stderr


# -- what is let in, file by file -------------------------------------------------------------------------------------


def test_code_enters_the_identity_only_where_it_may_run(place: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(place / "own", tmp_path / "own"))
    trusted = trusted_in(own, CODE)
    assert trusted is not None
    assert sorted(trusted.code) == ["configuration_own.py", "modeling_own.py"]
    assert identity_of(trusted) == checkpoint_identity(own, trusted) != checkpoint_identity(own)
    (own / "helper.py").write_text("x = 1\n")  # code imports its neighbours
    assert checkpoint_identity(own, trusted_in(own, CODE)) != identity_of(trusted)
    assert checkpoint_identity(own) == trusted.besides


def test_allowing_what_is_not_needed_changes_nothing(tiny_lm: Path) -> None:
    both = Trust(code=True, pickle=True)
    assert trusted_in(tiny_lm, both) is None
    found = resolve_checkpoint(str(tiny_lm), tiny_lm, both)
    assert (found.identity, found.trusted, found.converts) == (checkpoint_identity(tiny_lm), None, False)


@pytest.mark.parametrize(
    ("named", "error"),
    [
        ("somebody/else--modeling.Model", RefusedError),
        ("../modeling.Model", RefusedError),
        ("/tmp/modeling.Model", RefusedError),
        ("modeling", RefusedError),
        ("a.b.Model", RefusedError),
        ("gone.Model", EnvironmentFault),
    ],
)
def test_allowed_code_lies_beside_the_weights(place: Path, tmp_path: Path, named: str, error: type[Exception]) -> None:
    own = Path(shutil.copytree(place / "own", tmp_path / "own"))
    config = json.loads((own / "config.json").read_text())
    (own / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoConfig": named}}))
    with pytest.raises(error):
        check_checkpoint(own, CODE)


def test_code_of_a_tokenizer_counts_too(tiny_lm: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(tiny_lm, tmp_path / "own"))
    config = json.loads((own / "tokenizer_config.json").read_text())
    config["auto_map"] = {"AutoTokenizer": ["tokens.Slow", None]}
    (own / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(EnvironmentFault, match=r"tokens\.py is missing"):
        check_checkpoint(own, CODE)
    marker = tmp_path / "RAN"
    (own / "tokens.py").write_text(f"open({str(marker)!r}, 'w')\nclass Slow: ...\n")
    trusted = trusted_in(own, CODE)
    assert trusted is not None
    assert list(trusted.code) == ["tokens.py"]
    with contextlib.suppress(RefusedError):  # where transformers knows a tokenizer of its own, it takes that
        HFCausal.open(own, CPU)
    assert not marker.exists()
    with contextlib.suppress(Exception):  # it is no tokenizer, but it may run
        HFCausal.open(own, CPU, HFCausalOptions(trust_remote_code=True))
    assert marker.exists()


def test_only_what_is_allowed_is_fetched_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def fetch(repo: str, *, revision: str, allow_patterns: list[str], etag_timeout: float) -> str:
        asked.append([pattern for pattern in allow_patterns if pattern in {"*.py", "*.bin"}])
        return str(tmp_path)

    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    with pytest.raises(RefusedError, match=r"has no safetensors on the hub; .* allow_pickle: true"):
        resolve_checkpoint("org/model", tmp_path)
    with pytest.raises(EnvironmentFault, match=r"model\.safetensors is missing"):
        resolve_checkpoint("org/model@" + "a" * 40, tmp_path, Trust(code=True, pickle=True))
    assert asked == [[], ["*.py"], ["*.py", "*.bin"]]


def test_code_of_the_hub_needs_a_commit(tmp_path: Path) -> None:
    for source in ("org/model", "org/model@main", "org/model@" + "a" * 39):
        with pytest.raises(UsageError, match="needs a pinned commit"):
            resolve_checkpoint(source, tmp_path, CODE)
    with pytest.raises(EnvironmentFault):  # a commit is enough to go and look, and the tests have no hub
        resolve_checkpoint("org/model@" + "a" * 40, tmp_path, CODE)


@pytest.mark.parametrize("old", [False, True], ids=["zip", "before 1.6"])
def test_a_pickle_of_weights_passes_and_one_that_runs_a_command_is_named(
    tiny_lm: Path, tmp_path: Path, *, old: bool
) -> None:
    good = pickle_weights(Path(shutil.copytree(tiny_lm, tmp_path / "good")), old=old)
    assert [file.name for file in check_checkpoint(good, PICKLE)] == ["pytorch_model.bin"]
    with pytest.raises(RefusedError, match="allow_pickle: true"):
        check_checkpoint(good)
    payload = Payload(tmp_path / "RAN")
    evil = pickle_weights(Path(shutil.copytree(tiny_lm, tmp_path / "evil")), payload, old=old)
    with pytest.raises(RefusedError, match=r"would call posix\.system"):
        check_checkpoint(evil, PICKLE)
    whole = (good / "pytorch_model.bin").read_bytes()
    (good / "pytorch_model.bin").write_bytes(whole[: len(whole) // 2 if not old else 100])
    with pytest.raises(RefusedError, match="truncated"):
        check_pickle(good / "pytorch_model.bin")
    assert not (tmp_path / "RAN").exists()


def test_shards_of_a_pickle_stay_in_their_folder(tiny_lm: Path, tmp_path: Path) -> None:
    folder = pickle_weights(Path(shutil.copytree(tiny_lm, tmp_path / "good")))
    (folder / "pytorch_model.bin").rename(folder / "pytorch_model-00001-of-00001.bin")
    index = folder / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "pytorch_model-00001-of-00001.bin"}}))
    assert [file.name for file in check_checkpoint(folder, PICKLE)] == ["pytorch_model-00001-of-00001.bin"]
    for name, words in (("../x.bin", "leaves"), ("weights.pt", r"no \.bin")):
        index.write_text(json.dumps({"weight_map": {"a": name}}))
        with pytest.raises(RefusedError, match=words):
            check_checkpoint(folder, PICKLE)


def test_models_of_one_code_share_a_line() -> None:
    code = {f"m{n}.py": str(n) * 64 for n in range(6)}
    one, other = Trusted(code=code, besides="a"), Trusted(code=code)
    lines = trusted_lines([("big", one), ("plain", None), ("small\x1b[31m", other)])
    assert len(lines) == 1
    assert lines[0].startswith("big, small")
    assert "\x1b" not in lines[0]
    assert lines[0].endswith("2 more files)")
