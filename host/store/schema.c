/* schema.c - the tables, and what this program does with a database of another age.
 * Must never touch a database that a newer molt wrote, nor lose anything of one that an older molt wrote. Tests: test/unit/store_test.c. */
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "nodes_parts.h"

#define SCHEMA_VERSION 16

/* Version 1; what came later is below. One row each: release = (product, channel, code); image = (release, chip, component, variant). Digests are raw
 * bytes, times Unix milliseconds, enums the numbers of model.h, molt_chip.def and molt_reason.def. */
static const char tables[] =
    "CREATE TABLE meta ("
    "  one INTEGER PRIMARY KEY CHECK (one = 1),"
    "  schema_version INTEGER NOT NULL,"
    "  generation INTEGER NOT NULL) STRICT;"
    "CREATE TABLE product ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 64),"
    "  adopt_chips INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE TABLE release ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  product_id INTEGER NOT NULL REFERENCES product (id),"
    "  version TEXT NOT NULL CHECK (length(version) BETWEEN 1 AND 64),"
    "  code INTEGER NOT NULL CHECK (code BETWEEN 1 AND 2147483647),"
    "  channel TEXT NOT NULL CHECK (length(channel) BETWEEN 1 AND 64),"
    "  yanked INTEGER NOT NULL DEFAULT 0,"
    "  created_ms INTEGER NOT NULL,"
    "  UNIQUE (product_id, channel, code)) STRICT;"
    "CREATE TABLE image ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  release_id INTEGER NOT NULL REFERENCES release (id),"
    "  chip INTEGER NOT NULL, component INTEGER NOT NULL, variant TEXT NOT NULL,"
    "  variant_flash_size INTEGER NOT NULL, variant_fs_start INTEGER NOT NULL,"
    "  variant_min_revision INTEGER NOT NULL, header_flash_size INTEGER NOT NULL,"
    "  min_revision INTEGER NOT NULL, max_revision INTEGER NOT NULL, digest BLOB NOT NULL,"
    "  raw_sha256 BLOB NOT NULL, raw_md5 BLOB NOT NULL, raw_len INTEGER NOT NULL,"
    "  gzip_sha256 BLOB NOT NULL, gzip_md5 BLOB NOT NULL, gzip_len INTEGER NOT NULL,"
    "  gzip_4k_sha256 BLOB NOT NULL, gzip_4k_md5 BLOB NOT NULL, gzip_4k_len INTEGER NOT NULL,"
    "  gzip_min_start INTEGER NOT NULL, gzip_4k_min_start INTEGER NOT NULL,"
    "  md5_variants BLOB NOT NULL,"
    "  UNIQUE (release_id, chip, component, variant)) STRICT;"
    "CREATE TABLE device ("
    "  id TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 32),"
    "  product_id INTEGER REFERENCES product (id), channel TEXT NOT NULL,"
    "  held INTEGER NOT NULL, verified INTEGER NOT NULL,"
    "  gz_refused INTEGER NOT NULL, gz_proven INTEGER NOT NULL,"
    "  chip INTEGER NOT NULL, chip_source INTEGER NOT NULL, client INTEGER NOT NULL,"
    "  flash_size INTEGER NOT NULL, fs_start INTEGER NOT NULL, slot_size INTEGER NOT NULL,"
    "  sketch_size INTEGER NOT NULL, free_space INTEGER NOT NULL, core TEXT NOT NULL,"
    "  can INTEGER NOT NULL, gzip_window INTEGER NOT NULL,"
    "  running_code INTEGER NOT NULL, running_version TEXT NOT NULL,"
    "  has_digest INTEGER NOT NULL, digest BLOB NOT NULL, address TEXT NOT NULL,"
    "  first_seen_ms INTEGER NOT NULL, last_seen_ms INTEGER NOT NULL,"
    "  last_reason INTEGER NOT NULL, last_detail TEXT NOT NULL, last_reason_ms INTEGER NOT NULL,"
    "  attempt INTEGER NOT NULL, attempt_release_id INTEGER REFERENCES release (id),"
    "  attempt_sha256 BLOB NOT NULL, attempt_sends INTEGER NOT NULL,"
    "  announced_ms INTEGER NOT NULL, announced_code INTEGER NOT NULL,"
    "  attempt_reason INTEGER NOT NULL,"
    "  fs_sha256 BLOB NOT NULL, fs_sends INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE token ("
    "  sha256 BLOB PRIMARY KEY, kind INTEGER NOT NULL, label TEXT NOT NULL,"
    "  device_id TEXT, created_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX token_device ON token (device_id);"
    "INSERT INTO meta VALUES (1, 1, 1);";

