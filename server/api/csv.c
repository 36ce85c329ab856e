/* csv.c - GET /devices.csv: devices as a table for spreadsheets (RFC 4180). What devices wrote of themselves must never become a formula
 * there. Tests: test/unit/api_operate_test.c. */
#include "call.h"
#include "shapes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/filter/filter.h"
#include "molt_reason.h"

#define ROWS_MAX 100000

/* When fewer than one of RARE rows of the store is meant, a running server finds the rest in its memory, a page at a time. */
#define FIRST_ROWS 100u
#define RARE       16u
#define PAGE       1000u

struct table {
    const struct api_call *call;
    const struct store_rules *rules;
    struct filter filter;
    int64_t now_ms;
    uint64_t limit, count;
    uint64_t looked_at;
    bool may_give_up, gave_up;
    char last[MODEL_ID_LEN]; /* that was looked at */
    FILE *out;
};

/* In quotes when it must be; with an apostrophe before what a spreadsheet would calculate. */
static void cell(FILE *out, const char *text)
{
    const bool formula = text[0] != '\0' && strchr("=+-@\t\r", text[0]) != NULL;
    if (!formula && strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, out);
        return;
    }
    fputs(formula ? "\"'" : "\"", out);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"') fputc('"', out);
        fputc(*c, out);
    }
    fputc('"', out);
}

static void row_of(FILE *out, const struct model_device *device, const char *product)
{
    const char *cells[] = {device->id,
                           product,
                           device->channel[0] != '\0' ? device->channel : MODEL_CHANNEL_DEFAULT,
                           device->chip != MOLT_CHIP_UNKNOWN ? molt_chip_name(device->chip) : "",
                           device->group_name,
                           device->tags,
                           device->attributes,
                           device->running_version,
                           model_attempt_name(device->attempt),
                           device->last_reason != 0 ? molt_reason_id(device->last_reason) : "",
                           device->last_detail,
                           device->address};
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        cell(out, cells[i]);
        fputc(',', out);
    }
    fprintf(out, "%" PRIu32 ",%s,%" PRId64 ",%" PRId64 "\r\n", device->running_code,
            device->held ? "yes" : "no", device->first_seen_ms, device->last_seen_ms);
}

static int table_row(void *ctx, const struct model_device *device)
{
    struct table *table = ctx;
    table->gave_up =
        table->may_give_up && table->looked_at >= FIRST_ROWS && table->looked_at > RARE * table->count;
    if (table->gave_up) return 1;
    table->looked_at++;
    memcpy(table->last, device->id, sizeof table->last);
    const char *product = shape_product_name(table->rules, device->product_id);
    if (!api_in_scope(table->call, device->product_id)) return 0;
    if (!filter_match(&table->filter, &(struct filter_subject){device, product, table->now_ms})) return 0;
    if (table->count++ == table->limit) return 1;
    row_of(table->out, device, product);
    return 0;
}

static enum census_verdict look(void *ctx, const struct model_device *common, const char **product)
{
    const struct table *table = ctx;
    *product = shape_product_name(table->rules, common->product_id);
    return api_in_scope(table->call, common->product_id) ? CENSUS_ALL : CENSUS_NONE;
}

/* The rest, as far as it is in memory. */
static int write_found(struct table *table)
{
    const struct api_hooks *hooks = &table->call->api->hooks;
    const struct census_wish wish = {
        .filter = &table->filter, .now_ms = table->now_ms, .look = look, .ctx = table};
    char(*ids)[MODEL_ID_LEN] = malloc(PAGE * sizeof *ids), after[MODEL_ID_LEN];
    if (ids == NULL) return -MOLT_NO_MEMORY;
    table->may_give_up = false;
    memcpy(after, table->last, sizeof after);
    int count;
    bool enough = false;
    do {
        count = hooks->find_ids(hooks->ctx, &wish, after, ids, PAGE);
        for (int i = 0; i < count && !enough; i++) {
            struct model_device device = {.last_seen_ms = -1}; /* no device has that */
            memcpy(device.id, ids[i], sizeof device.id);
            hooks->device_now(hooks->ctx, &device);
            enough = device.last_seen_ms >= 0 && table_row(table, &device) != 0;
        }
        if (count > 0) memcpy(after, ids[count - 1], sizeof after);
    } while (count == (int)PAGE && !enough);
    free(ids);
    return count < 0 ? count : 0;
}

static void write_table(struct api_call *call, struct table *table)
{
    char *text = NULL;
    size_t len = 0;
    const char *after = api_param(call, "after");
    table->out = open_memstream(&text, &len);
    table->may_give_up = call->api->hooks.find_ids != NULL;
    if (table->out == NULL) {
        api_refuse(call, MOLT_NO_MEMORY, "%s", "");
        return;
    }
    fputs("id,product,channel,chip,group,tags,attributes,version,state,reason,detail,address,code,held,first_"
          "seen_ms,"
          "last_seen_ms\r\n",
          table->out);
    int rc = api_list_devices(call, after != NULL ? after : "", STORE_DEVICES_MAX, table_row, table);
    if (rc == 0 && table->gave_up) rc = write_found(table);
    const bool whole = ferror(table->out) == 0;
    if (fclose(table->out) != 0 || !whole) rc = -MOLT_NO_MEMORY;
    if (rc < 0) {
        free(text);
        api_refuse_store(call, rc, "");
        return;
    }
    call->response->status = 200;
    call->response->body = text;
    call->response->body_len = len;
    call->response->content_type = "text/csv; charset=utf-8; header=present";
}

void api_devices_csv(struct api_call *call)
{
    struct store_rules rules;
    struct table table = {.call = call, .rules = &rules, .now_ms = api_now_ms(), .limit = ROWS_MAX};
    const char *filter = api_param(call, "filter");
    char why[200];
    if (api_param_number(call, "limit", 1, ROWS_MAX, &table.limit) < 0) return;
    if (filter_parse(&table.filter, filter != NULL ? filter : "", why, sizeof why) < 0) {
        api_refuse(call, MOLT_REQUEST_INVALID, "%s", why);
        return;
    }
    int rc = store_load_rules(call->api->store, &rules);
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return;
    }
    write_table(call, &table);
    store_free_rules(&rules);
}
