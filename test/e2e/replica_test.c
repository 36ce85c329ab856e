/* replica_test.c - molt serve --read-replica on a real stand-by: lists, histories and the audit log come from it, which is seen by what it
 * does not know while it replays nothing; and from the database itself when it is away, is promoted, refuses, or is another store. */
#include "cmocka_all.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
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

/* How often the file has it. */
static unsigned count_in(const char *path, const char *text)
{
    static char log[262144];
    unsigned count = 0;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    log[fread(log, 1, sizeof log - 1, file)] = '\0';
    fclose(file);
    for (const char *p = log; (p = strstr(p, text)) != NULL; p++)
        count++;
    return count;
}

static unsigned lines(const struct rig *rig, const char *text)
{
    return count_in(rig->log, text);
}

/* Questions that the stand-by cancelled because of rows that they could see. */
static unsigned cancelled(const struct rig *rig)
{
    char path[96];
    snprintf(path, sizeof path, "%s/log", rig->stand_by.dir.path);
    return count_in(path, "User query might have needed to see row versions that must be removed");
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

/* Until it comes from the replica, which does not replay what has it: a replica that was silent for long on a loaded machine is
 * put away, and taken again. */
static void wait_until_lacks(const struct rig *rig, const char *path, const char *text)
{
    while (has(rig, path, text))
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

/* A number of the status' part about the replica. */
static long long status_of(const struct rig *rig, const char *name)
{
    struct reply reply;
    char key[32];
    assert_int_equal(api_ask(&rig->serve, "GET", "/api/v1/status", NULL, 0, &reply), 200);
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *found = strstr((const char *)reply.body, "\"replica\"");
    if (found != NULL) found = strstr(found, key);
    if (found == NULL) fail_msg("no %s in %s", key, (const char *)reply.body);
    const long long number = strtoll(found + strlen(key), NULL, 10);
    reply_free(&reply);
    return number;
}

/* `molt status` has the text. */
static void check_printed(const struct rig *rig, const char *text)
{
    char command[512], said[4096];
    snprintf(command, sizeof command, "'%s' status --data '%s'", MOLT, rig->serve.data_dir);
    FILE *from = popen(command, "r");
    assert_non_null(from);
    said[fread(said, 1, sizeof said - 1, from)] = '\0';
    assert_int_equal(pclose(from), 0);
    if (strstr(said, text) == NULL) fail_msg("no \"%s\" in: %s", text, said);
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
    const long long doubted = status_of(rig, "doubted");
    assert_true(has(rig, path, "\"good\":true"));
    assert_int_equal(status_of(rig, "doubted"), doubted + 1);
}

static void lists_come_from_the_replica(void **state)
{
    struct rig *rig = *state;
    serve(rig, rig->replica);
    wait_for_line(rig, IN_USE, 1);
    assert_int_equal(status_of(rig, "reads"), 0);
    meet(rig, "5ccf7f000001");
    wait_until_has(rig, "/api/v1/devices", "5ccf7f000001");
    assert_true(status_of(rig, "reads") >= 2);

    pause_replay(rig);
    meet(rig, "5ccf7f000002");
    update(rig);
    assign(&rig->serve, "5ccf7f000002", "gate");
    assert_true(has(rig, "/api/v1/devices/5ccf7f000002", "\"gate\"")); /* one alone is as it is */
    assert_true(has(rig, "/api/v1/devices", "5ccf7f000001"));
    wait_until_lacks(rig, "/api/v1/devices", "5ccf7f000002");
    wait_until_lacks(rig, "/api/v1/devices.csv", "5ccf7f000002");
    assert_true(has(rig, ATTEMPTS, "\"attempts\":[]"));
    wait_until_lacks(rig, "/api/v1/audit", "5ccf7f000002");
    wait_until_lacks(rig, "/api/v1/audit?after=0", "5ccf7f000002");
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
    wait_until_lacks(rig, "/api/v1/devices", "5ccf7f000001");
    postgres_signal(&rig->stand_by, SIGSTOP); /* silent, with its connections open */
    assert_true(has(rig, "/api/v1/devices", "5ccf7f000001"));
    wait_for_line(rig, NOT_IN_USE, gone + 1);
    postgres_signal(&rig->stand_by, SIGCONT);
    wait_for_line(rig, IN_USE, 2);
    wait_until_lacks(rig, "/api/v1/devices", "5ccf7f000001");
    postgres_stop(&rig->stand_by, SIGQUIT);
    assert_true(has(rig, "/api/v1/devices", "5ccf7f000001"));
    wait_for_line(rig, NOT_IN_USE, gone + 2);

    postgres_start(&rig->stand_by);
    wait_for_line(rig, IN_USE, 3);
    pause_replay(rig);
    meet(rig, "5ccf7f000002");
    wait_until_lacks(rig, "/api/v1/devices", "5ccf7f000002");
    resume_replay(rig);
    wait_until_has(rig, "/api/v1/devices", "5ccf7f000002");

    postgres_run(&rig->stand_by, SCHEMA, "SELECT pg_promote()");
    wait_for_line(rig, "event=replica in-use=no why=\"it is no stand-by, or none any more\"", 1);
    meet(rig, "5ccf7f000003");
    const long long away = status_of(rig, "away");
    assert_true(has(rig, "/api/v1/devices", "5ccf7f000003"));
    assert_int_equal(status_of(rig, "away"), away + 1);
    check_printed(rig, "the read replica is not in use: it is no stand-by, or none any more\n");
    assert_true(has(rig, "/api/v1/status", "\"why\":\"it is no stand-by, or none any more\""));
}

/* The stand-by's URL as a role that may read these tables; the stand-by has it, and `more`, by then. */
static void make_reader(struct rig *rig, const char *tables, const char *more, char *url, size_t cap)
{
    char sql[512];
    snprintf(url, cap, "postgres://reader%s", strchr(rig->replica, '@'));
    serve(rig, NULL); /* makes the tables */
    serve_case_stop(&rig->serve);
    snprintf(sql, sizeof sql,
             "CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA " SCHEMA
             " TO reader; %s; GRANT SELECT ON %s TO reader",
             more, tables);
    postgres_run(&rig->primary, SCHEMA, sql); /* one transaction */
    wait_in(&rig->stand_by, "EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'reader')");
}

/* What fails there is asked of the database itself. */
static void a_question_that_fails_at_the_replica_does_not_fail(void **state)
{
    struct rig *rig = *state;
    char url[320];
    make_reader(rig, "meta, device", "SELECT 1", url, sizeof url);
    serve(rig, url);
    wait_for_line(rig, IN_USE, 1);
    const unsigned gone = lines(rig, NOT_IN_USE);
    pause_replay(rig);
    update(rig);
    wait_until_lacks(rig, "/api/v1/devices", ID);
    assert_true(has(rig, ATTEMPTS, "confirmed"));
    assert_true(has(rig, "/api/v1/audit", "\"seq\":1"));
    assert_true(has(rig, "/api/v1/audit/verify", "\"good\":true"));
    assert_true(has(rig, "/api/v1/devices/" ID "/log", "\"text\":\"\""));
    assert_int_equal(lines(rig, NOT_IN_USE), gone);
    assert_int_equal(status_of(rig, "failed"), 4);
    assert_int_equal(status_of(rig, "conflict"), 0);
    resume_replay(rig);
}

/* True: it has a row. False also when replaying cancels it, which it may do with each question. */
static bool is_so(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    const bool so = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0;
    PQclear(result);
    return so;
}

/* A list whose question stands in the middle of the table `device`, in the stand-by, when that replays that rows were removed which the
 * question can see. `gate` has the lock that it waits for. */
static void ask_in_conflict(const struct rig *rig, PGconn *gate)
{
    static const char list[] = "GET /api/v1/devices HTTP/1.1\r\nHost: x\r\n\r\n";
    struct reply reply;
    while (!is_so(gate, "SELECT 1 WHERE pg_get_wal_replay_pause_state() = 'paused'"))
        (void)is_so(gate, "SELECT pg_wal_replay_pause()");
    postgres_run(&rig->primary, SCHEMA, "UPDATE device SET settings_rev = settings_rev");
    postgres_run(&rig->primary, SCHEMA, "VACUUM (FREEZE, DISABLE_PAGE_SKIPPING) device");
    int fd = raw_connect_unix(rig->serve.socket_path);
    struct pollfd answer = {.fd = fd, .events = POLLIN};
    raw_send(fd, list, sizeof list - 1);
    while (!is_so(gate, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") &&
           poll(&answer, 1, 20) == 0) {
    }
    (void)is_so(gate, "SELECT pg_wal_replay_resume()"); /* may itself be cancelled, once it has done it */
    raw_read(fd, false, &reply);
    close(fd);
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr((const char *)reply.body, "5ccf7f000001"));
    assert_non_null(strstr((const char *)reply.body, "5ccf7f000002"));
    reply_free(&reply);
}

/* hot_standby_feedback is off, so the primary knows of no question of the stand-by; which does not wait for one either. */
static void what_replaying_cancels_comes_from_the_database(void **state)
{
    struct rig *rig = *state;
    char url[320];
    make_reader(rig, "ALL TABLES IN SCHEMA " SCHEMA,
                "ALTER TABLE device ENABLE ROW LEVEL SECURITY; CREATE POLICY gate ON device FOR SELECT"
                " TO reader USING (pg_advisory_xact_lock_shared(7) IS NOT NULL)",
                url, sizeof url);
    postgres_run(&rig->stand_by, SCHEMA, "ALTER SYSTEM SET max_standby_streaming_delay = 0");
    postgres_stop(&rig->stand_by, SIGINT);
    postgres_start(&rig->stand_by);
    serve(rig, url);
    wait_for_line(rig, IN_USE, 1);
    meet(rig, "5ccf7f000001");
    meet(rig, "5ccf7f000002");
    wait_until_has(rig, "/api/v1/devices", "5ccf7f000002");
    const long long before = status_of(rig, "conflict"); /* writing to `device` may have made one */

    PGconn *gate;
    while (PQstatus(gate = PQconnectdb(rig->replica)) != CONNECTION_OK)
        PQfinish(gate); /* replaying cancels that, too */
    while (!is_so(gate, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted"))
        (void)is_so(gate, "SELECT pg_advisory_lock(7)");
    do /* again only if five seconds were over before the conflict, for which the replica counts as silent */
        ask_in_conflict(rig, gate);
    while (status_of(rig, "conflict") == before);
    assert_true(cancelled(rig) > before);
    PQfinish(gate);

    const long long answered = status_of(rig, "reads");
    while (status_of(rig, "reads") == answered) /* it is in use, still or again */
        assert_true(has(rig, "/api/v1/devices", "5ccf7f000002"));
    const long long now = status_of(rig, "conflict");
    char text[96];
    snprintf(text, sizeof text, "%lld in conflict with its replay", now);
    check_printed(rig, text);
    snprintf(text, sizeof text, "molt_replica_sent_back_total{reason=\"conflict\"} %lld\n", now);
    assert_true(has(rig, "/metrics", text));
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
        TEST(what_replaying_cancels_comes_from_the_database),
        TEST(what_is_no_stand_by_of_the_store_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
