/* filters.c - filters with a name: GET /filters, GET, PUT, DELETE /filters/{id}. Must never keep a filter that cannot be read.
 * Tests: test/unit/api_operate_test.c. */
#include "call.h"
#include "shapes.h"

#include <stdio.h>
#include <string.h>

#include "host/filter/filter.h"
#include "host/store/operate.h"
#include "molt_reason.h"

static json_t *filter_json(const struct store_filter *filter)
{
    return json_pack("{s:s, s:s, s:o, s:o, s:I}", "name", filter->name, "filter", filter->filter, "note",
                     shape_text(filter->note), "changed_by", shape_text(filter->changed_by), "changed_ms",
                     (json_int_t)filter->changed_ms);
}

struct listing {
    json_t *list;
    const char *after;
    uint64_t limit;
    char last[MODEL_NAME_LEN];
    bool more;
};

static int list_row(void *ctx, const struct store_filter *filter)
{
    struct listing *listing = ctx;
    if (strcmp(filter->name, listing->after) <= 0) return 0;
    listing->more = json_array_size(listing->list) == listing->limit;
    if (listing->more) return 1;
    json_array_append_new(listing->list, filter_json(filter));
    memcpy(listing->last, filter->name, sizeof listing->last);
    return 0;
}

void api_filters_list(struct api_call *call)
{
    struct listing listing = {.after = api_param(call, "after"), .limit = 100};
    if (api_param_number(call, "limit", 1, 1000, &listing.limit) < 0) return;
    if (listing.after == NULL) listing.after = "";
    listing.list = json_array();
    int rc = store_each_filter(call->api->store, list_row, &listing);
    if (rc < 0) {
        json_decref(listing.list);
        api_refuse_store(call, rc, "");
        return;
    }
    api_reply(call, 200,
              json_pack("{s:o, s:o}", "filters", listing.list, "next",
                        listing.more ? json_string(listing.last) : json_null()));
}

void api_filter_get(struct api_call *call)
{
    struct store_filter filter;
    int rc = store_filter_get(call->api->store, call->id, &filter);
    if (rc < 0)
        api_refuse_store(call, rc, "no filter has this name");
    else
        api_reply(call, 200, filter_json(&filter));
}

static bool name_ok(struct api_call *call)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
    const size_t len = strlen(call->id);
    if (len < MODEL_NAME_LEN && strspn(call->id, allowed) == len && strchr(".-_", call->id[0]) == NULL)
        return true;
    api_refuse(call, MOLT_NAME_INVALID, "'%s'", call->id);
    return false;
}

void api_filter_put(struct api_call *call)
{
    struct store_filter filter = {.changed_ms = api_now_ms()};
    const char *note = "";
    if (!name_ok(call)) return;
    json_t *body = api_body(call, "filter note");
    if (body == NULL) return;
    if (api_body_text(call, body, "note", MODEL_DETAIL_LEN - 1, &note) == 0 &&
        api_body_filter(call, body, "filter", filter.filter)) {
        (void)snprintf(filter.name, sizeof filter.name, "%.64s", call->id); /* name_ok() */
        (void)snprintf(filter.note, sizeof filter.note, "%s", note);
        (void)snprintf(filter.changed_by, sizeof filter.changed_by, "%s", call->who.name);
        int rc = store_filter_put(call->api->store, &filter);
        if (rc < 0)
            api_refuse_store(call, rc, "");
        else
            api_reply(call, 200, filter_json(&filter));
    }
    json_decref(body);
}

void api_filter_delete(struct api_call *call)
{
    int rc = store_filter_delete(call->api->store, call->id);
    if (rc < 0)
        api_refuse_store(call, rc, "no filter has this name");
    else
        api_reply(call, 200, json_pack("{s:s}", "deleted", call->id));
}
