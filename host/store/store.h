/* store.h - the one interface to what molt keeps: rows in SQLite (<data>/molt.db) or PostgreSQL, artifacts in <data>/artifacts.
 *
 * A store may be used by several threads; each call is atomic and, when it returns 0 after a change, durable.
 * Failures return the negative of a reason and leave everything as it was; store_error() says more. */
#ifndef MOLT_HOST_STORE_H
#define MOLT_HOST_STORE_H

#include <stdatomic.h>
#include <stddef.h>

#include "../model.h"
#include "access.h"

struct store;

/* Opens (and, when create, makes, 0700) the data folder. One process holds it at a time (flock on <data>/lock).
 * On failure *out is NULL and err (may be NULL) says why in words.
 * -MOLT_STORE_FAILED (also: not there and not create; written by a newer molt), -MOLT_STATE when another
 * process holds it: err names its pid. */
int store_open(const char *data_dir, bool create, struct store **out, char *err, size_t err_cap);
void store_close(struct store *store);

/* Where a store is. */
struct store_place {
    const char *data_dir; /* artifacts, and the lock */
    const char *url;      /* postgres://...: the rows are in PostgreSQL; NULL: in <data_dir>/molt.db */
    bool create;          /* the folder and the tables may be made */
    bool read_only;       /* beside the process that holds the store; whatever changes something fails */
    const char *
        artifacts; /* "s3://BUCKET[/PREFIX]": artifacts are there, and <data_dir>/artifacts is a cache of it; the keys
                            * come from the environment (doc/store.md). Else a folder that is there, for several servers
                            * to share. NULL: they are in the data folder only */
    const char *
        node; /* one of several servers on url, by this name (nodes.h); artifacts must be set. NULL: the only one */
};
/* As store_open(). Another molt in the same database is -MOLT_STATE, too. */
int store_open_place(const struct store_place *place, struct store **out, char *err, size_t err_cap);

/* How the database is. Ill: the last change failed, or the connection is lost; every call fails then, at once when the
 * connection is lost. */
#define STORE_WHY_LEN 200
struct store_health {
    const char *backend;     /* "sqlite", "postgresql" */
    int64_t ill_since_ms;    /* 0: well */
    char why[STORE_WHY_LEN]; /* for people */
};
void store_health(struct store *store, struct store_health *out);
/* True: the connection is lost, and every call fails at once. */
bool store_is_away(const struct store *store);
/* When the connection is lost: tries to get another, which may take seconds, so for a thread that has time. True: there is one.
 * Without it nothing ever comes back. */
bool store_recover(struct store *store);

/* ---- a stand-by of the database, to read lists from ---- */
/* Once, before other threads use the store; nothing is connected yet. -MOLT_ARG: url names no PostgreSQL, or the store is in none. */
int store_replica_add(struct store *store, const char *url);
/* Connects to it when it is not in use, and looks whether it may stay; both may take seconds, so for a thread that has time. 0: it is in
 * use. Negative: it is not, store_error() says why, and the database itself answers. -MOLT_STATE: it is no copy of this database, no
 * stand-by, or cut off from its primary. */
int store_replica_round(struct store *store);
/* Who answered what is read from the replica, when there is one. */
enum store_read {
    STORE_READ_REPLICA,
    STORE_READ_AWAY,     /* the database: the replica was not in use */
    STORE_READ_CONFLICT, /* the database: what the replica replayed took away rows that the question needed */
    STORE_READ_FAILED,   /* the database: the question failed in the replica for another reason */
    STORE_READ_DOUBTED,  /* the database, too: the audit log looked bad in the replica */
    STORE_READ_COUNT
};
struct store_replica {
    bool named, in_use;               /* named: store_replica_add() */
    char why[STORE_WHY_LEN];          /* it is not in use, for people; "" else */
    uint64_t reads[STORE_READ_COUNT]; /* since the store was opened */
};
/* Any thread. */
void store_replica_state(struct store *store, struct store_replica *out);

/* The last failure of this thread in words: for logs and error answers. Static per thread. */
const char *store_error(const struct store *store);

/* ---- everything that decisions need, as one immutable picture ---- */
struct store_rules {
    uint64_t generation; /* grows with every change of products, releases, images */
    struct model_product *products;
    uint32_t product_count;
    struct model_release *releases; /* by product id, channel, then code falling */
    uint32_t release_count;
    struct model_rollout *rollouts; /* by release id, then id: the last of a release is the one that counts */
    uint32_t rollout_count;
};
int store_load_rules(struct store *store, struct store_rules *out);
void store_free_rules(struct store_rules *rules);

