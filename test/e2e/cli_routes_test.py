"""cli_routes_test - each operation of the API has a command of `molt` (cli_routes.txt), and the small ones do what they say, on the store
and through a running server alike.

    cli_routes_test.py path/to/molt path/to/openapi.json
"""

import json
import os
import subprocess
import sys
import tempfile

from running import Server

MOLT = os.path.abspath(sys.argv[1])

with open(sys.argv[2]) as file:
    described = {f"{method.upper()} {path}" for path, item in json.load(file)["paths"].items() for method in item}
with open(os.path.join(os.path.dirname(__file__), "cli_routes.txt")) as file:
    rows = dict(line.strip().split(" = ", 1) for line in file if line.strip() and not line.startswith("#"))
assert described == set(rows), f"cli_routes.txt lacks {described - set(rows)}, and has {set(rows) - described}"
commands = {line[2:18].strip() for line in subprocess.check_output([MOLT, "help"], text=True).splitlines() if line.startswith("  ")}
unknown = {command for command in rows.values() if not command.startswith("-") and command not in commands}
assert not unknown, f"molt has no {unknown}"
assert sum(command.startswith("-") for command in rows.values()) <= 7


def molt(*words, status=0, where):
    done = subprocess.run([MOLT, *words, *where], capture_output=True, text=True)
    assert done.returncode == status, f"molt {' '.join(words)}: {done.returncode}, not {status}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def both(where, is_server):
    run = lambda *words, status=0: molt(*words, status=status, where=where)
    run("device", "set", "5ccf7f000001", "--new", "--group", "roof")
    assert "roof" in run("group", "list") and json.loads(run("group", "list", "--json"))["groups"] == [{"name": "roof", "devices": 1}]
    assert "1" in run("group", "show", "roof") and "not-found" in run("group", "show", "cellar", status=1)
    assert "1" in run("group", "rename", "roof", "cellar")
    assert "not-found" in run("group", "dissolve", "roof", status=1)
    run("filter", "save", "low", "group = cellar", "--note", "below")
    assert "if-match-needed" in run("filter", "save", "low", "group = roof", status=1)
    run("filter", "save", "low", "group = cellar and chip = esp32", "--replace")
    assert "chip = esp32" in run("filter", "list") and "chip = esp32" in run("filter", "show", "low")
    assert "invalid-request" in run("filter", "save", "bad", "colour = red", status=1)
    run("filter", "delete", "low")
    assert "cellar" in run("device", "count", "--by", "group") and run("device", "table").startswith("id,product")
    assert "5ccf7f000001" in run("device", "table", "--filter", "group = cellar") and "5ccf7f000001" not in run("device", "table", "--filter", "group = roof")
    assert "product list" in run("product", "list", "--help") and "not-found" in run("product", "show", "nothing", status=1)
    made = json.loads(run("webhook", "create", "https://hooks.example.org/", "--event", "device.failed", "--json").splitlines()[0])
    hook = str(made["id"])
    assert made["secret"].startswith("whsec_") and made["events"] == ["device.failed"]
    assert "whsec_" not in run("webhook", "show", hook) and "hooks.example.org" in run("webhook", "list")
    assert "no" in run("webhook", "set", hook, "--off") and "wrong-state" in run("webhook", "test", hook, status=1)
    assert "whsec_" in run("webhook", "set", hook, "--new-secret")
    run("webhook", "set", hook, status=2)
    run("webhook", "log", hook)
    run("webhook", "delete", hook)
    assert "total" in run("overview")
    assert json.loads(run("api", "GET", "/api/v1/groups", "--param", "limit=1"))["groups"][0]["name"] == "cellar"
    assert "not-found" in run("api", "GET", "/api/v1/nothing", status=1)
    run("api", "FETCH", "/api/v1/groups", status=2)
    for words, part in (("server metrics", "molt_devices 1\n"), ("server settings", "max-downloads"), ("server show", '"http"'), ("server trends", "rates")):
        out = run(*words.split(), status=0 if is_server else 1)
        assert (part if is_server else "not-found") in out, out
    assert "ready" in run("server", "ready")
    run("group", "dissolve", "cellar")
    run("user", "add", "anna", "--no-password", "--role", "viewer")
    assert "viewer" in run("user", "show", "anna") and "not-found" in run("user", "show", "bert", status=1)
    run("user", "remove", "anna")
    token = next(one["id"] for one in json.loads(run("token", "list", "--json"))["tokens"])
    assert token in run("token", "show", token) and json.loads(run("token", "show", token, "--json"))["id"] == token
    assert "not-found" in run("token", "show", "0123456789ab", status=1)
    run("device", "forget", "5ccf7f000001", "--yes") if "--yes" in run("device", "forget", "--help") else run("device", "forget", "5ccf7f000001")


with tempfile.TemporaryDirectory() as folder:
    data = os.path.join(folder, "data")
    server = Server(MOLT, folder)
    both(["--data", data], True)
    both(["--server", server.admin, "--token", server.token], True)
    server.stop()
    both(["--data", data], False)
print("ok")
