/* replica_test.c - molt serve --read-replica on a real stand-by: lists, histories and the audit log come from it, which is seen by what it
 * does not know while it replays nothing; and from the database itself when it is away, is promoted, refuses, or is another store. */
#include "cmocka_all.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "agent/checkin.h"
#include "host/store/store.h"
#include "postgres.h"
#include "serve_case.h"

#define ID         "240ac4000001"
#define SCHEMA     "fleet"
#define ATTEMPTS   "/api/v1/devices/" ID "/attempts"
#define IN_USE     "event=replica in-use=yes"
#define NOT_IN_USE "event=replica in-use=no"

struct rig {
    struct postgres primary, stand_by;
    struct serve_case serve;
    char url[320], replica[320], log[96];
    int stderr_before;
};

/* From here on stderr goes into a file. */
static void catch_log(struct rig *rig)
{
    snprintf(rig->log, sizeof rig->log, "%s/log", rig->serve.dir.path);
    rig->stderr_before = dup(STDERR_FILENO);
    int fd = open(rig->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(rig->stderr_before >= 0 && fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    close(fd);
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    postgres_make(&rig->primary);
    postgres_url(&rig->primary, SCHEMA, rig->url, sizeof rig->url);
    postgres_make_stand_by(&rig->stand_by, &rig->primary);
    postgres_url(&rig->stand_by, SCHEMA, rig->replica, sizeof rig->replica);
    serve_case_make(&rig->serve);
    catch_log(rig);
    rig->serve.options.store_url = rig->url;
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    serve_case_remove(&rig->serve);
    assert_true(dup2(rig->stderr_before, STDERR_FILENO) >= 0);
    close(rig->stderr_before);
    if (rig->stand_by.pid != 0) postgres_signal(&rig->stand_by, SIGCONT);
    postgres_remove(&rig->stand_by);
    postgres_remove(&rig->primary);
    free(rig);
    return 0;
}

static void serve(struct rig *rig, const char *replica)
{
    rig->serve.options.replica_url = replica;
    serve_case_start(&rig->serve);
}

/* How often the log has it. */
static unsigned lines(const struct rig *rig, const char *text)
{
    static char log[262144];
    unsigned count = 0;
    FILE *file = fopen(rig->log, "r");
    assert_non_null(file);
    log[fread(log, 1, sizeof log - 1, file)] = '\0';
    fclose(file);
    for (const char *p = log; (p = strstr(p, text)) != NULL; p++)
        count++;
    return count;
}

/* All waits end with the test's own time limit. */
static void wait_for_line(const struct rig *rig, const char *text, unsigned count)
{
    while (lines(rig, text) < count)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

static void wait_in(const struct postgres *cluster, const char *condition)
{
    char sql[512];
    snprintf(sql, sizeof sql, "DO $$ BEGIN WHILE NOT (%s) LOOP PERFORM pg_sleep(0.02); END LOOP; END $$",
             condition);
    postgres_run(cluster, SCHEMA, sql);
}

static void pause_replay(const struct rig *rig)
{
    postgres_run(&rig->stand_by, SCHEMA, "SELECT pg_wal_replay_pause()");
    wait_in(&rig->stand_by, "pg_get_wal_replay_pause_state() = 'paused'");
}

static void resume_replay(const struct rig *rig)
{
    postgres_run(&rig->stand_by, SCHEMA, "SELECT pg_wal_replay_resume()");
}

static bool has(const struct rig *rig, const char *path, const char *text)
{
    struct reply reply;
    assert_int_equal(api_ask(&rig->serve, "GET", path, NULL, 0, &reply), 200);
    bool found = strstr((const char *)reply.body, text) != NULL;
    reply_free(&reply);
    return found;
}

static void wait_until_has(const struct rig *rig, const char *path, const char *text)
{
    while (!has(rig, path, text))
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

/* First contact; over when the database has the row. */
static void meet(const struct rig *rig, const char *id)
{
    char path[64], condition[96];
    struct reply reply;
    snprintf(path, sizeof path, "/%s.version", id);
    ask_version(rig->serve.port, path, &reply);
    reply_free(&reply);
    assert_true(has(rig, "/api/v1/devices?limit=1", "devices")); /* which writes what was met */
    snprintf(condition, sizeof condition, "EXISTS (SELECT 1 FROM device WHERE id = '%s')", id);
    wait_in(&rig->primary, condition);
}

/* ID is offered 5 and says that it runs it; over when the database has the history. */
static void update(const struct rig *rig)
{
    size_t len;
    free(publish_image_of(&rig->serve, "gate", MOLT_CHIP_ESP32C3, 5, 300000, &len));
    for (uint32_t code = 4; code <= 5; code++) {
        const struct molt_checkin said = {.chip = MOLT_CHIP_ESP32C3,
                                          .id = ID,
                                          .product = "gate",
                                          .version_code = code,
                                          .flash_size = 4u << 20,
                                          .slot_size = 1310720,
                                          .image_len = 300000,
                                          .can = MOLT_CAN_RAW,
                                          .result = code == 5 ? MOLT_CONFIRMED : 0,
                                          .result_code = 5};
        uint8_t body[MOLT_CHECKIN_MAX];
        char head[256];
        struct reply reply;
        int size = molt_checkin_encode(&said, body, sizeof body);
        assert_true(size > 0);
        int n =
            snprintf(head, sizeof head,
                     "POST " MOLT_CHECKIN_PATH " HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size);
        int fd = raw_connect(rig->serve.port);
        raw_send(fd, head, (size_t)n);
        raw_send(fd, body, (size_t)size);
        raw_read(fd, false, &reply);
        close(fd);
        assert_int_equal(reply.status, 200);
        reply_free(&reply);
    }
    wait_in(&rig->primary, "EXISTS (SELECT 1 FROM attempt WHERE device_id = '" ID "')");
}

/* The head that the database has is not yet in the replica: no reason to call the log bad. */
static void check_verify(const struct rig *rig)
{
    const struct store_place place = {.data_dir = rig->serve.data_dir, .url = rig->url, .read_only = true};
    struct store_audit_head head;
    struct store *store;
    char path[160], err[256];
    int len;
    if (store_open_place(&place, &store, err, sizeof err) != 0) fail_msg("%s", err);
    assert_int_equal(store_audit_head(store, &head), 0);
    store_close(store);
    snprintf(path, sizeof path, "\"seq\":%lld", (long long)head.seq);
    assert_true(has(rig, "/api/v1/audit/verify", "\"good\":true"));
    assert_false(has(rig, "/api/v1/audit/verify", path)); /* the replica's own end */
    len = snprintf(path, sizeof path, "/api/v1/audit/verify?expect=%lld:", (long long)head.seq);
    for (size_t i = 0; i < sizeof head.hash; i++)
        len += snprintf(path + len, sizeof path - (size_t)len, "%02x", head.hash[i]);
    assert_true(has(rig, path, "\"good\":true"));
}

static void lists_come_from_the_replica(void **state)
{
    struct rig *rig = *state;
    serve(rig, rig->replica);
    wait_for_line(rig, IN_USE, 1);
    meet(rig, "5ccf7f000001");
    wait_until_has(rig, "/api/v1/devices", "5ccf7f000001");

    pause_replay(rig);
    meet(rig, "5ccf7f000002");
    update(rig);
    assign(&rig->serve, "5ccf7f000002", "gate");
    assert_true(has(rig, "/api/v1/devices/5ccf7f000002", "\"gate\"")); /* one alone is as it is */
    assert_true(has(rig, "/api/v1/devices", "5ccf7f000001"));
    assert_false(has(rig, "/api/v1/devices", "5ccf7f000002"));
    assert_false(has(rig, "/api/v1/devices.csv", "5ccf7f000002"));
    assert_true(has(rig, ATTEMPTS, "\"attempts\":[]"));
    assert_false(has(rig, "/api/v1/audit", "5ccf7f000002"));
    assert_false(has(rig, "/api/v1/audit?after=0", "5ccf7f000002"));
    check_verify(rig);

    resume_replay(rig);
    wait_until_has(rig, "/api/v1/devices", "5ccf7f000002");
    wait_until_has(rig, "/api/v1/devices.csv", "5ccf7f000002");
    wait_until_has(rig, ATTEMPTS, "confirmed");
    wait_until_has(rig, "/api/v1/audit", "5ccf7f000002");
}

static void a_replica_may_go_and_come_back_and_be_promoted(void **state)
{
    struct rig *rig = *state;
    serve(rig, rig->replica);
    wait_for_line(rig, IN_USE, 1);
    const unsigned gone = lines(rig, NOT_IN_USE); /* it may have been too early at first */
    pause_replay(rig);
    meet(rig, "5ccf7f000001");
    assert_false(has(rig, "/api/v1/devices", "5ccf7f000001"));
    postgres_signal(&rig->stand_by, SIGSTOP); /* silent, with its connections open */
    assert_true(has(rig, "/api/v1/devices", "5ccf7f000001"));
    wait_for_line(rig, NOT_IN_USE, gone + 1);
    postgres_signal(&rig->stand_by, SIGCONT);
    wait_for_line(rig, IN_USE, 2);
    assert_false(has(rig, "/api/v1/devices", "5ccf7f000001"));
    postgres_stop(&rig->stand_by, SIGQUIT);
    assert_true(has(rig, "/api/v1/devices", "5ccf7f000001"));
    wait_for_line(rig, NOT_IN_USE, gone + 2);

    postgres_start(&rig->stand_by);
    wait_for_line(rig, IN_USE, 3);
    pause_replay(rig);
    meet(rig, "5ccf7f000002");
    assert_false(has(rig, "/api/v1/devices", "5ccf7f000002"));
    resume_replay(rig);
    wait_until_has(rig, "/api/v1/devices", "5ccf7f000002");

    postgres_run(&rig->stand_by, SCHEMA, "SELECT pg_promote()");
    wait_for_line(rig, "event=replica in-use=no why=\"it is no stand-by, or none any more\"", 1);
    meet(rig, "5ccf7f000003");
    assert_true(has(rig, "/api/v1/devices", "5ccf7f000003"));
}

/* What fails there, for instance because replaying cancels it, is asked of the database itself. */
static void a_question_that_fails_at_the_replica_does_not_fail(void **state)
{
    struct rig *rig = *state;
    char url[320];
    const char *rest = strchr(rig->replica, '@');
    snprintf(url, sizeof url, "postgres://reader%s", rest);
    serve(rig, NULL); /* makes the tables */
    serve_case_stop(&rig->serve);
    postgres_run(&rig->primary, SCHEMA,
                 "CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA " SCHEMA
                 " TO reader; GRANT SELECT ON meta, device TO reader");
    wait_in(&rig->stand_by, "EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'reader')");
    serve(rig, url);
    wait_for_line(rig, IN_USE, 1);
    const unsigned gone = lines(rig, NOT_IN_USE);
    pause_replay(rig);
    update(rig);
    assert_false(has(rig, "/api/v1/devices", ID));
    assert_true(has(rig, ATTEMPTS, "confirmed"));
    assert_true(has(rig, "/api/v1/audit", "\"seq\":1"));
    assert_true(has(rig, "/api/v1/audit/verify", "\"good\":true"));
    assert_true(has(rig, "/api/v1/devices/" ID "/log", "\"text\":\"\""));
    assert_int_equal(lines(rig, NOT_IN_USE), gone);
    resume_replay(rig);
}

static void what_is_no_stand_by_of_the_store_is_left_alone(void **state)
{
    struct rig *rig = *state;
    char other[320];
    postgres_url(&rig->primary, "other", other, sizeof other);
    postgres_url(&rig->stand_by, "other", other, sizeof other);
    serve(rig, other);
    wait_for_line(rig, "event=replica in-use=no why=\"it is no copy of this store", 1);
    meet(rig, "5ccf7f000001");
    assert_true(has(rig, "/api/v1/devices", "5ccf7f000001"));
    serve_case_stop(&rig->serve);

    serve(rig, rig->url);
    wait_for_line(rig, "event=replica in-use=no why=\"it is no stand-by", 1);
    assert_true(has(rig, "/api/v1/devices", "5ccf7f000001"));
    assert_int_equal(lines(rig, "in-use=yes"), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(lists_come_from_the_replica),
        TEST(a_replica_may_go_and_come_back_and_be_promoted),
        TEST(a_question_that_fails_at_the_replica_does_not_fail),
        TEST(what_is_no_stand_by_of_the_store_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
