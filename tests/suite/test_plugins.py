from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from distbench import plugins
from distbench.errors import DistbenchError, EnvironmentFault, Position, UsageError
from distbench.schema.strict import Use
from distbench.schema.suite import DistilSpec

from . import fakes
from .fakes import FakeDistribution, entry, installation


@pytest.fixture
def install() -> Iterator[Callable[..., None]]:
    """Add plug-ins to the installation; afterwards it is what it was."""
    with pytest.MonkeyPatch.context() as patch:

        def add(*entries: tuple[str, EntryPoint]) -> None:
            patch.setattr(plugins, "_entry_points", installation(*entries))
            plugins.forget()

        yield add
    plugins.forget()


def fault(group: str, name: str) -> DistbenchError:
    with pytest.raises(DistbenchError) as caught:
        plugins.load(group, name)
    assert "\n" not in str(caught.value)
    return caught.value


def test_names_are_sorted() -> None:
    assert plugins.names("models") == ["hf-causal", "mlp"]
    assert plugins.names("executors") == []


@pytest.mark.parametrize("group", plugins.GROUPS)
def test_everything_that_is_listed_loads_once(group: str) -> None:
    for name in plugins.names(group):
        assert plugins.load(group, name) is plugins.load(group, name)


def test_load_returns_the_class() -> None:
    assert plugins.load("inits", "layer-drop") is fakes.LayerDrop


def test_an_unknown_name_offers_the_nearest_three_and_a_short_list() -> None:
    error = fault("models", "hf-casual")
    assert isinstance(error, UsageError)
    assert error.message == "unknown model 'hf-casual'; did you mean 'hf-causal'? (installed: hf-causal, mlp)"


def test_a_long_list_is_not_printed(install: Callable[..., None]) -> None:
    install(*[("models", entry("models", f"model-{index}", "MLP")) for index in range(20)])
    message = fault("models", "model-x").message
    assert message.count("'model-") == 4
    assert "installed" not in message


def test_an_empty_group_says_so() -> None:
    assert fault("executors", "ray").message == "unknown executor 'ray'; none is installed"


def test_an_unknown_group_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="not a group"):
        plugins.names("modles")


def test_two_distributions_with_one_name_are_both_named(install: Callable[..., None]) -> None:
    install(("models", entry("models", "mlp", "MLP", FakeDistribution("rival", "2.0"))))
    error = fault("models", "mlp")
    assert isinstance(error, UsageError)
    assert "distbench 0.1.0 and rival 2.0" in error.message
    assert plugins.names("models") == ["hf-causal", "mlp"]
    assert plugins.load("models", "hf-causal") is fakes.HFCausal


def test_the_distribution_of_a_plugin() -> None:
    assert plugins.distribution("models", "mlp") == ("distbench", "0.1.0")


def test_a_missing_package_names_the_extra_that_brings_it(
    install: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wants_absent.py").write_text("import absent_engine.core\n")
    monkeypatch.syspath_prepend(tmp_path)
    dist = FakeDistribution(
        requires=["numpy>=2", 'absent-engine>=1; extra == "dev"', "Absent.Engine>=1; extra == 'fast'"]
    )
    install(("models", entry("models", "fast", "wants_absent:Model", dist)))
    error = fault("models", "fast")
    assert isinstance(error, EnvironmentFault)
    assert error.message == "model 'fast' needs 'absent_engine', which is not installed; pip install 'distbench[fast]'"


def test_a_missing_package_without_an_extra_is_named(
    install: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wants_absent_too.py").write_text("import absent_engine\n")
    monkeypatch.syspath_prepend(tmp_path)
    install(("models", entry("models", "fast", "wants_absent_too:Model")))
    assert "install the package that has 'absent_engine'" in fault("models", "fast").message


@pytest.mark.parametrize(
    ("value", "core"),
    [
        ("distbench_no_such_package.x:Y", "cannot be loaded: No module named"),
        ("NoSuchClass", "cannot be loaded: AttributeError"),
        ("not_a_class", "is not a class"),
    ],
)
def test_a_broken_plugin_names_its_package(install: Callable[..., None], value: str, core: str) -> None:
    install(("models", entry("models", "bad", value, FakeDistribution("rival", "2.0"))))
    error = fault("models", "bad")
    assert isinstance(error, EnvironmentFault)
    assert error.message.startswith("model 'bad' of rival 2.0")
    assert core in error.message


def test_whatever_an_import_raises_is_one_line(
    install: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "explodes.py").write_text("raise RuntimeError('first line\\nsecond line')\n")
    monkeypatch.syspath_prepend(tmp_path)
    install(("models", entry("models", "bad", "explodes:Model")))
    assert "RuntimeError: first line second line" in fault("models", "bad").message


def test_a_class_without_options_is_broken(install: Callable[..., None]) -> None:
    install(("models", entry("models", "bad", "WithoutOptions")))
    with pytest.raises(EnvironmentFault, match="no attribute Options"):
        plugins.options_type("models", "bad")


def test_options_are_validated_without_the_suites_own_keys() -> None:
    spec = DistilSpec.model_validate({"use": "soft-labels", "data": {"use": "x"}, "temperature": 3, "epochs": 4})
    options = plugins.options("methods", spec)
    assert isinstance(options, fakes.SoftLabels.Options)
    assert (options.temperature, options.epochs) == (3.0, 4)


def test_options_take_a_list_for_a_tuple() -> None:
    options = plugins.options("inits", Use.model_validate({"use": "mlp", "hidden": [3, 4]}))
    assert isinstance(options, fakes.FreshMLP.Options)
    assert options.hidden == (3, 4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kepe": 1}, "kepe: unknown key 'kepe'; did you mean 'keep'?"),
        ({}, "keep: missing key 'keep'"),
        ({"keep": "x"}, "keep: expected integer or list, got string 'x'"),
        ({"keep": True, "more": 1}, "more: unknown key 'more' (and 1 more)"),
        ({"keep": [1, "x"]}, "keep.1: expected integer, got string 'x'"),
    ],
)
def test_wrong_options_name_the_plugin_the_option_and_the_position(given: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        plugins.options("inits", Use.model_validate({"use": "layer-drop", **given}), Position("s.yaml", 3, 4))
    assert str(caught.value) == f"s.yaml:3:4: init 'layer-drop': {message}"


def test_importing_the_registry_imports_nothing_heavy() -> None:
    program = (
        "import sys; import distbench.plugins\n"
        "heavy = {'torch', 'pandas', 'numpy', 'pydantic', 'yaml', 'importlib.metadata', 'transformers'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    command = [sys.executable, "-S", "-c", program]  # -S: what a site's own .pth files import is not ours
    root = Path(plugins.__file__).resolve().parent.parent
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_real_look_up_asks_the_installation() -> None:
    assert list(fakes.real_entry_points("models")) == list(entry_points(group="distbench.models"))
