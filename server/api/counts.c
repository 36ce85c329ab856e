/* counts.c - the fleet in numbers: GET /overview, and GET /device-counts, which counts what a filter matches by one field.
 * A running server's devices are counted in its memory; the store is not asked. Tests: test/unit/api_counts_test.c. */
#include "call.h"
#include "shapes.h"
#include "tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/filter/filter.h"
#include "molt_reason.h"

#define HOUR_MS   (3600 * (int64_t)1000)
#define DAY_MS    (24 * HOUR_MS)
#define SILENT_MS (7 * DAY_MS)

/* ---- by kinds ---- */

struct one_by_one {
    const struct census_ages *ages;
    census_row row;
    void *ctx;
};

static int count_alone(void *ctx, const struct model_device *device)
{
    const struct one_by_one *one = ctx;
    struct census_alike alike = {0};
    census_add(&alike, one->ages, device->last_seen_ms, device->last_reason_ms);
    return one->row(one->ctx, device, &alike);
}

int api_each_kind(struct api_call *call, const struct census_wish *wish, const struct census_ages *ages,
                  census_row row, void *ctx)
{
    const struct api_hooks *hooks = &call->api->hooks;
    struct one_by_one one = {ages, row, ctx};
    if (hooks->census != NULL) return hooks->census(hooks->ctx, wish, ages, row, ctx);
    return api_each_device(call, "", count_alone, &one);
}

/* ---- each by itself ---- */

struct each_alone {
    struct census_device device; /* the first: passes_alone() is called with it */
    const struct census_wish *wish;
    const struct census_also *also;
    struct filter_subject subject;
    census_meant each;
    void *ctx;
};

static bool passes_alone(const struct census_device *device, uint32_t which)
{
    const struct each_alone *alone = (const struct each_alone *)(const void *)device;
    const struct filter *filter = alone->also->filters[which];
    return filter == NULL || filter_match(filter, &alone->subject);
}

static int tell_alone(void *ctx, const struct model_device *device)
{
    struct each_alone *alone = ctx;
    const struct census_wish *wish = alone->wish;
    alone->subject = (struct filter_subject){device, "", wish->now_ms};
    alone->device.id = device->id;
    if (wish->look(wish->ctx, device, &alone->subject.product) != CENSUS_NONE &&
        filter_match(wish->filter, &alone->subject))
        alone->each(alone->ctx, &alone->device);
    return 0;
}

int api_each_meant(struct api_call *call, const struct census_wish *wish, const struct census_also *also,
                   census_meant each, void *ctx)
{
    const struct api_hooks *hooks = &call->api->hooks;
    struct each_alone alone = {
        .device = {.passes = passes_alone}, .wish = wish, .also = also, .each = each, .ctx = ctx};
    if (hooks->each_meant != NULL) return hooks->each_meant(hooks->ctx, wish, also, each, ctx);
    return api_each_device(call, "", tell_alone, &alone);
}

/* ---- by one field ---- */

enum by { BY_PRODUCT, BY_VERSION, BY_STATE, BY_REASON, BY_FAILURE, BY_GROUP, BY_CHIP, BY_CLIENT, BY_COUNT };
static const char *const by_names[BY_COUNT] = {"product", "version", "state", "reason",
                                               "failure", "group",   "chip",  "client"};

struct counting {
    const struct api_call *call;
    enum by by;
    struct filter filter;
    bool filtered; /* who does not pass the filter is not told of */
    const struct store_rules *rules;
    int64_t now_ms;
    struct tally tally;
};

static const char *reason_text(int reason)
{
    return reason != 0 ? molt_reason_id(reason) : "";
}

/* Why the last attempt failed, "" when it did not. */
static const char *failure_text(const struct model_device *device)
{
    if (device->attempt == MODEL_ATTEMPT_FAILED || device->attempt == MODEL_ATTEMPT_ROLLED_BACK)
        return reason_text(device->attempt_reason);
    if (device->rollout_outcome == MODEL_OUTCOME_TIMED_OUT) return "timed-out";
    if (device->result == MODEL_ATTEMPT_FAILED || device->result == MODEL_ATTEMPT_ROLLED_BACK)
        return reason_text(device->result_reason);
    return "";
}

static const char *field_text(enum by by, const struct model_device *device, const char *product)
{
    switch (by) {
    case BY_PRODUCT:
        return product;
    case BY_VERSION:
        return device->running_version;
    case BY_STATE:
        return model_attempt_name(device->attempt);
    case BY_REASON:
        return reason_text(device->last_reason);
    case BY_FAILURE:
        return failure_text(device);
    case BY_GROUP:
        return device->group_name;
    case BY_CHIP:
        return device->chip != MOLT_CHIP_UNKNOWN ? molt_chip_name(device->chip) : "";
    case BY_CLIENT:
        return model_client_name(device->client);
    case BY_COUNT:
        break;
    }
    return "";
}

