"""webhook_test - events reach a receiver, signed, once each and in order; a receiver that fails is asked again; a slow one holds up no
device; what waits outlives the server, also one that is killed; addresses that are not public are refused unless they are allowed.

    webhook_test.py path/to/molt
"""

import base64
import hashlib
import hmac
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

from running import Server, fetch

MOLT = os.path.abspath(sys.argv[1])


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what it was sent; answers with the next of statuses, 200 when there is none; waits for `hold` first. A server that has no answer
    after ten seconds sends the same once more, so what came is counted by its id."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.got, self.statuses, self.changed, self.held, self.inside = [], [], threading.Condition(), 0, 0
        self.hold = threading.Event()
        self.hold.set()
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_port}/hook"

    def wait(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.got) >= count, 600), f"{len(self.got)} of {count} came: {self.got}"
            return list(self.got)

    def different(self, first=0):
        """{id: body} of what came since the first, in the order in which it came for the first time."""
        with self.changed:
            bodies = {}
            for headers, body in self.got[first:]:
                bodies.setdefault(headers["webhook-id"], json.loads(body))
            return bodies


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.changed:
            self.server.held += not self.server.hold.is_set()
            self.server.inside += 1
        self.server.hold.wait(600)
        with self.server.changed:
            self.server.inside -= 1
            self.server.got.append((dict(self.headers), body))
            status = self.server.statuses.pop(0) if self.server.statuses else 200
            self.server.changed.notify_all()
        try:
            self.answer(status)
        except OSError:
            pass  # who asked was killed

    def answer(self, status):
        self.send_response(status)
        if status == 302:
            self.send_header("Location", self.server.url + "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def check_signature(secret, headers, body):
    """As standardwebhooks.com says, with nothing of molt's."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    assert headers["webhook-signature"] == "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode(), headers
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 300 and headers["Content-Type"] == "application/json"


def state_of(server, hook, delivery):
    return next(one for one in deliveries(server, hook) if one["id"] == delivery)


def deliveries(server, hook):
    return server.api("GET", f"/webhooks/{hook}/deliveries")["deliveries"]


def wait_for(what):
    deadline = time.monotonic() + 600
    while not (found := what()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
    return found


with tempfile.TemporaryDirectory() as folder:
    receiver = Receiver()
    server = Server(MOLT, folder)
    data = os.path.join(folder, "data")

    # not public: refused when it is connected to, and said why
    hook = server.api("POST", "/webhooks", {"url": receiver.url, "events": ["release.published", "rollout.created", "rollout.paused", "device.updated"]}, 201)
    newcomers = Receiver()
    server.api("POST", "/webhooks", {"url": newcomers.url, "events": ["device.new"]}, 201)
    test = server.api("POST", f"/webhooks/{hook['id']}/test", {}, 202)["delivery"]
    refused = wait_for(lambda: (one := state_of(server, hook["id"], test))["tries"] > 0 and one)
    assert refused["state"] == "waits" and "127.0.0.1 is no public address" in refused["error"] and refused["next_ms"] > refused["created_ms"], refused
    assert not receiver.got
    server.stop()

    # allowed: what waited is sent by the next server, and what is new behind it
    server = Server(MOLT, folder, "--webhook-allow", "127.0.0.0/8")
    headers, body = receiver.wait(1)[0]
    check_signature(hook["secret"], headers, body)
    assert json.loads(body) == {"type": "test", "data": {"webhook": hook["id"]}} and headers["webhook-id"] == f"msg_{test}"
    wait_for(lambda: state_of(server, hook["id"], test)["state"] == "delivered")

    image = os.path.join(folder, "2.bin")
    subprocess.run([MOLT, "sim", "build", image, "--chip", "esp8266", "--product", "lamp", "--code", "2"], check=True, capture_output=True)
    receiver.statuses = [500, 302]  # a redirect is a failure, too
    subprocess.run([MOLT, "publish", image, "--product", "lamp", "--adopt", "--data", data], check=True, capture_output=True)
    log = wait_for(lambda: (all_ := deliveries(server, hook["id"]))[0]["state"] == "delivered" and all_)
    assert log[0]["tries"] >= 3 and log[0]["status"] == 200, log[0]
    got = receiver.wait(4)
    assert [one["type"] for one in receiver.different().values()] == ["test", "release.published"], got  # so that a receiver knows that it is the same
    for headers, body in got:
        check_signature(hook["secret"], headers, body)
    published = json.loads(got[-1][1])["data"]
    assert published["product"] == "lamp" and published["version"] == "2" and published["channel"] == "stable", published

    # a receiver that takes its time holds up neither devices nor people
    base = len(receiver.got)
    receiver.hold.clear()
    rollout = server.api("POST", "/rollouts", {"release": published["release"], "phases": [{"percent": 100}]}, 201)
    server.api("POST", f"/rollouts/{rollout['id']}/pause", {})
    server.api("PUT", "/devices/5ccf7f000013", {"product": "lamp"})  # registered: no news when it asks
    began = deliveries(server, hook["id"])
    for number in range(20):
        for _ in range(2):
            status, _, _ = fetch(f"{server.device}/5CCF7F0000{number:02X}.version", agent="ESP8266HTTPClient")
            assert status == 200, status
    assert len(receiver.got) == base and any(one["state"] == "waits" for one in began + deliveries(server, hook["id"]))
    receiver.hold.set()
    wait_for(lambda: len(receiver.different(base)) >= 2 and all(one["state"] == "delivered" for one in deliveries(server, hook["id"])) and receiver.inside == 0)
    assert [one["type"] for one in receiver.different(base).values()] == ["rollout.created", "rollout.paused"], receiver.got[base:]

    # a device is new once: not when it asks again, nor when it was registered
    wait_for(lambda: len(newcomers.different()) >= 19)
    new = list(newcomers.different().values())
    assert sorted(one["data"]["device"] for one in new) == [f"5ccf7f0000{number:02x}" for number in range(19)], new
    assert all(one["type"] == "device.new" and one["data"]["chip"] == "esp8266" and one["data"]["assigned"] for one in new), new
    assert new[0]["data"]["address"] == "127.0.0.1" and not new[0]["data"]["held"], new[0]

    # killed while a receiver has it in his hands and others wait: the next server sends all of it, in order; the one that nobody
    # knows the end of a second time, under the same id
    base = len(receiver.got)
    receiver.hold.clear()
    held = receiver.held
    for count in (1, 2):
        server.api("POST", f"/rollouts/{rollout['id']}/resume", {})
        server.api("POST", f"/rollouts/{rollout['id']}/pause", {})
        waiting = wait_for(lambda: len(all_ := [one["id"] for one in deliveries(server, hook["id"]) if one["state"] == "waits"]) == count and all_)
    wait_for(lambda: receiver.held > held)
    server.kill()
    receiver.hold.set()
    wait_for(lambda: receiver.inside == 0)
    before = len(receiver.got)
    server = Server(MOLT, folder, "--webhook-allow", "127.0.0.0/8")
    wait_for(lambda: all(one["state"] == "delivered" for one in deliveries(server, hook["id"])) and receiver.inside == 0)
    after = list(receiver.different(before))
    assert after == [f"msg_{one}" for one in sorted(waiting)], (after, waiting)
    assert list(receiver.different(base))[0] == after[0] and before > base, (after, receiver.got[base:])
    base = len(receiver.got)

    # one that is switched off is told nothing
    server.api("PATCH", f"/webhooks/{hook['id']}", {"enabled": False})
    server.api("POST", f"/rollouts/{rollout['id']}/abort", {})
    server.api("POST", f"/webhooks/{hook['id']}/test", {}, 409)
    server.stop()
    assert len(receiver.got) == base, receiver.got[base:]
    assert len(newcomers.different()) == 19, newcomers.got[19:]
print("ok")
