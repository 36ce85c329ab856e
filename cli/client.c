/* client.c - carries a command's request to a server, to a server's socket or to the store in this process (client.h).
 * It must never send the token anywhere but to the server that was named, and never follows a redirect.
 * Tests: test/e2e/cli_test.sh. */
#include "client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "advice.h"
#include "host/socket_path.h"
#include "molt_reason.h"
#include "output.h"
#include "remote.h"
#include "server/api/api.h"

#define SERVICE_DATA "/var/lib/molt" /* the unit's, and root's */

struct client {
    bool json;
    struct store *store;            /* in this process */
    struct remote *remote;          /* else */
    int folder;                     /* what the path of its socket is made with, -1: nothing */
    struct client_refusal *refusal; /* NULL: errors are printed as JSON too */
};

/* ---- where ---- */

static const char *not_empty(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static bool root_can_write_var_lib(void)
{
    struct stat st;
    if (geteuid() != 0) return false;
    return access(stat(SERVICE_DATA, &st) == 0 ? SERVICE_DATA : "/var/lib", W_OK) == 0;
}

bool client_data_dir(const struct args *args, char out[CLIENT_PATH_MAX])
{
    const char *given = args_value(args, "data"), *xdg = not_empty(getenv("XDG_DATA_HOME"));
    const char *home = not_empty(getenv("HOME"));
    int len;
    if (given == NULL) given = not_empty(getenv("MOLT_DATA"));
    if (given != NULL)
        len = snprintf(out, CLIENT_PATH_MAX, "%s", given);
    else if (root_can_write_var_lib())
        len = snprintf(out, CLIENT_PATH_MAX, SERVICE_DATA);
    else if (xdg != NULL)
        len = snprintf(out, CLIENT_PATH_MAX, "%s/molt", xdg);
    else
        len = home != NULL ? snprintf(out, CLIENT_PATH_MAX, "%s/.local/share/molt", home) : 0;
    if (len > 0 && len < CLIENT_PATH_MAX) return true;
    output_error(len == 0 ? "no data folder: --data is empty and HOME is not set"
                          : "the data folder's path is too long");
    output_hint("say where molt keeps its data: --data DIR");
    return false;
}

const char *client_store_url(const struct args *args)
{
    const char *url = args_value(args, "store");
    return url != NULL ? url : not_empty(getenv("MOLT_STORE"));
}

const char *client_artifacts_url(const struct args *args)
{
    const char *url = args_value(args, "artifacts");
    return url != NULL ? url : not_empty(getenv("MOLT_ARTIFACTS"));
}

/* True when a server answers on the socket. */
static bool socket_answers(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return false;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0) return false;
    bool answers = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return answers;
}

/* The package's server is here, its store is not the caller's, and he named no other: what he published in one of his own would be
 * offered to no device. */
static bool is_services(const struct args *args, const char *data)
{
    struct stat st;
    return args_value(args, "data") == NULL && not_empty(getenv("MOLT_DATA")) == NULL &&
           client_store_url(args) == NULL && stat(data, &st) != 0 && stat(SERVICE_DATA, &st) == 0 &&
           access(SERVICE_DATA, W_OK) != 0;
}

static bool open_store(struct client *client, const struct args *args, const char *data, bool create)
{
    const struct store_place place = {.data_dir = data,
                                      .url = client_store_url(args),
                                      .create = create,
                                      .artifacts = client_artifacts_url(args)};
    char error[400] = "";
    struct stat st;
    if (is_services(args, data)) {
        output_error("the server of this machine keeps its data in " SERVICE_DATA ", which is not yours");
        output_hint("say it as root (sudo molt ...), or give --server URL and a token; --data DIR is a store "
                    "of your own");
        return false;
    }
    if (!create && stat(data, &st) != 0 && errno == ENOENT) {
        output_error("there is no data folder %s yet", data);
        output_hint(
            "`molt publish` or `molt serve` makes it; --data DIR names another, --server URL a server");
        return false;
    }
    int rc = store_open_place(&place, &client->store, error, sizeof error);
    if (rc == 0) return true;
    output_error("%s: %s", molt_reason_id(-rc), error[0] != '\0' ? error : molt_reason_sentence(-rc));
    if (rc == -MOLT_STORE_FAILED) advice_print(-rc);
    if (rc == -MOLT_STATE && place.url != NULL)
        output_hint("a server or command uses it; where it runs, commands find it with the same --data");
    else if (rc == -MOLT_STATE)
        output_hint("a server or command uses %s and does not answer on %s/molt.sock; wait for it or stop it",
                    data, data);
    return false;
}

