"""attacks.py - a malicious update server against virtual devices with a trust anchor. Each row tries one attack of the
TUF, Uptane and RFC 9124 lists over every way in which a device asks; none may change what the device runs, each must end
with the right reason, and the device must still take the honest update afterwards.

    attacks.py path/to/molt ROW      runs one row
    attacks.py --list                names them
"""

import gzip
import hashlib
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

ROWS = {}
IDS = {"esp8266": "5ccf7f000001", "esp32": "240ac4000001"}


def row(name):
    def register(function):
        ROWS[name] = function
        return function
    return register


# ---- the wire ----

def head(major, value):
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 24:
            return bytes([major << 5 | value])
        if value < 1 << (8 * size):
            return bytes([major << 5 | info]) + value.to_bytes(size, "big")
    raise ValueError(value)


def cbor_map(pairs):
    out = head(5, len(pairs))
    for key in sorted(pairs):
        value = pairs[key]
        if isinstance(value, int):
            out += head(0, key) + head(0, value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += head(0, key) + head(3 if isinstance(value, str) else 2, len(data)) + data
    return out


def identity(data):
    """Of an image, as check-ins call it: a liar that is consistent in everything."""
    image = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    is_esp32 = len(image) > 36 and int.from_bytes(image[32:36], "little") == 0xABCD5432  # application descriptor
    return image[-32:] if is_esp32 else hashlib.sha256(image[4096:]).digest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def send(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Connection": "close", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def give(self, what):
        """A file (with ranges), or a function that misbehaves by itself."""
        if what is None:
            self.send(b"", 404)
        elif callable(what):
            what(self)
        else:
            first = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0])
            tag = '"' + hashlib.sha256(what).hexdigest()[:16] + '"'
            if "Range" in self.headers:
                self.send(what[first:], 206, ETag=tag,
                          Content_Range=f"bytes {first}-{len(what) - 1}/{len(what)}")
            else:
                self.send(what, ETag=tag)

    def do_GET(self):
        offer = self.server.offer
        self.server.asked.append(self.path)
        name = self.path.split("?")[0]
        if name.endswith(".version"):
            self.send(str(offer["code"]).encode())
        elif name.endswith(".suit"):
            self.give(offer["suit"])
        elif name.endswith(".bin"):
            self.give(offer["bin"])
        else:
            self.give(offer.get("more", {}).get(name))

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(self.path)
        offer = self.server.offer
        if "answer" in offer:
            self.send(cbor_map(offer["answer"]), Content_Type="application/cbor")
            return
        data = offer.get("claimed", offer["bin"])
        answer = {1: 1, 2: 150, 4: offer["code"], 6: "/x.bin", 7: int(data[:2] == b"\x1f\x8b"), 8: len(data),
                  9: hashlib.sha256(data).digest(), 10: offer["image_len"], 11: identity(data)}
        if offer["suit"] is not None:
            answer[32] = "/x.suit"
        answer.update(offer.get("hints", {}))
        self.send(cbor_map(answer), Content_Type="application/cbor")


