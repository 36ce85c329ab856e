"""promises_test - each promise of several servers on one database, brought about on purpose: a node that is held up, cut off or killed at the
moment that matters. Planted bugs (planted.py) are caught by the promise that they break.

    promises_test.py MOLT CLOCK-SHIM [PROMISE...]      without names: all of them, on three nodes and one PostgreSQL"""

import os
import re
import signal
import socket
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cluster as rig  # noqa: E402

OFFER, CONFIRMED = rig.OFFER, rig.CONFIRMED
STOPPED, PAUSED, UP_TO_DATE = 179, 183, 151


class Product:
    """A product of its own, of two releases, with a rollout of the second when rules are given; and devices that nobody else has."""

    made = 0

    def __init__(self, cluster, rules=None):
        Product.made += 1
        self.cluster, self.name, self.devices = cluster, f"p{Product.made}", 0
        first = cluster.nodes[0]
        cluster.publish(self.name, 1, node=first)
        first.cli("product", "set", self.name, "--rollouts-only", "yes" if rules is not None else "no", "--trust-unverified", "yes")
        self.release = cluster.publish(self.name, 2, node=first)
        self.register(first)
        self.rollout = None
        if rules is not None:
            self.rollout = first.api("POST", "/rollouts", {"release": self.release, "error_count": 0, **rules}, status=201)["id"]
        for node in cluster.nodes:
            rig.until(lambda: any(r["id"] == self.release for r in node.api("GET", f"/releases?product={self.name}")["releases"]), f"{node.name} knows {self.name}")
            if self.rollout:
                rig.until(lambda: any(r["id"] == self.rollout for r in node.api("GET", "/rollouts")["rollouts"]), f"{node.name} knows the rollout")

    def register(self, node, count=400):
        """Every node knows them."""
        path = os.path.join(self.cluster.folder, "registered.csv")
        with open(path, "w") as file:
            file.write("id,product\n" + "".join(f"{self.id(n + 1)},{self.name}\n" for n in range(count)))
        node.cli("device", "import", path)
        for other in self.cluster.nodes:
            rig.until(lambda: other.get(f"/api/v1/devices/{self.id(count)}", headers={"Authorization": "Bearer " + self.cluster.token})[0] == 200, f"{other.name} knows them")

    def id(self, number):
        return f"24{int(self.name[1:]):02x}{number:08x}"

    def device(self):
        self.devices += 1
        return self.id(self.devices)

    def ask(self, node, device=None, code=1, result=0):
        return node.check_in(device or self.device(), code, self.name, result)

    def reports(self, node, device):
        """That it runs 2 since an update, until it is told that this is kept."""
        rig.until(lambda: self.ask(node, device, 2, CONFIRMED), f"{node.name} keeps the result of {device}")

    def offers(self, node):
        told = self.ask(node)
        return told is not None and told[1] == OFFER

    def row(self, device):
        """Running code, result, and how often its history says that it updated itself to 2."""
        rows = self.cluster.pg.sql(f"SELECT running_code, result, (SELECT count(*) FROM attempt WHERE device_id = device.id AND code = 2 AND result = 5) FROM device WHERE id = '{device}'")
        return [int(v) for v in rows[0]] if rows else None


def command(node, method, path, body=None):
    """An order that is answered as one that every node goes by. A machine that stood still for as long as nodes wait for each other has it
    given again."""
    def taken():
        status, text = node.get("/api/v1" + path, 120, rig.ADMIN_PORT, None if body is None else rig.json.dumps(body).encode(),
                                {"Authorization": "Bearer " + node.cluster.token}, method)
        assert status == 200 or status == 503 and b"not-acknowledged" in text, f"{node.name}: {method} {path}: {status}: {text.decode(errors='replace')}"
        return status == 200
    rig.until(taken, f"{node.name} answers {method} {path}")


def order(node, product, stopped):
    command(node, "PATCH", f"/products/{product.name}", {"stopped": stopped})


