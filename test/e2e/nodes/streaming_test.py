"""streaming_test - doc/nodes.md, executed: its blocks are run on two machines made of namespaces, with Debian's own PostgreSQL, HAProxy and the
program. The cable between the machines is pulled, b is made the primary, a is lost, and taken back; no result that a device was told is kept
is lost, and who is ordered to pause pauses. usage: streaming_test.py MOLT doc/nodes.md (as root)"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cluster as rig  # noqa: E402

SETUP = """
ip link set lo up
mkdir /run/up && mount -t tmpfs tmpfs /run/up
for dir in etc var srv; do
    mkdir -p /run/up/$dir/up /run/up/$dir/work
    mount -t overlay overlay -o lowerdir=/$dir,upperdir=/run/up/$dir/up,workdir=/run/up/$dir/work /$dir
done
mkdir -p /srv/molt /etc/molt /etc/haproxy /var/lib/molt
mount --bind "$SHARED" /srv/molt
mount --bind "$HOSTS" /etc/hosts
rm -rf /etc/postgresql/15/main /var/lib/postgresql/15/main /run/postgresql
install -d -o postgres -g postgres -m 2775 /run/postgresql
pg_createcluster 15 main -- --no-sync >/dev/null
printf 'fsync = off\\nshared_buffers = 32MB\\nautovacuum = off\\n' >>/etc/postgresql/15/main/postgresql.conf
pg_ctlcluster 15 main start
"""
FUNCTIONS = """
systemctl() {
    case "$*" in
    "start molt") "$MOLT" serve --config /etc/molt/molt.conf --threads 1 >>/var/log/molt.log 2>&1 & ;;
    "restart haproxy") haproxy -D -f /etc/haproxy/haproxy.cfg ;;
    *) return 1 ;;
    esac
}
"""


def blocks(path):
    """{'on a': [text], ...}: what the page says to run, by where and when."""
    with open(path) as file:
        found = re.findall(r"<!-- run (.*?) -->\n```sh\n(.*?)```", file.read(), re.S)
    return {where: [text for at, text in found if at == where] for where, _ in found}


class Machine:
    """A network and a file system of its own. Its cables: back to the other machine, front to everybody."""

    def __init__(self, name, number, folder, molt):
        self.name, self.number, self.molt = name, number, molt
        self.front = f"10.1.{number}.2"
        self.environment = {**os.environ, "MOLT": molt, "SHARED": os.path.join(folder, "shared"), "HOSTS": os.path.join(folder, "hosts"), "LC_ALL": "C.UTF-8"}
        self.keeper = subprocess.Popen(["unshare", "--net", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /run && echo && exec sleep infinity"], stdout=subprocess.PIPE, preexec_fn=rig.die_with_parent)
        self.keeper.stdout.readline()
        rig.run("ip", "link", "add", f"front{number}", "type", "veth", "peer", "name", "front", "netns", str(self.keeper.pid))
        rig.run("ip", "addr", "add", f"10.1.{number}.1/24", "dev", f"front{number}")
        rig.run("ip", "link", "set", f"front{number}", "up")
        self.run(f"ip addr add {self.front}/24 dev front && ip link set front up")

    def run(self, script, name=None):
        script = f"set -eu\n{FUNCTIONS}\n{script.replace('NAME', self.name) if name is None else script}"
        with tempfile.TemporaryFile("w+") as out:  # not a pipe: what goes on in the background would hold it open
            status = subprocess.run(["nsenter", "-t", str(self.keeper.pid), "-n", "-m", "sh", "-c", script], env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out).returncode
            out.seek(0)
            text = out.read()
        assert status == 0, f"on {self.name}:\n{script}\n{text}"
        return text

    def make(self):
        self.run(SETUP)

    def sql(self, statement, database="postgres"):
        return self.run(f'cd /; runuser -u postgres -- psql -qAtX -d {database} -c "{statement}"').split()

    def log(self):
        return self.run("cat /var/log/molt.log || true")  # who writes it goes on behind, and may not have opened it yet

    def lose(self):
        """Everything that runs in its network, at once."""
        mine = os.stat(f"/proc/{self.keeper.pid}/ns/net").st_ino
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if int(pid) != self.keeper.pid and os.stat(f"/proc/{pid}/ns/net").st_ino == mine:
                    os.kill(int(pid), signal.SIGKILL)
            except OSError:
                pass

    def get(self, port, path, body=None, headers=None, timeout=20, method=None):
        request = urllib.request.Request(f"http://{self.front}:{port}{path}", data=body, headers=headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError:
            return 0, b""

    def ready(self):
        return self.get(8267, "/readyz")[0] == 200

    def behind(self):
        """It says that it heard nothing for longer than five seconds. It is not ready before that, when its database does not answer."""
        return b"not heard of the others" in self.get(8267, "/readyz")[1]

    def ask(self, port, device, code=1, result=0):
        """A device's check-in at its HAProxy (80) or its node (8266): the status, and what it is told."""
        status, text = self.get(port, "/molt/v1/check-in", rig.check_in(device, code, "lamp", result), {"Content-Type": "application/cbor"})
        return status, rig.read_map(text) if status == 200 else {}

    def cli(self, token, *arguments):
        done = subprocess.run([self.molt, *arguments, "--server", f"http://{self.front}:8267", "--token", token], capture_output=True, text=True)
        assert done.returncode == 0, f"molt {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout


