/* scope.c - what a token of one product may reach: that product, its releases, rollouts and devices, as if there were no others.
 * What is another's is answered as what is not there. Tests: test/unit/api_scope_test.c. */
#include "call.h"
#include "shapes.h"

#include <string.h>

#include "molt_reason.h"

bool api_in_scope(const struct api_call *call, int64_t product_id)
{
    return call->scope == 0 || call->scope == product_id;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* The product of what {id} names in the path; -1: there is no such thing, 0: the path is not about one. */
static int64_t product_of_path(const struct api_call *call, const struct store_rules *rules)
{
    const char *path = call->request->path;
    const int64_t id = api_row_id(call);
    if (call->id[0] == '\0' || begins(path, API_PREFIX "/devices/")) return 0; /* api_load_device() looks */
    if (begins(path, API_PREFIX "/products/"))
        for (uint32_t i = 0; i < rules->product_count; i++)
            if (strcmp(rules->products[i].name, call->id) == 0) return rules->products[i].id;
    if (begins(path, API_PREFIX "/releases/"))
        for (uint32_t i = 0; i < rules->release_count; i++)
            if (rules->releases[i].id == id) return rules->releases[i].product_id;
    if (begins(path, API_PREFIX "/rollouts/"))
        for (uint32_t i = 0; i < rules->rollout_count; i++)
            if (rules->rollouts[i].id == id) return rules->rollouts[i].product_id;
    return -1;
}

/* A product in the query must be the token's own; a release is published for it by name, and adopts nobody. */
static bool query_ok(const struct api_call *call, const struct store_rules *rules)
{
    const char *product = api_param(call, "product");
    if (product != NULL && strcmp(product, shape_product_name(rules, call->scope)) != 0) return false;
    const bool publishes = strcmp(call->request->method, "POST") == 0 &&
                           strcmp(call->request->path, API_PREFIX "/releases") == 0;
    return !publishes || (product != NULL && api_param(call, "adopt") == NULL);
}

bool api_scope_allows(struct api_call *call, const struct api_route *route)
{
    struct store_rules rules;
    if (call->scope == 0) return true;
    if ((route->flags & API_SCOPED) == 0) {
        api_refuse_status(call, 403, MOLT_UNAUTHORIZED,
                          "the token is for one product, and this is about all of them");
        return false;
    }
    int rc = store_load_rules(call->api->store, &rules);
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return false;
    }
    const int64_t product = product_of_path(call, &rules);
    const bool ok = (product == 0 || product == call->scope) && query_ok(call, &rules);
    store_free_rules(&rules);
    if (!ok) api_refuse(call, MOLT_NOT_FOUND, "there is no such thing in the product of this token");
    return ok;
}
