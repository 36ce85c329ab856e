#!/bin/sh
# rollout_test.sh - a rollout over a small fleet of virtual devices at a real `molt serve`: canaries by tag first, devices that
# are not in the phase get nothing, failures pause it by itself, resuming acknowledges them, the next release heals all.
# usage: rollout_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/server.sh"

serve

publish() { # CODE BEHAVIOUR: prints the release's id
    "$molt" sim build "$1.bin" --chip esp32 --product lamp --code "$1" --behaviour "$2" >/dev/null
    "$molt" publish "$1.bin" --product lamp --adopt --json >publish.json 2>&1 || { cat publish.json >&2; exit 1; }
    "$molt" release list --json | python3 -c "import json, sys; print([r['id'] for r in json.load(sys.stdin)['releases'] if r['code'] == $1][0])"
}
mac() { printf '24:0A:C4:00:00:%02X' "$1"; }
id() { printf '240ac40000%02x' "$1"; }
ask() { # DEVICE: one life of it
    "$molt" sim --chip esp32 --mac "$(mac "$1")" --firmware 1.bin --flash "$1.flash" --server "$url" --json >"$1.json" 2>&1 || true
}
runs() { # DEVICE CODE
    tail -n 1 "$1.json" | grep -q "\"version_code\": *$2[,}]" || { cat "$1.json" >&2; fail "device $1 does not run version $2"; }
}
field() { # JSON PATH...: one value of it
    python3 -c 'import json, sys
at = json.load(sys.stdin)
for key in sys.argv[1:]: at = at[int(key)] if key.isdigit() else at[key]
print(at)' "$@"
}
why() { # DEVICE REASON
    is=$("$molt" device why "$(id "$1")" --json | field reason id)
    [ "$is" = "$2" ] || { "$molt" device why "$(id "$1")" >&2; fail "device $1 is answered $is, not $2"; }
}
becomes() { # ROLLOUT STATUS
    for _ in $(seq 3000); do
        is=$("$molt" rollout show "$1" --json | field status)
        [ "$is" != "$2" ] || return 0
        sleep 0.1
    done
    "$molt" rollout show "$1" >&2
    fail "rollout $1 is $is, not $2"
}
count() { # ROLLOUT COUNT
    "$molt" rollout show "$1" --json | field counts "$2"
}

publish 1 healthy >/dev/null
"$molt" product set lamp --rollouts-only yes --trust-unverified yes >/dev/null
for n in 1 2 3 4 5 6; do ask "$n"; runs "$n" 1; done
for n in 1 2 3; do "$molt" device set "$(id "$n")" --tag canary --attribute "floor=$n" >/dev/null; done
[ "$("$molt" device list --filter 'tag = canary and attr.floor >= 2' --json | field devices 0 id)" = "$(id 2)" ] || fail "the filter is wrong"

# A release without a rollout is offered to nobody.
release=$(publish 2 crash)
ask 1
runs 1 1
why 1 no-rollout

# A bad release reaches the canaries alone, and pauses by itself.
rollout=$("$molt" rollout create "$release" --phase '100:tag = canary' --phase 100 --error-count 2 --error-percent 30 --json | field id)
why 1 offered
why 4 not-in-phase
for n in 4 5 6; do ask "$n"; runs "$n" 1; done
for n in 1 2; do ask "$n"; runs "$n" 1; ask "$n"; done
becomes "$rollout" paused
[ "$(count "$rollout" failed)" = 2 ] || fail "there are $(count "$rollout" failed) failures"
[ "$(count "$rollout" offered)" = 2 ] || fail "it was offered to $(count "$rollout" offered)"
why 3 rollout-paused
why 1 rollout-paused
ask 3
runs 3 1
"$molt" rollout list | grep -q 'paused by itself: 2 of 2' || fail "the list does not say why"

# A person resumes: the two failures pause it no more, and are in quarantine.
"$molt" rollout resume "$rollout" | grep -q 'goes on' || fail "it does not go on"
why 1 quarantined
"$molt" device retry "$(id 1)" >/dev/null
why 1 offered
why 2 quarantined
why 3 offered
"$molt" device retry --filter 'tag = canary' | grep -qx 'devices let out of quarantine: 1' || fail "retry by filter does not say whom it let out"
why 2 offered
"$molt" rollout next "$rollout" >/dev/null
why 4 offered
"$molt" rollout abort "$rollout" >/dev/null
why 4 rollout-aborted
ask 4
runs 4 1

# A good release: a phase ends by itself after two successes, and all devices get it.
release=$(publish 3 healthy)
rollout=$("$molt" rollout create "$release" --phase '100:tag = canary' --phase 100 --success-count 2 --success-percent 60 --json | field id)
for n in 1 2 3; do ask "$n"; runs "$n" 3; ask "$n"; done
for _ in $(seq 3000); do
    [ "$("$molt" rollout show "$rollout" --json | field phase)" != 2 ] || break
    sleep 0.1
done
[ "$(count "$rollout" succeeded)" = 3 ] || fail "$(count "$rollout" succeeded) devices succeeded"
for n in 4 5 6; do ask "$n"; runs "$n" 3; ask "$n"; done
becomes "$rollout" "done"

# The counts are those of the rows, also after a restart.
kill "$server"
wait "$server" || fail "the server ended badly"
server=
[ "$(count "$rollout" succeeded)" = 6 ] || fail "after the end: $(count "$rollout" succeeded) devices succeeded"

# An emergency stop, and a pin.
publish 4 healthy >/dev/null
"$molt" product set lamp --rollouts-only no --stop | grep -q STOPPED || fail "it does not stop"
why 1 stopped
"$molt" product set lamp --start >/dev/null
why 1 offered
"$molt" device set "$(id 1)" --pin 3 >/dev/null
why 1 up-to-date

# A second person: nobody gets release 5 before a token approves of what the server's own console made. Then it is recalled,
# and the devices go back to 3, because the product lets them.
"$molt" device set "$(id 1)" --pin '' >/dev/null
"$molt" product set lamp --rollouts-only yes >/dev/null
serve
release=$(publish 5 healthy)
"$molt" product set lamp --approval yes --downgrade allowed | grep -q 'second person, downgrade allowed' || fail "the switches are not said"
"$molt" rollout create "$release" --phase 100 --timeout 1h >created 2>&1 || { cat created >&2; fail "it is not made"; }
grep -q 'waits for approval' created || fail "it does not wait: $(cat created)"
waiting=$("$molt" rollout list --json | python3 -c 'import json, sys; print([r["id"] for r in json.load(sys.stdin)["rollouts"] if r["status"] == "waiting"][0])')
why 1 rollout-not-approved
ask 1
runs 1 3
"$molt" rollout approve "$waiting" 2>refused && fail "its maker approved of it"
grep -q second-person refused || fail "the refusal says $(cat refused)"
token=$("$molt" token create 2>/dev/null)
"$molt" rollout approve "$waiting" --server "http://127.0.0.1:$(sed -n 's/.*plane=admin .*port=\([0-9]*\).*/\1/p' serve.log)" --token "$token" | grep -q 'is approved' || fail "it is not approved"
ask 1
runs 1 5
why 1 up-to-date
"$molt" release yank "$release" >/dev/null
ask 1
runs 1 3
why 1 no-rollout # 4 has none
echo "rollout_test: good"
