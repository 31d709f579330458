"""The command, on models whose scores can be worked out by hand."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.predicting import rows as scored_rows
from pipeline.predicting.command import PredictOptions, predict

ROWS = {
    "id": ["a-1", "a-2", "a-3", "a-4"],
    "amount": [1.5, None, 3.0, 4.0],
    "area": [2, 1, None, 0],
    "word": ["x,\ny", "abc", None, 'q"'],
}
# amount, or -1; 100 * area, or 0; 10,000 * bytes of word
PREDICTIONS = [1.5 + 200 + 40_000, -1 + 100 + 30_000, 3.0, 4.0 + 20_000]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd) -> Run:
    """Run the command: exit code, what it printed, what it complained of."""

    def call(model: Path, rows: Path, output: object, **more: Any) -> tuple[int, str, str]:
        capfd.readouterr()  # what fixtures printed
        code = predict(PredictOptions(str(model), str(rows), str(output), **more))
        return code, *capfd.readouterr()

    return call


def write(path: Path, columns: dict[str, Sequence[Any]]) -> Path:
    """Write a table as the name of a file says."""
    table = pa.table(columns)
    if path.suffix == ".parquet":
        parquet.write_table(table, path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in table.to_pylist()))
    else:
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([columns, *zip(*columns.values(), strict=True)])
    return path


def read(path: Path) -> dict[str, list[Any]]:
    """Read an output; of CSV all values are text."""
    if path.suffix == ".parquet":
        return parquet.read_table(path).to_pydict()
    if path.suffix == ".jsonl":
        found = [json.loads(line) for line in path.read_text().splitlines()]
    else:
        with path.open(newline="") as file:
            found = list(csv.DictReader(file))
    return {name: [row[name] for row in found] for name in found[0]}


@pytest.mark.parametrize("rows", ["rows.csv", "rows.parquet", "rows.jsonl"])
@pytest.mark.parametrize("output", ["s.csv", "s.parquet", "s.jsonl"])
def test_every_format_gives_the_same_scores(run: Run, regression: Path, tmp_path: Path, rows: str, output: str):
    code, printed, errors = run(regression, write(tmp_path / rows, ROWS), tmp_path / output, carried=["id"])
    assert (code, errors) == (0, "")
    found = read(tmp_path / output)
    assert list(found) == ["id", "prediction"]
    assert found["id"] == ROWS["id"]
    assert list(map(float, found["prediction"])) == PREDICTIONS
    first, last = printed.splitlines()
    kind = rows.partition(".")[2]
    assert first == f"SavedModel {regression}/pushed/saved_model/1, 1 {kind} file, engine direct: fastest on one machine"
    assert last.startswith("4 rows in ")
    assert last.endswith(f" rows/s): {tmp_path / output}")


def test_order_of_columns_and_further_columns_do_not_matter_nor_does_the_label(run: Run, regression: Path, tmp_path: Path):
    columns = {"label": ["?"] * 4, **dict(reversed(ROWS.items())), "lists": [[1]] * 4}
    for name in ("rows.parquet", "rows.jsonl"):
        assert run(regression, write(tmp_path / name, columns), tmp_path / "s.parquet")[0] == 0
        assert read(tmp_path / "s.parquet") == {"prediction": PREDICTIONS}


def test_classes_have_a_column_each_and_the_best_one_is_named(run: Run, multiclass: Path, tmp_path: Path):
    rows = write(tmp_path / "rows.csv", ROWS)
    assert run(multiclass, rows, tmp_path / "s.parquet")[0] == 0
    assert read(tmp_path / "s.parquet") == {
        "predicted_class": ["ant, red", "dog", "cat", "cat"],
        "score_cat": [0.125, 0.125, 0.75, 0.75],
        "score_dog": [0.125, 0.75, 0.125, 0.125],
        "score_ant, red": [0.75, 0.125, 0.125, 0.125],
    }
    assert run(multiclass, rows, tmp_path / "s.csv")[0] == 0
    assert (tmp_path / "s.csv").read_text().splitlines()[:2] == [
        '"predicted_class","score_cat","score_dog","score_ant, red"',
        '"ant, red",0.125,0.125,0.75',
    ]


def test_an_edge_package_scores_as_its_own_runner_does(run: Run, packed_package: Path, tmp_path: Path):
    rows = write(tmp_path / "rows.csv", {"c": [6, 0], "a": [3, None], "b": [2, 5], "d": ["4", ""], "n": ["x", "y"]})
    assert run(packed_package, rows, tmp_path / "s.jsonl", carried=["n"])[0] == 0
    assert read(tmp_path / "s.jsonl") == {"n": ["x", "y"], "prediction": [2357.0, 1005001.0]}


def test_rows_stay_in_order_through_many_blocks_and_files(run: Run, regression: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(scored_rows, "ROWS_PER_PART", 64)
    (tmp_path / "rows").mkdir()
    for i in range(3):
        numbers = list(range(1000 * i, 1000 * i + 1000))
        columns = {"amount": numbers, "word": [""] * 1000, "area": [""] * 1000}
        write(tmp_path / "rows" / f"{i}.csv", dict(list(columns.items())[:: 1 if i else -1]))
    assert run(regression, tmp_path / "rows", tmp_path / "s.parquet")[0] == 0
    np.testing.assert_array_equal(read(tmp_path / "s.parquet")["prediction"], np.arange(3000))


BAD = "amount,area,word,id\n1,1,x,a\n2,many,x,b\n3,1\n4,1.0,x,c\ninf,1,x,d\n"


def test_rows_that_cannot_be_scored_are_listed_and_counted(run: Run, regression: Path, tmp_path: Path):
    rows, output = tmp_path / "rows.csv", tmp_path / "s.csv"
    rows.write_text(BAD)
    code, printed, errors = run(regression, rows, output, carried=["id"], max_bad_rows=0.6)
    assert (code, errors) == (0, "")
    assert output.read_text() == '"id","prediction"\n"a",10101\n"c",10104\n'
    assert printed.splitlines()[-1] == f"3 of them could not be scored: {tmp_path}/s.quarantine.jsonl"
    assert printed.splitlines()[-2].startswith("5 rows in ")
    assert [json.loads(line) for line in (tmp_path / "s.quarantine.jsonl").read_text().splitlines()] == [
        {"file": str(rows), "row": 3, "reason": "column 'area' holds 'many', not a number (it is read as integer)"},
        {"file": str(rows), "row": 4, "reason": "2 fields, expected 4", "text": "3,1"},
        {"file": str(rows), "row": 6, "reason": "column 'amount' holds 'inf': infinite (it is read as number)"},
    ]


def test_too_many_bad_rows_leave_no_output_but_the_list(run: Run, regression: Path, tmp_path: Path):
    rows, output = tmp_path / "rows.csv", tmp_path / "s.csv"
    rows.write_text(BAD)
    code, _, errors = run(regression, rows, output)
    assert code == 1
    assert errors == (
        "3 of 5 rows cannot be scored (60.0%); --max-bad-rows allows 0.1%. rows.csv row 3: column 'area' holds 'many', not a "
        "number (it is read as integer); rows.csv row 4: 2 fields, expected 4; rows.csv row 6: column 'amount' holds 'inf': "
        f"infinite (it is read as number). All are in {tmp_path}/s.quarantine.jsonl. Mend them, or raise --max-bad-rows.\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "s.quarantine.jsonl"]


def test_a_value_that_the_model_cannot_do_without_is_asked_for(run: Run, tmp_path: Path):
    from toy_models import write_toy

    model = write_toy(tmp_path / "model", required=["area"])
    rows = write(tmp_path / "rows.csv", ROWS)
    assert run(model, rows, tmp_path / "s.csv", max_bad_rows=0.5)[0] == 0
    assert json.loads((tmp_path / "s.quarantine.jsonl").read_text()) == {
        "file": str(rows),
        "row": 4,
        "reason": "column 'area' is empty, and the model cannot do without it",
    }


def test_rows_that_an_edge_package_refuses_are_found_among_the_others(run: Run, packed_package: Path, tmp_path: Path):
    metadata = json.loads((packed_package / "metadata.json").read_text())
    (record,) = [record for record in metadata["features"] if record["feature"] == "c"]
    record |= {"kind": "categorical", "column_type": "text", "vocabulary": "vocabularies/c.txt", "vocabulary_size": 2}
    record["num_oov_buckets"] = 2
    (packed_package / "metadata.json").write_text(json.dumps(metadata))
    (packed_package / "vocabularies" / "c.txt").write_text("p\nq\n")
    values = ["p", "?", "q", "p", "!"]
    rows = write(tmp_path / "rows.csv", {"a": [0] * 5, "b": [0] * 5, "c": values, "d": [0] * 5})
    code, _, _ = run(packed_package, rows, tmp_path / "s.parquet", carried=["c"], max_bad_rows=0.5)
    assert code == 0
    assert read(tmp_path / "s.parquet") == {"c": ["p", "q", "p"], "prediction": [11.0, 12.0, 11.0]}
    bad = [json.loads(line) for line in (tmp_path / "s.quarantine.jsonl").read_text().splitlines()]
    assert [row["row"] for row in bad] == [3, 6]
    assert bad[0]["reason"].startswith("Column 'c' holds '?', unknown to vocabularies/c.txt. Expected a known value")


def test_stdout_gets_csv_and_nothing_else(run: Run, regression: Path, tmp_path: Path):
    rows = tmp_path / "rows.csv"
    rows.write_text(BAD)
    code, printed, errors = run(regression, rows, "-", carried=["id"], max_bad_rows=1)
    assert (code, printed) == (0, '"id","prediction"\n"a",10101\n"c",10104\n')
    told = errors.splitlines()
    assert told[0].endswith("engine direct: fastest on one machine")
    assert [json.loads(line)["row"] for line in told[1:4]] == [3, 4, 6]
    assert told[4].endswith(" rows/s): stdout")
    assert told[5] == "3 of them could not be scored: the lines above"


def test_an_input_without_rows_gives_an_output_without_rows(run: Run, regression: Path, tmp_path: Path):
    (tmp_path / "rows.csv").write_text("amount,area,word\n")
    assert run(regression, tmp_path / "rows.csv", tmp_path / "s.csv")[0] == 0
    assert (tmp_path / "s.csv").read_text() == '"prediction"\n'


def test_bad_usage_is_told_and_nothing_written(run: Run, regression: Path, tmp_path: Path):
    rows = write(tmp_path / "rows.csv", {"amount": [1], "area": [1]})
    code, printed, errors = run(regression, rows, tmp_path / "s.csv")
    assert (code, printed) == (2, "")
    assert errors == (f"the model reads column 'word', which is not in {rows}.\nIts columns: amount, area.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_a_file_that_ends_too_early_keeps_the_output_of_before(run: Run, regression: Path, tmp_path: Path):
    whole = write(tmp_path / "whole.csv", {name: values * 100_000 for name, values in ROWS.items()})
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(whole.read_bytes(), 1)[:-500])
    (tmp_path / "s.csv").write_text("before")
    code, _, errors = run(regression, tmp_path / "rows.csv.gz", tmp_path / "s.csv")
    assert code == 1
    assert errors.startswith(f"{tmp_path}/rows.csv.gz cannot be read: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv.gz", "s.csv", "whole.csv"]
    assert (tmp_path / "s.csv").read_text() == "before"


def test_memory_holds_only_some_blocks(run: Run, regression: Path, tmp_path: Path, monkeypatch):
    """Blocks are drawn as they are scored: never are more of them under way than the threads have work for."""
    from pipeline.ingest import csv_blocks
    from pipeline.predicting import csv_rows, direct

    drawn, scored, most = [], [], []
    blocks = csv_rows.blocks

    def counted(path, needed):
        for block in blocks(path, needed):
            drawn.append(1)
            most.append(len(drawn) - len(scored))
            yield block

    class Counting(direct.RowScorer):
        def __call__(self, block):
            result = super().__call__(block)
            scored.append(1)
            return result

    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 1 << 12)
    monkeypatch.setitem(scored_rows.FORMATS, "csv", replace(scored_rows.FORMATS["csv"], blocks=counted))
    monkeypatch.setattr(direct, "RowScorer", Counting)
    rows = write(tmp_path / "rows.csv", {name: values * 5000 for name, values in ROWS.items()})
    assert run(regression, rows, tmp_path / "s.csv")[0] == 0
    assert len(drawn) == len(scored) > 50
    assert max(most) <= 2 * 8 + 1


def test_a_package_with_a_damaged_model_fails_in_a_sentence(run: Run, packed_package: Path, tmp_path: Path):
    damaged = shutil.copytree(packed_package, tmp_path / "damaged")
    (damaged / "model.tflite").write_bytes(b"no flatbuffer")
    rows = write(tmp_path / "rows.csv", {name: [1] for name in "abcd"})
    code, _, errors = run(damaged, rows, tmp_path / "s.csv")
    assert code == 1
    assert errors.startswith(f"{damaged} cannot be loaded: ")
    assert errors.endswith(". Push the model again.\n")
    assert not (tmp_path / "s.csv").exists()


def test_a_damaged_saved_model_fails_in_a_sentence(run: Run, multiclass: Path, tmp_path: Path):
    damaged = shutil.copytree(multiclass, tmp_path / "damaged")
    (damaged / "variables" / "variables.index").write_bytes(b"no")
    code, _, errors = run(damaged, write(tmp_path / "rows.csv", ROWS), tmp_path / "s.csv")
    assert code == 1
    assert errors.startswith(f"{damaged} cannot be loaded: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged", "rows.csv"]
