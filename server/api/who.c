/* who.c - who calls, and what he may. Must never take a token's or account's word of yesterday: both are read each time.
 * Tests: test/unit/api_access_test.c. */
#include "who.h"

#include <stdio.h>
#include <string.h>

#include "molt_reason.h"

static const struct {
    const char *name;
    uint32_t role;
} names[] = {{"viewer", STORE_ROLE_VIEWER},
             {"operator", STORE_ROLE_OPERATOR},
             {"uploader", STORE_ROLE_UPLOADER},
             {"approver", STORE_ROLE_APPROVER},
             {"admin", STORE_ROLE_ADMIN}};
#define NAMES   (sizeof names / sizeof names[0])
#define USER_IS "user " /* and the name: who.h */

void who_local(struct who *who)
{
    *who = (struct who){.name = "local", .grant_count = 1, .grants = {{0, STORE_ROLE_ADMIN}}};
}

/* What a token of somebody may: no more than he, in no other product. An admin may all that others may. */
static void limit_to_maker(struct who *who, const struct store_account *maker,
                           const struct store_token *token)
{
    who->grant_count = 0;
    for (uint32_t i = 0; i < maker->grant_count; i++) {
        const struct store_grant *has = &maker->grants[i];
        const uint32_t roles =
            (has->roles & STORE_ROLE_ADMIN) != 0 ? token->roles : token->roles & has->roles;
        if (token->product_id != 0 && has->product_id != 0 && token->product_id != has->product_id) continue;
        const int64_t product_id = token->product_id != 0 ? token->product_id : has->product_id;
        if (roles != 0) who->grants[who->grant_count++] = (struct store_grant){product_id, roles};
    }
}

/* Whoever has his name now may be another than who made it. */
static int check_maker(struct store *store, const struct store_token *token, struct who *who)
{
    struct store_account maker;
    if (strncmp(token->made_by, USER_IS, sizeof USER_IS - 1) != 0) return 0;
    int rc = store_account_find(store, token->made_by + sizeof USER_IS - 1, &maker);
    if (rc == -MOLT_NOT_FOUND) return -MOLT_UNAUTHORIZED;
    if (rc < 0) return rc;
    if (maker.disabled || maker.created_ms > token->created_ms) return -MOLT_UNAUTHORIZED;
    limit_to_maker(who, &maker, token);
    return 0;
}

int who_by_token(struct store *store, const char *token, struct who *who)
{
    uint8_t sha256[32];
    *who = (struct who){.name = ""};
    int rc = store_token_hash(token, sha256);
    return rc == 0 ? who_by_token_hash(store, sha256, who) : rc;
}

int who_by_token_hash(struct store *store, const uint8_t sha256[32], struct who *who)
{
    struct store_token found;
    int rc = store_token_find_hash(store, sha256, &found);
    *who = (struct who){.name = ""};
    if (rc == 0 && found.kind != STORE_TOKEN_ADMIN) rc = -MOLT_UNAUTHORIZED;
    if (rc < 0) return rc;
    memcpy(who->token_id, found.id, sizeof who->token_id);
    who->until_ms = found.expires_ms;
    if (found.made_by[0] != '\0')
        memcpy(who->name, found.made_by, sizeof who->name);
    else
        snprintf(who->name, sizeof who->name, "token %s", found.id);
    who->grant_count = 1;
    who->grants[0] = (struct store_grant){found.product_id, found.roles};
    return check_maker(store, &found, who);
}

int who_by_account(struct store *store, int64_t id, int64_t epoch, struct who *who)
{
    struct store_account account;
    int rc = store_account_get(store, id, &account);
    *who = (struct who){.name = ""};
    if (rc == -MOLT_NOT_FOUND) rc = -MOLT_UNAUTHORIZED;
    if (rc == 0 && (account.disabled || account.epoch != epoch)) rc = -MOLT_UNAUTHORIZED;
    if (rc < 0) return rc;
    snprintf(who->name, sizeof who->name, USER_IS "%s", account.name);
    who->account_id = account.id;
    who->grant_count = account.grant_count;
    memcpy(who->grants, account.grants, sizeof who->grants);
    return 0;
}

