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
    assert [ask(server, "5CCF7F000001") for _ in range(5)] == [200, 200, 200, 429, 429]
    try:
        urllib.request.urlopen(server.device + "/5CCF7F000001.version", timeout=60)
    except urllib.error.HTTPError as refused:
        assert (refused.code, refused.headers["Retry-After"]) == (429, "60"), (refused.code, refused.headers.items())
    else:
        raise AssertionError("it was let through")
    assert ask(server, "5CCF7F000002") == 200
    # a header of anybody is not believed; too many new devices from one address are answered and not recorded
    forwarded = {"X-Forwarded-For": "203.0.113.7"}
    for number in range(3, 9):
        assert ask(server, f"5CCF7F00000{number}", more=forwarded) == 200
    assert len(server.api("GET", "/devices")["devices"]) == 4 and address_of(server, "5ccf7f000003") == "127.0.0.1"
    # a token, and whoever has none; people at the data folder's socket are not counted
    got = [fetch(server.admin + "/api/v1/status", server.token)[0] for _ in range(40)]
    assert got[:20] == [200] * 20 and got[-1] == 429, got
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
    before = len(server.api("GET", "/devices")["devices"])
    for number in range(20, 30):
        ask(server, f"5CCF7F0000{number}", more={"X-Forwarded-For": "198.51.100.20"})
        ask(server, f"5CCF7F0001{number}", more={"X-Forwarded-For": "198.51.101.20"})
    assert len(server.api("GET", "/devices")["devices"]) == before + 10 + 2
    server.stop()
print("ok")