static bool open_remote(struct client *client, const struct args *args, const char *url)
{
    if (!remote_url_ok(url)) return false; /* before a token is asked for */
    const char *token = args_value(args, "token");
    if (token == NULL) token = not_empty(getenv("MOLT_TOKEN"));
    if (token == NULL) {
        output_error("--server needs a token");
        output_hint("set MOLT_TOKEN or give --token; on the server's machine, `molt token create` makes one");
        return false;
    }
    client->remote = remote_open(url, NULL, token);
    return client->remote != NULL;
}

static bool connect_client(struct client *client, const struct args *args, bool create)
{
    const char *url = args_value(args, "server");
    if (url == NULL && !args_has(args, "data")) url = not_empty(getenv("MOLT_SERVER"));
    if (url != NULL && args_has(args, "data")) {
        output_error("--server and --data exclude each other");
        return false;
    }
    if (url != NULL) return open_remote(client, args, url);
    char data[CLIENT_PATH_MAX], path[SOCKET_PATH_LEN];
    if (!client_data_dir(args, data)) return false;
    if (socket_path(data, path, &client->folder) < 0 || !socket_answers(path))
        return open_store(client, args, data, create);
    client->remote = remote_open("http://localhost", path, NULL);
    return client->remote != NULL;
}

struct client *client_open(const struct args *args, bool create)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        output_error("out of memory");
        return NULL;
    }
    client->folder = -1;
    client->json = args_has(args, "json");
    if (connect_client(client, args, create)) return client;
    client_close(client);
    return NULL;
}

void client_close(struct client *client)
{
    if (client == NULL) return;
    if (client->store != NULL) store_close(client->store);
    if (client->remote != NULL) remote_close(client->remote);
    if (client->folder >= 0) close(client->folder);
    free(client);
}

void client_take_refusals(struct client *client, struct client_refusal *into)
{
    *into = (struct client_refusal){0};
    client->refusal = into;
}

/* ---- queries ---- */

void client_query_add(struct client_query *query, const char *name, const char *value)
{
    if (value == NULL) return;
    char part[2048]; /* a manifest with its keys is 1536 digits */
    int len = snprintf(part, sizeof part, "%s%s=", query->len > 0 ? "&" : "", name);
    size_t used = (size_t)len + remote_escape(part + len, sizeof part - (size_t)len, value, "");
    if (used >= sizeof part || query->len + used >= sizeof query->text) {
        query->too_long = true;
        return;
    }
    memcpy(query->text + query->len, part, used + 1);
    query->len += used;
}

/* ---- calls ---- */

static void print_error(const struct client *client, int status, const json_t *answer)
{
    const json_t *error = json_object_get(answer, "reason") != NULL ? answer : NULL;
    const char *reason = client_text(error, "reason"), *detail = client_text(error, "detail");
    if (client->refusal != NULL) {
        client->refusal->reason = molt_reason_from_id(reason);
        snprintf(client->refusal->detail, sizeof client->refusal->detail, "%s", detail);
    } else if (client->json && error != NULL) {
        output_json(answer);
    }
    if (error == NULL && status == 507) { /* before the API sees it */
        output_error("store-failed: the server has no room for what is sent");
        output_hint("make room on the disk of its data folder, then try again");
        return;
    }
    if (error == NULL) {
        output_error("unexpected answer (HTTP status %d); is this a molt server?", status);
        output_hint("the API is on the server's --admin address, not where devices ask");
        return;
    }
    output_error("%s: %s", reason, client_text(error, "title"));
    if (detail[0] != '\0') output_hint("%s", detail);
    advice_print(molt_reason_from_id(reason));
}

