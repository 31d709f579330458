#!/bin/sh
# Dataflow starts its workers with flags only (--id=..., --logging_endpoint=...), meant for Beam's boot program. Anything else is
# a command: `docker run IMAGE python -m pipeline.vertex.task --help`. Vertex AI names its command and never comes here.
set -eu
case "${1:-}" in
  --*) exec "${BEAM_BOOT:-/opt/apache/beam/boot}" "$@" ;;
  *) exec "$@" ;;
esac
