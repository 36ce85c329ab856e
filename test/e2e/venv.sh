#!/bin/sh
# venv.sh - runs a Python test with the interpreter of the virtual environment that ./dev setup makes. usage: venv.sh SCRIPT [ARGUMENTS]
set -eu
python=${MOLT_VENV:-$(dirname "$0")/../../build/venv}/bin/python
[ -x "$python" ] || { echo "venv: $python is missing; run ./dev setup, or set MOLT_VENV" >&2; exit 1; }
exec "$python" "$@"
