/* cmd_audit.c - `molt audit list|verify|export`: what was done by whom, and whether that was tampered with. An export can be
 * checked without a server. Tests: test/e2e/access_test.sh. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "host/store/access.h"
#include "operate.h"
#include "output.h"

#define LINE_MAX_LEN 16384 /* of an export */

static const struct args_option list_options[] = {
    {"limit", "N", "how many, 1 to 1000 (default: 100)", 0},
    {"who", "WHO", "of this person: local, 'user NAME', 'token ID'", 0},
    {"product", "PRODUCT", "about this product", 0},
    {"find", "TEXT", "with this text anywhere", 0},
    COMMAND_WHERE,
    {0},
};
static const struct args_option verify_options[] = {
    {"since", "FILE", "an earlier export: is it still how the log begins?", 0},
    {"expect", "SEQ:HASH", "an end that an earlier `verify` printed, or the server's log has", 0},
    COMMAND_WHERE,
    {0},
};
static const struct args_option where_options[] = {COMMAND_WHERE, {0}};

static json_t *get(struct client *client, const char *path, const struct client_query *query)
{
    return client_call(client, &(struct client_request){.method = "GET", .path = path, .query = query});
}

/* ---- list ---- */

static void print_entries(const json_t *answer)
{
    static const char *const titles[] = {"NO", "WHEN", "WHO", "FROM", "WHAT", "RESULT", "DETAIL"};
    struct output_table *table = output_table_new(titles, 7);
    size_t i;
    const json_t *entry;
    json_array_foreach(json_object_get(answer, "entries"), i, entry)
    {
        char no[24], when[32], result[64];
        const int64_t status = client_integer(entry, "status");
        const bool good = status < 400;
        snprintf(no, sizeof no, "%lld", (long long)client_integer(entry, "seq"));
        output_time(when, sizeof when, client_integer(entry, "at_ms"));
        snprintf(result, sizeof result, "%s",
                 status == 0 ? "not known"
                 : good      ? "done"
                             : client_text(entry, "reason"));
        const char *cells[] = {no,
                               when,
                               client_text(entry, "who"),
                               client_text(entry, "from"),
                               client_text(entry, "action"),
                               result,
                               client_text(entry, "detail")};
        output_table_row(table, good ? OUTPUT_PLAIN : OUTPUT_WARN, cells);
    }
    output_table_print(table, stdout);
    if (json_is_integer(json_object_get(answer, "next")))
        output_hint("there are older ones: --limit, or `molt audit export`");
}

static int run_list(struct args *args)
{
    uint64_t limit = 100;
    char number[24];
    struct client_query query = {.len = 0};
    if (args_number(args, "limit", 1, 1000, &limit) < 0)
        return command_usage_error(&command_audit_list, "%s", args->error);
    snprintf(number, sizeof number, "%llu", (unsigned long long)limit);
    client_query_add(&query, "limit", number);
    client_query_add(&query, "who", args_value(args, "who"));
    client_query_add(&query, "product", args_value(args, "product"));
    client_query_add(&query, "q", args_value(args, "find"));
    return operate_get(args, "/api/v1/audit", &query, print_entries);
}

/* ---- export ---- */

/* Prints a page; the number of the last entry, 0: it was the last page, -1: failed. */
static int64_t print_page(struct client *client, int64_t after)
{
    char number[24];
    struct client_query query = {.len = 0};
    size_t i;
    const json_t *entry;
    snprintf(number, sizeof number, "%lld", (long long)after);
    client_query_add(&query, "after", number);
    client_query_add(&query, "limit", "1000");
    json_t *answer = get(client, "/api/v1/audit", &query);
    if (answer == NULL) return -1;
    json_array_foreach(json_object_get(answer, "entries"), i, entry)
    {
        char *line = json_dumps(entry, JSON_COMPACT | JSON_PRESERVE_ORDER);
        if (line != NULL) puts(line);
        free(line);
    }
    const json_t *next = json_object_get(answer, "next");
    const int64_t last = json_is_integer(next) ? json_integer_value(next) : 0;
    json_decref(answer);
    return last;
}

static int run_export(struct args *args)
{
    struct client *client = client_open(args, false);
    if (client == NULL) return EXIT_PROBLEM;
    int64_t after = 0;
    do {
        after = print_page(client, after);
    } while (after > 0);
    client_close(client);
    if (after == 0 && (fflush(stdout) != 0 || ferror(stdout))) {
        output_error("cannot write the export: %s", strerror(errno));
        return EXIT_PROBLEM;
    }
    return after == 0 ? EXIT_GOOD : EXIT_PROBLEM;
}

/* ---- an export as a file ---- */

static bool take_text(const json_t *json, const char *field, char *out, size_t cap)
{
    return snprintf(out, cap, "%s", client_text(json, field)) < (int)cap;
}

static bool take_hash(const json_t *json, uint8_t hash[32])
{
    const char *hex = client_text(json, "hash");
    bool good = strlen(hex) == 64 && strspn(hex, "0123456789abcdef") == 64;
    for (size_t i = 0; good && i < 32; i++) {
        unsigned byte;
        good = sscanf(hex + 2 * i, "%2x", &byte) == 1;
        hash[i] = (uint8_t)byte;
    }
    return good;
}

