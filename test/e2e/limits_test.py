"""limits_test - what holds back whom: requests of a device and with a token, addresses that no limit holds back, a trusted proxy and one that
is not; log lines as JSON; the sandbox around a working server.

    limits_test.py path/to/molt
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from running import Server, fetch

MOLT = os.path.abspath(sys.argv[1])


def ask(server, device, **more):
    return fetch(f"{server.device}/{device}.version", agent="ESP8266HTTPClient", **more)[0]


def refused_after(ask_once):
    """How often ask_once() is answered before it is 429. A bucket gives something back while a slow machine asks, so that is a least number."""
    for number in range(1000):
        if (status := ask_once()) == 429:
            return number
        assert status == 200, status
    raise AssertionError("it may be asked for ever")


def address_of(server, device):
    return server.api("GET", "/devices/" + device)["address"]


with tempfile.TemporaryDirectory() as folder:
    image = os.path.join(folder, "2.bin")
    data = os.path.join(folder, "data")
    subprocess.run([MOLT, "sim", "build", image, "--chip", "esp8266", "--product", "lamp", "--code", "2"], check=True, capture_output=True)
    os.environ["ASAN_OPTIONS"] = "detect_leaks=0"  # a sanitizer's look for leaks is ptrace, which the sandbox refuses
    server = Server(MOLT, folder, "--device-per-minute", "3", "--api-per-minute", "30", "--new-per-minute", "4", "--log-json", "--sandbox")
    subprocess.run([MOLT, "publish", image, "--product", "lamp", "--adopt", "--data", data], check=True, capture_output=True)

    # one device too often, its neighbour not

    def told_to_wait():
        request = urllib.request.Request(server.device + "/5CCF7F000001.version", headers={"User-Agent": "ESP8266HTTPClient"})
        try:
            return urllib.request.urlopen(request, timeout=600).status
        except urllib.error.HTTPError as refused:
            assert refused.headers["Retry-After"] == "60", refused.headers.items()
            return refused.code

    assert refused_after(told_to_wait) >= 3
    assert ask(server, "5CCF7F000002") == 200
    # a header of anybody is not believed; too many new devices from one address are answered and not recorded
    forwarded = {"X-Forwarded-For": "203.0.113.7"}
    for device in ["5CCF7F000003", *(f"5CCF7F0030{number}" for number in range(10, 50))]:
        assert ask(server, device, more=forwarded) == 200
    assert 4 <= len(server.api("GET", "/devices?limit=100")["devices"]) < 43 and address_of(server, "5ccf7f000003") == "127.0.0.1"
    # a token, and whoever has none; people at the data folder's socket are not counted
    assert refused_after(lambda: fetch(server.admin + "/api/v1/status", server.token)[0]) >= 20
    assert fetch(server.admin + "/api/v1/status")[0] == 401
    subprocess.run([MOLT, "status", "--data", data], check=True, capture_output=True)
    # lines are JSON; a change has the id that its answer had; the sandbox is there, and the server works in it
    lines = [json.loads(line) for line in server.text().splitlines()]
    assert next(line for line in lines if line["event"] == "listening")["plane"] in ("device", "admin", "socket")
    changes = [line for line in lines if line["event"] == "api"]
    assert changes and changes[0]["method"] == "POST" and re.fullmatch(r"[0-9a-f]+-[0-9a-f]+", changes[0]["request"]) and changes[0]["status"] == "201", changes
    sandbox = next(line for line in lines if line["event"] == "sandbox")
    with open(f"/proc/{server.process.pid}/status") as file:
        status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
    assert status["NoNewPrivs"] == "1" and (sandbox["seccomp"] == "no" or status["Seccomp"] == "2"), (sandbox, status)
    server.stop()

    del os.environ["ASAN_OPTIONS"]

    # a proxy that is trusted says who asks; the last address that is none of ours counts; who may, may
    server = Server(MOLT, folder, "--trusted-proxy", "127.0.0.0/8", "--trusted-proxy", "10.0.0.0/8", "--new-per-minute", "2", "--no-limit", "198.51.100.0/24")
    cases = {"5ccf7f000011": ("203.0.113.7", "203.0.113.7"), "5ccf7f000012": ("1.2.3.4, 203.0.113.8, 10.0.0.1", "203.0.113.8"), "5ccf7f000013": ("evil, 10.0.0.2", "10.0.0.2"),
             "5ccf7f000014": ("203.0.113.9, evil", "127.0.0.1"), "5ccf7f000015": ("2001:db8::7", "2001:db8::7"), "5ccf7f000016": ("203.0.113.9/8", "127.0.0.1")}
    for device, (header, address) in cases.items():
        assert ask(server, device, more={"X-Forwarded-For": header}) == 200
        assert address_of(server, device) == address, (device, header, address_of(server, device))
    for number in range(20, 30):
        ask(server, f"5CCF7F0000{number}", more={"X-Forwarded-For": "198.51.100.20"})
        ask(server, f"5CCF7F0001{number}", more={"X-Forwarded-For": "198.51.101.20"})
    there = [device["id"] for device in server.api("GET", "/devices?limit=100")["devices"]]
    assert sum(id.startswith("5ccf7f00002") for id in there) == 10 and 2 <= sum(id.startswith("5ccf7f00012") for id in there) < 10, there
    server.stop()
print("ok")
