#!/bin/sh
# openapi_valid.sh - the description of the API is valid OpenAPI 3.1, says openapi-spec-validator (PyPI; ./dev sets it up).
# usage: openapi_valid.sh path/to/openapi.json
set -eu
validator=${MOLT_VENV:-$(dirname "$0")/../../build/venv}/bin/openapi-spec-validator
if [ ! -x "$validator" ]; then
    echo "openapi_valid: $validator is missing; run ./dev setup, or set MOLT_VENV" >&2
    exit 1
fi
"$validator" "$1"
