"""What the doctor says of quota: what is asked for, under which name, and what is said where the name is not confirmed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cloud_set_up import look
from fake_google import ACCOUNT, FakeGoogle, error

from pipeline.config import PipelineConfig, load_config
from pipeline.doctor.demand import demand
from pipeline.doctor.quota import limit_in
from pipeline.doctor.quota_metrics import ACCELERATORS, CPUS, family_of
from pipeline.vertex.catalogue import accelerators, is_tpu, machine_types
from pipeline.vertex.runtime import VertexRuntime

T4 = {"machine_type": "n1-standard-16", "accelerator": {"type": "NVIDIA_TESLA_T4", "count": 2}}
GPUS = {"accelerators": "gpu", "training": {"chief": T4, "workers": T4 | {"count": 3}}}
STAGES = {"default": {"machine_type": "e2-standard-4"}, "Compressor": {"machine_type": "e2-standard-32"}}
TRIALS = {"service": "vizier", "parallel_trials": 5, "trial": {"machine_type": "e2-standard-8"}}


def metric(device: str) -> str:
    quoted = f"aiplatform.googleapis.com%2Fcustom_model_training_{device}"
    return f"GET /v1beta1/projects/my-project/services/aiplatform.googleapis.com/consumerQuotaMetrics/{quoted}"


def limits(**by_region: int) -> dict[str, Any]:
    buckets = [
        {"effectiveLimit": str(value), **({"dimensions": {"region": name.replace("_", "-")}} if name != "default" else {})}
        for name, value in by_region.items()
    ]
    return {"consumerQuotaLimits": [{"unit": "1/{project}/{region}", "quotaBuckets": buckets}]}


def of(config: PipelineConfig | None = None, **fields: Any) -> dict[str, int]:
    base = {"project": "my-project", "region": "europe-west4", "bucket": "gs://my-bucket", "image": "a/b:source-1"}
    return dict(demand(VertexRuntime.model_validate(base | fields), config))


def test_quota_of_all_machines_that_run_at_the_same_time(google: FakeGoogle, tmp_path: Path) -> None:
    google.answers |= {
        metric("cpus"): (200, limits(default=20, europe_west4=450)),
        metric("nvidia_t4_gpus"): (200, limits(default=0, europe_west4=4)),
    }
    enough, few = look(google, tmp_path, "quota", **GPUS)
    assert (enough.state, enough.found) == ("ok", "europe-west4 allows 450 of cpus, a job needs 64 at a time")
    assert (few.state, few.found) == ("problem", "europe-west4 allows 4 of nvidia_t4_gpus, a job needs 8 at a time.")
    assert "https://console.cloud.google.com/iam-admin/quotas?project=my-project" in few.cure
    google.answers[metric("nvidia_t4_gpus")] = (200, limits(default=-1))
    assert look(google, tmp_path, "quota", **GPUS)[1].found.startswith("europe-west4 allows any number of nvidia_t4_gpus")


def test_quota_that_cannot_be_told_is_a_warning(google: FakeGoogle, tmp_path: Path) -> None:
    google.answers[metric("cpus")] = error(403, "Denied.")
    first, second = look(google, tmp_path, "quota", **GPUS)
    assert (first.state, first.found.endswith("cannot be told: HTTP 403: Denied.")) == ("warning", True)
    assert f"--member=serviceAccount:{ACCOUNT} --role=roles/serviceusage.serviceUsageViewer" in first.cure
    assert second.state == "warning"
    google.answers[metric("cpus")] = (200, {"consumerQuotaLimits": [{"unit": "1/min/{project}"}]})
    assert "it has no limit for europe-west4" in look(google, tmp_path, "quota", **GPUS)[0].found


def test_a_name_that_no_page_confirms_is_said_to_be_so(google: FakeGoogle, tmp_path: Path) -> None:
    h200 = {"accelerators": "gpu", "training": {"chief": {"machine_type": "a3-ultragpu-8g"}}}
    unknown, _, _ = look(google, tmp_path, "quota", **h200)
    assert unknown.state == "warning"
    assert unknown.found == (
        "Not checked: the quota of a3_cpus. The name aiplatform.googleapis.com/custom_model_training_a3_cpus is not confirmed "
        "by any page; HTTP 404: Not found."
    )
    google.answers[metric("nvidia_h200_gpus")] = (200, limits(default=0))
    _, _, few = look(google, tmp_path, "quota", **h200)
    assert (few.state, few.found) == (
        "problem",
        "europe-west4 allows 0 of nvidia_h200_gpus, a job needs 8 at a time; that this metric counts them is not confirmed by "
        "any page of Google's.",
    )


def test_demand_is_that_of_the_hungriest_part() -> None:
    assert of() == {"cpus": 4}  # Vertex AI's default for a task, e2-standard-4
    assert of(stages=STAGES) == {"cpus": 32}
    assert of(stages=STAGES, **GPUS) == {"cpus": 64, "nvidia_t4_gpus": 8}
    spot = {"chief": T4, "evaluator": {"machine_type": "e2-standard-4"}, "spot": True}
    assert of(accelerators="gpu", training=spot) == {"cpus": 4, "preemptible_cpus": 20, "preemptible_nvidia_t4_gpus": 2}


def test_chips_of_a_tpu_machine_are_counted_and_its_cpus_are_not() -> None:
    tpu = {"machine_type": "ct5lp-hightpu-4t", "tpu_topology": "2x2"}
    assert of(accelerators="tpu", training={"chief": tpu}) == {"cpus": 4, "tpu_v5e": 4}
    assert of(accelerators="tpu", training={"chief": tpu, "spot": True})["preemptible_tpu_v5e"] == 4
    newer = {"machine_type": "ct6e-standard-8t", "tpu_topology": "2x4"}
    assert of(accelerators="tpu", stages={"Trainer": newer}) == {"cpus": 4, "tpu_v6e": 8}


def test_cpus_of_reduction_servers_are_counted() -> None:
    training = GPUS["training"] | {"reduction_server": {"count": 4, "machine_type": "n1-highcpu-16"}}  # type: ignore[operator]
    assert of(accelerators="gpu", training=training) == {"cpus": 4 * 16 + 4 * 16, "nvidia_t4_gpus": 8}
    assert of(accelerators="gpu", training=training | {"spot": True})["preemptible_cpus"] == 128


@pytest.mark.parametrize(
    ("machine_type", "devices"),
    [
        ("n2-standard-16", {"n2_cpus": 16}),
        ("n2d-standard-16", {"n2d_cpus": 16}),
        ("c2-standard-8", {"c2_cpus": 8}),
        ("c2d-highmem-8", {"c2d_cpus": 8}),
        ("c3-standard-22", {"c3_cpus": 22}),
        ("g2-standard-24", {"g2_cpus": 24, "nvidia_l4_gpus": 2}),
        ("a2-highgpu-2g", {"a2_cpus": 24, "nvidia_a100_gpus": 2}),
        ("a2-ultragpu-1g", {"a2_cpus": 12, "nvidia_a100_80gb_gpus": 1}),
        ("a3-highgpu-8g", {"a3_cpus": 208, "nvidia_h100_gpus": 8}),
        ("a3-megagpu-8g", {"a3_cpus": 208, "nvidia_h100_mega_gpus": 8}),
        ("a3-ultragpu-8g", {"a3_cpus": 224, "nvidia_h200_gpus": 8}),
    ],
)
def test_each_family_and_accelerator_has_a_metric_of_its_own(machine_type: str, devices: dict[str, int]) -> None:
    rented: dict[str, Any] = {"accelerators": "gpu", "stages": STAGES, "training": {"chief": {"machine_type": machine_type}}}
    assert of(**rented) == {"cpus": 32} | devices
    rented["training"]["spot"] = True
    assert of(**rented) == {"cpus": 32} | {f"preemptible_{device}": number for device, number in devices.items()}


def test_every_machine_of_the_catalogue_has_a_metric() -> None:
    plain = [name for name in machine_types() if not is_tpu(name)]
    assert {family_of(name) for name in plain} == set(CPUS)
    tpus = {str(shape.accelerator) for name, shape in machine_types().items() if is_tpu(name)}
    assert set(accelerators()) | tpus == set(ACCELERATORS)


def test_a_task_may_get_a_machine_of_another_family_than_a_job(google: FakeGoogle, tmp_path: Path) -> None:
    """A task asks for CPUs and memory, and Vertex AI chooses; a stage with a disk is a custom job on just that machine."""
    google.answers |= {metric("n2_cpus"): (200, limits(default=4)), metric("cpus"): (200, limits(default=40))}
    n2 = {"machine_type": "n2-standard-8"}
    _, found = look(google, tmp_path, "quota", stages={"Trainer": n2})
    assert found.state == "warning"
    assert found.found == (
        "europe-west4 allows 4 of n2_cpus, a job needs 8 at a time. A task asks for CPUs and memory, so that Vertex AI may "
        "give it a machine of another family."
    )
    _, found = look(google, tmp_path, "quota", stages={"Trainer": n2 | {"disk": {}}})
    assert (found.state, found.found) == ("problem", "europe-west4 allows 4 of n2_cpus, a job needs 8 at a time.")


def test_trials_are_those_of_the_config_and_one_with_its_own_values(repository: Path) -> None:
    assert of(stages=STAGES, tuning=TRIALS) == {"cpus": 6 * 8}
    config = load_config(repository / "configs" / "taxi.yaml")
    assert config.tuner is None
    assert of(config, stages=STAGES, tuning=TRIALS) == {"cpus": 32}

    def searching(**values: Any) -> PipelineConfig:
        from models.tuning.config import TunerConfig

        return config.model_copy(update={"tuner": TunerConfig.model_validate(values)})

    assert of(searching(budget={"trials": 20}), stages=STAGES, tuning=TRIALS) == {"cpus": 6 * 8}
    assert of(searching(budget={"trials": 20}, workers=9), stages=STAGES, tuning=TRIALS) == {"cpus": 10 * 8}
    assert of(searching(budget={"trials": 4}), stages=STAGES, tuning=TRIALS) == {"cpus": 5 * 8}


def test_limit_of_a_region() -> None:
    assert limit_in({}, "europe-west4") is None
    zonal = {"dimensions": {"zone": "europe-west4-a"}, "effectiveLimit": "7"}
    unit = {"unit": "1/{project}/{region}", "quotaBuckets": [zonal]}
    assert limit_in({"consumerQuotaLimits": [unit]}, "europe-west4") is None
    zero = {"dimensions": {"region": "europe-west4"}}
    assert limit_in({"consumerQuotaLimits": [unit | {"quotaBuckets": [zero]}]}, "europe-west4") == 0
