"""chaos_test - devices in a rollout with phases and a cap, at HAProxy and several nodes, while nodes, HAProxy and PostgreSQL are killed, held up
and cut off at random and clocks jump, and people give orders. Then the devices' own ledger is compared with the database.

    chaos_test.py MOLT NODES-FLEET CLOCK-SHIM KEY=VALUE...      devices=500 files=20 cap=60 faults=6 longest=2.5 connections=64
                poll_ms=400 nodes=3 (1: one server that is no node) pooled=0 (1: pgbouncer between)

MOLT_SEED repeats the faults and orders (not what the machine makes of them); it is printed. MOLT_KEEP=FOLDER keeps the logs of a run that failed."""

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cluster as rig  # noqa: E402
import ledger  # noqa: E402

PARTS, HELD, PINNED, AHEAD, BAD = 40, 0, 1, 2, 39
FENCE_NS = 5_000_000_000  # a node that is longer behind says nothing: docs of nodes
NEW, OLD, TIMEOUT_S, RETRIES = 2, 1, 10, 4


def phase_of(number):
    return {3: 0, 4: 1, 5: 1}.get(number % 10, 2)


class Fleet:
    def __init__(self, program, folder, **settings):
        self.path = os.path.join(folder, "ledger")
        self.process = subprocess.Popen([program, "127.0.0.1", str(rig.PROXY_PORT), self.path, *(f"{k}={v}" for k, v in settings.items())],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=rig.die_with_parent)
        self.updated = self.failed = self.offered = self.answered = self.unanswered = self.files = 0
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            self.updated, self.failed, self.offered, self.answered, self.unanswered, self.files = map(int, line.split())

    def end(self):
        self.process.stdin.write("end\n")
        self.process.stdin.close()
        assert self.process.wait() == 0, "the fleet broke"
        self.thread.join()
        return ledger.read(self.path)


class Orders:
    """What people order meanwhile, each until a node takes it; what an order forbids, for ledger.judge_orders()."""

    def __init__(self, cluster, chance, devices):
        self.cluster, self.chance, self.devices = cluster, chance, devices
        self.rollout, self.open, self.judged, self.published = None, [], [], {}
        self.next_code = 2

    def ask(self, method, path, body=None):
        """On whichever node takes it. False: an earlier try whose answer was lost or bad has done it, so nobody has said that it has come
        to all nodes."""
        refused = []

        def once():
            node = self.cluster.any()
            try:
                got, text = node.get("/api/v1" + path, 30, rig.ADMIN_PORT, None if body is None else rig.json.dumps(body).encode(),
                                     {"Authorization": "Bearer " + self.cluster.token}, method)
            except OSError:
                return False
            assert got < 500 or got == 503 or got == 504 or b"store" in text, f"{node.name}: {method} {path}: {got} {text}"
            refused.append(got >= 300)
            return got < 300 or got == 409
        rig.until(once, f"{method} {path} is taken", 0.2)
        return not refused[-1]

    def forbid(self, name, undo, forbids, later_ns=0):
        self.open.append((name, time.monotonic_ns() + later_ns, forbids, undo))

    def end(self, which=None):
        for one in [o for o in self.open if which is None or o[0] == which]:
            name, since, forbids, undo = one
            self.open.remove(one)
            self.judged.append((name, since, time.monotonic_ns(), forbids))
            undo()

    def pause(self):
        has_come = self.ask("POST", f"/rollouts/{self.rollout}/pause")
        self.forbid("paused", lambda: self.ask("POST", f"/rollouts/{self.rollout}/resume"), lambda device, code: device < self.devices, 0 if has_come else FENCE_NS)

    def stop(self):
        self.ask("PATCH", "/products/lamp", {"stopped": True})
        self.forbid("stopped", lambda: self.ask("PATCH", "/products/lamp", {"stopped": False}), lambda device, code: device < self.devices)

    def hold(self):
        """Some devices; that is no emergency, so it counts once no node can be further behind."""
        some = {n for n in self.chance.sample(range(self.devices), 5) if n % PARTS not in (HELD, PINNED)}

        def each(held):
            for number in some:
                self.ask("PATCH", f"/devices/{ledger.device_id(number)}", {"held": held})
        each(True)
        self.forbid("held", lambda: each(False), lambda device, code: device in some, FENCE_NS)

    def publish(self):
        """Another release of ring, whose devices have a version file only."""
        code = self.next_code
        self.next_code += 1
        began = time.monotonic_ns()
        self.published[code] = ledger.Published(began, None, None)
        rig.until(lambda: self.try_publish(code), f"{code} is published", 0.2)
        self.published[code] = ledger.Published(began, time.monotonic_ns(), None)
        print(f"{code} was published in {(time.monotonic_ns() - began) / 1e9:.1f} s", flush=True)

    def try_publish(self, code):
        try:
            self.cluster.publish("ring", code, chip="esp8266")
            return True
        except (AssertionError, OSError, StopIteration):
            return False


