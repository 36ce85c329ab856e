/* rollouts.c - rows of rollouts and their phases, and the switches of products and releases that go with them.
 * Must never change a rollout that changed since it was looked at. Tests: test/unit/store_rollout_test.c. */
#include <stdlib.h>
#include <string.h>

#include "nodes.h"
#include "parts.h"

/* clang-format off */
#define ROLLOUT_FIELDS(F) \
    F(INT, release_id) F(UINT, status) F(UINT, phase) F(INT, phase_since_ms) F(UINT, phase_succeeded) F(INT, created_ms) \
    F(INT, start_ms) F(INT, salt) F(TEXT, target) F(TEXT, window) F(UINT, success_count) F(UINT, success_percent) F(UINT, soak_s) \
    F(UINT, error_count) F(UINT, error_percent) F(UINT, timeout_s) F(UINT, retries) F(UINT, retry_s) \
    F(UINT, max_open) F(UINT, presumed_counts) F(UINT, seen_succeeded) F(UINT, seen_failed) F(TEXT, note) \
    F(UINT, downgrade) F(TEXT, created_by) F(TEXT, approved_by) F(INT, approved_ms)
/* clang-format on */

#define AS_NAME(kind, field) ", \"" #field "\"" /* window is a word of SQL */
#define AS_MARK(kind, field) ", ?"
#define AS_COLUMN(kind, field)                                                                               \
    {COLUMN_##kind, offsetof(struct model_rollout, field), sizeof(((struct model_rollout *)NULL)->field)},

static const struct column columns[] = {
    {COLUMN_INT, offsetof(struct model_rollout, id), sizeof(int64_t)},
    {COLUMN_INT, offsetof(struct model_rollout, product_id), sizeof(int64_t)},
    ROLLOUT_FIELDS(AS_COLUMN)};
static const struct column phase_columns[] = {
    {COLUMN_UINT, offsetof(struct model_phase, percent), sizeof(((struct model_phase *)NULL)->percent)},
    {COLUMN_TEXT, offsetof(struct model_phase, filter), MODEL_FILTER_LEN}};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- loading ---- */

static int load_phases(struct store *store, struct model_rollout *rollout)
{
    static const char sql[] =
        "SELECT percent, filter FROM rollout_phase WHERE rollout_id = ? ORDER BY number";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, rollout->id);
    int rc;
    while ((rc = db_step(stmt)) == 1 && rollout->phase_count < MODEL_PHASES_MAX) {
        rc = store_read(stmt, 0, phase_columns, COUNT(phase_columns), &rollout->phases[rollout->phase_count]);
        if (rc < 0) break;
        rollout->phase_count++;
    }
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}

static int load_rows(struct store *store, struct store_rules *out, uint32_t count)
{
    static const char sql[] =
        "SELECT id, product_id" ROLLOUT_FIELDS(AS_NAME) " FROM rollout ORDER BY release_id, rollout.id";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc;
    while ((rc = db_step(stmt)) == 1 && out->rollout_count < count) {
        rc = store_read(stmt, 0, columns, COUNT(columns), &out->rollouts[out->rollout_count]);
        if (rc < 0) break;
        out->rollout_count++;
    }
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}

int rollouts_load(struct store *store, struct store_rules *out)
{
    static const char sql[] = "SELECT count(*) FROM rollout";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc = db_step(stmt);
    uint32_t count = rc == 1 ? (uint32_t)db_int(stmt, 0) : 0;
    db_reset(stmt);
    if (rc < 0) return rc;
    out->rollouts = calloc((size_t)count + 1, sizeof *out->rollouts);
    if (out->rollouts == NULL) return store_fail(MOLT_NO_MEMORY, "out of memory");
    rc = load_rows(store, out, count);
    for (uint32_t i = 0; rc == 0 && i < out->rollout_count; i++)
        rc = load_phases(store, &out->rollouts[i]);
    return rc;
}

/* ---- changing ---- */

/* Runs a change of one row. */
static int change_row(struct store *store, struct db_statement *stmt, int missing, const char *sentence)
{
    int rc = db_step(stmt);
    if (rc == 0 && db_changes(stmt) == 0) rc = store_fail(missing, "%s", sentence);
    return rc == 0 ? store_bump_generation(store) : rc;
}

/* The product of the release, and no rollout that is still alive. */
static int check_release(struct store *store, struct model_rollout *rollout)
{
    static const char sql[] =
        "SELECT product_id, (SELECT count(*) FROM rollout WHERE release_id = release.id AND"
        " status <> 4) FROM release WHERE id = ?";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, rollout->release_id);
    int rc = db_step(stmt);
    if (rc == 0) return store_fail(MOLT_NOT_FOUND, "there is no such release");
    if (rc == 1) {
        rollout->product_id = db_int(stmt, 0);
        rc = db_int(stmt, 1) == 0 ? 0 : store_fail(MOLT_STATE, "the release has a rollout already");
    }
    db_reset(stmt);
    return rc;
}

