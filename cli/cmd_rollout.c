/* cmd_rollout.c - `molt rollout create|list|show|approve|pause|resume|next|abort`: a release for a few devices first, then more.
 * Must never make a rollout of an argument that it did not fully understand. Tests: test/e2e/rollout_test.sh. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "operate.h"
#include "output.h"
#include "text.h"

static const struct args_option list_options[] = {
    {"product", "NAME", "only of this product", 0},
    COMMAND_WHERE,
    {0},
};
static const struct args_option where_options[] = {COMMAND_WHERE, {0}};

/* ---- create ---- */

static const struct args_option create_options[] = {
    {"phase", "PERCENT[:FILTER]", "a phase, in order; none: one of 100", ARGS_REPEAT},
    {"target", "FILTER", "only for these devices, in every phase", 0},
    {"start", "TIME", "offer nothing before: 2026-12-01T08:00Z, or +90m, +2d", 0},
    {"window", "WINDOW", "begin with a device only then: 'mon-fri 01:00-04:00 Europe/Berlin'", 0},
    {"success-count", "N", "a phase ends after N more successes (default: only by `molt rollout next`)", 0},
    {"success-percent", "P", "... which are P percent of the devices offered", 0},
    {"soak", "TIME", "... and this long after the last success: 90s, 15m, 36h, 7d", 0},
    {"error-count", "N", "pause by itself once there are N results (default 3; 0: never)", 0},
    {"error-percent", "P", "... of which more than P percent are failures (default 20)", 0},
    {"timeout", "TIME", "an offer without a result for so long has failed (default 1h; 0s: never)", 0},
    {"retries", "N", "offer it N times more to a device where it failed (default 0)", 0},
    {"retry-after", "TIME", "the pause before the first retry (default 1h); it doubles", 0},
    {"max-open", "N", "devices that may be updating at a time", 0},
    {"presumed-counts", NULL, "a device that cannot report and came back content is a success", 0},
    {"downgrade", "never|pinned|allowed",
     "may it go to devices that run a higher code (default: as the product)", 0},
    {"salt", "N", "rollouts of the same salt begin with the same devices", 0},
    COMMAND_WHERE,
    {0},
};

