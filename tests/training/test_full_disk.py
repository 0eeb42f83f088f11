"""A disk that takes no more bytes in the middle of a training: one line, and what was finished stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from distbench.errors import EnvironmentFault, ExitCode
from distbench.execute.run import Execution
from distbench.training import checkpoints

CASES = {  # name: (largest file in bytes after the first checkpoint, budget, what is said)
    "weights": (1000, {}, "File too large writing "),  # 13 kB
    "moments": (20_000, {}, "A file cannot be written whole (disk full, quota or limit of its size) writing "),
    "best": (1000, {"look_every": 1}, "File too large writing "),
}
TRAININGS = """\
import resource, sys
from pathlib import Path
from distbench.errors import EnvironmentFault
from distbench.models.mlp import MLPClassifier, MLPOptions
from distbench.protocols import LearnSession
from tests.conftest import CPU
from tests.models.classified import blobs, recipe
from tests.training.test_full_disk import CASES

for name, (largest, budget, _) in CASES.items():
    def limit(done, total, what):
        if done == 3:  # after the first checkpoint
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    plan, folder = recipe("hard", steps=6, checkpoint_every=2, **budget), Path(sys.argv[1]) / name
    try:
        MLPClassifier(MLPOptions(hidden=[400]), CPU).learn(blobs(), plan, LearnSession(limit, scratch=folder))
    except EnvironmentFault as error:
        print(int(error.exit_code), error, flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


def test_a_checkpoint_that_does_not_fit_ends_the_training_and_the_last_one_stays(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRAININGS, str(tmp_path)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip
    for line, (name, (_, _, words)) in zip(done.stdout.splitlines(), CASES.items(), strict=True):
        assert line.startswith(f"{int(ExitCode.ENVIRONMENT)} {words}{tmp_path / name}")
        left = sorted(each.name for each in (tmp_path / name).iterdir() if not each.name.startswith("best-"))
        assert left == ["checkpoint-2"]
        newest = checkpoints.newest(tmp_path / name)
        assert newest is not None
        assert checkpoints.step_of(newest) == 2


def test_an_error_of_another_kind_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), checkpoints.writing(tmp_path, 1):
        raise ZeroDivisionError
    with pytest.raises(EnvironmentFault, match="No space left on device writing"), checkpoints.writing(tmp_path, 1):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("failed", "codes", "expected"),
    [
        ({}, {}, ExitCode.OK),
        ({"a": "", "b": "needs a"}, {"a": 5}, ExitCode.ENVIRONMENT),
        ({"a": "", "b": ""}, {"a": 5, "b": 4}, ExitCode.RUN_FAILED),
        ({"a": ""}, {"a": 2}, ExitCode.RUN_FAILED),
        ({"a": ""}, {}, ExitCode.RUN_FAILED),
    ],
)
def test_a_run_exits_with_5_where_the_machine_alone_is_to_blame(
    failed: dict[str, str], codes: dict[str, int], expected: ExitCode
) -> None:
    assert Execution(failed=failed, codes=codes).exit_code == expected
