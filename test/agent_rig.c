/* agent_rig.c - an agent on a virtual chip with a scripted network and a clock of its own.
 * Must never forgive a wish that the contract forbids. Used by test/unit/agent*_test.c. */
#include "agent_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "cmocka_all.h"

#include "ports/bearssl.h"

#define THREE_WEEKS_MS (21u * 24 * 3600 * 1000)

static bool may_install(void *ctx, uint32_t code)
{
    struct agent_rig *rig = ctx;
    (void)code;
    return !rig->no_install;
}

static bool may_restart(void *ctx)
{
    return !((struct agent_rig *)ctx)->no_restart;
}

static enum molt_health health(void *ctx)
{
    return ((struct agent_rig *)ctx)->health;
}

static void report(void *ctx, int reason)
{
    struct agent_rig *rig = ctx;
    assert_true(reason > 0);
    rig->reports[rig->report_count++ % RIG_REPORTS] = reason;
}

void agent_rig_open(struct agent_rig *rig, const char *layout, enum molt_chip chip, const uint8_t *image,
                    size_t len)
{
    const struct sim_layout *found = sim_layout_find(layout);
    assert_non_null(found);
    agent_rig_open_layout(rig, found, chip, image, len);
}

void agent_rig_open_layout(struct agent_rig *rig, const struct sim_layout *found, enum molt_chip chip,
                           const uint8_t *image, size_t len)
{
    static const uint8_t mac[6] = {0x5C, 0xCF, 0x7F, 0xC6, 0x02, 0xE2};
    memset(rig, 0, sizeof *rig);
    rig_open(&rig->chip, found, chip, 4);
    rig_factory(&rig->chip, image, len);
    rig->config = (struct molt_agent_config){
        .hash = &molt_bearssl_sha256,
        .expect = {.chip = rig->chip.chip,
                   .chip_revision = MOLT_REVISION_UNKNOWN,
                   .flash_size = found->flash_size},
        .product = "greenhouse",
        .fs_start = found->fs_start,
        .interval_s = 3600,
        .confirm_s = 300,
        .window = rig->window,
        .window_len = sizeof rig->window,
        .ctx = rig,
        .may_install = may_install,
        .may_restart = may_restart,
        .report = report,
    };
    memcpy(rig->config.mac, mac, sizeof mac);
}

void agent_rig_close(struct agent_rig *rig)
{
    rig_close(&rig->chip);
}

void agent_rig_start(struct agent_rig *rig, enum molt_source source, const char *url, uint32_t version_code)
{
    rig->config.source = source;
    snprintf(rig->url, sizeof rig->url, "%s", url);
    rig->config.url = rig->url;
    rig->config.version_code = version_code;
    rig->config.slots = rig->chip.slots;
    rig->config.keep = rig->keep_off != 0 ? &rig->keep : NULL;
    molt_keep_begin(&rig->keep, &rig->chip.flash.port, rig->keep_off);
    if (rig->keep_blob != NULL) {
        molt_keep_begin_blob(&rig->keep, rig->keep_blob);
        rig->config.keep = &rig->keep;
    }
    rig->config.fs = rig->has_fs ? &rig->fs : NULL;
    if (rig->has_fs) {
        const struct sim_layout *layout = &rig->chip.layout;
        uint32_t len = layout->is_esp32 ? rig->chip.ota.partitions.fs_len : layout->fs_end - layout->fs_start;
        assert_int_equal(molt_fs_slots_begin(&rig->fs, rig->chip.slots, agent_rig_fs_off(rig), len), 0);
    }
    rig->config.health = rig->has_health ? health : NULL;
    rig->added = rig->used = rig->connects = rig->report_count = 0;
    rig->is_open = rig->endless = false;
    assert_int_equal(molt_agent_begin(&rig->agent, &rig->config), 0);
}

uint32_t agent_rig_fs_off(const struct agent_rig *rig)
{
    return rig->chip.layout.is_esp32 ? rig->chip.ota.partitions.fs_off : rig->chip.layout.fs_start;
}

struct exchange *agent_rig_expect(struct agent_rig *rig, const char *want, const char *head, const void *body,
                                  size_t len)
{
    assert_true(rig->added < RIG_EXCHANGES);
    struct exchange *x = &rig->script[rig->added++];
    memset(x, 0, sizeof *x);
    x->want = want;
    snprintf(x->head, sizeof x->head, "%s", head);
    x->body = body;
    x->body_len = len;
    return x;
}

