#!/usr/bin/env python3
"""device_size.py - what libmolt costs on an ESP8266: code, static RAM, state and the deepest stack, measured on lx106
with -Os, and held against the budgets and what doc/performance.md says. Exit status 1: something has grown beyond its limit, or is
said wrongly.

usage: device_size.py [--functions]     (needs Debian's gcc-xtensa-lx106)

It links a firmware (device_size.c, device_size.ld) that updates itself over HTTP with the stock eboot, as a product's
build does: every source of the library is offered, --gc-sections and relaxation leave what such a device runs. Counted
are engine, log, image check, slots and HTTP client; gzip and packs are told apart, each linked only where it is named. Hash, TLS, flash driver and C
library belong to the platform. The stack is the deepest chain of calls by the compiler's own figures (-fcallgraph-info);
what the platform's callbacks need comes on top."""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CC = "xtensa-lx106-elf-gcc"
FLAGS = ("-std=c99 -Os -mlongcalls -ffunction-sections -fdata-sections -fcallgraph-info=su -DNDEBUG "
         "-DMOLT_PAGE_LEN=256 -isystem /usr/lib/picolibc/xtensa-lx106-elf/include").split()
GZIP, PACK, FIRMWARE = ["gzip/inflate.c", "update/ungzip.c"], ["pack/pack.c", "pack/predict.c"], ["device_size.c"]
APART = GZIP + PACK + FIRMWARE
NOT_LINKED = ["ports/", "agent/", "manifest/"]  # for other platforms, and what this firmware does without
ROOTS = ["molt_begin", "molt_step", "molt_feed", "molt_esp8266_eboot_begin_engine", "molt_url_parse", "molt_url_redirect",
         "molt_request_write", "molt_response_begin", "molt_response_feed", "molt_response_end"]
# The library's own tables of functions: the file that calls them, and who is in them.
TABLES = {"update/update.c": r":(ungzip_|eboot_(target|commit_step)$)", "image/image.c": r"image/esp8266\.c:"}
# These call the platform only: hash and flash.
PLATFORM_ONLY = ("hash_some", "update_read_stored")
# (name, limit that must hold now, goal of the project or None)
LIMITS = [("code", 10240, 10240), ("static RAM", 480, None), ("RAM in all", 1840, 2048), ("gzip code", 3072, None),
          ("gzip RAM", 1536, 1536), ("pack code", 4096, 4096),
          ("pack RAM", 7040, 7680), ("stack", 576, 1024), ("library divisions", 0, 0)]

# Where doc/performance.md says so: how the row begins.
SAID = {"code": "engine, log, image check", "gzip code": "gzip, where firmware", "RAM in all": "RAM: state", "gzip RAM": "gzip: RAM",
        "stack": "deepest stack", "library divisions": "divisions by a library call"}


def run(*args):
    return subprocess.run(args, check=True, capture_output=True, text=True).stdout


def sources():
    device = ROOT / "device/src"
    names = sorted(str(path.relative_to(device)) for path in device.rglob("*.c"))
    return [(name, device / name) for name in names if not name.startswith(tuple(NOT_LINKED))]


def build(folder):
    for name, path in sources() + [(FIRMWARE[0], ROOT / "tools" / FIRMWARE[0])]:
        run(CC, *FLAGS, "-I", str(ROOT / "device/src"), "-c", str(path), "-o", str(folder / (name.replace("/", "+") + ".o")))
    objects = [str(o) for o in sorted(folder.glob("*.o"))]
    map_file = folder / "map"
    run(CC, "-nostdlib", f"-T{ROOT}/tools/device_size.ld", "-Wl,--gc-sections", f"-Wl,-Map={map_file}",
        *(f"-Wl,-u,molt_pack_{name}" for name in ("begin", "step", "resume")),  # which this firmware does not name
        "-Wl,--no-warn-rwx-segments", *objects, "-lgcc", "-o", str(folder / "firmware.elf"))
    return map_file


def sections(map_file):
    """(section, size, source file) of what the link kept, after relaxation."""
    text = map_file.read_text().split("Linker script and memory map")[1]
    found = re.findall(r"^ (\.(?:text|literal|rodata|data|bss)\S*)\s+0x[0-9a-f]+\s+0x([0-9a-f]+) (\S+?)(?:\.o)?$", text, re.M)
    return [(name, int(size, 16), Path(file).name.replace("+", "/")) for name, size, file in found if int(size, 16)]


