#!/usr/bin/env bash
# Prints "GENERATION PYTHON REASON": which generation of TFX this machine gets (docs/adr/0002), "1.21 3.11 ..." or "1.16 3.10 ...".
# $1, if not empty, is one that is asked for (TFX_GENERATION). Exits with 1 and one sentence where it cannot be had.
set -u
asked=${1:-}
system=${2:-$(uname -s)}
machine=${3:-$(uname -m)}
# Of the C library; nothing where there is none of GNU's.
glibc=${4-$(getconf GNU_LIBC_VERSION 2>/dev/null | grep -o '[0-9][0-9.]*' || true)}

is_new_enough() { [ "$(printf '%s\n' 2.39 "$glibc" | sort -V | head -n 1)" = 2.39 ]; }
no() { echo "$1" >&2; exit 1; }

case $system/$machine in
  Darwin/arm64)
    [ "$asked" != 1.16 ] || no "TFX 1.16 has no wheels for macOS on arm64; 1.21 has. Leave TFX_GENERATION out."
    best=1.21 why="macOS on arm64" ;;
  Linux/x86_64)
    [ -n "$glibc" ] || no "TFX's wheels need GNU's C library, which this Linux has not. Use Debian, Ubuntu or a container of theirs."
    if is_new_enough; then
      best=1.21 why="glibc $glibc"
    else
      [ "$asked" != 1.21 ] || no "TFX 1.21's wheels need glibc 2.39, this machine has $glibc. Use Debian 13 or Ubuntu 24.04 (make test-current makes one), or leave TFX_GENERATION out."
      best=1.16 why="glibc $glibc, 1.21 needs 2.39"
    fi ;;
  *) no "TFX has no wheels for $system on $machine. Use Linux on x86-64 (a container will do) or macOS on arm64." ;;
esac

case ${asked:-$best} in
  1.16) echo "1.16 3.10 ${asked:+asked for; }$why" ;;
  1.21) echo "1.21 3.11 ${asked:+asked for; }$why" ;;
  *) no "TFX_GENERATION is '$asked'. Expected 1.16 or 1.21, or nothing: then the machine decides." ;;
esac
