#!/usr/bin/python3
"""doc_commands - runs the commands that a Markdown file shows, and compares what they print.

    doc_commands.py [--times] FILE.md path/to/molt     --times: how long the commands of each "## " part took

Every fenced block marked ```console is run in one scratch folder a file, top to bottom, with `molt` in PATH.
A line "$ command" is run with sh (a trailing "&" leaves it running until the file's end); a "\\" at its end
continues it. $MOLT_DOC names the file, for a block in it that a command reads. The lines below it are what it must print, in that order: "..." stands for any text, within a line or
for whole lines, and lines that are not shown may come between. Blocks of other kinds are not run."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

COMMAND_SECONDS = 600  # only ends what hangs


def blocks(path):
    """(line number, command, expected lines) of every command in the file."""
    inside, command, number, expected, found = False, None, 0, [], []
    for index, line in enumerate(open(path, encoding="utf-8").read().split("\n"), 1):
        if line.startswith("```"):
            if inside and command:
                found.append((number, command, expected))
            inside, command, expected = line.strip() == "```console", None, []
        elif inside and line.startswith("$ "):
            if command:
                found.append((number, command, expected))
            command, number, expected = line[2:], index, []
        elif inside and command and command.endswith("\\"):
            command = command[:-1] + line.strip()
        elif inside and command:
            expected.append(line)
    return found


def line_matches(pattern, line):
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.strip().split("...")), line.strip())


def missing_line(expected, printed):
    """The first expected line that was not printed in order, or None."""
    position = 0
    for pattern in expected:
        if pattern.strip() in ("", "..."):
            continue
        while position < len(printed) and not line_matches(pattern, printed[position]):
            position += 1
        if position == len(printed):
            return pattern
        position += 1
    return None


def run(command, expected, folder, environment, background):
    if command.rstrip().endswith("&"):
        log_path = os.path.join(folder, f".background-{len(background)}.log")
        log = open(log_path, "wb")
        background.append(subprocess.Popen(["sh", "-c", "exec " + command.rstrip()[:-1]], cwd=folder, env=environment,
                                           stdout=log, stderr=subprocess.STDOUT, start_new_session=True))
        printed, until = "", time.monotonic() + COMMAND_SECONDS
        last = ["...plane=socket..."] if "molt serve " in command else []  # the last of its addresses
        while time.monotonic() < until:  # until it has said something, and what the page shows
            ended = background[-1].poll() is not None
            with open(log_path, encoding="utf-8", errors="replace") as said:
                printed = said.read()
            lines = printed.split("\n")
            if ended or (printed.endswith("\n") and missing_line(expected, lines) is None and missing_line(last, lines) is None):
                break
            time.sleep(0.05)
        return 0, printed
    result = subprocess.run(["sh", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=COMMAND_SECONDS)
    return result.returncode, result.stdout.decode("utf-8", "replace")


def part_of(path, number):
    """The last heading of the second level before a line."""
    headings = [line[3:].strip() for line in open(path, encoding="utf-8").read().split("\n")[:number] if line.startswith("## ")]
    return headings[-1] if headings else ""


def alone():
    """Goes on in a network of its own where it may, so that another run, or a server that is there, has not the ports of the page."""
    if os.geteuid() != 0 or "MOLT_DOC_ALONE" in os.environ or not shutil.which("ip") or not shutil.which("unshare"):
        return
    os.environ["MOLT_DOC_ALONE"] = "1"
    os.execvp("unshare", ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, *sys.argv])


def main():
    alone()
    timed = sys.argv[1:2] == ["--times"]
    path, molt = sys.argv[1 + timed], sys.argv[2 + timed]
    commands, times = blocks(path), {}
    if not commands:
        return 0
    folder = tempfile.mkdtemp(prefix="molt-doc-")
    environment = dict(os.environ, PATH=os.path.dirname(molt) + ":" + os.environ["PATH"], HOME=folder, NO_COLOR="1",
                       MOLT_DATA=os.path.join(folder, "molt-data"), MOLT_DOC=os.path.abspath(path))
    background, status = [], 0
    try:
        for number, command, expected in commands:
            begun = time.monotonic()
            code, printed = run(command, expected, folder, environment, background)
            part = part_of(path, number)
            times[part] = times.get(part, 0) + time.monotonic() - begun
            lost = missing_line(expected, printed.split("\n"))
            if code != 0 and not command.rstrip().endswith(("|| true", "; true")):
                print(f"{path}:{number}: `{command}` ended with {code}:\n{printed}")
                status = 1
            elif lost is not None:
                print(f"{path}:{number}: `{command}` did not print `{lost}`, but:\n{printed}")
                status = 1
            if status:
                break
    finally:
        for process in background:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=600)
        shutil.rmtree(folder, ignore_errors=True)
    for part, seconds in times.items() if timed else ():
        print(f"{seconds:6.1f} s  {part}")
    return status


if __name__ == "__main__":
    sys.exit(main())
