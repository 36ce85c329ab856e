#!/usr/bin/env python3
"""dry_run_test - `molt doctor --dry-run` says everything that a real run sends, and sends nothing.

    dry_run_test.py path/to/molt

A socket listens and must see no connection. Then a server that answers wrongly in each way writes down the requests of a
real run; every one of them must stand in what the dry run said."""

import os
import re
import select
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rows
from broken_server import BrokenServer


def dry(molt, url, *options):
    result = subprocess.run([molt, "doctor", url, "--dry-run", *options], capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    assert "Nothing was sent." in result.stdout
    return result.stdout


def says_all_and_sends_nothing(molt):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    for scheme in "http", "https":
        for rest in ("x.bin", "--chip", "esp8266"), ("x.bin", "--chip", "esp32"), ("x.version",), ("fota", "--mac", rows.MAC8266), ("x.json",):
            said = dry(molt, f"{scheme}://127.0.0.1:{port}/{rest[0]}", *rest[1:])
            assert not scheme == "https" or said.count("ClientHello of") >= 4, said
    assert select.select([listener], [], [], 0)[0] == [], "a connection was opened"
    said = dry(molt, f"https://127.0.0.1:{port}/x.bin", "--chip", "esp32")
    for text in ("TLS 1.3", "TLS 1.0 or 1.1", "16 03 01", "HEAD /x.bin HTTP/1.1", "GET /x.bin HTTP/1.1", "Range: bytes=0-1023", "Range: bytes=0-65535",
                 "User-Agent: ESP32-http-Update", "User-Agent: ESP32 HTTP Client/1.0", "User-Agent: ESP32HTTPClient", "User-Agent: ESPHome/", "/molt-doctor-", "/molt-doctor/health"):
        assert text in said, f"{text} is missing in\n{said}"
    said = dry(molt, f"http://127.0.0.1:{port}/fota", "--mac", rows.MAC8266)
    for text in "GET /fota/" + rows.MAC8266, "GET /fota" + rows.MAC8266, "x-ESP8266-mode: version", "x-ESP8266-mode: sketch":
        assert text in said, f"{text} is missing in\n{said}"
    listener.close()


def requests_in(said):
    """The requests as sets of lines."""
    found = []
    for block in re.split(r"\n\n", said):
        lines = [line[2:] for line in block.splitlines() if line.startswith("  ")]
        if lines and " HTTP/1." in lines[0]:
            found.append(lines)
    return found


def real_runs_send_what_was_said(molt, lab):
    ways = {"good": rows.plain(lambda lab: lab), "404": rows.status("404 Not Found"), "505": rows.status("505 HTTP Version Not Supported"),
            "redirect": rows.status("302 Found", "Location: /y.bin"), "page": rows.raw(rows.head(length=len(rows.HTML)) + rows.HTML)}
    for name, way in ways.items():
        for options in ("--chip", "esp8266"), ("--chip", "esp32"), ():
            seen = []
            behaviour = way(lab)

            def answer(request):
                seen.append(request.raw.decode("latin-1"))
                yield from behaviour(request)
            server = BrokenServer(answer)
            url = f"http://127.0.0.1:{server.port}/x.bin"
            said = requests_in(dry(molt, url, *options))
            assert not seen, "the dry run asked"
            subprocess.run([molt, "doctor", url, "--json", "--timeout", "60000", *options], capture_output=True, timeout=600)
            server.close()
            assert seen, "the real run asked nothing"
            for raw in seen:
                lines = [line for line in raw.split("\r\n") if line]
                lines[0] = lines[0].replace("/y.bin", "/x.bin")  # where a Location leads is not known before
                assert lines in said, f"{name} {options}: not said before:\n{raw}"


def main():
    molt = os.path.abspath(sys.argv[1])
    says_all_and_sends_nothing(molt)
    with tempfile.TemporaryDirectory() as folder:
        for chip in "esp8266", "esp32":
            path = os.path.join(folder, chip)
            subprocess.run([molt, "sim", "build", path, "--chip", chip, "--code", "1001", "--size", "60000"], check=True, stdout=subprocess.DEVNULL)
            with open(path, "rb") as image:
                real_runs_send_what_was_said(molt, image.read())


if __name__ == "__main__":
    main()
