"""openapi_lint - rules of ours that openapi-spec-validator does not know: each operation has a name of its own and a sentence, each parameter a
description; each path parameter is in its path; what may be refused is described, as a problem; a change to one thing that can be read takes
If-Match; a list that grows has pages; nothing is described that no operation uses.

    openapi_lint.py path/to/openapi.json
"""

import json
import re
import sys

with open(sys.argv[1]) as file:
    description = json.load(file)
paths, components = description["paths"], description["components"]
CHANGES = ("post", "put", "patch", "delete")
# Lists that hold few things, or are all needed at once.
WHOLE = {"webhooks", "listProducts", "listKeys", "listAttempts", "settings", "listNodes", "countDevices", "nodes",
         "overview", "server", "trends", "whyDevice", "rolloutProgress", "getSession", "getAccount", "status"}
problems = []


def look_up(item):
    while "$ref" in item:
        item = components[item["$ref"].split("/")[-2]][item["$ref"].split("/")[-1]]
    return item


def references(item):
    if isinstance(item, dict):
        return ({item["$ref"]} if isinstance(item.get("$ref"), str) else set()).union(*map(references, item.values()), set())
    return set().union(*map(references, item)) if isinstance(item, list) else set()


def can_be_read(path):
    return any("get" in paths.get(one, {}) for one in (path, path[: path.index("{id}") + 4]))


def check(path, method, operation):
    def wrong(text):
        problems.append(f"{method.upper()} {path}: {text}")

    parameters = [look_up(one) for one in operation.get("parameters", [])]
    answers = {int(status): look_up(answer) for status, answer in operation["responses"].items()}
    names = {one["name"] for one in parameters}
    if not re.fullmatch(r"\S.*[.?]", operation.get("summary", "")):
        wrong("the summary is no sentence")
    for one in parameters:
        if not one.get("description") or "schema" not in one:
            wrong(f"parameter {one['name']} has no description, or no schema")
    if {one["name"] for one in parameters if one["in"] == "path"} != set(re.findall(r"{(\w+)}", path)):
        wrong("its path parameters are others than those of the path")
    needed = {400} | ({401, 403} if operation.get("security") != [] else set()) | ({413} if "requestBody" in operation else set())
    if method in CHANGES and "{id}" in path and can_be_read(path):
        needed.add(412)
        if "If-Match" not in names:
            wrong("it takes no If-Match")
    if needed - set(answers):
        wrong(f"the answers {sorted(needed - set(answers))} are not described")
    is_text = any(kind.startswith("text/plain") for kind in answers.get(200, {}).get("content", {}))
    for status, answer in answers.items():
        if status >= 400 and not is_text and list(answer.get("content", {})) != ["application/problem+json"]:
            wrong(f"{status} is no problem+json")
        if status < 300 and not answer.get("content"):
            wrong(f"{status} has no content")
        if status == 200 and method == "get" and operation["operationId"] not in WHOLE:
            schema = look_up(answer["content"].get("application/json", {}).get("schema", {}))
            if any(look_up(field).get("type") == "array" for field in schema.get("properties", {}).values()) and "{id}" not in path and not {"limit"} <= names:
                wrong("a list without pages")


for path, item in paths.items():
    for method, operation in item.items():
        check(path, method, operation)
ids = [operation["operationId"] for item in paths.values() for operation in item.values()]
problems += [f"operationId {one} is there twice" for one in set(ids) if ids.count(one) > 1]
used = references(description)
problems += [f"{kind}/{name} is used by nobody" for kind, items in components.items() if kind != "securitySchemes" for name in items if f"#/components/{kind}/{name}" not in used]
for problem in problems:
    print(problem, file=sys.stderr)
print(f"openapi_lint: {len(ids)} operations, " + ("good" if not problems else f"{len(problems)} problems"))
sys.exit(1 if problems else 0)
