#!/usr/bin/env bash
# Installs the image's packages: install.sh ACCELERATOR PYTHON ENVIRONMENT GENERATION. Runs in the folder that holds requirements/.
# The Dockerfile calls it, and tests/deploy calls it without docker. Every package is checked by hash.
set -euo pipefail
accelerator=$1
python=$2
environment=$3
generation=$4

case "$accelerator" in
  cpu | gpu) ;;
  tpu)
    echo "ACCELERATOR=tpu cannot be built: no tensorflow-tpu for the TensorFlow of TFX $generation can be installed from a package" \
      "index. Use cpu or gpu; docs/ci_cd.md says what a TPU would take." >&2
    exit 2
    ;;
  *)
    echo "ACCELERATOR is '$accelerator'. Expected cpu or gpu." >&2
    exit 2
    ;;
esac

installer=$(mktemp -d)
trap 'rm -rf "$installer"' EXIT
"$python" -m venv "$installer"
"$installer/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
uv=$installer/bin/uv

"$uv" venv --quiet --python "$python" "$environment"
locks=(-r "requirements/tfx-$generation.txt")
if [ "$accelerator" = gpu ]; then
  locks+=(-r "requirements/gpu-$generation.txt")
fi
# The lock files name everything; only linters and test tools, which they name too, stay out.
"$uv" pip install --quiet --python "$environment/bin/python" --no-deps --require-hashes \
  --excludes requirements/not_in_image.txt "${locks[@]}"
