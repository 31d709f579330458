#!/usr/bin/env bash
# Builds or pushes the production image: image.sh build|push IMAGE TAG ACCELERATOR GENERATION. IMAGE is a registry's name without a tag.
# `push` ends with the reference by digest on standard output, alone, so that scripts can take it from there.
set -euo pipefail
cd "$(dirname "$0")/.."
action=$1 image=$2 tag=$3 accelerator=$4 generation=$5

fail() { echo "$*" >&2; exit 2; }

# A port may follow the registry's host, so that only a colon in the last part is a tag.
case "${image##*/}" in
  "" | *:* | *@*) fail "IMAGE is '$image'. Expected a name without tag or digest, such as IMAGE=europe-west4-docker.pkg.dev/PROJECT/REPOSITORY/NAME" ;;
esac
[ "$accelerator" = cpu ] || tag=$tag-$accelerator
command -v docker >/dev/null || fail "docker is not installed. Install Docker Engine with buildx, or let Cloud Build do it: docs/ci_cd.md."
docker info >/dev/null 2>&1 || fail "docker is installed, but its daemon does not answer. Start it, or let Cloud Build do it: docs/ci_cd.md."

case "$action" in
  build)
    revision=$(git rev-parse HEAD 2>/dev/null || echo "${REVISION:-}")
    [ -z "$(git status --porcelain 2>/dev/null)" ] || revision=$revision-dirty
    # The Dockerfile's own values are those of 1.21.
    bases=()
    if [ "$generation" = 1.16 ]; then
      beam=$(sed -nE 's/^apache-beam==([0-9.]+).*/\1/p' requirements/tfx-1.16.txt)
      for base in TFX_GENERATION=1.16 PYTHON_VERSION=3.10 PYTHON_IMAGE=python:3.10-slim-bookworm BUILDER_IMAGE=python:3.10-bookworm \
          BEAM_IMAGE="apache/beam_python3.10_sdk:$beam"; do
        bases+=(--build-arg "$base")
      done
    fi
    DOCKER_BUILDKIT=1 docker build --pull --tag "$image:$tag" "${bases[@]}" \
      --build-arg ACCELERATOR="$accelerator" --build-arg REVISION="$revision" --build-arg VERSION="$tag" \
      --build-arg SOURCE="${SOURCE:-}" . >&2
    echo "built $image:$tag, TFX $generation"
    echo "push it: make push IMAGE=$image$([ "$accelerator" = cpu ] || echo " ACCELERATOR=$accelerator")"
    ;;
  push)
    docker push "$image:$tag" >&2
    docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$image:$tag" | grep -m1 "^$image@sha256:" \
      || fail "docker knows no digest of $image:$tag after the push."
    ;;
  *) fail "'$action' is neither build nor push." ;;
esac
