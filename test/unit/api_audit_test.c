/* api_audit_test.c - what the audit log says of calls: who, from where, what, with which result; and never a secret. */
#include "cmocka_all.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/api/call.h"
#include "unit/store_fixture.h"

#define PASSWORD "correct horse battery"

static struct {
    struct fixture *store;
    struct api api;
    char token[STORE_TOKEN_LEN];
    int heard;
} f;

static void on_audited(void *ctx, const struct store_audit *entry)
{
    (void)ctx;
    assert_int_equal(entry->seq, ++f.heard);
}

static int open_api(void **state)
{
    memset(&f, 0, sizeof f);
    set_up(state);
    f.store = *state;
    f.api = (struct api){.store = f.store->store, .sessions = true, .hooks.audited = on_audited};
    struct model_image image = image_of(f.store->store, "x");
    publish(f.store->store, "lamp", 3, &image);
    publish(f.store->store, "other", 3, &image);
    assert_int_equal(store_token_create(f.store->store, STORE_TOKEN_ADMIN, "", NULL, f.token), 0);
    return 0;
}

static int close_api(void **state)
{
    return tear_down(state);
}

static int ask(const char *token, const char *method, const char *path, const char *query, const char *body)
{
    struct api_response response;
    const struct api_request request = {.method = method,
                                        .path = path,
                                        .query = query,
                                        .token = token,
                                        .from = token != NULL ? "10.0.0.7" : NULL,
                                        .trusted = token == NULL,
                                        .body = body,
                                        .body_len = strlen(body)};
    api_handle(&f.api, &request, &response);
    free(response.body);
    return response.status;
}

static int take(void *ctx, const struct store_audit *entry)
{
    *(struct store_audit *)ctx = *entry;
    return 1;
}

static struct store_audit last(void)
{
    struct store_audit entry = {.seq = 0};
    assert_int_equal(store_each_audit_before(f.api.store, INT64_MAX, take, &entry), 0);
    return entry;
}

static void a_change_is_noted_with_who_from_where_and_what(void **state)
{
    (void)state;
    char name[WHO_NAME_LEN];
    struct store_token token;
    assert_int_equal(store_token_find(f.api.store, f.token, &token), 0);
    snprintf(name, sizeof name, "token %s", token.id);
    assert_int_equal(ask(f.token, "PATCH", "/api/v1/products/lamp", "", "{\"stopped\":true}"), 200);
    struct store_audit entry = last();
    assert_int_equal(entry.seq, 1);
    assert_string_equal(entry.who, name);
    assert_string_equal(entry.from, "10.0.0.7");
    assert_string_equal(entry.action, "PATCH /products/lamp");
    assert_string_equal(entry.product, "lamp");
    assert_string_equal(entry.detail, "{\"stopped\":true}");
    assert_int_equal(entry.status, 200);
    assert_string_equal(entry.reason, "");
    assert_int_equal(ask(NULL, "POST", "/api/v1/users", "", "{\"name\":\"anna\"}"), 201);
    entry = last();
    assert_string_equal(entry.who, "local");
    assert_string_equal(entry.from, "command line");
    assert_string_equal(entry.detail, "{\"name\":\"anna\"} -> name \"anna\"");
    assert_int_equal(f.heard, 2);
}

static void what_is_refused_is_noted_too(void **state)
{
    (void)state;
    char viewer[STORE_TOKEN_LEN];
    const struct store_token order = {.kind = STORE_TOKEN_ADMIN, .roles = STORE_ROLE_VIEWER};
    assert_int_equal(store_token_make(f.api.store, &order, viewer), 0);
    assert_int_equal(ask(viewer, "PATCH", "/api/v1/products/lamp", "", "{\"stopped\":true}"), 403);
    struct store_audit entry = last();
    assert_int_equal(entry.status, 403);
    assert_string_equal(entry.reason, "forbidden");
    assert_int_equal(ask(NULL, "DELETE", "/api/v1/users/nobody", "", ""), 404);
    assert_string_equal(last().reason, "not-found");
    assert_int_equal(ask(NULL, "PATCH", "/api/v1/products/lamp", "", "{\"stopped\""), 400);
    assert_string_equal(last().detail, "a body that is no JSON");
}

