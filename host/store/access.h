/* access.h - who may do what, and what was done: accounts of people with their roles, and the audit log. Part of store.h, whose rules
 * hold: each call is atomic and durable, failures are negative reasons and leave everything as it was. */
#ifndef MOLT_HOST_STORE_ACCESS_H
#define MOLT_HOST_STORE_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../model.h"

struct store;

/* ---- roles ---- */

enum store_role {
    STORE_ROLE_VIEWER = 1u << 0,
    STORE_ROLE_OPERATOR = 1u << 1,
    STORE_ROLE_UPLOADER = 1u << 2,
    STORE_ROLE_APPROVER = 1u << 3,
    STORE_ROLE_ADMIN = 1u << 4,
};
#define STORE_ROLES_ALL  31u
#define STORE_GRANTS_MAX 64u

struct store_grant {
    int64_t product_id; /* 0: every product, and what is about all of them */
    uint32_t roles;
};

/* ---- accounts ---- */

#define STORE_ACCOUNT_LEN  49 /* a name: 1 to 48 of a-z 0-9 . _ @ + -, and a NUL */
#define STORE_PASSWORD_LEN 128
#define STORE_TOTP_LEN     20u /* RFC 4226: the length of an SHA-1 */
#define STORE_RECOVERY_MAX 8u
#define STORE_RECOVERY_LEN 16u /* bytes of a hash; zeros: used up */

struct store_account {
    int64_t id;
    int64_t revision; /* of what was read: saving is refused when somebody else saved in between */
    char name[STORE_ACCOUNT_LEN];
    char password[STORE_PASSWORD_LEN]; /* argon2id as text; "": nobody can log in by one */
    bool disabled;
    int64_t epoch;                                          /* sessions of an earlier one are over */
    uint8_t totp[STORE_TOTP_LEN], totp_new[STORE_TOTP_LEN]; /* zeros: off; shown and not yet proved */
    int64_t totp_step; /* the last one that was used: none is good twice */
    uint8_t recovery[STORE_RECOVERY_MAX * STORE_RECOVERY_LEN];
    int64_t created_ms, login_ms; /* login_ms 0: never */
    uint32_t grant_count;
    struct store_grant grants[STORE_GRANTS_MAX];
};

bool store_account_name_ok(const char *name);
/* Sets id, revision and created_ms. -MOLT_STATE: the name is taken. -MOLT_ARG: a name or grant that cannot be. */
int store_account_create(struct store *store, struct store_account *account);
int store_account_find(struct store *store, const char *name,
                       struct store_account *out);                                 /* -MOLT_NOT_FOUND */
int store_account_get(struct store *store, int64_t id, struct store_account *out); /* -MOLT_NOT_FOUND */
/* Everything but id, name and created_ms, and counts revision up. -MOLT_STATE: it was saved by somebody else since. */
int store_account_save(struct store *store, struct store_account *account);
int store_account_delete(struct store *store, const char *name); /* -MOLT_NOT_FOUND */
int store_account_count(struct store *store, uint32_t *count);
/* Calls row for each account in name order; as store_each_device(). */
int store_each_account(struct store *store, int (*row)(void *ctx, const struct store_account *account),
                       void *ctx);

#endif
