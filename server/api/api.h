/* api.h - the REST API under /api/v1 as plain functions: a request in, JSON out, no sockets. `molt serve` calls it
 * from its HTTP front (on worker threads); the CLI calls it in-process when no server holds the data folder.
 * The routes are described by server/api/openapi.json, which the server serves and a test compares with the table. */
#ifndef MOLT_SERVER_API_H
#define MOLT_SERVER_API_H

#include <stdbool.h>
#include <stddef.h>

#include "host/store/store.h"
#include "server/access/sessions.h"
#include "server/census.h"
#include "server/rollouts/rollout_table.h"
#include "server/watch/trends.h"

struct oidc;
struct throttle;

struct api_device_counts {
    uint64_t devices, unassigned, held, updated, failed;
};

#define API_LISTENERS_MAX 18

/* How a running server is doing. Texts are the server's. */
struct api_server_info {
    int64_t started_ms;
    const char *data_dir, *enrol, *public_url; /* public_url: "" when none was given */
    struct {
        const char *plane, *url;
        uint16_t port; /* 0: of a unix socket */
    } listeners[API_LISTENERS_MAX];
    size_t listener_count;
    uint64_t accepted, open, requests, refused, bytes_sent; /* since the start */
    uint64_t devices, device_bytes, unsaved, written;       /* in memory; written: rows, since the start */
    uint64_t disk_free, disk_total, database_bytes;         /* of the data folder; 0: not known */
};

/* What the API tells a running server; all optional (NULL in the CLI). */
struct api_hooks {
    void *ctx;
    void (*rules_changed)(void *ctx); /* products, releases or images changed */
    /* Did rules_changed(), called by this thread since the last call of this one, end before all servers went by the change? */
    bool (*unacknowledged)(void *ctx);
    void (*device_changed)(void *ctx, const char *id); /* a device row was changed or deleted in the store */
    /* writes what is only in memory but sightings, so that the store is current; -MOLT_STORE_FAILED: it is not */
    int (*flush_devices)(void *ctx);
    void (*flush_members)(void *ctx); /* so that the store has a row of each device, if not a current one */
    void (*device_now)(void *ctx, struct model_device *device); /* the device of that id as it is in memory */
    /* deletes the devices and their tokens for good, as store_delete_devices() */
    int (*delete_devices)(void *ctx, const char (*ids)[MODEL_ID_LEN], size_t count);
    int (*retry_device)(void *ctx, const char *id,
                        bool *lifted); /* what rollout_lift() says of it; -MOLT_NOT_FOUND */
    void (*count_devices)(void *ctx, struct api_device_counts *out); /* kept while they change, not counted */
    const struct rollout_table *rollouts; /* how the devices of each rollout are doing */
    /* as devices_census_of(), devices_find_ids(), devices_each_meant(); NULL: they are in the store alone */
    int (*census)(void *ctx, const struct census_wish *wish, const struct census_ages *ages, census_row row,
                  void *row_ctx);
    int (*find_ids)(void *ctx, const struct census_wish *wish, const char *after, char (*ids)[MODEL_ID_LEN],
                    uint32_t cap);
    int (*each_meant)(void *ctx, const struct census_wish *wish, const struct census_also *also,
                      census_meant each, void *each_ctx);
    void (*server_info)(void *ctx, struct api_server_info *out);
    void (*audited)(void *ctx, const struct store_audit *entry); /* it was just written into the audit log */
    bool live;                                                   /* it tells of changes: GET /events */
    void (*webhooks_changed)(void *ctx);
    json_t *(*settings)(void *ctx); /* for GET /settings: a list; NULL when memory is short */
    /* GET /metrics: malloc'ed text, NULL when memory is short; GET /readyz: NULL, or why it is not ready (static) */
    char *(*metrics)(void *ctx, size_t *len);
    const char *(*not_ready)(void *ctx);
};

struct api {
    struct store *store;
    struct trends *trends;   /* for the plots; NULL: there are none */
    bool sessions;           /* browsers may log in: a running server */
    struct oidc *oidc;       /* an OpenID provider; NULL: none */
    struct throttle *logins; /* wrong passwords of each user; NULL: any number */
    struct api_hooks hooks;
};

struct api_request {
    const char *method;                   /* "GET", "POST", "PUT", "PATCH", "DELETE" */
    const char *path;                     /* decoded, "/api/v1/..." */
    const char *query;                    /* raw, "" when none */
    const char *token;                    /* of "Authorization: Bearer", NULL when absent */
    const char *cookie;                   /* of the session: sessions.h; NULL when absent */
    const char *csrf;                     /* X-CSRF-Token, NULL when absent */
    const char *if_match, *if_none_match; /* NULL when absent */
    bool secure;                          /* came by https, so that the cookie never goes another way */
    bool cross_site;                      /* a browser says that another site's page made it ask */
    const char *from; /* where it came from, for the audit log: an address, "socket"; NULL: this process */
    bool trusted;     /* came over the unix socket or in-process: no token needed */
    const void *body;
    size_t body_len;
};

#define API_ETAG_LEN     32
#define API_ALLOW_LEN    48
#define API_PROBLEM_TYPE "application/problem+json"

struct api_response {
    int status; /* HTTP status */
    char *body; /* malloc'ed JSON, caller frees */
    size_t body_len;
    const char *content_type;  /* static */
    char set_cookie[160];      /* value of Set-Cookie, "": none */
    char etag[API_ETAG_LEN];   /* "": none */
    char allow[API_ALLOW_LEN]; /* of a 405: the methods that the path has; else "" */
    bool watches;              /* no answer yet: hand the request to events_wait() */
    bool coarse;               /* ... and name no device to him */
};

/* Handles one request. Always fills the response; errors are problems (RFC 9457):
 * {"type":"urn:molt:reason:wrong-chip","title":"...","status":422,"detail":"...","reason":"wrong-chip","remedy":"..."}.
 * Blocking (database, files). Thread-safe. */
void api_handle(const struct api *api, const struct api_request *request, struct api_response *response);

/* The body of a problem, malloc'ed, for who refuses before the API is asked; NULL when memory is short. */
char *api_problem(int status, int reason, const char *detail);

#endif