struct exchange *agent_rig_text(struct agent_rig *rig, const char *want, const char *text)
{
    return agent_rig_file(rig, want, (const uint8_t *)text, strlen(text));
}

struct exchange *agent_rig_file(struct agent_rig *rig, const char *want, const uint8_t *data, size_t len)
{
    char head[160];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nETag: \"e1\"\r\n\r\n", len);
    return agent_rig_expect(rig, want, head, data, len);
}

struct exchange *agent_rig_ranges(struct agent_rig *rig, const char *want, const uint8_t *data, size_t len)
{
    struct exchange *x = agent_rig_file(rig, want, data, len);
    x->ranges = true;
    return x;
}

struct exchange *agent_rig_answer(struct agent_rig *rig, const struct molt_answer *answer)
{
    uint8_t message[MOLT_CHECKIN_MAX];
    int len = molt_answer_encode(answer, message, sizeof message);
    assert_true(len > 0);
    struct exchange *x = agent_rig_file(rig, "POST /molt/v1/check-in HTTP/1.1\r\n", NULL, (size_t)len);
    memcpy(x->message, message, (size_t)len);
    x->body = x->message;
    return x;
}

/* ---- the network ---- */

static struct exchange *current(struct agent_rig *rig)
{
    if (rig->used < rig->added) return &rig->script[rig->used];
    return rig->endless && rig->added > 0 ? &rig->script[rig->added - 1] : NULL;
}

static void do_connect(struct agent_rig *rig, const struct molt_want *want)
{
    const struct exchange *x = current(rig);
    assert_false(rig->is_open);
    assert_true(strlen(want->host) > 0 && want->port > 0 && want->until_ms > rig->now_ms);
    assert_true(rig->connects < RIG_CONNECTS);
    rig->connect_ms[rig->connects++] = rig->now_ms;
    snprintf(rig->host, sizeof rig->host, "%s", want->host);
    rig->port = want->port;
    rig->is_tls = want->tls;
    if (x == NULL || x->fail > 0) {
        if (x != NULL) rig->used++;
        molt_agent_failed(&rig->agent, x == NULL ? MOLT_CONNECT : x->fail);
        return;
    }
    rig->is_open = true;
    rig->at = rig->request_len = 0;
    molt_agent_connected(&rig->agent);
}

/* Takes the request in two sends, to see that the rest is sent too. */
static void do_send(struct agent_rig *rig, const struct molt_want *want)
{
    assert_true(rig->is_open && want->len > 0);
    size_t n = rig->request_len == 0 && want->len > 1 ? want->len / 2 : want->len;
    assert_true(rig->request_len + n < sizeof rig->request);
    memcpy(rig->request + rig->request_len, want->data, n);
    rig->request_len += n;
    rig->request[rig->request_len] = '\0';
    molt_agent_sent(&rig->agent, n);
}

static void check_request(struct agent_rig *rig, const struct exchange *x)
{
    if (x->want != NULL && strncmp(rig->request, x->want, strlen(x->want)) != 0) {
        fail_msg("expected %s got %s", x->want, rig->request);
    }
    const char *body = strstr(rig->request, "\r\n\r\n");
    assert_non_null(body);
    if (strncmp(rig->request, "POST", 4) != 0) return;
    size_t head_len = (size_t)(body + 4 - rig->request), len = rig->request_len - head_len;
    char line[64];
    snprintf(line, sizeof line, "Content-Length: %zu\r\n", len);
    assert_non_null(strstr(rig->request, line));
    assert_int_equal(molt_checkin_decode(&rig->message, (const uint8_t *)rig->request + head_len, len), 0);
    assert_true(len <= 200); /* doc/wire.md */
}

/* What the request is answered with: all, or the rest that it asks for. */
static void answer_range(struct agent_rig *rig, struct exchange *x)
{
    const char *range = strstr(rig->request, "Range: bytes=");
    rig->from = x->ranges && range != NULL ? strtoul(range + 13, NULL, 10) : 0;
    if (rig->from == 0) return;
    assert_in_range(rig->from, 1, x->body_len - 1);
    snprintf(x->head, sizeof x->head,
             "HTTP/1.1 206 Partial\r\nContent-Range: bytes %zu-%zu/%zu\r\nContent-Length: %zu\r\nETag: "
             "\"e1\"\r\n\r\n",
             rig->from, x->body_len - 1, x->body_len, x->body_len - rig->from);
}

