/* metrics.c - the server's numbers as text (metrics.h). Must never have a label whose values grow with the fleet, nor wait for the
 * database. Tests: test/unit/metrics_test.c, test/e2e/metrics_test.py. */
#include "metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "counters.h"
#include "molt_reason.h"

#define ROLLOUTS_MAX 32 /* that are told about one by one */

enum metric {
#define METRIC(symbol, name, type, help) METRIC_##symbol,
#include "metrics.def"
#undef METRIC
};

static const struct {
    const char *name, *type, *help;
} rows[] = {
#define METRIC(symbol, name, type, help) {name, type, help},
#include "metrics.def"
#undef METRIC
};

static void head(FILE *out, enum metric metric)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", rows[metric].name, rows[metric].help, rows[metric].name,
            rows[metric].type);
}

static void one(FILE *out, enum metric metric, uint64_t value)
{
    head(out, metric);
    fprintf(out, "%s %" PRIu64 "\n", rows[metric].name, value);
}

/* A label's value: backslash, quote and line feed are escaped; nothing else needs it. */
static void put_value(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\' || *text == '"') fputc('\\', out);
        if (*text == '\n')
            fputs("\\n", out);
        else
            fputc(*text, out);
    }
}

static void put_counters(FILE *out)
{
    for (int i = 0; i < COUNTER_COUNT; i++) {
        const struct counters_row *row = counters_row((enum counter)i);
        if (i == 0 || strcmp(row->metric, counters_row((enum counter)(i - 1))->metric) != 0)
            fprintf(out, "# HELP %s %s\n# TYPE %s counter\n", row->metric, row->help, row->metric);
        fprintf(out, "%s{%s} %" PRIu64 "\n", row->metric, row->labels, counters_read((enum counter)i));
    }
    head(out, METRIC_DECISIONS);
    for (int reason = 1; reason < COUNTERS_REASON_MAX; reason++) {
        uint64_t count = counters_read_reason(reason);
        if (count != 0)
            fprintf(out, "%s{reason=\"%s\"} %" PRIu64 "\n", rows[METRIC_DECISIONS].name,
                    molt_reason_id(reason), count);
    }
}

static void put_http(FILE *out, const struct metrics_parts *parts)
{
    struct http_stats http = {0};
    if (parts->http != NULL) http_server_stats(parts->http, &http);
    one(out, METRIC_ACCEPTED, http.accepted);
    one(out, METRIC_OPEN, http.open);
    one(out, METRIC_REQUESTS, http.requests);
    one(out, METRIC_REFUSED, http.refused);
    one(out, METRIC_SENT, http.bytes_sent);
    one(out, METRIC_DOWNLOADS, parts->downloads);
    one(out, METRIC_WATCHERS, parts->watchers);
    one(out, METRIC_HOOKS, parts->hooks_queued);
}

static void put_devices(FILE *out, const struct metrics_parts *parts)
{
    struct devices_stats stats;
    devices_stats(parts->devices, &stats);
    one(out, METRIC_DEVICES, stats.count);
    one(out, METRIC_UNASSIGNED, stats.unassigned);
    one(out, METRIC_HELD, stats.held);
    one(out, METRIC_UPDATED, stats.updated);
    one(out, METRIC_FAILED, stats.failed);
    one(out, METRIC_MEMORY, stats.bytes);
    one(out, METRIC_UNSAVED, stats.dirty);
    one(out, METRIC_WRITTEN, stats.written);
}

static void put_rollout(FILE *out, const struct metrics_parts *parts, const struct rules *rules,
                        const struct model_rollout *rollout)
{
    struct rollout_counts counts;
    const struct model_product *product = rules_product(rules, rollout->product_id);
    rollout_table_read(devices_rollouts(parts->devices), rollout->id, &counts);
    const struct {
        const char *state;
        uint32_t count;
    } states[] = {{"offered", counts.offered},
                  {"succeeded", counts.succeeded},
                  {"presumed", counts.presumed},
                  {"failed", counts.failed}};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        fprintf(out, "%s{rollout=\"%" PRId64 "\",product=\"", rows[METRIC_ROLLOUT_DEVICES].name, rollout->id);
        put_value(out, product != NULL ? product->name : "");
        fprintf(out, "\",state=\"%s\"} %" PRIu32 "\n", states[i].state, states[i].count);
    }
}

static void put_rules(FILE *out, const struct metrics_parts *parts)
{
    static const char *const names[] = {[MODEL_ROLLOUT_RUNNING] = "running",
                                        [MODEL_ROLLOUT_PAUSED] = "paused",
                                        [MODEL_ROLLOUT_DONE] = "done",
                                        [MODEL_ROLLOUT_ABORTED] = "aborted",
                                        [MODEL_ROLLOUT_WAITING] = "waiting"};
    uint32_t by_status[MODEL_ROLLOUT_WAITING + 1] = {0}, told = 0;
    const struct rules *rules = rules_acquire(parts->rules);
    one(out, METRIC_PRODUCTS, rules->data.product_count);
    one(out, METRIC_RELEASES, rules->data.release_count);
    head(out, METRIC_ROLLOUT_DEVICES);
    for (uint32_t i = rules->data.rollout_count; i-- > 0;) {
        const struct model_rollout *rollout = &rules->data.rollouts[i];
        if ((unsigned)rollout->status <= MODEL_ROLLOUT_WAITING) by_status[rollout->status]++;
        if (rollout->status != MODEL_ROLLOUT_RUNNING && rollout->status != MODEL_ROLLOUT_PAUSED) continue;
        if (told++ < ROLLOUTS_MAX) put_rollout(out, parts, rules, rollout);
    }
    head(out, METRIC_ROLLOUTS);
    for (int i = MODEL_ROLLOUT_RUNNING; i <= MODEL_ROLLOUT_WAITING; i++)
        fprintf(out, "%s{status=\"%s\"} %" PRIu32 "\n", rows[METRIC_ROLLOUTS].name, names[i], by_status[i]);
    rules_release_ref(parts->rules, rules);
}

