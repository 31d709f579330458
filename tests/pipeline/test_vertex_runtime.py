"""The Vertex runtime file and what it says of paths and Beam."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.errors import ConfigError
from pipeline.vertex.runtime import VertexRuntime, load_runtime

VALID = {
    "project": "my-project",
    "region": "europe-west4",
    "bucket": "gs://my-bucket",
    "image": "europe-west4-docker.pkg.dev/my-project/repo/image@sha256:" + "0" * 64,
}


def load(folder: Path, **changes: object) -> VertexRuntime:
    file = folder / "runtime.yaml"
    file.write_text(yaml.safe_dump(VALID | changes))
    return load_runtime(file)


def test_example_file_is_valid(repository: Path) -> None:
    runtime = load_runtime(repository / "configs" / "runtime" / "vertex.example.yaml")
    assert runtime.push_folder("taxi") == "gs://my-project-pipelines/taxi/pushed"


@pytest.mark.parametrize("image", ["repo/image", "repo/image:latest", "host:5000/repo/image"])
def test_mutable_image_is_refused(tmp_path: Path, image: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, image=image)
    assert str(caught.value) == (
        f"{tmp_path}/runtime.yaml: image: '{image}' is mutable: Vertex would reuse old results. "
        "Name a digest (@sha256:...) or a source tag."
    )


@pytest.mark.parametrize("image", ["host:5000/repo/image:source-12ab", VALID["image"]])
def test_pinned_image_is_taken(tmp_path: Path, image: str) -> None:
    assert load(tmp_path, image=image).image == image


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"regoin": "x"}, "regoin: unknown key 'regoin'. Did you mean 'region'?"),
        ({"bucket": "my-bucket"}, "bucket: string should match pattern"),
        ({"project": None}, "project: input should be a valid string, found None."),
    ],
)
def test_mistake_names_its_place(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=r"runtime\.yaml: ") as caught:
        load(tmp_path, **changes)
    assert message in str(caught.value)


def test_missing_file_says_what_to_copy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_runtime(tmp_path / "none.yaml")
    expected = f"{tmp_path}/none.yaml does not exist. Copy configs/runtime/vertex.example.yaml and fill it in."
    assert str(caught.value) == expected


def test_data_of_this_machine_is_refused_and_others_found(tmp_path: Path) -> None:
    runtime = load(tmp_path, site_packages="/opt/packages")
    assert runtime.data_path("gs://data/rows.csv") == "gs://data/rows.csv"
    assert runtime.data_path("package://tfx/rows.csv") == "/opt/packages/tfx/rows.csv"
    with pytest.raises(ConfigError) as caught:
        runtime.data_path("data/rows.csv")
    expected = (
        "data.path: 'data/rows.csv' lies on this machine, out of Vertex's reach. Copy it to gs://my-bucket and name that."
    )
    assert str(caught.value) == expected


def test_dataflow_gets_its_workers_and_account(tmp_path: Path) -> None:
    runtime = load(tmp_path, dataflow={"max_workers": 9}, service_account="me@my-project.iam.gserviceaccount.com")
    args = runtime.pipeline("taxi", []).beam_pipeline_args
    assert "--runner=DataflowRunner" in args
    assert "--max_num_workers=9" in args
    assert "--service_account_email=me@my-project.iam.gserviceaccount.com" in args
    assert load(tmp_path).pipeline("taxi", []).beam_pipeline_args[0] == "--runner=DirectRunner"


@pytest.mark.parametrize("bucket", ["gs://my-bucket/", "gs://my-bucket/folder", "gs://My-Bucket", "s3://my-bucket"])
def test_bucket_of_another_form_is_refused(tmp_path: Path, bucket: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, bucket=bucket)
    pattern = "^gs://[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$"
    assert str(caught.value) == f"{tmp_path}/runtime.yaml: bucket: string should match pattern '{pattern}', found '{bucket}'."


@pytest.mark.parametrize(
    ("dataflow", "message"),
    [
        ({"max_worker": 3}, "dataflow.max_worker: unknown key 'max_worker'. Did you mean 'max_workers'?"),
        ({"max_workers": 0}, "dataflow.max_workers: input should be greater than or equal to 1, found 0."),
    ],
)
def test_mistake_inside_dataflow_names_its_place(tmp_path: Path, dataflow: dict, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, dataflow=dataflow)
    assert str(caught.value) == f"{tmp_path}/runtime.yaml: {message}"


def test_folder_of_packages_may_end_in_a_slash(tmp_path: Path) -> None:
    assert load(tmp_path, site_packages="/opt/packages/").data_path("package://tfx/a/b.csv") == "/opt/packages/tfx/a/b.csv"


def test_dataflow_arguments_are_complete_and_name_the_same_image(tmp_path: Path) -> None:
    dataflow = {"machine_type": "n2-standard-2", "max_workers": 3, "disk_size_gb": 20}
    assert load(tmp_path, dataflow=dataflow).pipeline("taxi", []).beam_pipeline_args == [
        "--runner=DataflowRunner",
        "--project=my-project",
        "--region=europe-west4",
        "--temp_location=gs://my-bucket/dataflow",
        f"--sdk_container_image={VALID['image']}",
        "--experiments=use_runner_v2",
        "--worker_machine_type=n2-standard-2",
        "--max_num_workers=3",
        "--disk_size_gb=20",
    ]
