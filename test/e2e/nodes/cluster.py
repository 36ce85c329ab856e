"""cluster - PostgreSQL, several `molt serve --node` each in a network namespace of its own, and HAProxy before them, for a test.

enter() puts the test into namespaces of its own first (network, mounts, processes), so that names and addresses are free and nothing
outlives it. Each node has two cables, which can be pulled apart: front to HAProxy and people, back to PostgreSQL. Everything that waits waits
for something to come true, under the test's own time limit."""

import ctypes
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request

NOBODY = 65534
PR_SET_PDEATHSIG = 1
DEVICE_PORT, ADMIN_PORT, PG_PORT, POOLER_PORT, PROXY_PORT = 8266, 8267, 5432, 6432, 80
BIN = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
libc = ctypes.CDLL(None, use_errno=True)


def enter():
    """Begins the program anew in namespaces of its own; as a user without rights, too, where the kernel lets him."""
    if os.environ.get("MOLT_NAMESPACES") != "inside":
        who = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        os.environ["MOLT_NAMESPACES"] = "inside"
        os.execvp("unshare", ["unshare", *who, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, *sys.argv])
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    run("ip", "link", "set", "lo", "up")


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def until(true, what, pause=0.02):
    """Waits until true() is; what it returned. CTest's time limit ends it."""
    told = time.monotonic() + 30
    while True:
        got = true()
        if got:
            return got
        if time.monotonic() > told:
            told = time.monotonic() + 30
            print(f"still waiting until {what() if callable(what) else what}", flush=True)
        time.sleep(pause)


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def descendants(pid):
    found = [pid]
    for at in found:
        try:
            with open(f"/proc/{at}/task/{at}/children") as file:
                found += map(int, file.read().split())
        except OSError:
            pass
    return found


def thread_states(pid):
    for path in glob.glob(f"/proc/{pid}/task/*/stat"):
        try:
            with open(path) as file:
                yield file.read().rsplit(")", 1)[1].split()[0]
        except OSError:
            pass


