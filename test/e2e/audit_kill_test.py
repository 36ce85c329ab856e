"""audit_kill_test - a server is killed while operators change devices: whatever was done is in the audit log, also when nobody was told of
it any more; each once, and the log is whole. A browser that was logged in still is.

    audit_kill_test.py path/to/molt
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

MOLT = os.path.abspath(sys.argv[1])
KILLS = 4


class Server:
    def __init__(self, folder):
        self.log = open(os.path.join(folder, "log"), "w+")
        self.process = subprocess.Popen(
            [MOLT, "serve", "--data", os.path.join(folder, "data"), "--listen", "http://127.0.0.1:0", "--admin", "http://127.0.0.1:0"],
            stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 600
        while "plane=socket" not in self.text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit("the server did not start: " + self.text())
            time.sleep(0.02)
        self.admin = "http://127.0.0.1:" + re.search(r"plane=admin .*port=(\d+)", self.text()).group(1)

    def text(self):
        with open(self.log.name) as log:
            return log.read()


def operate(server, token, number, answered, begun):
    """Registers devices until the server is gone; answered: those that it said it did; begun: after some of them."""
    for n in range(100000):
        name = f"d{number}-{n}"
        call = urllib.request.Request(f"{server.admin}/api/v1/devices/{name}", data=b"{}", method="PUT",
                                      headers={"Authorization": "Bearer " + token})
        try:
            with urllib.request.urlopen(call, timeout=600) as answer:
                answer.read()
        except OSError:
            return
        answered.append(name)
        if n == 20:
            begun.set()


def molt(folder, *args):
    return subprocess.check_output([MOLT, *args, "--data", os.path.join(folder, "data")], text=True, stderr=subprocess.DEVNULL)


def session(server, method="GET", headers=None):
    with urllib.request.urlopen(urllib.request.Request(server.admin + "/api/v1/session", method=method, headers=headers or {}), timeout=600) as answer:
        return json.load(answer), (answer.headers["Set-Cookie"] or "").split(";")[0]


def main(folder):
    token = molt(folder, "token", "create").strip()
    answered, cookie = [], None
    for kill in range(KILLS):
        server = Server(folder)
        if cookie is None:
            cookie = session(server, "POST", {"Authorization": "Bearer " + token})[1]
        assert session(server, headers={"Cookie": cookie})[0]["csrf"], "logged out by a restart"
        begun = [threading.Event() for _ in range(4)]
        people = [threading.Thread(target=operate, args=(server, token, f"{kill}-{i}", answered, begun[i])) for i in range(4)]
        for one in people:
            one.start()
        for event in begun:
            event.wait()
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        for one in people:
            one.join()
    verdict = json.loads(molt(folder, "audit", "verify", "--json"))
    assert verdict["good"], verdict
    entries = [json.loads(line) for line in molt(folder, "audit", "export").splitlines()]
    noted = [entry["action"] for entry in entries if entry["action"].startswith("PUT ")]
    there = {line.split(",")[0] for line in molt(folder, "device", "table").splitlines()[1:]}
    silent = there - {action.removeprefix("PUT /devices/") for action in noted}
    assert len(there) >= len(answered) and not silent, f"done and not noted: {sorted(silent)[:5]}"
    unknown = sum(entry["status"] == 0 for entry in entries)
    wanted = {f"PUT /devices/{name}" for name in answered}
    missing = wanted - set(noted)
    assert not missing, f"answered and not noted: {sorted(missing)[:5]}"
    assert len(noted) == len(set(noted)), "something was noted twice"
    print(f"{KILLS} kills, {len(answered)} changes answered, {len(noted)} noted, {unknown} of them by the next start")


with tempfile.TemporaryDirectory() as folder:
    main(folder)
