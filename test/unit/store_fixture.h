/* store_fixture.h - an open store in a folder of its own, for the tests of the store. */
#ifndef MOLT_TEST_STORE_FIXTURE_H
#define MOLT_TEST_STORE_FIXTURE_H

#include <sqlite3.h>

#include "postgres.h"

#include "host/store/store.h"

/* The tests of the store run on SQLite and, with MOLT_TEST_STORE=postgresql, on a cluster of their own, a schema a test. */
static struct postgres fixture_cluster;

static inline int fixture_begin(void **state)
{
    (void)state;
    if (on_postgres()) postgres_make(&fixture_cluster);
    return 0;
}

static inline int fixture_end(void **state)
{
    (void)state;
    if (on_postgres()) postgres_remove(&fixture_cluster);
    return 0;
}

struct fixture {
    struct temp_dir dir;
    char schema[16], url[320];
    struct store *store;
};

static inline int fixture_open(struct fixture *f, bool create, char *err, size_t cap)
{
    const struct store_place place = {
        .data_dir = f->dir.path, .url = on_postgres() ? f->url : NULL, .create = create};
    return store_open_place(&place, &f->store, err, cap);
}

static inline int set_up(void **state)
{
    static int number;
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    temp_dir_make(&f->dir);
    snprintf(f->schema, sizeof f->schema, "test%d", ++number);
    if (on_postgres()) postgres_url(&fixture_cluster, f->schema, f->url, sizeof f->url);
    char err[256];
    if (fixture_open(f, true, err, sizeof err) != 0) fail_msg("%s", err);
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    temp_dir_remove(&f->dir);
    free(f);
    return 0;
}

static inline void reopen(struct fixture *f)
{
    store_close(f->store);
    assert_int_equal(fixture_open(f, false, NULL, 0), 0);
}

