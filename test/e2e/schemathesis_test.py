"""schemathesis_test - schemathesis (PyPI) makes requests of server/api/openapi.json, good and bad ones, and finds no answer that the
description does not have: no status, no field, no header; nothing ends in 500. The seed is fixed, the number of examples small;
--full has more.

    schemathesis_test.py path/to/molt EXAMPLES
"""

import os
import subprocess
import sys
import tempfile

from running import Server

MOLT, EXAMPLES = os.path.abspath(sys.argv[1]), sys.argv[2]
PROGRAM = os.path.join(os.path.dirname(sys.executable), "schemathesis")
# Left out: ignored_auth and positive_data_acceptance, as it does not know whose token it has nor what there is; unsupported_method, as llhttp
# refuses QUERY with 400 before the API sees it (unit-api-match has 405 and Allow).
# What would end the run itself, or waits for what never comes.
LEFT_OUT = ["endSession", "endSessions", "events", "deleteToken"]

with tempfile.TemporaryDirectory() as folder:
    server = Server(MOLT, folder)
    data = os.path.join(folder, "data")
    for code in (1, 2):
        image = os.path.join(folder, f"{code}.bin")
        subprocess.run([MOLT, "sim", "build", image, "--chip", "esp8266", "--product", "lamp", "--code", str(code)], check=True, capture_output=True)
        subprocess.run([MOLT, "publish", image, "--product", "lamp", "--data", data], check=True, capture_output=True)
    subprocess.run([MOLT, "device", "set", "5ccf7f000001", "--new", "--product", "lamp", "--data", data], check=True, capture_output=True)
    excluded = [word for name in LEFT_OUT for word in ("--exclude-operation-id", name)]
    done = subprocess.run([PROGRAM, "--config-file", os.path.join(os.path.dirname(os.path.abspath(__file__)), "schemathesis.toml"), "run", server.admin + "/api/v1/openapi.json", "--header", "Authorization: Bearer " + server.token, "--seed", "20171025",
                           "--max-examples", EXAMPLES, "--generation-database", "none", "--phases", "examples,coverage,fuzzing", "--no-color",
                           "--exclude-checks", "ignored_auth,positive_data_acceptance,unsupported_method", *excluded],
                          cwd=folder, env=dict(os.environ, NO_COLOR="1", COLUMNS="160"), capture_output=True, text=True)
    server.stop()
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr[-3000:])
    print(done.stdout[-600:])
