/* store_copy_test.c - a store goes from PostgreSQL to SQLite and on to another PostgreSQL and arrives whole; a copy that does not is
 * refused; a check finds what is damaged. */
#include "store_fixture.h"

#include <fcntl.h>

enum { DEVICES = 2500 };

static void fill(struct fixture *f)
{
    static struct model_device devices[DEVICES];
    char token[STORE_TOKEN_LEN];
    uint8_t key[STORE_KEY_LEN] = {7};
    struct model_image a = image_of(f->store, "a"), b = image_of(f->store, "b");
    int64_t release = publish(f->store, "door", 1, &a), last;
    publish(f->store, "door", 2, &b);
    struct model_rollout rollout = {.release_id = release, .status = MODEL_ROLLOUT_RUNNING, .phase_count = 2};
    SET_TEXT(rollout.window, "01:00-04:00");
    assert_int_equal(store_rollout_create(f->store, &rollout), 0);
    assert_int_equal(store_trust_add(f->store, "door", STORE_TRUST_SIGNER, key), 0);
    assert_int_equal(store_token_create(f->store, STORE_TOKEN_ADMIN, "laptop", NULL, token), 0);
    for (int i = 0; i < DEVICES; i++) {
        snprintf(devices[i].id, sizeof devices[i].id, "d%04d", i);
        devices[i].running_code = (uint32_t)i;
        devices[i].first_seen_ms = -i;
        SET_TEXT(devices[i].core, i % 2 == 0 ? "\xC3\xA4 'quoted' \"name\"" : "");
    }
    assert_int_equal(store_save_devices(f->store, devices, DEVICES), 0);
    struct model_attempt_end end = {.device_id = "d0001", .ended_ms = 5, .result = MODEL_ATTEMPT_FAILED};
    assert_int_equal(store_append_results(f->store, &devices[1], &end, 1, &last), 0);
}

static int compare_device(void *ctx, const struct model_device *device)
{
    int *next = ctx;
    char id[MODEL_ID_LEN];
    snprintf(id, sizeof id, "d%04d", *next);
    assert_string_equal(device->id, id);
    assert_int_equal(device->running_code, *next);
    assert_int_equal(device->first_seen_ms, -*next);
    assert_string_equal(device->core, *next % 2 == 0 ? "\xC3\xA4 'quoted' \"name\"" : "");
    ++*next;
    return 0;
}

static int count_end(void *ctx, const struct model_attempt_end *end)
{
    (void)end;
    ++*(int *)ctx;
    return 0;
}

static int count_token(void *ctx, const struct store_token *token)
{
    assert_string_equal(token->label, "laptop");
    ++*(int *)ctx;
    return 0;
}

/* What fill() put in, and the generation that it came to. */
static void check_content(struct store *store, uint64_t wanted_generation)
{
    struct store_rules rules;
    uint8_t keys[STORE_TRUST_MAX][STORE_KEY_LEN];
    uint32_t key_count;
    int devices = 0, ends = 0, tokens = 0;
    assert_int_equal(store_load_rules(store, &rules), 0);
    assert_int_equal(rules.generation, wanted_generation);
    assert_int_equal(rules.release_count, 2);
    assert_int_equal(rules.releases[0].image_count, 1);
    assert_int_equal(rules.rollout_count, 1);
    assert_int_equal(rules.rollouts[0].phase_count, 2);
    assert_string_equal(rules.rollouts[0].window, "01:00-04:00");
    store_free_rules(&rules);
    assert_int_equal(store_each_device(store, compare_device, &devices), 0);
    assert_int_equal(devices, DEVICES);
    assert_int_equal(store_each_attempt(store, "d0001", count_end, &ends), 0);
    assert_int_equal(ends, 1); /* was in the log, and was folded by the one who opened the copy */
    assert_int_equal(store_each_token(store, count_token, &tokens), 0);
    assert_int_equal(tokens, 1);
    assert_int_equal(store_trust_list(store, "door", STORE_TRUST_SIGNER, keys, &key_count), 0);
    assert_int_equal(key_count, 1);
}

static void print_problem(void *ctx, const char *text)
{
    snprintf(ctx, 400, "%s", text);
}

