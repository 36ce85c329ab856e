"""openapi_answers - every operation of a running server answers as openapi.json says: no field missing, none that is not
described, of the described type; and so do its refusals. Needs jsonschema (PyPI; ./dev sets it up).

    openapi_answers.py path/to/molt
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request

import jsonschema

MOLT = os.path.abspath(sys.argv[1])
failures = []


class Failed(Exception):
    """What was answered is not what the calls after it need; the failure is noted."""


def strict(schema):
    """The same schema, which refuses fields that it does not describe."""
    if isinstance(schema, dict):
        schema = {key: strict(value) for key, value in schema.items()}
        if "properties" in schema and "additionalProperties" not in schema:
            schema["additionalProperties"] = False
    return [strict(item) for item in schema] if isinstance(schema, list) else schema


def request(method, url, body=None, token=None):
    headers = {"Authorization": "Bearer " + token} if token else {}
    call = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(call, timeout=600) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class Server:
    def __init__(self, folder):
        self.log = open(os.path.join(folder, "log"), "w+")
        self.process = subprocess.Popen(
            [MOLT, "serve", "--data", os.path.join(folder, "data"), "--listen", "http://127.0.0.1:0", "--admin", "http://127.0.0.1:0"],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.token = re.search(r"molt_\w+", self.process.stdout.readline()).group(0)
        deadline = time.monotonic() + 600
        while "plane=socket" not in self.text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit("the server did not start: " + self.text())
            time.sleep(0.05)
        self.device = "http://127.0.0.1:" + self.port("device")
        self.admin = "http://127.0.0.1:" + self.port("admin")

    def text(self):
        with open(self.log.name) as log:
            return log.read()

    def port(self, plane):
        return re.search(rf"plane={plane} .*port=(\d+)", self.text()).group(1)

    def stop(self):
        self.process.terminate()
        return self.process.wait(30)


def image(folder, chip, code):
    path = os.path.join(folder, f"{chip}-{code}.bin")
    subprocess.run([MOLT, "sim", "build", path, "--chip", chip, "--code", str(code)], check=True, capture_output=True)
    with open(path, "rb") as file:
        return file.read()


def check(description, seen, server, operation, status, path=None, query="", body=None, token=True):
    """Calls one operation ("GET /devices/{id}") and compares the answer with its description."""
    method, pattern = operation.split()
    described = description["paths"]["/api/v1" + pattern][method.lower()]
    url = server.admin + "/api/v1" + (path or pattern) + query
    got, answer = request(method, url, body, token if isinstance(token, str) else server.token if token else None)
    if got != status:
        failures.append(f"{operation}: status {got}, not {status}: {answer[:300]}")
        raise Failed
    seen.add(operation)
    response = described["responses"].get(str(status))
    if response is None:
        failures.append(f"{operation}: status {status} is not described")
        raise Failed
    if "$ref" in response:
        response = description["components"]["responses"][response["$ref"].split("/")[-1]]
    kind = "application/problem+json" if status >= 400 else "application/json"
    schema = dict(response["content"][kind]["schema"], components=description["components"])
    answer = json.loads(answer)
    for error in jsonschema.Draft202012Validator(schema).iter_errors(answer):
        failures.append(f"{operation} {status}: {'/'.join(map(str, error.path))}: {error.message[:300]}")
    return answer


def signed_publish(folder, ask):
    """A product that trusts a key: what it takes and what not."""
    key, firmware = os.path.join(folder, "k"), os.path.join(folder, "esp32-3.bin")
    subprocess.run([MOLT, "keygen", key, "--no-passphrase"], check=True, capture_output=True)
    body = image(folder, "esp32", 3)
    subprocess.run([MOLT, "sign", firmware, "--key", key, "--product", "lock"], check=True, capture_output=True)
    with open(os.path.join(folder, "esp32-3.suit"), "rb") as file:
        manifest = file.read().hex()
    with open(key + ".pub") as file:
        public = json.dumps({"pem": file.read()}).encode()
    with open(key) as file:
        private = json.dumps({"pem": file.read()}).encode()
    ask("GET /products/{id}/keys", 200, "/products/lock/keys")
    ask("GET /products/{id}/keys", 400, "/products/-lock/keys")
    ask("POST /products/{id}/keys", 422, "/products/lock/keys", body=private)
    ask("POST /products/{id}/keys", 400, "/products/lock/keys", body=b"{}")
    name = ask("POST /products/{id}/keys", 200, "/products/lock/keys", body=public)["keys"][0]["id"]
    ask("POST /releases", 422, query="?product=lock", body=body)
    ask("POST /releases", 400, query="?product=lock&manifest=abc", body=body)
    ask("POST /releases", 422, query="?product=lock&manifest=" + manifest[:-2] + "00", body=body)
    published = ask("POST /releases", 201, query="?product=lock&manifest=" + manifest, body=body)
    assert published["image"]["sequence"] == 3 and published["image"]["manifest"]["size"] == len(manifest) // 2
    ask("DELETE /products/{id}/keys", 404, "/products/lock/keys", query="?key=0123456789abcdef")
    ask("DELETE /products/{id}/keys", 200, "/products/lock/keys", query="?key=" + name)


def rollouts(ask, data):
    """A rollout of lamp's newest release, and a device that is not in its first phase."""
    release = max(ask("GET /releases", 200, query="?product=lamp")["releases"], key=lambda r: r["code"])["id"]
    ask("POST /rollouts", 400, body=b'{"release":1,"target":"colour = red"}')
    ask("POST /rollouts", 404, body=b'{"release":999}')
    body = {"release": release, "phases": [{"percent": 0.5, "filter": "tag = none"}, {"percent": 100}], "max_open": 5, "window": "00:00-24:00 Europe/Berlin"}
    made = ask("POST /rollouts", 201, body=json.dumps(body).encode())
    ask("POST /rollouts", 409, body=json.dumps(body).encode())
    rollout = made["id"]
    why = ask("GET /devices/{id}/why", 200, "/devices/5ccf7f000002/why")
    ask("GET /devices/{id}/attempts", 200, "/devices/5ccf7f000002/attempts")
    ask("GET /devices/{id}/attempts", 404, "/devices/5ccf7f0000ff/attempts")
    ask("GET /devices/{id}/log", 200, "/devices/5ccf7f000002/log")
    assert why["reason"]["id"] == "not-in-phase" and why["rollout"] == rollout and why["steps"], why
    ask("GET /rollouts", 200, query="?product=lamp")
    ask("GET /rollouts", 404, query="?product=gate")
    ask("GET /rollouts/{id}", 404, "/rollouts/999")
    ask("POST /rollouts/{id}/pause", 200, f"/rollouts/{rollout}/pause")
    ask("POST /rollouts/{id}/pause", 409, f"/rollouts/{rollout}/pause")
    ask("POST /rollouts/{id}/resume", 200, f"/rollouts/{rollout}/resume")
    assert ask("POST /rollouts/{id}/next", 200, f"/rollouts/{rollout}/next")["phase"] == 2
    assert ask("GET /devices/{id}/why", 200, "/devices/5ccf7f000002/why")["verdict"] == "offer"
    ask("POST /rollouts/{id}/abort", 200, f"/rollouts/{rollout}/abort")
    assert ask("GET /rollouts/{id}", 200, f"/rollouts/{rollout}")["status"] == "aborted"
    ask("PATCH /products/{id}", 200, "/products/lamp", body=b'{"approval":true,"downgrade":"pinned"}')
    rollout = ask("POST /rollouts", 201, body=json.dumps(body).encode())["id"]
    ask("POST /rollouts/{id}/approve", 409, f"/rollouts/{rollout}/approve")
    ask("POST /tokens", 201, body=b'{"label":"second"}') # made by the first, so no second person's
    second = subprocess.check_output([MOLT, "token", "create", "--data", data], text=True).strip()
    assert ask("POST /rollouts/{id}/approve", 200, f"/rollouts/{rollout}/approve", token=second)["status"] == "running"
    ask("POST /rollouts/{id}/abort", 200, f"/rollouts/{rollout}/abort")
    ask("PATCH /products/{id}", 200, "/products/lamp", body=b'{"approval":false,"downgrade":"never"}')
    ask("POST /tokens", 201, body=b'{"kind":"gateway","product":"lamp"}')
    ask("POST /tokens", 400, body=b'{"kind":"gateway"}')
    ask("POST /tokens", 404, body=b'{"kind":"enrol","product":"nothing"}')