class World:
    """Keys, firmware, one evil server, and devices."""

    def __init__(self, molt, folder):
        self.molt, self.folder = molt, folder
        os.chdir(folder)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        for key in ("maker", "stranger", "next", "root", "approver", "fleet", "other-fleet"):
            self.run("keygen", key, "--no-passphrase")
        self.tries = 0

    def run(self, *args, want=0):
        result = subprocess.run([self.molt, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert result.returncode == want, (args, result.stdout, result.stderr)
        return result.stdout

    def firmware(self, chip, code, product="door", **more):
        path = f"{chip}-{product}-{code}-{'-'.join(more.values())}.bin"
        if not os.path.exists(path):
            extra = [part for name, value in more.items() for part in ("--" + name, value)]
            self.run("sim", "build", path, "--chip", chip, "--code", str(code), "--product", product, *extra)
        return path

    def running(self, chip):
        """What a device has before anything happens to it."""
        return self.firmware(chip, 1)

    def sign(self, path, key="maker", product="door", **more):
        extra = [part for name, value in more.items() for part in ("--" + name, str(value))]
        self.run("sign", path, "--key", key, "--product", product, "--out", "signed.suit", *extra)
        return read("signed.suit")

    def approve(self, suit, key="approver"):
        with open("approved.suit", "wb") as file:
            file.write(suit)
        self.run("sign", "approved.suit", "--approve", "--key", key)
        return read("approved.suit")

    def rotate(self, chip, epoch, *to, key="root", product="door"):
        """The root's statement that only these keys may sign."""
        anchors = [part for name in to for part in ("--to", name + ".pub")]
        self.run("key", "rotate", "door.keys", "--key", key, *anchors, "--epoch", str(epoch), "--product", product,
                 "--chip", chip)
        return read("door.keys")

    def device(self, chip, source, offer, flash, trust=("maker",), start=1, extra=()):
        """Lives until it rests. (exit status, events, summary)"""
        self.server.offer, self.server.asked = offer, []
        anchors = list(extra)
        anchors += [part for key in trust for part in ("--trust", key + ".pub")]
        where = self.url + "/door.bin" if source == "url" else self.url
        result = subprocess.run(
            [self.molt, "sim", "--chip", chip, "--mac", IDS[chip], "--source", source, "--server", where, "--flash", flash,
             "--firmware", self.firmware(chip, start), "--json", *anchors],
            capture_output=True, text=True, stdin=subprocess.DEVNULL)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        assert lines and lines[-1]["event"] == "summary", (result.stdout, result.stderr)
        return result.returncode, lines[:-1], lines[-1]

    def honest(self, chip, code):
        path = self.firmware(chip, code)
        return {"code": code, "suit": self.sign(path), "bin": read(path), "image_len": len(read(path))}

    def refused(self, offer_of, reasons, sources=("version-file", "check-in", "url"), chips=("esp8266", "esp32"),
                trust=("maker",), start=1, good_key="maker", extra=(), good=None):
        """The attack fails with one of the reasons, and the honest update works afterwards."""
        for chip in chips:
            for source in sources:
                flash = f"{self.tries}.flash"
                self.tries += 1
                offer = offer_of(chip)
                status, events, summary = self.device(chip, source, offer, flash, trust, start, extra)
                where = (chip, source, events, summary)
                assert summary["alive"] and summary["version_code"] == start and summary["updates"] == 0, where
                seen = {event.get("reason") for event in events if event["event"] == "failed"}
                assert status == 1 and seen and seen <= set(reasons), (seen, where)
                path = self.firmware(chip, 9)
                offer = {"code": 9, "suit": self.sign(path, key=good_key), "bin": read(path), "image_len": len(read(path))}
                offer = good(chip, offer) if good else offer
                status, events, summary = self.device(chip, source, offer, flash, trust, start, extra)
                assert status == 0 and summary["version_code"] == 9, (chip, source, events, summary)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def changed(offer, **fields):
    return {**offer, **fields}


# ---- arbitrary software (NON_AUTH) ----

@row("unsigned-image")
def _(w):
    w.refused(lambda chip: changed(w.honest(chip, 2), suit=None), {"not-signed"})


@row("stranger-signs")
def _(w):
    def offer(chip):
        return changed(w.honest(chip, 2), suit=w.sign(w.firmware(chip, 2), key="stranger"))
    w.refused(offer, {"bad-signature"})


@row("manifest-modified")
def _(w):
    for at in (0, 2, 14, 40, 52, 57, 90, 120, 121, 122, 124, 128, 130, 150, 180, 210, 230, -1):
        def offer(chip):
            good = w.honest(chip, 2)
            suit = bytearray(good["suit"])
            suit[at] ^= 0x01
            return changed(good, suit=bytes(suit))
        w.refused(offer, {"bad-signature", "bad-manifest"}, sources=("version-file",), chips=("esp8266",))


@row("manifest-is-no-manifest")
def _(w):
    for junk in (b"", b"<html>404</html>", bytes(300), b"\xd8\x6b" + b"\xff" * 400):
        w.refused(lambda chip: changed(w.honest(chip, 2), suit=junk), {"bad-manifest"}, chips=("esp8266",))


@row("image-modified")
def _(w):
    def offer(chip):
        good = w.honest(chip, 2)
        data = bytearray(good["bin"])
        data[len(data) // 2] ^= 0x40
        return changed(good, bin=bytes(data))
    w.refused(offer, {"bad-checksum", "bad-crc", "bad-hash", "digest-mismatch"})


@row("another-valid-image")  # every check of the format holds: only the signed digest can tell
def _(w):
    w.refused(lambda chip: changed(w.honest(chip, 2), bin=read(w.firmware(chip, 2, seed="7"))), {"digest-mismatch"})


# ---- rollback, fast-forward ----

@row("rollback")
def _(w):
    for chip in ("esp8266", "esp32"):
        for source in ("version-file", "check-in", "url"):
            flash = f"rollback-{chip}-{source}.flash"
            status, events, summary = w.device(chip, source, w.honest(chip, 5), flash)
            assert status == 0 and summary["version_code"] == 5, events
            offer = changed(w.honest(chip, 4), code=6)  # called 6, signed as 4
            status, events, summary = w.device(chip, source, offer, flash)
            assert summary["version_code"] == 5 and summary["updates"] == 0, events
            assert {e["reason"] for e in events if e["event"] == "failed"} == {"older-sequence"}, events
            status, events, summary = w.device(chip, source, w.honest(chip, 9), flash)
            assert status == 0 and summary["version_code"] == 9, events


@row("rollback-after-reflash")  # the number survives an old firmware flashed by wire
def _(w):
    flash = "again.flash"
    status, events, summary = w.device("esp8266", "version-file", w.honest("esp8266", 5), flash)
    assert status == 0 and summary["version_code"] == 5, events
    old, was = read(w.firmware("esp8266", 1)), read(w.firmware("esp8266", 5))
    with open(flash, "r+b") as chip:  # esptool writes the application's place and nothing else
        chip.write(old + b"\xff" * max(0, len(was) - len(old)))
    status, events, summary = w.device("esp8266", "version-file", w.honest("esp8266", 4), flash)
    assert summary["version_code"] == 1, events
    assert {e["reason"] for e in events if e["event"] == "failed"} == {"older-sequence"}, events


@row("fast-forward")  # a sequence that nobody signed
def _(w):
    def offer(chip):
        good = w.honest(chip, 2)
        assert good["suit"][123:129].count(b"\x02") >= 1
        at = good["suit"].index(b"\x01\x01\x02\x02\x03", 120) + 3
        return changed(good, suit=good["suit"][:at] + b"\x17" + good["suit"][at + 1:])
    w.refused(offer, {"bad-signature"})


# ---- endless and extra data ----

@row("endless-image")
def _(w):
    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(64):
                handler.wfile.write(bytes(65536))
        except OSError:
            pass
        handler.close_connection = True
    w.refused(lambda chip: changed(w.honest(chip, 2), bin=endless, claimed=w.honest(chip, 2)["bin"]),
              {"no-content-length"})


@row("huge-image")
def _(w):
    def huge(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(2**31))
        handler.end_headers()
        handler.wfile.write(bytes(4096))
        handler.close_connection = True
    w.refused(lambda chip: changed(w.honest(chip, 2), bin=huge, claimed=w.honest(chip, 2)["bin"]),
              {"length-mismatch"})


@row("endless-manifest")
def _(w):
    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(64):
                handler.wfile.write(bytes(65536))
        except OSError:
            pass
        handler.close_connection = True
    w.refused(lambda chip: changed(w.honest(chip, 2), suit=endless), {"bad-manifest"})


@row("extra-data")
def _(w):
    def offer(chip):
        good = w.honest(chip, 2)
        return changed(good, bin=good["bin"] + b"extra...", image_len=good["image_len"] + 8)
    w.refused(offer, {"length-mismatch"})


@row("cut-image")
def _(w):
    def offer(chip):
        good = w.honest(chip, 2)
        return changed(good, bin=good["bin"][:-4096])
    w.refused(offer, {"length-mismatch", "truncated-image", "digest-mismatch"})


@row("gzip-bomb")  # a small file that decodes to more than was signed
def _(w):
    def offer(chip):
        good = w.honest(chip, 2)
        return changed(good, bin=gzip.compress(good["bin"] + bytes(20 << 20), 9, mtime=0))
    w.refused(offer, {"length-mismatch", "gzip-window", "no-space", "trailing-bytes"})


# ---- the right thing for somebody else ----

@row("another-product")
def _(w):
    def offer(chip):
        path = w.firmware(chip, 2, product="safe")
        return changed(w.honest(chip, 2), bin=read(path), suit=w.sign(path, product="safe"))
    w.refused(offer, {"wrong-product"})


@row("another-maker")
def _(w):
    w.refused(lambda chip: changed(w.honest(chip, 2), suit=w.sign(w.firmware(chip, 2), vendor="example.com")),
              {"wrong-product"})


@row("another-chip")
def _(w):
    other = {"esp8266": "esp32", "esp32": "esp8266"}
    w.refused(lambda chip: w.honest(other[chip], 2), {"wrong-product"})


@row("mix-and-match")  # the manifest of one release, the image of another
def _(w):
    def offer(chip):
        good, newer = w.honest(chip, 2), w.honest(chip, 3)
        return changed(newer, suit=good["suit"])
    w.refused(offer, {"digest-mismatch"})


@row("mix-and-match-file-system")  # of a newer release, signed, for an application that it does not belong to
def _(w):
    def offer(chip):
        with open("new.fs", "wb") as file:
            file.write(bytes(8) + b"littlefs" + bytes(65520))
        suit, data = w.sign(w.firmware(chip, 2), fs="new.fs"), read("new.fs")
        return {"code": 2, "suit": suit, "bin": data, "image_len": len(data), "hints": {11: hashlib.sha256(data).digest(), 12: 1}}
    w.refused(offer, {"manifest-mismatch"}, sources=("check-in",))


@row("wrong-precursor")  # a delta for another image than the one that runs, and one to another image than was signed
def _(w):
    def delta(base, new):
        def offer(chip):
            w.run("pack", new(chip), "--base", base(chip), "--out", "wrong.delta")
            good = w.honest(chip, 2)
            return changed(good, bin=read("wrong.delta"), hints={7: 2, 11: identity(good["bin"])})
        return offer
    # versions 1, 2 and 3 are alike, so that each of these is small, and useless without its base
    w.refused(delta(lambda chip: w.firmware(chip, 3), lambda chip: w.firmware(chip, 2)), {"wrong-pack-base"}, sources=("check-in",),
              extra=("--packs",))
    w.refused(delta(w.running, lambda chip: w.firmware(chip, 3)), {"bad-pack", "digest-mismatch", "length-mismatch"},
              sources=("check-in",), extra=("--packs",))


# ---- the network ----

@row("redirect-to-other-content")
def _(w):
    def offer(chip):
        good = w.honest(chip, 2)
        def away(handler):
            handler.send(b"", 302, Location=f"{w.url}/elsewhere")
        return changed(good, bin=away, claimed=good["bin"], more={"/elsewhere": read(w.firmware(chip, 2, seed="7"))})
    w.refused(offer, {"digest-mismatch"})


@row("mirror-with-the-right-content")  # no attack: where the bytes come from does not matter
def _(w):
    for chip in ("esp8266", "esp32"):
        good = w.honest(chip, 2)
        def away(handler):
            handler.send(b"", 302, Location=f"{w.url}/mirror")
        offer = changed(good, bin=away, claimed=good["bin"], more={"/mirror": good["bin"]})
        for source in ("version-file", "check-in", "url"):
            status, events, summary = w.device(chip, source, offer, f"mirror-{chip}-{source}.flash")
            assert status == 0 and summary["version_code"] == 2, (chip, source, events)


@row("replaced-on-resume")  # the first half of the signed image, the second half of another one
def _(w):
    def offer(chip):
        good, other = w.honest(chip, 2), read(w.firmware(chip, 2, seed="7"))
        middle = len(good["bin"]) // 2
        def two_faced(handler):
            tag = '"same"'
            if "Range" not in handler.headers:
                handler.send_response(200)
                handler.send_header("Content-Length", str(len(good["bin"])))
                handler.send_header("ETag", tag)
                handler.end_headers()
                handler.wfile.write(good["bin"][:middle])
                handler.close_connection = True
                return
            first = int(handler.headers["Range"][6:].split("-")[0])
            handler.send(other[first:], 206, ETag=tag,
                         Content_Range=f"bytes {first}-{len(other) - 1}/{len(other)}")
        return changed(good, bin=two_faced, claimed=good["bin"])
    w.refused(offer, {"digest-mismatch", "bad-segment", "bad-checksum", "bad-crc", "bad-hash"})


# ---- hints, keys ----

@row("lying-hints")
def _(w):
    lies = [{8: 1000}, {10: 1000}, {7: 1}, {6: "/x.suit"}, {6: "http://127.0.0.1:1/x.bin"}]
    for lie in lies:
        w.refused(lambda chip: changed(w.honest(chip, 2), hints=lie),
                  {"length-mismatch", "digest-mismatch", "bad-gzip", "connect-failed"}, sources=("check-in",))
    # a wrong digest of the file as it comes is no lie that matters: the signed one decides, and only what is signed is installed
    for chip in ("esp8266", "esp32"):
        offer = changed(w.honest(chip, 2), hints={9: bytes(32)})
        status, events, summary = w.device(chip, "check-in", offer, f"hint-{chip}.flash")
        assert status == 0 and summary["alive"] and summary["version_code"] == 2, (chip, events, summary)


@row("retired-key")  # the old key leaked; devices know the next one only
def _(w):
    w.refused(lambda chip: w.honest(chip, 2), {"bad-signature"}, trust=("next",), good_key="next")


@row("either-of-two-keys")  # no attack: a rotation under way
def _(w):
    for key in ("maker", "next"):
        for chip in ("esp8266", "esp32"):
            path = w.firmware(chip, 2)
            offer = changed(w.honest(chip, 2), suit=w.sign(path, key=key))
            status, events, summary = w.device(chip, "version-file", offer, f"{key}-{chip}.flash", ("maker", "next"))
            assert status == 0 and summary["version_code"] == 2, (key, chip, events)


@row("signed-but-crashing")  # what is signed may be bad: an ESP32 goes back, and its sequence was not raised
def _(w):
    path = w.firmware("esp32", 2, behaviour="crash")
    offer = {"code": 2, "suit": w.sign(path), "bin": read(path), "image_len": len(read(path))}
    status, events, summary = w.device("esp32", "version-file", offer, "crash.flash")
    assert summary["alive"] and summary["version_code"] == 1 and summary["rollbacks"] >= 1, (events, summary)
    assert summary["sequence"] == 1


# ---- the root key says who may sign ----

ROOT = ("--root", "root.pub")


@row("forged-key-statement")  # a stranger, the release key, or another product's statement changes no keys
def _(w):
    def forged(statement):
        def offer(chip):
            suit = w.sign(w.firmware(chip, 2), key="stranger")
            return changed(w.honest(chip, 2), suit=suit + statement(chip))
        return offer
    for statement in (lambda chip: w.rotate(chip, 1, "stranger", key="stranger"),
                      lambda chip: w.rotate(chip, 1, "stranger", key="maker"),
                      lambda chip: w.rotate(chip, 1, "stranger", product="safe"),
                      lambda chip: w.rotate(chip, 1, "stranger")[:-1],
                      lambda chip: b"\xd2" * 162):
        w.refused(forged(statement), {"bad-key-statement"}, sources=("version-file",), extra=ROOT)


@row("key-statement-modified")
def _(w):
    for at in (0, 5, 8, 11, 12, 13, 14, 29, 30, 31, 32, 60, 95, 96, 97, 98, 130, 161):
        def offer(chip):
            statement = bytearray(w.rotate(chip, 1, "next"))
            assert len(statement) == 162
            statement[at] ^= 0x01
            return changed(w.honest(chip, 2), suit=w.sign(w.firmware(chip, 2), key="next") + bytes(statement))
        w.refused(offer, {"bad-key-statement"}, sources=("version-file",), chips=("esp8266",), extra=ROOT)


@row("root-signs-no-release")
def _(w):
    w.refused(lambda chip: changed(w.honest(chip, 2), suit=w.sign(w.firmware(chip, 2), key="root")), {"bad-signature"},
              extra=ROOT)


@row("leaked-key")  # what a thief signs is refused once a device has seen the statement, and so is an older statement
def _(w):
    for chip in ("esp8266", "esp32"):
        for source in ("version-file", "check-in", "url"):
            flash = f"leaked-{chip}-{source}.flash"
            def life(code, key, statement):
                path = w.firmware(chip, code)
                offer = changed(w.honest(chip, code), suit=w.sign(path, key=key) + statement)
                status, events, summary = w.device(chip, source, offer, flash, ("maker",), 1, ROOT)
                return summary["version_code"], {e.get("reason") for e in events if e["event"] == "failed"}
            old, new = w.rotate(chip, 1, "maker", "next"), w.rotate(chip, 2, "next")
            assert life(2, "maker", old) == (2, set())  # both may sign
            assert life(3, "next", new) == (3, set())   # the new one alone
            for suit_key, statement, reason in (("maker", b"", "retired-key"), ("maker", old, "retired-key"),
                                                ("next", b"", "retired-key"), ("maker", new, "bad-signature")):
                assert life(4, suit_key, statement) == (3, {reason}), (chip, source, suit_key, reason)
            assert life(5, "next", new) == (5, set())


@row("revoked-before-it-is-used")  # a statement counts although the manifest that brought it is refused
def _(w):
    chip, flash = "esp8266", "revoked.flash"
    offer = changed(w.honest(chip, 2), suit=w.sign(w.firmware(chip, 2), key="stranger") + w.rotate(chip, 7, "next"))
    status, events, summary = w.device(chip, "version-file", offer, flash, ("maker",), 1, ROOT)
    assert {e["reason"] for e in events if e["event"] == "failed"} == {"bad-signature"}, events
    status, events, summary = w.device(chip, "version-file", w.honest(chip, 2), flash, ("maker",), 1, ROOT)
    assert {e["reason"] for e in events if e["event"] == "failed"} == {"retired-key"}, events
    assert summary["version_code"] == 1


# ---- approval (UPD.UNAPPROVED) ----

@row("not-approved")
def _(w):
    approver = ("--approver", "approver.pub")
    good = lambda chip, offer: changed(offer, suit=w.approve(offer["suit"]))
    w.refused(lambda chip: w.honest(chip, 2), {"not-approved"}, extra=approver, good=good)
    w.refused(lambda chip: changed(w.honest(chip, 2), suit=w.approve(w.honest(chip, 2)["suit"], key="stranger")),
              {"not-approved"}, sources=("version-file",), extra=approver, good=good)
    w.refused(lambda chip: changed(w.honest(chip, 2), suit=w.approve(w.sign(w.firmware(chip, 2), key="approver"))),
              {"bad-signature"}, sources=("version-file",), extra=approver, good=good)


@row("approval-modified")
def _(w):
    approver = ("--approver", "approver.pub")
    good = lambda chip, offer: changed(offer, suit=w.approve(offer["suit"]))
    for at in (5, 6, 57, 121, 122, 128, 133, 140, 196, 197, 198, 210, -1):
        def offer(chip):
            suit = bytearray(w.approve(w.honest(chip, 2)["suit"]))
            suit[at] ^= 0x01
            return changed(w.honest(chip, 2), suit=bytes(suit))
        w.refused(offer, {"bad-signature", "bad-manifest", "not-approved"}, sources=("version-file",), chips=("esp8266",),
                  extra=approver, good=good)


# ---- encrypted images (IMG.DISCLOSURE) ----

def sealed(w, chip, code, recipient="fleet"):
    path = w.firmware(chip, code)
    suit = w.sign(path, **{"encrypt-for": recipient + ".pub"})
    return {"code": code, "suit": suit, "bin": read(path + ".enc"), "image_len": len(read(path))}


@row("eavesdropper-sees-nothing")  # no attack: the encrypted image arrives, and the wire has none of its text
def _(w):
    for chip in ("esp8266", "esp32"):
        for source in ("version-file", "url"):
            offer = sealed(w, chip, 2)
            plain = read(w.firmware(chip, 2))
            assert len(offer["bin"]) == len(plain)
            assert not any(plain[at:at + 16] in offer["bin"] for at in range(0, len(plain) - 16, 4096))
            status, events, summary = w.device(chip, source, offer, f"sealed-{chip}-{source}.flash",
                                               extra=("--device-key", "fleet"))
            assert status == 0 and summary["version_code"] == 2, (chip, source, events)


@row("encrypted-for-others")
def _(w):
    key = ("--device-key", "fleet")
    sources = ("version-file", "url")
    w.refused(lambda chip: sealed(w, chip, 2, "other-fleet"), {"encrypted"}, sources=sources, extra=key)
    w.refused(lambda chip: sealed(w, chip, 2), {"encrypted"}, sources=sources)


@row("ciphertext-modified")
def _(w):
    def offer(chip):
        good = sealed(w, chip, 2)
        data = bytearray(good["bin"])
        data[len(data) // 2] ^= 0x40
        return changed(good, bin=bytes(data))
    w.refused(offer, {"bad-checksum", "bad-crc", "bad-hash", "digest-mismatch", "bad-segment"},
              sources=("version-file", "url"), extra=("--device-key", "fleet"))


@row("plaintext-for-ciphertext")  # and the other way round: neither is what was signed
def _(w):
    key = ("--device-key", "fleet")
    def swapped(chip):
        return changed(sealed(w, chip, 2), bin=read(w.firmware(chip, 2)))
    def opened(chip):
        return changed(w.honest(chip, 2), bin=sealed(w, chip, 2)["bin"])
    reasons = {"unknown-image", "not-an-image", "digest-mismatch", "wrong-chip", "bad-gzip", "length-mismatch", "text-file",
               "sdk-v2-image", "bad-segment", "unknown-file"}
    w.refused(swapped, reasons, sources=("version-file",), extra=key)
    w.refused(opened, reasons, sources=("version-file",), extra=key)


@row("encrypted-resume")  # no attack: the connection breaks again and again, then the power is cut in the middle
def _(w):
    for chip in ("esp8266", "esp32"):
        for key in ("fleet",):
            offer, flash = sealed(w, chip, 2), f"sealed-resume-{chip}.flash"
            data, cut, ranges = offer["bin"], threading.Event(), []
            def broken(handler):
                first = int(handler.headers.get("Range", "bytes=0-")[6:].split("-")[0])
                ranges.append(first)
                handler.send_response(206 if first else 200)
                if first:
                    handler.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
                handler.send_header("Content-Length", str(len(data) - first))
                handler.send_header("ETag", '"sealed"')
                handler.end_headers()
                handler.wfile.write(data[first:first + 70001])
                handler.wfile.flush()
                if len(ranges) == 3:
                    cut.set()
                    time.sleep(600)  # until the power is gone
                handler.close_connection = True
            w.server.offer, w.server.asked = changed(offer, bin=broken), []
            device = subprocess.Popen(
                [w.molt, "sim", "--chip", chip, "--mac", IDS[chip], "--source", "version-file", "--server", w.url, "--flash",
                 flash, "--firmware", w.firmware(chip, 1), "--trust", "maker.pub", "--device-key", key, "--json"],
                stdout=open("sim.log", "wb"), stdin=subprocess.DEVNULL)
            assert cut.wait(600), (ranges, read("sim.log"))
            device.kill()
            device.wait()
            before = len(ranges)
            status, events, summary = w.device(chip, "version-file", changed(offer, bin=broken), flash,
                                               extra=("--device-key", key))
            assert status == 0 and summary["version_code"] == 2, (chip, events)
            assert ranges[0] == 0 and all(first > 0 for first in ranges[1:before]), ranges
            assert ranges[before + 1] > 100000, ranges  # learns that the file is the same, goes on at what is durable


# ---- freeze, slow retrieval ----

NOTHING_NEW = {1: 0, 2: 151}  # the answer of a server that withholds


@row("indefinite-freeze")  # the server says "nothing new" for ever: the device raises the alarm, and an honest update ends it
def _(w):
    alarm = ("--stale-hours", "2", "--checks", "200")
    for chip in ("esp8266", "esp32"):
        frozen = changed(w.honest(chip, 1), code=1)  # what it runs: signed, and offered for ever
        for source, offer in (("version-file", frozen), ("check-in", frozen), ("check-in", changed(frozen, answer=NOTHING_NEW))):
            flash = f"freeze-{w.tries}.flash"
            w.tries += 1
            status, events, summary = w.device(chip, source, offer, flash, extra=alarm)
            alarms = [e for e in events if e.get("reason") == "stale"]
            assert summary["version_code"] == 1 and alarms, events
            status, events, summary = w.device(chip, source, w.honest(chip, 2), flash, extra=alarm[:2])
            assert summary["version_code"] == 2 and not [e for e in events if e.get("reason") == "stale"], events


@row("slow-retrieval")  # one byte a second: the device gives up, and keeps what it runs
def _(w):
    release = threading.Event()
    def slow(handler):
        data = w.server.slow
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.send_header("ETag", '"slow"')
        handler.end_headers()
        handler.wfile.write(data[:1])
        handler.wfile.flush()
        release.wait()
        handler.close_connection = True
    for chip in ("esp8266",):
        good = w.honest(chip, 2)
        w.server.slow = good["bin"]
        offer = changed(good, bin=slow, claimed=good["bin"])
        status, events, summary = w.device(chip, "version-file", offer, f"slow-{chip}.flash")
        assert summary["alive"] and summary["version_code"] == 1 and summary["updates"] == 0, events
        assert {e.get("reason") for e in events if e["event"] == "failed"} <= {"timeout", "connection-lost"}, events
    release.set()


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        print("\n".join(ROWS))
        sys.exit(0)
    with tempfile.TemporaryDirectory() as scratch:
        world = World(os.path.abspath(sys.argv[1]), scratch)
        for name in sys.argv[2:] or ROWS:
            ROWS[name](world)
            print(name + ": held")
        os.chdir("/")
