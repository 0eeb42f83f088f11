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


S, T = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]
PAIRS = [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("metric", "inputs", "expected"),
    [
        # What a case leaves out, or names in another usual way.
        ("mcnemar", {"n10": 10, "n01": 2, "method": "midp"}, {"p_value": 0.022460937499999976}),
        ("mcnemar", {"student": S, "teacher": T}, {"p_value": 1.0}),
        ("proportion_ci", {"k": 0, "n": 0}, {"value": None, "lo": None, "hi": None}),
        ("multiplicity", {"p": [{"__nonfinite__": "nan"}, 0.01], "method": "simes-hochberg"},
         {"adjusted": [None, 0.01]}),
        ("power", {"omega2": 0.1, "delta": 0.03}, {"n": 872.0977482610101}),
        ("pareto", {"points": [], "maximise": [True, True]}, {"nondominated_index": []}),
        ("pareto", {"points": [[1, 2], [2, 1], [1, 1]]}, {"nondominated_index": [0, 1]}),
        ("hypervolume", {"points": [], "reference": [0, 0]}, {"hypervolume": 0.0}),
        ("gate", {"teacher_mean": 0.5, "student_mean": 0.2, "margin": 0.9}, {"decision": "INCONCLUSIVE"}),
        # Lower is better: the mirror image of the same scores.
        ("paired_difference", {"student": S, "teacher": T, "direction": "lower"}, {"mean": 0.125}),
        # Two samples worse and one better of eight: se² = (3 − 1/8)/7/8 = 23/448, t(7) at .95 = 1.894578605.
        ("paired_difference", {"student": S, "teacher": T, "alpha": 0.1},
         {"ci90": [-0.125 - 1.894578605 * 23**0.5 / 448**0.5, -0.125 + 1.894578605 * 23**0.5 / 448**0.5]}),
        (
            "noninferiority",
            {"n11": 52, "n10": 18, "n01": 30, "n00": 400, "baseline": 0.75, "margin": 0.9, "direction": "lower",
             "method": "score_cml"},
            {"z": 2.5430386543058083, "p_one_sided": 0.005494653561073862},
        ),
        ("gap_recovered", {"teacher_mean": 0.1, "student_mean": 0.2, "baseline_student_mean": 0.3,
         "direction": "lower"}, {"gap_recovered": 0.5}),
        ("gap_recovered", {"teacher_mean": 0.3, "student_mean": 0.2, "baseline_student_mean": 0.1,
         "direction": "lower"}, {"gap_recovered": None, "status": "NO_GAP"}),
    ],
)  # fmt: skip
def test_cases_of_the_same_kinds_with_other_inputs(check, metric, inputs, expected):
    case = {"name": metric, "metric": metric, "inputs": inputs, "expected": expected, "tolerance": 1e-9}
    code, lines = check(case)
    assert code == 0, lines


@pytest.mark.parametrize("method", ["bootstrap_percentile", "bootstrap_BCa"])
def test_clusters_are_never_ignored(check, method):
    inputs = {"student": S, "teacher": T, "cluster": PAIRS, "method": method}
    code, (line, _) = check({"name": "x", "metric": "retained", "inputs": inputs, "expected": {"retained": 0.75}})
    assert code == 1
    assert "not clusters" in line


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
