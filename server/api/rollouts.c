/* rollouts.c - the rollouts of the API: list, show, make, and a person's orders. A running server must hear of every
 * change (rules_changed). What a body may say: rollout_body.c. Tests: test/unit/api_rollout_test.c. */
#include "rollouts.h"

#include <stdio.h>
#include <string.h>

#include "molt_reason.h"
#include "shapes.h"

static const char *status_name(enum model_rollout_status status)
{
    static const char *const names[] = {"", "running", "paused", "done", "aborted", "waiting"};
    return (size_t)status < sizeof names / sizeof names[0] ? names[status] : "";
}

static const char *downgrade_name(enum model_downgrade rule)
{
    return rule == MODEL_DOWNGRADE_DEFAULT ? "product" : api_downgrade_name(rule);
}

static json_t *phases_json(const struct model_rollout *rollout)
{
    json_t *phases = json_array();
    for (uint32_t i = 0; i < rollout->phase_count; i++)
        json_array_append_new(phases, json_pack("{s:f, s:o}", "percent", rollout->phases[i].percent / 100.0,
                                                "filter", shape_text(rollout->phases[i].filter)));
    return phases;
}

static json_t *counts_json(const struct rollout_counts *counts)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "offered", (json_int_t)counts->offered, "open",
                     (json_int_t)counts->open, "succeeded", (json_int_t)counts->succeeded, "presumed",
                     (json_int_t)counts->presumed, "failed", (json_int_t)counts->failed, "last_success_ms",
                     counts->last_success_ms != 0 ? json_integer(counts->last_success_ms) : json_null());
}

static json_t *rules_json(const struct model_rollout *r)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "success_count",
                     (json_int_t)r->success_count, "success_percent", (json_int_t)r->success_percent,
                     "soak_s", (json_int_t)r->soak_s, "error_count", (json_int_t)r->error_count,
                     "error_percent", (json_int_t)r->error_percent, "timeout_s", (json_int_t)r->timeout_s,
                     "retries", (json_int_t)r->retries, "retry_s", (json_int_t)r->retry_s, "max_open",
                     (json_int_t)r->max_open, "presumed_counts", r->presumed_counts);
}

static json_t *rollout_json(const struct store_rules *rules, const struct model_rollout *r,
                            const struct rollout_table *table)
{
    const struct model_release *release = NULL;
    struct rollout_counts counts;
    for (uint32_t i = 0; i < rules->release_count && release == NULL; i++)
        if (rules->releases[i].id == r->release_id) release = &rules->releases[i];
    rollout_table_read(table, r->id, &counts);
    json_t *json = json_pack(
        "{s:I, s:s, s:I, s:s, s:I, s:s, s:o, s:I, s:I, s:I, s:o, s:I, s:o}", "id", (json_int_t)r->id,
        "product", shape_product_name(rules, r->product_id), "release", (json_int_t)r->release_id, "version",
        release != NULL ? release->version : "", "code", (json_int_t)(release != NULL ? release->code : 0),
        "status", status_name(r->status), "note", shape_text(r->note), "phase", (json_int_t)r->phase + 1,
        "phase_since_ms", (json_int_t)r->phase_since_ms, "created_ms", (json_int_t)r->created_ms, "start_ms",
        r->start_ms != 0 ? json_integer(r->start_ms) : json_null(), "salt", (json_int_t)r->salt, "target",
        shape_text(r->target));
    if (json == NULL) return NULL;
    json_object_set_new(json, "window", shape_text(r->window));
    json_object_set_new(json, "downgrade", json_string(downgrade_name(r->downgrade)));
    json_object_set_new(json, "created_by", shape_text(r->created_by));
    json_object_set_new(json, "approved_by", shape_text(r->approved_by));
    json_object_set_new(json, "approved_ms",
                        r->approved_ms != 0 ? json_integer(r->approved_ms) : json_null());
    json_object_set_new(json, "phases", phases_json(r));
    json_object_set_new(json, "rules", rules_json(r));
    json_object_set_new(json, "counts", counts_json(&counts));
    return json;
}

/* ---- the counts: a running server keeps them; else they are made of the devices in the store ---- */

static int count_device(void *ctx, const struct model_device *device)
{
    const struct rollout_mark mark = rollout_mark_of(device);
    rollout_table_move(ctx, NULL, &mark);
    return 0;
}

bool api_counts_begin(struct api_call *call, struct api_counts *counts)
{
    *counts = (struct api_counts){.table = call->api->hooks.rollouts};
    if (counts->table != NULL) return true;
    counts->table = counts->owned = rollout_table_new();
    int rc = counts->owned != NULL ? api_each_device(call, "", count_device, counts->owned) : -MOLT_NO_MEMORY;
    if (rc == 0) return true;
    rollout_table_free(counts->owned);
    api_refuse_store(call, rc, "");
    return false;
}

void api_counts_end(struct api_counts *counts)
{
    rollout_table_free(counts->owned);
}

/* Everything that a call about rollouts looks at. False after replying. */
static bool begin(struct api_call *call, struct store_rules *rules, struct api_counts *counts)
{
    int rc = store_load_rules(call->api->store, rules);
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return false;
    }
    if (api_counts_begin(call, counts)) return true;
    store_free_rules(rules);
    return false;
}

static void finish(struct store_rules *rules, struct api_counts *counts)
{
    store_free_rules(rules);
    api_counts_end(counts);
}

static const struct model_rollout *find(const struct store_rules *rules, int64_t id)
{
    for (uint32_t i = 0; i < rules->rollout_count; i++)
        if (rules->rollouts[i].id == id) return &rules->rollouts[i];
    return NULL;
}