/* When the certificate ends, 0: there is none that can be read. */
static int64_t certificate_end(const char *path)
{
    int64_t end = 0;
    FILE *file = path != NULL ? fopen(path, "r") : NULL;
    X509 *certificate = file != NULL ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    int days = 0, seconds = 0;
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    if (certificate != NULL && epoch != NULL &&
        ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(certificate)) == 1)
        end = (int64_t)days * 86400 + seconds;
    ASN1_TIME_free(epoch);
    X509_free(certificate);
    if (file != NULL) (void)fclose(file);
    return end;
}

static uint64_t database_bytes(const char *data_dir)
{
    char path[4096 + 8];
    struct stat st;
    if (snprintf(path, sizeof path, "%s/molt.db", data_dir) >= (int)sizeof path || stat(path, &st) != 0)
        return 0;
    return (uint64_t)st.st_size;
}

static bool disk_of(const char *data_dir, uint64_t *free_bytes, uint64_t *total)
{
    struct statvfs disk;
    if (statvfs(data_dir, &disk) != 0) return false;
    *free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    *total = (uint64_t)disk.f_blocks * disk.f_frsize;
    return true;
}

/* Zeros when there is no replica. */
static void put_replica(FILE *out, struct store *store)
{
    static const char *const reasons[] = {[STORE_READ_AWAY] = "away",
                                          [STORE_READ_CONFLICT] = "conflict",
                                          [STORE_READ_FAILED] = "failed",
                                          [STORE_READ_DOUBTED] = "doubted"};
    struct store_replica replica;
    store_replica_state(store, &replica);
    one(out, METRIC_REPLICA_READS, replica.reads[STORE_READ_REPLICA]);
    head(out, METRIC_REPLICA_BACK);
    for (int i = STORE_READ_AWAY; i < STORE_READ_COUNT; i++)
        fprintf(out, "%s{reason=\"%s\"} %" PRIu64 "\n", rows[METRIC_REPLICA_BACK].name, reasons[i],
                replica.reads[i]);
}

static void put_store(FILE *out, const struct metrics_parts *parts)
{
    struct store_health health;
    uint64_t free_bytes, total, bytes = database_bytes(parts->data_dir);
    store_health(parts->store, &health);
    head(out, METRIC_BUILD);
    fprintf(out, "%s{version=\"" MOLT_VERSION "\",store=\"%s\"} 1\n", rows[METRIC_BUILD].name,
            health.backend);
    one(out, METRIC_STORE_UP, health.ill_since_ms == 0);
    put_replica(out, parts->store);
    if (bytes > 0) one(out, METRIC_DATABASE, bytes);
    if (disk_of(parts->data_dir, &free_bytes, &total)) {
        one(out, METRIC_DISK_FREE, free_bytes);
        one(out, METRIC_DISK_TOTAL, total);
    }
}

static uint64_t open_files(void)
{
    uint64_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) return 0;
    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    return count > 3 ? count - 3 : 0; /* ".", "..", and the folder itself */
}

static void put_process(FILE *out)
{
    struct rusage usage;
    struct rlimit limit;
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (statm != NULL) {
        if (fscanf(statm, "%*u %lu", &pages) == 1)
            one(out, METRIC_RESIDENT, (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE));
        (void)fclose(statm);
    }
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        head(out, METRIC_CPU);
        fprintf(out, "%s %.2f\n", rows[METRIC_CPU].name,
                (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    }
    one(out, METRIC_FDS, open_files());
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) one(out, METRIC_FDS_MAX, limit.rlim_cur);
}

char *metrics_text(const struct metrics_parts *parts, size_t *len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    if (out == NULL) return NULL;
    int64_t end = certificate_end(parts->tls_cert);
    put_store(out, parts);
    one(out, METRIC_START, (uint64_t)(parts->started_ms / 1000));
    if (end > 0) one(out, METRIC_CERTIFICATE, (uint64_t)end);
    put_http(out, parts);
    put_counters(out);
    put_devices(out, parts);
    put_rules(out, parts);
    put_process(out);
    bool ok = ferror(out) == 0;
    if (fclose(out) == 0 && ok) return text;
    free(text);
    return NULL;
}

const char *metrics_not_ready(const struct metrics_parts *parts)
{
    struct store_health health;
    uint64_t free_bytes, total;
    store_health(parts->store, &health);
    if (health.ill_since_ms != 0) return "the database fails";
    if (!disk_of(parts->data_dir, &free_bytes, &total)) return "the data folder cannot be read";
    return free_bytes < METRICS_DISK_MIN ? "less than 64 MiB are free where the data folder is" : NULL;
}
