/* releases.c - GET /releases, GET /releases/{id}, yank and unyank. Publishing is publish.c.
 * A running server must hear of every change (rules_changed). Tests: test/unit/api_test.c. */
#include "call.h"
#include "shapes.h"

#include <string.h>

#include "molt_reason.h"

/* Refuses a name in a filter that no product has, so that a typo is not an empty list. */
static bool filter_known(struct api_call *call, const struct store_rules *rules, const char *product)
{
    if (product == NULL) return true;
    for (uint32_t i = 0; i < rules->product_count; i++) {
        if (strcmp(rules->products[i].name, product) == 0) return true;
    }
    api_refuse(call, MOLT_NOT_FOUND, "no product is called '%s'", product);
    return false;
}

void api_releases_list(struct api_call *call)
{
    const char *product = api_param(call, "product"), *channel = api_param(call, "channel");
    struct store_rules rules;
    int rc = store_load_rules(call->api->store, &rules);
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return;
    }
    if (filter_known(call, &rules, product)) {
        json_t *releases = json_array();
        for (uint32_t i = 0; i < rules.release_count; i++) {
            const struct model_release *release = &rules.releases[i];
            const char *name = shape_product_name(&rules, release->product_id);
            if (!api_in_scope(call, release->product_id)) continue;
            if (product != NULL && strcmp(product, name) != 0) continue;
            if (channel != NULL && strcmp(channel, release->channel) != 0) continue;
            json_array_append_new(releases, shape_release(release, name));
        }
        api_reply_page(call, "releases", releases, "id");
    }
    store_free_rules(&rules);
}

int64_t api_row_id(const struct api_call *call)
{
    size_t len = strlen(call->id);
    if (len == 0 || len > 18 || strspn(call->id, "0123456789") != len) return 0;
    int64_t id = 0;
    for (size_t i = 0; i < len; i++)
        id = id * 10 + (call->id[i] - '0');
    return id;
}

static void reply_release(struct api_call *call, int status, int64_t id)
{
    struct store_rules rules;
    int rc = store_load_rules(call->api->store, &rules);
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return;
    }
    const struct model_release *found = NULL;
    for (uint32_t i = 0; i < rules.release_count && found == NULL; i++) {
        if (rules.releases[i].id == id) found = &rules.releases[i];
    }
    if (found != NULL)
        api_reply(call, status, shape_release(found, shape_product_name(&rules, found->product_id)));
    else
        api_refuse(call, MOLT_NOT_FOUND, "no release has the id '%s'; `molt release list` shows them",
                   call->id);
    store_free_rules(&rules);
}

void api_release_get(struct api_call *call)
{
    reply_release(call, 200, api_row_id(call));
}

static void set_yanked(struct api_call *call, bool yank)
{
    int64_t id = api_row_id(call);
    int rc = id != 0 ? store_release_yank(call->api->store, id, yank) : -MOLT_NOT_FOUND;
    if (rc == -MOLT_NOT_FOUND) {
        api_refuse(call, MOLT_NOT_FOUND, "no release has the id '%s'; `molt release list` shows them",
                   call->id);
        return;
    }
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return;
    }
    const struct api_hooks *hooks = &call->api->hooks;
    if (hooks->rules_changed != NULL) hooks->rules_changed(hooks->ctx);
    reply_release(call, 200, id);
}

void api_release_yank(struct api_call *call)
{
    set_yanked(call, true);
}

void api_release_unyank(struct api_call *call)
{
    set_yanked(call, false);
}

void api_release_patch(struct api_call *call)
{
    json_t *body = api_body(call, "required");
    if (body == NULL) return;
    const json_t *required = json_object_get(body, "required");
    int64_t id = api_row_id(call);
    int rc = -MOLT_REQUEST_INVALID;
    if (!json_is_boolean(required))
        api_refuse(call, MOLT_REQUEST_INVALID, "'required' must be true or false");
    else if ((rc = store_release_require(call->api->store, id, json_is_true(required))) < 0)
        api_refuse_store(call, rc, "no such release; `molt release list` shows them");
    json_decref(body);
    if (rc < 0) return;
    const struct api_hooks *hooks = &call->api->hooks;
    if (hooks->rules_changed != NULL) hooks->rules_changed(hooks->ctx);
    reply_release(call, 200, id);
}
