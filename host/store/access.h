/* access.h - who may do what, and what was done: accounts of people with their roles and sessions, and the audit log. Part of store.h, whose
 * rules hold: each call is atomic and durable, failures are negative reasons and leave everything as it was. */
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

/* ---- sessions (sessions.c): who is logged in. Hashes only: nothing in a row opens anything ---- */

struct store_session {
    uint8_t key[32];   /* SHA-256 of what the browser has */
    uint8_t token[32]; /* SHA-256 of the token that he logged in with; zeros: an account */
    int64_t account_id, epoch;
    int64_t since_ms, used_ms;
};

/* Adds it, deletes those that were begun before since_ms or used before used_ms, and those of the same account or token that were
 * unused for the longest, so that `most` are left. */
int store_session_begin(struct store *store, const struct store_session *session, int64_t since_ms,
                        int64_t used_ms, uint32_t most);
int store_session_find(struct store *store, const uint8_t key[32],
                       struct store_session *out); /* -MOLT_NOT_FOUND */
/* It was used; it goes on in that epoch; it ends. That there is none is no failure. */
int store_session_used(struct store *store, const uint8_t key[32], int64_t used_ms);
int store_session_renew(struct store *store, const uint8_t key[32], int64_t epoch);
int store_session_end(struct store *store, const uint8_t key[32]);
/* Ends all of an account; *count: how many there were. */
int store_session_end_account(struct store *store, int64_t account_id, uint32_t *count);
/* How many an account has that were begun and used since. */
int store_session_count(struct store *store, int64_t account_id, int64_t since_ms, int64_t used_ms,
                        uint32_t *count);

/* ---- the audit log: entries that each name the hash of the one before, so that none can be changed or taken out unseen ---- */

#define STORE_AUDIT_ACTION_LEN 256
#define STORE_AUDIT_DETAIL_LEN 1025
#define STORE_AUDIT_FROM_LEN   64

struct store_audit {
    int64_t seq; /* from 1, without gaps */
    int64_t at_ms;
    char who[MODEL_NAME_LEN], from[STORE_AUDIT_FROM_LEN], action[STORE_AUDIT_ACTION_LEN];
    char product[MODEL_NAME_LEN]; /* "": of none, of all, or not known */
    char detail[STORE_AUDIT_DETAIL_LEN];
    int32_t status;              /* as HTTP says it */
    char reason[MODEL_NAME_LEN]; /* why it was refused; "": it was done */
    uint8_t hash[32];
};

/* The text whose SHA-256 is the entry's hash: the hash before it in hex (zeros: none), seq, at_ms, who, from, action, product,
 * detail, status and reason, a line feed after each, and "molt-audit-1" and one before. Its length; at most cap. */
#define STORE_AUDIT_TEXT_MAX 2048u
size_t store_audit_text(const struct store_audit *entry, const uint8_t before[32],
                        char out[STORE_AUDIT_TEXT_MAX]);

struct store_audit_head {
    int64_t seq; /* 0: there is no entry */
    uint8_t hash[32];
};

/* Before something is done: notes the entry, whose status and reason are not looked at, beside the log. What was begun and never ended is
 * appended with status STORE_AUDIT_UNKNOWN when the store is opened: on SQLite at once, as nobody else has it open then; on
 * PostgreSQL, where others may be at it, after STORE_AUDIT_OPEN_MS. */
#define STORE_AUDIT_UNKNOWN 0
#define STORE_AUDIT_OPEN_MS (15 * 60 * (int64_t)1000)
int store_audit_begin(struct store *store, struct store_audit *entry, int64_t *open_id);
/* Appends, and takes out what was begun (0: nothing was), in one transaction; sets seq, at_ms and hash, and makes the texts what is
 * kept: one line each, UTF-8. */
int store_audit_end(struct store *store, int64_t open_id, struct store_audit *entry);
/* Takes it out alone: there is nothing to tell of it. */
int store_audit_forget(struct store *store, int64_t open_id);
int store_audit_head(struct store *store, struct store_audit_head *out);
/* Calls row for entries after that seq, the first first; or before it, the last first. row may take its time. From the replica, as
 * store_list_devices_after() of store.h. */
typedef int (*store_audit_row)(void *ctx, const struct store_audit *entry);
int store_each_audit_after(struct store *store, int64_t seq, store_audit_row row, void *ctx);
int store_each_audit_before(struct store *store, int64_t seq, store_audit_row row, void *ctx);

struct store_audit_verdict {
    uint64_t entries; /* that are good, from the first on */
    int64_t bad_seq;  /* 0: all are good */
    const char *why;  /* static, "" when all are good */
    struct store_audit_head head;
};
/* Goes through all entries. expect (NULL: none): a head that was written down earlier, which must still be in the chain: without
 * one a log that was made anew as a whole, or cut together with its head, looks good. 0 also when something is bad. The replica's, if that
 * is good. */
int store_audit_verify(struct store *store, const struct store_audit_head *expect,
                       struct store_audit_verdict *out);

#endif