/* "90s", "15m", "36h", "7d" in seconds. */
static bool duration(const char *text, uint64_t *seconds)
{
    static const char units[] = "smhd";
    static const uint64_t factors[] = {1, 60, 3600, 86400};
    char number[16];
    size_t len = strlen(text);
    const char *unit = len > 1 ? strchr(units, text[len - 1]) : NULL;
    if (unit == NULL || len - 1 >= sizeof number) return false;
    memcpy(number, text, len - 1);
    number[len - 1] = '\0';
    if (text_number(number, seconds) < 0 || *seconds > 1000000000) return false;
    *seconds *= factors[unit - units];
    return true;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar. */
static int64_t days(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = year / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* "+2h", or "2026-12-01T08:00Z" and the like with seconds: Unix milliseconds. */
static bool moment(const char *text, int64_t *ms)
{
    uint64_t seconds;
    int year, month, day, hour, minute, second = 0, used = 0;
    if (text[0] == '+') {
        if (!duration(text + 1, &seconds)) return false;
        *ms = output_now_ms() + (int64_t)seconds * 1000;
        return true;
    }
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d%n", &year, &month, &day, &hour, &minute, &used) != 5) return false;
    if (text[used] == ':') {
        int more = 0;
        if (sscanf(text + used, ":%2d%n", &second, &more) != 1) return false;
        used += more;
    }
    bool ok = strcmp(text + used, "Z") == 0 && year >= 1970 && month >= 1 && month <= 12 && day >= 1 &&
              day <= 31 && hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0 && second < 60;
    if (ok) *ms = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60000 + second * 1000;
    return ok;
}

/* "5", "0.5", "100:tag = canary" as {"percent": ..., "filter": ...}. NULL when it is none. */
static json_t *phase(const char *text)
{
    char *end;
    double percent = strtod(text, &end);
    if (end == text || !(percent >= 0 && percent <= 100)) return NULL;
    if (*end == '%') end++;
    if (*end != '\0' && *end != ':') return NULL;
    json_t *json = json_pack("{s:f}", "percent", percent);
    if (*end == ':') json_object_set_new(json, "filter", json_string(end + 1));
    return json;
}

static int set_numbers(struct args *args, json_t *body)
{
    static const struct {
        const char *option, *field;
        uint64_t max;
    } rows[] = {{"success-count", "success_count", 1000000000},
                {"success-percent", "success_percent", 100},
                {"error-count", "error_count", 1000000000},
                {"error-percent", "error_percent", 100},
                {"retries", "retries", 100},
                {"max-open", "max_open", 1000000000},
                {"salt", "salt", INT64_MAX}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t number = 0;
        if (args_value(args, rows[i].option) == NULL) continue;
        if (args_number(args, rows[i].option, 0, rows[i].max, &number) < 0)
            return command_usage_error(&command_rollout_create, "%s", args->error);
        json_object_set_new(body, rows[i].field, json_integer((json_int_t)number));
    }
    return 0;
}

static int set_times(struct args *args, json_t *body)
{
    static const char *const rows[][2] = {
        {"soak", "soak_s"}, {"timeout", "timeout_s"}, {"retry-after", "retry_s"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t seconds;
        const char *value = args_value(args, rows[i][0]);
        if (value == NULL) continue;
        if (!duration(value, &seconds))
            return command_usage_error(&command_rollout_create, "--%s wants 90s, 15m, 36h or 7d", rows[i][0]);
        json_object_set_new(body, rows[i][1], json_integer((json_int_t)seconds));
    }
    int64_t start;
    const char *value = args_value(args, "start");
    if (value == NULL) return 0;
    if (!moment(value, &start))
        return command_usage_error(&command_rollout_create,
                                   "--start wants a time in UTC (2026-12-01T08:00Z) or a delay (+90m)");
    json_object_set_new(body, "start_ms", json_integer(start));
    return 0;
}

static int set_phases(const struct args *args, json_t *body)
{
    json_t *phases = json_array();
    json_object_set_new(body, "phases", phases);
    for (int i = 0; args_nth(args, "phase", i) != NULL; i++) {
        json_t *one = phase(args_nth(args, "phase", i));
        if (one == NULL)
            return command_usage_error(
                &command_rollout_create,
                "--phase wants a percentage, and behind a colon a filter: 100:tag = canary");
        json_array_append_new(phases, one);
    }
    if (json_array_size(phases) == 0) json_object_del(body, "phases");
    return 0;
}

static void said(const json_t *rollout, const char *what)
{
    printf("rollout %lld: %s %s %s, phase %lld of %zu\n", (long long)client_integer(rollout, "id"),
           client_text(rollout, "product"), client_text(rollout, "version"), what,
           (long long)client_integer(rollout, "phase"), json_array_size(json_object_get(rollout, "phases")));
}

/* Prints the answer (which it takes) and ends the call. */
static int finish(const struct args *args, struct client *client, json_t *rollout, const char *what)
{
    if (rollout != NULL && args_has(args, "json"))
        output_json(rollout);
    else if (rollout != NULL)
        said(rollout, what);
    client_close(client);
    json_decref(rollout);
    return rollout != NULL ? EXIT_GOOD : EXIT_PROBLEM;
}

static int run_create(struct args *args)
{
    uint64_t release;
    if (text_number(args->operands[0], &release) < 0 || release == 0 || release > INT64_MAX)
        return command_usage_error(&command_rollout_create,
                                   "'%s' is no release id; `molt release list` shows them",
                                   args->operands[0]);
    json_t *body = json_pack("{s:I}", "release", (json_int_t)release);
    int status = set_numbers(args, body);
    if (status == 0) status = set_times(args, body);
    if (status == 0) status = set_phases(args, body);
    if (args_value(args, "target") != NULL)
        json_object_set_new(body, "target", json_string(args_value(args, "target")));
    if (args_value(args, "window") != NULL)
        json_object_set_new(body, "window", json_string(args_value(args, "window")));
    if (args_value(args, "downgrade") != NULL)
        json_object_set_new(body, "downgrade", json_string(args_value(args, "downgrade")));
    if (args_has(args, "presumed-counts")) json_object_set_new(body, "presumed_counts", json_true());
    if (status != 0) {
        json_decref(body);
        return status;
    }
    struct client *client = client_open(args, false);
    if (client == NULL) {
        json_decref(body);
        return EXIT_PROBLEM;
    }
    json_t *made = client_json(client, "POST", body, "/api/v1/rollouts");
    const bool waits = strcmp(client_text(made, "status"), "waiting") == 0;
    if (waits)
        output_hint("somebody else lets it begin: molt rollout approve %lld",
                    (long long)client_integer(made, "id"));
    return finish(args, client, made, waits ? "waits for approval" : "is rolled out");
}

/* ---- list and show ---- */

static enum output_style style(const char *status)
{
    if (strcmp(status, "paused") == 0 || strcmp(status, "waiting") == 0) return OUTPUT_BAD;
    if (strcmp(status, "aborted") == 0) return OUTPUT_DIM;
    return strcmp(status, "done") == 0 ? OUTPUT_GOOD : OUTPUT_PLAIN;
}

static void print_list(const json_t *answer)
{
    static const char *const titles[] = {"ID",      "PRODUCT", "VERSION",   "STATUS", "PHASE",
                                         "OFFERED", "OPEN",    "SUCCEEDED", "FAILED", "NOTE"};
    static const char *const counted[] = {"offered", "open", "succeeded", "failed"};
    const json_t *rollout, *rollouts = json_object_get(answer, "rollouts");
    struct output_table *table = output_table_new(titles, 10);
    size_t i;
    json_array_foreach(rollouts, i, rollout)
    {
        char id[24], phase_text[48], numbers[4][24];
        const json_t *counts = json_object_get(rollout, "counts");
        snprintf(id, sizeof id, "%lld", (long long)client_integer(rollout, "id"));
        snprintf(phase_text, sizeof phase_text, "%lld/%zu", (long long)client_integer(rollout, "phase"),
                 json_array_size(json_object_get(rollout, "phases")));
        for (int n = 0; n < 4; n++)
            snprintf(numbers[n], sizeof numbers[n], "%lld", (long long)client_integer(counts, counted[n]));
        const char *status = client_text(rollout, "status");
        output_table_row(table, style(status),
                         (const char *const[]){id, client_text(rollout, "product"),
                                               client_text(rollout, "version"), status, phase_text,
                                               numbers[0], numbers[1], numbers[2], numbers[3],
                                               client_text(rollout, "note")});
    }
    if (json_array_size(rollouts) == 0) {
        output_table_free(table);
        output_hint(
            "no rollouts; a release without one is offered to all: molt rollout create RELEASE --phase 5");
    } else {
        output_table_print(table, stdout);
    }
}

static int run_list(struct args *args)
{
    struct client_query query = {0};
    client_query_add(&query, "product", args_value(args, "product"));
    return operate_get(args, "/api/v1/rollouts", &query, print_list);
}

static void print_phases(const json_t *rollout)
{
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(rollout, "phases"), i, one)
    {
        char text[700], label[40];
        const char *filter = client_text(one, "filter");
        snprintf(label, sizeof label, "%s phase %zu",
                 (json_int_t)i + 1 == client_integer(rollout, "phase") ? ">" : " ", i + 1);
        snprintf(text, sizeof text, "%g %%%s%s", json_number_value(json_object_get(one, "percent")),
                 filter[0] != '\0' ? " of " : "", filter);
        output_field(label, text);
    }
}

static void print_rollout(const json_t *rollout)
{
    char text[300], when[40];
    const json_t *counts = json_object_get(rollout, "counts"), *rules = json_object_get(rollout, "rules");
    said(rollout, client_text(rollout, "status"));
    output_field("note", client_text(rollout, "note"));
    output_field("target", client_text(rollout, "target"));
    output_field("window", client_text(rollout, "window"));
    output_field("made by", client_text(rollout, "created_by"));
    output_field("approved by", client_text(rollout, "approved_by"));
    if (strcmp(client_text(rollout, "downgrade"), "product") != 0)
        output_field("downgrade", client_text(rollout, "downgrade"));
    if (client_integer(rollout, "start_ms") > 0)
        output_field("begins", output_time(when, sizeof when, client_integer(rollout, "start_ms")));
    print_phases(rollout);
    snprintf(text, sizeof text, "%lld devices, %lld of them are at it",
             (long long)client_integer(counts, "offered"), (long long)client_integer(counts, "open"));
    output_field("offered", text);
    snprintf(text, sizeof text, "%lld succeeded, %lld presumed, %lld failed",
             (long long)client_integer(counts, "succeeded"), (long long)client_integer(counts, "presumed"),
             (long long)client_integer(counts, "failed"));
    output_field("results", text);
    if (client_integer(rules, "success_count") > 0)
        snprintf(text, sizeof text,
                 "after %lld more successes, %lld %% of the offered, and %lld s without another",
                 (long long)client_integer(rules, "success_count"),
                 (long long)client_integer(rules, "success_percent"),
                 (long long)client_integer(rules, "soak_s"));
    else
        snprintf(text, sizeof text, "by `molt rollout next`");
    output_field("next phase", text);
    if (client_integer(rules, "error_count") > 0) {
        snprintf(text, sizeof text, "when more than %lld %% of at least %lld results are failures",
                 (long long)client_integer(rules, "error_percent"),
                 (long long)client_integer(rules, "error_count"));
        output_field("pauses", text);
    }
}

/* One request about the rollout of the operand. said NULL: shows it. */
static int run_one(const struct command *command, struct args *args, const char *method, const char *action,
                   const char *what)
{
    uint64_t id;
    if (text_number(args->operands[0], &id) < 0 || id == 0 || id > INT64_MAX)
        return command_usage_error(command, "'%s' is no rollout id; `molt rollout list` shows them",
                                   args->operands[0]);
    struct client *client = client_open(args, false);
    if (client == NULL) return EXIT_PROBLEM;
    json_t *rollout =
        client_json(client, method, NULL, "/api/v1/rollouts/%llu%s", (unsigned long long)id, action);
    if (rollout != NULL && what == NULL && !args_has(args, "json")) {
        print_rollout(rollout);
        client_close(client);
        json_decref(rollout);
        return EXIT_GOOD;
    }
    return finish(args, client, rollout, what);
}

static int run_show(struct args *args)
{
    return run_one(&command_rollout_show, args, "GET", "", NULL);
}

static int run_approve(struct args *args)
{
    return run_one(&command_rollout_approve, args, "POST", "/approve", "is approved");
}

static int run_pause(struct args *args)
{
    return run_one(&command_rollout_pause, args, "POST", "/pause", "is paused");
}

static int run_resume(struct args *args)
{
    return run_one(&command_rollout_resume, args, "POST", "/resume", "goes on");
}

static int run_next(struct args *args)
{
    return run_one(&command_rollout_next, args, "POST", "/next", "goes on");
}

static int run_abort(struct args *args)
{
    return run_one(&command_rollout_abort, args, "POST", "/abort", "is aborted: offered to nobody");
}

const struct command command_rollout_create = {
    .name = "rollout create",
    .operands = "RELEASE",
    .summary = "offer a release to some devices first, then to more",
    .more =
        "A device is in a phase when its place among all devices (a hash of its id) is below the percentage\n"
        "and the filter matches; it stays in all later phases. doc/rollouts.md explains the rules.",
    .examples =
        "  molt rollout create 3 --phase '100:tag = canary' --phase 5 --phase 25 --phase 100\n"
        "  molt rollout create 3 --phase 10 --phase 100 --success-count 20 --success-percent 90 --soak 6h",
    .options = create_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_create,
};

const struct command command_rollout_list = {
    .name = "rollout list",
    .operands = "",
    .summary = "show the rollouts and how they are doing",
    .more = "",
    .examples = "  molt rollout list\n  molt rollout list --product door --json",
    .options = list_options,
    .run = run_list,
};

#define ONE(command_name, name_text, summary_text, more_text, function)                                      \
    const struct command command_name = {                                                                    \
        .name = name_text,                                                                                   \
        .operands = "ID",                                                                                    \
        .summary = summary_text,                                                                             \
        .more = more_text,                                                                                   \
        .examples = "  molt " name_text " 1",                                                                \
        .options = where_options,                                                                            \
        .operands_min = 1,                                                                                   \
        .operands_max = 1,                                                                                   \
        .run = function,                                                                                     \
    }

ONE(command_rollout_show, "rollout show", "show one rollout, its rules and its counts", "", run_show);
ONE(command_rollout_approve, "rollout approve", "let a rollout that waits for a second person begin",
    "Not for who made it: another token, or a token for what was made on the server itself.", run_approve);
ONE(command_rollout_pause, "rollout pause", "offer nothing of it until it is resumed",
    "Downloads that are on their way are held up too.", run_pause);
ONE(command_rollout_resume, "rollout resume", "let a paused rollout go on",
    "The failures so far are acknowledged: they pause it no more.", run_resume);
ONE(command_rollout_next, "rollout next", "go to the next phase now",
    "After the last one the rollout is done.", run_next);
ONE(command_rollout_abort, "rollout abort", "end a rollout for good",
    "Its release is offered to nobody any more; another rollout of it may be made.", run_abort);
