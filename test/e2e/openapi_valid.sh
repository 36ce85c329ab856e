#!/bin/sh
# openapi_valid.sh - the description of the API is valid OpenAPI 3.1 (says openapi-spec-validator) and keeps our rules (openapi_lint.py), and the server answers
# as it says (openapi_answers.py). usage: openapi_valid.sh path/to/openapi.json path/to/molt
set -eu
here=$(dirname "$0")
bin=${MOLT_VENV:-$here/../../build/venv}/bin
if [ ! -x "$bin/openapi-spec-validator" ]; then
    echo "openapi_valid: $bin/openapi-spec-validator is missing; run ./dev setup, or set MOLT_VENV" >&2
    exit 1
fi
"$bin/openapi-spec-validator" "$1"
"$bin/python" "$here/openapi_lint.py" "$1"
"$bin/python" "$here/openapi_answers.py" "$2"
