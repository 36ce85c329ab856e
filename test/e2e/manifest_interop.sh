#!/bin/sh
# manifest_interop.sh - runs manifest_interop.py with the virtual environment's Python. usage: manifest_interop.sh path/to/molt
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${MOLT_VENV:-$here/../../build/venv}/bin/python
if ! "$python" -c 'import cbor2, cryptography' 2>/dev/null; then
    echo "manifest_interop: $python has no cbor2 and cryptography; run ./dev setup, or set MOLT_VENV" >&2
    exit 1
fi
exec "$python" "$here/manifest_interop.py" "$1"