/* Is the line the entry that follows head, with the hash that it says? Then head is it. */
static bool follow(const char *line, struct store_audit_head *head)
{
    static struct store_audit entry;
    char text[STORE_AUDIT_TEXT_MAX];
    uint8_t hash[32], said[32];
    json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    memset(&entry, 0, sizeof entry);
    entry.seq = client_integer(json, "seq");
    entry.at_ms = client_integer(json, "at_ms");
    entry.status = (int32_t)client_integer(json, "status");
    const bool read = take_text(json, "who", entry.who, sizeof entry.who) &&
                      take_text(json, "from", entry.from, sizeof entry.from) &&
                      take_text(json, "action", entry.action, sizeof entry.action) &&
                      take_text(json, "product", entry.product, sizeof entry.product) &&
                      take_text(json, "detail", entry.detail, sizeof entry.detail) &&
                      take_text(json, "reason", entry.reason, sizeof entry.reason) && take_hash(json, said);
    json_decref(json);
    const size_t len = read ? store_audit_text(&entry, head->hash, text) : 0;
    if (len == 0 || entry.seq != head->seq + 1 ||
        EVP_Digest(text, len, hash, NULL, EVP_sha256(), NULL) != 1 || memcmp(hash, said, sizeof hash) != 0)
        return false;
    head->seq = entry.seq;
    memcpy(head->hash, hash, sizeof hash);
    return true;
}

/* The end of an export that is whole in itself. False after printing. */
static bool read_export(const char *path, struct store_audit_head *head)
{
    char *line = malloc(LINE_MAX_LEN);
    FILE *file = line != NULL ? fopen(path, "re") : NULL;
    bool good = file != NULL;
    memset(head, 0, sizeof *head);
    if (!good) output_error("%s: %s", path, strerror(errno));
    while (good && fgets(line, LINE_MAX_LEN, file) != NULL) {
        good = follow(line, head);
        if (!good)
            output_error("%s: line %lld is not what `molt audit export` wrote", path,
                         (long long)head->seq + 1);
    }
    if (good && head->seq == 0) {
        good = false;
        output_error("%s: holds no entry", path);
    }
    if (file != NULL) fclose(file);
    free(line);
    return good;
}

/* ---- verify ---- */

static void print_verdict(const json_t *answer)
{
    const json_t *end = json_object_get(answer, "end");
    if (json_is_true(json_object_get(answer, "good")))
        printf("good: %lld entries\n", (long long)client_integer(answer, "entries"));
    else
        printf("BAD at entry %lld: %s; %lld entries before it are good\n",
               (long long)client_integer(answer, "bad"), client_text(answer, "why"),
               (long long)client_integer(answer, "entries"));
    printf("the end is %lld:%s\n", (long long)client_integer(end, "seq"), client_text(end, "hash"));
}

static int run_verify(struct args *args)
{
    char expect[96];
    struct client_query query = {.len = 0};
    const char *since = args_value(args, "since"), *said = args_value(args, "expect");
    if (since != NULL && said != NULL)
        return command_usage_error(&command_audit_verify, "--since and --expect exclude each other");
    if (since != NULL) {
        struct store_audit_head head;
        if (!read_export(since, &head)) return EXIT_PROBLEM;
        int len = snprintf(expect, sizeof expect, "%lld:", (long long)head.seq);
        for (size_t i = 0; i < 32; i++)
            len += snprintf(expect + len, sizeof expect - (size_t)len, "%02x", head.hash[i]);
        said = expect;
    }
    struct client *client = client_open(args, false);
    if (client == NULL) return EXIT_PROBLEM;
    client_query_add(&query, "expect", said);
    json_t *answer = get(client, "/api/v1/audit/verify", &query);
    if (answer != NULL && args_has(args, "json"))
        output_json(answer);
    else if (answer != NULL)
        print_verdict(answer);
    const bool good = json_is_true(json_object_get(answer, "good"));
    client_close(client);
    json_decref(answer);
    return good ? EXIT_GOOD : EXIT_PROBLEM;
}

const struct command command_audit_list = {
    .name = "audit list",
    .operands = "",
    .summary = "show what was done and refused, by whom and from where",
    .more = "",
    .examples = "  molt audit list --who 'user anna'\n  molt audit list --find /rollouts/",
    .options = list_options,
    .run = run_list,
};

const struct command command_audit_verify = {
    .name = "audit verify",
    .operands = "",
    .summary = "find out whether the audit log was tampered with",
    .more =
        "Keep the end that is printed, or an export, where nobody who can write to the database reaches it:\n"
        "with it a log that was cut or made anew as a whole is found, too.",
    .examples = "  molt audit verify\n  molt audit verify --since audit-2026-10.jsonl",
    .options = verify_options,
    .run = run_verify,
};

const struct command command_audit_export = {
    .name = "audit export",
    .operands = "",
    .summary = "write all entries as lines of JSON, the first first",
    .more = "",
    .examples = "  molt audit export > audit-2026-10.jsonl",
    .options = where_options,
    .run = run_export,
};