/* Behind the store's back. */
static inline void run_sql(const struct fixture *f, const char *sql)
{
    char path[96];
    sqlite3 *db;
    if (on_postgres()) {
        postgres_run(&fixture_cluster, f->schema, sql);
        return;
    }
    snprintf(path, sizeof path, "%s/molt.db", f->dir.path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) fail_msg("%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* Copies a text into a field that holds it. */
#define SET_TEXT(field, text) snprintf((field), sizeof(field), "%s", (text))

/* An image with a stored artifact of its own. */
static inline struct model_image image_of(struct store *store, const char *content)
{
    struct model_image image = {.chip = MOLT_CHIP_ESP8266};
    assert_int_equal(store_artifact_put(store, content, strlen(content), &image.raw), 0);
    return image;
}

/* Is it good as a token of that kind, and of that device (NULL: none is asked for)? */
static inline int token_check(struct store *store, enum store_token_kind kind, const char *token,
                              const char *device_id)
{
    struct store_token found;
    const int rc = store_token_find(store, token, &found);
    if (rc < 0) return rc;
    const bool theirs =
        kind != STORE_TOKEN_DEVICE || (device_id != NULL && strcmp(found.device_id, device_id) == 0);
    return found.kind == kind && theirs ? 0 : -MOLT_UNAUTHORIZED;
}

static inline int64_t publish(struct store *store, const char *product, uint32_t code,
                              const struct model_image *image)
{
    int64_t id = 0;
    char version[16];
    snprintf(version, sizeof version, "%u", code);
    assert_int_equal(store_publish(store, product, version, code, "stable", false, image, &id), 0);
    return id;
}

static inline uint64_t generation(struct store *store)
{
    struct store_rules rules;
    assert_int_equal(store_load_rules(store, &rules), 0);
    uint64_t g = rules.generation;
    store_free_rules(&rules);
    return g;
}

static inline int try_publish(struct store *store, uint32_t code, const char *version, const char *channel,
                              const struct model_image *image)
{
    int64_t id;
    return store_publish(store, "gate", version, code, channel, false, image, &id);
}

/* Makes a database of version 13 of the newest. */
#define STORE_UNDO_14                                                                                        \
    "DROP INDEX attempt_once; ALTER TABLE attempt DROP COLUMN once; ALTER TABLE result_log DROP COLUMN "     \
    "once;"                                                                                                  \
    "DROP TABLE node_state; DROP TABLE node; DROP TABLE lease; DROP TABLE slot; DROP TABLE device_change;"   \
    "DROP TABLE session; DROP TABLE audit_open;"                                                             \
    "ALTER TABLE device DROP COLUMN settings_rev; ALTER TABLE device DROP COLUMN attempt_no;"                \
    "ALTER TABLE device DROP COLUMN attempt_ms; ALTER TABLE device DROP COLUMN rollout_round;"               \
    "ALTER TABLE device DROP COLUMN rollout_node; UPDATE meta SET schema_version = 13;"

/* Makes a database of version 11 of the newest. */
#define STORE_UNDO_12                                                                                        \
    STORE_UNDO_14                                                                                            \
    "DROP TABLE webhook_delivery; DROP TABLE webhook; DROP TABLE saved_filter; UPDATE meta SET "             \
    "schema_version = 11;"

/* Makes a database of version 10 of the newest. */
#define STORE_UNDO_11                                                                                        \
    STORE_UNDO_12 "DROP TABLE audit; DROP TABLE audit_head; UPDATE meta SET schema_version = 10;"

/* Makes a database of version 9 of the newest. */
#define STORE_UNDO_10                                                                                        \
    STORE_UNDO_11                                                                                            \
    "DROP TABLE account_role; DROP TABLE account; ALTER TABLE token DROP COLUMN roles;"                      \
    "ALTER TABLE token DROP COLUMN expires_ms; ALTER TABLE token DROP COLUMN made_by;"                       \
    "UPDATE meta SET schema_version = 9;"

/* Makes a database of version 8 of the newest. */
#define STORE_UNDO_9 STORE_UNDO_10 "DROP TABLE result_log; UPDATE meta SET schema_version = 8;"

/* Makes a database of version 7 of the newest. */
#define STORE_UNDO_8                                                                                         \
    STORE_UNDO_9                                                                                             \
    "DROP TABLE sealed; ALTER TABLE image DROP COLUMN approved; ALTER TABLE trust DROP COLUMN role;"         \
    "UPDATE meta SET schema_version = 7;"

/* Makes a database of version 6 of the newest, but for the rollouts' table, which differs only in what it allows. */
#define STORE_UNDO_7                                                                                         \
    STORE_UNDO_8                                                                                             \
    "DROP TABLE attempt; DROP TABLE device_log; ALTER TABLE device DROP COLUMN attempt_bytes;"               \
    "ALTER TABLE token DROP COLUMN product_id; ALTER TABLE product DROP COLUMN approval;"                    \
    "ALTER TABLE product DROP COLUMN downgrade; ALTER TABLE rollout DROP COLUMN downgrade;"                  \
    "ALTER TABLE rollout DROP COLUMN created_by; ALTER TABLE rollout DROP COLUMN approved_by;"               \
    "ALTER TABLE rollout DROP COLUMN approved_ms; UPDATE meta SET schema_version = 6;"

/* Makes a database of version 2 of the newest. */
#define STORE_UNDO_3                                                                                         \
    STORE_UNDO_7                                                                                             \
    "ALTER TABLE device DROP COLUMN result; ALTER TABLE device DROP COLUMN result_reason;"                   \
    "ALTER TABLE device DROP COLUMN result_release_id;"                                                      \
    "ALTER TABLE image ADD COLUMN gzip_4k_min_start INTEGER NOT NULL DEFAULT 0;"                             \
    "ALTER TABLE image ADD COLUMN gzip_min_start INTEGER NOT NULL DEFAULT 0;"                                \
    "ALTER TABLE image DROP COLUMN md5_boot_count; ALTER TABLE device DROP COLUMN molt_boot;"                \
    "DROP TABLE rollout_phase; DROP TABLE rollout; ALTER TABLE release DROP COLUMN required;"                \
    "ALTER TABLE product DROP COLUMN stopped; ALTER TABLE product DROP COLUMN rollouts_only;"                \
    "ALTER TABLE product DROP COLUMN trust_unverified; ALTER TABLE device DROP COLUMN group_name;"           \
    "ALTER TABLE device DROP COLUMN tags; ALTER TABLE device DROP COLUMN attributes;"                        \
    "ALTER TABLE device DROP COLUMN pinned_code; ALTER TABLE device DROP COLUMN rollout_id;"                 \
    "ALTER TABLE device DROP COLUMN rollout_open; ALTER TABLE device DROP COLUMN rollout_counts;"            \
    "ALTER TABLE device DROP COLUMN rollout_ms; ALTER TABLE device DROP COLUMN rollout_failures;"            \
    "ALTER TABLE device DROP COLUMN rollout_outcome; UPDATE meta SET schema_version = 2"

/* Runs the tests on the chosen database, and those of SQLite alone on it. */
#define RUN_TESTS(tests, of_sqlite)                                                                          \
    (cmocka_run_group_tests(tests, fixture_begin, fixture_end) +                                             \
     (on_postgres() ? 0 : cmocka_run_group_tests(of_sqlite, NULL, NULL)))

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
