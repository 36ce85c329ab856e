/* audit.c - the log of what was done: appended to, read, and gone through for what was changed behind molt's back.
 * Must never change an entry. Tests: test/unit/store_audit_test.c. */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "clock.h"
#include "parts.h"

#define PAGE 500 /* entries read while the store is locked */

#define FIELD(kind, field)                                                                                   \
    {                                                                                                        \
        kind, offsetof(struct store_audit, field), sizeof(((struct store_audit *)NULL)->field)               \
    }
static const struct column columns[] = {
    FIELD(COLUMN_INT, seq),     FIELD(COLUMN_INT, at_ms),   FIELD(COLUMN_TEXT, who),
    FIELD(COLUMN_TEXT, from),   FIELD(COLUMN_TEXT, action), FIELD(COLUMN_TEXT, product),
    FIELD(COLUMN_TEXT, detail), FIELD(COLUMN_INT, status),  FIELD(COLUMN_TEXT, reason),
    FIELD(COLUMN_BLOB, hash),
};
#define COLUMNS (sizeof columns / sizeof columns[0])
#define NAMES   "seq, at_ms, who, source, action, product, detail, status, reason, hash"

size_t store_audit_text(const struct store_audit *entry, const uint8_t before[32],
                        char out[STORE_AUDIT_TEXT_MAX])
{
    char hex[65];
    for (size_t i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", before[i]);
    int len = snprintf(out, STORE_AUDIT_TEXT_MAX,
                       "molt-audit-1\n%s\n%" PRId64 "\n%" PRId64 "\n%s\n%s\n%s\n%s\n%s\n%d\n%s\n", hex,
                       entry->seq, entry->at_ms, entry->who, entry->from, entry->action, entry->product,
                       entry->detail, (int)entry->status, entry->reason);
    return len > 0 && (size_t)len < STORE_AUDIT_TEXT_MAX ? (size_t)len : 0;
}

static int hash_entry(const struct store_audit *entry, const uint8_t before[32], uint8_t hash[32])
{
    char text[STORE_AUDIT_TEXT_MAX];
    const size_t len = store_audit_text(entry, before, text);
    if (len > 0 && EVP_Digest(text, len, hash, NULL, EVP_sha256(), NULL) == 1) return 0;
    return store_fail(MOLT_INTERNAL, "cannot hash an entry of the audit log");
}

/* ---- append ---- */

/* One line of UTF-8, as every database keeps it. */
static int clean(char *text, size_t cap)
{
    text[cap - 1] = '\0';
    char *repaired = db_utf8(text, strlen(text));
    if (repaired != NULL) snprintf(text, cap, "%s", repaired);
    free(repaired);
    repaired = db_utf8(text, strlen(text)); /* which was cut in the middle of a character */
    for (size_t len = strlen(text); repaired != NULL && len > 0;) {
        text[--len] = '\0';
        free(repaired);
        repaired = db_utf8(text, len);
    }
    if (repaired != NULL) {
        free(repaired);
        return store_fail(MOLT_ARG, "a text of the audit log is not UTF-8");
    }
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F) *c = ' ';
    return 0;
}

static int read_head(struct store *store, void *ctx)
{
    static const char sql[] = "SELECT seq, hash FROM audit_head";
    struct store_audit_head *head = ctx;
    struct db_statement *stmt = db_statement(store->db, sql);
    memset(head, 0, sizeof *head);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc = db_step(stmt);
    if (rc == 1) {
        size_t len;
        const void *hash = db_blob(stmt, 1, &len);
        head->seq = db_int(stmt, 0);
        if (len == sizeof head->hash) memcpy(head->hash, hash, sizeof head->hash);
    }
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}

int store_audit_head(struct store *store, struct store_audit_head *out)
{
    return store_transact(store, DB_READ, read_head, out);
}

int audit_append(struct store *store, struct store_audit *entry)
{
    static const char add[] = "INSERT INTO audit (" NAMES ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    static const char begin[] = "INSERT INTO audit_head (one, seq, hash) VALUES (1, ?, ?) ON CONFLICT (one)"
                                " DO UPDATE SET seq = excluded.seq, hash = excluded.hash";
    static const char move[] = "UPDATE audit_head SET seq = ?, hash = ?";
    struct store_audit_head head;
    int rc = read_head(store, &head);
    entry->seq = head.seq + 1;
    if (rc == 0) rc = hash_entry(entry, head.hash, entry->hash);
    if (rc < 0) return rc;
    /* the head first: another server that writes at this moment fails at it, and tries again */
    struct db_statement *stmt = db_statement(store->db, head.seq == 0 ? begin : move);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, entry->seq);
    db_bind_blob(stmt, 2, entry->hash, sizeof entry->hash);
    rc = db_step(stmt);
    stmt = rc == 0 ? db_statement(store->db, add) : NULL;
    if (rc == 0 && stmt == NULL) rc = -MOLT_STORE_FAILED;
    if (rc == 0) rc = store_bind(stmt, 1, columns, COLUMNS, entry);
    return rc == 0 ? db_step(stmt) : rc;
}

int audit_clean(struct store_audit *entry)
{
    if (clean(entry->who, sizeof entry->who) < 0 || clean(entry->from, sizeof entry->from) < 0 ||
        clean(entry->action, sizeof entry->action) < 0 || clean(entry->product, sizeof entry->product) < 0 ||
        clean(entry->detail, sizeof entry->detail) < 0 || clean(entry->reason, sizeof entry->reason) < 0)
        return -MOLT_ARG;
    entry->at_ms = clock_now_ms();
    return 0;
}

/* ---- read ---- */