static int insert_phase(struct store *store, const struct model_rollout *rollout, uint32_t number)
{
    static const char sql[] =
        "INSERT INTO rollout_phase (rollout_id, number, percent, filter) VALUES (?, ?, ?, ?)";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, rollout->id);
    db_bind_int(stmt, 2, number);
    int rc = store_bind(stmt, 3, phase_columns, COUNT(phase_columns), &rollout->phases[number]);
    return rc == 0 ? db_step(stmt) : rc;
}

static int insert_rollout(struct store *store, void *ctx)
{
    static const char sql[] = "INSERT INTO rollout (product_id" ROLLOUT_FIELDS(
        AS_NAME) ") VALUES (?" ROLLOUT_FIELDS(AS_MARK) ") RETURNING id";
    struct model_rollout *rollout = ctx;
    int rc = check_release(store, rollout);
    if (rc < 0) return rc;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    rc = store_bind(stmt, 1, columns + 1, COUNT(columns) - 1, rollout); /* the database makes the id */
    if (rc == 0) rc = store_insert(stmt, &rollout->id);
    for (uint32_t i = 0; rc == 0 && i < rollout->phase_count; i++)
        rc = insert_phase(store, rollout, i);
    return rc == 0 ? store_bump_generation(store) : rc;
}

int store_rollout_create(struct store *store, struct model_rollout *rollout)
{
    if (rollout->phase_count == 0 || rollout->phase_count > MODEL_PHASES_MAX)
        return store_fail(MOLT_ARG, "a rollout has 1 to %d phases", MODEL_PHASES_MAX);
    return store_transact(store, DB_CHANGE, insert_rollout, rollout);
}

struct update {
    const struct model_rollout *was, *is;
    const char *lease; /* NULL: whoever asks may */
    int64_t epoch;
};

static int update_rollout(struct store *store, void *ctx)
{
    static const char sql[] =
        "UPDATE rollout SET status = ?2, phase = ?3, phase_since_ms = ?4, seen_succeeded = ?5,"
        " seen_failed = ?6, note = ?7, phase_succeeded = ?11, approved_by = ?12, approved_ms = ?13"
        " WHERE id = ?1 AND status = ?8 AND phase = ?9 AND phase_since_ms = ?10";
    const struct update *update = ctx;
    const struct model_rollout *was = update->was, *is = update->is;
    int held = update->lease != NULL ? nodes_check_lease(store, update->lease, update->epoch) : 0;
    if (held < 0) return held;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    const int64_t numbers[] = {
        was->id, (int64_t)is->status, is->phase, is->phase_since_ms, is->seen_succeeded, is->seen_failed};
    for (int i = 0; i < 6; i++)
        db_bind_int(stmt, i + 1, numbers[i]);
    db_bind_text(stmt, 7, is->note);
    db_bind_int(stmt, 8, (int64_t)was->status);
    db_bind_int(stmt, 9, was->phase);
    db_bind_int(stmt, 10, was->phase_since_ms);
    db_bind_int(stmt, 11, is->phase_succeeded);
    db_bind_text(stmt, 12, is->approved_by);
    db_bind_int(stmt, 13, is->approved_ms);
    return change_row(store, stmt, MOLT_STATE, "the rollout was changed by someone else at this moment");
}

int store_rollout_update(struct store *store, const struct model_rollout *was, const struct model_rollout *is)
{
    struct update update = {.was = was, .is = is};
    return store_transact(store, DB_CHANGE, update_rollout, &update);
}

int store_rollout_advance(struct store *store, const struct model_rollout *was,
                          const struct model_rollout *is, const char *lease, int64_t epoch)
{
    struct update update = {was, is, lease, epoch};
    return store_transact(store, DB_CHANGE, update_rollout, &update);
}

static int require_release(struct store *store, void *ctx)
{
    static const char sql[] = "UPDATE release SET required = ?2 WHERE id = ?1";
    const int64_t *numbers = ctx;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, numbers[0]);
    db_bind_int(stmt, 2, numbers[1]);
    return change_row(store, stmt, MOLT_NOT_FOUND, "there is no such release");
}

int store_release_require(struct store *store, int64_t release_id, bool required)
{
    int64_t numbers[] = {release_id, required};
    return store_transact(store, DB_CHANGE, require_release, numbers);
}

static int set_product(struct store *store, void *ctx)
{
    static const char sql[] = "UPDATE product SET stopped = ?2, rollouts_only = ?3, trust_unverified = ?4,"
                              " approval = ?5, downgrade = ?6 WHERE id = ?1";
    const struct model_product *product = ctx;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, product->id);
    db_bind_int(stmt, 2, product->stopped);
    db_bind_int(stmt, 3, product->rollouts_only);
    db_bind_int(stmt, 4, product->trust_unverified);
    db_bind_int(stmt, 5, product->approval);
    db_bind_int(stmt, 6, (int64_t)product->downgrade);
    return change_row(store, stmt, MOLT_NOT_FOUND, "there is no such product");
}

int store_product_set(struct store *store, const struct model_product *product)
{
    struct model_product copy = *product;
    return store_transact(store, DB_CHANGE, set_product, &copy);
}
