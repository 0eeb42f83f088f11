"""A make cell that exports: what it leaves behind, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import pytest

from distbench import plugins
from distbench.cell.export import UNASKED, export
from distbench.cell.make import make
from distbench.errors import RunError
from distbench.models.hf_deployment import TransformersDeployment
from distbench.models.mlp import MLPClassifier, MLPOptions
from distbench.protocols import LearnSession, Progress
from distbench.schema.cell import MakeCell, ModelRef
from distbench.schema.record import MakeResult
from distbench.schema.strict import Strict, Use
from distbench.store.run_dir import RunDir
from tests.conftest import CPU
from tests.models.classified import blobs, recipe

seen: list[tuple[int, int, str]] = []
quiet: Progress = lambda done, total, what: seen.append((done, total, what))  # noqa: E731


class NoOptions(Strict):
    pass


class WrongTheta(TransformersDeployment):
    """An exporter that reads the rotary base from the key of older configurations, and takes its default."""

    Options: ClassVar[Any] = NoOptions
    takes: ClassVar[float] = 10_000.0

    def exact(self, settings: Any) -> bool:
        return True

    def opens(self) -> dict[str, Any]:
        return {}

    def export(self, model: Any, folder: Path) -> None:
        model.module.config.rope_parameters["rope_theta"] = self.takes
        model.save(folder)


class LossyTheta(WrongTheta):
    def exact(self, settings: Any) -> bool:
        return False


class Copy(WrongTheta):
    """A deployment of classifiers, as a third party would write one."""

    needs: ClassVar[frozenset[str]] = frozenset({"classify"})
    makes: ClassVar[str] = "mlp"

    def export(self, model: Any, folder: Path) -> None:
        model.save(folder)


@pytest.fixture
def more_deployments(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    found = plugins._entry_points

    def entry_points(group: str) -> list[EntryPoint]:
        mine = [EntryPoint(n, f"{__name__}:{n}", "distbench.deployments") for n in ("WrongTheta", "LossyTheta", "Copy")]
        return [*found(group), *(mine if group == "deployments" else [])]

    monkeypatch.setattr(plugins, "_entry_points", entry_points)
    plugins.forget()
    yield
    monkeypatch.undo()
    plugins.forget()


def exported(source: Path, run: Path, deploy: dict[str, Any], use: str = "hf-causal") -> MakeResult:
    ref = ModelRef(name="base", role="student", use=use, identity="base", path=str(source))
    cell = MakeCell(
        id="0", title="export s", needs=[], role="student", use=use, teachers=[], start=ref,
        deploy=Use.model_validate(deploy), settings=CPU,
    )  # fmt: skip
    folder = run / "cell"
    folder.mkdir(parents=True)
    return make(cell, RunDir(run), folder, quiet)


def test_the_same_checkpoint_opened_another_way_agrees(sure_lm: Path, tmp_path: Path) -> None:
    found = exported(sure_lm, tmp_path, {"use": "transformers", "attention": "eager"})
    assert found.agreement is not None
    assert found.agreement.greedy_equal == found.agreement.greedy_total
    assert found.agreement.prompt_kind == "text"
    assert found.agreement.top1 == 1.0
    assert found.agreement.kl < 1e-6
    copied = tmp_path / "cell" / "model" / "model.safetensors"
    assert copied.read_bytes() == (sure_lm / "model.safetensors").read_bytes()
    assert found.footprint.bytes_on_disk == copied.stat().st_size
    assert seen[-1][:2] == (3, 3)


def test_a_wrong_rotary_base_is_caught(sure_lm: Path, tmp_path: Path, more_deployments: None) -> None:
    with pytest.raises(RunError, match=r"export s: the export says something else: \d+ of 128 greedy tokens equal"):
        exported(sure_lm, tmp_path, {"use": "WrongTheta"})


def test_a_lossy_deployment_is_reported(sure_lm: Path, tmp_path: Path, more_deployments: None) -> None:
    found = exported(sure_lm, tmp_path, {"use": "LossyTheta"}).agreement
    assert found is not None
    assert not found.exact
    assert found.greedy_equal < found.greedy_total
    assert found.first_divergence is not None
    assert found.top1 < 0.99


def test_an_export_needs_something_to_export(tmp_path: Path) -> None:
    cell = MakeCell(
        id="0", title="export s", needs=[], role="student", use="hf-causal", teachers=[],
        deploy=Use.model_validate({"use": "transformers"}), settings=CPU,
    )  # fmt: skip
    with pytest.raises(RunError, match="nothing to export"):
        export(cell, RunDir(tmp_path), tmp_path, quiet)


def test_what_was_not_compared_is_said(tmp_path: Path, more_deployments: None) -> None:
    model = MLPClassifier(MLPOptions(hidden=[4]), CPU)
    model.learn(blobs(), recipe("hard", steps=1), LearnSession())
    model.save(tmp_path / "mlp")
    found = exported(tmp_path / "mlp", tmp_path, {"use": "Copy"}, use="mlp")
    assert found.agreement is None
    assert found.notes == [UNASKED]
