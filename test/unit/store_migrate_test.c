/* store_migrate_test.c - databases of every earlier schema, as they were left (test/vectors/store), open and keep all they hold. */
#include "store_fixture.h"

#include "host/store/operate.h"
#include "host/store/parts.h"

#define DEVICE "5ccf7fc602e2"

/* The text of schema-<version>.sql; NULL: there is none. */
static char *read_dump(int version)
{
    char path[256];
    static char text[65536];
    snprintf(path, sizeof path, "%s/schema-%d.sql", MOLT_VECTORS, version);
    FILE *file = fopen(path, "r");
    if (file == NULL) return NULL;
    size_t len = fread(text, 1, sizeof text - 1, file);
    assert_true(len < sizeof text - 1);
    fclose(file);
    text[len] = '\0';
    return text;
}

/* An empty database with what the dump says, in a folder without artifacts. */
static void load_dump(struct fixture *f, const char *sql)
{
    char path[96];
    struct db *db;
    snprintf(path, sizeof path, "%s/molt.db", f->dir.path);
    if (!on_postgres()) fclose(fopen(path, "w"));
    int rc = on_postgres() ? db_open_postgres(f->url, false, &db) : db_open_sqlite(path, false, &db);
    assert_int_equal(rc, 0);
    if (db_script(db, sql) != 0) fail_msg("%s", store_error(NULL));
    db_close(db);
}

static int count_end(void *ctx, const struct model_attempt_end *end)
{
    assert_int_equal(end->release_id, 4);
    ++*(int *)ctx;
    return 0;
}

static int count_token(void *ctx, const struct store_token *token)
{
    assert_string_equal(token->label, "laptop");
    ++*(int *)ctx;
    return 0;
}

static void check_rules(struct store *store, int version)
{
    struct store_rules rules;
    if (store_load_rules(store, &rules) != 0) fail_msg("%s", store_error(store));
    assert_int_equal(rules.generation, 12);
    assert_int_equal(rules.product_count, 1);
    assert_string_equal(rules.products[0].name, "door");
    assert_int_equal(rules.release_count, 1);
    assert_int_equal(rules.releases[0].code, 7);
    assert_string_equal(rules.releases[0].version, "7.1");
    assert_int_equal(rules.releases[0].image_count, 1);
    assert_int_equal(rules.releases[0].images[0].raw.len, 400000);
    assert_int_equal(rules.releases[0].images[0].md5_variant_count, 1);
    assert_int_equal(rules.releases[0].images[0].sealed_count, version >= 8);
    assert_int_equal(rules.rollout_count, version >= 3);
    if (version >= 3) {
        assert_string_equal(rules.rollouts[0].window, "01:00-04:00");
        assert_int_equal(rules.rollouts[0].status, MODEL_ROLLOUT_PAUSED);
        assert_int_equal(rules.rollouts[0].phase_count, 1);
        assert_int_equal(rules.rollouts[0].phases[0].percent, 2500);
    }
    store_free_rules(&rules);
}

static void check_device(struct store *store, int version)
{
    struct model_device device;
    char lines[STORE_LOG_LEN];
    int64_t updated_ms;
    int ends = 0;
    assert_int_equal(store_device_get(store, DEVICE, &device), 0);
    assert_int_equal(device.running_code, 6);
    assert_int_equal(device.product_id, 1);
    assert_string_equal(device.channel, "beta");
    assert_string_equal(device.address, "10.0.0.9");
    assert_int_equal(device.first_seen_ms, 1700000000001);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_FAILED);
    assert_int_equal(device.result, MODEL_ATTEMPT_FAILED); /* of before version 6: that of the attempt */
    assert_int_equal(device.result_release_id, 4);
    assert_int_equal(device.settings_rev, version >= 14 ? 3 : 0);
    assert_int_equal(device.attempt_ms, version >= 14 ? 1700000000014 : 0);
    assert_string_equal(device.tags, version >= 3 ? "canary" : "");
    assert_int_equal(store_each_attempt(store, DEVICE, count_end, &ends), 0);
    assert_int_equal(ends, (version >= 7) + (version >= 9)); /* the second was in the log of results */
    assert_int_equal(store_log_read(store, DEVICE, lines, &updated_ms), 0);
    assert_string_equal(lines, version >= 7 ? "one line\n" : "");
}

static void check_tokens(struct store *store, int version)
{
    uint8_t keys[STORE_TRUST_MAX][STORE_KEY_LEN];
    uint32_t count;
    int tokens = 0;
    assert_int_equal(store_each_token(store, count_token, &tokens), 0);
    assert_int_equal(tokens, 1);
    assert_int_equal(store_trust_list(store, "door", STORE_TRUST_SIGNER, keys, &count), 0);
    assert_int_equal(count, version >= 2);
}