def a_stop_has_come_to_every_node_when_it_is_answered(cluster):
    product = Product(cluster)
    for turn in range(3):
        giver = cluster.nodes[turn % 3]
        for node in cluster.nodes:
            rig.until(lambda: product.offers(node), f"{node.name} offers")
        order(giver, product, True)
        told = {node.name: product.ask(node) for node in cluster.nodes}
        assert all(t[1] != OFFER for t in told.values()), f"stopped at {giver.name}, and {told}"
        order(giver, product, False)


def a_pause_has_come_to_every_node_when_it_is_answered(cluster):
    product = Product(cluster, {})
    for turn in range(3):
        giver = cluster.nodes[turn]
        for node in cluster.nodes:
            rig.until(lambda: product.offers(node), f"{node.name} offers")
        giver.api("POST", f"/rollouts/{product.rollout}/pause")
        told = {node.name: product.ask(node) for node in cluster.nodes}
        assert all(t[1] != OFFER for t in told.values()), f"paused at {giver.name}, and {told}"
        giver.api("POST", f"/rollouts/{product.rollout}/resume")


def queued(node, product, count):
    """Requests that lie in the node's sockets: it is held up."""
    sockets = []
    for _ in range(count):
        body = rig.check_in(product.device(), 1, product.name)
        s = socket.create_connection((node.front, rig.DEVICE_PORT), 20)
        s.sendall(b"POST /molt/v1/check-in HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/cbor\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        sockets.append(s)
    return sockets


def answers(sockets):
    for s in sockets:
        s.settimeout(None)
        data = b""
        while part := s.recv(65536):
            data += part
        s.close()
        yield rig.read_map(data.split(b"\r\n\r\n", 1)[1]) if data.startswith(b"HTTP/1.1 200") else None


def a_node_that_was_held_up_offers_nothing_before_it_has_heard_the_news(cluster):
    product, sleeper = Product(cluster), cluster.nodes[1]
    rig.until(lambda: product.offers(sleeper), "it offers")
    sleeper.pause()
    sockets = queued(sleeper, product, 20)
    order(cluster.nodes[0], product, True)
    sockets += queued(sleeper, product, 20)
    sleeper.go_on()
    told = list(answers(sockets))
    assert all(t is None or t[1] != OFFER for t in told), f"it was asleep while all was stopped: {told}"
    sleeper.wait_ready()
    order(cluster.nodes[0], product, False)
    rig.until(lambda: product.offers(sleeper), "it offers again")


def a_node_that_is_cut_off_offers_nothing_and_is_not_ready(cluster):
    product, lonely = Product(cluster), cluster.nodes[2]
    rig.until(lambda: product.offers(lonely), "it offers")
    known = [product.device() for _ in range(2)]
    assert [product.ask(lonely, device)[1] for device in known] == [OFFER, OFFER]
    lonely.cut("back")
    assert product.ask(lonely, known[0], 2, CONFIRMED) is None, "it acknowledged a result that it cannot keep"
    order(cluster.nodes[0], product, True)
    told = [product.ask(lonely) for _ in range(20)]
    assert all(t is None or t[1] != OFFER for t in told), f"it is cut off, and all was stopped: {told}"
    rig.until(lambda: not lonely.ready(), "it is not ready")
    rig.until(lambda: cluster.proxy.up() == {"n1", "n2"}, "HAProxy leaves it out")
    assert product.ask(lonely, known[1], 2, CONFIRMED) is None, "it acknowledged a result that it cannot keep"
    lonely.mend("back")
    lonely.wait_ready()
    assert not product.offers(lonely), "it has not heard of the stop"
    for device in known:
        product.reports(lonely, device)
    order(cluster.nodes[0], product, False)
    rig.until(lambda: len(cluster.proxy.up()) == 3, "HAProxy has it back")


def everywhere(cluster, product, devices):
    """All devices at all nodes at once; those that were offered something."""
    offered, lock = set(), threading.Lock()

    def ask(node, mine):
        for device in mine:
            told = product.ask(node, device)
            if told is not None and told[1] == OFFER:
                with lock:
                    offered.add(device)
    threads = [threading.Thread(target=ask, args=(node, devices[i::len(cluster.nodes)])) for i, node in enumerate(cluster.nodes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return offered


def the_cap_holds_over_all_nodes_and_its_slots_go_where_they_are_needed(cluster):
    cap = 9
    product = Product(cluster, {"max_open": cap})
    open_, asked = set(), [product.device() for _ in range(60)]

    def more():
        open_.update(everywhere(cluster, product, [d for d in asked if d not in open_]))
        assert len(open_) <= cap, f"{len(open_)} devices have an offer, and {cap} may"
        return len(open_) == cap
    rig.until(more, lambda: f"{cap} have an offer: {len(open_)}")
    for turn in range(3):  # their results come to other nodes than their offers
        done = sorted(open_)[:4]
        for device in done:
            product.reports(cluster.nodes[turn], device)
            open_.discard(device)
            asked.remove(device)
        rig.until(more, lambda: f"{cap} have an offer again: {len(open_)}")
    one = cluster.nodes[turn]  # one node alone gets all of them
    for device in sorted(open_):
        product.reports(one, device)
        asked.remove(device)
    open_.clear()

    def alone():
        for device in [d for d in asked if d not in open_]:
            told = product.ask(one, device)
            if told is not None and told[1] == OFFER:
                open_.add(device)
        assert len(open_) <= cap, f"{len(open_)} devices have an offer, and {cap} may"
        return len(open_) == cap
    rig.until(alone, lambda: f"one node gives all {cap}: {len(open_)}")


def a_node_dies_with_all_offers(cluster, timeout_s, back):
    """It gives as many offers as it may, and is killed before it has written them. None of the cap's places is free before they have timed out,
    for the others and, `back`, for itself when it is started again at once; then they are."""
    cap = 6
    product, victim = Product(cluster, {"max_open": cap, "timeout_s": timeout_s}), cluster.nodes[1]
    given = []

    def ask(node):
        told = product.ask(node)
        if told is not None and told[1] == OFFER:
            given.append(time.monotonic())
    rig.until(lambda: ask(victim) or given, "it offers", 0)
    for _ in range(2 * cap):
        ask(victim)
    victim.end(signal.SIGKILL)  # nothing of this is written yet, as like as not
    before = len(given)
    if back:
        victim.start()

    def others():
        for node in cluster.nodes:
            if node.alive():
                ask(node)
        young = [t for t in given if time.monotonic() - t < timeout_s - 1]
        assert len(young) <= cap, f"{len(young)} devices have an offer, and {cap} may; {before} by the node that died, {given[-1] - given[0]:.1f} s ago"
        return len(given) > cap
    rig.until(others, lambda: f"the slots come back: {len(given)} offers, {before} by the dead node")
    if not back:
        victim.start()
    victim.wait_ready()


def the_slots_of_a_node_that_died_stay_taken_until_its_offers_are_over(cluster):
    a_node_dies_with_all_offers(cluster, 25, back=False)


def the_slots_of_a_node_that_died_stay_taken_though_it_comes_back_at_once(cluster):
    a_node_dies_with_all_offers(cluster, 25, back=True)


def a_result_is_kept_whatever_becomes_of_the_node_that_took_it(cluster):
    product, victim = Product(cluster), cluster.nodes[2]
    done = []
    for _ in range(12):
        device = product.device()
        assert product.ask(victim, device)[1] == OFFER
        product.reports(victim, device)
        done.append(device)
    victim.end(signal.SIGKILL)
    for device in done:  # it is dead for good, and the others do its work
        rig.until(lambda: product.row(device) == [2, 5, 1], lambda: f"{device} has updated itself: {product.row(device)}")
        told = product.ask(cluster.nodes[0], device, 2)
        assert told[2] == UP_TO_DATE, f"another node tells {device} {told}"
    victim.start().wait_ready()
    assert [product.row(d) for d in done] == [[2, 5, 1]] * len(done)


def a_node_that_knows_less_overwrites_nothing(cluster):
    product = Product(cluster)
    old, new = cluster.nodes[0], cluster.nodes[1]
    devices = [product.device() for _ in range(30)]
    for device in devices:
        assert product.ask(old, device)[1] == OFFER
    new_held = devices[:5]
    for device in devices:  # the old one has something to write of each while the new one learns how it ended
        product.ask(old, device)
        product.reports(new, device)
        product.ask(old, device, 2)
    for device in new_held:
        new.api("PATCH", f"/devices/{device}", {"held": True})
        product.ask(old, device, 2)
    for device in devices:
        rig.until(lambda: product.row(device) == [2, 5, 1], lambda: f"{device}: {product.row(device)}")
    for node in cluster.nodes:
        for device in devices:
            rig.until(lambda: node.api("GET", f"/devices/{device}")["running"]["code"] == 2, f"{node.name} knows that {device} runs 2")
            held = node.api("GET", f"/devices/{device}")["held"]
            assert held == (device in new_held), f"{node.name}: {device} held: {held}"
    assert cluster.pg.sql(f"SELECT count(*) FROM device WHERE held = 1 AND id LIKE '{devices[0][:4]}%'") == [[str(len(new_held))]]


def each_phase_begins_once_though_who_sees_to_it_is_held_up(cluster):
    phases, need = 4, 2
    product = Product(cluster, {"phases": [{"percent": 100}] * phases, "success_count": need})
    cluster.pg.sql(f"""CREATE TABLE IF NOT EXISTS course (seq bigserial, id bigint, status int, phase int);
        CREATE OR REPLACE FUNCTION course() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          INSERT INTO course (id, status, phase) VALUES (NEW.id, NEW.status, NEW.phase); RETURN NEW; END $$;
        DROP TRIGGER IF EXISTS course ON rollout;
        CREATE TRIGGER course AFTER UPDATE ON rollout FOR EACH ROW EXECUTE FUNCTION course()""")

    def phase():
        return int(cluster.pg.sql(f"SELECT phase FROM rollout WHERE id = {product.rollout}")[0][0])
    for turn in range(phases - 1):
        sleeper, others = cluster.nodes[turn], [n for n in cluster.nodes if n is not cluster.nodes[turn]]
        sleeper.pause()  # each in turn, so whoever sees to it is among them
        for _ in range(need):
            device = product.device()
            rig.until(lambda: product.ask(others[0], device)[1] == OFFER, "it is offered")
            product.reports(others[1], device)
        rig.until(lambda: phase() == turn + 1, lambda: f"phase {turn + 2} begins: {phase() + 1}")
        sleeper.go_on()
        sleeper.wait_ready()
        assert phase() == turn + 1
    steps = [int(p) for (p,) in cluster.pg.sql(f"SELECT phase FROM course WHERE id = {product.rollout} ORDER BY seq")]
    seen = [p for i, p in enumerate(steps) if i == 0 or p != steps[i - 1]]
    assert seen in ([1, 2, 3], [0, 1, 2, 3]), f"the phases ran as {steps}"


def version_file_and_image_are_of_one_release_on_every_node(cluster):
    product = Product(cluster)
    chip = {"User-Agent": "ESP8266-http-Update", "x-ESP8266-free-space": "600000", "x-ESP8266-sketch-md5": "0"}
    cluster.publish(product.name, 3, chip="esp8266")
    for node in cluster.nodes:
        rig.until(lambda: node.file("240000990000.version", product.name)[1] == b"3\n" or node.file("240000990000.version", product.name)[1] == b"3", f"{node.name} announces 3")
    number = 0
    for told in cluster.nodes:
        for gives in cluster.nodes:
            number += 1
            device = f"2400009900{number:02x}"
            mac = ":".join(device[i:i + 2] for i in range(0, 12, 2))

            def announces():
                status, text = told.file(f"{device}.version", product.name)
                assert (status, int(text)) in ((200, 3), (200, 0)), f"{told.name}: {status} {text}"  # 0: the machine stood still, and the node is behind
                return int(text) == 3

            rig.until(announces, f"{told.name} announces 3")
            for _ in range(3):
                status, image = gives.get(f"/p/{product.name}/{device}.bin", 120, rig.DEVICE_PORT, None, {**chip, "x-ESP8266-STA-MAC": mac})
                if status != 304:
                    break
                gives.wait_ready()  # the machine stood still, and the node is behind
            assert status == 200 and len(image) == 8192 + 16 * 3, f"{told.name} announced 3, {gives.name} gave {status}, {len(image)} bytes"


def a_poll_asks_no_database(cluster):
    product = Product(cluster)
    devices = [product.device() for _ in range(50)]
    for node in cluster.nodes:
        for device in devices:
            product.ask(node, device, 2)
    settled = -1
    while settled != (settled := int(cluster.pg.sql("SELECT count(*) FROM device")[0][0])):
        time.sleep(1)

    def statements():
        """How often each was asked, but those around transactions."""
        return {query: int(calls) for query, calls in cluster.pg.sql(
            "SELECT regexp_replace(query, '\\s+', ' ', 'g'), sum(calls) FROM pg_stat_statements WHERE userid = 'molt'::regrole"
            " AND query !~* '^(begin|commit|rollback|set) ?' GROUP BY 1")}
    before = statements()
    polls = 0
    for _ in range(20):
        for node in cluster.nodes:
            for device in devices:
                assert product.ask(node, device, 2)[2] == UP_TO_DATE
                polls += 1
    asked = {query: calls - before.get(query, 0) for query, calls in statements().items()}
    rounds = max(calls for query, calls in asked.items() if "generation" in query)
    most = max(asked, key=asked.get)
    # what each node does in each of its rounds is allowed, however many of them there were meanwhile, and a batch of when devices were seen
    assert rounds > 0 and asked[most] < 3 * rounds + polls / 4, f"asked {asked[most]} times with {polls} polls and {rounds} rounds: {most}"
    print(f"  {polls} polls, {rounds} rounds, {sum(asked.values())} statements", flush=True)


def a_clock_that_is_wrong_changes_nothing(cluster):
    later = int(time.time() * 1000) + 3600_000
    product, wrong = Product(cluster, {"start_ms": later}), cluster.nodes[1]
    running = Product(cluster, {"timeout_s": 3600, "phases": [{"percent": 100}, {"percent": 100}], "success_count": 1, "soak_s": 3600})
    device = running.device()
    assert running.ask(wrong, device)[1] == OFFER
    other = running.device()
    assert running.ask(wrong, other)[1] == OFFER
    running.reports(wrong, other)
    for shift in (7200, -7200, 40 * 86400):
        wrong.shift_clock(shift)
        generation = wrong.api("GET", "/nodes")["nodes"]
        rig.until(lambda: wrong.api("GET", "/nodes")["nodes"] != generation, "a round with the wrong clock is over")
        assert wrong.ready(), f"it is not ready because its clock is wrong by {shift} s"
        assert not product.offers(wrong), f"it began a rollout because its clock is wrong by {shift} s"
        assert running.ask(cluster.nodes[0], device)[1] == OFFER, "an offer timed out because of a wrong clock"
        assert running.offers(wrong)
    wrong.shift_clock(0)
    rig.until(lambda: running.row(device), "the offer is written")
    assert running.row(device)[1] == 0, "an offer timed out because of a wrong clock"
    assert cluster.pg.sql(f"SELECT phase FROM rollout WHERE id = {running.rollout}") == [["0"]], "a phase ended because of a wrong clock"


def refused(node, *words):
    node.begin()
    status = node.process.wait()
    text = node.text()[node.started_at:]
    assert status not in (0, -signal.SIGKILL, -signal.SIGSEGV, -signal.SIGABRT), f"it ran: {text}"
    assert all(word in text for word in words), f"it says {text}"


def what_cannot_work_is_refused_in_words(cluster):
    stranger = rig.Node(cluster, 9)
    stranger.command = lambda: [w for i, w in enumerate(rig.Node.command(stranger)) if w != "--artifacts" and rig.Node.command(stranger)[i - 1] != "--artifacts"]
    refused(stranger, "--artifacts")
    stranger.command = lambda: [w for i, w in enumerate(rig.Node.command(stranger)) if w != "--node" and rig.Node.command(stranger)[i - 1] != "--node"]
    refused(stranger, "--node")
    names = {n["name"]: n for n in cluster.nodes[0].api("GET", "/nodes")["nodes"]}
    assert {"n1", "n2", "n3"} <= names.keys() and "n9" not in names and all(names[n]["live"] for n in ("n1", "n2", "n3")), names
    stranger.command = lambda: [w if w != "n9" else "n1" for w in rig.Node.command(stranger)]
    refused(stranger, "n1")
    del stranger.command
    stranger.start().wait_ready()
    stranger.end(signal.SIGKILL)
    rig.until(lambda: not next(n for n in cluster.nodes[0].api("GET", "/nodes")["nodes"] if n["name"] == "n9")["live"], "n9 is known to be away")
    cluster.nodes[0].cli("node", "forget", "n9")
    rig.until(lambda: all(n["name"] != "n9" for n in cluster.nodes[1].api("GET", "/nodes")["nodes"]), "n9 is forgotten")
    rig.run("ip", "netns", "del", "n9")


# What a pooler in transaction mode, or a database that only speaks PostgreSQL's protocol, would not keep, or would take for something else: CockroachDB's
# quotient of two whole numbers is not whole.
NOT_PLAIN = re.compile(r"\b(listen|unlisten|notify)\b|pg_notify|advisory|^\s*set\s+(?!local\b)|set_config|^\s*(reset|discard|prepare|execute|deallocate|lock)\b|"
                       r"\bcursor\b|\b(temp|temporary)\b|currval|lastval|\bctid\b|\bxmin\b|pg_backend_pid|[\w)] / [\w$(]", re.I)
EXCUSED = [r"SELECT CASE WHEN pg_try_advisory_xact_lock_shared\(.*\) THEN .* END"]  # at a start: whether a server without --node has the store, which holds such a lock


def what_is_asked_of_the_database_outlives_no_transaction(cluster):
    """All that was asked since the nodes began, and something of each kind here."""
    product, node = Product(cluster, {"phases": [{"percent": 100}] * 2, "success_count": 1, "max_open": 5}), cluster.nodes[0]
    device = product.device()
    rig.until(lambda: product.ask(node, device)[1] == OFFER, "it is offered")
    product.reports(cluster.nodes[1], device)
    rig.until(lambda: product.row(device) == [2, 5, 1], "the result is in its row")
    node.api("DELETE", f"/devices/{device}")
    asked = [query for (query,) in cluster.pg.sql("SELECT regexp_replace(query, '\\s+', ' ', 'g') FROM pg_stat_statements WHERE userid = 'molt'::regrole")]
    assert any("device_change" in q for q in asked) and any(q.startswith("INSERT INTO slot") for q in asked) and any("result_log" in q for q in asked), asked
    found = [q for q in asked if NOT_PLAIN.search(q) and not any(re.fullmatch(excused, q) for excused in EXCUSED)]
    assert not found, f"a session or a lock of PostgreSQL's own is used: {found}"
    assert any(re.search("SET LOCAL", q) for q in asked), "the limits of a transaction are not seen, so others may be missing"
    print(f"  {len(asked)} statements", flush=True)


PROMISES = [a_stop_has_come_to_every_node_when_it_is_answered, a_pause_has_come_to_every_node_when_it_is_answered,
            the_cap_holds_over_all_nodes_and_its_slots_go_where_they_are_needed, version_file_and_image_are_of_one_release_on_every_node, a_poll_asks_no_database,
            a_node_that_knows_less_overwrites_nothing, a_result_is_kept_whatever_becomes_of_the_node_that_took_it,
            a_node_that_was_held_up_offers_nothing_before_it_has_heard_the_news, a_node_that_is_cut_off_offers_nothing_and_is_not_ready,
            the_slots_of_a_node_that_died_stay_taken_until_its_offers_are_over, the_slots_of_a_node_that_died_stay_taken_though_it_comes_back_at_once,
            each_phase_begins_once_though_who_sees_to_it_is_held_up,
            a_clock_that_is_wrong_changes_nothing, what_is_asked_of_the_database_outlives_no_transaction, what_cannot_work_is_refused_in_words]


def main():
    molt, shim, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    rig.enter()
    failed = []
    with rig.Cluster(molt, 3, shim) as cluster:
        cluster.start()
        for promise in PROMISES:
            if names and promise.__name__ not in names:
                continue
            began = time.monotonic()
            promise(cluster)
            print(f"{promise.__name__}: {time.monotonic() - began:.1f} s", flush=True)
        cluster.stop()
    print("promises_test: good", failed or "")


if __name__ == "__main__":
    main()