def cpu_seconds(pid):
    """Of the process and of those that it has waited for; of its children, too."""
    ticks = 0
    for one in descendants(pid):
        with open(f"/proc/{one}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        ticks += sum(map(int, fields[11:15])) if one == pid else sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


class Process:
    """One that can be killed, held up and started again."""

    process = None

    def launch(self, command, **more):
        self.process = subprocess.Popen(command, preexec_fn=die_with_parent, **more)
        self.stopped = False

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal_all(self, number):
        for pid in descendants(self.process.pid):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def pause(self):
        """Held up, every thread of it, when this returns: the signal alone lets some run on for a moment."""
        self.signal_all(signal.SIGSTOP)
        self.stopped = True
        until(lambda: all(state in "TZ" for pid in descendants(self.process.pid) for state in thread_states(pid)), "all threads are held up", 0.001)

    def go_on(self):
        self.signal_all(signal.SIGCONT)
        self.stopped = False

    def end(self, number):
        """Sends it, waits. The exit status."""
        if not self.alive():
            return self.process.returncode if self.process else None
        if self.stopped and number != signal.SIGKILL:
            self.go_on()
        self.process.send_signal(number)
        return self.process.wait()


class Postgres(Process):
    """A cluster; not as root, whom PostgreSQL refuses."""

    def __init__(self, folder, name="pg", port=PG_PORT, options=()):
        self.folder, self.port, self.options = os.path.join(folder, name), port, list(options)
        self.data = os.path.join(self.folder, "data")
        os.mkdir(self.folder)
        os.chown(self.folder, *self.owner())

    @staticmethod
    def owner():
        with open("/proc/self/uid_map") as file:
            whole = int(file.read().split()[2]) > 1
        return (NOBODY, NOBODY) if whole else (0, 0)

    def as_postgres(self, *command):
        """The command as somebody who is not root: another user, or, where there is one alone, by another name."""
        if self.owner()[0]:
            return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
        return ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", *command]

    def program(self, name, *arguments, **more):
        return run(*self.as_postgres(os.path.join(BIN, name), *arguments), cwd="/", **more)

    def make(self):
        self.program("initdb", "-D", self.data, "-U", "molt", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions")
        with open(os.path.join(self.data, "pg_hba.conf"), "a") as file:
            file.write("host all all 0.0.0.0/0 trust\nhost replication all 0.0.0.0/0 trust\n")
        return self

    def start(self):
        settings = ["listen_addresses=*", f"port={self.port}", "fsync=off", "shared_buffers=32MB", "max_connections=60", "autovacuum=off",
                    "shared_preload_libraries=pg_stat_statements", *self.options]
        with open(os.path.join(self.folder, "log"), "a") as log:
            self.launch(self.as_postgres(os.path.join(BIN, "postgres"), "-D", self.data, "-k", self.folder, *(w for s in settings for w in ("-c", s))),
                        stdout=log, stderr=log, cwd="/")
        until(self.answers, lambda: f"PostgreSQL answers: {self.log()[-400:]}")
        return self

    def log(self):
        with open(os.path.join(self.folder, "log")) as file:
            return file.read()

    def answers(self):
        assert self.alive(), self.log()
        return subprocess.run([os.path.join(BIN, "pg_isready"), "-q", "-h", self.folder, "-p", str(self.port), "-U", "molt", "-d", "postgres"]).returncode == 0

    def sql(self, statement, role="judge"):
        """The rows, each a list of texts. Not as molt, so that what molt says can be told from what tests say."""
        out = run(os.path.join(BIN, "psql"), "-h", self.folder, "-p", str(self.port), "-U", role, "-d", "postgres", "-qAtX", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-c", statement)
        return [line.split("\t") for line in out.splitlines()]

    def crash(self):
        self.end(signal.SIGQUIT)  # all of its processes at once, without a checkpoint

    def stop(self):
        self.end(signal.SIGINT)


class Pooler(Process):
    """pgbouncer in transaction mode: a session of PostgreSQL is a client's for one transaction only, and there are few of them."""

    def __init__(self, folder, pg):
        self.pg, self.folder = pg, os.path.join(folder, "pooler")
        os.mkdir(self.folder)
        os.chown(self.folder, *pg.owner())
        with open(os.path.join(self.folder, "users"), "w") as file:
            file.write('"molt" ""\n')
        with open(os.path.join(self.folder, "pgbouncer.ini"), "w") as file:
            file.write(f"""
[databases]
postgres = host={pg.folder} port={pg.port}
[pgbouncer]
listen_addr = *
listen_port = {POOLER_PORT}
unix_socket_dir =
auth_type = trust
auth_file = {self.folder}/users
pool_mode = transaction
default_pool_size = 3
max_client_conn = 100
ignore_startup_parameters = options,extra_float_digits
logfile = {self.folder}/log
server_connect_timeout = 3
server_login_retry = 1
""")

    def start(self):
        self.launch(self.pg.as_postgres("pgbouncer", "-q", os.path.join(self.folder, "pgbouncer.ini")), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        until(lambda: subprocess.run([os.path.join(BIN, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(POOLER_PORT), "-U", "molt", "-d", "postgres"]).returncode == 0,
              "pgbouncer answers")
        return self


class Proxy(Process):
    """HAProxy, as doc/nodes.md has it: it asks /readyz, and sends a device to any node that is."""

    def __init__(self, folder, nodes):
        self.folder = folder
        self.conf = os.path.join(folder, "haproxy.cfg")
        servers = "\n".join(f"  server {n.name} {n.front}:{DEVICE_PORT} check port {ADMIN_PORT} inter 200ms fall 2 rise 1" for n in nodes)
        with open(self.conf, "w") as file:
            file.write(f"""
global
  nbthread 1
  maxconn 4000
  stats socket {folder}/haproxy.sock level admin
defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 8s
  option redispatch
  retries 2
frontend devices
  bind 127.0.0.1:{PROXY_PORT}
  default_backend nodes
backend nodes
  balance roundrobin
  option httpchk GET /readyz
  http-response set-header x-node %s
{servers}
""")

    def start(self):
        with open(os.path.join(self.folder, "haproxy.log"), "a") as log:
            self.launch(["haproxy", "-db", "-f", self.conf], stdout=log, stderr=log)
        until(lambda: os.path.exists(os.path.join(self.folder, "haproxy.sock")), "HAProxy listens")
        return self

    def up(self):
        """Names of the nodes that it sends devices to."""
        out = run(sys.executable, "-c", "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b'show stat\\n')\n"
                  "while (d := s.recv(65536)): sys.stdout.write(d.decode())", os.path.join(self.folder, "haproxy.sock"))
        rows = [line.split(",") for line in out.splitlines()]
        return {row[1] for row in rows if row[0] == "nodes" and row[1] != "BACKEND" and len(row) > 17 and row[17].startswith("UP")}


class Node(Process):
    """One `molt serve --node`."""

    def __init__(self, cluster, number):
        self.cluster, self.number, self.name = cluster, number, f"n{number}"
        self.front, self.back = f"10.99.{number}.2", f"10.98.{number}.2"
        self.folder = os.path.join(cluster.folder, self.name)
        self.shift = os.path.join(self.folder, "shift")
        self.options, self.store = [], f"postgres://molt@10.98.{number}.1:{POOLER_PORT if cluster.pooler else PG_PORT}/postgres?connect_timeout=3"
        self.molt = cluster.molt
        os.mkdir(self.folder)
        self.shift_clock(0)
        run("ip", "netns", "add", self.name)
        self.inside("ip", "link", "set", "lo", "up")
        for side, net in (("front", 99), ("back", 98)):
            run("ip", "link", "add", f"{side}{number}", "type", "veth", "peer", "name", side, "netns", self.name)
            run("ip", "addr", "add", f"10.{net}.{number}.1/24", "dev", f"{side}{number}")
            run("ip", "link", "set", f"{side}{number}", "up")
            self.inside("ip", "addr", "add", f"10.{net}.{number}.2/24", "dev", side)
            self.inside("ip", "link", "set", side, "up")

    def inside(self, *command):
        return run("ip", "netns", "exec", self.name, *command)

    def cut(self, side):
        run("ip", "link", "set", f"{side}{self.number}", "down")

    def mend(self, side):
        run("ip", "link", "set", f"{side}{self.number}", "up")

    def shift_clock(self, seconds):
        """The wall clock that the node sees, beside the true one."""
        with open(self.shift, "r+b" if os.path.exists(self.shift) else "wb") as file:
            file.write(seconds.to_bytes(8, "little", signed=True))  # in place: it is mapped

    def command(self):
        return [self.molt, "serve", "--data", os.path.join(self.folder, "data"), "--listen", f"http://0.0.0.0:{DEVICE_PORT}", "--admin", f"http://0.0.0.0:{ADMIN_PORT}",
                "--admin-insecure", "--store", self.store, *([] if self.cluster.alone else ["--artifacts", self.cluster.artifacts, "--node", self.name]), "--threads", "1",
                "--new-per-minute", "1000000", "--no-limit", "10.0.0.0/8", *self.options]

    def log_path(self):
        return os.path.join(self.folder, "log")

    def text(self):
        with open(self.log_path(), errors="replace") as file:
            return file.read()

    def begin(self):
        """Starts it, without waiting."""
        environment = dict(os.environ)
        if self.cluster.shim:
            environment.update(LD_PRELOAD=self.cluster.shim, MOLT_CLOCK_SHIFT=self.shift)
        self.started_at = os.path.getsize(self.log_path()) if os.path.exists(self.log_path()) else 0
        with open(self.log_path(), "a") as log:
            self.launch(["ip", "netns", "exec", self.name, *self.command()], stdout=log, stderr=log, env=environment)

    def start(self):
        self.begin()
        return self.wait_started()

    def wait_started(self):
        def listens():
            if not self.alive() and "PostgreSQL does not answer" in self.text()[self.started_at:]:
                self.begin()  # the machine stood still for as long as it waits
            assert self.alive(), f"{self.name} ended: {self.text()[-2000:]}"
            return "plane=socket" in self.text()[self.started_at:]
        until(listens, lambda: f"{self.name} listens: {self.text()[-600:]}")
        shown = re.search(r"admin token \(shown only now\): (molt_\w+)", self.text())
        if shown:
            self.cluster.token = shown.group(1)
        return self

    def ready(self):
        try:
            return self.get("/readyz", 2)[0] == 200
        except OSError:
            return False

    def wait_ready(self):
        until(self.ready, lambda: f"{self.name} is ready: {self.text()[-600:]}")
        return self

    def get(self, path, timeout=120, port=ADMIN_PORT, body=None, headers=None, method=None):
        """Status and body, straight from the node. OSError: no answer."""
        request = urllib.request.Request(f"http://{self.front}:{port}{path}", data=body, headers=headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except urllib.error.URLError as error:
            raise OSError(str(error)) from error

    def api(self, method, path, body=None, status=200, timeout=120):
        got, text = self.get("/api/v1" + path, timeout, ADMIN_PORT, None if body is None else json.dumps(body).encode(),
                             {"Authorization": "Bearer " + self.cluster.token}, method)
        assert got == status, f"{self.name}: {method} {path}: {got}, not {status}: {text.decode(errors='replace')}"
        return json.loads(text) if text else None

    def cli(self, *arguments):
        done = subprocess.run([self.cluster.molt, *arguments, "--server", f"http://{self.front}:{ADMIN_PORT}", "--token", self.cluster.token], capture_output=True, text=True)
        assert done.returncode == 0, f"molt {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def check_in(self, device, code=1, product="lamp", result=0, digest=None, timeout=120):
        """What the device is answered by this node: {1: verdict, 2: reason, 4: code ...}; None without an answer of 200."""
        status, text = self.get("/molt/v1/check-in", timeout, DEVICE_PORT, check_in(device, code, product, result, digest), {"Content-Type": "application/cbor"})
        return read_map(text) if status == 200 else None

    def file(self, name, product="ring"):
        return self.get(f"/p/{product}/{name}", 120, DEVICE_PORT)


class Cluster:
    """Everything in one folder, which is gone with it."""

    def __init__(self, molt, count=3, shim=None, pg_options=(), alone=False, pooled=False):
        self.alone = alone  # one server that is no node
        self.molt, self.shim, self.token = os.path.abspath(molt), shim, None
        self.folder = tempfile.mkdtemp(prefix="molt-nodes-")
        os.chmod(self.folder, 0o755)
        self.artifacts = os.path.join(self.folder, "artifacts")
        os.mkdir(self.artifacts)
        self.pg = Postgres(self.folder, options=pg_options).make().start()
        self.pg.sql("CREATE ROLE judge SUPERUSER LOGIN; CREATE EXTENSION pg_stat_statements", role="molt")
        self.pooler = Pooler(self.folder, self.pg).start() if pooled else None
        self.nodes = [Node(self, i + 1) for i in range(count)]
        self.proxy = Proxy(self.folder, self.nodes)

    def start(self):
        for node in self.nodes[:1]:
            node.start()  # the first makes the tables and prints the token
        for node in self.nodes[1:]:
            node.begin()
        for node in self.nodes[1:]:
            node.wait_started()
        for node in self.nodes:
            node.wait_ready()
        self.proxy.start()
        until(lambda: len(self.proxy.up()) == len(self.nodes), "HAProxy finds all nodes")
        return self

    def any(self):
        """A node that is ready."""
        return until(lambda: next((n for n in self.nodes if n.alive() and not n.stopped and n.ready()), None), "a node is ready")

    def publish(self, product, code, *options, chip="esp32c3", node=None):
        """A release whose image says its code by its length, too. Its id."""
        node = node or self.any()
        path = os.path.join(self.folder, f"{product}-{code}.bin")
        run(self.molt, "sim", "build", path, "--chip", chip, "--product", product, "--code", str(code), "--size", str(8192 + 16 * code))
        node.cli("publish", path, "--product", product, *options)
        return next(r["id"] for r in node.api("GET", f"/releases?product={product}")["releases"] if r["code"] == code)

    def stop(self):
        """The nodes write what they have; their exit statuses must be good."""
        for node in self.nodes:
            if node.alive():
                if node.stopped:
                    node.go_on()
                node.process.terminate()
        for node in self.nodes:
            if node.process is not None:
                assert node.process.wait() in (0, -signal.SIGKILL), f"{node.name} ended badly: {node.text()[-3000:]}"
        if self.proxy.alive():
            self.proxy.end(signal.SIGKILL)

    def remove(self):
        for one in (*self.nodes, self.proxy, self.pooler, self.pg):
            if one is not None and one.alive():
                one.signal_all(signal.SIGKILL)
        for node in self.nodes:
            subprocess.run(["ip", "netns", "del", node.name], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            traceback.print_exception(kind, value, trace)
            keep = os.environ.get("MOLT_KEEP")
            for node in self.nodes:
                if os.path.exists(node.log_path()):
                    print(f"---- the end of {node.name}'s log\n{node.text()[-1500:]}", file=sys.stderr)
            print(f"---- the end of PostgreSQL's log\n{self.pg.log()[-800:]}", file=sys.stderr)
            if keep:
                shutil.copytree(self.folder, keep, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".s.*", "*.sock", "data"))
        self.remove()


# ---- the check-in's form (doc/wire.md), as much as these tests need ----

def head(major, number):
    if number < 24:
        return bytes([major << 5 | number])
    size = next(size for size in (1, 2, 4, 8) if number < 1 << 8 * size)
    return bytes([major << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[size]]) + number.to_bytes(size, "big")


def write_map(pairs):
    out = head(5, len(pairs))
    for key in sorted(pairs):
        value = pairs[key]
        out += head(0, key) + (head(0, value) if isinstance(value, int) else
                               head(2, len(value)) + value if isinstance(value, bytes) else head(3, len(value)) + value.encode())
    return out


def read_map(data):
    at = 0

    def item():
        nonlocal at
        major, number = data[at] >> 5, data[at] & 31
        at += 1
        if number >= 24:
            size = 1 << number - 24
            number = int.from_bytes(data[at:at + size], "big")
            at += size
        if major == 5:
            return {item(): item() for _ in range(number)}
        if major == 0:
            return number
        at += number
        return data[at - number:at] if major == 2 else data[at - number:at].decode()
    return item()


def check_in(device, code, product, result=0, digest=None):
    pairs = {1: device, 2: CHIP_ESP32C3, 4: code, 6: 4 << 20, 8: 1 << 20, 11: 0, 12: 1}
    if result:
        pairs[13] = result
    else:
        pairs[3] = product
    if digest:
        pairs[10] = digest
    return write_map(pairs)


CHIP_ESP32C3 = 4
CONFIRMED, ROLLED_BACK = 120, 121
OFFER = 1
