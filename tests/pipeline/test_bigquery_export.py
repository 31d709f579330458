"""BigQueryExampleGen over the wire: Beam's own client runs the query, exports its result to Cloud Storage, and reads that."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import fastavro
import pytest
import tensorflow as tf
from fake_google import FakeGoogle, Raw, error

from pipeline import lean_imports

QUERY = "SELECT * FROM rides.today"
BASE = "/bigquery/v2/projects/my-project"
TYPES = {"fare": "FLOAT", "payment": "STRING", "tipped": "INTEGER"}
AVRO = {"FLOAT": "double", "STRING": "string", "INTEGER": "long"}
ROWS = [{"fare": 1.5 * i, "payment": "cash" if i % 2 else None, "tipped": i % 2} for i in range(40)]
SCHEMA = {"fields": [{"name": name, "type": kind, "mode": "NULLABLE"} for name, kind in TYPES.items()]}


class BigQuery:
    """Runs any query to the same rows; keeps what was made of datasets, jobs and objects."""

    def __init__(self, google: FakeGoogle):
        self.google, self.queries, self.datasets, self.deleted, self.objects = google, [], set(), [], {}
        google.answers = {f"POST {BASE}/jobs": self._insert, f"POST {BASE}/queries": self._insert_query}
        google.answers[f"POST {BASE}/datasets"] = self._insert_dataset
        google.answers["GET /storage/v1/b/my-bucket/o"] = self._list
        google.answers["POST /batch/storage/v1"] = self._delete
        google.answers["GET /storage/v1/b/my-bucket"] = (200, {"name": "my-bucket", "projectNumber": "1"})

    def _insert_query(self, query: Any, headers: Any, body: Any) -> tuple[int, Any]:
        self.queries.append(body["query"])
        return 200, self._result("direct")

    def _result(self, identity: str) -> dict[str, Any]:
        reference = {"projectId": "my-project", "jobId": identity, "location": "EU"}
        return {"jobComplete": True, "schema": SCHEMA, "totalRows": "0", "rows": [], "jobReference": reference}

    def _insert(self, query: Any, headers: Any, job: Any) -> tuple[int, Any]:
        what = job["configuration"]
        identity = job["jobReference"]["jobId"]
        done = {**job, "id": f"my-project:{identity}", "status": {"state": "DONE"}, "statistics": {}}
        if "extract" in what:
            self._extract(what["extract"])
        else:
            self.queries.append(what["query"]["query"])
            source = {"projectId": "my-project", "datasetId": "rides", "tableId": "today"}
            done["statistics"] = {"totalBytesProcessed": "100", "query": {"referencedTables": [source], "schema": SCHEMA}}
            self._table(source)
            if target := what["query"].get("destinationTable"):
                assert target["datasetId"] in self.datasets
                self._table(target)
        self.google.answers[f"GET {BASE}/jobs/{identity}"] = (200, done)
        self.google.answers[f"GET {BASE}/queries/{identity}"] = (200, done | self._result(identity))
        return 200, done

    def _table(self, reference: Mapping[str, str]) -> None:
        path = f"{BASE}/datasets/{reference['datasetId']}/tables/{reference['tableId']}"
        table = {"tableReference": reference, "schema": SCHEMA, "numBytes": "100", "location": "EU"}
        self.google.answers[f"GET {path}"] = (200, table)

    def _insert_dataset(self, query: Any, headers: Any, body: Any) -> tuple[int, Any]:
        name = body["datasetReference"]["datasetId"]
        assert body["location"] == "EU"  # where the tables are
        self.datasets.add(name)
        self.google.answers[f"GET {BASE}/datasets/{name}"] = (200, body)
        self.google.answers[f"DELETE {BASE}/datasets/{name}"] = lambda *_: (self.deleted.append(name), (200, {}))[1]
        return 200, body

    def _extract(self, what: Mapping[str, Any]) -> None:
        """Write the rows in two files below the place that is asked for."""
        assert what["destinationFormat"] == "AVRO"
        fields = [{"name": name, "type": ["null", AVRO[kind]]} for name, kind in TYPES.items()]
        (place,) = what["destinationUris"]
        for number, rows in enumerate((ROWS[:25], ROWS[25:])):
            file = io.BytesIO()
            fastavro.writer(file, {"type": "record", "name": "Root", "fields": fields}, rows)
            name = place.removeprefix("gs://my-bucket/").replace("*", f"{number:012d}")
            self._put(name, file.getvalue())

    def _put(self, name: str, content: bytes) -> None:
        record = {
            "name": name,
            "bucket": "my-bucket",
            "size": str(len(content)),
            "updated": "2024-01-31T12:00:00Z",
            "generation": "1",
        }
        self.objects[name] = record
        quoted = name.replace("/", "%2F")
        self.google.answers[f"GET /storage/v1/b/my-bucket/o/{quoted}"] = (200, record)
        removed = (204, Raw(b"", ""))
        self.google.answers[f"DELETE /storage/v1/b/my-bucket/o/{quoted}"] = lambda *_: (self.objects.pop(name), removed)[1]
        self.google.answers[f"GET /download/storage/v1/b/my-bucket/o/{quoted}"] = lambda query, headers, body: part(
            content, headers.get("range", "")
        )

    def _delete(self, query: Any, headers: Any, body: bytes) -> tuple[int, Any]:
        """Answer several deletions at once, each as a part of its own."""
        names = [unquote(name) for name in re.findall(r"DELETE \S*/storage/v1/b/my-bucket/o/([^\s?]+)", body.decode())]
        assert all(self.objects.pop(name, None) for name in names)
        one = "--part\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n\r\n"
        return 200, Raw(f"{one * len(names)}--part--".encode(), "multipart/mixed; boundary=part")

    def _list(self, query: Mapping[str, list[str]], headers: Any, body: Any) -> tuple[int, Any]:
        (prefix,) = query["prefix"]
        return 200, {"items": [record for name, record in self.objects.items() if name.startswith(prefix)]}


def part(content: bytes, asked: str) -> tuple[int, Any]:
    if not asked:
        return 200, Raw(content, "application/octet-stream")
    first, last = re.fullmatch(r"bytes=(\d+)-(\d*)", asked).groups()
    if int(first) >= len(content):
        return error(416, "Beyond the end.")
    return 206, Raw(content[int(first) : int(last) + 1 if last else None], "application/octet-stream")


@pytest.fixture
def bigquery(google: FakeGoogle, monkeypatch: pytest.MonkeyPatch) -> BigQuery:
    """A service that Google's clients ask, and Beam's: they have switches for it but the one that apitools made."""
    lean_imports.install()
    from apache_beam.internal.gcp import auth
    from apache_beam.io.gcp.internal.clients.bigquery import BigqueryV2

    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", google.url)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", google.url)
    monkeypatch.setattr(BigqueryV2, "BASE_URL", f"{google.url}/bigquery/v2/")
    monkeypatch.setattr(auth._Credentials, "_credentials_init", False)
    return BigQuery(google)


def test_rows_of_a_query_become_examples_by_way_of_an_export(bigquery: BigQuery, tmp_path: Path) -> None:
    from tfx.types import standard_artifacts

    from pipeline.components.bigquery import example_gen
    from pipeline.data_config import BigQueryData

    data = BigQueryData(kind="bigquery", query=QUERY, project="my-project", temp_location="gs://my-bucket/tmp")
    component = example_gen(data)
    executor_class = component.executor_spec.executor_class
    arguments = ["--runner=DirectRunner", *component.executor_spec.beam_pipeline_args]
    assert "--temp_location=gs://my-bucket/tmp" in arguments
    context = executor_class.Context(beam_pipeline_args=arguments, unique_id="1", tmp_dir=str(tmp_path / "tmp"))
    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path / "examples")
    executor_class(context).Do({}, {"examples": [examples]}, dict(component.exec_properties))

    found = [
        tf.train.Example.FromString(record.numpy())
        for split in ("train", "eval")
        for record in tf.data.TFRecordDataset(
            sorted(map(str, (tmp_path / "examples" / f"Split-{split}").iterdir())), compression_type="GZIP"
        )
    ]
    assert sorted(map(row_of, found), key=lambda row: row["fare"]) == ROWS
    assert all(any((tmp_path / "examples" / f"Split-{split}").iterdir()) for split in ("train", "eval"))
    assert set(bigquery.queries) == {QUERY, f"SELECT * FROM ({QUERY}) LIMIT 0"}
    # What was made for the export is gone again.
    assert bigquery.objects == {}
    assert bigquery.deleted
    assert set(bigquery.deleted) == bigquery.datasets


def row_of(example: tf.train.Example) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        values = list(getattr(feature, kind).value) if kind else [None]
        row[name] = values[0].decode() if isinstance(values[0], bytes) else values[0]
    return row
