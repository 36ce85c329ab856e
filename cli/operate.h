/* operate.h - what the small commands share: one request, and its answer as a table, as fields or as JSON. */
#ifndef MOLT_CLI_OPERATE_H
#define MOLT_CLI_OPERATE_H

#include "client.h"
#include "command.h"
#include "host/model.h"

/* A column of a list: its title, and the field of each item. Ends with {0}. */
struct operate_column {
    const char *title, *field;
};

/* The id that the first operand means. False after saying that it is none; *status is what to end with. */
bool operate_device_id(const struct command *command, const struct args *args, char id[MODEL_ID_LEN],
                       int *status);

/* Prints an answer by print, or with --json as it is, closes the client and lets go of the answer. NULL, what a request that failed has
 * left (its error is printed): prints nothing. Returns the exit status. */
int operate_show(const struct args *args, struct client *client, json_t *answer,
                 void (*print)(const json_t *answer));
/* Asks path and shows the answer so. query: NULL: none. */
int operate_get(const struct args *args, const char *path, const struct client_query *query,
                void (*print)(const json_t *answer));
/* Sends and prints: a list as a table (list: its field), else done, a sentence (NULL: the fields of the answer); with --json as it
 * is. body is stolen. path: printf-like. Returns the exit status. */
int operate_list(struct args *args, const char *path, const struct client_query *query, const char *list,
                 const struct operate_column *columns);
int operate_send(struct args *args, const char *method, json_t *body, const char *done, const char *path, ...)
    __attribute__((format(printf, 5, 6)));
/* The same for a request with a condition. */
int operate_request(struct args *args, const struct client_request *request, const char *done);
/* Prints an answer that is no JSON as it comes. */
int operate_text(struct args *args, const char *path, const struct client_query *query);

#endif
