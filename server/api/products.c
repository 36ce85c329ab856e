/* products.c - GET /products: what is published, in one line a product; PATCH /products/{id}: its switches. Tests: test/unit/api_test.c. */
#include "call.h"
#include "rollouts.h"
#include "shapes.h"

#include "molt_reason.h"

static json_t *adopted_chips(const struct model_product *product)
{
    json_t *chips = json_array();
    for (int chip = 1; chip <= MOLT_CHIP_MAX; chip++) {
        if ((product->adopt_chips >> chip & 1) != 0)
            json_array_append_new(chips, json_string(molt_chip_name((enum molt_chip)chip)));
    }
    return chips;
}

static json_t *product_json(const struct store_rules *rules, const struct model_product *product)
{
    json_int_t releases = 0;
    const struct model_release *newest = NULL;
    for (uint32_t i = 0; i < rules->release_count; i++) {
        const struct model_release *release = &rules->releases[i];
        if (release->product_id != product->id) continue;
        releases++;
        if (!release->yanked && (newest == NULL || release->code > newest->code)) newest = release;
    }
    return json_pack("{s:s, s:o, s:b, s:b, s:b, s:b, s:s, s:I, s:o, s:o}", "name", product->name, "adopts",
                     adopted_chips(product), "stopped", product->stopped, "rollouts_only",
                     product->rollouts_only, "trust_unverified", product->trust_unverified, "approval",
                     product->approval, "downgrade", api_downgrade_name(product->downgrade), "releases",
                     releases, "newest_version", newest != NULL ? shape_text(newest->version) : json_null(),
                     "newest_code", newest != NULL ? json_integer(newest->code) : json_null());
}

void api_products_list(struct api_call *call)
{
    struct store_rules rules;
    int rc = store_load_rules(call->api->store, &rules);
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return;
    }
    json_t *products = json_array();
    for (uint32_t i = 0; i < rules.product_count; i++)
        if (api_in_scope(call, rules.products[i].id))
            json_array_append_new(products, product_json(&rules, &rules.products[i]));
    store_free_rules(&rules);
    api_reply(call, 200, json_pack("{s:o}", "products", products));
}

static void reply_product(struct api_call *call, int64_t id);

void api_product_get(struct api_call *call)
{
    struct model_product product;
    int rc = store_product_find(call->api->store, call->id, &product);
    if (rc < 0)
        api_refuse_store(call, rc, "no product has this name");
    else
        reply_product(call, product.id);
}

/* A switch in the body: left alone when it is absent. False after replying. */
static bool body_switch(struct api_call *call, const json_t *body, const char *field, bool *out)
{
    const json_t *value = json_object_get(body, field);
    if (value == NULL) return true;
    if (!json_is_boolean(value)) {
        api_refuse(call, MOLT_REQUEST_INVALID, "'%s' must be true or false", field);
        return false;
    }
    *out = json_is_true(value);
    return true;
}

static void reply_product(struct api_call *call, int64_t id)
{
    struct store_rules rules;
    int rc = store_load_rules(call->api->store, &rules);
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return;
    }
    for (uint32_t i = 0; i < rules.product_count; i++)
        if (rules.products[i].id == id) api_reply(call, 200, product_json(&rules, &rules.products[i]));
    store_free_rules(&rules);
}

void api_product_patch(struct api_call *call)
{
    struct model_product product;
    json_t *body = api_body(call, "stopped rollouts_only trust_unverified approval downgrade");
    if (body == NULL) return;
    int rc = store_product_find(call->api->store, call->id, &product);
    const bool stops_only = json_object_size(body) == 1 && json_object_get(body, "stopped") != NULL;
    if (rc == 0 && !stops_only && !who_may(&call->who, ROLES_ADMIN, product.id)) {
        api_refuse(call, MOLT_FORBIDDEN, "an operator may stop a product, and its admin change how it works");
        json_decref(body);
        return;
    }
    if (rc == 0 && (!body_switch(call, body, "stopped", &product.stopped) ||
                    !body_switch(call, body, "rollouts_only", &product.rollouts_only) ||
                    !body_switch(call, body, "trust_unverified", &product.trust_unverified) ||
                    !body_switch(call, body, "approval", &product.approval) ||
                    !api_body_downgrade(call, body, &product.downgrade))) {
        json_decref(body);
        return;
    }
    json_decref(body);
    if (rc == 0) rc = store_product_set(call->api->store, &product);
    if (rc < 0) {
        api_refuse_store(call, rc, "no product has this name");
        return;
    }
    const struct api_hooks *hooks = &call->api->hooks;
    if (hooks->rules_changed != NULL) hooks->rules_changed(hooks->ctx);
    reply_product(call, product.id);
}
