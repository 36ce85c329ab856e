/* cmd_device_history.c - `molt device history|log`: how a device's attempts ended, and what it wrote of itself. What it wrote
 * goes to a terminal, so no control character may pass. Tests: test/e2e/history_test.sh. */
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "operate.h"
#include "output.h"

static const struct args_option options[] = {COMMAND_WHERE, {0}};

static void print_attempts(const json_t *answer)
{
    static const char *const titles[] = {"ENDED", "RESULT", "VERSION", "FROM", "BYTES", "ROLLOUT", "REASON"};
    const json_t *attempts = json_object_get(answer, "attempts"), *one;
    if (json_array_size(attempts) == 0) {
        output_hint("no attempt of this device has ended yet");
        return;
    }
    struct output_table *table = output_table_new(titles, 7);
    size_t i;
    json_array_foreach(attempts, i, one)
    {
        char ago[32], numbers[4][24];
        const char *version = client_text(one, "version");
        static const char *const fields[] = {"code", "from_code", "bytes", "rollout"};
        for (int n = 0; n < 4; n++) {
            json_int_t value = client_integer(one, fields[n]);
            snprintf(numbers[n], sizeof numbers[n], "%lld", (long long)value);
            if (value == 0 && n != 2) numbers[n][0] = '\0';
        }
        output_ago(ago, sizeof ago, client_integer(one, "ended_ms"), output_now_ms());
        const char *result = client_text(one, "result");
        const bool bad = strcmp(result, "failed") == 0 || strcmp(result, "rolled-back") == 0;
        output_table_row(table, bad ? OUTPUT_BAD : OUTPUT_GOOD,
                         (const char *const[]){ago, result, version[0] != '\0' ? version : numbers[0],
                                               numbers[1], numbers[2], numbers[3],
                                               client_text(json_object_get(one, "reason"), "id")});
    }
    output_table_print(table, stdout);
}

static void print_log(const json_t *answer)
{
    const char *text = client_text(answer, "text");
    if (text[0] == '\0') output_hint("this device has written nothing");
    for (; *text != '\0'; text++)
        putchar(*text == '\n' || (*text >= 0x20 && *text < 0x7f) ? *text : '?');
}

static int run(const struct command *command, struct args *args, const char *what,
               void (*print)(const json_t *answer))
{
    char id[MODEL_ID_LEN];
    int status = EXIT_PROBLEM;
    if (!operate_device_id(command, args, id, &status)) return status;
    struct client *client = client_open(args, false);
    if (client == NULL) return EXIT_PROBLEM;
    json_t *answer = client_json(client, "GET", NULL, "/api/v1/devices/%s/%s", id, what);
    return operate_show(args, client, answer, print);
}

static int run_history(struct args *args)
{
    return run(&command_device_history, args, "attempts", print_attempts);
}

static int run_log(struct args *args)
{
    return run(&command_device_log, args, "log", print_log);
}

const struct command command_device_history = {
    .name = "device history",
    .operands = "ID",
    .summary = "show how the device's last attempts ended, and what they cost",
    .more = "The last 32 stay.",
    .examples = "  molt device history 5ccf7fc602e2",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_history,
};

const struct command command_device_log = {
    .name = "device log",
    .operands = "ID",
    .summary = "show the last lines that the device wrote of itself",
    .more = "What hawkBit clients say in their feedback, and what is posted to .../molt/v1/log?id=ID. The "
            "last 8 KiB stay.",
    .examples = "  molt device log gate-3",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_log,
};
