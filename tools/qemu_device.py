"""qemu_device - real firmware in QEMU beside a real `molt serve`, for ./dev demo --qemu and ./dev bench firmware: flash contents,
machines, and waiting for what they say. (The tests have their own in C: test/qemu/qemu_rig.h.)"""

import hashlib
import os
import queue
import struct
import subprocess
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIRMWARE = os.path.join(ROOT, "build", "firmware")
BOARDS = {"lx106": "qemu_lx106", "rv32": "qemu_rv32"}
FLASH_LEN, RV32_BANK = 4 << 20, 32 << 20
WAIT_S = 600
PARTITIONS = [("nvs", 1, 2, 0x9000, 0x5000), ("otadata", 1, 0, 0xE000, 0x2000), ("app0", 0, 0x10, 0x10000, 0x140000),
              ("app1", 0, 0x11, 0x150000, 0x140000), ("spiffs", 1, 0x82, 0x290000, 0x160000)]


class Failed(Exception):
    """What did not happen, and what was said instead."""


class Talker:
    """A process whose lines are kept, with their times, and passed to on_line."""

    def __init__(self, name, args, on_line=None, cwd=None, env=None):
        self.name, self.on_line, self.lines, self.news = name, on_line, [], queue.Queue()
        self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        cwd=cwd, env=env)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for raw in self.process.stdout:
            line = raw.decode("utf-8", "replace").replace("\0", "").rstrip()
            self.lines.append(line)
            if self.on_line:
                self.on_line(self.name, line)
            self.news.put((time.monotonic(), line))
        self.news.put(None)

    def wait(self, text):
        """The next line that holds text, and when it came."""
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            try:
                item = self.news.get(timeout=1)
            except queue.Empty:
                continue
            if item is None:
                break
            if text in item[1]:
                return item[1], item[0]
        raise Failed(f'{self.name} never said "{text}"; its last lines:\n' + "\n".join(self.lines[-15:]))

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()


def partition_table():
    rows = b"".join(struct.pack("<2sBBII16sI", b"\xaa\x50", kind, sub, off, size, name.encode(), 0)
                    for name, kind, sub, off, size in PARTITIONS)
    table = rows + b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(rows).digest()
    return table + b"\xff" * (0xC00 - len(table))


class Device:
    """A board with a flash of its own in folder. settings: lines of key=value (firmware/app/app.h); ca: DER certificate."""

    def __init__(self, board, folder, mac, image, settings, ca=b""):
        self.board, self.folder, self.mac, self.machine = board, folder, mac, None
        self.flash = os.path.join(folder, mac + ".flash")
        flash = bytearray(b"\xff" * FLASH_LEN)
        program = open(image, "rb").read()
        at, sector = (0x10000, 0x9000) if board == "rv32" else (0, 0x3FB000)
        flash[at:at + len(program)] = program
        if board == "rv32":
            boot = open(os.path.join(FIRMWARE, "qemu_rv32", "boot.bin"), "rb").read()
            flash[:len(boot)] = boot
            table = partition_table()
            flash[0x8000:0x8000 + len(table)] = table
        text = (settings + f"mac={mac}\ntime={int(time.time())}\n\n").encode()
        flash[sector:sector + len(text)] = text
        if ca:
            flash[sector + 1024:sector + 1028 + len(ca)] = struct.pack("<I", len(ca)) + ca
        with open(self.flash, "wb") as file:
            file.write(flash)
            if board == "rv32":
                file.truncate(RV32_BANK)

    def power_on(self, on_line=None, extra=()):
        if self.board == "rv32":
            args = ("qemu-system-riscv32 -M virt -cpu lowrisc-ibex -m 4M -bios none -device i6300esb"
                    " -global virtio-mmio.force-legacy=false -netdev user,id=n0"
                    " -device virtio-net-device,netdev=n0,bus=virtio-mmio-bus.0").split()
        else:
            rom = os.path.join(FIRMWARE, "qemu_lx106", "rom.elf")
            args = ("qemu-system-xtensa -M lx60 -cpu lx106 -m 1M -nic user,id=n0,model=open_eth").split()
            args += ["-device", f"loader,file={rom},cpu-num=0"]
        args += ["-display", "none", "-serial", "stdio", "-monitor", "none",
                 "-drive", f"if=pflash,format=raw,unit=0,file={self.flash}", *extra]
        self.machine = Talker(self.board, args, on_line)

    def power_off(self):
        if self.machine:
            self.machine.kill()


class Server:
    """`molt serve` on its own data, http and, with a certificate, https."""

    def __init__(self, molt, folder, certificate=None):
        self.molt, self.folder = molt, folder
        self.env = dict(os.environ, MOLT_DATA=os.path.join(folder, "data"))
        for name in ("MOLT_SERVER", "MOLT_TOKEN"):
            self.env.pop(name, None)
        args = [molt, "serve", "--listen", "http://127.0.0.1:0", "--admin", "http://127.0.0.1:0"]
        if certificate:
            args += ["--listen", "https://127.0.0.1:0", "--tls-cert", certificate[0], "--tls-key", certificate[1]]
        self.talker = Talker("server", args, cwd=folder, env=self.env)
        self.port = self.port_of("plane=device url=http:")
        self.https_port = self.port_of("plane=device url=https:") if certificate else None
        self.talker.wait("plane=socket")

    def port_of(self, text):
        return int(self.talker.wait(text)[0].split(" port=")[1].split()[0])

    def run(self, *args):
        done = subprocess.run([self.molt, *args], cwd=self.folder, env=self.env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"molt {' '.join(args)}: {done.stdout}{done.stderr}")
        return done.stdout

    def image(self, board, name):
        """The file that a maker flashes and publishes; an ESP8266's has molt-boot in it."""
        path = os.path.join(FIRMWARE, BOARDS[board], f"app-{name}.bin")
        if board == "rv32":
            return path
        ready = os.path.join(self.folder, f"lx106-{name}.bin")
        if not os.path.exists(ready):
            self.run("image", "set-boot", path, "--layout", "4M2M", "--out", ready)
        return ready

    def publish(self, board, name):
        return self.run("publish", self.image(board, name), "--product", "molt-reference", "--adopt")

    def kill(self):
        self.talker.kill()