struct page {
    int64_t seq; /* entries beyond it */
    bool backwards;
    size_t count;
    struct store_audit *entries;
};

static int read_page(struct store *store, void *ctx)
{
    static const char after[] = "SELECT " NAMES " FROM audit WHERE seq > ? ORDER BY seq LIMIT ?";
    static const char before[] = "SELECT " NAMES " FROM audit WHERE seq < ? ORDER BY seq DESC LIMIT ?";
    struct page *page = ctx;
    struct db_statement *stmt = db_statement(store->db, page->backwards ? before : after);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, page->seq);
    db_bind_int(stmt, 2, PAGE);
    int rc;
    page->count = 0;
    while ((rc = db_step(stmt)) == 1) {
        struct store_audit *entry = &page->entries[page->count++];
        memset(entry, 0, sizeof *entry);
        /* what was changed so that it does not fit stays empty, and verifying finds it */
        (void)store_read_most(stmt, 0, columns, COLUMNS, entry);
        entry->seq = db_int(stmt, 0);
        if (page->count == PAGE) break;
    }
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}

/* *seq: of the last entry that row had. */
static int each(struct store *store, int64_t *seq, bool backwards, store_audit_row row, void *ctx)
{
    struct page page = {.seq = *seq, .backwards = backwards};
    page.entries = malloc(PAGE * sizeof *page.entries);
    if (page.entries == NULL) return store_fail(MOLT_NO_MEMORY, "out of memory");
    int rc;
    do {
        rc = store_transact(store, DB_READ, read_page, &page);
        for (size_t i = 0; rc == 0 && i < page.count; i++) {
            *seq = page.seq = page.entries[i].seq;
            if (row(ctx, &page.entries[i]) != 0) rc = 1;
        }
    } while (rc == 0 && page.count == PAGE);
    free(page.entries);
    return rc < 0 ? rc : 0;
}

static int list(struct store *store, int64_t seq, bool backwards, store_audit_row row, void *ctx)
{
    struct store *reader = store_reader(store);
    int rc = each(reader, &seq, backwards, row, ctx);
    return store_sent_back(store, reader, rc) ? each(store, &seq, backwards, row, ctx) : rc;
}

int store_each_audit_after(struct store *store, int64_t seq, store_audit_row row, void *ctx)
{
    return list(store, seq, false, row, ctx);
}

int store_each_audit_before(struct store *store, int64_t seq, store_audit_row row, void *ctx)
{
    return list(store, seq, true, row, ctx);
}

/* ---- verify ---- */

struct verifying {
    struct store_audit_verdict *out;
    const struct store_audit_head *expect;
    struct store_audit_head last; /* the good one before */
    bool met;                     /* what was expected */
};

static int bad(struct verifying *verifying, int64_t seq, const char *why)
{
    verifying->out->bad_seq = seq;
    verifying->out->why = why;
    return 1;
}

static int verify_row(void *ctx, const struct store_audit *entry)
{
    struct verifying *v = ctx;
    uint8_t hash[32];
    if (entry->seq != v->last.seq + 1) return bad(v, v->last.seq + 1, "an entry is missing");
    if (hash_entry(entry, v->last.hash, hash) < 0 || memcmp(hash, entry->hash, sizeof hash) != 0)
        return bad(v, entry->seq, "the entry is not what was written");
    if (v->expect != NULL && v->expect->seq == entry->seq) {
        v->met = memcmp(v->expect->hash, hash, sizeof hash) == 0;
        if (!v->met) return bad(v, entry->seq, "the log up to here is another one than it was");
    }
    v->last.seq = entry->seq;
    memcpy(v->last.hash, hash, sizeof hash);
    v->out->entries++;
    return 0;
}

static int verify(struct store *store, const struct store_audit_head *expect, struct store_audit_verdict *out)
{
    struct verifying v = {.out = out, .expect = expect};
    *out = (struct store_audit_verdict){.why = ""};
    /* the head first: what is appended meanwhile is beyond it, and good as well */
    int rc = store_audit_head(store, &out->head);
    int64_t seq = 0;
    if (rc == 0) rc = each(store, &seq, false, verify_row, &v);
    if (rc < 0 || out->bad_seq != 0) return rc;
    if (v.last.seq < out->head.seq)
        (void)bad(&v, v.last.seq + 1, "the log is cut: its end is missing");
    else if (v.last.seq > out->head.seq || memcmp(v.last.hash, out->head.hash, sizeof v.last.hash) != 0)
        rc = store_audit_head(store, &out->head); /* somebody appended, or it was moved */
    if (rc < 0 || out->bad_seq != 0) return rc;
    if (v.last.seq > out->head.seq ||
        (v.last.seq == out->head.seq && memcmp(v.last.hash, out->head.hash, sizeof v.last.hash) != 0))
        (void)bad(&v, v.last.seq, "the log's own note of its end says otherwise");
    else if (expect != NULL && expect->seq > 0 && !v.met)
        (void)bad(&v, v.last.seq + 1, "the log ends before the entry that was written down");
    return 0;
}

/* All of it in one place. What is bad in the replica may only be late: then the store's own is the one that counts. */
int store_audit_verify(struct store *store, const struct store_audit_head *expect,
                       struct store_audit_verdict *out)
{
    struct store *reader = store_reader(store);
    int rc = verify(reader, expect, out);
    if (store_sent_back(store, reader, rc)) return verify(store, expect, out);
    if (rc < 0 || out->bad_seq == 0 || reader == store) return rc;
    atomic_fetch_add(&store->reads[STORE_READ_DOUBTED], 1);
    return verify(store, expect, out);
}
