/* store_fault_test.c - the database of a running server cannot be written any more: its disk is full, was mounted read-only or is
 * broken (SQLite), or the database was switched to read-only (PostgreSQL; nor does one start then). Devices are answered, nothing is acknowledged that is
 * not kept, status and readiness say what is wrong, and all is well again without anybody doing anything at the server. */
#include "cmocka_all.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "agent/checkin.h"
#include "host/store/store.h"
#include "postgres.h"
#include "serve_case.h"

#define ID "240ac4000001"

/* ---- SQLite's way to the disk, by its own interface for tests: each write fails with this, 0: none does ---- */

static atomic_int fault;
static ssize_t (*real_write)(int fd, const void *data, size_t len);
static ssize_t (*real_pwrite)(int fd, const void *data, size_t len, off_t at);
static int (*real_truncate)(int fd, off_t len);

static bool fails(void)
{
    const int error = atomic_load(&fault);
    errno = error;
    return error != 0;
}

static ssize_t write_or_fail(int fd, const void *data, size_t len)
{
    return fails() ? -1 : real_write(fd, data, len);
}

static ssize_t pwrite_or_fail(int fd, const void *data, size_t len, off_t at)
{
    return fails() ? -1 : real_pwrite(fd, data, len, at);
}

static int truncate_or_fail(int fd, off_t len)
{
    return fails() ? -1 : real_truncate(fd, len);
}

static void watch_sqlite(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    static const char *const pwrites[] = {"pwrite64", "pwrite"};
    assert_non_null(vfs);
    real_write = (ssize_t(*)(int, const void *, size_t))vfs->xGetSystemCall(vfs, "write");
    real_truncate = (int (*)(int, off_t))vfs->xGetSystemCall(vfs, "ftruncate");
    for (size_t i = 0; i < 2; i++) {
        sqlite3_syscall_ptr call = vfs->xGetSystemCall(vfs, pwrites[i]);
        if (call == NULL) continue;
        real_pwrite = (ssize_t(*)(int, const void *, size_t, off_t))call;
        assert_int_equal(vfs->xSetSystemCall(vfs, pwrites[i], (sqlite3_syscall_ptr)pwrite_or_fail),
                         SQLITE_OK);
    }
    assert_true(real_write != NULL && real_pwrite != NULL && real_truncate != NULL);
    assert_int_equal(vfs->xSetSystemCall(vfs, "write", (sqlite3_syscall_ptr)write_or_fail), SQLITE_OK);
    assert_int_equal(vfs->xSetSystemCall(vfs, "ftruncate", (sqlite3_syscall_ptr)truncate_or_fail), SQLITE_OK);
}

/* ---- what is asked of the server ---- */

struct rig {
    struct serve_case serve;
    struct postgres cluster; /* when on_cluster */
    bool on_cluster;
    char url[320];
};

