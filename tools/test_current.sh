#!/usr/bin/env bash
# Tests the current generation of TFX on an older Linux: in a folder with Debian 13 (debootstrap), as root. What it downloads
# stays in $CURRENT_ROOT (default: build/current) for the next time; $DEBIAN_MIRROR takes the place of debootstrap's own default.
# Arguments: tests to run; default: all, `make run`, and each generation with the other's models. ROUNDS=3: times of both instead.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(realpath -m "${CURRENT_ROOT:-build/current}")
skip() { echo "make test-current was skipped: $1"; exit 0; }
say() { echo "test-current: $*"; }

[ "$(uname -s)/$(uname -m)" = Linux/x86_64 ] || skip "it needs Linux on x86-64."
.venv/bin/python -c 'import importlib.metadata as m; raise SystemExit(m.version("tfx") >= "1.21")' || skip "this machine has TFX 1.21 itself: make test."
[ "$(id -u)" = 0 ] || skip "it needs root, to make a folder with another Debian and to change into it."
python=$(bash tools/find_python.sh 3.11 2>/dev/null) || skip "it needs a Python 3.11 (or PYTHON=/path/to/python3.11), which it borrows."
if ! command -v debootstrap >/dev/null; then
  command -v apt-get >/dev/null || skip "it needs debootstrap."
  say "installing debootstrap"
  apt-get install -y -q debootstrap >/dev/null || skip "debootstrap cannot be installed."
fi

if [ ! -f "$root/.complete" ]; then
  say "making a Debian 13 in $root"
  rm -rf "$root"
  mkdir -p "$root"
  debootstrap --variant=minbase --include=ca-certificates,g++,git,libbz2-1.0,libffi8,liblzma5,libncursesw6,libreadline8t64,libsqlite3-0,libssl3t64,make,procps,zlib1g \
    trixie "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$root.log" 2>&1 || { tail -n 5 "$root.log"; skip "Debian 13 cannot be had."; }
  touch "$root/.complete"
fi

# The interpreter, where it was built to be; this machine's certificates, its downloads, and the project as Git has it.
prefix=$("$python" -c 'import sys; print(sys.base_prefix)')
mounted=()
shared=$(mktemp -d)
leave() {
  for place in "${mounted[@]}"; do umount "$place" 2>/dev/null || umount -l "$place"; done
  rm -rf "$shared"
}
trap leave EXIT
bind() {
  mkdir -p "$root$2"
  mount --bind "$1" "$root$2"
  mounted=("$root$2" "${mounted[@]}")
}
# A mount of its own: tests make others inside, which stay there.
mount --bind "$root" "$root" && mounted=("$root" "${mounted[@]}")
mount --make-rprivate "$root"
case $prefix in
  /usr | /usr/local) skip "Python 3.11 in $prefix cannot be borrowed: use one of uv, pyenv or conda (PYTHON=/path/to/python3.11)." ;;
  *) bind "$prefix" "$prefix" ;;
esac
# What uv has downloaded on this machine serves there too.
cache=${UV_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/uv}
mkdir -p "$cache"
bind "$cache" /var/cache/uv
mount -t sysfs sysfs "$root/sys" && mounted=("$root/sys" "${mounted[@]}")
mount -t proc proc "$root/proc" && mounted=("$root/proc" "${mounted[@]}")
mkdir -p "$root/dev/shm"
mount --rbind /dev "$root/dev" && mount --make-rslave "$root/dev" && mounted=("$root/dev" "${mounted[@]}")
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
[ -f /etc/ssl/certs/ca-certificates.crt ] && cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
mkdir -p "$root/src/project"
find "$root/src/project" -mindepth 1 -maxdepth 1 ! -name .venv ! -name .tools -exec rm -rf {} +
git ls-files -z | tar --null --files-from=- --create | tar --extract --directory="$root/src/project"
mkdir -p "$root/src/project/.tools" "$root/var/lib/tester"
bash tools/get_uv.sh
# A uv alone: its environment is of this machine.
mkdir -p "$root/usr/local/bin" && cp -L .tools/bin/uv "$root/usr/local/bin/uv"

environment=(PATH=/usr/local/bin:/usr/bin:/bin HOME=/var/lib/tester UV_CACHE_DIR=/var/cache/uv LANG=C.UTF-8 PYTHON="$python" \
  PYTHONUNBUFFERED=1 SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt UV_HTTP_TIMEOUT=300)
inside() { chroot "$root" env -i "${environment[@]}" bash -c "cd /src/project && $1"; }
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
[ "$version" = 3.11 ] || skip "found Python $version, expected 3.11."
say "installing"
inside "git init --quiet . && git add --all && git -c user.name=tests -c user.email=tests@localhost commit --quiet --message project
[ -x .venv/bin/python ] || uv venv --quiet --python $python .venv
uv pip sync --quiet --require-hashes --python .venv/bin/python requirements/tfx-1.21.txt
uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable ."
# What both generations see under the same path.
bind "$shared" "$shared"
printf '#!/bin/bash\nexec chroot %q env -i %s bash -c '\''cd /src/project && exec .venv/bin/python "$@"'\'' python "$@"\n' \
  "$root" "${environment[*]@Q} PYTHONPATH=." >"$shared/python"
chmod +x "$shared/python"
export OTHER_PYTHON=$shared/python SHARED_FOLDER=$shared
if [ -n "${ROUNDS:-}" ]; then
  say "both generations, by turns"
  .venv/bin/python -m benchmarks.generations --rounds "$ROUNDS"
  exit
fi
if [ $# -eq 0 ]; then
  say "make run"
  inside ".venv/bin/python runner_local.py run --config configs/taxi.yaml"
  say "models of each generation in the other one"
  .venv/bin/python -m pytest --basetemp "$shared/tests" tests/e2e/test_other_generation.py
fi
say "the tests"
inside ".venv/bin/python -m pytest --numprocesses ${WORKERS:-2} --dist loadfile $*"
