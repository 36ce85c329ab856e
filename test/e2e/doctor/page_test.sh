#!/bin/sh
# page_test.sh - the committed page of causes is the one that the table gives. usage: page_test.sh GENERATOR PAGE
set -eu
"$1" | diff - "$2"