/* Version 2: signed images. Zeros: not signed. */
static const char signed_images[] =
    "ALTER TABLE image ADD COLUMN manifest_sha256 BLOB NOT NULL"
    "  DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000';"
    "ALTER TABLE image ADD COLUMN manifest_md5 BLOB NOT NULL DEFAULT x'00000000000000000000000000000000';"
    "ALTER TABLE image ADD COLUMN manifest_len INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE image ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE trust ("
    "  product_id INTEGER NOT NULL REFERENCES product (id), key BLOB NOT NULL CHECK (length(key) = 64),"
    "  created_ms INTEGER NOT NULL,"
    "  PRIMARY KEY (product_id, key)) STRICT, WITHOUT ROWID;"
    "UPDATE meta SET schema_version = 2;";

/* Version 3: what operators say of devices, and rollouts. */
static const char rollouts[] =
    "ALTER TABLE device ADD COLUMN group_name TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE device ADD COLUMN tags TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE device ADD COLUMN attributes TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE device ADD COLUMN pinned_code INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN rollout_id INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN rollout_open INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN rollout_counts INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN rollout_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN rollout_failures INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN rollout_outcome INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE product ADD COLUMN stopped INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE product ADD COLUMN rollouts_only INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE product ADD COLUMN trust_unverified INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE release ADD COLUMN required INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE rollout ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  product_id INTEGER NOT NULL REFERENCES product (id),"
    "  release_id INTEGER NOT NULL REFERENCES release (id),"
    "  status INTEGER NOT NULL CHECK (status BETWEEN 1 AND 4),"
    "  phase INTEGER NOT NULL, phase_since_ms INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
    "  start_ms INTEGER NOT NULL, salt INTEGER NOT NULL, target TEXT NOT NULL,"
    "  \"window\" TEXT NOT NULL,"
    "  phase_succeeded INTEGER NOT NULL, success_count INTEGER NOT NULL, success_percent INTEGER NOT NULL, "
    "soak_s INTEGER NOT NULL,"
    "  error_count INTEGER NOT NULL, error_percent INTEGER NOT NULL, timeout_s INTEGER NOT NULL,"
    "  retries INTEGER NOT NULL, retry_s INTEGER NOT NULL, max_open INTEGER NOT NULL,"
    "  presumed_counts INTEGER NOT NULL, seen_succeeded INTEGER NOT NULL, seen_failed INTEGER NOT NULL,"
    "  note TEXT NOT NULL) STRICT;"
    "CREATE INDEX rollout_release ON rollout (release_id);"
    "CREATE INDEX rollout_product ON rollout (product_id);"
    "CREATE TABLE rollout_phase ("
    "  rollout_id INTEGER NOT NULL REFERENCES rollout (id), number INTEGER NOT NULL CHECK (number BETWEEN 0 "
    "AND 7),"
    "  percent INTEGER NOT NULL CHECK (percent BETWEEN 0 AND 10000), filter TEXT NOT NULL,"
    "  PRIMARY KEY (rollout_id, number)) STRICT, WITHOUT ROWID;"
    "UPDATE meta SET schema_version = 3;";

/* Version 4: libmolt's own rule for staging a compressed file is stricter than what this number was for. */
static const char no_4k_start[] = "ALTER TABLE image DROP COLUMN gzip_4k_min_start;"
                                  "UPDATE meta SET schema_version = 4;";

/* Version 5: a copy of eboot must be able to begin again, so how far it may overlap its source does not matter; and who
 * has molt-boot in sector 0 is known. */
