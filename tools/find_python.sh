#!/usr/bin/env bash
# Prints the path of a Python of the version given ("3.10"): $PYTHON if it is one, then PATH, pyenv, conda, the usual
# folders, then whatever uv ($2) finds or can download. Exits with 1 and one sentence when there is none.
set -u
want=$1
uv=${2:-}

is_wanted() { [ -x "$1" ] && [ "$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$want" ]; }

for candidate in "${PYTHON:-}" $(type -ap "python$want" python3 python 2>/dev/null) \
    "${PYENV_ROOT:-$HOME/.pyenv}/versions/$want".*/bin/"python$want" \
    {/usr,/usr/local,/opt/homebrew,/opt/python}/bin/"python$want" \
    "$HOME"/{miniconda3,anaconda3,miniforge3,mambaforge}/{,envs/*/}bin/"python$want"; do
  if is_wanted "$candidate"; then
    # A pyenv shim answers only inside some folders; the interpreter behind it answers everywhere.
    "$candidate" -c 'import os, sys; print(os.path.realpath(sys.executable))'
    exit 0
  fi
done

if [ -n "$uv" ] && found=$("$uv" python find "$want" 2>/dev/null || { "$uv" python install --quiet "$want" 2>/dev/null && "$uv" python find "$want" 2>/dev/null; }) && is_wanted "$found"; then
  echo "$found"
  exit 0
fi
echo "No Python $want found or downloadable: install one (pyenv install $want, conda create -n py${want/./} python=$want) or set PYTHON=/path/to/python$want, then run make again." >&2
exit 1
