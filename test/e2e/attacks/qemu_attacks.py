"""qemu_attacks.py - the rows of attacks.py against the reference application in QEMU, on an ESP8266's or an ESP32-C3's core, which asks
by check-in: a device of its own each time, which must refuse for the right reason and go on with what it runs. At the end
honest updates, signed, approved and encrypted, must arrive.

    qemu_attacks.py path/to/molt lx106|rv32 [--all] [ROW ...]

--all: every variant of each row, not the first alone.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "tools"))
import attacks
from attacks import ROWS, changed, read
from qemu_device import BOARDS, FIRMWARE, WAIT_S, Device

PRODUCT = "molt-reference"
CHIPS = {"lx106": ("esp8266", "esp8266"), "rv32": ("esp32", "esp32c3")}  # in the rows, and in truth
# Those that are not attacks, or whose devices live more than one life, have a form of their own below.
# The reference application has no file system.
OTHERWISE = {"mix-and-match-file-system", "fast-forward", "lying-hints", "rollback", "rollback-after-reflash", "mirror-with-the-right-content", "either-of-two-keys", "signed-but-crashing",
             "leaked-key", "revoked-before-it-is-used", "eavesdropper-sees-nothing", "encrypted-resume", "indefinite-freeze",
             "slow-retrieval"}
SAID = re.compile(r"^agent: ([a-z0-9-]+), status")
GOOD = {"up-to-date", "confirmed", "already-installed", "on-trial"}


class QemuWorld(attacks.World):
    def __init__(self, molt, folder, board):
        super().__init__(molt, folder)
        self.url = self.url.replace("127.0.0.1", "10.0.2.2")  # this machine, as a device sees it
        self.board, (self.own, self.chip), self.row, self.variant, self.all = board, CHIPS[board], "", 0, False

    def real(self, name):
        path = os.path.join(FIRMWARE, BOARDS[self.board], f"app-{name}.bin")
        if self.board == "rv32":
            return path
        ready = f"real-{name}.bin"  # an ESP8266's has molt-boot in sector 0
        if not os.path.exists(ready):
            self.run("image", "set-boot", path, "--layout", "4M2M", "--out", ready)
        return ready

    def firmware(self, chip, code, product=PRODUCT, **more):
        return super().firmware(self.chip if chip == self.own else chip, code if code > 9 else code * 1000000, product, **more)

    def sign(self, path, key="maker", product=PRODUCT, **more):
        if os.path.isabs(path):  # firmware where it was built: nothing is written there
            there, path = path, os.path.basename(path)
            if not os.path.exists(path):
                os.symlink(there, path)
        return super().sign(path, key, product, **more)

    def rotate(self, chip, epoch, *to, key="root", product=PRODUCT):
        return super().rotate(self.chip, epoch, *to, key=key, product=product)

    def anchors(self, trust, extra):
        """The device's settings for what a virtual device gets by options."""
        def public(path):
            return json.loads(self.run("key", "show", path, "--product", PRODUCT, "--chip", self.chip, "--json"))
        shown = [public(key + ".pub") for key in trust]
        lines = [f"key{'' if i == 0 else i + 1}={key['public']}" for i, key in enumerate(shown)]
        lines += [f"vendor={shown[0]['vendor']}", f"class={shown[0]['class']}"]
        for option, value in zip(extra[::2], extra[1::2]):
            if option == "--device-key":
                lines.append(f"device-key={self.scalar(value)}")
            else:
                lines.append(f"{option[2:]}={public(value)['public']}")
        return "".join(line + "\n" for line in lines)

    @staticmethod
    def scalar(path):
        """Of a private key, in hex digits."""
        text = subprocess.run(["openssl", "ec", "-in", path, "-text", "-noout"], capture_output=True, text=True, check=True).stdout
        hexes = re.search(r"priv:\s*((?:[0-9a-f]{2}[:\s]*)+)", text).group(1)
        return re.sub(r"[^0-9a-f]", "", hexes).rjust(64, "0")[-64:]

    def running(self, chip):
        return self.real("v1")

    def flash(self, trust, extra, start="v1", more="interval=1\n"):
        self.tries += 1
        if extra == ("--packs",):
            extra, more = (), more + "packs=1\n"
        settings = f"url={self.url}\nconfirm=20\n{more}" + self.anchors(trust, extra)
        return Device(self.board, self.folder, f"5254000001{self.tries:02x}", self.real(start), settings)

    def live(self, device, offer, *until):
        """One life; until: what it says in the end, in this order. The reasons that its agent gave, and all its lines."""
        self.server.offer, self.server.asked = offer, []
        device.power_on()
        try:
            for text in until:
                device.machine.wait(text)
        finally:
            device.power_off()
        said = [SAID.match(line).group(1) for line in device.machine.lines if SAID.match(line)]
        return said, device.machine.lines

    def refusal(self, device, offer, reasons):
        """It says one of the reasons and nothing else that is not good, and does not restart."""
        self.server.offer, self.server.asked = offer, []
        device.power_on()
        try:
            while True:
                line, _ = device.machine.wait("agent: ")
                match = SAID.match(line)
                assert "agent: restart" not in line, device.machine.lines
                if match and match.group(1) not in GOOD:
                    break
        finally:
            device.power_off()
        assert match.group(1) in reasons, (self.row, match.group(1), reasons, device.machine.lines[-12:])
        os.remove(device.flash)

    def refused(self, offer_of, reasons, sources=(), chips=(), trust=("maker",), start=1, good_key="maker", extra=(), good=None):
        self.variant += 1
        if self.variant > 1 and not self.all:
            return
        self.refusal(self.flash(trust, extra), offer_of(self.own), set(reasons))

    def release(self, name, code, **more):
        """Real firmware, signed."""
        path = self.real(name)
        suit = self.sign(path, **more)
        path = os.path.basename(path)
        data = read(path + ".enc") if "encrypt-for" in more else read(path)
        return {"code": code, "suit": suit, "bin": data, "image_len": len(read(path)), "hints": {11: attacks.identity(read(path))}}

    def takes(self, offer, version, trust=("maker",), extra=(), device=None):
        device = device or self.flash(trust, extra)
        said, lines = self.live(device, offer, "agent: confirmed")
        assert f"app: {PRODUCT} {version}" in "\n".join(lines), (said, lines)
        return device


