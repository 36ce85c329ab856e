"""planted - plants one bug in molt and expects a test to see it. The patch is applied to copies of its source files, which are compiled
as the build does it and linked before the library that holds the sound one. Its first line says who must see it:

    promise: NAME           promises_test.py runs that promise
    unit: PROGRAM TEST      test/PROGRAM, linked anew, and that test of it fails

    planted.py PATCH BUILD-FOLDER CLOCK-SHIM        exit status 1: the bug was not seen"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", "..", ".."))


def command_of(build, target, made):
    """How ninja makes it, without ccache, as words."""
    lines = subprocess.run(["ninja", "-C", build, "-t", "commands", target], check=True, capture_output=True, text=True).stdout.splitlines()
    line = next(line for line in reversed(lines) if re.search(rf" -o {re.escape(made)}( |$)", line))
    words = shlex.split(line.removeprefix(": && ").split(" && ")[0])
    return words[1:] if os.path.basename(words[0]) == "ccache" else words


def build_with(sources, build, work, program="molt"):
    """The program with these texts in the place of some of its source files: {path: text}."""
    objects = subprocess.run(["ninja", "-C", build, "-t", "targets", "all"], check=True, capture_output=True, text=True).stdout
    bugs = []
    for number, (source, text) in enumerate(sources.items()):
        copy = os.path.join(work, source)
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        with open(copy, "w") as file:
            file.write(text)
        top, rest = source.split("/", 1)
        made = next(m for m in re.findall(r"^(\S+\.o): ", objects, re.M) if m.startswith(top + "/") and m.endswith(f"/{rest}.o"))
        bugs.append(os.path.join(work, f"bug{number}.o"))
        words = command_of(build, made, made)
        words[words.index("-o") + 1], words[words.index("-c") + 1] = bugs[-1], copy
        run(words[:1] + ["-iquote", os.path.join(ROOT, os.path.dirname(source)), "-w"] + words[1:], build)
    words, made = command_of(build, program, program), os.path.join(work, os.path.basename(program))
    words[words.index("-o") + 1] = made
    first = next(i for i, w in enumerate(words) if w.endswith(".a"))
    run(words[:first] + bugs + words[first:], build)
    return made


def plant(patch, build, work, program="molt"):
    """The program with the bug."""
    sources = re.findall(r"^\+\+\+ b/(\S+)", patch, re.M)
    for source in sources:
        os.makedirs(os.path.dirname(os.path.join(work, source)), exist_ok=True)
        shutil.copy(os.path.join(ROOT, source), os.path.join(work, source))
    done = subprocess.run(["patch", "-s", "-p1", "-d", work], input=patch, text=True, capture_output=True)
    assert done.returncode == 0, f"the patch does not fit any more; plant the bug again\n{done.stdout}{done.stderr}"
    return build_with({source: open(os.path.join(work, source)).read() for source in sources}, build, work, program)


def run(words, build):
    done = subprocess.run(words, cwd=build, capture_output=True, text=True)
    assert done.returncode == 0, f"it does not compile: {' '.join(words)}\n{done.stdout}{done.stderr}"


def seen_by_promise(promise, molt, shim):
    """What the promise said of the bug, or None, and all that the test said."""
    done = subprocess.run([sys.executable, os.path.join(HERE, "promises_test.py"), molt, shim, promise], capture_output=True, text=True)
    said = re.findall(rf"in {promise}\n.*?^AssertionError: (.*?)$", done.stdout + done.stderr, re.M | re.S)
    return said[-1] if done.returncode != 0 and said else None, done.stdout + done.stderr


def seen_by_unit(test, program):
    done = subprocess.run([program], capture_output=True, text=True)
    lines = (done.stdout + done.stderr).splitlines()
    failed = any(line.startswith("[  FAILED  ]") and line.endswith(test) for line in lines)
    return next((line for line in lines if line.startswith("[  ERROR   ]") or "error: " in line), test) if failed else None, "\n".join(lines)


def main():
    path, build, shim = sys.argv[1:4]
    with open(path) as file:
        patch = file.read()
    kind, *who = patch.split("\n", 1)[0].split()
    name = os.path.basename(path).removesuffix(".patch")
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o755)
        program = plant(patch, build, work, "molt" if kind == "promise:" else f"test/{who[0]}")
        seen, text = seen_by_promise(who[0], program, shim) if kind == "promise:" else seen_by_unit(who[1], program)
    if seen is None:
        print(text[-3000:])
        sys.exit(f"{name}: NOT SEEN")
    print(f"{name}: seen: {seen[:300]}")


if __name__ == "__main__":
    main()