static const char boot_stages[] = "ALTER TABLE image DROP COLUMN gzip_min_start;"
                                  "ALTER TABLE image ADD COLUMN md5_boot_count INTEGER NOT NULL DEFAULT 0;"
                                  "ALTER TABLE device ADD COLUMN molt_boot INTEGER NOT NULL DEFAULT 0;"
                                  "UPDATE meta SET schema_version = 5;";

/* Version 6: how the last attempt that ended did so, kept while the next one is at it. */
static const char results[] =
    "ALTER TABLE device ADD COLUMN result INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN result_reason INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN result_release_id INTEGER NOT NULL DEFAULT 0;"
    "UPDATE device SET result = attempt, result_reason = attempt_reason,"
    "  result_release_id = coalesce(attempt_release_id, 0) WHERE attempt BETWEEN 5 AND 8;"
    "UPDATE meta SET schema_version = 6;";

/* Version 7: approval of rollouts and what may go back to older code; tokens of a product; the ends of attempts; what
 * devices write. A rollout's status has one value more, so its table is made anew, and with it the one that refers to it. */
static const char approval[] =
    "CREATE TABLE rollout_7 ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  product_id INTEGER NOT NULL REFERENCES product (id),"
    "  release_id INTEGER NOT NULL REFERENCES release (id),"
    "  status INTEGER NOT NULL CHECK (status BETWEEN 1 AND 5),"
    "  phase INTEGER NOT NULL, phase_since_ms INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
    "  start_ms INTEGER NOT NULL, salt INTEGER NOT NULL, target TEXT NOT NULL,"
    "  \"window\" TEXT NOT NULL,"
    "  phase_succeeded INTEGER NOT NULL, success_count INTEGER NOT NULL, success_percent INTEGER NOT NULL,"
    "  soak_s INTEGER NOT NULL,"
    "  error_count INTEGER NOT NULL, error_percent INTEGER NOT NULL, timeout_s INTEGER NOT NULL,"
    "  retries INTEGER NOT NULL, retry_s INTEGER NOT NULL, max_open INTEGER NOT NULL,"
    "  presumed_counts INTEGER NOT NULL, seen_succeeded INTEGER NOT NULL, seen_failed INTEGER NOT NULL,"
    "  note TEXT NOT NULL,"
    "  downgrade INTEGER NOT NULL DEFAULT 0, created_by TEXT NOT NULL DEFAULT '',"
    "  approved_by TEXT NOT NULL DEFAULT '', approved_ms INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE TABLE rollout_phase_7 ("
    "  rollout_id INTEGER NOT NULL REFERENCES rollout_7 (id),"
    "  number INTEGER NOT NULL CHECK (number BETWEEN 0 AND 7),"
    "  percent INTEGER NOT NULL CHECK (percent BETWEEN 0 AND 10000), filter TEXT NOT NULL,"
    "  PRIMARY KEY (rollout_id, number)) STRICT, WITHOUT ROWID;"
    "INSERT INTO rollout_7 (id, product_id, release_id, status, phase, phase_since_ms, created_ms, start_ms,"
    "  salt, target, \"window\", phase_succeeded, success_count, success_percent, soak_s, error_count, "
    "error_percent,"
    "  timeout_s, retries, retry_s, max_open, presumed_counts, seen_succeeded, seen_failed, note)"
    "  SELECT id, product_id, release_id, status, phase, phase_since_ms, created_ms, start_ms,"
    "  salt, target, \"window\", phase_succeeded, success_count, success_percent, soak_s, error_count, "
    "error_percent,"
    "  timeout_s, retries, retry_s, max_open, presumed_counts, seen_succeeded, seen_failed, note FROM "
    "rollout;"
    "INSERT INTO rollout_phase_7 SELECT rollout_id, number, percent, filter FROM rollout_phase;"
    "DROP TABLE rollout_phase; DROP TABLE rollout;"
    "ALTER TABLE rollout_7 RENAME TO rollout; ALTER TABLE rollout_phase_7 RENAME TO rollout_phase;"
    "CREATE INDEX rollout_release ON rollout (release_id);"
    "CREATE INDEX rollout_product ON rollout (product_id);"
    "ALTER TABLE product ADD COLUMN approval INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE product ADD COLUMN downgrade INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE token ADD COLUMN product_id INTEGER REFERENCES product (id);"
    "ALTER TABLE device ADD COLUMN attempt_bytes INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE attempt ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, device_id TEXT NOT NULL, ended_ms INTEGER NOT NULL,"
    "  release_id INTEGER NOT NULL, code INTEGER NOT NULL, from_code INTEGER NOT NULL, rollout_id INTEGER "
    "NOT NULL,"
    "  result INTEGER NOT NULL, reason INTEGER NOT NULL, bytes INTEGER NOT NULL, verified INTEGER NOT NULL) "
    "STRICT;"
    "CREATE INDEX attempt_device ON attempt (device_id, id);"
    "CREATE TABLE device_log ("
    "  device_id TEXT PRIMARY KEY, updated_ms INTEGER NOT NULL, text TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "UPDATE meta SET schema_version = 7;";

