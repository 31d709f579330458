#!/usr/bin/env bash
# Makes .venv from the lock file: uv goes into .tools (never into the user's Python), every package is checked by hash.
# Asks nothing; running it again repairs a broken or outdated .venv.
set -euo pipefail
cd "$(dirname "$0")/.."
lock=$1
python_version=$2

say() { echo "set-up: $*"; }

bash tools/get_uv.sh

interpreter=$(bash tools/find_python.sh "$python_version" .tools/bin/uv)
# Never reuse a .venv of another Python.
if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$python_version')"; then
  say "creating .venv with $("$interpreter" --version)"
  .tools/bin/uv venv --quiet --clear --python "$interpreter" .venv
fi
say "installing $(grep -c '==' "$lock") packages from $lock"
.tools/bin/uv pip sync --quiet --require-hashes --python .venv/bin/python "$lock"
.tools/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
say "done"
