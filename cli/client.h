/* client.h - where a command's request goes, decided once:
 *   --server URL / MOLT_SERVER       over HTTP(S), with --token / MOLT_TOKEN
 *   a server holds the data folder   over its socket <data>/molt.sock
 *   else                             in this process, api_handle() on the opened store, which --store / MOLT_STORE may
 *                                    say to be in PostgreSQL
 * The commands see requests and JSON only. Errors are printed here. */
#ifndef MOLT_CLI_CLIENT_H
#define MOLT_CLI_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "args.h"

#define CLIENT_PATH_MAX 1024 /* bytes of the data folder's path */

/* The data folder: --data, $MOLT_DATA, /var/lib/molt for root when it can be written, else
 * ${XDG_DATA_HOME:-~/.local/share}/molt. False after printing why there is none. */
bool client_data_dir(const struct args *args, char out[CLIENT_PATH_MAX]);

/* Where the rows are: --store, $MOLT_STORE, NULL: in the data folder. */
const char *client_store_url(const struct args *args);
/* The bucket that artifacts are in: --artifacts where a command has it, $MOLT_ARTIFACTS, NULL: none. */
const char *client_artifacts_url(const struct args *args);

struct client;

/* create: a data folder that does not exist may be made (in-process only). NULL after printing what is wrong. */
struct client *client_open(const struct args *args, bool create);
void client_close(struct client *client);

/* A query string under construction. */
struct client_query {
    char text[4096];
    size_t len;
    bool too_long;
};
/* Adds name=value, percent-encoded; nothing when value is NULL. */
void client_query_add(struct client_query *query, const char *name, const char *value);

struct client_request {
    const char *method, *path;        /* path: decoded, "/api/v1/..." */
    const struct client_query *query; /* NULL: none */
    const void *body;
    size_t body_len;
    const char *if_match; /* NULL: none */
    const char *progress; /* label of a progress bar for the upload, NULL: none */
};

/* The JSON of a 2xx answer (the caller json_decref()s), or NULL after printing the error: to stderr for people, and
 * with --json the error object to stdout too. */
json_t *client_call(struct client *client, const struct client_request *request);
/* As client_call() with a JSON body, which is stolen (NULL: no body). path: printf-like. */
json_t *client_json(struct client *client, const char *method, json_t *body, const char *path, ...)
    __attribute__((format(printf, 4, 5)));

/* A 2xx answer as it is, malloc'ed and with a NUL behind it, or NULL after printing the error. For what is not JSON. */
char *client_fetch(struct client *client, const struct client_request *request, size_t *len);

/* Why an answer was no: reason 0 when it gave none, or none came. */
struct client_refusal {
    int reason;
    char detail[200];
};
/* For a command whose --json has a form of its own: the error object goes to *into (which outlives the client) and not
 * to stdout. */
void client_take_refusals(struct client *client, struct client_refusal *into);

/* ---- reading answers: "" and 0 when the field is absent, null or of another type ---- */
const char *client_text(const json_t *json, const char *field);
json_int_t client_integer(const json_t *json, const char *field);

#endif