def fast_forward(w):
    """A sequence that nobody signed."""
    good = w.honest(w.own, 2)
    at = good["suit"].index(b"\x01\x01\x02\x1a") + 4
    w.refusal(w.flash(("maker",), ()), changed(good, suit=good["suit"][:at] + b"\x7f" + good["suit"][at + 1:]),
              {"bad-signature"})


def lying_hints(w):
    for lie in ({8: 1000}, {10: 1000}, {7: 1}, {6: "/x.suit"})[:4 if w.all else 1]:
        w.refusal(w.flash(("maker",), ()), changed(w.honest(w.own, 2), hints=lie),
                  {"length-mismatch", "digest-mismatch", "bad-gzip"})


def rollback(w):
    """A device that confirmed version 2 takes no manifest of version 1, also when it is called a newer one; nor after
    version 1 was flashed by wire, because the number is in flash beside it."""
    device = w.takes(w.release("v2", 2000000), "2.0.0")
    old = changed(w.release("v1", 9000000))
    said, _ = w.live(device, old, "older-sequence")
    assert "older-sequence" in said
    at = 0x10000 if w.board == "rv32" else 0
    with open(device.flash, "r+b") as chip:
        program = read(w.real("v1"))
        chip.seek(at)
        chip.write(program)
        if w.board == "rv32":
            chip.seek(0xE000)
            chip.write(b"\xff" * 0x2000)  # esptool: erase otadata, so that the first slot boots
    # between the two: signed, newer than what runs, older than what was confirmed
    path = w.firmware(w.own, 9)
    between = {"code": 9000000, "suit": w.sign(path, sequence=1500000), "bin": read(path), "image_len": len(read(path))}
    said, lines = w.live(device, between, "older-sequence")
    assert f"app: {PRODUCT} 1.0.0" in "\n".join(lines), lines


def keys(w):
    """The root's statement counts at once and for good; what the retired key signs is refused."""
    root, device = ("--root", "root.pub"), w.flash(("maker",), ("--root", "root.pub"))
    offer = w.release("v2", 2000000, key="stranger")
    said, _ = w.live(device, changed(offer, suit=offer["suit"] + w.rotate(w.chip, 7, "next")), "bad-signature",
                     "agent: ")  # the second try: what the first brought is in flash
    assert "bad-signature" in said
    said, _ = w.live(device, w.release("v2", 2000000), "retired-key")
    assert "retired-key" in said
    offer = w.release("v2", 2000000, key="next")
    w.takes(changed(offer, suit=offer["suit"] + w.rotate(w.chip, 7, "next")), "2.0.0", extra=root, device=device)


def honest(w):
    """By the second of two keys, approved, encrypted: each arrives."""
    w.takes(w.release("v2", 2000000, key="next"), "2.0.0", trust=("maker", "next"))
    offer = w.release("v2", 2000000)
    w.takes(changed(offer, suit=w.approve(offer["suit"])), "2.0.0", extra=("--approver", "approver.pub"))
    offer = w.release("v2", 2000000, **{"encrypt-for": "fleet.pub"})
    assert offer["bin"] != read(w.real("v2"))
    w.takes(offer, "2.0.0", extra=("--device-key", "fleet"))