static void looking_is_not_noted(void **state)
{
    (void)state;
    assert_int_equal(ask(NULL, "GET", "/api/v1/releases", "", ""), 200);
    assert_int_equal(ask(NULL, "POST", "/api/v1/inspect", "", "x"), 200);
    assert_int_equal(ask("molt_wrong", "PATCH", "/api/v1/products/lamp", "", "{}"),
                     401); /* of nobody known */
    assert_int_equal(last().seq, 0);
}

static void secrets_are_left_out(void **state)
{
    (void)state;
    char kept[4096] = "";
    struct store_audit entry;
    assert_int_equal(
        ask(NULL, "POST", "/api/v1/users", "", "{\"name\":\"anna\",\"password\":\"" PASSWORD "\"}"), 201);
    entry = last();
    assert_string_equal(entry.detail, "{\"name\":\"anna\",\"password\":\"***\"} -> name \"anna\"");
    assert_int_equal(ask(NULL, "POST", "/api/v1/tokens", "", "{\"label\":\"ci\"}"), 201);
    entry = last();
    assert_null(strstr(entry.detail, "molt_"));
    assert_non_null(strstr(entry.detail, " -> id \""));
    const struct api_request door = {
        .method = "POST",
        .path = "/api/v1/session",
        .query = "",
        .from = "10.0.0.7",
        .body = "{\"name\":\"anna\",\"password\":\"a wrong secret\",\"code\":\"123456\"}",
        .body_len = 59};
    struct api_response response;
    api_handle(&f.api, &door, &response);
    assert_int_equal(response.status, 401);
    free(response.body);
    entry = last();
    assert_string_equal(entry.who, "user anna");
    assert_string_equal(entry.reason, "wrong-password");
    snprintf(kept, sizeof kept, "%s", entry.detail);
    assert_null(strstr(kept, "secret"));
    assert_null(strstr(kept, "123456"));
    const struct api_request stranger = {.method = "POST",
                                         .path = "/api/v1/session",
                                         .query = "",
                                         .from = "10.0.0.7",
                                         .body = "{\"name\":\"carl\",\"password\":\"x\"}",
                                         .body_len = 30};
    const int64_t seq = entry.seq;
    api_handle(&f.api, &stranger, &response);
    free(response.body);
    assert_int_equal(last().seq, seq); /* so nobody fills the log with names */
}

static void files_are_named_by_their_digest(void **state)
{
    (void)state;
    assert_int_equal(ask(NULL, "POST", "/api/v1/releases", "product=lamp&version=9", "no firmware"), 422);
    struct store_audit entry = last();
    assert_string_equal(entry.product, "lamp");
    assert_string_equal(entry.detail, "product=lamp version=9 11 bytes, sha256 "
                                      "b5316af67c9a59b645c65b8729080d4b1d35d8dffaba772ca23cc30b2850c956");
}

static json_t *get(const char *token, const char *path, const char *query)
{
    struct api_response response;
    const struct api_request request = {
        .method = "GET", .path = path, .query = query, .token = token, .trusted = token == NULL};
    api_handle(&f.api, &request, &response);
    assert_int_equal(response.status, 200);
    json_t *json = json_loadb(response.body, response.body_len, 0, NULL);
    free(response.body);
    return json;
}

static size_t count(const char *token, const char *query)
{
    json_t *json = get(token, "/api/v1/audit", query);
    size_t n = json_array_size(json_object_get(json, "entries"));
    json_decref(json);
    return n;
}

