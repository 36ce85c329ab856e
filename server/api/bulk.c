/* bulk.c - many devices set in few transactions: each is read, set and written with the others, then read again, because a running
 * server writes devices behind and may have crossed it. Must never write a part of a chunk.
 * Tests: test/unit/api_bulk_test.c, test/e2e/enrol_test.sh. */
#include "bulk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "molt_reason.h"
#include "server/skins/device_id.h"

#define FIELDS     "id product channel chip held group tags attributes pin"
#define TRIES      3
#define CHUNK      1000u
#define IMPORT_MAX 1000u

/* The device as it shall be. False after replying. */
static bool prepare(struct api_call *call, const struct bulk_setting *setting, struct model_device *device)
{
    memcpy(call->id, setting->id, sizeof setting->id);
    if (setting->make && store_device_get(call->api->store, setting->id, device) == -MOLT_NOT_FOUND) {
        *device = (struct model_device){.first_seen_ms = api_now_ms()};
        memcpy(device->id, setting->id, sizeof device->id);
        if (!api_new_product(call, setting->body, &device->product_id)) return false;
    } else if (!api_load_device_unflushed(call, device)) {
        return false;
    }
    return api_apply_settings(call, setting->body, device);
}

static bool save(struct api_call *call, const struct model_device *devices, size_t count)
{
    const struct api_hooks *hooks = &call->api->hooks;
    int rc = store_save_devices(call->api->store, devices, count);
    call->about[0] = '\0';
    if (rc < 0) api_refuse_store(call, rc, "");
    for (size_t i = 0; rc == 0 && i < count && hooks->device_changed != NULL; i++)
        hooks->device_changed(hooks->ctx, devices[i].id);
    return rc == 0;
}

struct chunk {
    struct bulk_setting *settings;
    size_t count, first; /* number of the first one, for people */
    struct model_device *wanted;
    size_t *which; /* wanted[k] is of settings[which[k]] */
    bool *done;
};

/* Sets those that are not done. False after replying. */
static bool set_once(struct api_call *call, struct chunk *chunk, size_t *left)
{
    size_t n = 0;
    api_flush_devices(call);
    for (size_t i = 0; i < chunk->count; i++) {
        if (chunk->done[i]) continue;
        if (chunk->settings[i].make)
            (void)snprintf(call->about, sizeof call->about, "device %zu (%s): ", chunk->first + i + 1,
                           chunk->settings[i].id);
        if (!prepare(call, &chunk->settings[i], &chunk->wanted[n])) return false;
        chunk->which[n++] = i;
    }
    if (!save(call, chunk->wanted, n)) return false;
    api_flush_devices(call);
    *left = 0;
    for (size_t k = 0; k < n; k++) {
        struct model_device now;
        chunk->done[chunk->which[k]] = store_device_get(call->api->store, chunk->wanted[k].id, &now) == 0 &&
                                       api_same_settings(&now, &chunk->wanted[k]);
        *left += !chunk->done[chunk->which[k]];
    }
    return true;
}

static bool set_chunk(struct api_call *call, struct chunk *chunk)
{
    size_t left = chunk->count;
    memset(chunk->done, 0, chunk->count);
    for (int tries = 0; left > 0 && tries < TRIES; tries++)
        if (!set_once(call, chunk, &left)) return false;
    if (left == 0) return true;
    api_refuse(call, MOLT_STATE, "%zu devices are changed by someone else at this moment; try again", left);
    return false;
}

bool bulk_set(struct api_call *call, struct bulk_setting *settings, size_t count)
{
    const size_t most = count < CHUNK ? count : CHUNK;
    struct chunk chunk = {.wanted = calloc(most + 1, sizeof *chunk.wanted),
                          .which = calloc(most + 1, sizeof *chunk.which),
                          .done = calloc(most + 1, sizeof *chunk.done)};
    bool ok = chunk.wanted != NULL && chunk.which != NULL && chunk.done != NULL;
    if (!ok) api_refuse(call, MOLT_NO_MEMORY, "ask for fewer at a time");
    for (chunk.first = 0; ok && chunk.first < count; chunk.first += chunk.count) {
        chunk.settings = settings + chunk.first;
        chunk.count = count - chunk.first < CHUNK ? count - chunk.first : CHUNK;
        ok = set_chunk(call, &chunk);
    }
    free(chunk.wanted);
    free(chunk.which);
    free(chunk.done);
    return ok;
}

/* ---- POST /devices ---- */

static bool known_fields(struct api_call *call, const json_t *row)
{
    const char *field;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)row, field, value)
    {
        if (api_listed(FIELDS, field)) continue;
        api_refuse(call, MOLT_REQUEST_INVALID, "unknown field '%.40s'; known: %s", field, FIELDS);
        return false;
    }
    return true;
}

/* Reads row number `at`. False after replying. */
static bool read_row(struct api_call *call, const json_t *row, size_t at, struct bulk_setting *settings)
{
    const char *id = json_string_value(json_object_get(row, "id"));
    (void)snprintf(call->about, sizeof call->about, "device %zu: ", at + 1);
    if (id == NULL || !device_id_parse(id, strlen(id), settings[at].id, NULL)) {
        api_refuse(call, MOLT_REQUEST_INVALID, "'%.60s' is no device id", id != NULL ? id : "");
        return false;
    }
    if (!known_fields(call, row)) return false;
    for (size_t i = 0; i < at; i++) {
        if (strcmp(settings[i].id, settings[at].id) != 0) continue;
        api_refuse(call, MOLT_REQUEST_INVALID, "%s is there twice", settings[at].id);
        return false;
    }
    settings[at].body = row;
    settings[at].make = true;
    return true;
}

void api_devices_post(struct api_call *call)
{
    json_t *body = api_body(call, "devices");
    const json_t *rows = json_object_get(body, "devices");
    const size_t count = json_array_size(rows);
    struct bulk_setting *settings = NULL;
    if (body == NULL) return;
    bool ok = json_is_array(rows) && count >= 1 && count <= IMPORT_MAX;
    if (!ok) api_refuse(call, MOLT_REQUEST_INVALID, "'devices' is a list of 1 to %u", IMPORT_MAX);
    if (ok) settings = calloc(count, sizeof *settings);
    if (ok && settings == NULL) {
        api_refuse(call, MOLT_NO_MEMORY, "ask for fewer at a time");
        ok = false;
    }
    for (size_t i = 0; ok && i < count; i++)
        ok = read_row(call, json_array_get(rows, i), i, settings);
    if (ok && bulk_set(call, settings, count))
        api_reply(call, 200, json_pack("{s:I}", "changed", (json_int_t)count));
    free(settings);
    json_decref(body);
}
