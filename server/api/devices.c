/* devices.c - the devices of the API: list with filters and pages, show, set, delete. What a running server has only
 * in memory goes before the row that the store has (device_now), and it hears of every change (device_changed).
 * Tests: test/unit/api_devices_test.c. */
#include "call.h"
#include "shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/filter/filter.h"
#include "molt_reason.h"
#include "server/skins/device_id.h"

#define PAGE_DEFAULT 100
#define PAGE_MAX     1000

/* The store is asked no more when fewer than one in RARE of its first rows are meant, or the page is not full after that many more. */
#define FIRST_ROWS 100u
#define RARE       16u
#define PATIENCE   1000u

void api_flush_devices(struct api_call *call)
{
    const struct api_hooks *hooks = &call->api->hooks;
    if (hooks->flush_devices != NULL) call->is_stale = hooks->flush_devices(hooks->ctx) < 0;
}

/* What a server knows of it besides, and writes later. */
static void take_sightings(struct api_call *call, struct model_device *device)
{
    const struct api_hooks *hooks = &call->api->hooks;
    struct model_device now = *device;
    if (hooks->device_now == NULL) return;
    hooks->device_now(hooks->ctx, &now);
    device->last_seen_ms = now.last_seen_ms;
    device->announced_ms = now.announced_ms;
    memcpy(device->address, now.address, sizeof device->address);
}

bool api_load_device(struct api_call *call, struct model_device *device)
{
    api_flush_devices(call);
    return api_load_device_unflushed(call, device);
}

bool api_load_device_unflushed(struct api_call *call, struct model_device *device)
{
    char id[MODEL_ID_LEN];
    if (!device_id_parse(call->id, strlen(call->id), id, NULL)) {
        api_refuse(
            call, MOLT_REQUEST_INVALID,
            "'%s' is no device id: 12 hex digits of the MAC, or a name of letters, digits, '.', '-', '_'",
            call->id);
        return false;
    }
    int rc = store_device_get(call->api->store, id, device);
    char detail[160];
    snprintf(detail, sizeof detail,
             "no device has the id '%s'; it is recorded when it first contacts the server", id);
    if (rc == 0) {
        call->audit_id = device->product_id;
        if (!api_reaches(call, device->product_id, detail)) return false;
        take_sightings(call, device);
        return true;
    }
    if (rc == -MOLT_NOT_FOUND && call->is_stale)
        api_refuse_status(
            call, 503, MOLT_STORE_FAILED,
            "the database has no such device, and cannot be written: one that is new is not in it yet");
    else
        api_refuse_store(call, rc, detail);
    return false;
}

/* ---- all of them, a chunk at a time ---- */

struct chunk {
    const struct api_hooks *hooks;
    api_device_row row;
    void *ctx;
    uint32_t count;
    bool stopped; /* by row */
    char last[API_PARAM_LEN];
};

static int chunk_row(void *ctx, const struct model_device *device)
{
    struct chunk *chunk = ctx;
    chunk->count++;
    snprintf(chunk->last, sizeof chunk->last, "%s", device->id);
    struct model_device now = *device;
    if (chunk->hooks->device_now != NULL) chunk->hooks->device_now(chunk->hooks->ctx, &now);
    chunk->stopped = chunk->row(chunk->ctx, &now) != 0;
    return chunk->stopped;
}

typedef int (*chunk_reader)(struct store *store, const char *after, uint32_t rows,
                            int (*row)(void *ctx, const struct model_device *device), void *ctx);

/* rows: of a chunk, in which the store is locked: some 10 ms for the most that it gives */
static int each_in(struct api_call *call, chunk_reader read, const char *after, uint32_t rows,
                   api_device_row row, void *ctx)
{
    const struct api_hooks *hooks = &call->api->hooks;
    struct chunk chunk = {.hooks = hooks, .row = row, .ctx = ctx};
    int rc;
    snprintf(chunk.last, sizeof chunk.last, "%s", after);
    if (hooks->flush_members != NULL) hooks->flush_members(hooks->ctx);
    do {
        char from[API_PARAM_LEN];
        memcpy(from, chunk.last, sizeof from);
        chunk.count = 0;
        rc = read(call->api->store, from, rows, chunk_row, &chunk);
    } while (rc == 0 && !chunk.stopped && chunk.count == rows);
    return rc;
}

