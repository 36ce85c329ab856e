"""door_test - the door of the admin plane as an attacker tries it, over HTTP: requests that the pages of others make a browser send, cookies that
they plant, what an answer gives away, headers that keep a page to itself.

    door_test.py path/to/molt
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from running import Server

MOLT = os.path.abspath(sys.argv[1])
PASSWORD = "correct horse battery"


def ask(path, method="GET", body=None, **headers):
    """(status, headers, text)"""
    call = urllib.request.Request(server.admin + path, data=None if body is None else json.dumps(body).encode(), method=method, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(call, timeout=600) as answer:
            return answer.status, answer.headers, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def log_in(**headers):
    status, got, text = ask("/api/v1/session", "POST", {"name": "anna", "password": PASSWORD}, **headers)
    assert status == 201, text
    return got["Set-Cookie"], json.loads(text)["csrf"]


with tempfile.TemporaryDirectory() as folder:
    server = Server(MOLT, folder)
    server.api("POST", "/users", {"name": "anna", "password": PASSWORD, "roles": ["admin"]}, 201)
    line, csrf = log_in()
    cookie = line.split(";")[0]
    assert "; HttpOnly; SameSite=Strict" in line and "Secure" not in line and "Domain" not in line, line

    # who reached us by https gets a cookie that goes no other way, whether the proxy says so or only the page's own origin
    assert "; Secure" in log_in(X_Forwarded_Proto="https")[0]
    assert "; Secure" in log_in(Origin="https://ota.example.org")[0]
    assert "Secure" not in log_in(Origin="http://ota.example.org")[0]

    # the page of another origin, a neighbour's below the same domain too, makes no change and logs nobody in
    order = {"label": "mine"}
    for site in ("cross-site", "same-site", "Cross-Site", "anything"):
        assert ask("/api/v1/tokens", "POST", order, Cookie=cookie, X_CSRF_Token=csrf, Sec_Fetch_Site=site)[0] == 403, site
        assert ask("/api/v1/session", "POST", {"name": "anna", "password": PASSWORD}, Sec_Fetch_Site=site)[0] == 403, site
    for site in ("same-origin", "none"):
        assert ask("/api/v1/tokens", "POST", order, Cookie=cookie, X_CSRF_Token=csrf, Sec_Fetch_Site=site)[0] == 201, site
    # a form of another site has the cookie at most
    for key in (None, "", "0" * 64, cookie.split("=")[1], csrf.upper(), csrf + "0"):
        assert ask("/api/v1/tokens", "POST", order, Cookie=cookie, **({} if key is None else {"X_CSRF_Token": key}))[0] == 401, key
    for method in ("PUT", "PATCH", "DELETE"):
        assert ask("/api/v1/session" if method == "DELETE" else "/api/v1/products/lamp", method, {}, Cookie=cookie)[0] == 401, method
    # no page of others may read an answer
    _, headers, _ = ask("/api/v1/account", Cookie=cookie, Origin="https://evil.example")
    assert not any(name.lower().startswith("access-control") for name in headers), headers
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"

    # cookies that somebody planted beside: never more than nobody, or he himself
    for planted in ("molt_session=", "molt_session=" + "0" * 64, "molt_session=" + "f" * 500, "xmolt_session=" + cookie.split("=")[1], "molt_session"):
        for both in (planted, f"{planted}; {cookie}", f"{cookie}; {planted}"):
            status, _, text = ask("/api/v1/session", Cookie=both)
            assert status == 200 and json.loads(text)["user"] in (None, "anna"), (both, text)
            assert cookie in both or json.loads(text)["user"] is None, both

    # the page runs no script but its own, is framed by nobody, and tells nobody where one came from
    _, headers, _ = ask("/")
    policy = headers["Content-Security-Policy"]
    for part in ("default-src 'none'", "script-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"):
        assert part in policy, policy
    assert "unsafe" not in policy and "*" not in policy and headers["X-Frame-Options"] == "DENY" and headers["Referrer-Policy"] == "no-referrer", headers

    # an answer says nothing of who there is
    said = {ask("/api/v1/session", "POST", {"name": name, "password": "wrong battery"})[2] for name in ("anna", "nobody", "../anna")}
    assert len(said) == 1, said
    # neither a device's token nor one in the address opens anything here
    device = server.api("POST", "/tokens", {"kind": "device", "device": "5ccf7f000001"}, 201)["token"]
    assert ask("/api/v1/status", Authorization="Bearer " + device)[0] == 401
    assert ask("/api/v1/status?token=" + server.token)[0] == 401
    assert ask("/k/" + server.token + "/api/v1/status")[0] == 401

    # a kill logs nobody out; a copy of the store lets nobody in
    server.kill()
    server = Server(MOLT, folder)
    assert json.loads(ask("/api/v1/session", Cookie=cookie)[2])["csrf"] == csrf
    server.stop()
    data = os.path.join(folder, "data")
    subprocess.run([MOLT, "store", "backup", os.path.join(folder, "copy"), "--data", data], check=True, capture_output=True)
    os.rename(data, os.path.join(folder, "lost"))
    subprocess.run([MOLT, "store", "restore", os.path.join(folder, "copy"), "--data", data], check=True, capture_output=True)
    server = Server(MOLT, folder)
    assert json.loads(ask("/api/v1/session", Cookie=cookie)[2])["csrf"] is None
    assert log_in()
    server.stop()
print("ok")
