#!/bin/sh
# upgrade_drill.sh - the database of each earlier version is opened by this program, serves, and is whole; an older program would refuse
# it afterwards. usage: upgrade_drill.sh path/to/molt path/to/test/vectors/store
set -eu
molt=$(readlink -f "$1")
vectors=$(readlink -f "$2")
. "$(dirname "$0")/../server.sh"
for dump in "$vectors"/schema-*.sql; do
    rm -rf "$MOLT_DATA"
    mkdir -m 700 "$MOLT_DATA"
    python3 - "$dump" "$MOLT_DATA/molt.db" <<'X'
import sqlite3, sys
sqlite3.connect(sys.argv[2]).executescript(open(sys.argv[1]).read())
X
    serve
    "$molt" device show 5ccf7fc602e2 >out || fail "$dump: the device is gone"
    grep -q door out || fail "$dump: $(cat out)"
    kill "$server"
    wait "$server" || fail "$dump: it ended badly"
    server=
done
newest=$(python3 -c "import sqlite3; print(sqlite3.connect('$MOLT_DATA/molt.db').execute('SELECT schema_version FROM meta').fetchone()[0])")
python3 -c "import sqlite3; db = sqlite3.connect('$MOLT_DATA/molt.db'); db.execute('UPDATE meta SET schema_version = $newest + 1'); db.commit()"
"$molt" status >out 2>&1 && fail "a newer database is opened"
grep -q 'newer molt' out || fail "no reason: $(cat out)"
