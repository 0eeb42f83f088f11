"""Tidy tables as CSV, Parquet and JSON: what is read back is the result, unknown stays empty, no cell is a formula."""

import csv
import io
import json

import pytest

from distbench.compare.run import compare
from distbench.errors import UsageError
from distbench.exports.csv_rows import CSV, csv_text, harmless
from distbench.exports.json_document import json_text
from distbench.exports.parquet_rows import Parquet, arrow_table
from distbench.exports.rows import utf8
from distbench.protocols.export import Source
from distbench.report.visible import visible
from distbench.schema.result import Result
from distbench.tables import TABLES
from tests.compare.records import ACC, rows, run_of
from tests.exports.conftest import FORMULAS, NASTY

READ = {"number": float, "whole": int, "flag": {"true": True, "false": False}.__getitem__}
LEADING = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def read_back(text, table):
    header, *lines = csv.reader(io.StringIO(text, newline=""))
    kinds = {column.name: column.kind for column in table.columns}
    assert header == [column.name for column in table.columns]
    return [
        {
            name: cell if kinds[name] == "text" else None if cell == "" else READ[kinds[name]](cell)
            for name, cell in zip(header, line, strict=True)
        }
        for line in lines
    ]


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("which", ["synthetic", "hostile"])
def test_csv_reads_back_as_the_result(request, which, name):
    result = request.getfixturevalue(which)
    table = TABLES[name]
    found, wanted = read_back(csv_text(table, result), table), table.rows(result)
    assert len(found) == len(wanted)
    for got, want in zip(found, wanted, strict=True):
        for column in table.columns:
            value = want[column.name]
            if column.kind == "text":
                assert got[column.name] == ("" if value is None else harmless(str(value)))
                assert not got[column.name].startswith(LEADING)
                assert got[column.name].isprintable() or "\n" in got[column.name]
            else:
                assert got[column.name] == value  # floats bit for bit; None is an empty cell, never 0


def test_csv_of_one_known_row(synthetic):
    found = read_back(csv_text(TABLES["tasks"], synthetic), TABLES["tasks"])
    (row,) = [each for each in found if (each["student"], each["task"]) == ("depth-12", "topic")]
    assert (row["retained"], row["retained_lo"], row["n"], row["verdict"]) == (0.346, 0.346 - 0.03, 600, "FAIL")
    (silent,) = [each for each in found if (each["student"], each["task"]) == ("depth-12", "riddles")]
    assert silent["retained"] is None
    assert "chance" in silent["retained_reason"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_neutralised_in_texts_only(text):
    assert harmless(text).startswith("'")
    assert harmless("a" + text) == visible("a" + text)
    assert "-0.018" in csv_text(TABLES["calibration"], calibrated())


def calibrated() -> Result:
    from tests.report.made.results import result_of
    from tests.report.made.students import five_students

    return result_of(five_students())


def test_csv_all_writes_the_tables_that_have_rows(synthetic, tmp_path):
    made = CSV(CSV.Options(table="all", bom=True)).export(Source(synthetic), tmp_path / "t")
    assert {path.stem for path in made.files} == {name for name, table in TABLES.items() if table.rows(synthetic)}
    assert made.files[0].read_bytes().startswith(b"\xef\xbb\xbf")
    with pytest.raises(UsageError, match="did you mean 'tasks'"):
        CSV(CSV.Options(table="taks"))


@pytest.mark.parametrize("which", ["synthetic", "hostile"])
def test_parquet_reads_back_as_the_result(request, which, tmp_path):
    import pyarrow.parquet as pq

    result = request.getfixturevalue(which)
    made = Parquet(Parquet.Options()).export(Source(result), tmp_path / "all")
    assert {path.stem for path in made.files} == {name for name, table in TABLES.items() if table.rows(result)}
    for path in made.files:
        table = TABLES[path.stem]
        read = pq.read_table(path)
        wanted = [
            {name: utf8(value) if isinstance(value, str) else value for name, value in row.items()}
            for row in table.rows(result)
        ]
        assert read.to_pylist() == wanted
        for column in table.columns:
            assert read.schema.field(column.name).metadata[b"meaning"].decode() == column.meaning
    kinds = {str(field.type) for field in arrow_table(TABLES["tasks"], result).schema}
    assert kinds == {"string", "double", "int64", "bool"}


def test_parquet_of_one_table_is_one_file(synthetic, tmp_path):
    import pyarrow.parquet as pq

    made = Parquet(Parquet.Options(table="gate")).export(Source(synthetic), tmp_path / "g.parquet")
    assert pq.read_table(made.files[0]).num_rows == len(TABLES["gate"].rows(synthetic)) > 0
    with pytest.raises(UsageError, match="run directory"):
        Parquet(Parquet.Options(samples=True)).export(Source(synthetic), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_parquet_holds_every_sample_of_every_model(tmp_path):
    import pyarrow.parquet as pq

    scores = {"teacher": [1.0, 1.0, 0.0, None], "student": [1.0, 0.0, 0.0, 1.0]}
    recorded = {name: {"t": (rows(values), [ACC])} for name, values in scores.items()}
    run = run_of(tmp_path / "run", recorded)
    made = Parquet(Parquet.Options(samples=True)).export(Source(compare(run), run.path), tmp_path / "out")
    read = pq.read_table(made.files[-1]).to_pylist()
    assert [(row["model"], row["role"], row["score"]) for row in read] == [
        (name, name, score) for name, values in scores.items() for score in values
    ]
    assert read[3]["status"] == "error"
    assert read[0]["prompt"] == "question 0"


def test_csv_holds_every_sample_of_every_model(tmp_path):
    scores = {"teacher": [1.0, 1.0, 0.0, None], "student": [1.0, 0.0, 0.0, 1.0]}
    recorded = {name: {"t": (rows(values), [ACC])} for name, values in scores.items()}
    run = run_of(tmp_path / "run", recorded)
    result = compare(run)
    made = CSV(CSV.Options(table="all", samples=True)).export(Source(result, run.path), tmp_path / "out")
    assert made.files[-1].name == "samples.csv"
    read = list(csv.DictReader(made.files[-1].open(encoding="utf-8", newline="")))
    assert [(row["model"], row["score"]) for row in read] == [
        (name, "" if score is None else repr(score)) for name, values in scores.items() for score in values
    ]
    assert read[0]["prompt"] == "question 0"
    with pytest.raises(UsageError, match="run directory"):
        CSV(CSV.Options(table="all", samples=True)).export(Source(result), tmp_path / "s")
    with pytest.raises(UsageError, match="table=all"):
        CSV(CSV.Options(samples=True))
    assert not (tmp_path / "s").exists()


def test_json_is_the_result(synthetic, hostile):
    text = json_text(synthetic)
    assert list(json.loads(text)) == list(Result.model_fields)
    assert Result.model_validate_json(json_text(hostile)).verdict == hostile.verdict
    assert json_text(Result.model_validate_json(text)) == text
    assert "⟨U+D800⟩" in text  # a lone surrogate: no other JSON parser would take it
    assert json.loads(json_text(hostile))["students"][0]["label"] == utf8(hostile.students[0].label)


def test_the_nasty_text_is_nasty():
    with pytest.raises(UnicodeEncodeError):
        NASTY.encode()