static int count_row(void *ctx, const struct model_device *device, const struct census_alike *alike)
{
    struct counting *counting = ctx;
    if (!api_in_scope(counting->call, device->product_id)) return 0;
    const char *product = shape_product_name(counting->rules, device->product_id);
    if (counting->filtered ||
        filter_match(&counting->filter, &(struct filter_subject){device, product, counting->now_ms}))
        tally_add(&counting->tally, field_text(counting->by, device, product), alike->count);
    return 0;
}

static enum census_verdict look(void *ctx, const struct model_device *common, const char **product)
{
    const struct counting *counting = ctx;
    *product = shape_product_name(counting->rules, common->product_id);
    return api_in_scope(counting->call, common->product_id) ? CENSUS_ALL : CENSUS_NONE;
}

static json_t *groups_json(enum by by, const struct tally *tally)
{
    json_t *groups = json_array();
    for (uint32_t i = 0; i < tally->used; i++) {
        const struct tally_entry *entry = &tally->entries[i];
        int reason = by == BY_REASON || by == BY_FAILURE ? molt_reason_from_id(entry->text) : 0;
        json_array_append_new(groups, json_pack("{s:o, s:I, s:o}", "value", shape_text(entry->text), "count",
                                                (json_int_t)entry->count, "reason",
                                                shape_reason(reason > 0 ? reason : 0)));
    }
    return groups;
}

/* Reads the parameters. False after replying. */
static bool counting_begin(struct api_call *call, struct counting *counting)
{
    const char *by = api_param(call, "by"), *filter = api_param(call, "filter");
    char why[200];
    for (counting->by = 0; counting->by < BY_COUNT; counting->by++)
        if (by != NULL && strcmp(by, by_names[counting->by]) == 0) break;
    if (counting->by == BY_COUNT) {
        api_refuse(call, MOLT_REQUEST_INVALID, "%s",
                   "'by' is product, version, state, reason, failure, group, chip or client");
        return false;
    }
    if (filter_parse(&counting->filter, filter != NULL ? filter : "", why, sizeof why) == 0) return true;
    api_refuse(call, MOLT_REQUEST_INVALID, "%s", why);
    return false;
}

void api_device_counts(struct api_call *call)
{
    struct store_rules rules;
    struct counting *counting = calloc(1, sizeof *counting);
    int rc = counting != NULL ? store_load_rules(call->api->store, &rules) : -MOLT_NO_MEMORY;
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        free(counting);
        return;
    }
    counting->call = call;
    counting->rules = &rules;
    counting->now_ms = api_now_ms();
    if (counting_begin(call, counting)) {
        const struct census_ages ages = {.now_ms = counting->now_ms};
        const struct census_wish wish = {
            .filter = &counting->filter, .now_ms = counting->now_ms, .look = look, .ctx = counting};
        counting->filtered = call->api->hooks.census != NULL;
        rc = api_each_kind(call, &wish, &ages, count_row, counting);
        tally_sort(&counting->tally);
        if (rc < 0)
            api_refuse_store(call, rc, "");
        else
            api_reply(call, 200,
                      json_pack("{s:I, s:o, s:I}", "total", (json_int_t)counting->tally.total, "groups",
                                groups_json(counting->by, &counting->tally), "other",
                                (json_int_t)counting->tally.other));
    }
    store_free_rules(&rules);
    free(counting);
}

/* ---- overview ---- */

struct overview {
    const struct api_call *call;
    const struct store_rules *rules;
    bool *withheld; /* of each release: its rollout is paused, aborted, or waits for approval */
    int64_t now_ms;
    uint64_t total, seen_hour, silent, never, unassigned, held, updating, failed, failed_day, newest, judged;
    struct tally versions, reasons;
};

/* NULL: memory is short. */
static bool *find_withheld(const struct store_rules *rules)
{
    bool *withheld = calloc((size_t)rules->release_count + 1, sizeof *withheld);
    for (uint32_t i = 0; withheld != NULL && i < rules->release_count; i++)
        for (uint32_t r = 0; r < rules->rollout_count; r++) /* the last one of a release counts */
            if (rules->rollouts[r].release_id == rules->releases[i].id)
                withheld[i] = rules->rollouts[r].status != MODEL_ROLLOUT_RUNNING &&
                              rules->rollouts[r].status != MODEL_ROLLOUT_DONE;
    return withheld;
}