static int call_store(struct client *client, const struct client_request *request,
                      struct remote_answer *answer)
{
    struct api api = {.store = client->store};
    struct api_request inner = {
        .method = request->method,
        .path = request->path,
        .query = request->query != NULL ? request->query->text : "",
        .trusted = true,
        .if_match = request->if_match,
        .body = request->body,
        .body_len = request->body_len,
    };
    struct api_response response;
    api_handle(&api, &inner, &response);
    *answer = (struct remote_answer){.body = response.body, .len = response.body_len};
    return response.status;
}

/* The status, -1 after printing why there is none. */
static int ask(struct client *client, const struct client_request *request, struct remote_answer *answer)
{
    struct output_progress progress;
    *answer = (struct remote_answer){0};
    if (request->query != NULL && request->query->too_long) {
        output_error("the options are too long together");
        return -1;
    }
    output_progress_begin(&progress, request->progress != NULL ? request->progress : "", request->body_len,
                          request->progress == NULL || client->json || client->store != NULL);
    int status = client->store != NULL ? call_store(client, request, answer)
                                       : remote_call(client->remote, request, &progress, answer);
    if (status > 0) output_progress_step(&progress, request->body_len);
    output_progress_end(&progress);
    return status;
}

json_t *client_call(struct client *client, const struct client_request *request)
{
    struct remote_answer answer;
    int status = ask(client, request, &answer);
    json_t *json = status > 0 && answer.body != NULL ? json_loadb(answer.body, answer.len, 0, NULL) : NULL;
    free(answer.body);
    if (status >= 200 && status < 300 && json != NULL) return json;
    if (status > 0) print_error(client, status, json);
    json_decref(json);
    return NULL;
}

char *client_fetch(struct client *client, const struct client_request *request, size_t *len)
{
    struct remote_answer answer;
    int status = ask(client, request, &answer);
    if (status >= 200 && status < 300) {
        char *text = realloc(answer.body, answer.len + 1);
        if (text == NULL) free(answer.body);
        if (text != NULL) text[answer.len] = '\0';
        *len = answer.len;
        return text;
    }
    json_t *json = status > 0 && answer.body != NULL ? json_loadb(answer.body, answer.len, 0, NULL) : NULL;
    if (status > 0 && json == NULL && answer.body != NULL && answer.len < 400) /* a line of text: /readyz */
        output_error("%.*s", (int)strcspn(answer.body, "\r\n"), answer.body);
    else if (status > 0)
        print_error(client, status, json);
    json_decref(json);
    free(answer.body);
    return NULL;
}

json_t *client_json(struct client *client, const char *method, json_t *body, const char *path, ...)
{
    char full[512];
    va_list values;
    va_start(values, path);
    int len = vsnprintf(full, sizeof full, path, values);
    va_end(values);
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    json_t *answer = NULL;
    if (len < 0 || (size_t)len >= sizeof full || (body != NULL && text == NULL))
        output_error("an argument is too long");
    else
        answer = client_call(client, &(struct client_request){.method = method,
                                                              .path = full,
                                                              .body = text,
                                                              .body_len = text != NULL ? strlen(text) : 0});
    free(text);
    json_decref(body);
    return answer;
}

const char *client_text(const json_t *json, const char *field)
{
    const char *text = json_string_value(json_object_get(json, field));
    return text != NULL ? text : "";
}

json_int_t client_integer(const json_t *json, const char *field)
{
    return json_integer_value(json_object_get(json, field));
}
