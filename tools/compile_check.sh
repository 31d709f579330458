#!/usr/bin/env bash
# Compiles a job twice and compares the bytes: compile_check.sh PYTHON CONFIG RUNTIME [BASE]. With BASE (a commit or branch) it
# also writes what differs from the job that BASE compiles, to build/compile.diff.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1 config=$2 runtime=$3 base=${4:-}
[[ $python = /* ]] || python=$PWD/$python
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"; git worktree prune 2>/dev/null || true' EXIT
compile() { "$python" runner_vertex.py compile --config "$config" --runtime "$runtime" --output "$1"; }

mkdir -p build
# Sets and dicts must not leave their order in the job: it depends on the seed.
PYTHONHASHSEED=1 compile "$scratch/first.json" >/dev/null
PYTHONHASHSEED=2 compile "$scratch/second.json" >/dev/null
if ! cmp -s "$scratch/first.json" "$scratch/second.json"; then
  diff -u "$scratch/first.json" "$scratch/second.json" | head -40 >&2 || true
  echo "$config compiles to other bytes the second time: see the difference above." >&2
  exit 1
fi
echo "$config: twice the same $(wc -c < "$scratch/first.json") bytes"
[ -n "$base" ] || exit 0

git worktree add --quiet --detach "$scratch/base" "$base"
cp "$runtime" "$scratch/runtime.yaml"
# An editable install would lead to this checkout; the folder of the script comes first on sys.path.
if ! (cd "$scratch/base" && runtime=$scratch/runtime.yaml compile "$scratch/base.json") >"$scratch/log" 2>&1; then
  { echo "$base does not compile $config:"; tail -n 5 "$scratch/log"; } | tee build/compile.diff
else
  "$python" tools/compare_jobs.py "$scratch/base.json" "$scratch/first.json" | tee build/compile.diff
fi
git worktree remove --force "$scratch/base"
