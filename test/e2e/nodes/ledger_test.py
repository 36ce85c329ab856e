"""ledger_test - the judge of the other tests here sees each promise that is broken, in ledgers that are made up, and finds nothing in one that
is good. usage: ledger_test.py"""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ledger  # noqa: E402
from ledger import FETCH, IMAGE, OFFER, POLL, REPORT, VERSION, Entry  # noqa: E402

S = 1_000_000_000
UPDATED, ROLLED_BACK = 5, 8


def entry(sent, kind, device=7, code=0, verdict=0, running=1, answered=True, status=200, node=1):
    return Entry(int(sent * S), int((sent + 0.01) * S) if answered else 0, device, code, 0, status if answered else 0, kind, verdict, node, running)


def update(begin, device=7, code=2, running=1, end=None):
    """One that goes well."""
    return [entry(begin, POLL, device, code, OFFER, running), entry(begin + 0.1, FETCH, device, running=running),
            entry(begin + 0.2 if end is None else end, REPORT, device, code, running=code)]


def rows(*devices, code=2, result=UPDATED):
    return {ledger.device_id(d): (code, result) for d in devices}


def sees(found, word):
    assert any(word in sentence for sentence in found), f"not seen: {word}: {found}"


def orders():
    paused = [("paused", 10 * S, 20 * S, lambda device, code: True)]
    assert not ledger.judge_orders([entry(9.999, POLL, code=2, verdict=OFFER), entry(12, POLL), entry(19.999, POLL, code=2, verdict=OFFER)], paused)
    sees(ledger.judge_orders([entry(10, POLL, code=2, verdict=OFFER)], paused), "paused")
    sees(ledger.judge_orders([entry(10, REPORT, code=2, verdict=OFFER)], paused), "paused")  # an answer to a report may offer, too
    sees(ledger.judge_orders([entry(99, POLL, code=2, verdict=OFFER)], [("held", 0, None, lambda device, code: device == 7)]), "held")
    assert not ledger.judge_orders([entry(99, POLL, device=8, code=2, verdict=OFFER)], [("held", 0, None, lambda device, code: device == 7)])


def downgrade():
    assert not ledger.judge_downgrade([entry(1, POLL, code=2, verdict=OFFER, running=1)])
    sees(ledger.judge_downgrade([entry(1, POLL, code=2, verdict=OFFER, running=3)]), "runs 3 and was offered 2")
    sees(ledger.judge_downgrade([entry(1, POLL, code=2, verdict=OFFER, running=2)]), "runs 2 and was offered 2")


def cap():
    both = update(1, 7) + update(1.05, 8)
    assert ledger.most_open(both, 9 * S) == 2 and not ledger.judge_cap(both, 2, 9 * S)
    sees(ledger.judge_cap(both, 1, 9 * S), "2 devices had an offer")
    assert not ledger.judge_cap(update(1, 7) + update(2, 8), 1, 9 * S)
    assert not ledger.judge_cap(update(1, 7)[:2] + [entry(1.5, POLL)] + update(2, 8), 1, 9 * S)  # it gave up, and asked again
    sees(ledger.judge_cap(update(1, 7)[:2] + update(9.9, 8), 1, 9 * S), "2 devices")  # it has not said anything since
    assert not ledger.judge_cap(update(1, 7)[:2] + update(10.1, 8), 1, 9 * S)  # ... for so long that it counts as failed
    lost = update(1, 7)[:2] + [entry(1.2, REPORT, code=2, running=2, answered=False)]
    assert not ledger.judge_cap(lost + update(1.3, 8), 1, 9 * S)  # who reported may have been heard


