/* groups.c - the groups that devices are in: GET /groups and GET /groups/{id}, with how many; PATCH /groups/{id} gives one another name, DELETE takes its
 * devices out of it. A group is there as long as a device is in it. Tests: test/unit/api_operate_test.c. */
#include "call.h"
#include "shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/filter/filter.h"
#include "molt_reason.h"

#define GROUPS_MAX 10000 /* that are told apart; above that the answer says so */

struct group {
    char name[MODEL_NAME_LEN];
    json_int_t devices;
};

struct counting {
    const struct api_call *call;
    struct group *groups;
    size_t count, cap;
    bool too_many, short_of_memory;
};

/* Where the name stands, or would. */
static size_t place_of(const struct counting *c, const char *name)
{
    size_t low = 0, high = c->count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (strcmp(c->groups[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int count_row(void *ctx, const struct model_device *device, const struct census_alike *alike)
{
    struct counting *c = ctx;
    if (device->group_name[0] == '\0' || !api_in_scope(c->call, device->product_id)) return 0;
    const size_t at = place_of(c, device->group_name);
    if (at < c->count && strcmp(c->groups[at].name, device->group_name) == 0) {
        c->groups[at].devices += (json_int_t)alike->count;
        return 0;
    }
    c->too_many = c->too_many || c->count == GROUPS_MAX;
    if (c->count == GROUPS_MAX) return 0;
    if (c->count == c->cap) {
        struct group *more = realloc(c->groups, (c->cap == 0 ? 64 : 2 * c->cap) * sizeof *more);
        c->short_of_memory = more == NULL;
        if (more == NULL) return 1;
        c->groups = more;
        c->cap = c->cap == 0 ? 64 : 2 * c->cap;
    }
    memmove(&c->groups[at + 1], &c->groups[at], (c->count++ - at) * sizeof *c->groups);
    c->groups[at] = (struct group){.devices = (json_int_t)alike->count};
    (void)snprintf(c->groups[at].name, sizeof c->groups[at].name, "%s", device->group_name);
    return 0;
}

/* False after replying. */
static bool count_all(struct counting *c, struct api_call *call)
{
    const struct census_ages ages = {.now_ms = api_now_ms()};
    int rc = api_each_kind(call, NULL, &ages, count_row, c);
    if (rc == 0 && c->short_of_memory) rc = -MOLT_NO_MEMORY;
    if (rc == 0) return true;
    free(c->groups);
    api_refuse_store(call, rc, "");
    return false;
}

static json_t *group_json(const struct group *group)
{
    return json_pack("{s:s, s:I}", "name", group->name, "devices", group->devices);
}

#define NO_GROUP "no device is in a group of this name; `molt group list` shows them"

void api_group_get(struct api_call *call)
{
    struct counting c = {.call = call};
    if (!count_all(&c, call)) return;
    const size_t at = place_of(&c, call->id);
    if (at < c.count && strcmp(c.groups[at].name, call->id) == 0)
        api_reply(call, 200, group_json(&c.groups[at]));
    else
        api_refuse(call, MOLT_NOT_FOUND, NO_GROUP);
    free(c.groups);
}

void api_groups_list(struct api_call *call)
{
    struct counting c = {.call = call};
    uint64_t limit = 100;
    const char *after = api_param(call, "after");
    if (api_param_number(call, "limit", 1, 1000, &limit) < 0 || !count_all(&c, call)) return;
    json_t *list = json_array();
    size_t i = after != NULL ? place_of(&c, after) : 0;
    if (after != NULL && i < c.count && strcmp(c.groups[i].name, after) == 0) i++;
    const size_t end = c.count - i > limit ? i + limit : c.count;
    for (; i < end; i++)
        json_array_append_new(list, group_json(&c.groups[i]));
    json_t *next = end < c.count ? json_string(c.groups[end - 1].name) : json_null();
    api_reply(call, 200,
              json_pack("{s:o, s:o, s:b}", "groups", list, "next", next, "more_than_counted", c.too_many));
    free(c.groups);
}

/* Puts all devices of the group into another, null: into none. */
static void move_all(struct api_call *call, json_t *to)
{
    char filter[MODEL_FILTER_LEN];
    if (!filter_word_ok(call->id, strlen(call->id))) {
        api_refuse(call, MOLT_NOT_FOUND, NO_GROUP);
        json_decref(to);
        return;
    }
    (void)snprintf(filter, sizeof filter, "group = %s", call->id);
    json_t *body = json_pack("{s:o}", "group", to);
    if (body == NULL)
        api_refuse(call, MOLT_NO_MEMORY, "%s", "");
    else
        api_set_devices(call, filter, body, NO_GROUP);
    json_decref(body);
}

void api_group_patch(struct api_call *call)
{
    const char *name = "";
    json_t *body = api_body(call, "name");
    if (body == NULL) return;
    if (api_body_text(call, body, "name", MODEL_NAME_LEN - 1, &name) == 0) {
        if (!filter_word_ok(name, strlen(name)))
            api_refuse(call, MOLT_REQUEST_INVALID,
                       "'name': a group has 1 to 32 letters, digits, '.', '-' or '_'");
        else
            move_all(call, json_string(name));
    }
    json_decref(body);
}

void api_group_delete(struct api_call *call)
{
    move_all(call, json_null());
}
