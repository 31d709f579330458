#!/usr/bin/env bash
# Copies a runtime file with another image in it: set_image.sh RUNTIME IMAGE OUTPUT. Only a digest will do: a tag can be moved
# between the environments of a release.
set -euo pipefail
runtime=$1 image=$2 output=$3

[[ $image =~ ^[^[:space:]@|]+@sha256:[0-9a-f]{64}$ ]] || {
  echo "IMAGE is '$image'. Expected a digest, as \`make push\` prints it: REGISTRY/NAME@sha256:..." >&2
  exit 2
}
[ -f "$runtime" ] || { echo "$runtime does not exist. Copy configs/runtime/vertex.example.yaml and fill it in." >&2; exit 2; }
[ "$(grep -c '^image:' "$runtime")" = 1 ] || { echo "$runtime: expected one line that begins with 'image:'." >&2; exit 2; }
mkdir -p "$(dirname "$output")"
sed "s|^image:.*|image: $image|" "$runtime" > "$output"
