/* store_test.c - the store keeps every field of a device, refuses what it must, and stays whole under threads.
 * Releases: store_releases_test.c; artifacts, tokens: store_files_test.c; kill -9: test/e2e/store_kill_test.c. */
#define _GNU_SOURCE /* strcasestr() */
#include "store_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

/* ---- the folder ---- */

static void a_new_store_is_empty_and_its_folder_private(void **state)
{
    struct fixture *f = *state;
    struct store_rules rules;
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    assert_int_equal(rules.product_count, 0);
    assert_int_equal(rules.release_count, 0);
    assert_int_equal(rules.generation, 1);
    store_free_rules(&rules);

    char path[128];
    snprintf(path, sizeof path, "%s/a/b//c/", f->dir.path);
    struct store *other;
    assert_int_equal(store_open(path, true, &other, NULL, 0), 0);
    store_close(other);
    struct stat st;
    snprintf(path, sizeof path, "%s/a/b/c", f->dir.path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    snprintf(path, sizeof path, "%s/a/b/c/molt.db", f->dir.path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_missing_store_is_not_made_unless_asked(void **state)
{
    struct fixture *f = *state;
    char path[128], err[256] = "";
    struct stat st;
    struct store *other;
    snprintf(path, sizeof path, "%s/none", f->dir.path);
    assert_int_equal(store_open(path, false, &other, err, sizeof err), -MOLT_STORE_FAILED);
    assert_null(other);
    assert_non_null(strstr(err, "there is no store"));
    assert_int_equal(stat(path, &st), -1);
    assert_int_equal(mkdir(path, 0700), 0); /* nor is anything left in a folder that is not one */
    assert_int_equal(store_open(path, false, &other, err, sizeof err), -MOLT_STORE_FAILED);
    assert_int_equal(rmdir(path), 0);
}

static void a_second_opener_is_refused_and_told_the_pid(void **state)
{
    struct fixture *f = *state;
    char err[256], want[64];
    struct store *other;
    snprintf(want, sizeof want, "in use by process %ld", (long)getpid());
    assert_int_equal(store_open(f->dir.path, true, &other, err, sizeof err), -MOLT_STATE);
    assert_non_null(strstr(err, want));

    pid_t child = fork();
    if (child == 0) {
        int rc = store_open(f->dir.path, true, &other, err, sizeof err);
        _exit(rc == -MOLT_STATE && strstr(err, want) != NULL ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);

    reopen(f); /* free again once it is closed */
}

static void a_newer_schema_is_refused_and_left_alone(void **state)
{
    struct fixture *f = *state;
    char err[256];
    store_close(f->store);
    run_sql(f, "UPDATE meta SET schema_version = schema_version + 1");
    assert_int_equal(fixture_open(f, true, err, sizeof err), -MOLT_STORE_FAILED);
    assert_non_null(strstr(err, "newer molt"));
    run_sql(f, "UPDATE meta SET schema_version = schema_version - 1");
    assert_int_equal(fixture_open(f, true, err, sizeof err), 0);
}

static void a_database_of_version_1_keeps_all_it_holds(void **state)
{
    struct fixture *f = *state;
    struct store_rules rules;
    struct model_image image = image_of(f->store, "an image of before");
    const uint8_t zeros[32] = {0};
    uint8_t keys[STORE_TRUST_MAX][STORE_KEY_LEN];
    uint32_t count;
    publish(f->store, "door", 7, &image);
    store_close(f->store);
    run_sql(f, STORE_UNDO_3);
    run_sql(f, "DROP TABLE trust;"
               "ALTER TABLE image DROP COLUMN sequence; ALTER TABLE image DROP COLUMN manifest_len;"
               "ALTER TABLE image DROP COLUMN manifest_md5; ALTER TABLE image DROP COLUMN manifest_sha256;"
               "UPDATE meta SET schema_version = 1");
    assert_int_equal(fixture_open(f, false, NULL, 0), 0);
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    assert_int_equal(rules.release_count, 1);
    assert_int_equal(rules.releases[0].code, 7);
    assert_memory_equal(rules.releases[0].images[0].raw.sha256, image.raw.sha256, 32);
    assert_int_equal(rules.releases[0].images[0].manifest.len, 0);
    assert_memory_equal(rules.releases[0].images[0].manifest.sha256, zeros, 32);
    store_free_rules(&rules);
    memset(keys[0], 5, STORE_KEY_LEN);
    assert_int_equal(store_trust_add(f->store, "door", STORE_TRUST_SIGNER, keys[0]), 0);
    reopen(f); /* no step is done twice */
    assert_int_equal(store_trust_list(f->store, "door", STORE_TRUST_SIGNER, keys, &count), 0);
    assert_int_equal(count, 1);
}

static void a_device_of_version_5_has_the_result_of_its_last_attempt(void **state)
{
    struct fixture *f = *state;
    struct model_image image = image_of(f->store, "image");
    int64_t release = publish(f->store, "gate", 1, &image);
    struct model_device rows[2] = {
        {.id = "a", .attempt = MODEL_ATTEMPT_FAILED, .attempt_reason = MOLT_BAD_HASH},
        {.id = "b", .attempt = MODEL_ATTEMPT_DOWNLOADING}};
    rows[0].attempt_release_id = rows[1].attempt_release_id = release;
    assert_int_equal(store_save_devices(f->store, rows, 2), 0);
    store_close(f->store);
    run_sql(f, STORE_UNDO_7
            "ALTER TABLE device DROP COLUMN result; ALTER TABLE device DROP COLUMN result_reason;"
            "ALTER TABLE device DROP COLUMN result_release_id; UPDATE meta SET schema_version = 5");
    assert_int_equal(fixture_open(f, false, NULL, 0), 0);
    assert_int_equal(store_device_get(f->store, "a", &rows[0]), 0);
    assert_int_equal(store_device_get(f->store, "b", &rows[1]), 0);
    assert_int_equal(rows[0].result, MODEL_ATTEMPT_FAILED);
    assert_int_equal(rows[0].result_reason, MOLT_BAD_HASH);
    assert_int_equal(rows[0].result_release_id, release);
    assert_int_equal(rows[1].result, MODEL_ATTEMPT_NONE);
}

static void a_foreign_or_damaged_database_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[128], file[160], err[256];
    struct store *other;
    snprintf(path, sizeof path, "%s/foreign", f->dir.path);
    snprintf(file, sizeof file, "%s/molt.db", path);
    assert_int_equal(mkdir(path, 0700), 0);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE notes (x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(store_open(path, true, &other, err, sizeof err), -MOLT_STORE_FAILED);
    assert_non_null(strstr(err, "another program"));

    int fd = open(file, O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, "this is no database, but text of some length", 44), 44);
    close(fd);
    assert_int_equal(store_open(path, true, &other, err, sizeof err), -MOLT_STORE_FAILED);
}

/* ---- devices ---- */

static struct model_device full_device(int64_t product_id, int64_t release_id)
{
    struct model_device d;
    memset(&d, 0, sizeof d);
    SET_TEXT(d.id, "5ccf7fc602e2");
    d.product_id = product_id;
    SET_TEXT(d.channel, "beta");
    d.held = d.verified = d.gz_refused = d.gz_proven = d.molt_boot = true;
    d.chip = MOLT_CHIP_ESP32C3;
    d.chip_source = MODEL_CHIP_DIGEST;
    d.client = MODEL_CLIENT_MOLT;
    d.flash_size = 0xFFFFFFFF;
    d.fs_start = 0x200000;
    d.slot_size = 0x140000;
    d.sketch_size = 278396;
    d.free_space = 221184;
    memset(d.core, 'c', sizeof d.core - 1);
    d.can = 3;
    d.gzip_window = 4096;
    d.running_code = 2017102501;
    SET_TEXT(d.running_version, "1.0 \"caf\xc3\xa9\"");
    d.has_digest = true;
    memset(d.digest, 0xD1, sizeof d.digest);
    SET_TEXT(d.address, "2001:db8::1");
    d.first_seen_ms = 1795600000001;
    d.last_seen_ms = 1795600000002;
    d.last_reason = MOLT_TOO_LARGE;
    memset(d.last_detail, 'x', sizeof d.last_detail - 1);
    d.last_reason_ms = 1795600000003;
    d.attempt = MODEL_ATTEMPT_ROLLED_BACK;
    d.attempt_release_id = release_id;
    memset(d.attempt_sha256, 0xA5, sizeof d.attempt_sha256);
    d.attempt_sends = 3;
    d.announced_ms = -1;
    d.announced_code = 2147483647;
    d.attempt_reason = MOLT_CRASHED;
    d.result = MODEL_ATTEMPT_FAILED;
    d.result_reason = MOLT_TLS_NAME;
    d.result_release_id = release_id;
    memset(d.fs_sha256, 0x5F, sizeof d.fs_sha256);
    d.fs_sends = 2;
    return d;
}

static void every_field_of_a_device_comes_back(void **state)
{
    struct fixture *f = *state;
    struct model_image image = image_of(f->store, "image");
    int64_t release = publish(f->store, "gate", 1, &image);
    struct model_product product;
    assert_int_equal(store_product_find(f->store, "gate", &product), 0);

    struct model_device want = full_device(product.id, release), got;
    assert_int_equal(store_save_devices(f->store, &want, 1), 0);
    reopen(f);
    assert_int_equal(store_device_get(f->store, want.id, &got), 0);
    assert_memory_equal(&got, &want, sizeof want);

    struct model_device blank = {.id = "5ccf7fc602e2"};
    assert_int_equal(store_save_devices(f->store, &blank, 1), 0);
    assert_int_equal(store_device_get(f->store, want.id, &got), 0);
    assert_memory_equal(&got, &blank, sizeof blank);
}

struct seen {
    struct store *store;
    char ids[8][MODEL_ID_LEN];
    int count, stop_at, nested;
};

static int see(void *ctx, const struct model_device *device)
{
    struct seen *seen = ctx;
    struct model_device other;
    SET_TEXT(seen->ids[seen->count], device->id);
    seen->count++;
    seen->nested = store_device_get(seen->store, device->id, &other);
    return seen->count == seen->stop_at;
}

static void devices_are_visited_in_id_order_until_stopped(void **state)
{
    struct fixture *f = *state;
    struct model_device devices[3] = {{.id = "cc"}, {.id = "aa"}, {.id = "bb"}};
    assert_int_equal(store_save_devices(f->store, devices, 3), 0);
    struct seen seen = {.store = f->store};
    assert_int_equal(store_each_device(f->store, see, &seen), 0);
    assert_int_equal(seen.count, 3);
    assert_string_equal(seen.ids[0], "aa");
    assert_string_equal(seen.ids[2], "cc");
    assert_int_equal(seen.nested, -MOLT_STATE); /* the callback may not call back */

    struct seen two = {.store = f->store, .stop_at = 2};
    assert_int_equal(store_each_device(f->store, see, &two), 0);
    assert_int_equal(two.count, 2);
    struct model_device got;
    assert_int_equal(store_device_get(f->store, "bb", &got), 0); /* and nothing stays locked */
}

static void a_page_of_devices_has_as_many_as_were_asked_for(void **state)
{
    struct fixture *f = *state;
    struct model_device devices[4] = {{.id = "dd"}, {.id = "cc"}, {.id = "aa"}, {.id = "bb"}};
    assert_int_equal(store_save_devices(f->store, devices, 4), 0);
    struct seen page = {.store = f->store};
    assert_int_equal(store_list_devices_after(f->store, "aa", 2, see, &page), 0);
    assert_int_equal(page.count, 2);
    assert_string_equal(page.ids[0], "bb");
    assert_int_equal(store_each_device_after(f->store, page.ids[1], 2, see, &page), 0);
    assert_int_equal(page.count, 3);
    assert_string_equal(page.ids[2], "dd");
    assert_int_equal(store_each_device_after(f->store, "dd", 1, see, &page), 0);
    assert_int_equal(page.count, 3);
}

struct loaded {
    uint32_t calls, stop_at; /* 0: never */
    int64_t sum;
    const struct model_device *like;
    bool same;
};

static int take_loaded(void *ctx, const struct model_device *device)
{
    struct loaded *loaded = ctx;
    loaded->sum += device->first_seen_ms;
    if (loaded->like != NULL && strcmp(device->id, loaded->like->id) == 0)
        loaded->same = memcmp(device, loaded->like, sizeof *device) == 0;
    return ++loaded->calls == loaded->stop_at;
}

/* In a stream, of which nobody may want to see the end. */
static void all_devices_are_loaded_and_the_store_goes_on_when_few_were_wanted(void **state)
{
    struct fixture *f = *state;
    static struct model_device devices[3000];
    for (int i = 0; i < 3000; i++) {
        snprintf(devices[i].id, sizeof devices[i].id, "d%04d", i);
        devices[i].first_seen_ms = i - 1000;
        SET_TEXT(devices[i].tags, i % 2 == 0 ? "a b" : "");
    }
    assert_int_equal(store_save_devices(f->store, devices, 3000), 0);
    struct loaded all = {.like = &devices[1234]}, few = {.stop_at = 3};
    struct model_device one;
    assert_int_equal(store_load_devices(f->store, take_loaded, &few), 0);
    assert_int_equal(few.calls, 3);
    assert_int_equal(store_device_get(f->store, "d0077", &one), 0);
    assert_int_equal(one.first_seen_ms, -923);
    assert_int_equal(store_load_devices(f->store, take_loaded, &all), 0);
    assert_int_equal(all.calls, 3000);
    assert_int_equal(all.sum, 3000 * 2999 / 2 - 3000 * 1000);
    assert_true(all.same);
}

static void a_batch_of_devices_is_saved_whole_or_not_at_all(void **state)
{
    struct fixture *f = *state;
    struct model_device got, devices[2] = {{.id = "aa"}, {.id = "bb", .product_id = 99}};
    assert_int_equal(store_save_devices(f->store, devices, 2), -MOLT_ARG);
    assert_non_null(strcasestr(store_error(f->store), "foreign key"));
    assert_int_equal(store_device_get(f->store, "aa", &got), -MOLT_NOT_FOUND);

    devices[1].product_id = 0;
    memset(devices[1].core, 'x', sizeof devices[1].core);
    assert_int_equal(store_save_devices(f->store, devices, 2), -MOLT_ARG);
    assert_int_equal(store_device_get(f->store, "aa", &got), -MOLT_NOT_FOUND);
    assert_int_equal(store_save_devices(f->store, devices, 1), 0);
    assert_int_equal(store_device_get(f->store, "aa", &got), 0);
}

/* Many at once go another way on PostgreSQL; without order they may name one device twice, and the last one counts. */
static void a_large_batch_takes_the_place_of_rows_or_changes_nothing(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 100 };
    static struct model_device devices[MANY];
    struct model_device got;
    for (int round = 0; round < 3; round++) {
        memset(devices, 0, sizeof devices);
        for (int i = 0; i < MANY; i++) {
            snprintf(devices[i].id, sizeof devices[i].id, "d%03d", i + 50 * round);
            devices[i].running_code = (uint32_t)(1000 * round + i);
            SET_TEXT(devices[i].core, "caf\xC3\xA9 \xFF");
        }
        if (round == 2) devices[70].product_id = 4711; /* there is none */
        assert_int_equal(store_save_devices(f->store, devices, MANY), round == 2 ? -MOLT_ARG : 0);
    }
    assert_int_equal(store_device_get(f->store, "d049", &got), 0);
    assert_int_equal(got.running_code, 49);
    assert_int_equal(store_device_get(f->store, "d100", &got), 0);
    assert_int_equal(got.running_code, 1050);
    assert_int_equal(store_device_get(f->store, "d150", &got), -MOLT_NOT_FOUND);
    memcpy(devices[60].id, devices[10].id, sizeof devices[10].id);
    devices[70].product_id = 0;
    assert_int_equal(store_save_devices(f->store, devices, MANY), 0);
    assert_int_equal(store_device_get(f->store, devices[10].id, &got), 0);
    assert_int_equal(got.running_code, 2060);
}

static void a_deleted_device_is_gone_with_its_tokens(void **state)
{
    struct fixture *f = *state;
    struct model_device device = {.id = "aa"};
    char token[STORE_TOKEN_LEN];
    assert_int_equal(store_save_devices(f->store, &device, 1), 0);
    assert_int_equal(store_token_create(f->store, STORE_TOKEN_DEVICE, NULL, "aa", token), 0);
    assert_int_equal(store_delete_devices(f->store, (const char[][MODEL_ID_LEN]){"aa"}, 1), 0);
    assert_int_equal(store_device_get(f->store, "aa", &device), -MOLT_NOT_FOUND);
    assert_int_equal(token_check(f->store, STORE_TOKEN_DEVICE, token, "aa"), -MOLT_UNAUTHORIZED);
    assert_int_equal(store_delete_devices(f->store, (const char[][MODEL_ID_LEN]){"aa"}, 1), 0);
}

static void a_value_that_does_not_fit_its_field_is_damage(void **state)
{
    struct fixture *f = *state;
    static const char *const damage[] = {
        "flash_size = -1",
        "flash_size = 4294967296",
        "held = 2",
        "digest = substr(digest, 2)",
        "core = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'",
        "last_reason = 2147483648"};
    for (size_t i = 0; i < sizeof damage / sizeof damage[0]; i++) {
        struct model_device device = {.id = "aa"};
        char sql[160];
        assert_int_equal(store_save_devices(f->store, &device, 1), 0);
        snprintf(sql, sizeof sql, "UPDATE device SET %s", damage[i]);
        run_sql(f, sql);
        assert_int_equal(store_device_get(f->store, "aa", &device), 0);
        assert_true(device.held && device.last_reason == MOLT_STORE_FAILED);
        assert_non_null(strstr(device.last_detail, "damaged"));
    }
}

static int count_row(void *ctx, const struct model_device *device)
{
    struct model_device *last = ctx;
    assert_true(strcmp(device->id, last->id) > 0);
    *last = *device;
    return 0;
}

static void a_damaged_row_takes_no_other_with_it_and_is_held(void **state)
{
    struct fixture *f = *state;
    struct model_device devices[3] = {{.id = "aa"}, {.id = "bb", .running_code = 7}, {.id = "cc"}},
                        last = {0};
    assert_int_equal(store_save_devices(f->store, devices, 3), 0);
    run_sql(f, "UPDATE device SET flash_size = -1 WHERE id = 'bb'");
    assert_int_equal(store_each_device(f->store, count_row, &last), 0);
    assert_string_equal(last.id, "cc");
    assert_false(last.held);
    assert_int_equal(store_device_get(f->store, "bb", &last), 0);
    assert_true(last.held && last.running_code == 7 && last.flash_size == 0);
    assert_int_equal(store_save_devices(f->store, &last, 1),
                     0); /* as after its next poll: it is whole again */
    assert_int_equal(store_device_get(f->store, "bb", &last), 0);
}

/* PostgreSQL keeps no other text than UTF-8, and no NUL. */
static void a_text_that_is_no_utf_8_loses_nothing_but_its_bad_bytes(void **state)
{
    struct fixture *f = *state;
    struct model_device device = {.id = "aa", .core = "a\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80"}, got;
    assert_int_equal(store_save_devices(f->store, &device, 1), 0);
    assert_int_equal(store_device_get(f->store, "aa", &got), 0);
    assert_string_equal(got.core, device.core);
    SET_TEXT(device.core, "a\xFF\xC3 \xC0\x80\xED\xA0\x80\xF5 b\xE2\x82");
    assert_int_equal(store_save_devices(f->store, &device, 1), 0);
    assert_int_equal(store_device_get(f->store, "aa", &got), 0);
    assert_string_equal(got.core, on_postgres() ? "a?? ?????? b??" : device.core);
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 25 };

struct worker {
    struct store *store;
    int number, failures;
};

static void work_round(struct worker *worker, uint32_t round)
{
    struct store *store = worker->store;
    struct store_rules rules;
    struct model_device device = {0}, got;
    struct model_image image = {.chip = MOLT_CHIP_ESP8266};
    char name[16], content[32];
    snprintf(name, sizeof name, "product%d", worker->number);
    snprintf(content, sizeof content, "%s", round % 2 == 0 ? "shared" : name);
    int64_t id;
    int rc = store_artifact_put(store, content, strlen(content), &image.raw);
    if (rc == 0) rc = store_publish(store, name, content, round, "stable", false, &image, &id);
    snprintf(device.id, sizeof device.id, "%d-%u", worker->number, round);
    device.running_code = round;
    if (rc == 0) rc = store_save_devices(store, &device, 1);
    if (rc == 0) rc = store_device_get(store, device.id, &got);
    if (rc == 0 && got.running_code != round) rc = -1;
    if (rc == 0) rc = store_load_rules(store, &rules);
    if (rc == 0) store_free_rules(&rules);
    if (rc != 0) worker->failures++;
}

static void *work(void *ctx)
{
    for (uint32_t round = 1; round <= ROUNDS; round++)
        work_round(ctx, round);
    return NULL;
}

static void threads_share_a_store_and_lose_nothing(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.store = f->store, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].failures, 0);
    }
    struct store_rules rules;
    reopen(f);
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    assert_int_equal(rules.product_count, THREADS);
    assert_int_equal(rules.release_count, THREADS * ROUNDS);
    assert_int_equal(rules.generation, 1 + THREADS * ROUNDS);
    store_free_rules(&rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_store_is_empty_and_its_folder_private),
        TEST(a_missing_store_is_not_made_unless_asked),
        TEST(a_second_opener_is_refused_and_told_the_pid),
        TEST(a_newer_schema_is_refused_and_left_alone),
        TEST(every_field_of_a_device_comes_back),
        TEST(devices_are_visited_in_id_order_until_stopped),
        TEST(a_page_of_devices_has_as_many_as_were_asked_for),
        TEST(all_devices_are_loaded_and_the_store_goes_on_when_few_were_wanted),
        TEST(a_batch_of_devices_is_saved_whole_or_not_at_all),
        TEST(a_large_batch_takes_the_place_of_rows_or_changes_nothing),
        TEST(a_deleted_device_is_gone_with_its_tokens),
        TEST(a_value_that_does_not_fit_its_field_is_damage),
        TEST(a_damaged_row_takes_no_other_with_it_and_is_held),
        TEST(a_text_that_is_no_utf_8_loses_nothing_but_its_bad_bytes),
        TEST(threads_share_a_store_and_lose_nothing),
    };
    const struct CMUnitTest of_sqlite[] = {
        TEST(a_database_of_version_1_keeps_all_it_holds),
        TEST(a_device_of_version_5_has_the_result_of_its_last_attempt),
        TEST(a_foreign_or_damaged_database_is_refused),
    };
    return RUN_TESTS(tests, of_sqlite);
}
