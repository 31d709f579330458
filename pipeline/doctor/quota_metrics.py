"""Names of Vertex AI's quota metrics for custom training.

Each is `aiplatform.googleapis.com/custom_model_training_DEVICE`, with `preemptible_` before the device on spot machines. CPUs
are counted by family of machine; N1 and E2 share one metric. GPUs and TPU chips are counted by model, whose name here is
shorter than the API's name of the accelerator. No page lists them all. Those in CONFIRMED were seen, letter by letter, in
messages of the service or in what Google publishes: https://github.com/GoogleCloudPlatform/vertex-ai-samples
(notebook_util/common_util.py and vertex-distributed-training/a3mega),
https://github.com/GoogleCloudPlatform/training-data-analyst/issues/2457. The others follow the same pattern, and whoever asks
for one has to say so.
"""

from __future__ import annotations

from collections.abc import Mapping

SERVICE = "aiplatform.googleapis.com"
# {accelerator of the catalogue: device}
ACCELERATORS: Mapping[str, str] = {
    "NVIDIA_TESLA_T4": "nvidia_t4_gpus",
    "NVIDIA_TESLA_P4": "nvidia_p4_gpus",
    "NVIDIA_TESLA_P100": "nvidia_p100_gpus",
    "NVIDIA_TESLA_V100": "nvidia_v100_gpus",
    "NVIDIA_L4": "nvidia_l4_gpus",
    "NVIDIA_TESLA_A100": "nvidia_a100_gpus",
    "NVIDIA_A100_80GB": "nvidia_a100_80gb_gpus",
    "NVIDIA_H100_80GB": "nvidia_h100_gpus",
    "NVIDIA_H100_MEGA_80GB": "nvidia_h100_mega_gpus",
    "NVIDIA_H200_141GB": "nvidia_h200_gpus",
    "TPU v5e": "tpu_v5e",
    "TPU v6e": "tpu_v6e",
}
# {family of machines: device}
CPUS: Mapping[str, str] = {
    "e2": "cpus",
    "n1": "cpus",
    "n2": "n2_cpus",
    "n2d": "n2d_cpus",
    "c2": "c2_cpus",
    "c2d": "c2d_cpus",
    "c3": "c3_cpus",
    "g2": "g2_cpus",
    "a2": "a2_cpus",
    "a3": "a3_cpus",
}
CONFIRMED = frozenset(
    {
        "cpus",
        "n2_cpus",
        "c2_cpus",
        "nvidia_t4_gpus",
        "nvidia_v100_gpus",
        "nvidia_l4_gpus",
        "nvidia_a100_gpus",
        "nvidia_a100_80gb_gpus",
        "nvidia_h100_gpus",
        "nvidia_h100_mega_gpus",
        "tpu_v5e",
        "preemptible_cpus",
        "preemptible_nvidia_t4_gpus",
        "preemptible_nvidia_l4_gpus",
        "preemptible_nvidia_a100_gpus",
        "preemptible_nvidia_a100_80gb_gpus",
        "preemptible_nvidia_h100_gpus",
        "preemptible_nvidia_h100_mega_gpus",
    }
)


def metric_of(device: str) -> str:
    """Return the full name of a device's metric."""
    return f"{SERVICE}/custom_model_training_{device}"


def family_of(machine_type: str) -> str:
    """Return the family of a machine, such as n2 of n2-standard-8."""
    return machine_type.partition("-")[0]