static struct store *open_at(const char *data_dir, const char *url, bool create)
{
    const struct store_place place = {.data_dir = data_dir, .url = url, .create = create};
    struct store *store;
    char err[256];
    if (store_open_place(&place, &store, err, sizeof err) != 0) fail_msg("%s", err);
    return store;
}

static void a_store_goes_from_database_to_database(void **state)
{
    struct fixture *f = *state;
    struct temp_dir folder, third;
    struct store_copied copied;
    struct store_checked checked;
    char url[320], problem[400];
    fill(f);
    uint64_t before = generation(f->store);
    temp_dir_make(&folder);
    temp_dir_make(&third);
    struct store *sqlite = open_at(folder.path, NULL, true);
    if (store_copy(f->store, sqlite, &copied) != 0) fail_msg("%s", store_error(sqlite));
    assert_int_equal(copied.devices, DEVICES);
    assert_int_equal(copied.artifacts, 2);
    assert_int_equal(store_copy(f->store, sqlite, &copied), -MOLT_STATE);
    store_close(sqlite);
    sqlite = open_at(folder.path, NULL, false);
    check_content(sqlite, before);
    store_check(sqlite, print_problem, problem, &checked);
    assert_int_equal(checked.problems, 0);
    assert_int_equal(checked.artifacts, 2);
    assert_int_equal(checked.devices, DEVICES);

    postgres_url(&fixture_cluster, "second", url, sizeof url);
    struct store *second = open_at(third.path, url, true);
    if (store_copy(sqlite, second, &copied) != 0) fail_msg("%s", store_error(second));
    store_close(second);
    store_close(sqlite);
    second = open_at(third.path, url, false);
    check_content(second, before);
    struct model_image image = image_of(second, "c");
    publish(second, "door", 3, &image); /* its ids are above those that came */
    store_close(second);
    temp_dir_remove(&folder);
    temp_dir_remove(&third);
}

static void a_copy_that_does_not_arrive_as_it_left_is_undone(void **state)
{
    struct fixture *f = *state;
    struct temp_dir folder;
    struct store_copied copied;
    struct model_device device;
    char url[320];
    fill(f);
    temp_dir_make(&folder);
    postgres_url(&fixture_cluster, "bad", url, sizeof url);
    struct store *bad = open_at(folder.path, url, true);
    postgres_run(&fixture_cluster, "bad",
                 "CREATE FUNCTION lose() RETURNS trigger AS $$ BEGIN"
                 " IF NEW.id = 'd0077' THEN NEW.core = 'x'; END IF; RETURN NEW; END $$ LANGUAGE plpgsql;"
                 "CREATE TRIGGER lose BEFORE INSERT ON device FOR EACH ROW EXECUTE FUNCTION lose()");
    assert_int_equal(store_copy(f->store, bad, &copied), -MOLT_STORE_FAILED);
    assert_non_null(strstr(store_error(bad), "device"));
    assert_int_equal(store_device_get(bad, "d0001", &device), -MOLT_NOT_FOUND);
    store_close(bad);
    temp_dir_remove(&folder);
}

static void a_check_names_what_is_damaged(void **state)
{
    struct fixture *f = *state;
    struct store_checked checked;
    char problem[400] = "", path[160];
    struct store_rules rules;
    fill(f);
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    const uint8_t *sha256 = rules.releases[0].images[0].raw.sha256;
    int at = snprintf(path, sizeof path, "%s/artifacts/%02x/", f->dir.path, sha256[0]);
    for (int i = 0; i < 32; i++)
        at += snprintf(path + at, sizeof path - (size_t)at, "%02x", sha256[i]);
    store_free_rules(&rules);
    int fd = open(path, O_WRONLY);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
    store_check(f->store, print_problem, problem, &checked);
    assert_int_equal(checked.problems, 1);
    assert_non_null(strstr(problem, "damaged"));
    run_sql(f, "UPDATE device SET flash_size = -1 WHERE id = 'd0003'");
    assert_int_equal(unlink(path), 0);
    store_check(f->store, print_problem, problem, &checked);
    if (checked.problems != 2) fail_msg("%s", problem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_store_goes_from_database_to_database),
        TEST(a_copy_that_does_not_arrive_as_it_left_is_undone),
        TEST(a_check_names_what_is_damaged),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