class Faults:
    """One at a time; each is begun, lasts, and is over when that returns."""

    def __init__(self, cluster, chance, orders, longest):
        self.cluster, self.chance, self.orders, self.longest = cluster, chance, orders, longest
        self.coming = []

    def lasts(self, orders=True):
        """Now and then somebody gives an order while it lasts."""
        time.sleep(self.chance.uniform(0.2, self.longest))
        if orders and len(self.cluster.nodes) > 1 and self.chance.random() < 0.7 and not self.orders.open:
            self.chance.choice([self.orders.pause, self.orders.stop, self.orders.hold, self.orders.publish])()
            time.sleep(self.chance.uniform(0.2, self.longest))

    def run(self):
        """The next one: each kind once, in any order, then each once again."""
        kinds = [self.node_killed, self.node_stopped, self.node_cut_back, self.node_cut_front, self.clock, self.database_crashes, self.database_stopped,
                 self.proxy_killed, self.proxy_stopped, self.node_terminated]
        if self.cluster.pooler:
            kinds.append(self.pooler_killed)
        if not self.coming:
            self.coming = self.chance.sample(kinds, len(kinds))
        one = self.coming.pop()
        node = self.chance.choice(self.cluster.nodes)
        print(f"fault: {one.__name__} {node.name}", flush=True)
        one(node)
        if len(self.cluster.nodes) == 1 and not self.orders.open:
            self.chance.choice([self.orders.pause, self.orders.stop, self.orders.hold, self.orders.publish])()
        if self.orders.open and self.chance.random() < 0.8:
            self.orders.end()

    def node_killed(self, node):
        node.end(signal.SIGKILL)
        self.lasts()
        node.start()

    def node_terminated(self, node):
        assert node.end(signal.SIGTERM) == 0, f"{node.name} ended badly: {node.text()[-2000:]}"
        self.lasts()
        node.start()

    def node_stopped(self, node):
        node.pause()
        self.lasts()
        node.go_on()

    def node_cut_back(self, node):
        node.cut("back")
        self.lasts()
        node.mend("back")

    def node_cut_front(self, node):
        node.cut("front")
        self.lasts()
        node.mend("front")

    def clock(self, node):
        node.shift_clock(self.chance.choice([-86400, -3600, -7, 7, 3600, 40 * 86400]))
        self.lasts()
        if self.chance.random() < 0.5:
            node.shift_clock(0)

    def database_crashes(self, node):
        self.cluster.pg.crash()
        time.sleep(self.chance.uniform(0, self.longest))
        self.cluster.pg.start()

    def database_stopped(self, node):
        self.cluster.pg.pause()
        self.lasts(orders=False)
        self.cluster.pg.go_on()

    def pooler_killed(self, node):
        self.cluster.pooler.end(signal.SIGKILL)
        self.lasts(orders=False)
        self.cluster.pooler.start()

    def proxy_killed(self, node):
        self.cluster.proxy.end(signal.SIGKILL)
        self.lasts()
        self.cluster.proxy.start()

    def proxy_stopped(self, node):
        self.cluster.proxy.pause()
        self.lasts()
        self.cluster.proxy.go_on()


