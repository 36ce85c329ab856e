"""ledger - what devices were told and what they said (fleet.c writes it), judged by what operators ordered and by what the database has.

Each judge_...() gives sentences, one for each promise that was broken. Times are CLOCK_MONOTONIC in nanoseconds, as time.monotonic_ns()
gives them. What is judged is never stricter than what is promised: an order counts for what was asked after it was answered, an offer is
open from when the device has it until it next speaks."""

import bisect
import collections
import struct

FORM = struct.Struct("<QQIIHHBBBB")
Entry = collections.namedtuple("Entry", "sent recv device code reason status kind verdict node running")
# When people began to publish a release, when that was answered, and when it was recalled for everybody (None: never).
Published = collections.namedtuple("Published", "began answered recalled")
POLL, REPORT, FETCH, VERSION, IMAGE = b"PRAVB"
OFFER = 1


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    return [Entry(*fields) for fields in FORM.iter_unpack(data[:len(data) // FORM.size * FORM.size])]


def device_id(number):
    return f"24{number:010x}"


def offers(entries):
    return [e for e in entries if e.kind in (POLL, REPORT) and e.verdict == OFFER and e.recv]


def judge_orders(entries, orders):
    """orders: (name, from, until, forbids): forbids(device, code) is true for what nobody may be offered who asks after `from` and is
    answered before `until` (None: for ever)."""
    found = []
    for e in offers(entries):
        for name, since, until, forbids in orders:
            if e.sent >= since and (until is None or e.recv <= until) and forbids(e.device, e.code):
                found.append(f"{device_id(e.device)} was offered {e.code} by n{e.node} in spite of: {name}, {(e.sent - since) / 1e9:.3f} s after it")
    return found


def judge_downgrade(entries):
    return [f"{device_id(e.device)} runs {e.running} and was offered {e.code} by n{e.node}" for e in offers(entries) if e.kind == POLL and e.code <= e.running]


def open_spans(entries, timeout_ns):
    """(begin, end) of each offer: from when the device has it until it speaks to the server again, but for the download, or until it may have
    timed out, counted from when it was asked for."""
    spans, open_since = [], {}
    for e in sorted((e for e in entries if e.kind in (POLL, REPORT)), key=lambda e: e.sent):
        since = open_since.pop(e.device, None)
        if since is not None:
            spans.append((since.recv, max(since.recv, min(e.sent, since.sent + timeout_ns))))
        if e.verdict == OFFER and e.recv:
            open_since[e.device] = e
    return spans + [(e.recv, max(e.recv, e.sent + timeout_ns)) for e in open_since.values()]


def most_open(entries, timeout_ns):
    spans = open_spans(entries, timeout_ns)
    most = now = 0
    for _, begins in sorted([(a, 1) for a, b in spans] + [(b, 0) for a, b in spans]):
        now += 1 if begins else -1
        most = max(most, now)
    return most


def judge_cap(entries, cap, timeout_ns):
    most = most_open(entries, timeout_ns)
    return [f"{most} devices had an offer at one time, and {cap} may"] if most > cap else []


def judge_phases(entries, phase_of, success_count):
    """No device of a later phase was offered anything before the phases ahead of it could have ended."""
    found, reported = [], sorted(e.sent for e in first_reports(entries).values())
    for e in offers(entries):
        phase = phase_of(e.device)
        before = bisect.bisect_left(reported, e.recv)
        if phase > 0 and before < phase * success_count:
            found.append(f"{device_id(e.device)} of phase {phase + 1} was offered {e.code} by n{e.node} when {before} devices had reported, and that takes {phase * success_count}")
            break
    return found


def first_reports(entries):
    """The first report of each device, answered or not."""
    first = {}
    for e in entries:
        if e.kind == REPORT and (e.device not in first or e.sent < first[e.device].sent):
            first[e.device] = e
    return first


def judge_course(steps, phases):
    """steps: (status, phase) as the database had them one after the other; each phase once, in order, and none left out."""
    seen = [phase for i, (_, phase) in enumerate(steps) if i == 0 or phase != steps[i - 1][1]]
    return [] if seen == list(range(phases)) else [f"the phases ran as {[p + 1 for p in seen]}, not as {list(range(1, phases + 1))}"]


def acknowledged(entries):
    """The last acknowledged report of each device."""
    last = {}
    for e in entries:
        if e.kind == REPORT and e.recv and e.status == 200 and (e.device not in last or e.recv > last[e.device].recv):
            last[e.device] = e
    return last


def judge_results(entries, rows, history):
    """rows: {id: (running code, result)}; history: {id: [(code, result)]}, as the database has them; results by their number. Who went
    back may have tried again since, or have been given up."""
    found, updated, rolled_back = [], 5, 8
    for e in acknowledged(entries).values():
        name = device_id(e.device)
        row, ends = rows.get(name), history.get(name, [])
        if e.code == e.running:
            if row != (e.code, updated):
                found.append(f"{name} was told that its update to {e.code} is kept, and the database has code and result {row}")
            if ends.count((e.code, updated)) != 1:
                found.append(f"{name}: the end of its update to {e.code} is in its history {ends.count((e.code, updated))} times")
        elif row is None or row[0] != e.running or (e.code, rolled_back) not in ends:
            found.append(f"{name} was told that its way back to {e.running} is kept, and the database has {row} and {ends}")
    return found


def judge_files(entries, published, lag_ns=5_000_000_000):
    """published: {code: Published}. An image is of the code that the version file said, or of one that came since or was on its way when
    the file said so; or, itself on its way, of the one before. A release is on its way from when people began to publish it until that was
    answered, or a node told somebody of it, and for as long as news may take to another node (lag_ns)."""
    found, said, known = [], {}, {}
    files = [e for e in entries if e.kind in (VERSION, IMAGE) and e.recv and e.status == 200]
    for e in sorted((e for e in files if e.kind == IMAGE or e.code > 0), key=lambda e: e.recv):  # 0: nothing is said
        since = published.get(e.code)
        if since is None or e.recv < since.began or (since.recalled is not None and e.sent > since.recalled):
            found.append(f"{device_id(e.device)} got {e.code} from n{e.node}, which is not published")
        known.setdefault(e.code, e.recv)
        if e.kind == VERSION:
            said[e.device] = e
            continue
        told = said.get(e.device)
        if told is None or since is None or told.code not in published or e.code == told.code:
            continue
        newer = published[told.code]
        if since.began > newer.began:
            came = min(since.answered or e.recv, known[e.code])
            if came + lag_ns < told.sent:
                found.append(f"{device_id(e.device)} was told {told.code} by n{told.node}, {(told.sent - came) / 1e9:.1f} s after {e.code} was there")
            continue
        came = min(newer.answered or told.recv, known[told.code])
        if newer.recalled is None and came + lag_ns < e.sent:
            found.append(f"{device_id(e.device)} was told {told.code} by n{told.node} and got {e.code} from n{e.node}, {(e.sent - came) / 1e9:.1f} s after it was there")
    return found