/* The code of the newest release that goes out to devices of the product and channel, 0: there is none. */
static uint32_t newest_code(const struct overview *view, const struct model_device *device)
{
    const struct store_rules *rules = view->rules;
    const char *channel = device->channel[0] != '\0' ? device->channel : MODEL_CHANNEL_DEFAULT;
    for (uint32_t i = 0; i < rules->release_count; i++) { /* code falling within product and channel */
        const struct model_release *release = &rules->releases[i];
        if (release->product_id == device->product_id && !release->yanked && !view->withheld[i] &&
            strcmp(release->channel, channel) == 0)
            return release->code;
    }
    return 0;
}

static int overview_row(void *ctx, const struct model_device *device, const struct census_alike *alike)
{
    struct overview *view = ctx;
    char version[TALLY_TEXT];
    if (!api_in_scope(view->call, device->product_id)) return 0;
    const bool failed =
        device->attempt == MODEL_ATTEMPT_FAILED || device->attempt == MODEL_ATTEMPT_ROLLED_BACK;
    const uint32_t newest = device->product_id != 0 ? newest_code(view, device) : 0;
    const bool updating = device->attempt >= MODEL_ATTEMPT_OFFERED && device->attempt <= MODEL_ATTEMPT_TRIAL;
    view->total += alike->count;
    view->never += alike->never;
    view->seen_hour += alike->seen;
    view->silent += alike->silent;
    if (device->product_id == 0) view->unassigned += alike->count;
    if (device->held) view->held += alike->count;
    if (updating) view->updating += alike->count;
    if (failed) view->failed += alike->count;
    if (failed) view->failed_day += alike->decided;
    if (newest != 0) view->judged += alike->count;
    if (newest != 0 && device->running_code >= newest) view->newest += alike->count;
    snprintf(version, sizeof version, "%s\t%s", shape_product_name(view->rules, device->product_id),
             device->running_version);
    tally_add(&view->versions, version, alike->count);
    if (device->last_reason != 0)
        tally_add(&view->reasons, molt_reason_id(device->last_reason), alike->count);
    return 0;
}

static json_t *versions_json(const struct tally *tally)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < tally->used; i++) {
        const char *text = tally->entries[i].text, *tab = strchr(text, '\t');
        char product[TALLY_TEXT];
        snprintf(product, sizeof product, "%.*s", (int)(tab != NULL ? tab - text : 0), text);
        json_array_append_new(list, json_pack("{s:o, s:o, s:I}", "product", shape_text(product), "version",
                                              shape_text(tab != NULL ? tab + 1 : ""), "count",
                                              (json_int_t)tally->entries[i].count));
    }
    return list;
}

static json_t *overview_json(struct overview *view)
{
    tally_sort(&view->versions);
    tally_sort(&view->reasons);
    json_t *reasons = json_array();
    for (uint32_t i = 0; i < view->reasons.used; i++)
        json_array_append_new(reasons,
                              json_pack("{s:o, s:I}", "reason",
                                        shape_reason(molt_reason_from_id(view->reasons.entries[i].text)),
                                        "count", (json_int_t)view->reasons.entries[i].count));
    json_t *devices = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "total", (json_int_t)view->total,
        "seen_hour", (json_int_t)view->seen_hour, "silent", (json_int_t)view->silent, "never",
        (json_int_t)view->never, "unassigned", (json_int_t)view->unassigned, "held", (json_int_t)view->held,
        "updating", (json_int_t)view->updating, "failed", (json_int_t)view->failed, "failed_day",
        (json_int_t)view->failed_day, "newest", (json_int_t)view->newest, "judged", (json_int_t)view->judged);
    return json_pack("{s:I, s:o, s:o, s:o}", "now_ms", (json_int_t)view->now_ms, "devices", devices,
                     "versions", versions_json(&view->versions), "reasons", reasons);
}

void api_overview(struct api_call *call)
{
    struct store_rules rules;
    struct overview *view = calloc(1, sizeof *view);
    int rc = view != NULL ? store_load_rules(call->api->store, &rules) : -MOLT_NO_MEMORY;
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        free(view);
        return;
    }
    view->call = call;
    view->rules = &rules;
    view->now_ms = api_now_ms();
    view->withheld = find_withheld(&rules);
    const struct census_ages ages = {
        .now_ms = view->now_ms, .seen = HOUR_MS, .silent = SILENT_MS, .decided = DAY_MS};
    rc = view->withheld != NULL ? api_each_kind(call, NULL, &ages, overview_row, view) : -MOLT_NO_MEMORY;
    if (rc < 0)
        api_refuse_store(call, rc, "");
    else
        api_reply(call, 200, overview_json(view));
    store_free_rules(&rules);
    free(view->withheld);
    free(view);
}