/* ---- products and releases ---- */
int store_product_find(struct store *store, const char *name,
                       struct model_product *out); /* -MOLT_NOT_FOUND */
/* The product that unknown devices of the chip get: it adopts, and no other has images for the chip. -MOLT_NOT_FOUND. */
int store_adopter(struct store *store, enum molt_chip chip, char name[MODEL_NAME_LEN]);
/* Adds one image to the release (product, version, code, channel), making product and release when new, all in
 * one transaction. *release_id (may be NULL) is set; image's id and release_id are not looked at. Its artifacts must
 * have been stored. adopt: unknown devices of the image's chip get this product.
 * Refusals, nothing was changed: -MOLT_OLDER_CODE (chip, component and variant have this code or a greater one in
 * the channel, yanked or not; or the code belongs to another version text), -MOLT_ALREADY_PUBLISHED (the same
 * bytes under this code), -MOLT_MANIFEST_OLDER (image is signed and its sequence and code are not in one order with those
 * published for the product and chip, whatever the channel), -MOLT_ADOPT_TAKEN, -MOLT_NOT_FOUND (an artifact is missing), -MOLT_ARG.
 * The same bytes under this code with another manifest are no refusal: the manifest takes the place of the old one (keys
 * change, an approval comes); of an encrypted image the forms in image->sealed are added, or take the place of those of
 * their kind. */
int store_publish(struct store *store, const char *product, const char *version, uint32_t code,
                  const char *channel, bool adopt, const struct model_image *image, int64_t *release_id);
/* Would store_publish() take it? The same refusals, but for missing artifacts; changes nothing. Of image's artifacts
 * only raw.sha256 and manifest.sha256 are looked at. */
int store_publish_check(struct store *store, const char *product, const char *version, uint32_t code,
                        const char *channel, bool adopt, const struct model_image *image);
int store_release_yank(struct store *store, int64_t release_id, bool yank); /* -MOLT_NOT_FOUND */
/* Makes the release must-pass-through, or not. -MOLT_NOT_FOUND. */
int store_release_require(struct store *store, int64_t release_id, bool required);
/* Sets the switches (everything but name and adopt_chips) of the product with product->id. -MOLT_NOT_FOUND. */
int store_product_set(struct store *store, const struct model_product *product);

/* ---- rollouts ---- */
/* Saves a new rollout and sets its id. -MOLT_NOT_FOUND: there is no such release; -MOLT_STATE: the release has a
 * rollout that is not aborted. product_id is taken from the release. */
int store_rollout_create(struct store *store, struct model_rollout *rollout);
/* Sets status, phase, phase_since_ms, phase_succeeded, seen_*, approved_* and note as in `is`, if status, phase and
 * phase_since_ms are still as in `was`; else -MOLT_STATE. -MOLT_NOT_FOUND. */
int store_rollout_update(struct store *store, const struct model_rollout *was,
                         const struct model_rollout *is);

/* ---- whose signatures count: public keys (P-256: x, then y) of a product ---- */
#define STORE_TRUST_MAX 4u /* of each role */
#define STORE_KEY_LEN   64u
enum store_trust_role {
    STORE_TRUST_SIGNER = 0, /* signs releases, or says who does (device/src/manifest/keys.h) */
    STORE_TRUST_APPROVER,   /* signs a second time; with one, model_product.two_signatures */
};
/* Adds a key, making the product when it is new; a key that is there in that role stays. -MOLT_STATE: STORE_TRUST_MAX are
 * there, or it has the other role. */
int store_trust_add(struct store *store, const char *product, enum store_trust_role role,
                    const uint8_t key[STORE_KEY_LEN]);
/* -MOLT_NOT_FOUND. What is published stays. */
int store_trust_remove(struct store *store, const char *product, const uint8_t key[STORE_KEY_LEN]);
/* The keys of a product in that role, oldest first; a product that does not exist has none. */
int store_trust_list(struct store *store, const char *product, enum store_trust_role role,
                     uint8_t keys[STORE_TRUST_MAX][STORE_KEY_LEN], uint32_t *count);

/* ---- devices ---- */
/* A row that is damaged yields what can be read of it, held, with last_reason MOLT_STORE_FAILED: the others must not go with it.
 * Calls row for each device in id order; row's device is valid during the call only; a non-zero answer stops.
 * row must not call the store: that is refused with -MOLT_STATE. */
