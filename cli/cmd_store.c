/* cmd_store.c - `molt store copy | backup | restore | check | upload`: whole stores, opened in this process. A source may be in use by a
 * server: it is read as one picture. Tests: test/e2e/store_cli_test.sh. */
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "host/store/store.h"
#include "molt_reason.h"
#include "output.h"

static bool is_url(const char *text)
{
    return strstr(text, "://") != NULL;
}

static struct store *open_place(const struct store_place *place)
{
    char error[400] = "";
    struct store *store = NULL;
    int rc = store_open_place(place, &store, error, sizeof error);
    if (rc == 0) return store;
    output_error("%s: %s", molt_reason_id(-rc), error[0] != '\0' ? error : molt_reason_sentence(-rc));
    if (rc == -MOLT_STATE) output_hint("name another folder, or stop what uses this one and try again");
    return NULL;
}

static void print_copied(const struct args *args, const struct store_copied *copied)
{
    if (args_has(args, "json")) {
        json_t *json = json_pack("{s:I, s:I, s:I, s:I}", "rows", (json_int_t)copied->rows, "devices",
                                 (json_int_t)copied->devices, "artifacts", (json_int_t)copied->artifacts,
                                 "artifact_bytes", (json_int_t)copied->artifact_bytes);
        output_json(json);
        json_decref(json);
        return;
    }
    printf("copied and compared: %llu rows, %llu of them devices; %llu artifacts, %llu bytes\n",
           (unsigned long long)copied->rows, (unsigned long long)copied->devices,
           (unsigned long long)copied->artifacts, (unsigned long long)copied->artifact_bytes);
}

static int copy(const struct args *args, const struct store_place *source, const struct store_place *target)
{
    struct store_copied copied;
    struct store *from = open_place(source), *to = from != NULL ? open_place(target) : NULL;
    int rc = to != NULL ? store_copy(from, to, &copied) : -MOLT_STORE_FAILED;
    if (to != NULL && rc < 0) output_error("%s: %s", molt_reason_id(-rc), store_error(to));
    if (to != NULL && rc == -MOLT_STATE) output_hint("copy to a new folder, or a new database");
    if (rc == 0) print_copied(args, &copied);
    store_close(to);
    store_close(from);
    return rc == 0 ? EXIT_GOOD : EXIT_PROBLEM;
}

/* ---- copy ---- */

static int run_copy(struct args *args)
{
    const char *from = args->operands[0], *to = args->operands[1], *data = args_value(args, "data");
    const bool from_url = is_url(from), to_url = is_url(to);
    if (from_url && to_url && data == NULL)
        return command_usage_error(&command_store_copy,
                                   "between two databases, --data says where artifacts are");
    /* the artifacts of a database are in --data, or in the folder on the other side */
    const struct store_place source = {.data_dir = !from_url      ? from
                                                   : data != NULL ? data
                                                                  : to,
                                       .url = from_url ? from : NULL,
                                       .read_only = true};
    const struct store_place target = {.data_dir = !to_url        ? to
                                                   : data != NULL ? data
                                                                  : from,
                                       .url = to_url ? to : NULL,
                                       .create = true};
    int status = copy(args, &source, &target);
    if (status == EXIT_GOOD && to_url && !from_url)
        output_hint(
            "serve it with --data %s --store URL, and move %s/molt.db away: it is out of date from now on",
            target.data_dir, from);
    return status;
}

static const struct args_option copy_options[] = {
    {"data", "DIR", "data folder with the artifacts of a database (default: the folder on the other side)",
     0},
    {"json", NULL, "print JSON", 0},
    {0},
};

const struct command command_store_copy = {
    .name = "store copy",
    .operands = "FROM TO",
    .summary = "copy a whole store to another folder or database, and compare",
    .more = "FROM and TO are data folders (rows in molt.db) or postgres://... (rows there). TO must be "
            "empty. Stop the\n"
            "server before you move: what it takes in after the copy began is not in it.",
    .examples = "  molt store copy /var/lib/molt postgres://molt@db.example.org/molt\n"
                "  molt store copy postgres://molt@db.example.org/molt /srv/molt --data /var/lib/molt",
    .options = copy_options,
    .operands_min = 2,
    .operands_max = 2,
    .run = run_copy,
};

/* ---- backup and restore ---- */

static const struct args_option where_options[] = {
    {"data", "DIR", "data folder (default: $MOLT_DATA, /var/lib/molt for root, ~/.local/share/molt)", 0},
    {"store", "URL", "where the rows are, when not in DIR: postgres://... (default: $MOLT_STORE)", 0},
    {"artifacts", "URL", "the bucket of the artifacts: s3://BUCKET[/PREFIX] (default: $MOLT_ARTIFACTS)", 0},
    {"json", NULL, "print JSON", 0},
    {0},
};