static int report(const struct rig *rig, int result)
{
    const struct molt_checkin said = {.chip = MOLT_CHIP_ESP32C3,
                                      .id = ID,
                                      .product = "gate",
                                      .version_code = 4,
                                      .flash_size = 4u << 20,
                                      .slot_size = 1310720,
                                      .image_len = 300000,
                                      .can = MOLT_CAN_RAW,
                                      .result = result,
                                      .result_code = 5};
    uint8_t body[MOLT_CHECKIN_MAX];
    char head[256];
    struct reply reply;
    const int len = molt_checkin_encode(&said, body, sizeof body);
    assert_true(len > 0);
    const int n =
        snprintf(head, sizeof head,
                 "POST " MOLT_CHECKIN_PATH " HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len);
    const int fd = raw_connect(rig->serve.port);
    raw_send(fd, head, (size_t)n);
    raw_send(fd, body, (size_t)len);
    raw_read(fd, false, &reply);
    close(fd);
    assert_string_equal(reply_header(&reply, "Retry-After"), reply.status == 503 ? "60" : "");
    reply_free(&reply);
    return reply.status;
}

#define NEWCOMER "/api/v1/devices/5ccf7f0a0b0e"

static void poll_says(const struct rig *rig, const char *version)
{
    struct reply reply;
    ask_version(rig->serve.port, "/5CCF7F0A0B0C.version", &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal((const char *)reply.body, version);
    reply_free(&reply);
}

static int status_of(const struct rig *rig, const char *method, const char *path, const char *body)
{
    struct reply reply;
    const int status = api_ask(&rig->serve, method, path, body, strlen(body), &reply);
    reply_free(&reply);
    return status;
}

/* A device that is in memory alone until the database can be written. */
static void newcomer_polls(const struct rig *rig)
{
    struct reply reply;
    ask_version(rig->serve.port, "/5CCF7F0A0B0E.version", &reply);
    assert_int_equal(reply.status, 404); /* it has no product */
    reply_free(&reply);
}

/* Asks until status says so; the test's own time limit ends it. */
static void wait_for_status(const struct rig *rig, const char *text)
{
    for (bool found = false; !found;) {
        struct reply reply;
        assert_int_equal(api_ask(&rig->serve, "GET", "/api/v1/status", NULL, 0, &reply), 200);
        found = strstr((const char *)reply.body, text) != NULL;
        if (found) print_message("%s\n", (const char *)reply.body);
        reply_free(&reply);
        if (!found) nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
}

static void ready_says(const struct rig *rig, int status, const char *text)
{
    struct reply reply;
    raw_ask(rig->serve.admin_port, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n", &reply);
    assert_int_equal(reply.status, status);
    if (strstr((const char *)reply.body, text) == NULL) fail_msg("%s", (const char *)reply.body);
    reply_free(&reply);
}

static int count_end(void *ctx, const struct model_attempt_end *end)
{
    (void)end;
    ++*(int *)ctx;
    return 0;
}

/* The server is stopped: what the database has. */
static void result_is_there_once(struct rig *rig)
{
    const struct store_place place = {.data_dir = rig->serve.data_dir,
                                      .url = rig->on_cluster ? rig->url : NULL};
    struct model_device device;
    struct store *store;
    char err[256];
    int count = 0;
    if (store_open_place(&place, &store, err, sizeof err) != 0) fail_msg("%s", err);
    assert_int_equal(store_device_get(store, ID, &device), 0);
    assert_int_equal(device.result_reason, MOLT_CRASHED);
    assert_int_equal(store_each_attempt(store, ID, count_end, &count), 0);
    assert_int_equal(count, 1);
    store_close(store);
}

static void begin(struct rig *rig)
{
    struct reply reply;
    size_t len;
    serve_case_make(&rig->serve);
    if (rig->on_cluster) rig->serve.options.store_url = rig->url;
    serve_case_start(&rig->serve);
    free(publish_image_of(&rig->serve, "gate", MOLT_CHIP_ESP32C3, 5, 300000, &len));
    free(publish_image_of(&rig->serve, "lamp", MOLT_CHIP_ESP8266, 7, 60000, &len));
    ask_version(rig->serve.port, "/5CCF7F0A0B0C.version", &reply); /* first contact */
    reply_free(&reply);
    assign(&rig->serve, "5ccf7f0a0b0c", "lamp");
    assert_int_equal(report(rig, 0), 200);
    poll_says(rig, "7\n");
    wait_for_status(rig, "\"ok\":true");
}

/* While nothing can be written. */
static void it_degrades(const struct rig *rig, const char *why)
{
    assert_int_equal(report(rig, MOLT_CRASHED), 503);
    wait_for_status(rig, "\"ok\":false");
    wait_for_status(rig, why);
    ready_says(rig, 503, "the database fails");
    poll_says(rig, "7\n");
    assert_true(status_of(rig, "PATCH", "/api/v1/devices/5ccf7f0a0b0c", "{\"held\":true}") >= 500);
    assert_int_equal(status_of(rig, "GET", "/api/v1/devices", ""), 200); /* what can be read is shown */
    assert_int_equal(status_of(rig, "GET", "/api/v1/devices/5ccf7f0a0b0c", ""), 200);
    assert_int_equal(report(rig, MOLT_CRASHED), 503);
    newcomer_polls(rig);
    assert_int_equal(status_of(rig, "GET", NEWCOMER, ""), 503); /* nobody can say that it is not there */
}

static void it_is_well_again(struct rig *rig)
{
    wait_for_status(rig, "\"ok\":true"); /* before any device asks */
    ready_says(rig, 200, "ready");
    while (report(rig, MOLT_CRASHED) != 200)
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    assert_int_equal(status_of(rig, "PATCH", "/api/v1/devices/" ID, "{\"group\":\"roof\"}"), 200);
    assert_string_equal(device_text(&rig->serve, ID, "group"), "roof");
    poll_says(rig, "7\n");
    assert_int_equal(status_of(rig, "GET", NEWCOMER, ""), 200);
    serve_case_stop(&rig->serve);
    result_is_there_once(rig);
    serve_case_remove(&rig->serve);
}

static void sqlite_fails_with(int error, const char *why)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    begin(rig);
    atomic_store(&fault, error);
    it_degrades(rig, why);
    atomic_store(&fault, 0);
    it_is_well_again(rig);
    free(rig);
}

static void a_full_disk(void **state)
{
    (void)state;
    sqlite_fails_with(ENOSPC, "full");
}

static void a_disk_that_was_mounted_read_only(void **state)
{
    (void)state;
    sqlite_fails_with(EROFS, "Read-only file system");
}

static void a_broken_disk(void **state)
{
    (void)state;
    sqlite_fails_with(EIO, "Input/output error");
}

/* One sentence, which says what to do next; nothing of it runs on. */
static void no_server_starts(const char *url)
{
    struct serve_case serve = {.port = 0};
    char err[512] = "";
    serve_case_make(&serve);
    serve.options.data_dir = serve.data_dir;
    serve.options.listen[0] = serve.options.admin = "http://127.0.0.1:0";
    serve.options.listen_count = serve.options.threads = 1;
    serve.options.store_url = url;
    assert_int_not_equal(serve_start(&serve.serve, &serve.options, err, sizeof err), 0);
    if (strstr(err, "name the primary") == NULL) fail_msg("%s", err);
    serve.serve = NULL;
    serve_case_remove(&serve);
}

static void a_postgresql_that_was_made_read_only(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    char empty[sizeof rig->url];
    (void)state;
    assert_non_null(rig);
    rig->on_cluster = true;
    postgres_make(&rig->cluster);
    postgres_url(&rig->cluster, "fault", rig->url, sizeof rig->url);
    begin(rig);
    postgres_set(&rig->cluster, "default_transaction_read_only", "on");
    it_degrades(rig, "read-only transaction");
    postgres_set(&rig->cluster, "default_transaction_read_only", "off");
    it_is_well_again(rig);
    postgres_url(&rig->cluster, "empty", empty, sizeof empty);
    postgres_set(&rig->cluster, "default_transaction_read_only", "on");
    no_server_starts(rig->url);
    no_server_starts(empty);
    postgres_remove(&rig->cluster);
    free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk),
        cmocka_unit_test(a_disk_that_was_mounted_read_only),
        cmocka_unit_test(a_broken_disk),
        cmocka_unit_test(a_postgresql_that_was_made_read_only),
    };
    watch_sqlite();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