def call_graph(folder):
    """Stack of each function, and whom it calls. Where a table of functions is called, all that is in it."""
    stack, calls, home = {}, {}, {}
    for file in folder.glob("*.ci"):
        text = file.read_text()
        for title, label in re.findall(r'node: \{ title: "([^"]+)" label: "([^"]*)"', text):
            size = re.search(r"(\d+) bytes", label)
            if size:
                stack[title] = int(size.group(1))
                home[title] = next((f for f in TABLES if f"/{f}:" in label), "")
        for source, target in re.findall(r'sourcename: "([^"]+)" targetname: "([^"]+)"', text):
            calls.setdefault(source, set()).add(target)
    indirect = {t: {f for f in stack if re.search(TABLES[home[t]], f)} for t in stack
                if home[t] and not t.endswith(PLATFORM_ONLY)}
    return stack, calls, indirect


def deepest(name, stack, calls, indirect, way=(), guessed=False):
    if name in way and guessed:
        return 0, []  # another one of the table was meant
    if name in way:
        raise SystemExit(f"recursion: {' > '.join(way + (name,))}")
    below, chain = 0, []
    targets = set(calls.get(name, ()))
    guesses = indirect.get(name, set()) - targets if "__indirect_call" in targets else set()
    for target in sorted(targets | guesses):
        depth, names = deepest(target, stack, calls, indirect, way + (name,), guessed or target in guesses)
        if depth > below:
            below, chain = depth, names
    return stack.get(name, 0) + below, [name] + chain


def struct_sizes(folder):
    names = ["molt_update", "molt_response", "molt_esp8266_eboot", "molt_inflate", "molt_image", "molt_log", "molt_job",
             "molt_pack"]
    source = folder / "sizes.c"
    source.write_text('#include "update/update.h"\n#include "http/http.h"\n#include "slots/esp8266_eboot.h"\n' +
                      "".join(f"unsigned char size_{n}[sizeof(struct {n})];\n" for n in names))
    run(CC, *FLAGS, "-I", str(ROOT / "device/src"), "-c", str(source), "-o", str(folder / "sizes.obj"))
    lines = run("xtensa-lx106-elf-nm", "-S", str(folder / "sizes.obj")).splitlines()
    return {w[3][5:]: int(w[1], 16) for w in map(str.split, lines) if len(w) == 4}


def divisions(folder, files):
    """Calls of the C library's division, but for numbers written and read as text."""
    return sum(len(re.findall(r"__u?(?:div|mod)[sd]i3", run("xtensa-lx106-elf-nm", "-u", str(folder / f"{file}.o"))))
               for file in files if file != "util+text.c")


def outdated(figures):
    """What doc/performance.md says and is not so."""
    page = (ROOT / "doc/performance.md").read_text()
    for key, row in SAID.items():
        said = re.search(rf"^\| {row}[^|]*\| ([0-9,]+)", page, re.M)
        if said is None or int(said.group(1).replace(",", "")) != figures[key]:
            yield f"doc/performance.md says '{row}...' {said.group(1) if said else 'nowhere'}, it is {figures[key]:,}"


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kept = sections(build(folder))
        stack, calls, indirect = call_graph(folder)
        sizes = struct_sizes(folder)
        divided = divisions(folder, {s[2].replace("/", "+") for s in kept if s[2].endswith(".c")} - set(FIRMWARE))
    text = [s for s in kept if s[0].startswith((".text", ".literal"))]
    static = [s for s in kept if s not in text]

    def total(what, files):
        return sum(s[1] for s in what if s[2] in files)
    core = {s[2] for s in kept} - set(APART)
    chains = [deepest(t, stack, calls, indirect) for t in stack if t in ROOTS]
    depth, chain = max(chains)
    update = sizes["molt_update"]
    figures = {
        "code": total(text, core),
        "static RAM": total(static, core),
        "RAM in all": 0,
        "gzip code": total(text, GZIP),
        "gzip RAM": sizes["molt_inflate"] + total(static, GZIP),
        "pack code": total(text, PACK),
        "pack RAM": sizes["molt_pack"] + total(static, PACK),
        "stack": depth,
        "library divisions": divided,
    }
    figures["RAM in all"] = figures["static RAM"] + update + sizes["molt_response"] + sizes["molt_esp8266_eboot"]
    if "--functions" in sys.argv:
        for section, size, file in sorted(kept, key=lambda s: -s[1]):
            print(f"{size:6} {file:28} {section}")
    for file in sorted(core) + GZIP + PACK:
        print(f"{total(text, [file]):6} {total(static, [file]):5} {file}")
    print("struct sizes: " + ", ".join(f"{k} {v}" for k, v in sorted(sizes.items())))
    print("deepest stack: " + " > ".join(f"{c.split(':')[-1]} {stack.get(c, 0)}" for c in chain))
    status = 0
    for key, limit, goal in LIMITS:
        verdict = "" if goal is None else " goal met" if figures[key] <= goal else f" GOAL {goal} MISSED"
        print(f"{key:18} {figures[key]:6} (limit {limit}){verdict}")
        if figures[key] > limit:
            print(f"{key} has grown beyond its limit")
            status = 1
    for line in outdated(figures):
        print(line)
        status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