int store_each_device(struct store *store, int (*row)(void *ctx, const struct model_device *device),
                      void *ctx);
/* The same in no order, as fast as it goes: for all of them. */
int store_load_devices(struct store *store, int (*row)(void *ctx, const struct model_device *device),
                       void *ctx);
/* As store_each_device() for the first `rows` devices, at most STORE_DEVICES_MAX, whose id is greater than after: a page costs what it
 * shows. No more rows are asked for than that. */
#define STORE_DEVICES_MAX 2000u
int store_each_device_after(struct store *store, const char *after, uint32_t rows,
                            int (*row)(void *ctx, const struct model_device *device), void *ctx);
/* The same for people: from the replica when there is one, as old as that is. Nothing may be changed by what it says. */
int store_list_devices_after(struct store *store, const char *after, uint32_t rows,
                             int (*row)(void *ctx, const struct model_device *device), void *ctx);
int store_device_get(struct store *store, const char *id, struct model_device *out); /* -MOLT_NOT_FOUND */
/* Inserts or replaces count devices in one transaction. -MOLT_ARG: one of them names a product or release that does
 * not exist, or has an unterminated text; none was saved. */
int store_save_devices(struct store *store, const struct model_device *devices, size_t count);
/* Deletes count devices and their tokens in one transaction; those that are not there are passed over. */
int store_delete_devices(struct store *store, const char (*ids)[MODEL_ID_LEN], size_t count);

/* ---- how attempts ended, and what devices write of themselves ---- */
#define STORE_ATTEMPTS_MAX 32   /* of a device that are kept, the last ones; they go with it */
#define STORE_LOG_LEN      8192 /* bytes of a device's last lines, with the NUL */
/* Calls row for the ends of the device, the last first; as store_each_device(). From the replica, as store_list_devices_after(). */
int store_each_attempt(struct store *store, const char *device_id,
                       int (*row)(void *ctx, const struct model_attempt_end *end), void *ctx);
/* ---- results: kept before a device is told that they are ---- */
/* Appends count devices, as they are after what they reported, with the ends of their attempts (result NONE: none ended), in
 * one transaction that touches no device's row. *last: the number of the last one ever appended; they grow by one each. */
int store_append_results(struct store *store, const struct model_device *devices,
                         const struct model_attempt_end *ends, size_t count, int64_t *last);
/* Makes rows of the ends up to number `last` and drops the results up to it: so the devices' rows must have been saved since,
 * as they were after it or later. Each end becomes one row, however often this is called. What is not folded when a process
 * ends is folded, rows of devices included, when the store is opened again; what operators set of a device stays. */
int store_fold_results(struct store *store, int64_t last);

/* Lines of a device, each ends with a line feed. */
struct store_lines {
    const char *device_id, *lines;
    int64_t at_ms;
};
/* Appends them in one transaction; of each device the last STORE_LOG_LEN bytes stay, in whole lines. Deleted with it. */
int store_log_append(struct store *store, const struct store_lines *entries, size_t count);
/* The lines, and when the last came; "" and 0 when there are none. From the replica, as store_list_devices_after(). */
int store_log_read(struct store *store, const char *device_id, char text[STORE_LOG_LEN], int64_t *updated_ms);

/* ---- tokens: stored hashed (SHA-256), shown once ---- */
enum store_token_kind {
    STORE_TOKEN_ADMIN = 1,
    STORE_TOKEN_DEVICE = 2,
    STORE_TOKEN_GATEWAY = 3, /* proves every device of its product: whoever holds it speaks for them */
    STORE_TOKEN_ENROL = 4,   /* lets devices into its product, and proves nothing: many devices share it */
};
#define STORE_TOKEN_LEN 48 /* "molt_" + 40 characters + NUL, with room */
/* A token as people see it. id: the first 12 hex digits of its SHA-256; names it without giving it away. */
#define STORE_TOKEN_ID_LEN 13
struct store_token {
    char id[STORE_TOKEN_ID_LEN];
    enum store_token_kind kind;
    char label[MODEL_NAME_LEN];
    char device_id[MODEL_ID_LEN]; /* "" when it is no device's */
    int64_t product_id;           /* 0: of no product, or of all */
    int64_t created_ms;
    uint32_t roles; /* STORE_TOKEN_ADMIN: what it may do */
    int64_t expires_ms;
    /* the person whose it is, as the audit log names people; "": it stands for itself */
    char made_by[MODEL_NAME_LEN];
};
/* Makes a token of 200 random bits; for STORE_TOKEN_DEVICE, device_id says whose (the device need not exist yet), else it
 * is NULL. label: for people, may be NULL. */