bool who_may(const struct who *who, uint32_t roles, int64_t product_id)
{
    for (uint32_t i = 0; i < who->grant_count; i++) {
        const struct store_grant *grant = &who->grants[i];
        if ((grant->roles & roles) != 0 && (grant->product_id == 0 || grant->product_id == product_id))
            return true;
    }
    return false;
}

bool who_may_some(const struct who *who, uint32_t roles)
{
    for (uint32_t i = 0; i < who->grant_count; i++)
        if ((who->grants[i].roles & roles) != 0) return true;
    return false;
}

int64_t who_sole_product(const struct who *who, uint32_t roles)
{
    int64_t sole = 0;
    for (uint32_t i = 0; i < who->grant_count; i++) {
        if ((who->grants[i].roles & roles) == 0) continue;
        if (who->grants[i].product_id == 0 || sole != 0) return 0;
        sole = who->grants[i].product_id;
    }
    return sole;
}

/* ---- texts ---- */

static const char *product_name(const struct store_rules *rules, int64_t id)
{
    for (uint32_t i = 0; i < rules->product_count; i++)
        if (rules->products[i].id == id) return rules->products[i].name;
    return "";
}

json_t *roles_json(const struct store_grant *grants, uint32_t count, const struct store_rules *rules)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        const char *product = grants[i].product_id != 0 ? product_name(rules, grants[i].product_id) : NULL;
        for (size_t n = 0; n < NAMES; n++) {
            if ((grants[i].roles & names[n].role) == 0) continue;
            json_array_append_new(list, product != NULL ? json_sprintf("%s@%s", names[n].name, product)
                                                        : json_string(names[n].name));
        }
    }
    return list;
}

static int add(struct store_grant *grants, uint32_t *count, int64_t product_id, uint32_t role)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (grants[i].product_id != product_id) continue;
        grants[i].roles |= role;
        return 0;
    }
    if (*count == STORE_GRANTS_MAX) return -1;
    grants[(*count)++] = (struct store_grant){product_id, role};
    return 0;
}

static int read_one(const char *text, const struct store_rules *rules, struct store_grant *grants,
                    uint32_t *count, char *why, size_t why_cap)
{
    const char *at = strchr(text, '@');
    const size_t len = at != NULL ? (size_t)(at - text) : strlen(text);
    uint32_t role = 0;
    int64_t product_id = 0;
    for (size_t i = 0; i < NAMES; i++)
        if (strlen(names[i].name) == len && memcmp(names[i].name, text, len) == 0) role = names[i].role;
    for (uint32_t i = 0; at != NULL && i < rules->product_count; i++)
        if (strcmp(rules->products[i].name, at + 1) == 0) product_id = rules->products[i].id;
    if (role == 0)
        snprintf(why, why_cap,
                 "'%.40s' is no role: viewer, operator, uploader, approver or admin, and for "
                 "one product ROLE@PRODUCT",
                 text);
    else if (at != NULL && product_id == 0)
        snprintf(why, why_cap, "no product is called '%.64s'", at + 1);
    else if (add(grants, count, product_id, role) < 0)
        snprintf(why, why_cap, "roles may name at most %u products", STORE_GRANTS_MAX);
    else
        return 0;
    return -1;
}

int roles_read(const json_t *list, const struct store_rules *rules, struct store_grant *grants,
               uint32_t *count, char *why, size_t why_cap)
{
    size_t i;
    const json_t *item;
    *count = 0;
    snprintf(why, why_cap, "'roles' is a list of texts like \"viewer\" and \"operator@lamp\", not empty");
    if (!json_is_array(list) || json_array_size(list) == 0) return -1;
    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item)) return -1;
        if (read_one(json_string_value(item), rules, grants, count, why, why_cap) < 0) return -1;
    }
    return 0;
}
