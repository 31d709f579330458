"""Which files were read: their size, sha256 and rows."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
from pathlib import Path

import pytest
import tensorflow as tf

from pipeline.ingest.data_files import DataFile, FileDigests, identified, total_digest

ROWS = "x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(20))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_rows_are_counted_by_file_with_the_unusable_ones(tmp_path: Path, ingest_files):
    first, second, none = (tmp_path / f"{name}.csv" for name in "abc")
    first.write_text(ROWS)
    second.write_text(ROWS + "1\n5,1\n")
    none.write_text("x,y\n")
    report = ingest_files("csv", first, second, none, max_bad_rows=0.5).report
    assert report.num_quarantined == 1
    assert report.files == [DataFile(str(first), 20), DataFile(str(second), 22), DataFile(str(none), 0)]


def test_digests_that_were_computed_once_are_found_again_in_the_order_of_reading(tmp_path: Path):
    for name in ("b/2.csv", "b/1.csv", "other.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    digests = FileDigests.from_json(FileDigests.of(str(tmp_path), "b/*.csv").to_json())
    read = [DataFile(str(tmp_path / "b" / f"{i}.csv"), rows=i) for i in (1, 2)]
    files = identified([*read, DataFile(str(tmp_path / "other.txt"), 3)], digests)
    assert [(file.rows, file.size_bytes, file.sha256) for file in files] == [
        (1, 7, sha256(tmp_path / "b" / "1.csv")),
        (2, 7, sha256(tmp_path / "b" / "2.csv")),
        (3, 9, None),
    ]
    assert files[0].modified is not None
    assert files[0].modified.endswith("Z")


def test_digests_do_not_depend_on_the_pattern_or_on_names_but_on_what_is_read_first(tmp_path: Path):
    (tmp_path / "a.csv").write_text("1")
    (tmp_path / "b.csv").write_text("2")
    before = FileDigests.of(str(tmp_path), "*.csv").to_json()
    assert FileDigests.of(str(tmp_path), "[ba].csv").to_json() == before
    (tmp_path / "b.csv").rename(tmp_path / "c.csv")
    assert FileDigests.of(str(tmp_path), "*.csv").to_json() == before
    (tmp_path / "a.csv").rename(tmp_path / "d.csv")
    assert FileDigests.of(str(tmp_path), "*.csv").to_json() != before


def test_total_is_what_sha256sum_gives(tmp_path: Path):
    (tmp_path / "a.csv").write_text(ROWS)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(ROWS.encode()))
    read = [DataFile(str(tmp_path / name), 20) for name in ("b.csv.gz", "a.csv")]
    files = identified(sorted(read, key=lambda file: file.path), FileDigests.of(str(tmp_path), "*"))
    told = subprocess.run("sha256sum * | sha256sum", shell=True, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stdout.split()[0] == total_digest(files, str(tmp_path))


def test_file_that_changed_since_has_no_digest_and_neither_have_all(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text(ROWS)
    digests = FileDigests.of(str(tmp_path), "*.csv")
    path.write_text(ROWS + "7,1\n")
    files = identified([DataFile(str(path), 21)], digests)
    assert (files[0].size_bytes, files[0].sha256) == (path.stat().st_size, None)
    assert total_digest(files, str(tmp_path)) is None
    assert total_digest([], str(tmp_path)) is None


@pytest.fixture
def remote_folder():
    folder = "ram://data-files-test"
    tf.io.gfile.makedirs(folder)
    yield folder
    tf.io.gfile.rmtree(folder)


def test_remote_file_has_the_size_its_file_system_tells_and_no_digest(remote_folder: str):
    with tf.io.gfile.GFile(f"{remote_folder}/a.csv", "w") as file:
        file.write(ROWS)
    (file,) = identified([DataFile(f"{remote_folder}/a.csv", 20)], FileDigests())
    assert (file.rows, file.size_bytes, file.sha256) == (20, len(ROWS), None)
