"""upgrade_test - nodes are upgraded one after the other while devices update themselves: an older and a newer molt on one database, whose tables the
newer one has changed. What does not go is refused in words. usage: upgrade_test.py MOLT CLOCK-SHIM BUILD-FOLDER"""

import os
import re
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cluster as rig  # noqa: E402
import planted  # noqa: E402
import promises_test as promises  # noqa: E402

SCHEMA = "host/store/schema.c"


def newer_schema(goes_beside):
    """schema.c of a molt to come, with a column more; whether this one may go on beside it."""
    with open(os.path.join(planted.ROOT, SCHEMA)) as file:
        text = file.read()
    is_now = int(re.search(r"#define SCHEMA_VERSION (\d+)", text).group(1))
    text = text.replace(f"#define SCHEMA_VERSION {is_now}", f"#define SCHEMA_VERSION {is_now + 1}")
    step = f'static const char to_come[] = "ALTER TABLE device ADD COLUMN to_come INTEGER NOT NULL DEFAULT 7;UPDATE meta SET schema_version = {is_now + 1};";\n'
    text = re.sub(r"(/\* steps\[v\] makes)", lambda m: step + m.group(1), text)
    text = re.sub(r"(steps\[\] = \{[^}]*)\}", r"\1, to_come}", text)
    text = re.sub(r"(beside\[SCHEMA_VERSION\] = \{[^}]*)\}", rf"\1, {is_now if goes_beside else is_now + 1}}}", text)
    return text, is_now


def updates(product, offers, takes):
    """A device that is offered the release at one node, and reports it at another."""
    device = product.device()
    rig.until(lambda: (product.ask(offers, device) or {}).get(1) == rig.OFFER, f"{offers.name} offers")
    product.reports(takes, device)
    return device


def restart(node, molt):
    assert node.end(rig.signal.SIGTERM) == 0, node.text()[-2000:]
    node.molt = molt
    node.start().wait_ready()


def main():
    molt, shim, build = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3]
    rig.enter()
    with tempfile.TemporaryDirectory() as work, rig.Cluster(molt, 3, shim) as cluster:
        os.chmod(work, 0o755)
        made = {}
        for name, beside in (("newer", True), ("breaking", False)):
            os.mkdir(os.path.join(work, name))
            text, schema = newer_schema(beside)
            made[name] = planted.build_with({SCHEMA: text}, build, os.path.join(work, name))
        cluster.start()
        product, kept = promises.Product(cluster), []
        a, b, c = cluster.nodes

        def everywhere():
            kept.extend(updates(product, x, y) for x, y in ((a, b), (b, c), (c, a)))
        everywhere()

        assert c.end(rig.signal.SIGTERM) == 0
        c.molt = made["breaking"]
        promises.refused(c, "stop those first", "n1")
        assert cluster.pg.sql("SELECT schema_version FROM meta") == [[str(schema)]], "it has changed the tables all the same"
        c.molt = made["newer"]
        c.start().wait_ready()
        assert cluster.pg.sql("SELECT schema_version FROM meta") == [[str(schema + 1)]]
        everywhere()  # two older ones and a newer one
        for giver in (a, c):
            promises.order(giver, product, True)
            told = [product.ask(node) for node in cluster.nodes]
            assert all(t[1] != rig.OFFER for t in told), f"stopped at {giver.name}: {told}"
            promises.order(giver, product, False)

        assert b.end(rig.signal.SIGTERM) == 0
        promises.refused(b, "newer molt", "install", "molt node list")
        b.molt = made["newer"]
        b.start().wait_ready()
        everywhere()
        restart(a, made["newer"])
        everywhere()
        for device in kept:
            product.ask(b, device, 2)
            rig.until(lambda: product.row(device) == [2, 5, 1], lambda: f"{device}: {product.row(device)}")
        assert cluster.pg.sql("SELECT DISTINCT to_come FROM device") == [["7"]]
        cluster.stop()
    print("upgrade_test: good")


if __name__ == "__main__":
    main()
