"""Attacks that are no row of the table of bad input: archives, names that are options, spreadsheets, links, old caches.

What a suite and its models may do is in `model_rows` (22), what a run directory may do in `test_strangers`, keys and
tokens in tests/secrets, pages in tests/report, loaders by the thousand in tests/fuzz.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from distbench.data import package_index
from distbench.data.checkpoint import checkpoint_identity
from distbench.errors import RefusedError
from distbench.host import cache_dir
from tests.acceptance.row import RUN, Place
from tests.acceptance.run_rows import reviews
from tests.acceptance.suite_rows import SUITE
from tests.command import here
from tests.compare.runs import simple, write

FORMULAS = ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "＝1"]


# -- archives ----------------------------------------------------------------------------------------------------------


def wheel(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def test_a_wheel_writes_nothing_outside_its_folder(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("pkg/link.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    made = wheel(
        tmp_path / "a.whl",
        ("../../up.json", b"{}"),
        ("/abs.json", b"{}"),
        (link, b"/etc/passwd"),
        ("pkg/code.py", b"1"),
    )
    out = tmp_path / "deep" / "out"
    out.mkdir(parents=True)
    package_index._unpack(made, out)
    found = [path for path in tmp_path.rglob("*") if path.is_file() and path != made]
    assert found
    assert all(out in path.parents and not path.is_symlink() for path in found)
    assert not [path for path in found if path.suffix == ".py"]
    assert not Path("/abs.json").exists()


def test_a_wheel_that_unpacks_to_more_than_it_may_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_index, "MAX_UNPACKED", 1000)
    made = wheel(tmp_path / "a.whl", ("a.json", b"x" * 600), ("b.json", b"x" * 600))
    with pytest.raises(RefusedError, match="unpacks to more than"):
        package_index._unpack(made, tmp_path / "out")


@pytest.mark.parametrize(
    "name", ["-r/etc/passwd==1", "--index-url=http://h.invalid==1", "../../up==1", "a/b==1", "a==-1", "a==../1"]
)
def test_a_package_is_a_name_and_no_option_or_path(place: Place, name: str) -> None:
    place.write("suite.yaml", SUITE.replace("./model", f'"pypi:{name}"'))
    before = sorted(cache_dir().parent.rglob("*up*"))
    done = here(place.folder, *RUN)
    assert (done.returncode, "NAME==VERSION" in done.stderr) == (2, True), done.stderr
    assert sorted(cache_dir().parent.rglob("*up*")) == before
    assert [path.name for path in place.folder.iterdir()] == ["suite.yaml"]


# -- spreadsheets ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_of_any_table_is_a_formula(tmp_path: Path, formula: str) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, simple(), labels={"student": formula, "teacher": formula})
    here(tmp_path, "export", "one", "--format", "csv", "--set", "table=all", "--out", "tables", check=0)
    texts = [path.read_text(encoding="utf-8") for path in (tmp_path / "tables").glob("*.csv")]
    texts.append(here(tmp_path, "trend", "one", "two", "--csv", check=0).stdout)
    assert len(texts) > 4
    cells = [cell for text in texts for row in csv.reader(io.StringIO(text)) for cell in row]
    assert any(formula.strip() in cell for cell in cells)
    assert not [cell for cell in cells if cell.lstrip().startswith(("=", "+", "@", "＝")) or cell == "-1"]


# -- content -----------------------------------------------------------------------------------------------------------


def test_a_flipped_bit_of_a_tensor_is_another_model(place: Place) -> None:
    """transformers would load it without a word; nothing that was computed with the other weights is reused."""
    folder = Path(shutil.copytree(place.tiny_lm, place.folder / "model"))
    before = checkpoint_identity(folder)
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-7] ^= 1
    (folder / "model.safetensors").write_bytes(bytes(data))
    assert checkpoint_identity(folder) != before


def test_a_tampered_entry_of_the_cache_is_made_again(place: Place) -> None:
    """A score that somebody wrote into the cache never reaches another run."""
    reviews()(place)
    first = here(place.folder, *RUN, "--json", check=0).stdout
    for path in (cache_dir() / "cells").glob("*/record.json"):
        text = path.read_text(encoding="utf-8")
        path.unlink()
        path.write_text(text.replace('"mean": 0.', '"mean": 0.9'), encoding="utf-8")
    second = here(place.folder, "run", "suite.yaml", "--out", "again", "--json", check=0).stdout
    one, two = (json.loads(text) for text in (first, second))
    assert (one["students"], one["teachers"]) == (two["students"], two["teachers"])
