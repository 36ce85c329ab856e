/* network_fault_test.c - what the network and a broken or lying server can do to a download: cuts, wrong, repeated and
 * swapped bytes at every place, drips, endless bodies, lengths that lie, redirects in a ring, another file under the same
 * URL. Whatever comes, only the offered image is ever installed, and with an honest network it is installed next.
 *
 *     property-network-fault           places near the ends of the head and of sectors, and every 61st
 *     property-network-fault all       every byte (run by ./dev test --full) */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent_rig.h"

#define VERSION "GET /fota/5CCF7FC602E2.version HTTP/1.1\r\n"
#define BIN     "GET /fota/5CCF7FC602E2.bin HTTP/1.1\r\n"
#define HOUR_MS (3600u * 1000u)

static struct rig_blob old_image, new_image, other_image;
static struct agent_rig rig;
static size_t step = 61;

static int build_all(void **state)
{
    (void)state;
    old_image = rig_image(MOLT_CHIP_ESP32, 0x2010, 1, 4u << 20);
    new_image = rig_image(MOLT_CHIP_ESP32, 0x2340, 2, 4u << 20);
    other_image = rig_image(MOLT_CHIP_ESP32, 0x2340, 3, 4u << 20);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    free(old_image.data);
    free(new_image.data);
    free(other_image.data);
    return 0;
}

static void open_device(void)
{
    agent_rig_open(&rig, "esp32-4M", MOLT_CHIP_ESP32, old_image.data, old_image.len);
    rig.config.spread_s = 0;
    agent_rig_start(&rig, MOLT_SOURCE_VERSION_FILE, "http://h/fota/", 1);
}

static bool runs(const struct rig_blob *image)
{
    return rig_runs(&rig.chip, image->data, image->len);
}

/* One faulty exchange, then an honest server for as long as it takes. */
static void expect_it_gets_there(void)
{
    for (int i = 0; i < 6; i++) {
        if (agent_rig_run(&rig, rig.now_ms + 1000)) break; /* until the faulty exchanges are over */
    }
    for (int i = 0; i < 12 && rig.agent.phase != MOLT_AGENT_RESTARTING; i++) {
        bool idle = rig.agent.phase == MOLT_AGENT_IDLE;
        rig.used = rig.added = 0;
        if (idle) agent_rig_text(&rig, VERSION, "2");
        for (int k = 0; k < 4; k++)
            agent_rig_ranges(&rig, BIN, new_image.data, new_image.len);
        if (rig.is_open) { /* what is open goes on with what it had */
            rig.used = rig.added;
            rig.is_open = false;
            molt_agent_failed(&rig.agent, MOLT_CONNECTION_LOST);
            rig.agent.open = false;
        }
        (void)agent_rig_run(&rig, rig.now_ms + 3 * HOUR_MS);
    }
    assert_int_equal(rig.agent.phase, MOLT_AGENT_RESTARTING);
    rig_reset(&rig.chip);
    assert_true(runs(&new_image));
}

static struct exchange *begin(void)
{
    open_device();
    agent_rig_text(&rig, VERSION, "2");
    struct exchange *x = agent_rig_ranges(&rig, BIN, new_image.data, new_image.len);
    x->close = true;
    return x;
}

/* Every place that is looked at: around the head's end and each sector's, and every step-th. */
static bool is_place(size_t i, size_t head_len)
{
    size_t body = i > head_len ? (i - head_len) % MOLT_SECTOR : 0;
    return i <= head_len + 4 || body < 3 || body > MOLT_SECTOR - 3 || i % step == 0;
}

enum fault { CUT, WRONG_BIT, TWICE, SWAPPED };

static void fault_everywhere(enum fault fault)
{
    unsigned count = 0;
    struct exchange *x = begin();
    const size_t head_len = strlen(x->head), total = head_len + new_image.len;
    agent_rig_close(&rig);
    for (size_t i = 1; i <= total; i++) {
        if (!is_place(i, head_len)) continue;
        x = begin();
        if (fault == CUT) x->cut = i;
        if (fault == WRONG_BIT) x->corrupt = i;
        if (fault == TWICE) x->twice = i + 1;
        if (fault == SWAPPED) x->swap = i;
        bool restarts = agent_rig_run(&rig, rig.now_ms + 800);
        if (restarts) { /* it did no harm: a bit of a header that nobody reads */
            rig_reset(&rig.chip);
            assert_true(runs(&new_image));
        } else {
            assert_true(runs(&old_image));
            expect_it_gets_there();
        }
        agent_rig_close(&rig);
        count++;
    }
    assert_true(count > 100);
}

static void a_connection_that_is_cut_at_any_byte_is_gone_on_with(void **state)
{
    (void)state;
    fault_everywhere(CUT);
}

static void a_wrong_bit_anywhere_never_gets_installed(void **state)
{
    (void)state;
    fault_everywhere(WRONG_BIT);
}

static void bytes_that_come_twice_never_get_installed(void **state)
{
    (void)state;
    fault_everywhere(TWICE);
}

static void bytes_that_are_swapped_never_get_installed(void **state)
{
    (void)state;
    fault_everywhere(SWAPPED);
}

/* ---- servers ---- */