/* Version 8: approvers beside those who sign, and encrypted images. base: zeros: none. */
static const char sealed_images[] =
    "ALTER TABLE trust ADD COLUMN role INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE image ADD COLUMN approved INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE sealed ("
    "  image_id INTEGER NOT NULL REFERENCES image (id),"
    "  encoding INTEGER NOT NULL, gzip_window INTEGER NOT NULL, body_only INTEGER NOT NULL, base BLOB NOT "
    "NULL,"
    "  file_sha256 BLOB NOT NULL, file_md5 BLOB NOT NULL, file_len INTEGER NOT NULL,"
    "  manifest_sha256 BLOB NOT NULL, manifest_md5 BLOB NOT NULL, manifest_len INTEGER NOT NULL,"
    "  PRIMARY KEY (image_id, encoding, body_only, base)) STRICT, WITHOUT ROWID;"
    "UPDATE meta SET schema_version = 8;";

/* Version 9: results are here before anybody is told that they are kept; results.c. state: device_state.c. */
static const char result_log[] =
    "CREATE TABLE result_log ("
    "  seq INTEGER PRIMARY KEY, device_id TEXT NOT NULL, state BLOB NOT NULL, ended_ms INTEGER NOT NULL,"
    "  release_id INTEGER NOT NULL, code INTEGER NOT NULL, from_code INTEGER NOT NULL,"
    "  rollout_id INTEGER NOT NULL, result INTEGER NOT NULL, reason INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    "  verified INTEGER NOT NULL) STRICT;"
    "CREATE INDEX result_log_device ON result_log (device_id);"
    "UPDATE meta SET schema_version = 9;";

/* Version 10: people, their roles, and what tokens may do. product_id 0: all of them. A token that is there may do everything. */
static const char accounts[] =
    "CREATE TABLE account ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 48),"
    "  created_ms INTEGER NOT NULL, revision INTEGER NOT NULL, password TEXT NOT NULL,"
    "  disabled INTEGER NOT NULL, epoch INTEGER NOT NULL, totp BLOB NOT NULL, totp_new BLOB NOT NULL,"
    "  totp_step INTEGER NOT NULL, recovery BLOB NOT NULL, login_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE account_role ("
    "  account_id INTEGER NOT NULL REFERENCES account (id), product_id INTEGER NOT NULL,"
    "  roles INTEGER NOT NULL CHECK (roles BETWEEN 1 AND 31),"
    "  PRIMARY KEY (account_id, product_id)) STRICT, WITHOUT ROWID;"
    "ALTER TABLE token ADD COLUMN roles INTEGER NOT NULL DEFAULT 16;"
    "ALTER TABLE token ADD COLUMN expires_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE token ADD COLUMN made_by TEXT NOT NULL DEFAULT '';"
    "UPDATE meta SET schema_version = 10;";

