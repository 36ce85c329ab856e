/* postgres_test.c - molt serve on a PostgreSQL that goes away, is paused, and comes back: polls go on from memory, results are
 * asked for again, status says so, and all is well again without anybody doing anything. And on one that has no COPY. */
#include "cmocka_all.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "agent/checkin.h"
#include "host/store/store.h"
#include "postgres.h"
#include "serve_case.h"

#define ID "240ac4000001"

struct rig {
    struct postgres cluster;
    struct serve_case serve;
    char url[320];
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    postgres_make(&rig->cluster);
    postgres_url(&rig->cluster, "gone", rig->url, sizeof rig->url);
    serve_case_make(&rig->serve);
    rig->serve.options.store_url = rig->url;
    serve_case_start(&rig->serve);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    serve_case_remove(&rig->serve);
    postgres_remove(&rig->cluster);
    free(rig);
    return 0;
}

static int report(const struct rig *rig, uint32_t code, int result)
{
    struct molt_checkin said = {.chip = MOLT_CHIP_ESP32C3,
                                .id = ID,
                                .product = "gate",
                                .version_code = code,
                                .flash_size = 4u << 20,
                                .slot_size = 1310720,
                                .image_len = 300000,
                                .can = MOLT_CAN_RAW,
                                .result = result,
                                .result_code = 5};
    uint8_t body[MOLT_CHECKIN_MAX];
    char head[256];
    struct reply reply;
    int len = molt_checkin_encode(&said, body, sizeof body);
    assert_true(len > 0);
    int n = snprintf(head, sizeof head,
                     "POST " MOLT_CHECKIN_PATH " HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len);
    int fd = raw_connect(rig->serve.port);
    raw_send(fd, head, (size_t)n);
    raw_send(fd, body, (size_t)len);
    raw_read(fd, false, &reply);
    close(fd);
    reply_free(&reply);
    return reply.status;
}

/* Asks until it is so; the test's own time limit ends it. */
static void wait_for_report(const struct rig *rig, int result, int status)
{
    while (report(rig, 4, result) != status)
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
}

static void wait_for_status(const struct rig *rig, const char *text)
{
    struct reply reply;
    for (bool found = false; !found;) {
        assert_int_equal(api_ask(&rig->serve, "GET", "/api/v1/status", NULL, 0, &reply), 200);
        found = strstr((const char *)reply.body, text) != NULL;
        if (found) print_message("%s\n", (const char *)reply.body);
        reply_free(&reply);
        if (!found) nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
}

static void poll_works(const struct rig *rig, const char *version)
{
    struct reply reply;
    ask_version(rig->serve.port, "/5CCF7F0A0B0C.version", &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal((const char *)reply.body, version);
    reply_free(&reply);
}

/* One of several offers nothing before its first round. */
static void wait_for_poll(const struct rig *rig, const char *version)
{
    struct reply reply;
    for (bool found = false; !found;) {
        ask_version(rig->serve.port, "/5CCF7F0A0B0C.version", &reply);
        found = reply.status == 200 && strcmp((const char *)reply.body, version) == 0;
        reply_free(&reply);
        if (!found) nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
}

static int count_end(void *ctx, const struct model_attempt_end *end)
{
    (void)end;
    ++*(int *)ctx;
    return 0;
}

/* The server is stopped: what the database has. */
static void check_store(struct rig *rig, int reason)
{
    const struct store_place place = {.data_dir = rig->serve.data_dir, .url = rig->url};
    struct model_device device;
    struct store *store;
    char err[256];
    int count = 0;
    if (store_open_place(&place, &store, err, sizeof err) != 0) fail_msg("%s", err);
    assert_int_equal(store_device_get(store, ID, &device), 0);
    assert_int_equal(device.result_reason, reason);
    assert_int_equal(store_each_attempt(store, ID, count_end, &count), 0);
    assert_int_equal(count, 1);
    store_close(store);
}

static void begin(struct rig *rig)
{
    struct reply reply;
    size_t len;
    free(publish_image_of(&rig->serve, "gate", MOLT_CHIP_ESP32C3, 5, 300000, &len));
    free(publish_image_of(&rig->serve, "lamp", MOLT_CHIP_ESP8266, 7, 60000, &len));
    ask_version(rig->serve.port, "/5CCF7F0A0B0C.version", &reply); /* first contact */
    reply_free(&reply);
    assign(&rig->serve, "5ccf7f0a0b0c", "lamp");
    assert_int_equal(report(rig, 4, 0), 200);
    poll_works(rig, "7\n");
    wait_for_status(rig, "\"ok\":true");
}

/* From here on stderr goes into a file, which is searched at the end. */
static int catch_log(const struct rig *rig, char path[96])
{
    snprintf(path, 96, "%s/log", rig->serve.dir.path);
    int before = dup(STDERR_FILENO), fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(before >= 0 && fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    close(fd);
    return before;
}

static void wait_for_line(const char *path, const char *text)
{
    static char log[262144];
    for (bool found = false; !found;) {
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        log[fread(log, 1, sizeof log - 1, file)] = '\0';
        fclose(file);
        found = strstr(log, text) != NULL;
        if (!found) nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
}

static void the_server_goes_on_without_its_database_and_recovers_alone(void **state)
{
    struct rig *rig = *state;
    struct reply reply;
    char log[96];
    begin(rig);
    int before = catch_log(rig, log);
    postgres_stop(&rig->cluster, SIGKILL);
    wait_for_report(rig, MOLT_CRASHED, 503);
    wait_for_status(rig, "\"ok\":false");
    wait_for_line(log, "event=store-ill backend=postgresql");
    poll_works(rig, "7\n");
    assert_int_not_equal(api_ask(&rig->serve, "GET", "/api/v1/devices", NULL, 0, &reply), 200);
    reply_free(&reply);
    raw_ask(rig->serve.admin_port,
            "GET /api/v1/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n\r\n",
            &reply); /* not "your token is wrong" */
    if (reply.status != 503) fail_msg("%d %s", reply.status, (const char *)reply.body);
    reply_free(&reply);

    postgres_start(&rig->cluster);
    wait_for_report(rig, MOLT_CRASHED, 200);
    wait_for_status(rig, "\"ok\":true");
    wait_for_line(log, "event=store-well");
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    poll_works(rig, "7\n");
    assert_int_equal(api_ask(&rig->serve, "GET", "/api/v1/devices", NULL, 0, &reply), 200);
    reply_free(&reply);
    serve_case_stop(&rig->serve);
    check_store(rig, MOLT_CRASHED);
}

static void a_server_stops_in_time_when_its_database_is_gone(void **state)
{
    struct rig *rig = *state;
    begin(rig);
    postgres_stop(&rig->cluster, SIGINT);
    wait_for_report(rig, MOLT_CRASHED, 503);
    serve_case_stop(&rig->serve); /* it ends at all */
    postgres_start(&rig->cluster);
}

static void a_database_that_is_paused_counts_as_gone(void **state)
{
    struct rig *rig = *state;
    begin(rig);
    postgres_signal(&rig->cluster, SIGSTOP);
    wait_for_report(rig, MOLT_CRASHED, 503);
    wait_for_status(rig, "\"ok\":false");
    poll_works(rig, "7\n");
    postgres_signal(&rig->cluster, SIGCONT);
    wait_for_report(rig, MOLT_CRASHED, 200);
    serve_case_stop(&rig->serve);
    check_store(rig, MOLT_CRASHED);
}

/* It starts on a fleet that is there, alone and as one of several. */
static void a_database_that_knows_less_is_good_enough(void **state)
{
    struct rig *rig = *state;
    char shared[128];
    struct reply reply;
    serve_case_stop(&rig->serve);
    assert_int_equal(setenv("MOLT_TEST_KNOWS", "less", 1), 0);
    atomic_store(&postgres_copies, 0);
    serve_case_start(&rig->serve);
    begin(rig);
    assert_int_equal(report(rig, 4, MOLT_CRASHED), 200);
    serve_case_stop(&rig->serve);
    check_store(rig, MOLT_CRASHED);
    assert_int_equal(atomic_load(&postgres_copies), 2); /* the fleet, the result: once each */

    snprintf(shared, sizeof shared, "%s/artifacts", rig->serve.data_dir);
    rig->serve.options.node = "north";
    rig->serve.options.artifacts_url = shared;
    serve_case_start(&rig->serve);
    wait_for_poll(rig, "7\n");
    assert_int_equal(api_ask(&rig->serve, "GET", "/api/v1/devices?q=240ac4", NULL, 0, &reply), 200);
    assert_non_null(strstr((const char *)reply.body, ID)); /* found in memory */
    reply_free(&reply);
    serve_case_stop(&rig->serve);
    check_store(rig, MOLT_CRASHED);
    assert_int_equal(unsetenv("MOLT_TEST_KNOWS"), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_server_goes_on_without_its_database_and_recovers_alone),
        TEST(a_server_stops_in_time_when_its_database_is_gone),
        TEST(a_database_that_is_paused_counts_as_gone),
        TEST(a_database_that_knows_less_is_good_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