static void not_found(struct api_call *call)
{
    api_refuse(call, MOLT_NOT_FOUND, "no rollout has the id '%.64s'; `molt rollout list` shows them",
               call->id);
}

static void reply_rollout(struct api_call *call, int status, int64_t id)
{
    struct store_rules rules;
    struct api_counts counts;
    if (!begin(call, &rules, &counts)) return;
    const struct model_rollout *rollout = find(&rules, id);
    if (rollout != NULL)
        api_reply(call, status, rollout_json(&rules, rollout, counts.table));
    else
        not_found(call);
    finish(&rules, &counts);
}

static void tell_server(struct api_call *call)
{
    const struct api_hooks *hooks = &call->api->hooks;
    if (hooks->rules_changed != NULL) hooks->rules_changed(hooks->ctx);
}

/* ---- handlers ---- */

void api_rollouts_list(struct api_call *call)
{
    struct store_rules rules;
    struct api_counts counts;
    const char *product = api_param(call, "product");
    if (!begin(call, &rules, &counts)) return;
    bool known = product == NULL;
    for (uint32_t i = 0; !known && i < rules.product_count; i++)
        known = strcmp(rules.products[i].name, product) == 0;
    if (known) {
        json_t *list = json_array();
        for (uint32_t i = 0; i < rules.rollout_count; i++) {
            const struct model_rollout *rollout = &rules.rollouts[i];
            if (!api_in_scope(call, rollout->product_id)) continue;
            if (product == NULL || strcmp(shape_product_name(&rules, rollout->product_id), product) == 0)
                json_array_append_new(list, rollout_json(&rules, rollout, counts.table));
        }
        api_reply_page(call, "rollouts", list, "id");
    } else {
        api_refuse(call, MOLT_NOT_FOUND, "no product is called '%s'", product);
    }
    finish(&rules, &counts);
}

void api_rollout_get(struct api_call *call)
{
    reply_rollout(call, 200, api_row_id(call));
}

#define NO_RELEASE "no release has this id; `molt release list` shows them"

static void refuse_release(struct api_call *call, int rc)
{
    api_refuse_store(call, rc, NO_RELEASE);
}

/* Running, or waiting where the product wants a second person. False after replying. */
static bool begins_as(struct api_call *call, struct model_rollout *rollout)
{
    struct store_rules rules;
    int rc = store_load_rules(call->api->store, &rules);
    int64_t product_id = 0;
    for (uint32_t i = 0; rc == 0 && i < rules.release_count; i++)
        if (rules.releases[i].id == rollout->release_id) product_id = rules.releases[i].product_id;
    for (uint32_t i = 0; rc == 0 && i < rules.product_count; i++)
        if (rules.products[i].id == product_id && rules.products[i].approval)
            rollout->status = MODEL_ROLLOUT_WAITING;
    if (rc == 0) store_free_rules(&rules);
    if (rc == 0 && product_id == 0) rc = -MOLT_NOT_FOUND;
    if (rc < 0) refuse_release(call, rc);
    call->audit_id = product_id;
    if (rc == 0 && !api_reaches(call, product_id, NO_RELEASE)) rc = -MOLT_NOT_FOUND; /* it was said */
    memcpy(rollout->created_by, call->who.name, sizeof rollout->created_by);
    return rc == 0;
}

void api_rollouts_create(struct api_call *call)
{
    struct model_rollout rollout;
    if (!api_rollout_body(call, &rollout) || !begins_as(call, &rollout)) return;
    int rc = store_rollout_create(call->api->store, &rollout);
    if (rc < 0) {
        refuse_release(call, rc);
        return;
    }
    tell_server(call);
    reply_rollout(call, 201, rollout.id);
}

/* A person's order as rollout_act() or rollout_approve() takes it. */
static int obey(const struct api_call *call, const struct model_rollout *rollout,
                const struct rollout_counts *now, const enum rollout_act *order, struct model_rollout *next)
{
    if (order != NULL) return rollout_act(rollout, now, *order, api_now_ms(), next);
    return rollout_approve(rollout, call->who.name, api_now_ms(), next);
}

/* order NULL: approve. */
static void act(struct api_call *call, const enum rollout_act *order)
{
    struct store_rules rules;
    struct api_counts counts;
    struct model_rollout next;
    int rc = -MOLT_NOT_FOUND;
    if (!begin(call, &rules, &counts)) return;
    const struct model_rollout *rollout = find(&rules, api_row_id(call));
    if (rollout != NULL) {
        struct rollout_counts now;
        rollout_table_read(counts.table, rollout->id, &now);
        rc = obey(call, rollout, &now, order, &next);
        if (rc == -MOLT_STATE)
            api_refuse(call, MOLT_STATE, "the rollout is %s", status_name(rollout->status));
        else if (rc == -MOLT_SECOND_PERSON)
            api_refuse_status(call, 409, MOLT_SECOND_PERSON, rollout->created_by);
        else if ((rc = store_rollout_update(call->api->store, rollout, &next)) < 0)
            api_refuse_store(call, rc, "");
    } else {
        not_found(call);
    }
    finish(&rules, &counts);
    if (rc < 0) return;
    tell_server(call);
    reply_rollout(call, 200, next.id);
}

void api_rollout_approve(struct api_call *call)
{
    act(call, NULL);
}

#define ORDER(name, order)                                                                                   \
    void name(struct api_call *call)                                                                         \
    {                                                                                                        \
        act(call, &(const enum rollout_act){order});                                                         \
    }
ORDER(api_rollout_pause, ROLLOUT_PAUSE)
ORDER(api_rollout_resume, ROLLOUT_RESUME)
ORDER(api_rollout_next, ROLLOUT_NEXT)
ORDER(api_rollout_abort, ROLLOUT_ABORT)