struct server {
    const char *name, *head;
    bool silent;
    size_t body; /* bytes sent */
    uint32_t delay_ms;
    size_t piece;
};

static const struct server servers[] = {
    {.name = "silent", .head = "", .silent = true},
    {.name = "drips",
     .head = "HTTP/1.1 200 OK\r\nContent-Length: 9024\r\nETag: \"e1\"\r\n\r\n",
     .body = 9024,
     .delay_ms = 19000,
     .piece = 1},
    {.name = "says less than it sends",
     .head = "HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n",
     .body = 9024},
    {.name = "says more than it sends",
     .head = "HTTP/1.1 200 OK\r\nContent-Length: 9100\r\n\r\n",
     .body = 9024},
    {.name = "says 4 GB", .head = "HTTP/1.1 200 OK\r\nContent-Length: 4294967295\r\n\r\n", .body = 9024},
    {.name = "says nothing", .head = "HTTP/1.1 200 OK\r\n\r\n", .body = 9024},
    {.name = "says zero", .head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
    {.name = "two lengths",
     .head = "HTTP/1.1 200 OK\r\nContent-Length: 9024\r\nContent-Length: 9025\r\n\r\n",
     .body = 9024},
    {.name = "206 unasked",
     .head = "HTTP/1.1 206 P\r\nContent-Range: bytes 0-9023/9024\r\nContent-Length: 9024\r\n\r\n",
     .body = 9024},
    {.name = "304 unasked", .head = "HTTP/1.1 304 Not Modified\r\n\r\n"},
    {.name = "a page",
     .head = "HTTP/1.1 200 OK\r\nContent-Length: 9024\r\n\r\n<!doctype html><html><body>Sign in"},
    {.name = "a head without end", .head = "HTTP/1.1 200 OK\r\nX-A: b", .silent = false},
};

static void broken_and_lying_servers_install_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
        const struct server *s = &servers[i];
        open_device();
        agent_rig_text(&rig, VERSION, "2");
        struct exchange *x = agent_rig_expect(&rig, BIN, s->head, new_image.data, s->body);
        x->silent = s->silent;
        x->delay_ms = s->delay_ms;
        x->piece = s->piece;
        x->close = !s->silent;
        if (agent_rig_run(&rig, rig.now_ms + 900)) fail_msg("%s: installed", s->name);
        assert_true(runs(&old_image));
        if (rig.agent.phase != MOLT_AGENT_IDLE) agent_rig_until_reports(&rig, 1);
        assert_true(agent_rig_last(&rig) > 0 && agent_rig_last(&rig) != MOLT_OFFERED);
        assert_int_equal(rig.chip.flash.count.violations, 0);
        expect_it_gets_there();
        agent_rig_close(&rig);
    }
}

static void an_endless_body_ends(void **state)
{
    (void)state;
    open_device();
    static uint8_t zeros[60000];
    agent_rig_text(&rig, VERSION, "2");
    agent_rig_expect(&rig, BIN, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFF\r\n\xE9", zeros,
                     sizeof zeros);
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_HTTP_NO_LENGTH);
    agent_rig_close(&rig);
}

static void redirects_in_a_ring_end(void **state)
{
    (void)state;
    open_device();
    agent_rig_text(&rig, VERSION, "2");
    agent_rig_expect(&rig, NULL, "HTTP/1.1 302 Found\r\nLocation: /ring\r\nContent-Length: 0\r\n\r\n", NULL,
                     0);
    rig.endless = true;
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_REDIRECT_LOOP);
    assert_int_equal(rig.connects, 7);
    agent_rig_close(&rig);
}

/* Cut at every sector, and each time the file is another one: the first, the second, the first ... */
static void a_file_that_changes_at_every_cut_is_never_mixed(void **state)
{
    (void)state;
    char heads[2][100];
    const struct rig_blob *files[2] = {&new_image, &other_image};
    for (int i = 0; i < 2; i++) {
        snprintf(heads[i], sizeof heads[i], "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nETag: \"v%d\"\r\n\r\n",
                 files[i]->len, i);
    }
    for (size_t cut = 200; cut < new_image.len; cut += 500) {
        open_device();
        agent_rig_text(&rig, VERSION, "2");
        for (int k = 0; k < 4; k++)
            agent_rig_expect(&rig, BIN, heads[k % 2], files[k % 2]->data, files[k % 2]->len)->cut =
                k < 3 ? cut : 0;
        assert_true(agent_rig_run(&rig, rig.now_ms + 60000));
        rig_reset(&rig.chip);
        assert_true(runs(&other_image));
        agent_rig_close(&rig);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_that_is_cut_at_any_byte_is_gone_on_with),
        cmocka_unit_test(a_wrong_bit_anywhere_never_gets_installed),
        cmocka_unit_test(bytes_that_come_twice_never_get_installed),
        cmocka_unit_test(bytes_that_are_swapped_never_get_installed),
        cmocka_unit_test(broken_and_lying_servers_install_nothing),
        cmocka_unit_test(an_endless_body_ends),
        cmocka_unit_test(redirects_in_a_ring_end),
        cmocka_unit_test(a_file_that_changes_at_every_cut_is_never_mixed),
    };
    if (argc > 1 && strcmp(argv[1], "all") == 0) step = 1;
    return cmocka_run_group_tests(tests, build_all, free_all);
}
