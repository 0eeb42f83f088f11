"""Experiment trackers: every known number arrives, an unknown one is named and never a 0.

MLflow logs into a real local store where it is installed. W&B and Trackio are played by doubles with the signatures of
their public functions (wandb 0.31, trackio 0.43); where the real ones are installed, the signatures are compared.
"""

import importlib
import inspect
import json
import sys
import types

import pytest

from distbench.errors import EnvironmentFault, UsageError
from distbench.exports.tracking import accepted, foreign, keys, missing_json, tracked
from distbench.protocols.export import Source


def by_name(result):
    return {each.params["student"]: each for each in tracked(result)}


def test_every_known_number_is_there_and_unknown_ones_are_named(synthetic):
    found = by_name(synthetic)
    for student in synthetic.students:
        mine = found[student.name]
        retained = student.suite.retained
        if retained.value is None:
            assert "retained" in mine.missing
            assert not [name for name in mine.metrics if name.startswith("retained")]
        else:
            limits = {"retained_lo": retained.lo, "retained_hi": retained.hi}
            wanted = {name: value for name, value in limits.items() if value is not None}
            assert {name: mine.metrics.get(name) for name in limits} == {**dict.fromkeys(limits), **wanted}
        for task in student.tasks:
            assert mine.metrics[f"task/{task.task}/{task.metric}/student"] == task.student
        assert mine.tags["verdict"] == student.verdict
    assert "memory/peak_bytes/batch 1/ratio" in found["soft-23-int8"].missing
    assert found["soft-23-int8"].metrics["latency/e2e_ms/batch 1/ratio"] == 1.62
    assert found["soft-23-layers"].metrics["gap_recovered"] == 0.78
    assert json.loads(missing_json(found["from-scratch"]))[:1] == ["retained"]


def test_keys_are_allowed_unique_and_bounded():
    names = ["a/b", "a|b", "a/../b", "a//b", "é" * 400 + "1", "é" * 400 + "2", "x\ud800", "x\x00", "", "/"]
    found = keys(names, r"A-Za-z0-9_", 60)
    assert len(set(found.values())) == len(names)
    assert all(len(each) <= 60 for each in found.values())
    for each in found.values():
        assert all(part and part.strip(". ") for part in each.split("/")), each
        assert all(character.isascii() and (character.isalnum() or character in "_/-") for character in each)


def test_foreign_code_speaks_on_standard_error_and_fails_in_one_line(capsys):
    def speak():
        sys.stdout.write("noise\n")
        raise OSError("a\nb")

    why = r"^it at http://host/x did not take the comparison: OSError: a b$"
    with pytest.raises(EnvironmentFault, match=why), foreign("it at http://me:secret@host/x"):
        speak()
    assert capsys.readouterr() == ("", "noise\n")


def test_mlflow_keeps_it_in_a_local_store(hostile, tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="mlflow is not installed: pip install 'distbench[mlflow]'")
    from distbench.exports.mlflow_runs import MLflow

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    result = hostile
    made = MLflow(MLflow.Options(experiment="e")).export(Source(result), tmp_path / "store")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=(tmp_path / "store").as_uri())
    runs = client.search_runs([client.get_experiment_by_name("e").experiment_id])
    whole = next(run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    assert whole.info.run_id in made.place
    assert whole.data.tags["distbench.verdict"] == result.verdict
    assert {each.path for each in client.list_artifacts(whole.info.run_id)} == {
        "result.json", "comparison.md", "key-chart.svg",
    }  # fmt: skip
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == whole.info.run_id]
    wanted = {each.name: each for each in tracked(result)}
    assert {run.info.run_name for run in children} == set(wanted)
    for run in children:
        mine = wanted[run.info.run_name]
        assert sorted(run.data.metrics.values()) == sorted(mine.metrics.values())
        assert run.data.metrics.get("retained") == mine.metrics.get("retained")
        assert run.data.tags["distbench.verdict"] == mine.tags["verdict"]
        assert run.data.tags["distbench.missing"] == missing_json(mine)
        assert len(run.data.params) == len(mine.params)
        assert run.info.status == "FINISHED"


