"""running - a `molt serve` of a test's own, and requests to it. It is stopped by stop(), which also looks at its exit status."""

import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request


def fetch(url, token=None, agent="test", method="GET", body=None, more=None):
    headers = {"User-Agent": agent, **({"Authorization": "Bearer " + token} if token else {}), **(more or {})}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body, method=method, headers=headers), timeout=600) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


class Server:
    def __init__(self, molt, folder, *options):
        self.log = open(os.path.join(folder, "log"), "w+")
        self.folder = folder
        self.process = subprocess.Popen([molt, "serve", "--data", os.path.join(folder, "data"), "--listen", "http://127.0.0.1:0", "--admin", "http://127.0.0.1:0", *options],
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        first = not os.path.exists(os.path.join(folder, "token"))
        if first:
            with open(os.path.join(folder, "token"), "w") as file:
                file.write(re.search(r"molt_\w+", self.process.stdout.readline()).group(0))
        with open(os.path.join(folder, "token")) as file:
            self.token = file.read()
        deadline = time.monotonic() + 600
        while not re.search(r'plane(=|":")socket', self.text()):  # key=value, or JSON
            assert self.process.poll() is None and time.monotonic() < deadline, self.text()
            time.sleep(0.05)
        self.device, self.admin = ("http://127.0.0.1:" + re.search(rf'plane(?:=|":"){plane}\b.*port(?:=|":")(\d+)', self.text()).group(1) for plane in ("device", "admin"))

    def text(self):
        with open(self.log.name) as log:
            return log.read()

    def api(self, method, path, body=None, status=200, more=None):
        """The JSON of an answer, whose status must be that."""
        got, _, text = fetch(self.admin + "/api/v1" + path, self.token, method=method, body=None if body is None else json.dumps(body).encode(), more=more)
        assert got == status, f"{method} {path}: {got}, not {status}: {text}"
        return json.loads(text)

    def kill(self):
        self.process.kill()
        self.process.wait(600)

    def stop(self):
        self.process.terminate()
        assert self.process.wait(600) == 0, self.text()