def dashboard(ask, server, seen):
    """What the dashboard asks besides: counts, a session instead of the token, events."""
    counts = ask("GET /device-counts", 200, query="?by=product&filter=product%20%3D%20lamp")
    assert counts["total"] == counts["groups"][0]["count"] == 1, counts
    ask("GET /device-counts", 200, query="?by=reason")
    ask("GET /device-counts", 400, query="?by=colour")
    ask("GET /device-counts", 400, query="?by=state&filter=(")
    view = ask("GET /overview", 200)
    assert view["devices"]["total"] == sum(version["count"] for version in view["versions"]), view
    ask("POST /session/oidc", 404, body=b'{"redirect":"http://127.0.0.1/"}') # no provider
    ask("GET /server", 200)
    ask("GET /trends", 200)
    rollout = ask("GET /rollouts", 200)["rollouts"][-1]
    ask("GET /rollouts/{id}/progress", 200, f"/rollouts/{rollout['id']}/progress")
    body = {"release": rollout["release"], "phases": [{"percent": 100, "filter": "tag = a"}, {"percent": 100}]}
    phases = ask("POST /rollout-preview", 200, body=json.dumps(body).encode())["phases"]
    assert [phase["devices"] for phase in phases] == [1, 1] and phases[0]["sample"] == ["5ccf7f000002"], phases
    ask("POST /rollout-preview", 404, body=b'{"release":999}')
    ask("POST /rollout-preview", 400, body=b'{"release":1,"target":"colour = red"}')
    assert ask("GET /session", 200, token=False)["csrf"] is None
    ask("POST /session", 401, token="molt_" + 40 * "a")
    assert len(ask("POST /session", 201)["csrf"]) == 64
    ask("DELETE /session", 200)
    seen.add("GET /events")
    assert request("GET", server.admin + "/api/v1/events")[0] == 401
    status, events = request("GET", server.admin + "/api/v1/events", token=server.token)
    assert status == 200 and b"event: hello" in events, events


