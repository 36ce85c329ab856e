/* operate.c - one request and its answer, for commands that do no more (operate.h). Must never print a stranger's text raw.
 * Tests: test/e2e/cli_routes_test.py. */
#include "operate.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "server/skins/device_id.h"
#include "text.h"

bool operate_device_id(const struct command *command, const struct args *args, char id[MODEL_ID_LEN],
                       int *status)
{
    const char *text = args->operands[0];
    if (device_id_parse(text, strlen(text), id, NULL)) return true;
    *status = command_usage_error(
        command,
        "'%s' is no device id: 12 hex digits of the MAC, or a name of letters, digits, '.', '-', '_'", text);
    return false;
}

#define CELL_LEN 256

/* A value as people read it: times are known by their names. */
static const char *shown(const char *field, const json_t *value, char out[CELL_LEN])
{
    const size_t len = strlen(field);
    if (json_is_string(value)) return text_printable(out, CELL_LEN, json_string_value(value));
    if (json_is_array(value)) return output_list(out, CELL_LEN, value);
    if (json_is_boolean(value)) return json_is_true(value) ? "yes" : "no";
    if (!json_is_integer(value)) return NULL;
    if (len > 3 && strcmp(field + len - 3, "_ms") == 0)
        return output_time(out, CELL_LEN, (int64_t)json_integer_value(value));
    (void)snprintf(out, CELL_LEN, "%lld", (long long)json_integer_value(value));
    return out;
}

static void print_table(const json_t *items, const struct operate_column *columns)
{
    const char *titles[OUTPUT_COLUMNS_MAX], *cells[OUTPUT_COLUMNS_MAX];
    static char texts[OUTPUT_COLUMNS_MAX][CELL_LEN];
    int count = 0;
    size_t i;
    const json_t *item;
    for (; columns[count].title != NULL; count++)
        titles[count] = columns[count].title;
    struct output_table *table = output_table_new(titles, count);
    json_array_foreach(items, i, item)
    {
        for (int c = 0; c < count; c++)
            cells[c] = shown(columns[c].field, json_object_get(item, columns[c].field), texts[c]);
        output_table_row(table, OUTPUT_PLAIN, cells);
    }
    output_table_print(table, stdout);
}

static void print_fields(const json_t *answer)
{
    const char *name;
    json_t *value;
    char text[CELL_LEN];
    json_object_foreach((json_t *)answer, name, value) /* the macro's iterator takes no const */
    {
        output_field(name, shown(name, value, text));
    }
}

int operate_show(const struct args *args, struct client *client, json_t *answer,
                 void (*print)(const json_t *answer))
{
    if (answer != NULL && args_has(args, "json"))
        output_json(answer);
    else if (answer != NULL)
        print(answer);
    client_close(client);
    json_decref(answer);
    return answer != NULL ? EXIT_GOOD : EXIT_PROBLEM;
}

static json_t *get(struct client *client, const char *path, const struct client_query *query)
{
    if (client == NULL) return NULL;
    return client_call(client, &(struct client_request){.method = "GET", .path = path, .query = query});
}

int operate_get(const struct args *args, const char *path, const struct client_query *query,
                void (*print)(const json_t *answer))
{
    struct client *client = client_open(args, false);
    return operate_show(args, client, get(client, path, query), print);
}

int operate_list(struct args *args, const char *path, const struct client_query *query, const char *list,
                 const struct operate_column *columns)
{
    struct client *client = client_open(args, false);
    json_t *answer = get(client, path, query);
    if (answer != NULL && args_has(args, "json"))
        output_json(answer);
    else if (answer != NULL)
        print_table(json_object_get(answer, list), columns);
    if (answer != NULL && json_is_string(json_object_get(answer, "next")) && !args_has(args, "json"))
        output_hint("there are more: --after %s", json_string_value(json_object_get(answer, "next")));
    client_close(client);
    json_decref(answer);
    return answer != NULL ? EXIT_GOOD : EXIT_PROBLEM;
}

int operate_request(struct args *args, const struct client_request *request, const char *done)
{
    struct client *client = client_open(args, false);
    json_t *answer = client != NULL ? client_call(client, request) : NULL;
    if (answer == NULL || done == NULL || args_has(args, "json"))
        return operate_show(args, client, answer, print_fields);
    puts(done);
    client_close(client);
    json_decref(answer);
    return EXIT_GOOD;
}

int operate_send(struct args *args, const char *method, json_t *body, const char *done, const char *path, ...)
{
    char full[ARGS_VALUE_LEN + 64];
    va_list values;
    va_start(values, path);
    int len = vsnprintf(full, sizeof full, path, values);
    va_end(values);
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (len < 0 || (size_t)len >= sizeof full || (body != NULL && text == NULL)) {
        free(text);
        output_error("an argument is too long");
        return EXIT_PROBLEM;
    }
    const struct client_request request = {
        .method = method, .path = full, .body = text, .body_len = text != NULL ? strlen(text) : 0};
    int status = operate_request(args, &request, done);
    free(text);
    return status;
}

int operate_text(struct args *args, const char *path, const struct client_query *query)
{
    size_t len = 0;
    struct client *client = client_open(args, false);
    char *text = NULL;
    if (client != NULL)
        text = client_fetch(client, &(struct client_request){.method = "GET", .path = path, .query = query},
                            &len);
    if (text != NULL) fwrite(text, 1, len, stdout);
    client_close(client);
    free(text);
    return text != NULL ? EXIT_GOOD : EXIT_PROBLEM;
}
