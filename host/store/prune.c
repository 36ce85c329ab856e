/* prune.c - what is old goes. Must never take the last end of a device's attempts: it says how the device stands.
 * Tests: test/unit/store_operate_test.c. */
#include "operate.h"
#include "parts.h"

struct pruning {
    int64_t before_ms, count;
};

static int prune(struct store *store, void *ctx)
{
    static const char sql[] = "DELETE FROM attempt WHERE ended_ms < ? AND id NOT IN"
                              " (SELECT max(id) FROM attempt GROUP BY device_id)";
    struct pruning *pruning = ctx;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, pruning->before_ms);
    int rc = db_step(stmt);
    pruning->count = rc == 0 ? db_changes(stmt) : 0;
    return rc;
}

int store_prune_attempts(struct store *store, int64_t before_ms, int64_t *count)
{
    struct pruning pruning = {.before_ms = before_ms};
    int rc = store_transact(store, DB_ROWS, prune, &pruning);
    *count = pruning.count;
    return rc;
}
