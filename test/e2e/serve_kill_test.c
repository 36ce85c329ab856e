/* serve_kill_test.c - kill -9 at any moment: what was acknowledged (a publish, an assignment, a reported result) is
 * there after the next start, and the server starts. */
#include "cmocka_all.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "agent/checkin.h"
#include "host/store/store.h"
#include "postgres.h"
#include "serve_case.h"
#include "serve_process.h"

#define ROUNDS  8
#define DEVICES 12

static struct postgres cluster;

static int begin(void **state)
{
    (void)state;
    if (on_postgres()) postgres_make(&cluster);
    return 0;
}

static int end(void **state)
{
    (void)state;
    if (on_postgres()) postgres_remove(&cluster);
    return 0;
}

static int setup(void **state)
{
    static int number;
    char schema[16], url[320];
    struct serve_case *c = calloc(1, sizeof *c);
    assert_non_null(c);
    serve_case_make(c);
    snprintf(schema, sizeof schema, "case%d", ++number);
    if (on_postgres()) {
        postgres_url(&cluster, schema, url, sizeof url);
        assert_int_equal(setenv("MOLT_TEST_STORE_URL", url, 1), 0);
    }
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    serve_case_remove(*state);
    free(*state);
    return 0;
}

/* Reports and returns once the server has acknowledged it. */
static void report(const struct serve_process *p, int device, uint32_t code, int result)
{
    struct molt_checkin said = {.chip = MOLT_CHIP_ESP32C3,
                                .version_code = code,
                                .flash_size = 4u << 20,
                                .slot_size = 1310720,
                                .image_len = 300000,
                                .can = MOLT_CAN_RAW,
                                .result = result,
                                .result_code = 5};
    uint8_t body[MOLT_CHECKIN_MAX];
    char head[256];
    struct reply r;
    snprintf(said.id, sizeof said.id, "240ac40000%02x", device);
    snprintf(said.product, sizeof said.product, "gate");
    int len = molt_checkin_encode(&said, body, sizeof body);
    assert_true(len > 0);
    int n = snprintf(head, sizeof head,
                     "POST " MOLT_CHECKIN_PATH " HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len);
    int fd = raw_connect(p->port);
    raw_send(fd, head, (size_t)n);
    raw_send(fd, body, (size_t)len);
    raw_read(fd, false, &r);
    close(fd);
    assert_int_equal(r.status, 200);
    reply_free(&r);
}

static int count_end(void *ctx, const struct model_attempt_end *attempt)
{
    assert_int_equal(attempt->result, MODEL_ATTEMPT_ROLLED_BACK);
    ++*(int *)ctx;
    return 0;
}

/* What the log held was folded, and once. */
static void check_history(const struct serve_case *c, int devices)
{
    const struct store_place place = {.data_dir = c->data_dir, .url = getenv("MOLT_TEST_STORE_URL")};
    char err[256], id[24];
    struct store *store;
    if (store_open_place(&place, &store, err, sizeof err) != 0) fail_msg("%s", err);
    for (int i = 0; i < devices; i++) {
        int count = 0;
        snprintf(id, sizeof id, "240ac40000%02x", i);
        assert_int_equal(store_each_attempt(store, id, count_end, &count), 0);
        assert_int_equal(count, 1);
    }
    store_close(store);
}

static void what_was_acknowledged_survives_kill_9(void **state)
{
    struct serve_case *c = *state;
    struct serve_process p;
    char id[16];
    size_t len = 0;
    serve_process_start(&p, c);
    free(publish_image_of(c, "gate", MOLT_CHIP_ESP32C3, 5, 300000, &len));
    assert_int_equal(serve_process_stop(&p, SIGKILL), -1);
    for (int round = 0; round < ROUNDS; round++) {
        serve_process_start(&p, c);
        for (int i = 0; i < DEVICES; i++)
            report(&p, round * DEVICES + i, 4, MOLT_CRASHED);
        assert_int_equal(serve_process_stop(&p, SIGKILL), -1); /* at once after the last answer */
        serve_process_start(&p, c);
        for (int i = 0; i < DEVICES; i++) {
            snprintf(id, sizeof id, "240ac40000%02x", round * DEVICES + i);
            assert_string_equal(device_text(c, id, "attempt.state"), "rolled-back");
            assert_string_equal(device_text(c, id, "attempt.reason.id"), "crashed");
            assert_string_equal(device_text(c, id, "product"), "gate");
        }
        assert_int_equal(serve_process_stop(&p, round % 2 == 0 ? SIGKILL : SIGTERM), round % 2 == 0 ? -1 : 0);
        check_history(c, (round + 1) * DEVICES);
    }
}

static void a_publish_and_an_assignment_survive_kill_9(void **state)
{
    struct serve_case *c = *state;
    struct serve_process p;
    struct reply r;
    char want[16];
    size_t len = 0;
    for (uint32_t code = 1; code <= ROUNDS; code++) {
        serve_process_start(&p, c);
        free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, code, 60000, &len));
        if (code == 1) {
            ask_version(p.port, "/5CCF7F0A0B0C.version", &r); /* first contact */
            reply_free(&r);
            assign(c, "5ccf7f0a0b0c", "lamp");
        }
        assert_int_equal(serve_process_stop(&p, SIGKILL), -1);
        serve_process_start(&p, c);
        ask_version(p.port, "/5CCF7F0A0B0C.version", &r);
        snprintf(want, sizeof want, "%u\n", code);
        assert_string_equal((const char *)r.body, want);
        reply_free(&r);
        assert_int_equal(serve_process_stop(&p, SIGKILL), -1);
    }
}

/* Until the store has the device; the test's own time limit ends it. */
static void wait_for_row(const struct serve_case *c, const char *id)
{
    const struct store_place place = {
        .data_dir = c->data_dir, .url = getenv("MOLT_TEST_STORE_URL"), .read_only = true};
    struct model_device device;
    struct store *store;
    char err[256];
    if (store_open_place(&place, &store, err, sizeof err) != 0) fail_msg("%s", err);
    while (store_device_get(store, id, &device) != 0)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    store_close(store);
}

/* Nobody was told that they are kept, but soon they are. */
static void first_contacts_are_kept_without_anybody_asking(void **state)
{
    struct serve_case *c = *state;
    struct serve_process p;
    struct reply r;
    serve_process_start(&p, c);
    for (int i = 0; i < 10; i++) {
        char path[64];
        snprintf(path, sizeof path, "/5CCF7F0000%02X.version", i);
        ask_version(p.port, path, &r);
        reply_free(&r);
    }
    for (int i = 0; i < 10; i++) {
        char id[16];
        snprintf(id, sizeof id, "5ccf7f0000%02x", i);
        wait_for_row(c, id);
    }
    assert_int_equal(serve_process_stop(&p, SIGKILL), -1);
    serve_process_start(&p, c);
    for (int i = 0; i < 10; i++) {
        char id[16];
        snprintf(id, sizeof id, "5ccf7f0000%02x", i);
        assert_string_equal(device_text(c, id, "reason.id"), "not-assigned");
    }
    assert_int_equal(serve_process_stop(&p, SIGTERM), 0);
}

int main(int argc, char **argv)
{
    int status = 0;
    if (serve_process_is_child(argc, argv, &status)) return status;
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_was_acknowledged_survives_kill_9),
        TEST(a_publish_and_an_assignment_survive_kill_9),
        TEST(first_contacts_are_kept_without_anybody_asking),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