def crashing(w):
    """What is signed may be bad: the device goes back."""
    device = w.flash(("maker",), ())
    _, lines = w.live(device, w.release("crash", 3000000), "agent: failed-before")
    assert "app: crashing" in lines, lines
    assert [line.split()[2] for line in lines if line.startswith(f"app: {PRODUCT}")][-1] == "1.0.0,", lines


def encrypted_resume(w):
    """The connection breaks again and again, then the power is cut in the middle: it goes on at what is durable."""
    offer = w.release("v2", 2000000, **{"encrypt-for": "fleet.pub"})
    data, ranges, third, gone = offer["bin"], [], threading.Event(), threading.Event()

    def broken(handler):
        first = int(handler.headers.get("Range", "bytes=0-")[6:].split("-")[0])
        ranges.append(first)
        handler.send_response(206 if first else 200)
        if first:
            handler.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        handler.send_header("Content-Length", str(len(data) - first))
        handler.send_header("ETag", '"sealed"')
        handler.end_headers()
        handler.wfile.write(data[first:first + 50001])
        handler.wfile.flush()
        if len(ranges) == 3:
            third.set()
            gone.wait()
        handler.close_connection = True
    device = w.flash(("maker",), ("--device-key", "fleet"))
    w.server.offer, w.server.asked = changed(offer, bin=broken, claimed=data), []
    device.power_on()
    try:
        assert third.wait(WAIT_S), (ranges, device.machine.lines)
        while int(device.machine.wait("agent: fetching, ")[0].split()[2]) < 120000:
            pass
    finally:
        device.power_off()
        gone.set()
    before = len(ranges)
    said, lines = w.live(device, changed(offer, bin=broken, claimed=data), "agent: confirmed")
    assert f"app: {PRODUCT} 2.0.0" in "\n".join(lines), (said, lines)
    assert ranges[0] == 0 and all(first > 0 for first in ranges[1:before]), ranges
    assert max(ranges[before:]) > 100000, ranges


def freeze(w):
    """A server that offers what the device runs, or nothing, or no answer, for ever: the alarm, until an honest update."""
    running = changed(w.release("v1", 1000000))
    def fails(handler):
        handler.send(b"", 503)
    stale = (running, changed(running, answer=attacks.NOTHING_NEW), changed(running, suit=fails, code=1500000))
    for offer in stale if w.all else stale[w.board == "rv32":][:1]:
        device = w.flash(("maker",), (), more="stale=2\ninterval=3600\nsleeps=1\n")
        said, lines = w.live(device, offer, "agent: stale")
        assert f"app: {PRODUCT} 2.0.0" not in "\n".join(lines), lines
        said, lines = w.live(device, w.release("v2", 2000000), "agent: confirmed")
        assert f"app: {PRODUCT} 2.0.0" in "\n".join(lines) and "stale" not in said, (said, lines)


def slow(w):
    """One byte of the image and no other: after 20 seconds the device drops the connection, in the end it gives up."""
    offer, gone = w.release("v2", 2000000), threading.Event()

    def stuck(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(offer["bin"])))
        handler.end_headers()
        handler.wfile.write(offer["bin"][:1])
        handler.wfile.flush()
        gone.wait()
        handler.close_connection = True
    device = w.flash(("maker",), (), more="interval=60\nsleeps=1\n")
    said, lines = w.live(device, changed(offer, bin=stuck, claimed=offer["bin"]),
                         "agent: interrupted, timeout", *(["agent: timeout"] if w.all else []))
    gone.set()
    assert not set(said) - {"timeout"} and "agent: restart" not in lines, (said, lines)
    w.takes(offer, "2.0.0", device=device)


OWN = {"fast-forward": fast_forward, "lying-hints": lying_hints, "rollback": rollback, "keys": keys, "honest": honest, "signed-but-crashing": crashing,
       "encrypted-resume": encrypted_resume, "indefinite-freeze": freeze, "slow-retrieval": slow}


def run(molt, board, every, rows):
    with tempfile.TemporaryDirectory() as scratch:
        world = QemuWorld(molt, scratch, board)
        world.all = every
        for name in rows:
            world.row, world.variant = name, 0
            (OWN[name] if name in OWN else ROWS[name])(world)
            print(name + ": held", flush=True)
        os.chdir("/")


def main(molt, board, *words):
    rows = [word for word in words if word != "--all"]
    if rows:
        run(os.path.abspath(molt), board, "--all" in words, rows)
        return
    # this one only waits, so it does that beside the others
    waiting = subprocess.Popen([sys.executable, os.path.abspath(__file__), os.path.abspath(molt), board, *words, "slow-retrieval"])
    run(os.path.abspath(molt), board, "--all" in words,
        [row for row in ROWS if row not in OTHERWISE] + [row for row in OWN if row != "slow-retrieval"])
    assert waiting.wait() == 0, "slow-retrieval"


if __name__ == "__main__":
    main(*sys.argv[1:])
