#!/usr/bin/env bash
# Puts uv into .tools, by hash, never into the user's Python. Does nothing where it is.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! .tools/bin/uv --version >/dev/null 2>&1; then
  echo "set-up: getting uv"
  rm -rf .tools
  python3 -m venv .tools || { echo "python3 needs its venv module (on Debian: apt install python3-venv)." >&2; exit 1; }
  .tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
fi