/* Version 11: what was done by whom, each entry with the hash of the one before in its own; audit.c. */
static const char audit_log[] =
    "CREATE TABLE audit ("
    "  seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, who TEXT NOT NULL, source TEXT NOT NULL,"
    "  action TEXT NOT NULL, product TEXT NOT NULL, detail TEXT NOT NULL, status INTEGER NOT NULL,"
    "  reason TEXT NOT NULL, hash BLOB NOT NULL) STRICT;"
    "CREATE TABLE audit_head ("
    "  one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;"
    "UPDATE meta SET schema_version = 11;";

/* Version 12: filters with a name. */
static const char saved_filters[] =
    "CREATE TABLE saved_filter ("
    "  name TEXT PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64), filter TEXT NOT NULL, note TEXT NOT NULL,"
    "  changed_by TEXT NOT NULL, changed_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "UPDATE meta SET schema_version = 12;";

/* Version 13: webhooks, and what is to be delivered to them or was. */
static const char webhooks[] =
    "CREATE TABLE webhook ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, url TEXT NOT NULL, secret TEXT NOT NULL, events INTEGER NOT "
    "NULL,"
    "  enabled INTEGER NOT NULL, note TEXT NOT NULL, created_by TEXT NOT NULL, created_ms INTEGER NOT NULL) "
    "STRICT;"
    "CREATE TABLE webhook_delivery ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, webhook_id INTEGER NOT NULL REFERENCES webhook (id),"
    "  event TEXT NOT NULL, created_ms INTEGER NOT NULL, next_ms INTEGER NOT NULL, tries INTEGER NOT NULL,"
    "  state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2), status INTEGER NOT NULL, error TEXT NOT NULL,"
    "  body TEXT NOT NULL) STRICT;"
    "CREATE INDEX webhook_delivery_hook ON webhook_delivery (webhook_id, state, id);"
    "UPDATE meta SET schema_version = 13;";

/* Version 14: several servers on these tables (nodes.c). In device_change is what changed of devices lately, and which are gone (gone_ms); a row of result_log whose seq is above 2^40 is of
 * the epoch seq / 2^40. */
static const char nodes[] =
    "ALTER TABLE device ADD COLUMN settings_rev INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN attempt_no INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN attempt_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN rollout_round INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN rollout_node INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE attempt ADD COLUMN once INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE result_log ADD COLUMN once INTEGER NOT NULL DEFAULT 0;"
    "CREATE UNIQUE INDEX attempt_once ON attempt (device_id, once) WHERE once > 0;"
    "CREATE TABLE node_state ("
    "  one INTEGER PRIMARY KEY CHECK (one = 1), stamp INTEGER NOT NULL, epoch INTEGER NOT NULL) STRICT;"
    "INSERT INTO node_state VALUES (1, 0, 0);"
    "CREATE TABLE node ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 64),"
    "  instance TEXT NOT NULL, epoch INTEGER NOT NULL, started_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL,"
    "  expires_ms INTEGER NOT NULL, generation INTEGER NOT NULL, stamp INTEGER NOT NULL,"
    "  version TEXT NOT NULL, schema_version INTEGER NOT NULL) STRICT;"
    "CREATE TABLE lease ("
    "  name TEXT PRIMARY KEY, node_id INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    "  expires_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE slot ("
    "  rollout_id INTEGER NOT NULL, node_id INTEGER NOT NULL, slots INTEGER NOT NULL, wants INTEGER NOT NULL,"
    "  PRIMARY KEY (rollout_id, node_id)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE device_change ("
    "  id TEXT PRIMARY KEY, stamp INTEGER NOT NULL, node_id INTEGER NOT NULL, gone_ms INTEGER NOT NULL) "
    "STRICT, WITHOUT ROWID;"
    "CREATE INDEX device_change_stamp ON device_change (stamp);"
    "UPDATE meta SET schema_version = 14;";

/* Version 15: who is logged in. sha256: of the cookie; token: the SHA-256 of the one that he logged in with, zeros: an account. */
static const char sessions[] =
    "CREATE TABLE session ("
    "  sha256 BLOB PRIMARY KEY, token BLOB NOT NULL, account_id INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    "  since_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX session_account ON session (account_id);"
    "UPDATE meta SET schema_version = 15;";

/* Version 16: what was begun and is not in the audit log yet; audit_open.c. */
static const char audit_open[] =
    "CREATE TABLE audit_open ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, who TEXT NOT NULL, source TEXT NOT NULL,"
    "  action TEXT NOT NULL, product TEXT NOT NULL, detail TEXT NOT NULL) STRICT;"
    "UPDATE meta SET schema_version = 16;";

/* steps[v] makes version v + 1 of version v. */
static const char *const steps[] = {
    tables,     signed_images, rollouts,  no_4k_start,   boot_stages, results, approval, sealed_images,
    result_log, accounts,      audit_log, saved_filters, webhooks,    nodes,   sessions, audit_open};
_Static_assert(sizeof steps / sizeof steps[0] == SCHEMA_VERSION, "a step for each version");

static int read_version(struct store *store, int64_t *version)
{
    static const char sql[] = "SELECT schema_version FROM meta";
    int64_t tables_there = 0;
    bool has_meta = false;
    int rc = db_tables(store->db, &tables_there, &has_meta);
    *version = 0;
    if (rc < 0 || tables_there == 0) return rc;
    if (!has_meta) return store_fail(MOLT_STORE_FAILED, "the database is one of another program");
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    rc = db_step(stmt);
    *version = rc == 1 ? db_int(stmt, 0) : -1;
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}

/* The oldest schema whose molt may go on running while the tables become this version, by step; the first ones had one server. */
static const unsigned char beside[SCHEMA_VERSION] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 14, 14};

