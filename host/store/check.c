/* check.c - is everything there, readable, and as its digest says? Must never change anything.
 * Tests: test/unit/store_copy_test.c, test/e2e/store_cli_test.sh. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bucket.h"
#include "tables.h"

struct checking {
    struct store *store;
    struct store_checked *checked;
    void (*problem)(void *ctx, const char *text);
    void *ctx;
};

static void report(struct checking *checking, const char *text)
{
    checking->checked->problems++;
    checking->problem(checking->ctx, text);
}

static int check_device(void *ctx, const struct model_device *device)
{
    struct checking *checking = ctx;
    char text[300];
    checking->checked->devices++;
    if (device->last_reason != MOLT_STORE_FAILED) return 0; /* how a damaged row is shown */
    snprintf(text, sizeof text, "device %s: %s", device->id, device->last_detail);
    report(checking, text);
    return 0;
}

static int count_token(void *ctx, const struct store_token *token)
{
    (void)ctx;
    (void)token;
    return 0;
}

/* ---- artifacts ---- */

static int check_one(void *ctx, const struct model_artifact *artifact, const char *what,
                     const struct model_release *release)
{
    struct checking *checking = ctx;
    char text[400];
    uint64_t len = 0;
    checking->checked->artifacts++;
    int rc = artifact_verify(checking->store, artifact);
    if (rc == 0 && checking->store->bucket != NULL) {
        rc = bucket_look(checking->store->bucket, artifact->sha256, &len);
        if (rc == 0 && len != artifact->len)
            rc = store_fail(MOLT_STORE_FAILED, "the object in the bucket has another length");
    }
    if (rc == 0) return 0;
    snprintf(text, sizeof text, "release %lld (%s), %s: %s", (long long)release->id, release->version, what,
             store_error(checking->store));
    report(checking, text);
    return 0;
}

static void check_rules(struct checking *checking)
{
    struct store_rules rules;
    if (store_load_rules(checking->store, &rules) < 0) {
        report(checking, store_error(checking->store));
        return;
    }
    checking->checked->releases = rules.release_count;
    store_free_rules(&rules);
    if (artifacts_of_releases(checking->store, check_one, checking) < 0)
        report(checking, store_error(checking->store));
}

static int examine(struct store *store, void *ctx)
{
    (void)ctx;
    int rc = db_examine(store->db);
    for (size_t i = 0; rc == 0 && i < store_table_count; i++) {
        struct table_digest digest; /* every value is read */
        rc = table_digest(store->db, &store_tables[i], &digest);
    }
    return rc;
}

void store_check(struct store *store, void (*problem)(void *ctx, const char *text), void *ctx,
                 struct store_checked *checked)
{
    struct checking checking = {store, checked, problem, ctx};
    *checked = (struct store_checked){0};
    db_patience(store->db, 0);
    if (store_transact(store, DB_READ, examine, NULL) < 0) report(&checking, store_error(store));
    if (store_each_device(store, check_device, &checking) < 0) report(&checking, store_error(store));
    if (store_each_token(store, count_token, NULL) < 0) report(&checking, store_error(store));
    check_rules(&checking);
}