def phases():
    def phase_of(device):
        return 0 if device < 10 else 1
    good = update(1, 1) + update(1, 2) + update(2, 11)
    assert not ledger.judge_phases(good, phase_of, 2)
    sees(ledger.judge_phases(update(1, 1) + update(2, 11), phase_of, 2), "phase 2")
    sees(ledger.judge_phases(update(1, 1) + update(1, 2, end=3) + update(2, 11), phase_of, 2), "phase 2")
    assert not ledger.judge_course([(1, 0), (1, 0), (2, 0), (1, 0), (1, 1), (1, 2), (3, 2)], 3)
    sees(ledger.judge_course([(1, 0), (1, 2), (3, 2)], 3), "[1, 3]")
    sees(ledger.judge_course([(1, 0), (1, 1), (1, 0), (1, 1), (1, 2)], 3), "[1, 2, 1, 2, 3]")


def results():
    done, end = update(1, 7), {ledger.device_id(7): [(2, UPDATED)]}
    assert not ledger.judge_results(done, rows(7), end)
    sees(ledger.judge_results(done, rows(7, code=1), end), "the database has code")
    sees(ledger.judge_results(done, rows(7, result=0), end), "the database has code")
    sees(ledger.judge_results(done, {}, end), "the database has code")
    sees(ledger.judge_results(done, rows(7), {}), "0 times")
    sees(ledger.judge_results(done, rows(7), {ledger.device_id(7): [(2, UPDATED), (2, UPDATED)]}), "2 times")
    unheard = [entry(1, REPORT, code=2, running=2, answered=False), entry(2, REPORT, code=2, running=2, status=503)]
    assert not ledger.judge_results(unheard, {}, {})  # nobody said that it is kept
    back = [entry(1, REPORT, code=2, running=1)]
    assert not ledger.judge_results(back, rows(7, code=1, result=ROLLED_BACK), {ledger.device_id(7): [(2, ROLLED_BACK)]})
    sees(ledger.judge_results(back, rows(7, code=1, result=ROLLED_BACK), {}), "way back")
    sees(ledger.judge_results(back, rows(7), {ledger.device_id(7): [(2, ROLLED_BACK)]}), "way back")


def files():
    published = {1: ledger.Published(0, 0, None), 2: ledger.Published(5 * S, 5.1 * S, None), 3: ledger.Published(8 * S, 8.1 * S, 9 * S)}
    assert not ledger.judge_files([entry(6, VERSION, code=2), entry(6.1, IMAGE, code=2, node=2)], published)
    assert not ledger.judge_files([entry(4.9, VERSION, code=1), entry(6.1, IMAGE, code=2)], published)  # it came in between
    assert not ledger.judge_files([entry(6, VERSION, code=2), entry(6.1, IMAGE, status=304)], published)
    assert not ledger.judge_files([entry(8.5, VERSION, code=3), entry(9.5, IMAGE, code=2)], published)  # recalled in between
    assert not ledger.judge_files([entry(6, VERSION, code=2), entry(6.1, IMAGE, code=1, node=2)], published)  # it is as new as that
    assert not ledger.judge_files([entry(6, VERSION, code=0)], published)
    assert not ledger.judge_files([entry(10, VERSION, code=1), entry(14, IMAGE, code=2, node=2)], published)  # the news was on its way
    slow = {**published, 2: ledger.Published(5 * S, 9 * S, None)}
    assert not ledger.judge_files([entry(10.2, VERSION, code=2), entry(10.3, IMAGE, code=1, node=2)], slow)  # it took long to publish it
    sees(ledger.judge_files([entry(10.2, VERSION, code=2), entry(10.3, IMAGE, code=1, node=2)], published), "was told 2 by n1 and got 1 from n2")
    sees(ledger.judge_files([entry(10.2, VERSION, code=1), entry(10.3, IMAGE, code=2, node=2)], published), "was told 1 by n1, 5.1 s after 2 was there")
    sees(ledger.judge_files([entry(4, IMAGE, code=2)], published), "not published")
    sees(ledger.judge_files([entry(9.5, IMAGE, code=3)], published), "not published")


for test in (orders, downgrade, cap, phases, results, files):
    test()
print("ledger_test: good")
