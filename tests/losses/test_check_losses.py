"""The script that checks the losses on a real head runs, and its numbers follow from what it is given."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.scripts import script


@pytest.fixture(scope="module")
def check() -> ModuleType:
    return script("distil/check_losses")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_prints_its_tables(
    check: ModuleType,
    sure_lm: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "texts.jsonl").write_text('{"a": "the cats were on the mat", "n": 3}\n' * 20, encoding="utf-8")
    given = [str(sure_lm), str(tmp_path / "texts.jsonl"), "--shape", "2", "24", "--exact", "16", "--rounds", "1"]
    monkeypatch.setattr(sys, "argv", ["check_losses.py", *given, "--keep", "2", "1", "--threads", "1"])
    check.main()
    said = capsys.readouterr().out
    assert "N = 48 positions" in said
    compared = [line for line in said.splitlines() if "chunked, " in line]
    assert len(compared) == 6
    for line in compared:
        assert all(float(cell) < 1e-4 for cell in re.findall(r"\d\.\de[+-]\d\d", line)), line
    (same, other) = (next(line for line in said.splitlines() if line.startswith(f"| {kept} |")) for kept in (2, 1))
    assert "| 0.00 |" in same  # a student with every block of its teacher
    assert "| 0.00 |" not in other
    assert len([line for line in said.splitlines() if re.search(r"\d s, -?\d+ MB", line)]) == 3


def test_too_little_text_is_said(check: ModuleType, tiny_lm: Path, tmp_path: Path) -> None:
    from distbench.models.hf_causal import HFCausal
    from tests.conftest import CPU

    (tmp_path / "text.txt").write_text("the cats", encoding="utf-8")
    with pytest.raises(SystemExit, match="tokens; 1025 are wanted"):
        check.rows_of([tmp_path / "text.txt"], HFCausal.open(tiny_lm, CPU), (1, 1024))