int store_token_create(struct store *store, enum store_token_kind kind, const char *label,
                       const char *device_id, char token[STORE_TOKEN_LEN]);
/* The same for one product: STORE_TOKEN_GATEWAY and STORE_TOKEN_ENROL must have one, STORE_TOKEN_ADMIN may (0: all),
 * STORE_TOKEN_DEVICE has none. -MOLT_ARG. */
int store_token_create_for(struct store *store, enum store_token_kind kind, const char *label,
                           const char *device_id, int64_t product_id, char token[STORE_TOKEN_LEN]);
/* The same with everything that a token may have: all of order but id and created_ms is taken. roles: of STORE_TOKEN_ADMIN, at
 * least one, and 0 of all others; expires_ms: 0: never. */
int store_token_make(struct store *store, const struct store_token *order, char token[STORE_TOKEN_LEN]);
/* Whose token it is: 0, or -MOLT_UNAUTHORIZED, also when it has expired. */
int store_token_find(struct store *store, const char *token, struct store_token *out);
/* The same by its SHA-256, for whoever keeps that instead of the token. */
int store_token_hash(const char *token, uint8_t sha256[32]);
int store_token_find_hash(struct store *store, const uint8_t sha256[32], struct store_token *out);
int store_token_count(struct store *store, enum store_token_kind kind, uint32_t *count);

/* Calls row for each token, the oldest first; as store_each_device(). */
int store_each_token(struct store *store, int (*row)(void *ctx, const struct store_token *token), void *ctx);
/* Revokes the token of that id, and those of the API that were made with it. -MOLT_NOT_FOUND. */
int store_token_delete(struct store *store, const char *id);

/* ---- artifacts ---- */
/* Stores len bytes (1 to 4294967295) durably and fills artifact. A file that is already there is compared: kept when
 * it is whole, replaced when it was damaged. With a bucket: the artifact is in it, too, when this returns 0. */
int store_artifact_put(struct store *store, const void *data, size_t len, struct model_artifact *artifact);
/* Opens an artifact for reading; returns the descriptor (caller closes) or -MOLT_NOT_FOUND. With a bucket: may fetch it from
 * there, which takes time; -MOLT_STORE_FAILED, -MOLT_DIGEST_MISMATCH as bucket.h says. */
int store_artifact_open(struct store *store, const uint8_t sha256[32]);
/* The same, of what is in the folder: at once. */
int store_artifact_here(struct store *store, const uint8_t sha256[32]);

/* ---- a bucket that several nodes share ---- */
bool store_has_bucket(const struct store *store);
/* Brings an artifact from the bucket into the folder. Takes time; stop (may be NULL) ends it. */
int store_artifact_fetch(struct store *store, const uint8_t sha256[32], const atomic_bool *stop);
/* A URL that gives the artifact to whoever has it, for expires_s seconds from now_s (Unix time). Asks nobody. */
#define STORE_LINK_LEN 4096
int store_artifact_link(struct store *store, const uint8_t sha256[32], int64_t now_s, uint32_t expires_s,
                        char url[STORE_LINK_LEN]);
/* Puts every artifact that a release has and the bucket has not into it. */
struct store_uploaded {
    uint64_t artifacts, uploaded, bytes; /* looked for; were not there; length of those */
};
int store_upload(struct store *store, struct store_uploaded *out);

/* ---- whole stores ---- */
struct store_copied {
    uint64_t rows, devices, artifacts, artifact_bytes;
};
/* Copies all rows, and all artifacts when `to` has another folder, in one picture of `from` (which may be open read_only, beside
 * the process that holds it) and one transaction; every table is read back and compared before it is committed.
 * -MOLT_STATE: `to` is not empty; -MOLT_STORE_FAILED also: something did not arrive as it left. */
int store_copy(struct store *from, struct store *to, struct store_copied *copied);

struct store_checked {
    uint64_t devices, releases, artifacts, problems;
};
/* Reads every row and every artifact that a release has, and compares digests; problem() is called with a line for each that is
 * wrong. Changes nothing. */
void store_check(struct store *store, void (*problem)(void *ctx, const char *text), void *ctx,
                 struct store_checked *checked);

#endif
