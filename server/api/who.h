/* who.h - private to server/api: who calls, and what that person may. The roles are those of the account or token at this moment.
 * Tests: test/unit/api_access_test.c. */
#ifndef MOLT_SERVER_API_WHO_H
#define MOLT_SERVER_API_WHO_H

#include <jansson.h>

#include "host/store/store.h"

/* Which roles may call a route: api_route.roles. ANYBODY: whoever is logged in; nobody when it is 0. */
#define ROLES_VIEW                                                                                           \
    (STORE_ROLE_VIEWER | STORE_ROLE_OPERATOR | STORE_ROLE_UPLOADER | STORE_ROLE_APPROVER | STORE_ROLE_ADMIN)
#define ROLES_OPERATE (STORE_ROLE_OPERATOR | STORE_ROLE_ADMIN)
#define ROLES_UPLOAD  (STORE_ROLE_UPLOADER | STORE_ROLE_ADMIN)
#define ROLES_APPROVE (STORE_ROLE_APPROVER | STORE_ROLE_ADMIN)
#define ROLES_ADMIN   STORE_ROLE_ADMIN
#define ROLES_ANYBODY (1u << 31)

#define WHO_NAME_LEN MODEL_NAME_LEN

struct who {
    /* The person: "local" (may use the data folder), "user NAME", "token ID" (nobody's); "": not known. A token that a user
     * made is that user, so nobody becomes two by making one. */
    char name[WHO_NAME_LEN];
    char token_id[STORE_TOKEN_ID_LEN]; /* of the token that was shown; "": none was */
    int64_t account_id;                /* of a user who logged in; 0: none did */
    int64_t until_ms;                  /* when that token ends; 0: never, or none was */
    uint32_t grant_count;
    struct store_grant grants[STORE_GRANTS_MAX];
};

/* The one who may use the data folder anyway. */
void who_local(struct who *who);
/* By a token of the API, or by its SHA-256. A token that a user made does what he may himself, and nothing once he is disabled or
 * gone. -MOLT_UNAUTHORIZED: it is none (any more). */
int who_by_token(struct store *store, const char *token, struct who *who);
int who_by_token_hash(struct store *store, const uint8_t sha256[32], struct who *who);
/* By an account. -MOLT_UNAUTHORIZED: disabled, gone, or of another epoch than the session. */
int who_by_account(struct store *store, int64_t id, int64_t epoch, struct who *who);

/* May he do what one of these roles may, with things of the product? product_id 0: with what is about all of them. */
bool who_may(const struct who *who, uint32_t roles, int64_t product_id);
/* ... with any product at all? */
bool who_may_some(const struct who *who, uint32_t roles);
/* The one product that these roles of his are limited to; 0: they are for all, or for several. */
int64_t who_sole_product(const struct who *who, uint32_t roles);

/* ---- roles as texts: "viewer", "operator@lamp" ---- */

/* As a JSON array of texts. rules: for the names of products. */
json_t *roles_json(const struct store_grant *grants, uint32_t count, const struct store_rules *rules);
/* Reads such an array: at least one. 0; -1 with a sentence in why: it is none, or names a role or product that is not there. */
int roles_read(const json_t *list, const struct store_rules *rules, struct store_grant *grants,
               uint32_t *count, char *why, size_t why_cap);

#endif