def test_mlflow_is_told_where(synthetic, tmp_path, monkeypatch):
    from distbench.exports.mlflow_runs import MLflow

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(UsageError, match="name where"):
        MLflow(MLflow.Options()).export(Source(synthetic), None)
    with pytest.raises(UsageError, match="not both"):
        MLflow(MLflow.Options(uri="http://x")).export(Source(synthetic), tmp_path / "m")
    assert not (tmp_path / "m").exists()


class Calls(list):
    """What a double was asked."""

    def double(self, name, returns=None):
        return lambda *given, **named: (self.append((name, given, named)), returns)[1]


WANDB_INIT = ["entity", "project", "dir", "name", "notes", "tags", "config", "group", "job_type", "mode"]
TRACKIO_INIT = ["project", "name", "group", "space_id", "config", "embed", "auto_log_gpu", "auto_log_cpu"]


def taking(names, act):
    """Return a function with these keyword parameters."""
    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in names]

    def double(**named):
        assert set(named) <= set(names)
        return act(**named)

    double.__signature__ = inspect.Signature(parameters)
    return double


def wandb_double(calls):
    class Artifact:
        def __init__(self, name, type):  # noqa: A002 - the parameter's name in wandb
            self.files = {}

        def add_file(self, local_path, name=None):
            self.files[name] = local_path

    def init(**named):
        calls.append(("init", (), named))
        summary = types.SimpleNamespace(update=calls.double("summary"))
        return types.SimpleNamespace(
            summary=summary, log_artifact=calls.double("artifact"), finish=calls.double("finish")
        )

    return types.SimpleNamespace(init=taking(WANDB_INIT, init), Artifact=Artifact)


def test_wandb_gets_a_run_a_student_offline(synthetic, tmp_path, monkeypatch):
    from distbench.exports.wandb_runs import Wandb

    calls = Calls()
    monkeypatch.setitem(sys.modules, "wandb", wandb_double(calls))
    made = Wandb(Wandb.Options()).export(Source(synthetic), tmp_path)
    wanted = tracked(synthetic)
    inits = [named for name, _, named in calls if name == "init"]
    assert [(each["name"], each["mode"], each["dir"]) for each in inits] == [
        (each.name, "offline", str(tmp_path.resolve())) for each in wanted
    ]
    assert [given[0] for name, given, _ in calls if name == "summary"] == [{**e.metrics, **e.tags} for e in wanted]
    assert inits[0]["config"]["missing"] == wanted[0].missing
    (artifact,) = [given[0] for name, given, _ in calls if name == "artifact"]
    assert sorted(artifact.files) == ["comparison.md", "key-chart.svg", "result.json"]
    assert [name for name, _, _ in calls].count("finish") == len(wanted)
    assert "wandb sync" in made.notes[0]


def test_trackio_gets_a_run_a_student(synthetic, monkeypatch):
    from distbench.exports.trackio_runs import Trackio

    calls = Calls()
    fake = types.SimpleNamespace(
        init=taking(TRACKIO_INIT, calls.double("init")), log=calls.double("log"), finish=calls.double("finish")
    )
    monkeypatch.setitem(sys.modules, "trackio", fake)
    Trackio(Trackio.Options(project="p")).export(Source(synthetic), None)
    wanted = tracked(synthetic)
    assert [name for name, _, _ in calls] == ["init", "log", "finish"] * len(wanted)
    assert [given[0] for name, given, _ in calls if name == "log"] == [each.metrics for each in wanted]
    assert calls[0][2]["project"] == "p"
    assert calls[0][2]["config"]["verdict"] == wanted[0].tags["verdict"]


@pytest.mark.parametrize(("module", "used"), [("wandb", WANDB_INIT), ("trackio", TRACKIO_INIT)])
def test_the_doubles_are_like_the_real_ones(module, used):
    real = pytest.importorskip(module, reason=f"{module} is not installed: its double stands in")
    known = inspect.signature(importlib.import_module(real.__name__).init).parameters
    assert set(used) <= set(known)


def test_arguments_that_another_version_does_not_know_are_left_out():
    assert accepted(lambda project: None, project="p", embed=False) == {"project": "p"}