class Devices:
    """Each is told a version, reports it, and remembers that this is kept."""

    def __init__(self):
        self.kept, self.next = {}, 0

    def update(self, machine):
        """Whether a new one, at that machine's HAProxy, was offered 2. It reports until it is told that this is kept: the other node may not
        have heard of it yet."""
        self.next += 1
        device = f"24000000{self.next:04x}"
        status, told = machine.ask(80, device)
        if told.get(1) != rig.OFFER:
            return False
        assert told[4] == 2, told
        rig.until(lambda: machine.ask(80, device, 2, rig.CONFIRMED)[0] == 200, f"the report of {device} is kept", 0.1)
        self.kept[device] = 2
        return True

    def check(self, machine):
        """Each is in its row, or still in the log of results, which is looked at first: what leaves it is in its row by then."""
        logged = machine.sql("SELECT device_id FROM result_log", "molt")
        has = dict(line.split("|") for line in machine.sql("SELECT id, running_code FROM device", "molt"))
        lost = [device for device, code in self.kept.items() if has.get(device) != str(code) and device not in logged]
        assert not lost, f"lost: {lost}"


def main():
    molt, page = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    rig.enter()
    steps = blocks(page)
    folder = tempfile.mkdtemp(prefix="molt-machines-")
    os.chmod(folder, 0o755)
    os.mkdir(os.path.join(folder, "shared"))
    with open(os.path.join(folder, "hosts"), "w") as file:
        file.write("127.0.0.1 localhost\n" + re.search(r"```text\n(10\..*?)```", open(page).read(), re.S).group(1))
    a, b = (Machine(name, number, folder, molt) for name, number in (("a", 1), ("b", 2)))
    rig.run("ip", "link", "add", "back-a", "type", "veth", "peer", "name", "back-b")
    for machine in (a, b):
        rig.run("ip", "link", "set", f"back-{machine.name}", "netns", str(machine.keeper.pid))
        machine.run(f"ip addr add 10.0.0.{machine.number}/24 dev back-NAME && ip link set back-NAME up")
        machine.make()

    both = iter(steps["on both"])
    for text in [next(both)]:
        a.run(text), b.run(text)
    on_a, on_b = iter(steps["on a"]), iter(steps["on b"])
    a.run(next(on_a))
    b.run(next(on_b))
    a.run(next(on_a))
    rig.until(lambda: a.sql("SELECT sync_state FROM pg_stat_replication") == ["sync"], "b confirms commits")
    text = next(both)
    a.run(text)
    rig.until(a.ready, lambda: f"a serves: {a.log()}")
    b.run(text)
    rig.until(b.ready, lambda: f"b serves: {b.log()}")
    token = re.search(r"molt_\w+", a.log()).group(0)
    text = next(both)
    a.run(text), b.run(text)
    assert next(both, None) is None and next(on_a, None) is None and next(on_b, None) is None, "a block of the page is not run"

    image = os.path.join(folder, "2.bin")
    rig.run(molt, "sim", "build", image, "--chip", "esp32c3", "--product", "lamp", "--code", "2", "--size", "8192")
    b.cli(token, "publish", image, "--product", "lamp")
    devices = Devices()
    for machine in (a, b):
        rig.until(lambda: devices.update(machine), f"a device updates itself at {machine.name}", 0.1)

    print("the cable between the machines is pulled", flush=True)
    a.run("ip link set back-a down")
    for machine in (a, b):  # neither can say what was ordered meanwhile
        rig.until(machine.behind, f"{machine.name} says that it is behind", 0.1)
        devices.next += 1
        assert machine.ask(8266, f"24000000{devices.next:04x}")[1].get(1) != rig.OFFER, f"{machine.name} offers something"
    for text in steps["on b: a is lost"]:
        b.run(text)
    rig.until(b.ready, lambda: f"b serves with its own database: {b.log()[-600:]}", 0.1)
    rig.until(lambda: devices.update(b), "a device updates itself at b", 0.1)
    b.cli(token, "product", "set", "lamp", "--stop")
    devices.next += 1
    assert a.ask(8266, f"24000000{devices.next:04x}")[1].get(1) != rig.OFFER, "a offers what b has stopped"
    assert a.ask(8266, next(iter(devices.kept)), 2, rig.CONFIRMED)[0] != 200, "a acknowledged a result that nobody keeps"
    devices.check(b)

    print("a is lost, and comes back", flush=True)
    a.lose()
    a.run("ip link set back-a up; rm -f /run/postgresql/.s.*")
    back = {"a": iter(steps["on a: it is back"]), "b": iter(steps["on b: a is back"])}
    b.run(next(back["b"]))
    a.run(next(back["a"]))
    b.run(next(back["b"]))
    rig.until(lambda: b.sql("SELECT sync_state FROM pg_stat_replication") == ["sync"], "a confirms commits")
    rig.until(a.ready, lambda: f"a serves: {a.log()[-600:]}", 0.1)
    devices.next += 1
    assert a.ask(8266, f"24000000{devices.next:04x}")[1].get(1) != rig.OFFER, "a does not know of the stop"
    a.cli(token, "product", "set", "lamp", "--start")
    for machine in (a, b):
        rig.until(lambda: devices.update(machine), f"a device updates itself at {machine.name}", 0.1)
    rig.until(lambda: b.sql("SELECT count(*) FROM result_log", "molt") == ["0"], "the results are in rows", 0.1)
    devices.check(b)
    print(f"streaming_test: good, {len(devices.kept)} results kept")
    a.lose(), b.lose()
    rig.shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
