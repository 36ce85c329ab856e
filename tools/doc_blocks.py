#!/usr/bin/python3
"""doc_blocks - checks what a Markdown file shows and doc_commands.py does not run.

    doc_blocks.py FILE.md path/to/molt    prints what is wrong; 1 then

Blocks marked sh, c, cpp, python, json, yaml, nginx and caddy are parsed or compiled by the program that would read them. There is no other
kind but text, and what stands over such a block, <!-- not run: why -->, says why, and names only tests that exist. Each `molt ...` and
`./dev ...` in the text or in a block of sh must name a command and options that exist."""

import ast
import json
import os
import re
import subprocess
import sys
import tempfile

import yaml

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
DOUBLES = [os.path.join(ROOT, "test/sdk/doubles", name) for name in ("arduino", "makers", "esp8266")]
SOURCE = os.path.join(ROOT, "device/src")


def tool(command, text):
    """What a program says of a text on its standard input, or None when it is content."""
    result = subprocess.run(command, input=text, capture_output=True, text=True)
    return None if result.returncode == 0 else (result.stderr or result.stdout).strip()


def parsed(read):
    def check(text):
        try:
            read(text)
        except (ValueError, SyntaxError, yaml.YAMLError) as error:
            return str(error)
        return None
    return check


def cpp(text):
    flags = [flag for folder in (*DOUBLES, SOURCE) for flag in ("-I", folder)]
    return tool(["g++", "-std=gnu++17", "-Wall", "-Werror", "-fsyntax-only", "-DARDUINO=10819", "-DARDUINO_ARCH_ESP8266", "-DESP8266", "-isystem",
                 "/usr/include/bearssl", *flags, "-include", "Arduino.h", "-xc++", "-"], text)


def nginx(text):
    """With addresses that are free, and a certificate where one is listened with."""
    with tempfile.TemporaryDirectory() as folder:
        number = iter(range(100))
        text = re.sub(r"listen\s+[^ ;]+", lambda _: f"listen unix:{folder}/{next(number)}", text)
        if " ssl" in text:
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=doc", "-keyout", folder + "/key",
                            "-out", folder + "/certificate"], check=True, capture_output=True)
            text = text.replace("{", f"{{ ssl_certificate {folder}/certificate; ssl_certificate_key {folder}/key;", 1)
        paths = "".join(f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(folder + "/nginx.conf", "w", encoding="utf-8") as out:
            out.write(f"pid {folder}/pid; error_log stderr; events {{}} http {{ access_log off; {paths}\n{text}\n}}")
        return tool(["/usr/sbin/nginx", "-t", "-q", "-p", folder, "-c", folder + "/nginx.conf"], "")


def caddy(text):
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        return tool(["caddy", "adapt", "--adapter", "caddyfile", "--config", out.name], "")


def tests():
    """The names of all tests, as far as they stand in test/*.cmake."""
    folder = os.path.join(ROOT, "test")
    return "\n".join(open(os.path.join(folder, name), encoding="utf-8").read() for name in os.listdir(folder) if name.endswith(".cmake"))


def unread(kind, text, above):
    """What is wrong with a block that nothing reads, or None."""
    if kind != "text":
        return f"is marked '{kind}', which nothing here reads; text is what is not run"
    why = re.fullmatch(r"<!-- (?:not run: (.+)|[a-z-]+) -->", above)
    if why is None:
        return "needs <!-- not run: why --> above it"
    missing = [name for name in re.findall(r"\b(?:unit|e2e|nodes)-[a-z0-9-]+", why.group(1) or "") if name not in tests()]
    if missing:
        return f"names {missing[0]}, which is no test"
    return "shows a command: make it sh or console" if re.search(r"^(\$|sudo|molt|\./dev) ", text, re.M) else None


KINDS = {
    "sh": lambda text: tool(["sh", "-n"], text),
    "c": lambda text: tool(["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", SOURCE, "-xc", "-"], text),
    "cpp": cpp,
    "python": parsed(ast.parse),
    "json": parsed(json.loads),
    "yaml": parsed(yaml.safe_load),
    "nginx": nginx,
    "caddy": caddy,
    "console": lambda text: None,  # doc_commands.py runs it
}


class Molt:
    """What `molt help` and each command's --help know."""

    def __init__(self, path):
        self.path, self.helps = path, {}
        listed = subprocess.run([path, "help"], check=True, capture_output=True, text=True).stdout
        self.commands = {name.strip() for name in re.findall(r"^  ([a-z][a-z -]{15}) [a-z]", listed, re.M)}
        self.groups = {name.split()[0] for name in self.commands}

    def options(self, command):
        if command not in self.helps:
            text = subprocess.run([self.path, *command.split(), "--help"], capture_output=True, text=True).stdout
            self.helps[command] = set(re.findall(r"^  (--[a-z0-9-]+)", text, re.M))
        return self.helps[command]

    def wrong(self, words):
        """What is wrong with the words behind `molt`, or None."""
        plain = [word for word in words[:2] if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-")]
        command = next((name for name in (" ".join(plain), plain[0] if plain else "") if name in self.commands), None)
        if command is None:
            is_group = len(plain) == 1 and plain[0] in self.groups | {"help"}
            return None if not plain or is_group else f"there is no command 'molt {' '.join(plain)}'"
        for word in words:
            option = re.match(r"--[a-z0-9-]+", word)
            if option and option.group(0) not in self.options(command) | {"--help"}:
                return f"`molt {command}` has no option {option.group(0)}"
        return None


def spoken(text):
    """The words behind each `molt` of a text: code between backquotes, and lines of sh blocks."""
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)).replace("\\\n", " ")
    rest = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for code in re.findall(r"`([^`]+)`", rest) + blocks.split("\n"):
        for part in re.split(r"[|;&#]|\$\(", code):
            words = part.split()
            while words and (re.match(r"[A-Z_]+=", words[0]) or words[0] == "sudo"):
                words = words[1:]
            if len(words) > 1 and words[0] in ("molt", "./dev"):
                yield words


def main():
    path, molt = sys.argv[1], Molt(sys.argv[2])
    dev = set(re.findall(r"^  ([a-z]+) ", subprocess.run(["./dev", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout, re.M))
    text, wrong = open(path, encoding="utf-8").read(), []
    for match in re.finditer(r"^```(\w*)\n(.*?)^```", text, re.M | re.S):
        kind, above = match.group(1), text[:match.start()].rstrip("\n").rpartition("\n")[2]
        said = KINDS[kind](match.group(2)) if kind in KINDS else unread(kind, match.group(2), above)
        if said is not None:
            wrong.append(f"{path}:{text.count(chr(10), 0, match.start()) + 1}: a block of {kind or 'no kind'}: {said}")
    for words in spoken(text):
        said = molt.wrong(words[1:]) if words[0] == "molt" else None if words[1] in dev else f"there is no './dev {words[1]}'"
        if said is not None:
            wrong.append(f"{path}: {said}: {' '.join(words)}")
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