int api_each_device(struct api_call *call, const char *after, api_device_row row, void *ctx)
{
    return each_in(call, store_each_device_after, after, STORE_DEVICES_MAX, row, ctx);
}

int api_list_devices(struct api_call *call, const char *after, uint32_t rows, api_device_row row, void *ctx)
{
    return each_in(call, store_list_devices_after, after, rows, row, ctx);
}

void api_reply_device(struct api_call *call, const struct model_device *device)
{
    struct store_rules rules;
    int rc = store_load_rules(call->api->store, &rules);
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return;
    }
    api_reply(call, 200, shape_device(device, shape_product_name(&rules, device->product_id)));
    store_free_rules(&rules);
}

void api_device_get(struct api_call *call)
{
    struct model_device device;
    if (api_load_device(call, &device)) api_reply_device(call, &device);
}

/* ---- list ---- */

struct page {
    struct api_call *call;
    const struct store_rules *rules;
    const char *after; /* "": from the first on */
    const char *q;     /* NULL: none */
    struct filter filter;
    int64_t now_ms;
    int reason;         /* 0: any */
    int64_t product_id; /* 0: any */
    uint64_t limit;
    json_t *devices;
    char last[MODEL_ID_LEN];
    bool more;
    bool may_give_up;   /* memory can be asked */
    uint32_t looked_at; /* rows of the store */
    bool gave_up;
};

static bool contains(const char *text, const char *part)
{
    size_t len = strlen(part);
    for (; *text != '\0'; text++) {
        if (strncasecmp(text, part, len) == 0) return true;
    }
    return false;
}

static bool is_worth_it(const struct page *page)
{
    const uint32_t looked_at = page->looked_at;
    return looked_at < FIRST_ROWS ||
           (looked_at < page->limit + PATIENCE && looked_at <= RARE * json_array_size(page->devices));
}

static int list_row(void *ctx, const struct model_device *device)
{
    struct page *page = ctx;
    page->gave_up = page->may_give_up && !is_worth_it(page);
    if (page->gave_up) return 1;
    page->looked_at++;
    const char *product = shape_product_name(page->rules, device->product_id);
    if (page->product_id != 0 && device->product_id != page->product_id) return 0;
    if (!api_in_scope(page->call, device->product_id)) return 0;
    if (page->reason != 0 && device->last_reason != page->reason) return 0;
    if (page->q != NULL && !contains(device->id, page->q) && !contains(product, page->q) &&
        !contains(device->running_version, page->q) && !contains(device->address, page->q))
        return 0;
    if (!filter_match(&page->filter, &(struct filter_subject){device, product, page->now_ms})) return 0;
    if (json_array_size(page->devices) == page->limit) {
        page->more = true;
        return 1;
    }
    json_array_append_new(page->devices, shape_device(device, product));
    memcpy(page->last, device->id, sizeof page->last);
    return 0;
}

/* Reads the filters. False after replying. */
static bool page_begin(struct api_call *call, struct page *page)
{
    page->limit = PAGE_DEFAULT;
    if (api_param_number(call, "limit", 1, PAGE_MAX, &page->limit) < 0) return false;
    page->after = api_param(call, "after") != NULL ? api_param(call, "after") : "";
    page->q = api_param(call, "q");
    if (page->q != NULL && page->q[0] == '\0') page->q = NULL;
    const char *filter = api_param(call, "filter");
    char why[200];
    page->now_ms = api_now_ms();
    if (filter_parse(&page->filter, filter != NULL ? filter : "", why, sizeof why) < 0) {
        api_refuse(call, MOLT_REQUEST_INVALID, "%s", why);
        return false;
    }
    const char *reason = api_param(call, "reason"), *product = api_param(call, "product");
    if (reason != NULL) {
        page->reason = molt_reason_from_id(reason);
        if (page->reason < 0) {
            api_refuse(call, MOLT_REQUEST_INVALID, "'%s' is no reason id", reason);
            return false;
        }
    }
    for (uint32_t i = 0; product != NULL && i < page->rules->product_count; i++) {
        if (strcmp(page->rules->products[i].name, product) == 0)
            page->product_id = page->rules->products[i].id;
    }
    if (product != NULL && page->product_id == 0) {
        api_refuse(call, MOLT_NOT_FOUND, "no product is called '%s'", product);
        return false;
    }
    return true;
}