def prepare(cluster, devices, cap, orders):
    """Products, releases, devices with what operators say of them, and the rollout. Its course is written down by the database."""
    first = cluster.nodes[0]
    cluster.publish("lamp", OLD, node=first)
    first.cli("product", "set", "lamp", "--rollouts-only", "yes", "--trust-unverified", "yes")
    cluster.publish("ring", 1, node=first, chip="esp8266")
    orders.published[1] = ledger.Published(0, 0, None)
    release = cluster.publish("lamp", NEW, node=first)
    path = os.path.join(cluster.folder, "devices.csv")
    with open(path, "w") as file:
        file.write("id,product,tags,pin,held\n")
        for n in range(devices):
            file.write(f"{ledger.device_id(n)},lamp,wave{phase_of(n) + 1},{OLD if n % PARTS == PINNED else ''},{'yes' if n % PARTS == HELD else 'no'}\n")
    first.cli("device", "import", path)
    cluster.pg.sql("""CREATE TABLE course (seq bigserial, status int, phase int);
        CREATE FUNCTION course() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          INSERT INTO course (status, phase) VALUES (NEW.status, NEW.phase); RETURN NEW; END $$;
        CREATE TRIGGER course AFTER INSERT OR UPDATE ON rollout FOR EACH ROW EXECUTE FUNCTION course()""")
    mine = [n for n in range(devices) if n % PARTS not in (HELD, PINNED, AHEAD, BAD)]
    count = max(2, sum(1 for n in mine if phase_of(n) == 0) // 2)
    made = first.api("POST", "/rollouts", {"release": release, "phases": [{"percent": 100, "filter": "tag = wave1"}, {"percent": 100, "filter": "tag = wave2"}, {"percent": 100}],
                                           "success_count": count, "error_count": 0, "timeout_s": TIMEOUT_S, "retries": RETRIES, "retry_s": 1, "max_open": cap}, status=201)
    orders.rollout = made["id"]
    return mine, count


def all_updated(cluster, orders, fleet, mine):
    """Of many devices, a few are given up: faults took all of their offers, whether they began to load or not. What an operator does about that: let
    them be tried again."""
    if fleet.updated >= len(mine):
        return True
    for device, why in cluster.pg.sql(f"SELECT id, last_detail FROM device WHERE rollout_failures > {RETRIES} AND running_code <> {NEW}"):
        if int(device[2:], 16) in mine:
            print(f"{device} was given up: {why}", flush=True)
            orders.ask("POST", f"/devices/{device}/retry")
    return False


def judge(cluster, entries, orders, mine, devices, cap, count):
    pg = cluster.pg
    rows = {r[0]: (int(r[1]), int(r[2])) for r in pg.sql("SELECT id, running_code, result FROM device")}
    history = {}
    for name, code, result in pg.sql("SELECT device_id, code, result FROM attempt ORDER BY id"):
        history.setdefault(name, []).append((int(code), int(result)))
    steps = [(int(a), int(b)) for a, b in pg.sql("SELECT status, phase FROM course ORDER BY seq")]
    for_ever = [("held or pinned from the start", 0, None, lambda device, code: device < devices and device % PARTS in (HELD, PINNED))]
    found = ledger.judge_orders(entries, orders.judged + for_ever)
    found += ledger.judge_downgrade(entries)
    found += ledger.judge_cap(entries, cap, TIMEOUT_S * 1_000_000_000)
    found += ledger.judge_phases(entries, phase_of, count)
    found += ledger.judge_course(steps, 3)
    found += ledger.judge_results(entries, rows, history)
    found += ledger.judge_files(entries, orders.published)
    found += [f"{ledger.device_id(n)} does not run {NEW} in the end: {rows.get(ledger.device_id(n))}" for n in mine if rows.get(ledger.device_id(n), (0,))[0] != NEW]
    if pg.sql("SELECT count(*) FROM result_log") != [["0"]]:
        found.append("results are left in the log of results")
    return found


def tell(found):
    """One sentence of each kind, and how often there is one like it."""
    kinds = {}
    for sentence in found:
        kinds.setdefault(re.sub(r"\b[0-9a-f]*[0-9][0-9a-f]*\b", "#", sentence), []).append(sentence)
    for alike in kinds.values():
        print(f"BROKEN, {len(alike)} times: {alike[0]}", flush=True)


def nodes_agree(cluster):
    """Each node counts the same devices by what they run."""
    counts = [node.api("GET", "/device-counts?by=version") for node in cluster.nodes]
    return all(c == counts[0] for c in counts)


def main():
    molt, program, shim = sys.argv[1:4]
    settings = {"devices": 500, "files": 20, "cap": 60, "faults": 6, "longest": 2.5, "connections": 64, "poll_ms": 400, "nodes": 3, "pooled": 0}
    for word in sys.argv[4:]:
        key, value = word.split("=")
        settings[key] = type(settings[key])(value)
    rig.enter()
    seed = int(os.environ.get("MOLT_SEED") or time.time_ns() % 1_000_000_000)
    print(f"MOLT_SEED={seed}", flush=True)
    chance = random.Random(seed)
    devices = settings["devices"]
    with rig.Cluster(molt, settings["nodes"], shim, alone=settings["nodes"] == 1, pooled=settings["pooled"] == 1) as cluster:
        cluster.start()
        orders = Orders(cluster, chance, devices)
        mine, count = prepare(cluster, devices, settings["cap"], orders)
        fleet = Fleet(program, cluster.folder, devices=devices, files=settings["files"], connections=settings["connections"], poll_ms=settings["poll_ms"],
                      bad_every=PARTS, ahead_every=PARTS, seed=seed % 65536)
        rig.until(lambda: fleet.updated > 0, "the first device has updated itself")
        faults = Faults(cluster, chance, orders, settings["longest"])
        for _ in range(settings["faults"]):
            faults.run()
        orders.end()
        orders.publish()
        wanted = set(mine)
        rig.until(lambda: all_updated(cluster, orders, fleet, wanted), lambda: f"all have updated themselves: {fleet.updated} of {len(mine)}", 2)
        rig.until(lambda: fleet.files == orders.next_code - 1, lambda: f"ring's devices run {orders.next_code - 1}")
        rig.until(lambda: nodes_agree(cluster), "the nodes agree")
        entries = fleet.end()
        cluster.stop()
        found = judge(cluster, entries, orders, mine, devices, settings["cap"], count)
        print(f"{len(entries)} entries, {fleet.unanswered} without an answer, {len(ledger.offers(entries))} offers, at most {ledger.most_open(entries, TIMEOUT_S * 1_000_000_000)} open at a time, "
              f"{len(orders.judged)} orders, {len(ledger.acknowledged(entries))} devices with a result", flush=True)
        tell(found)
        assert not found, f"{len(found)} promises were broken; MOLT_SEED={seed}"
    print("chaos_test: good")


if __name__ == "__main__":
    main()
