/* enumeration_test.c - who may not speak for a device learns nothing of it: the answers are the same (enrol_test.sh compares them
 * byte by byte), and so is the work behind them, counted: the table of devices is not asked at all, the store for the token alone.
 * The linker puts the counters below in the way of the real functions (--wrap). */
#include "cmocka_all.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "serve_case.h"
#include "server/devices.h"

static atomic_uint looks, tokens;

int __real_devices_visit(struct devices *devices, const char *id, const char *address, int64_t now_ms,
                         devices_visitor visit, void *ctx);
int __real_devices_visit_unless_known(struct devices *devices, const char *id, const char *address,
                                      int64_t now_ms, struct devices_memo *memo, devices_visitor visit,
                                      void *ctx);
int __real_devices_peek(struct devices *devices, const char *id, devices_visitor visit, void *ctx);
int __real_devices_rehearse(struct devices *devices, const char *id, const char *address, int64_t now_ms,
                            devices_visitor visit, void *ctx);
int __real_store_device_get(struct store *store, const char *id, struct model_device *out);
int __real_store_token_find(struct store *store, const char *token, struct store_token *out);

int __wrap_devices_visit(struct devices *devices, const char *id, const char *address, int64_t now_ms,
                         devices_visitor visit, void *ctx);
int __wrap_devices_visit_unless_known(struct devices *devices, const char *id, const char *address,
                                      int64_t now_ms, struct devices_memo *memo, devices_visitor visit,
                                      void *ctx);
int __wrap_devices_peek(struct devices *devices, const char *id, devices_visitor visit, void *ctx);
int __wrap_devices_rehearse(struct devices *devices, const char *id, const char *address, int64_t now_ms,
                            devices_visitor visit, void *ctx);
int __wrap_store_device_get(struct store *store, const char *id, struct model_device *out);
int __wrap_store_token_find(struct store *store, const char *token, struct store_token *out);

int __wrap_devices_visit(struct devices *devices, const char *id, const char *address, int64_t now_ms,
                         devices_visitor visit, void *ctx)
{
    atomic_fetch_add(&looks, 1);
    return __real_devices_visit(devices, id, address, now_ms, visit, ctx);
}

int __wrap_devices_visit_unless_known(struct devices *devices, const char *id, const char *address,
                                      int64_t now_ms, struct devices_memo *memo, devices_visitor visit,
                                      void *ctx)
{
    atomic_fetch_add(&looks, 1);
    return __real_devices_visit_unless_known(devices, id, address, now_ms, memo, visit, ctx);
}

int __wrap_devices_peek(struct devices *devices, const char *id, devices_visitor visit, void *ctx)
{
    atomic_fetch_add(&looks, 1);
    return __real_devices_peek(devices, id, visit, ctx);
}

int __wrap_devices_rehearse(struct devices *devices, const char *id, const char *address, int64_t now_ms,
                            devices_visitor visit, void *ctx)
{
    atomic_fetch_add(&looks, 1);
    return __real_devices_rehearse(devices, id, address, now_ms, visit, ctx);
}

int __wrap_store_device_get(struct store *store, const char *id, struct model_device *out)
{
    atomic_fetch_add(&looks, 1);
    return __real_store_device_get(store, id, out);
}

int __wrap_store_token_find(struct store *store, const char *token, struct store_token *out)
{
    atomic_fetch_add(&tokens, 1);
    return __real_store_token_find(store, token, out);
}

/* ---- */

static const char *const paths[] = {
    "/%s.version",
    "/%s.bin",
    "/%s.json",
    "/p/lamp/%s.version",
    "/molt-doctor/%s.version",
    "/DEFAULT/controller/v1/%s",
    "/DEFAULT/controller/v1/%s/deploymentBase/1",
    "/molt/v1/artifact/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef?id=%s",
};

/* The status; the counters are those of this request. */
static int ask(const struct serve_case *c, const char *prefix, const char *pattern, const char *id)
{
    char path[200], request[320];
    struct reply reply;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(path, sizeof path, pattern, id);
#pragma GCC diagnostic pop
    (void)snprintf(request, sizeof request, "GET %s%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                   prefix, path);
    atomic_store(&looks, 0);
    atomic_store(&tokens, 0);
    raw_ask(c->port, request, &reply);
    reply_free(&reply);
    return reply.status;
}

static void a_device_that_is_there_costs_a_stranger_what_one_costs_that_is_not(void **state)
{
    static struct serve_case c;
    static const char *const ids[] = {"5CCF7F000001", "5CCF7F000002"}; /* the first one is known */
    static const char known[] = "{}";
    struct reply reply;
    (void)state;
    serve_case_make(&c);
    c.options.enrol = SKINS_ENROL_TOKEN;
    serve_case_start(&c);
    assert_int_equal(api_ask(&c, "PUT", "/api/v1/devices/5ccf7f000001", known, sizeof known - 1, &reply),
                     200);
    reply_free(&reply);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        for (int wrong = 0; wrong < 2; wrong++) {
            for (int k = 0; k < 2; k++) {
                char prefix[40] = "";
                /* a wrong token is remembered for a while: another one each time */
                if (wrong != 0) snprintf(prefix, sizeof prefix, "/k/molt_%zu_%d", i, k);
                const int status = ask(&c, prefix, paths[i], ids[k]);
                if (status != 401 && status != 403) fail_msg("%s of %s: %d", paths[i], ids[k], status);
                if (atomic_load(&looks) != 0) fail_msg("%s looks for %s", paths[i], ids[k]);
                if (atomic_load(&tokens) != (unsigned)wrong)
                    fail_msg("%s of %s asks for %u tokens", paths[i], ids[k], atomic_load(&tokens));
            }
        }
    }
    serve_case_stop(&c);
    c.options.enrol = SKINS_ENROL_OPEN; /* the counters count */
    serve_case_start(&c);
    (void)ask(&c, "", paths[0], ids[0]);
    assert_true(atomic_load(&looks) > 0);
    serve_case_stop(&c);
    serve_case_remove(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_that_is_there_costs_a_stranger_what_one_costs_that_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
