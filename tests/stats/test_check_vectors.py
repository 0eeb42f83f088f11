import json
import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_vectors"

GOOD = {
    "name": "good",
    "metric": "proportion_ci",
    "inputs": {"k": 10, "n": 10, "method": "wilson", "alpha": 0.05},
    "expected": {"lo": 0.7224672001371106, "hi": 1.0},
    "tolerance": 1e-9,
}
INFINITE = {
    "name": "infinite",
    "metric": "fidelity",
    "inputs": {"teacher_prob": [[0.5, 0.5]], "student_prob": [[1.0, 0.0]]},
    "expected": {"kl_t_s_mean": {"__nonfinite__": "inf"}},
    "tolerance": 1e-12,
}


@pytest.fixture(scope="module")
def script():
    spec = spec_from_loader("check_vectors", SourceFileLoader("check_vectors", str(SCRIPT)))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def check(script, tmp_path, capsys):
    def run(*cases):
        file = tmp_path / "vectors.json"
        file.write_text(json.dumps({"cases": cases}))
        code = script.main([str(file)])
        return code, capsys.readouterr().out.splitlines()

    return run


def test_good_answers_pass(check):
    code, lines = check(GOOD, INFINITE)
    assert (code, [line[:4] for line in lines]) == (0, ["ok  ", "ok  ", "2 of"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"expected": {"lo": 0.7}}, "expected"),
        ({"metric": "guess"}, "unknown metric 'guess'"),
        ({"inputs": {"k": 10, "n": 10, "method": "guess"}}, "unknown method"),
        ({"expected": {"other": 1.0}}, "(nothing)"),
    ],
)
def test_anything_else_fails_and_the_rest_is_still_checked(check, change, said):
    code, (first, second, total) = check(GOOD | change, GOOD)
    assert code == 1
    assert first.startswith("FAIL good")
    assert said in first
    assert second.startswith("ok")
    assert total == "1 of 2 ok"


def test_no_case_is_no_success(check):
    assert check()[0] == 1


def test_a_file_is_needed(script):
    assert script.main([]) == 2


def test_it_is_executable():
    assert os.access(SCRIPT, os.X_OK)


@pytest.mark.shareddata
def test_the_shared_vectors():
    roots = (SCRIPT.parents[1], SCRIPT.parents[2])
    found = [f for root in roots if (f := root / "shared" / "vectors" / "stat_vectors.json").exists()]
    if not found:
        pytest.skip("no shared test vectors beside the checkout")
    done = subprocess.run([sys.executable, SCRIPT, found[0]], capture_output=True, text=True, check=False)
    wrong = [line for line in done.stdout.splitlines() if not line.startswith("ok")]
    assert done.returncode == 0, "\n".join([*wrong, done.stderr])