/* Servers of an older molt that live, and would not understand the tables any more. */
static int check_older(struct store *store, int64_t version)
{
    static const char sql[] =
        "SELECT coalesce(min(name), ''), count(*) FROM node WHERE epoch <> 0 AND " DB_LIVE
        " AND schema_version < ?";
    int64_t needed = 0;
    for (int64_t v = version; v < SCHEMA_VERSION; v++)
        needed = beside[v] > needed ? beside[v] : needed;
    if (version < 14 || strcmp(db_name(store->db), "postgresql") != 0) return 0;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, needed);
    int rc = db_step(stmt);
    if (rc == 1 && db_int(stmt, 1) > 0)
        rc = store_fail(
            MOLT_STATE,
            "%lld servers of an older molt run, one of them node %s, and this one changes the tables "
            "under them: stop those first",
            (long long)db_int(stmt, 1), db_text(stmt, 0));
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}

static int migrate(struct store *store, void *ctx)
{
    int64_t version = *(int64_t *)ctx;
    int rc = check_older(store, version);
    for (; rc == 0 && version < SCHEMA_VERSION; version++)
        rc = db_script(store->db, steps[version]);
    return rc;
}

static int open_once(struct store *store, bool must_exist, bool read_only)
{
    int64_t version = 0;
    int rc = read_version(store, &version);
    if (rc < 0 || version == SCHEMA_VERSION) return rc;
    if (version < 0 || version > SCHEMA_VERSION) {
        return store_fail(
            MOLT_STORE_FAILED,
            "the database has schema %lld and this molt knows up to %d: it was written by a newer molt; "
            "install that one here, too (`molt version` there says which; of several servers, `molt node "
            "list`)",
            (long long)version, SCHEMA_VERSION);
    }
    if (version == 0 && must_exist)
        return store_fail(MOLT_STORE_FAILED, "there is no store in the database yet");
    if (read_only)
        return store_fail(MOLT_STORE_FAILED, "the database has schema %lld: open it once with this molt",
                          (long long)version);
    return store_transact(store, DB_CHANGE, migrate, &version);
}

#define TRIES 20 /* a tenth of a second each: another server makes the same tables at this moment */

int schema_open(struct store *store, bool must_exist, bool read_only)
{
    int rc = open_once(store, must_exist, read_only);
    for (int tries = 1; rc == -MOLT_ARG && tries < TRIES; tries++) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        rc = open_once(store, must_exist, read_only);
    }
    return rc;
}