static void it_is_listed_by_pages_and_by_what_one_looks_for(void **state)
{
    (void)state;
    char admin[STORE_TOKEN_LEN];
    struct model_product lamp;
    assert_int_equal(store_product_find(f.api.store, "lamp", &lamp), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(ask(f.token, "PATCH", "/api/v1/products/lamp", "", "{\"stopped\":true}"), 200);
    assert_int_equal(ask(NULL, "PATCH", "/api/v1/products/other", "", "{\"stopped\":true}"), 200);
    assert_int_equal(count(NULL, ""), 5);
    assert_int_equal(count(NULL, "who=local"), 1);
    assert_int_equal(count(NULL, "product=lamp"), 4);
    assert_int_equal(count(NULL, "q=10.0.0"), 4);
    assert_int_equal(count(NULL, "after=3"), 2);
    json_t *page = get(NULL, "/api/v1/audit", "limit=2");
    assert_int_equal(
        json_integer_value(json_object_get(json_array_get(json_object_get(page, "entries"), 0), "seq")), 5);
    assert_int_equal(json_integer_value(json_object_get(page, "next")), 4);
    json_decref(page);
    page = get(NULL, "/api/v1/audit", "limit=3&before=4");
    assert_true(json_is_null(json_object_get(page, "next")));
    json_decref(page);
    const struct store_token order = {
        .kind = STORE_TOKEN_ADMIN, .roles = STORE_ROLE_ADMIN, .product_id = lamp.id};
    assert_int_equal(store_token_make(f.api.store, &order, admin), 0);
    assert_int_equal(count(admin, ""), 4); /* the admin of one product sees what is about it */
    page = get(NULL, "/api/v1/audit/verify", "");
    assert_true(json_is_true(json_object_get(page, "good")));
    assert_int_equal(json_integer_value(json_object_get(page, "entries")), 5);
    json_decref(page);
    assert_int_equal(ask(NULL, "GET", "/api/v1/audit/verify", "expect=5", ""), 400);
    assert_int_equal(ask(NULL, "GET", "/api/v1/audit", "after=1&before=3", ""), 400);
}

/* ---- a kill between doing and noting ---- */

static void die(void *ctx)
{
    (void)ctx;
    _exit(9);
}

static bool lamp_is_stopped(void)
{
    struct store_rules rules;
    bool stopped = false;
    assert_int_equal(store_load_rules(f.api.store, &rules), 0);
    for (size_t i = 0; i < rules.product_count; i++)
        stopped = stopped || (strcmp(rules.products[i].name, "lamp") == 0 && rules.products[i].stopped);
    store_free_rules(&rules);
    return stopped;
}

/* The change is durable when the hook is called, and nothing was answered or noted: the worst moment. */
static void what_was_done_and_not_answered_is_in_the_log_after_a_kill(void **state)
{
    (void)state;
    int status;
    struct store_audit_verdict verdict;
    store_close(f.store->store);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (fixture_open(f.store, false, NULL, 0) != 0) _exit(1);
        f.api.store = f.store->store;
        f.api.hooks.rules_changed = die;
        (void)ask(f.token, "PATCH", "/api/v1/products/lamp", "", "{\"stopped\":true}");
        _exit(2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 9);
    if (on_postgres()) run_sql(f.store, "UPDATE audit_open SET at_ms = 1"); /* a quarter of an hour ago */
    assert_int_equal(fixture_open(f.store, false, NULL, 0), 0);
    f.api.store = f.store->store;
    assert_true(lamp_is_stopped()); /* it was done */
    const struct store_audit entry = last();
    assert_int_equal(entry.status, STORE_AUDIT_UNKNOWN);
    assert_string_equal(entry.action, "PATCH /products/lamp");
    assert_string_equal(entry.from, "10.0.0.7");
    assert_non_null(strstr(entry.detail, "{\"stopped\":true}"));
    reopen(f.store);
    f.api.store = f.store->store;
    assert_int_equal(last().seq, entry.seq); /* once */
    assert_int_equal(store_audit_verify(f.api.store, NULL, &verdict), 0);
    assert_int_equal(verdict.bad_seq, 0);
}

/* Without a note nothing is done. */
static void what_cannot_be_noted_is_not_done(void **state)
{
    (void)state;
    run_sql(f.store, "DROP TABLE audit_open");
    assert_int_equal(ask(f.token, "PATCH", "/api/v1/products/lamp", "", "{\"stopped\":true}"), 503);
    assert_false(lamp_is_stopped());
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, open_api, close_api)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(a_change_is_noted_with_who_from_where_and_what),
        API_TEST(what_is_refused_is_noted_too),
        API_TEST(looking_is_not_noted),
        API_TEST(secrets_are_left_out),
        API_TEST(files_are_named_by_their_digest),
        API_TEST(what_was_done_and_not_answered_is_in_the_log_after_a_kill),
        API_TEST(what_cannot_be_noted_is_not_done),
        API_TEST(it_is_listed_by_pages_and_by_what_one_looks_for),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
