/* scope.c - the one place where a call is held against who calls: his roles, and the products that they are for. Who has roles
 * for some products sees their releases, rollouts and devices as if there were no others. Tests: test/unit/api_scope_test.c,
 * test/unit/api_access_test.c. */
#include "call.h"
#include "shapes.h"

#include <string.h>

#include "molt_reason.h"

bool api_in_scope(const struct api_call *call, int64_t product_id)
{
    return who_may(&call->who, call->roles, product_id);
}

bool api_sees_all(const struct api_call *call)
{
    return who_may(&call->who, call->roles, 0);
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
    if (call->id[0] == '\0' || begins(path, API_PREFIX "/devices/") || begins(path, API_PREFIX "/groups/"))
        return 0; /* api_load_device() looks, and groups are counted in what one sees */
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

static int64_t product_by_name(const struct store_rules *rules, const char *name)
{
    for (uint32_t i = 0; i < rules->product_count; i++)
        if (strcmp(rules->products[i].name, name) == 0) return rules->products[i].id;
    return -1;
}

/* The product that the query names; 0: none. A release is published for one by name, and adopts nobody. */
static int64_t product_of_query(const struct api_call *call, const struct store_rules *rules)
{
    const char *product = api_param(call, "product");
    const bool publishes = strcmp(call->request->method, "POST") == 0 &&
                           strcmp(call->request->path, API_PREFIX "/releases") == 0;
    if (publishes && (product == NULL || api_param(call, "adopt") != NULL)) return -1;
    return product != NULL ? product_by_name(rules, product) : 0;
}

/* What somebody may see and not do is refused as such; what he may not see is not there. */
bool api_reaches(struct api_call *call, int64_t product_id, const char *missing)
{
    if (product_id >= 0 && api_in_scope(call, product_id)) return true;
    if (product_id >= 0 && who_may(&call->who, ROLES_VIEW, product_id))
        api_refuse_status(call, 403, MOLT_FORBIDDEN, "your roles in this product do not allow it");
    else
        api_refuse(call, MOLT_NOT_FOUND, "%s", missing);
    return false;
}

bool api_scope_allows(struct api_call *call, const struct api_route *route)
{
    struct store_rules rules;
    if ((call->roles & ROLES_ANYBODY) != 0) return true;
    if (!who_may_some(&call->who, call->roles)) {
        api_refuse_status(call, 403, MOLT_FORBIDDEN, "none of your roles allows it");
        return false;
    }
    const bool all = api_sees_all(call);
    if (!all && (route->flags & API_SCOPED) == 0) {
        api_refuse_status(call, 403, MOLT_FORBIDDEN,
                          "your roles are for some products, and this is about all of them");
        return false;
    }
    if (all && strcmp(call->request->method, "GET") == 0) return true;
    int rc = store_load_rules(call->api->store, &rules);
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return false;
    }
    const int64_t path = product_of_path(call, &rules), query = product_of_query(call, &rules);
    store_free_rules(&rules);
    call->audit_id = path > 0 ? path : query > 0 ? query : 0;
    static const char missing[] = "there is no such thing in the products that you may see";
    return all || ((path == 0 || api_reaches(call, path, missing)) &&
                   (query == 0 || api_reaches(call, query, missing)));
}