static int run_backup(struct args *args)
{
    char data[CLIENT_PATH_MAX];
    if (!client_data_dir(args, data)) return EXIT_PROBLEM;
    const struct store_place source = {.data_dir = data,
                                       .url = client_store_url(args),
                                       .read_only = true,
                                       .artifacts = client_artifacts_url(args)};
    const struct store_place target = {.data_dir = args->operands[0], .create = true};
    return copy(args, &source, &target);
}

static int run_restore(struct args *args)
{
    char data[CLIENT_PATH_MAX];
    if (!client_data_dir(args, data)) return EXIT_PROBLEM;
    const struct store_place source = {.data_dir = args->operands[0], .read_only = true};
    const struct store_place target = {.data_dir = data,
                                       .url = client_store_url(args),
                                       .create = true,
                                       .artifacts = client_artifacts_url(args)};
    return copy(args, &source, &target);
}

const struct command command_store_backup = {
    .name = "store backup",
    .operands = "FOLDER",
    .summary = "copy the store to a new folder while the server runs",
    .more = "Rows as of one moment, and all artifacts. The folder is a data folder of its own: `molt store "
            "restore` puts it\n"
            "back, and `molt serve --data FOLDER` would serve it.",
    .examples = "  molt store backup /backup/molt-2026-11-26",
    .options = where_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_backup,
};

const struct command command_store_restore = {
    .name = "store restore",
    .operands = "FOLDER",
    .summary = "put a backup into an empty data folder or database",
    .more = "What the devices did since the backup is not in it; they say it again when they next check in.",
    .examples = "  molt store restore /backup/molt-2026-11-26 --data /var/lib/molt",
    .options = where_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_restore,
};

/* ---- check ---- */

/* The store of --data, --store and --artifacts, which may be in use. NULL after printing why not. */
static struct store *open_to_read(const struct args *args)
{
    char data[CLIENT_PATH_MAX];
    if (!client_data_dir(args, data)) return NULL;
    return open_place(&(struct store_place){.data_dir = data,
                                            .url = client_store_url(args),
                                            .read_only = true,
                                            .artifacts = client_artifacts_url(args)});
}

static void print_problem(void *ctx, const char *text)
{
    json_array_append_new(ctx, json_string(text));
    output_error("%s", text);
}

static int run_check(struct args *args)
{
    struct store_checked checked;
    struct store *store = open_to_read(args);
    if (store == NULL) return EXIT_PROBLEM;
    json_t *problems = json_array();
    store_check(store, print_problem, problems, &checked);
    store_close(store);
    if (args_has(args, "json")) {
        json_t *json = json_pack("{s:I, s:I, s:I, s:O}", "devices", (json_int_t)checked.devices, "releases",
                                 (json_int_t)checked.releases, "artifacts", (json_int_t)checked.artifacts,
                                 "problems", problems);
        output_json(json);
        json_decref(json);
    } else {
        printf("%llu devices, %llu releases, %llu artifacts: %llu problems\n",
               (unsigned long long)checked.devices, (unsigned long long)checked.releases,
               (unsigned long long)checked.artifacts, (unsigned long long)checked.problems);
    }
    json_decref(problems);
    return checked.problems == 0 ? EXIT_GOOD : EXIT_PROBLEM;
}

const struct command command_store_check = {
    .name = "store check",
    .operands = "",
    .summary = "read every row and every artifact, and compare digests",
    .more = "Changes nothing, and may run beside the server. With a bucket, it is looked at as well.",
    .examples = "  molt store check --data /var/lib/molt",
    .options = where_options,
    .run = run_check,
};

/* ---- upload ---- */

static int run_upload(struct args *args)
{
    struct store_uploaded uploaded;
    struct store *store = open_to_read(args);
    if (store == NULL) return EXIT_PROBLEM;
    int rc = store_upload(store, &uploaded);
    if (rc < 0) output_error("%s: %s", molt_reason_id(-rc), store_error(store));
    store_close(store);
    if (rc < 0) return EXIT_PROBLEM;
    if (args_has(args, "json")) {
        json_t *json = json_pack("{s:I, s:I, s:I}", "artifacts", (json_int_t)uploaded.artifacts, "uploaded",
                                 (json_int_t)uploaded.uploaded, "bytes", (json_int_t)uploaded.bytes);
        output_json(json);
        json_decref(json);
    } else {
        printf("%llu artifacts, %llu of them uploaded: %llu bytes\n", (unsigned long long)uploaded.artifacts,
               (unsigned long long)uploaded.uploaded, (unsigned long long)uploaded.bytes);
    }
    return EXIT_GOOD;
}

const struct command command_store_upload = {
    .name = "store upload",
    .operands = "",
    .summary = "put artifacts that are only in the data folder into the bucket",
    .more = "For a store that gets a bucket, or whose bucket lost something. May run beside the server.",
    .examples =
        "  molt store upload --artifacts s3://firmware\n"
        "  AWS_ENDPOINT_URL=https://minio.example.org:9000 molt store upload --artifacts s3://firmware",
    .options = where_options,
    .run = run_upload,
};
