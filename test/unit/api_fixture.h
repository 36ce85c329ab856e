/* api_fixture.h - the API on a real store in a temporary folder, hooks that count, and requests: for the tests of the API. */
#ifndef MOLT_TEST_API_FIXTURE_H
#define MOLT_TEST_API_FIXTURE_H

#include "cmocka_all.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/image_build.h"
#include "server/api/api.h"
#include "temp_dir.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_api, close_api)

static struct {
    struct temp_dir dir;
    struct api api;
    int rules_changed, device_changed, flushed, crossings;
    bool unwritable; /* what is in memory does not come to the store */
    char changed_id[MODEL_ID_LEN];
} f;

static inline void on_rules(void *ctx)
{
    (void)ctx;
    f.rules_changed++;
}

/* Like a server whose own write of the device crosses the change, f.crossings times. */
static inline void on_device(void *ctx, const char *id)
{
    (void)ctx;
    f.device_changed++;
    struct model_device old = {.last_reason = MOLT_NOT_ASSIGNED};
    if (f.crossings > 0) {
        f.crossings--;
        snprintf(old.id, sizeof old.id, "%s", id);
        assert_int_equal(store_save_devices(f.api.store, &old, 1), 0);
    }
    snprintf(f.changed_id, sizeof f.changed_id, "%s", id);
}

static inline void on_flush(void *ctx)
{
    (void)ctx;
    f.flushed++;
}

static inline int on_flush_changes(void *ctx)
{
    on_flush(ctx);
    return f.unwritable ? -MOLT_STORE_FAILED : 0;
}

static inline int open_api(void **state)
{
    (void)state;
    char error[256] = "";
    memset(&f, 0, sizeof f);
    temp_dir_make(&f.dir);
    if (store_open(f.dir.path, true, &f.api.store, error, sizeof error) != 0) fail_msg("%s", error);
    f.api.hooks = (struct api_hooks){.rules_changed = on_rules,
                                     .device_changed = on_device,
                                     .flush_devices = on_flush_changes,
                                     .flush_members = on_flush};
    return 0;
}

static inline int close_api(void **state)
{
    (void)state;
    store_close(f.api.store);
    temp_dir_remove(&f.dir);
    return 0;
}

/* ---- requests ---- */

/* Sends the request; the answer's JSON (caller decrefs), *status set. Every answer must be JSON. */
static inline json_t *send(struct api_request request, int *status)
{
    struct api_response response;
    if (request.query == NULL) request.query = "";
    api_handle(&f.api, &request, &response);
    assert_non_null(response.body);
    assert_string_equal(response.content_type,
                        response.status >= 400 ? API_PROBLEM_TYPE : "application/json");
    json_t *json = json_loadb(response.body, response.body_len, 0, NULL);
    assert_non_null(json);
    free(response.body);
    *status = response.status;
    return json;
}

static inline json_t *call(const char *method, const char *path, const char *query, const char *body,
                           int want)
{
    int status;
    json_t *json = send((struct api_request){.method = method,
                                             .path = path,
                                             .query = query,
                                             .trusted = true,
                                             .body = body,
                                             .body_len = body != NULL ? strlen(body) : 0},
                        &status);
    if (status != want) {
        char *text = json_dumps(json, 0);
        fail_msg("%s %s?%s: %d, not %d: %s", method, path, query != NULL ? query : "", status, want, text);
    }
    return json;
}

static inline const char *text_at(const json_t *json, const char *a, const char *b)
{
    const json_t *at = json_object_get(json, a);
    if (b != NULL) at = json_object_get(at, b);
    return json_string_value(at) != NULL ? json_string_value(at) : "";
}

/* The refusal's reason and status. */
static inline void refused(const char *method, const char *path, const char *query, const char *body,
                           int status, const char *reason)
{
    json_t *json = call(method, path, query, body, status);
    assert_string_equal(text_at(json, "reason", NULL), reason);
    assert_true(strlen(text_at(json, "title", NULL)) > 0);
    json_decref(json);
}

static inline json_t *publish(enum molt_chip chip, const char *query, uint32_t seed, int want)
{
    struct image_build spec = {.chip = chip, .size = 40000, .seed = seed, .version = "1.2.3"};
    uint8_t *image;
    size_t len;
    int status;
    assert_int_equal(image_build(&spec, &image, &len), 0);
    json_t *json = send((struct api_request){.method = "POST",
                                             .path = "/api/v1/releases",
                                             .query = query,
                                             .trusted = true,
                                             .body = image,
                                             .body_len = len},
                        &status);
    free(image);
    if (status != want) {
        char *text = json_dumps(json, 0);
        fail_msg("%s: %d, not %d: %s", query, status, want, text);
    }
    return json;
}

static inline void save_device(const char *id, int reason, int64_t product_id)
{
    struct model_device device = {.last_reason = reason, .product_id = product_id, .last_seen_ms = 1000};
    device.chip = MOLT_CHIP_ESP8266;
    device.chip_source = MODEL_CHIP_SAID;
    snprintf(device.id, sizeof device.id, "%s", id);
    assert_int_equal(store_save_devices(f.api.store, &device, 1), 0);
}

#endif