/* ---- few among many: a running server finds them in its memory ---- */

static enum census_verdict look(void *ctx, const struct model_device *common, const char **product)
{
    const struct page *page = ctx;
    *product = shape_product_name(page->rules, common->product_id);
    if (page->product_id != 0 && common->product_id != page->product_id) return CENSUS_NONE;
    if (!api_in_scope(page->call, common->product_id)) return CENSUS_NONE;
    if (page->reason != 0 && common->last_reason != page->reason) return CENSUS_NONE;
    if (page->q == NULL || contains(*product, page->q) || contains(common->running_version, page->q))
        return CENSUS_ALL;
    return CENSUS_PART;
}

/* Lists what has these ids, as it is now; what has changed meanwhile may be missing, and then more may follow. */
static void list_ids(struct page *page, char (*ids)[MODEL_ID_LEN], uint32_t count)
{
    const struct api_hooks *hooks = &page->call->api->hooks;
    for (uint32_t i = 0; i < count && !page->more; i++) {
        struct model_device device = {.last_seen_ms = -1}; /* no device has that */
        memcpy(device.id, ids[i], sizeof device.id);
        hooks->device_now(hooks->ctx, &device);
        if (device.last_seen_ms >= 0) (void)list_row(page, &device);
    }
    if (page->more || count <= page->limit) return;
    memcpy(page->last, ids[count - 1], sizeof page->last);
    page->more = true;
}

static int list_found(struct page *page)
{
    const struct api_hooks *hooks = &page->call->api->hooks;
    const struct census_wish wish = {
        .filter = &page->filter, .now_ms = page->now_ms, .look = look, .ctx = page, .part = page->q};
    char(*ids)[MODEL_ID_LEN] = malloc((page->limit + 1) * sizeof *ids);
    if (ids == NULL) return -MOLT_NO_MEMORY;
    const int count = hooks->find_ids(hooks->ctx, &wish, page->after, ids, (uint32_t)page->limit + 1);
    if (count >= 0) list_ids(page, ids, (uint32_t)count);
    free(ids);
    return count < 0 ? count : 0;
}

/* The store has them in order, and a page of it is quickly full when many are meant. When it is not, memory is asked, which has
 * them in no order but looks at a million of them in the time in which the store reads some thousand. */
static int list_page(struct page *page)
{
    const uint32_t rows = page->limit < FIRST_ROWS ? FIRST_ROWS : (uint32_t)page->limit;
    page->may_give_up = page->call->api->hooks.find_ids != NULL;
    /* one more, which says whether there are more */
    int rc = api_list_devices(page->call, page->after, rows + 1, list_row, page);
    if (rc < 0 || !page->gave_up) return rc;
    page->may_give_up = false;
    json_array_clear(page->devices);
    return list_found(page);
}

void api_devices_list(struct api_call *call)
{
    struct store_rules rules;
    int rc = store_load_rules(call->api->store, &rules);
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return;
    }
    struct page page = {.call = call, .rules = &rules};
    if (page_begin(call, &page)) {
        page.devices = json_array();
        rc = list_page(&page);
        if (rc < 0) {
            json_decref(page.devices);
            api_refuse_store(call, rc, "");
        } else {
            api_reply(call, 200,
                      json_pack("{s:o, s:o}", "devices", page.devices, "next",
                                page.more ? json_string(page.last) : json_null()));
        }
    }
    store_free_rules(&rules);
}

/* ---- set ---- */

/* A channel has the rules of every name; "" (null) is the default channel. */
static bool channel_ok(const char *channel)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
    return strspn(channel, allowed) == strlen(channel) &&
           (channel[0] == '\0' || strchr(".-_", channel[0]) == NULL);
}

static bool set_product(struct api_call *call, struct model_device *device, const char *name)
{
    struct model_product product = {.id = 0};
    int rc = name[0] != '\0' ? store_product_find(call->api->store, name, &product) : 0;
    char detail[200];
    snprintf(detail, sizeof detail, "no product is called '%.64s'; publishing a file under the name makes it",
             name);
    if (rc == 0) {
        if (!api_reaches(call, product.id, detail)) return false;
        device->product_id = product.id;
        return true;
    }
    api_refuse_store(call, rc, detail);
    return false;
}