def main(folder, server):
    seen = set()
    description = strict(json.loads(request("GET", server.admin + "/api/v1/openapi.json")[1]))

    def ask(*arguments, **named):
        return check(description, seen, server, *arguments, **named)

    esp8266, esp32 = image(folder, "esp8266", 1), image(folder, "esp32", 7)
    with urllib.request.urlopen(server.admin + "/api/v1/openapi.json") as answer:
        seen.add("GET /openapi.json") if answer.status == 200 else None
    ask("GET /status", 401, token=False)
    ask("POST /releases", 201, query="?product=lamp", body=esp8266)
    ask("POST /releases", 201, query="?product=door&channel=beta&version=7.0.0&variant=4M", body=esp32)
    ask("POST /releases", 409, query="?product=lamp", body=esp8266)
    ask("POST /releases", 422, query="?product=lamp&version=9", body=b"<html>404</html>")
    ask("POST /releases", 400, query="?version=9", body=esp8266)
    release = ask("GET /releases", 200)["releases"][0]["id"]
    ask("GET /releases", 404, query="?product=gate")
    ask("GET /releases/{id}", 200, f"/releases/{release}")
    ask("GET /releases/{id}", 404, "/releases/999")
    ask("POST /releases/{id}/yank", 200, f"/releases/{release}/yank")
    ask("POST /releases/{id}/unyank", 200, f"/releases/{release}/unyank")
    ask("GET /products", 200)
    ask("PATCH /releases/{id}", 200, f"/releases/{release}", body=b'{"required":true}')
    ask("PATCH /releases/{id}", 200, f"/releases/{release}", body=b'{"required":false}')
    ask("PATCH /releases/{id}", 404, "/releases/999", body=b'{"required":true}')
    ask("PATCH /products/{id}", 200, "/products/lamp", body=b'{"stopped":false,"trust_unverified":true}')
    ask("PATCH /products/{id}", 400, "/products/lamp", body=b'{"stopped":1}')
    ask("PATCH /products/{id}", 404, "/products/gate", body=b'{"stopped":true}')
    signed_publish(folder, ask)

    request("GET", server.device + "/fota/5CCF7FC602E2.version")  # unassigned, and only ever a version file
    subprocess.run([MOLT, "sim", "--mac", "5C:CF:7F:00:00:02", "--firmware", os.path.join(folder, "esp8266-1.bin"),
                    "--server", server.device], capture_output=True)  # a check-in with everything it can say
    ask("GET /devices", 200, query="?limit=1")
    ask("GET /devices", 200, query="?limit=1000&q=5ccf")
    ask("GET /devices", 400, query="?limit=0")
    for device in ("5ccf7fc602e2", "5ccf7f000002"):
        ask("GET /devices/{id}", 200, "/devices/" + device)
        ask("GET /devices/{id}/why", 200, f"/devices/{device}/why")
    ask("PATCH /devices/{id}", 200, "/devices/5ccf7f000002", body=b'{"product":"lamp","chip":"esp8266","held":false}')
    image_2 = image(folder, "esp8266", 2)
    ask("POST /releases", 201, query="?product=lamp&adopt=true", body=image_2)
    assert ask("GET /devices/{id}/why", 200, "/devices/5ccf7f000002/why")["verdict"] == "offer"
    labels = b'{"group":"roof","tags":["b","a","b"],"attributes":{"floor":"12"},"pin":2}'
    labelled = ask("PATCH /devices/{id}", 200, "/devices/5ccf7f000002", body=labels)
    assert labelled["tags"] == ["a", "b"] and labelled["attributes"] == {"floor": "12"}, labelled
    matching = ask("GET /devices", 200, query="?filter=tag%20%3D%20a%20and%20attr.floor%20%3E%209")["devices"]
    assert [device["id"] for device in matching] == ["5ccf7f000002"], matching
    ask("GET /devices", 400, query="?filter=colour%20%3D%20a")
    ask("PATCH /devices/{id}", 200, "/devices/5ccf7f000002", body=b'{"pin":null}')
    rollouts(ask, os.path.join(folder, "data"))
    dashboard(ask, server, seen)
    ask("PATCH /devices/{id}", 400, "/devices/5ccf7f000002", body=b'{"held":7}')
    ask("PATCH /devices/{id}", 404, "/devices/5ccf7f000002", body=b'{"product":"gate"}')
    ask("PUT /devices/{id}", 200, "/devices/5ccf7f0000aa", body=b'{"product":"lamp","group":"cellar"}')
    ask("PUT /devices/{id}", 400, "/devices/5ccf7f0000aa", body=b'{"held":7}')
    assert ask("PATCH /devices", 200, query="?filter=group%20%3D%20cellar", body=b'{"held":true}')["changed"] == 1
    ask("PATCH /devices", 400, query="?filter=", body=b'{"held":true}')
    assert ask("POST /devices", 200, body=b'{"devices":[{"id":"5ccf7f000002","group":"cellar"}]}')["changed"] == 1
    ask("POST /devices", 400, body=b'{"devices":[]}')
    ask("POST /devices/{id}/retry", 200, "/devices/5ccf7f0000aa/retry")
    ask("POST /devices/{id}/retry", 404, "/devices/5ccf7f0000ab/retry")
    ask("DELETE /devices/{id}", 200, "/devices/5ccf7f0000aa")
    ask("DELETE /devices/{id}", 200, "/devices/5ccf7fc602e2")
    ask("DELETE /devices/{id}", 404, "/devices/5ccf7fc602e2")

    ask("POST /tokens", 201, body=b'{"label":"ci"}')
    ask("POST /tokens", 201, body=b'{"kind":"device","device":"5ccf7f000002"}')
    ask("POST /tokens", 413, body=b" " * 70000)
    token = ask("GET /tokens", 200)["tokens"][-1]["id"]
    ask("GET /tokens/{id}", 200, "/tokens/" + token)
    ask("GET /tokens/{id}", 404, "/tokens/000000000000")
    ask("GET /tokens", 200, query="?limit=1")
    ask("DELETE /tokens/{id}", 200, "/tokens/" + token)
    ask("DELETE /tokens/{id}", 404, "/tokens/" + token)
    for body in (esp8266, esp32, b"<html>404</html>", esp32[:20000], b"\x1f\x8b\x08\x00"):
        ask("POST /inspect", 200, body=body)
    ask("GET /status", 200)

    for path in ("/metrics", "/healthz", "/readyz"): # texts: metrics_test.py reads them
        assert request("GET", server.admin + path, token=server.token)[0] == 200
        seen.add("GET " + path)

    def people(): # what the rest of the tests look into: here only whether the description fits
        for operation, body in (("POST /users", b'{"name":"anna"}'), ("GET /users", None), ("GET /users/{id}", None), ("PATCH /users/{id}", b'{"disabled":true}'), ("DELETE /users/{id}", None),
                                ("GET /audit", None), ("GET /audit/verify", None)):
            ask(operation, 201 if operation.startswith("POST") else 200, operation.split()[1].replace("{id}", "anna"), body=body)
        mine = [("GET /account", None), ("DELETE /account/sessions", None), ("POST /account/totp", b'{"password":"x"}'), ("PUT /account/totp", b'{"code":"1"}'),
                ("POST /account/totp/off", b'{"password":"x"}'), ("PUT /account/password", b'{"password":"x","new_password":"y"}')]
        for operation, body in mine: # a token is nobody's account
            method, path = operation.split()
            got = request(method, server.admin + "/api/v1" + path, body, server.token)[0]
            ask(operation, got, path, body=body)

    def operate():
        ask("GET /products/{id}", 200, "/products/lamp")
        ask("GET /products/{id}", 404, "/products/gate")
        ask("GET /settings", 200)
        ask("PUT /devices/{id}", 200, "/devices/5ccf7f0000bb", body=b'{"product":"lamp","group":"attic"}')
        ask("PUT /devices/{id}", 200, "/devices/5ccf7f0000bc", body=b'{"product":"lamp","group":"barn"}')
        ask("POST /device-retry", 200, query="?filter=group%20%3D%20barn")
        ask("POST /device-retry", 400, query="?filter=")
        ask("DELETE /devices", 200, query="?filter=group%20%3D%20barn")
        ask("DELETE /devices", 400, query="?filter=")
        ask("GET /nodes", 200)
        ask("DELETE /nodes/{id}", 404, "/nodes/nothing")
        ask("GET /groups", 200)
        ask("GET /groups/{id}", 200, "/groups/attic")
        ask("GET /groups/{id}", 404, "/groups/nothing")
        ask("PATCH /groups/{id}", 200, "/groups/attic", body=b'{"name":"roof"}')
        ask("DELETE /groups/{id}", 200, "/groups/roof")
        ask("DELETE /groups/{id}", 404, "/groups/roof")
        ask("PUT /filters/{id}", 200, "/filters/roof", body=b'{"filter":"group = roof"}')
        ask("PUT /filters/{id}", 428, "/filters/roof", body=b'{"filter":"group = roof"}')
        ask("GET /filters/{id}", 200, "/filters/roof")
        ask("GET /filters", 200)
        ask("DELETE /filters/{id}", 200, "/filters/roof")
        hook = ask("POST /webhooks", 201, body=b'{"url":"https://hooks.example.org/"}')["id"]
        ask("GET /webhooks", 200)
        ask("GET /webhooks/{id}", 200, f"/webhooks/{hook}")
        ask("POST /webhooks/{id}/test", 202, f"/webhooks/{hook}/test")
        ask("GET /webhooks/{id}/deliveries", 200, f"/webhooks/{hook}/deliveries")
        ask("PATCH /webhooks/{id}", 200, f"/webhooks/{hook}", body=b'{"enabled":false}')
        ask("DELETE /webhooks/{id}", 200, f"/webhooks/{hook}")
        assert request("GET", server.admin + "/api/v1/devices.csv", token=server.token)[0] == 200
        seen.add("GET /devices.csv")

    people()
    operate()
    every = {f"{method.upper()} {path.removeprefix('/api/v1')}" for path, item in description["paths"].items() for method in item}
    failures.extend(f"never asked: {operation}" for operation in sorted(every - seen))


with tempfile.TemporaryDirectory() as scratch:
    server = Server(scratch)
    try:
        main(scratch, server)
    except Failed:
        pass
    except (AssertionError, KeyError, IndexError, TypeError):
        failures.append(traceback.format_exc())
    finally:
        if server.stop() != 0:
            failures.append("the server ended badly: " + server.text())
for failure in failures:
    print(failure, file=sys.stderr)
print("openapi_answers: " + ("good" if not failures else f"{len(failures)} failures"))
sys.exit(1 if failures else 0)
