"""schemathesis_test - schemathesis (PyPI) makes requests of server/api/openapi.json, good and bad ones, and finds no answer that the
description does not have: no status, no field, no header; nothing ends in 500. What it sent is counted: each operation of the description was
called, and each succeeded at least once but those of NEVER. The seed is fixed, the number of examples small; --full has more.

    schemathesis_test.py path/to/molt EXAMPLES
"""

import collections
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.request

from running import Server

MOLT, EXAMPLES = os.path.abspath(sys.argv[1]), sys.argv[2]
PROGRAM = os.path.join(os.path.dirname(sys.executable), "schemathesis")
HERE = os.path.dirname(os.path.abspath(__file__))
AT_LEAST = 2000  # requests, of the 3,176 that two examples an operation came to
PASSWORD = "correct horse battery"
# Called with a session: of a user, and as the last, as they end it. The answer to events comes when something happens.
BY_SESSION = ["getAccount", "setPassword", "beginTotp", "confirmTotp", "endTotp", "events"]
THE_LAST = ["endSession", "endSessions"]
# What never succeeds, and which test sees it succeed. All else must.
NEVER = {
    "setPassword": "it cannot guess the password: unit-api-access", "beginTotp": "unit-api-access", "confirmTotp": "unit-api-access", "endTotp": "unit-api-access",
    "beginSession": "unit-api-access, e2e-access", "beginOidc": "there is no provider: dash-oidc",
    "trustKey": "a key is no random text: e2e-sign", "distrustKey": "e2e-sign", "publish": "a firmware is no random text: e2e-openapi",
    "importDevices": "the list is of devices, one a line: e2e-openapi", "setDevices": "a filter is no random text: e2e-openapi",
    "deleteDevices": "a filter is no random text: unit-api-operate", "retryDevices": "a filter is no random text: unit-api-operate",
    "approveRollout": "it waits for nobody: unit-api-access", "nextRollout": "it has one phase: e2e-rollout",
    "dissolveGroup": "it was renamed: e2e-cli-routes, e2e-openapi", "pauseRollout": "what is sent before has ended it: e2e-openapi", "resumeRollout": "the same: e2e-openapi", "forgetNode": "there is one server: unit-store-nodes, nodes-promises",
}


def molt(*words):
    return subprocess.run([MOLT, *words, "--data", data], check=True, capture_output=True, text=True).stdout


def make_things():
    """What parameters of schemathesis_things.toml name."""
    for code in (1, 2):
        image = os.path.join(folder, f"{code}.bin")
        subprocess.run([MOLT, "sim", "build", image, "--chip", "esp8266", "--product", "lamp", "--code", str(code)], check=True, capture_output=True)
        molt("publish", image, "--product", "lamp")
    for device, group in (("5ccf7f000001", "anna"), ("5ccf7f000002", "anna"), ("5ccf7f000003", "bert"), ("5ccf7f000004", "carl")):
        molt("device", "set", device, "--new", "--product", "lamp", "--group", group)
    server.api("POST", "/rollouts", {"release": 2, "phases": [{"percent": 1}]}, 201)
    for name in ("anna", "bert", "carl"):
        server.api("POST", "/users", {"name": name, "password": PASSWORD, "roles": ["viewer"]}, 201)
        server.api("PUT", "/filters/" + name, {"filter": "group = roof"})
        server.api("POST", "/webhooks", {"url": "https://hooks.example.org/"}, 201)
    return [server.api("POST", "/tokens", {"label": label}, 201)["id"] for label in ("one", "two")]


def log_in(name):
    body = json.dumps({"name": name, "password": PASSWORD}).encode()
    with urllib.request.urlopen(urllib.request.Request(server.admin + "/api/v1/session", data=body, method="POST"), timeout=600) as answer:
        return ["--header", "Cookie: " + answer.headers["Set-Cookie"].split(";")[0], "--header", "X-CSRF-Token: " + json.load(answer)["csrf"]]


def run(number, *words, config="schemathesis.toml", phases="examples,coverage,fuzzing"):
    """What was sent and answered: [(method, path, status)]."""
    har = os.path.join(folder, f"{number}.har")
    done = subprocess.run([PROGRAM, "--config-file", os.path.join(HERE, config), "run", server.admin + "/api/v1/openapi.json", "--seed", "20171025", "--max-examples", EXAMPLES,
                           "--generation-database", "none", "--phases", phases, "--no-color", "--report-har-path", har, *words],
                          cwd=folder, env=dict(os.environ, NO_COLOR="1", COLUMNS="160", TOKEN_ID=tokens[0], OTHER_TOKEN_ID=tokens[1]), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr[-3000:])
    with open(har) as file:
        entries = json.load(file)["log"]["entries"]
    return [(one["request"]["method"], re.sub(r"^https?://[^/]+|\?.*$", "", one["request"]["url"]), one["response"]["status"]) for one in entries]


def things_happen(stop):
    number = 0
    while not stop.is_set():
        number += 1
        server.api("PUT", "/devices/5ccf7f0000ff", {"product": "lamp", "group": f"g{number % 2}"})


def count(sent):
    """Of each operation how many were sent, and how many succeeded."""
    with urllib.request.urlopen(server.admin + "/api/v1/openapi.json") as answer:
        described = json.load(answer)["paths"]
        sent = [*sent, ("GET", "/api/v1/openapi.json", answer.status)]  # which schemathesis reads as well, and does not report
    patterns = [(method.upper(), re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) + "$"), item["operationId"]) for path, methods in described.items() for method, item in methods.items()]
    calls, good, others = collections.Counter(), collections.Counter(), []
    for method, path, status in sent:
        name = next((name for one, pattern, name in patterns if one == method and pattern.match(path)), None)
        calls[name] += 1
        good[name] += status < 300
        others += [(method, path, status)] if name is None else []
    return {name for _, _, name in patterns}, calls, good, others


def excluded(names):
    return [word for name in names for word in ("--exclude-operation-id", name)]


def included(names):
    return [word for name in names for word in ("--include-operation-id", name)]


with tempfile.TemporaryDirectory() as folder:
    server = Server(MOLT, folder)
    data = os.path.join(folder, "data")
    tokens = make_things()
    authorization = ["--header", "Authorization: Bearer " + server.token]
    stop = threading.Event()
    busy = threading.Thread(target=things_happen, args=(stop,))
    busy.start()
    try:
        sent = run(1, *log_in("carl"), *included(BY_SESSION))
    finally:
        stop.set()
        busy.join()
    sent += run(2, *authorization, *excluded(BY_SESSION + THE_LAST), "--mode", "positive", config="schemathesis_things.toml", phases="fuzzing")
    sent += run(3, *authorization, *excluded(BY_SESSION + THE_LAST))
    for number, name in enumerate(THE_LAST):
        sent += run(4 + number, *log_in("carl"), *included([name]))
    every, calls, good, others = count(sent)
    server.stop()
    silent = {name for name in every if good[name] == 0}
    print(f"{sum(calls.values())} requests of {len(every)} operations; never succeeded: {sorted(silent)}")
    assert every == set(calls) - {None}, f"never called: {every - set(calls)}"
    assert silent <= set(NEVER), f"never succeeded: {({name: calls[name] for name in silent - set(NEVER)})}"
    assert not set(NEVER) - every, f"no operation: {set(NEVER) - every}"
    assert sum(calls.values()) >= AT_LEAST, sum(calls.values())
    # methods that no path has: 405; QUERY is not known to llhttp at all
    assert others and all(status == (400 if method == "QUERY" else 405) for method, _, status in others), others