static int check_roles(void *ctx, const struct store_token *token)
{
    (void)ctx;
    assert_int_equal(token->roles, STORE_ROLE_ADMIN); /* what it could before there were roles */
    assert_int_equal(token->expires_ms, 0);
    return 0;
}

static void check_accounts(struct store *store, int version)
{
    struct store_account account;
    uint32_t count;
    assert_int_equal(store_each_token(store, check_roles, NULL), 0);
    assert_int_equal(store_account_count(store, &count), 0);
    assert_int_equal(count, version >= 10);
    struct store_audit_head head;
    assert_int_equal(store_audit_head(store, &head), 0);
    assert_int_equal(head.seq, version < 11 ? 0 : version < 16 ? 1 : 2);
    if (version < 10) return;
    assert_int_equal(store_account_find(store, "anna", &account), 0);
    assert_int_equal(account.id, 3);
    assert_int_equal(account.totp[STORE_TOTP_LEN - 1], 1);
    assert_int_equal(account.grant_count, 1);
    assert_int_equal(account.grants[0].roles, STORE_ROLE_OPERATOR | STORE_ROLE_UPLOADER);
}

static int count_hook(void *ctx, const struct store_hook *hook)
{
    assert_string_equal(hook->url, "https://hooks.example.org/molt");
    ++*(int *)ctx;
    return 0;
}

static void check_operate(struct store *store, int version)
{
    struct store_filter filter;
    struct store_delivery delivery;
    int hooks = 0;
    assert_int_equal(store_filter_get(store, "roof", &filter), version >= 12 ? 0 : -MOLT_NOT_FOUND);
    assert_int_equal(store_each_hook(store, count_hook, &hooks), 0);
    assert_int_equal(hooks, version >= 13);
    if (version < 13) return;
    assert_string_equal(filter.filter, "group = roof");
    assert_int_equal(store_delivery_first(store, 1, &delivery), 0);
    assert_int_equal(delivery.tries, 2);
    assert_int_equal(delivery.status, 503);
}

static void check_sessions(struct store *store, int version)
{
    struct store_session session;
    uint8_t key[32];
    memset(key, 0x0E, sizeof key);
    assert_int_equal(store_session_find(store, key, &session), version >= 15 ? 0 : -MOLT_NOT_FOUND);
    if (version >= 15) assert_int_equal(session.used_ms, 1700000000015);
}

static int take_last(void *ctx, const struct store_audit *entry)
{
    *(struct store_audit *)ctx = *entry;
    return 1;
}

/* What was begun and never ended is told by whoever opens the store next, once. */
static void check_audit(struct store *store, int version)
{
    struct store_audit last = {.seq = 0};
    assert_int_equal(store_each_audit_before(store, INT64_MAX, take_last, &last), 0);
    assert_int_equal(last.seq, version < 11 ? 0 : version < 16 ? 1 : 2);
    if (version < 16) return;
    assert_int_equal(last.status, STORE_AUDIT_UNKNOWN);
    assert_int_equal(last.at_ms, 1700000000016);
    assert_string_equal(last.action, "PATCH /products/door");
}

static int version_of(struct fixture *f)
{
    struct db_statement *stmt = db_prepare(f->store->db, "SELECT schema_version FROM meta");
    assert_non_null(stmt);
    assert_int_equal(db_step(stmt), 1);
    int version = (int)db_int(stmt, 0);
    db_finish(stmt);
    return version;
}

static int newest(void)
{
    int version = 0;
    while (read_dump(version + 1) != NULL)
        version++;
    return version;
}

/* Runs in a fixture of its own, because set_up() makes a new database. */
static void migrate(int version)
{
    struct fixture f = {.store = NULL};
    char err[256];
    temp_dir_make(&f.dir);
    snprintf(f.schema, sizeof f.schema, "version%d", version);
    if (on_postgres()) postgres_url(&fixture_cluster, f.schema, f.url, sizeof f.url);
    load_dump(&f, read_dump(version));
    if (fixture_open(&f, false, err, sizeof err) != 0) fail_msg("schema %d: %s", version, err);
    assert_int_equal(version_of(&f), newest()); /* a new schema needs a dump of its own, for those after it */
    reopen(&f);                                 /* no step is done twice */
    check_rules(f.store, version);
    check_device(f.store, version);
    check_tokens(f.store, version);
    check_accounts(f.store, version);
    check_operate(f.store, version);
    check_sessions(f.store, version);
    check_audit(f.store, version);
    store_close(f.store);
    temp_dir_remove(&f.dir);
}

static void every_earlier_schema_opens_and_keeps_all_it_holds(void **state)
{
    (void)state;
    assert_true(newest() >= 16);
    for (int version = 1; version <= newest(); version++)
        migrate(version);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_earlier_schema_opens_and_keeps_all_it_holds)};
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