static bool set_chip(struct api_call *call, struct model_device *device, const char *name)
{
    device->chip = name[0] == '\0' ? MOLT_CHIP_UNKNOWN : molt_chip_from_name(name);
    device->chip_source = name[0] == '\0' ? MODEL_CHIP_NOT_KNOWN : MODEL_CHIP_SET;
    if (name[0] == '\0' || device->chip != MOLT_CHIP_UNKNOWN) return true;
    api_refuse(call, MOLT_REQUEST_INVALID,
               "'%s' is no chip: esp8266, esp32, esp32s2, esp32s3, esp32c3, esp32c6 ...", name);
    return false;
}

bool api_apply_settings(struct api_call *call, const json_t *body, struct model_device *device)
{
    const char *product = NULL, *channel = NULL, *chip = NULL;
    if (api_body_text(call, body, "product", MODEL_NAME_LEN - 1, &product) < 0 ||
        api_body_text(call, body, "channel", MODEL_NAME_LEN - 1, &channel) < 0 ||
        api_body_text(call, body, "chip", MODEL_NAME_LEN - 1, &chip) < 0)
        return false;
    const json_t *held = json_object_get(body, "held");
    if (held != NULL && !json_is_boolean(held)) {
        api_refuse(call, MOLT_REQUEST_INVALID, "'held' must be true or false");
        return false;
    }
    if (channel != NULL && !channel_ok(channel)) {
        api_refuse(call, MOLT_NAME_INVALID, "channel '%s'", channel);
        return false;
    }
    if (product != NULL && !set_product(call, device, product)) return false;
    if (chip != NULL && !set_chip(call, device, chip)) return false;
    if (channel != NULL) snprintf(device->channel, sizeof device->channel, "%s", channel);
    if (held != NULL) device->held = json_is_true(held);
    return api_apply_labels(call, body, device);
}

bool api_same_settings(const struct model_device *a, const struct model_device *b)
{
    return a->product_id == b->product_id && strcmp(a->channel, b->channel) == 0 && a->held == b->held &&
           strcmp(a->group_name, b->group_name) == 0 && strcmp(a->tags, b->tags) == 0 &&
           strcmp(a->attributes, b->attributes) == 0 && a->pinned_code == b->pinned_code &&
           (a->chip == b->chip || b->chip_source != MODEL_CHIP_SET);
}

/* Saves the device and tells the server. False after replying. */
bool api_save_device(struct api_call *call, const struct model_device *device)
{
    int rc = store_save_devices(call->api->store, device, 1);
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return false;
    }
    const struct api_hooks *hooks = &call->api->hooks;
    if (hooks->device_changed != NULL) hooks->device_changed(hooks->ctx, device->id);
    return true;
}

bool api_set_device(struct api_call *call, const json_t *body, struct model_device *now)
{
    struct model_device wanted;
    bool ok = true, done = false;
    /* A running server writes devices behind: a write of its own may cross ours and put the old settings back before
     * it has heard of the new ones. So look, and set them again if so. */
    for (int tries = 0; ok && !done && tries < 3; tries++) {
        ok = api_load_device(call, &wanted) && api_apply_settings(call, body, &wanted) &&
             api_save_device(call, &wanted) && api_load_device(call, now);
        done = ok && api_same_settings(now, &wanted);
    }
    if (ok && !done)
        api_refuse(call, MOLT_STATE, "the device is changed by someone else at this moment; try again");
    return done;
}

void api_device_patch(struct api_call *call)
{
    struct model_device now;
    json_t *body = api_body(call, "product channel chip held group tags attributes pin");
    if (body == NULL) return;
    if (api_set_device(call, body, &now)) api_reply_device(call, &now);
    json_decref(body);
}

void api_device_delete(struct api_call *call)
{
    struct model_device device;
    if (!api_load_device(call, &device)) return;
    if (api_forget(call, (const char(*)[MODEL_ID_LEN])device.id, 1))
        api_reply(call, 200, json_pack("{s:s}", "deleted", device.id));
}
