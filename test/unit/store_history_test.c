/* store_history_test.c - the last ends of attempts and the last lines of a device are kept, in bounds, and go with it. */
#include "store_fixture.h"

struct seen {
    struct model_attempt_end ends[STORE_ATTEMPTS_MAX + 1];
    uint32_t count;
};

static int take(void *ctx, const struct model_attempt_end *end)
{
    struct seen *seen = ctx;
    assert_true(seen->count <= STORE_ATTEMPTS_MAX);
    seen->ends[seen->count++] = *end;
    return 0;
}

static struct model_attempt_end end_of(const char *id, int64_t ms)
{
    struct model_attempt_end end = {.ended_ms = ms,
                                    .release_id = 4,
                                    .code = 7,
                                    .from_code = 6,
                                    .rollout_id = 2,
                                    .result = MODEL_ATTEMPT_ROLLED_BACK,
                                    .reason = MOLT_CRASHED,
                                    .bytes = 400000,
                                    .verified = true};
    SET_TEXT(end.device_id, id);
    return end;
}

/* As the server does: into the log of results, and from there into rows. */
static int add_ends(struct store *store, const struct model_attempt_end *ends, size_t count)
{
    struct model_device devices[3] = {0};
    int64_t last;
    for (size_t i = 0; i < count; i++)
        memcpy(devices[i].id, ends[i].device_id, sizeof devices[i].id);
    int rc = store_append_results(store, devices, ends, count, &last);
    return rc == 0 ? store_fold_results(store, last) : rc;
}

static void assert_same(const struct model_attempt_end *a, const struct model_attempt_end *b)
{
    assert_string_equal(a->device_id, b->device_id);
    assert_true(a->ended_ms == b->ended_ms && a->release_id == b->release_id && a->code == b->code);
    assert_true(a->from_code == b->from_code && a->rollout_id == b->rollout_id && a->result == b->result);
    assert_true(a->reason == b->reason && a->bytes == b->bytes && a->verified == b->verified);
}

static void every_field_of_an_end_is_kept_the_last_first(void **state)
{
    struct fixture *f = *state;
    struct model_attempt_end ends[3] = {end_of("a", 1), end_of("b", 2), end_of("a", 3)};
    struct seen seen = {.count = 0};
    assert_int_equal(add_ends(f->store, ends, 3), 0);
    reopen(f);
    assert_int_equal(store_each_attempt(f->store, "a", take, &seen), 0);
    assert_int_equal(seen.count, 2);
    assert_same(&seen.ends[0], &ends[2]);
    assert_same(&seen.ends[1], &ends[0]);
}

static void only_the_last_ends_stay(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {.count = 0};
    struct model_attempt_end other = end_of("b", 1);
    assert_int_equal(add_ends(f->store, &other, 1), 0);
    for (int64_t ms = 1; ms <= 100; ms++) {
        struct model_attempt_end end = end_of("a", ms);
        assert_int_equal(add_ends(f->store, &end, 1), 0);
    }
    assert_int_equal(store_each_attempt(f->store, "a", take, &seen), 0);
    assert_int_equal(seen.count, STORE_ATTEMPTS_MAX);
    assert_int_equal(seen.ends[0].ended_ms, 100);
    seen.count = 0;
    assert_int_equal(store_each_attempt(f->store, "b", take, &seen), 0);
    assert_int_equal(seen.count, 1);
}

static int log_append(struct store *store, const char *lines, int64_t at_ms)
{
    return store_log_append(store, &(struct store_lines){"a", lines, at_ms}, 1);
}

static void the_last_lines_stay_whole(void **state)
{
    struct fixture *f = *state;
    char text[STORE_LOG_LEN], line[64], huge[2 * STORE_LOG_LEN];
    int64_t ms;
    assert_int_equal(store_log_read(f->store, "a", text, &ms), 0);
    assert_string_equal(text, "");
    for (int i = 0; i < 2000; i++) {
        snprintf(line, sizeof line, "line %d of what it says\n", i);
        assert_int_equal(log_append(f->store, line, 1000 + i), 0);
    }
    assert_int_equal(store_log_read(f->store, "a", text, &ms), 0);
    assert_int_equal(ms, 2999);
    assert_true(strlen(text) > STORE_LOG_LEN - 64);
    assert_memory_equal(text, "line ", 5);
    assert_non_null(strstr(text, "line 1999 of what it says\n"));
    memset(huge, 'x', sizeof huge);
    huge[sizeof huge - 1] = '\0';
    assert_int_equal(log_append(f->store, huge, 5000), 0);
    assert_int_equal(store_log_read(f->store, "a", text, &ms), 0);
    assert_int_equal(strlen(text), STORE_LOG_LEN - 1);
}

static void they_go_with_the_device(void **state)
{
    struct fixture *f = *state;
    struct model_device device = {.id = "a"};
    struct model_attempt_end end = end_of("a", 1);
    struct seen seen = {.count = 0};
    char text[STORE_LOG_LEN];
    int64_t ms;
    assert_int_equal(store_save_devices(f->store, &device, 1), 0);
    assert_int_equal(add_ends(f->store, &end, 1), 0);
    assert_int_equal(log_append(f->store, "here\n", 1), 0);
    assert_int_equal(store_delete_devices(f->store, (const char[][MODEL_ID_LEN]){"a"}, 1), 0);
    assert_int_equal(store_each_attempt(f->store, "a", take, &seen), 0);
    assert_int_equal(store_log_read(f->store, "a", text, &ms), 0);
    assert_int_equal(seen.count, 0);
    assert_string_equal(text, "");
}

static void a_token_says_whose_it_is(void **state)
{
    struct fixture *f = *state;
    struct model_image image = image_of(f->store, "x");
    struct model_product product;
    struct store_token found;
    char token[STORE_TOKEN_LEN];
    publish(f->store, "door", 1, &image);
    assert_int_equal(store_product_find(f->store, "door", &product), 0);
    assert_int_equal(store_token_create_for(f->store, STORE_TOKEN_GATEWAY, "hall", NULL, product.id, token),
                     0);
    assert_int_equal(store_token_find(f->store, token, &found), 0);
    assert_int_equal(found.kind, STORE_TOKEN_GATEWAY);
    assert_int_equal(found.product_id, product.id);
    assert_string_equal(found.label, "hall");
    assert_int_equal(token_check(f->store, STORE_TOKEN_DEVICE, token, ""), -MOLT_UNAUTHORIZED);
    assert_int_equal(token_check(f->store, STORE_TOKEN_ADMIN, token, NULL), -MOLT_UNAUTHORIZED);
    assert_int_equal(store_token_create_for(f->store, STORE_TOKEN_ENROL, "", NULL, 0, token), -MOLT_ARG);
    assert_int_equal(store_token_create_for(f->store, STORE_TOKEN_DEVICE, "", "a", product.id, token),
                     -MOLT_ARG);
    assert_int_equal(store_token_create_for(f->store, STORE_TOKEN_ENROL, "", NULL, 99, token), -MOLT_ARG);
    token[8] = token[8] == 'a' ? 'b' : 'a';
    assert_int_equal(store_token_find(f->store, token, &found), -MOLT_UNAUTHORIZED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_field_of_an_end_is_kept_the_last_first),
        TEST(only_the_last_ends_stay),
        TEST(the_last_lines_stay_whole),
        TEST(they_go_with_the_device),
        TEST(a_token_says_whose_it_is),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
