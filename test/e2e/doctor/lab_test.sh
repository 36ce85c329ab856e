#!/bin/sh
# lab_test.sh - runs one part of the lab of broken and good servers. usage: lab_test.sh path/to/molt broken|tls|good|bounds
# tlslite-ng (a TLS that knows no max_fragment_length) is in the virtual environment $MOLT_VENV (./dev test sets it).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${MOLT_VENV:-$here/../../../build/venv}/bin/python
"$python" -c 'import tlslite' 2>/dev/null || {
    echo "lab_test: $python has no tlslite-ng; run ./dev setup, or set MOLT_VENV" >&2
    exit 1
}
exec "$python" -B "$here/lab_test.py" "$@"
