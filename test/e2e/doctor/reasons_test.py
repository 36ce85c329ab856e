#!/usr/bin/env python3
"""reasons_test - one list of reasons for all: what a device's library reports as a number, the server shows by its id, and the
doctor names with a remedy.

    reasons_test.py path/to/molt path/to/source

Every reason of device/src/molt_reason.def that a device may report and somebody can act on is reported once, each by a
device of its own, in the library's own check-in message."""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from running import Server

ACTORS = {"MAKER", "OPERATOR", "NETWORK", "HARDWARE"}


def reasons(source):
    """(number, id) of what a check-in may carry and a person can mend."""
    with open(os.path.join(source, "device/src/molt_reason.def")) as table:
        for number, name, who in re.findall(r'^MOLT_REASON\(\w+,\s*(\d+),\s*"([^"]+)",\s*(\w+),', table.read(), re.M):
            if who in ACTORS and (20 <= int(number) < 150 or 230 <= int(number) <= 236):
                yield int(number), name


def unsigned(value):
    if value < 24:
        return bytes([value])
    return bytes([24, value]) if value < 256 else bytes([25]) + value.to_bytes(2, "big")


def check_in(device, result):
    """CBOR: id, chip ESP8266, running code 1, confirmed, takes raw images; result of the attempt at code 2."""
    text = device.encode()
    return bytes([0xA7, 1, 0x60 + len(text)]) + text + bytes([2, 1, 4, 1, 11, 0, 12, 1, 13]) + unsigned(result) + bytes([14, 2])


def report_all(server, table):
    for number, name in table:
        request = urllib.request.Request(f"{server.device}/p/lamp/molt/v1/check-in", check_in(f"unit-{number}", number),
                                         {"Content-Type": "application/cbor"})
        with urllib.request.urlopen(request, timeout=600) as answer:
            assert answer.status == 200, (name, answer.status)


def server_shows(molt, table):
    """The reasons that the server gives for its devices, by id."""
    wrong = []
    for number, name in table:
        device = json.loads(subprocess.run([molt, "device", "show", f"unit-{number}", "--json"], capture_output=True, text=True, check=True).stdout)
        shown = [reason for reason in (device.get("reason"), (device.get("attempt") or {}).get("reason")) if reason]
        if not any((reason["number"], reason["id"]) == (number, name) for reason in shown):
            wrong.append(f"the server shows {shown} for {number} {name}")
    return wrong


def doctor_names(molt, table):
    wrong = []
    for number, name in table:
        said = subprocess.run([molt, "doctor", "--device", f"unit-{number}", "--json"], capture_output=True, text=True).stdout
        findings = {finding["cause"]: finding for finding in json.loads(said)["findings"]}
        if name not in findings or not findings[name]["remedy"]:
            wrong.append(f"the doctor says {said.strip()} of {number} {name}")
    return wrong


def main():
    molt, source = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    table = list(reasons(source))
    assert len(table) > 60, table
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MOLT_DATA"] = os.path.join(folder, "data")
        image = os.path.join(folder, "lamp.bin")
        subprocess.run([molt, "sim", "build", image, "--chip", "esp8266", "--code", "2", "--size", "60000"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([molt, "publish", image, "--product", "lamp", "--version", "2", "--code", "2"], check=True, stdout=subprocess.DEVNULL)
        server = Server(molt, folder, "--new-per-minute", "1000")
        try:
            report_all(server, table)
        finally:
            server.stop()
        wrong = server_shows(molt, table) + doctor_names(molt, table)
        print("\n".join(wrong))
        print(f"{len(table)} reasons, {len(wrong)} told otherwise")
        return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