/* Byte number at of head and body, as the network delivers it. */
static uint8_t byte_at(const struct agent_rig *rig, const struct exchange *x, size_t at, size_t head_len)
{
    const size_t total = head_len + x->body_len - rig->from, place = at + 1;
    if (x->twice > 0 && place >= x->twice) at -= x->twice - 1 < 100 ? x->twice - 1 : 100;
    if (x->swap > 50 && x->swap + 50 <= total && place >= x->swap - 50 && place < x->swap + 50)
        at = place < x->swap ? at + 50 : at - 50;
    uint8_t byte = at < head_len ? (uint8_t)x->head[at] : x->body[rig->from + at - head_len];
    return x->corrupt == place ? byte ^ 0x10 : byte;
}

static void do_receive(struct agent_rig *rig, const struct molt_want *want)
{
    static uint8_t piece[65536];
    struct exchange *x = current(rig);
    assert_true(rig->is_open && want->until_ms > rig->now_ms);
    if (rig->at == 0) {
        check_request(rig, x);
        answer_range(rig, x);
    }
    size_t head_len = strlen(x->head), total = head_len + x->body_len - rig->from;
    if (x->silent || (rig->at == total && !x->close)) {
        rig->now_ms = want->until_ms; /* the caller waits, and then steps without a report */
        return;
    }
    if (x->cut > 0 && total > x->cut) total = x->cut;
    if (rig->at == total) {
        if (x->cut > 0) {
            molt_agent_failed(&rig->agent, MOLT_CONNECTION_LOST);
        } else {
            molt_agent_closed(&rig->agent);
        }
        return;
    }
    size_t n = x->piece > 0 ? x->piece : 1400;
    if (n > total - rig->at) n = total - rig->at;
    for (size_t i = 0; i < n; i++, rig->at++)
        piece[i] = byte_at(rig, x, rig->at, head_len);
    rig->now_ms += x->delay_ms > 0 ? x->delay_ms : 10;
    if (x->ranges) rig->chip.fetched += n;
    molt_agent_received(&rig->agent, piece, n);
}

static void do_close(struct agent_rig *rig)
{
    assert_true(rig->is_open);
    rig->is_open = false;
    if (rig->used < rig->added) rig->used++;
}

bool agent_rig_run(struct agent_rig *rig, uint64_t until_ms)
{
    while (rig->stop_at == 0 || rig->report_count < rig->stop_at) {
        struct molt_want want;
        uint64_t before = rig->chip.flash.count.writes + rig->chip.flash.count.erases;
        molt_agent_step(&rig->agent, rig->now_ms, &want);
        assert_in_range(rig->chip.flash.count.writes + rig->chip.flash.count.erases - before, 0, 1);
        switch (want.kind) {
        case MOLT_WANT_STEP:
            break;
        case MOLT_WANT_WAIT:
            assert_true(want.until_ms > rig->now_ms);
            if (want.until_ms > until_ms) {
                rig->now_ms = until_ms > rig->now_ms ? until_ms : rig->now_ms;
                return false;
            }
            rig->now_ms = want.until_ms;
            break;
        case MOLT_WANT_CONNECT:
            if (rig->put_off > 0) {
                rig->put_off--;
                rig->now_ms += 1000;
                molt_agent_put_off(&rig->agent);
                break;
            }
            do_connect(rig, &want);
            break;
        case MOLT_WANT_SEND:
            do_send(rig, &want);
            break;
        case MOLT_WANT_RECEIVE:
            do_receive(rig, &want);
            break;
        case MOLT_WANT_CLOSE:
            do_close(rig);
            break;
        case MOLT_WANT_RESTART:
            assert_false(rig->is_open);
            return true;
        }
        if (want.kind == MOLT_WANT_STEP && rig->now_ms >= until_ms && rig->agent.phase == MOLT_AGENT_IDLE)
            return false;
    }
    return false;
}

void agent_rig_until_reports(struct agent_rig *rig, unsigned count)
{
    unsigned want = rig->report_count + count;
    uint64_t end_ms = rig->now_ms + THREE_WEEKS_MS;
    rig->stop_at = want;
    while (rig->report_count < want) {
        assert_true(rig->now_ms < end_ms);
        if (agent_rig_run(rig, rig->now_ms + 500)) break;
    }
    rig->stop_at = 0;
    assert_true(rig->report_count >= want);
}

int agent_rig_last(const struct agent_rig *rig)
{
    assert_true(rig->report_count > 0);
    return rig->reports[(rig->report_count - 1) % RIG_REPORTS];
}
