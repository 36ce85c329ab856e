"""metrics_test - GET /metrics of a running server is Prometheus' text format and says what happened; /healthz and /readyz; the Grafana
dashboard and the alerts of doc/metrics name metrics that exist, and each metric is explained in the handbook.

    metrics_test.py path/to/molt path/to/doc          (in a virtual environment with prometheus-client)
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time

import yaml
from prometheus_client.parser import text_string_to_metric_families

from running import Server, fetch

MOLT, DOC = os.path.abspath(sys.argv[1]), sys.argv[2]
TYPE = "text/plain; version=0.0.4; charset=utf-8"


def scrape(server):
    status, kind, text = fetch(server.admin + "/metrics", server.token)
    assert (status, kind) == (200, TYPE), (status, kind)
    families = {family.name: family for family in text_string_to_metric_families(text)}
    samples = {}
    for family in families.values():
        assert family.documentation and family.type in ("gauge", "counter"), family
        for sample in family.samples:
            key = (sample.name, *sorted(sample.labels.items()))
            assert key not in samples, "twice: " + str(key)
            samples[key] = sample.value
    names = re.findall(r"^# TYPE (\S+)", text, re.M)
    assert len(names) == len(set(names)), "a metric stands in two places"
    return set(names), samples


def used(text):
    """Names of metrics in a PromQL expression."""
    return set(re.findall(r"\b(?:molt|process)_[a-z_]+\b", text)) - {"molt_build_info"}


with tempfile.TemporaryDirectory() as folder:
    certificate = os.path.join(folder, "c.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", certificate + ".key", "-out", certificate,
                    "-days", "30", "-subj", "/CN=molt"], check=True, capture_output=True)
    server = Server(MOLT, folder, "--tls-cert", certificate, "--tls-key", certificate + ".key")
    image = os.path.join(folder, "2.bin")
    subprocess.run([MOLT, "sim", "build", image, "--chip", "esp8266", "--product", "lamp", "--code", "2"], check=True, capture_output=True)
    subprocess.run([MOLT, "publish", image, "--product", "lamp", "--adopt", "--data", os.path.join(folder, "data")], check=True, capture_output=True)
    assert fetch(server.admin + "/healthz")[::2] == (200, "ok\n")
    assert fetch(server.admin + "/readyz")[::2] == (200, "ready\n")
    assert fetch(server.admin + "/metrics")[0] == 401
    assert fetch(server.admin + "/metrics", "molt_wrong")[0] == 401

    names, before = scrape(server)
    for device in ("5CCF7F000001", "5CCF7F000002", "5CCF7F000003"):
        assert fetch(f"{server.device}/{device}.version", agent="ESP8266HTTPClient")[2].strip() == "2"
    _, after = scrape(server)
    more = {key: after[key] - before.get(key, 0) for key in after}
    assert more["molt_requests_total", ("skin", "version-file")] == 3
    assert more["molt_decisions_total", ("reason", "offered")] == 3
    assert more["molt_devices",] == 3 and after["molt_releases",] == 1 and after["molt_store_up",] == 1
    assert after["molt_api_requests_total", ("status", "4xx")] >= 2
    assert after["molt_http_requests_total",] >= 9 and after["molt_http_connections_open",] >= 1
    assert after["molt_build_info", ("store", "sqlite"), ("version", subprocess.check_output([MOLT, "--version"], text=True).split()[1])] == 1
    assert 29 * 86400 < after["molt_tls_certificate_expiry_seconds",] - time.time() < 31 * 86400
    assert abs(after["molt_start_time_seconds",] - time.time()) < 600
    assert after["process_resident_memory_bytes",] > 1 << 20 and after["process_open_fds",] > 5 and after["molt_disk_free_bytes",] > 0
    server.stop()

    # Names in the dashboard, in the alerts and in the handbook are those that there are.
    with open(os.path.join(DOC, "metrics/grafana.json")) as file:
        dashboard = json.load(file)
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(expressions) > 20
    with open(os.path.join(DOC, "metrics/alerts.yml")) as file:
        alerts = [rule for group in yaml.safe_load(file)["groups"] for rule in group["rules"]]
    for expression in expressions + [alert["expr"] for alert in alerts]:
        unknown = used(expression) - names
        assert not unknown, f"{expression}: there is no {unknown}"
    with open(os.path.join(DOC, "operations.md")) as file:
        handbook = file.read()
    missing = [name for name in sorted(names) if f"`{name}`" not in handbook] + [alert["alert"] for alert in alerts if alert["alert"] not in handbook]
    assert not missing, f"doc/operations.md does not explain {missing}"
    extra = set(re.findall(r"^\| `((?:molt|process)_[a-z_]+)`", handbook, re.M)) - names
    assert not extra, f"doc/operations.md explains {extra}, which do not exist"
print("ok")
