# syntax=docker/dockerfile:1.7
# The image of all that runs this project's code: tasks of Vertex AI pipelines, custom jobs, Dataflow workers.
# `make image IMAGE=REGISTRY/NAME ACCELERATOR=cpu|gpu` builds it; docs/ci_cd.md says how it gets to production.

# Tags, so that security updates of Debian come in; a release is promoted by the digest of what was built, never built again.
# To fix the bases too, pass their digests: --build-arg PYTHON_IMAGE=python@sha256:...
ARG PYTHON_IMAGE=python:3.11-slim-trixie
# The same Python with a compiler, which a few packages without wheels need.
ARG BUILDER_IMAGE=python:3.11-trixie
# Of the version in the lock file: its `boot` starts the Beam workers on Dataflow.
ARG BEAM_IMAGE=apache/beam_python3.11_sdk:2.77.0
# The generation of TFX (docs/adr/0002) and its Python. tools/image.sh gives all five for the other one.
ARG TFX_GENERATION=1.21
ARG PYTHON_VERSION=3.11
# cpu | gpu. Not tpu: deploy/container/install.sh says why.
ARG ACCELERATOR=cpu

FROM ${BEAM_IMAGE} AS beam

FROM ${BUILDER_IMAGE} AS builder
ARG ACCELERATOR
ARG TFX_GENERATION
ARG PYTHON_VERSION
# The cache is on another file system than the environment, and nobody can write bytecode into that later.
ENV PIP_CACHE_DIR=/var/cache/pip UV_CACHE_DIR=/var/cache/uv UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
WORKDIR /build
COPY requirements/ requirements/
COPY deploy/container/install.sh install.sh
RUN --mount=type=cache,target=/var/cache/pip --mount=type=cache,target=/var/cache/uv \
    bash install.sh "${ACCELERATOR}" "/usr/local/bin/python${PYTHON_VERSION}" /opt/venv "${TFX_GENERATION}"

FROM ${PYTHON_IMAGE}
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin pipeline
COPY --from=beam /opt/apache/beam /opt/apache/beam
COPY --from=builder /opt/venv /opt/venv
# TensorFlow does not look for all of CUDA's wheels itself; the loader does. The file is empty in an image for CPUs.
RUN find /opt/venv -type d -path '*/nvidia/*/lib' > /etc/ld.so.conf.d/cuda-wheels.conf && ldconfig
COPY deploy/container/entrypoint.sh /usr/local/bin/entrypoint
WORKDIR /app
COPY preprocessing/ preprocessing/
COPY models/ models/
COPY pipeline/ pipeline/
COPY configs/ configs/
COPY runner_local.py runner_vertex.py ./
RUN ["python", "-m", "compileall", "-q", "/app"]

ARG PYTHON_VERSION
# The GPU's driver is mounted into the container at /usr/local/nvidia; XLA looks for `ptxas` on the PATH.
ENV PATH=/opt/venv/bin:/usr/local/nvidia/bin:/opt/venv/lib/python${PYTHON_VERSION}/site-packages/nvidia/cuda_nvcc/bin:$PATH \
    LD_LIBRARY_PATH=/usr/local/nvidia/lib64 \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1

ARG ACCELERATOR
ARG TFX_GENERATION
ARG SOURCE=""
ARG REVISION=""
ARG VERSION=""
LABEL org.opencontainers.image.title="tfx-production-pipeline" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.version="${VERSION}" \
      tfx-production-pipeline.accelerator="${ACCELERATOR}" \
      tfx-production-pipeline.tfx="${TFX_GENERATION}"

USER 10001:10001
# Vertex AI's `command` replaces it. Dataflow needs it: see there.
ENTRYPOINT ["/bin/sh", "/usr/local/bin/entrypoint"]
CMD ["python", "runner_vertex.py", "--help"]
