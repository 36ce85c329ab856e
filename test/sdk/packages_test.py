#!/usr/bin/env python3
"""packages_test.py - device/ as an Arduino library, a PlatformIO library and an ESP-IDF component: what their packagers and linters ask of
the manifests, and that keywords.txt and the examples say what the headers have. usage: packages_test.py path/to/device"""

import json
import os
import re
import sys

device = sys.argv[1]
problems = []
# Arduino's library specification, "category" and "library.properties file format".
CATEGORIES = ("Display", "Communication", "Signal Input/Output", "Sensors", "Device Control", "Timing", "Data Storage", "Data Processing", "Other")
NEEDED = ("name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures")


def read(name):
    with open(os.path.join(device, name), encoding="utf-8") as file:
        return file.read()


def check(good, problem):
    if not good:
        problems.append(problem)


def check_arduino():
    fields = dict(line.split("=", 1) for line in read("library.properties").splitlines() if line)
    for field in NEEDED:
        check(fields.get(field, "").strip(), f"library.properties has no {field}")
    check(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.\-]{0,62}", fields["name"]), "Arduino allows no such name")
    check(re.fullmatch(r"\d+\.\d+\.\d+", fields["version"]), "Arduino takes versions of three numbers")
    check(fields["category"] in CATEGORIES, "Arduino has no such category")
    check(fields["architectures"] == "esp8266,esp32", "library.properties names other chips")
    check(os.path.isfile(os.path.join(device, "src", fields["includes"])), "library.properties includes a file that is not there")
    check(not fields["paragraph"].startswith(fields["sentence"]), "Arduino shows the sentence before the paragraph")
    return fields


def check_keywords():
    headers = read("src/ports/arduino.h") + read("src/MoltHttpUpdate.h") + read("src/molt_firmware.h")
    names = set()
    for line in read("keywords.txt").splitlines():
        found = re.fullmatch(r"(\w+)\t(KEYWORD1|KEYWORD2|LITERAL1)", line)
        check(found, f"keywords.txt: {line!r} is not NAME, one tab, TYPE")
        if found:
            check(found[1] not in names, f"keywords.txt names {found[1]} twice")
            check(re.search(rf"\b{found[1]}\b", headers), f"keywords.txt: {found[1]} is not in the headers")
            names.add(found[1])
    public = headers.split("class MoltClass", 1)[1].split("private:", 1)[0]
    public = re.sub(r"/\*.*?\*/", "", public, flags=re.S)
    methods = set(re.findall(r"^ {4}(?:static )?[\w: *]*?[ *](\w+)\(", public, flags=re.M)) - {"agent"}
    check(len(methods) > 20, "no methods were found: is this test right?")
    for method in sorted(methods - names):
        check(False, f"keywords.txt lacks {method}")


def check_examples():
    sketches = 0
    for name in sorted(os.listdir(os.path.join(device, "examples"))):
        if name == "esp_idf":
            check(read(f"examples/{name}/CMakeLists.txt"), "the ESP-IDF example is no project")
            continue
        text = read(f"examples/{name}/{name}.ino")  # Arduino wants the folder's name
        check(text.startswith(f"// {name} - "), f"{name}.ino does not say first what it is")
        check("void setup()" in text and "void loop()" in text, f"{name}.ino is not a whole sketch")
        sketches += 1
    check(sketches >= 10, "too few examples")


def check_others(arduino):
    library = json.loads(read("library.json"))
    for field, kind in (("name", str), ("version", str), ("description", str), ("keywords", str), ("license", str), ("frameworks", list), ("platforms", list)):
        check(isinstance(library.get(field), kind), f"library.json: {field} is missing or of another type")
    check(library["name"] == arduino["name"], "library.json has another name")
    check(set(library["frameworks"]) == {"arduino", "espidf"}, "library.json names other frameworks")
    component = read("idf_component.yml")
    version = re.search(r'^version: "(.*)"$', component, flags=re.M)
    check(version and version[1] == library["version"] == arduino["version"], "the three views have different versions")
    for field in ("description", "license", "dependencies"):
        check(re.search(rf"^{field}:", component, flags=re.M), f"idf_component.yml has no {field}")
    check(library["license"] in component, "idf_component.yml has another license")


check_keywords()
check_examples()
check_others(check_arduino())
for problem in problems:
    print(f"packages_test: {problem}", file=sys.stderr)
if problems:
    sys.exit(1)
print("packages_test: all good")
