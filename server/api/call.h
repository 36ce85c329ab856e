/* call.h - what the API's handlers share: one call with its parsed parts, the route table, and the replies.
 * Private to server/api (and its tests). */
#ifndef MOLT_SERVER_API_CALL_H
#define MOLT_SERVER_API_CALL_H

#include <jansson.h>

#include "api.h"
#include "who.h"

#define API_PREFIX         "/api/v1"
#define API_BODY_MAX       (64u * 1024) /* bytes of a JSON body */
#define API_PATH_LEN       512u         /* bytes of a path that the front lets through, with the NUL */
#define API_QUERY_MAX      4096u        /* bytes of a query string */
#define API_PARAMS_MAX     20           /* parameters in one query */
#define API_PARAM_NAME_LEN 24
#define API_PARAM_LEN      256  /* bytes of a decoded {id}, with its NUL */
#define API_VALUE_LEN      2049 /* the same of a parameter: MOLT_STATEMENT_MAX in hex digits is the longest */

struct api_param {
    uint16_t name, value; /* where they begin in text */
};

struct api_query {
    int count;
    struct api_param params[API_PARAMS_MAX];
    size_t used;
    /* decoded, each ended by a NUL: no longer than the raw query and two of them a parameter */
    char text[API_QUERY_MAX + 2 * API_PARAMS_MAX + 1];
};

struct api_call {
    const struct api *api;
    const struct api_request *request;
    struct api_response *response;
    struct api_query query;
    struct who who;
    uint32_t roles;   /* those that may call the route */
    bool has_session; /* it came with the cookie of one */
    struct session session;
    int reason; /* why it was refused, positive */
    /* the store may lack what is in memory: a device without a row may be there all the same */
    bool is_stale;
    char about[64];     /* what refusals begin with: which of many it is; "" */
    int64_t audit_id;   /* of the product that the call was about, as far as it is known */
    int64_t audit_open; /* of the note that it was begun; 0: there is none */
    /* what stood for {id} in the path, "" when the route has none; still to be checked */
    char id[API_PARAM_LEN];
};

/* api_route.flags: no token needed; the body is a file; a token of one product may call it too; what is there is replaced only
 * with If-Match; it changes nothing, so it is not noted in the audit log */
enum {
    API_OPEN = 1u << 0,
    API_FILE_BODY = 1u << 1,
    API_SCOPED = 1u << 2,
    API_MUST_MATCH = 1u << 3,
    API_NOT_NOTED = 1u << 4
};

struct api_route {
    const char *method;
    const char *path; /* "/api/v1/devices/{id}"; {id} is one segment */
    void (*handle)(struct api_call *call);
    const char *params; /* names of the query parameters that it knows, separated by one space */
    unsigned flags;
    uint32_t roles; /* who may call it: who.h. 0, which a forgotten one is: nobody */
};

/* The whole table, for the dispatcher and for the test that compares it with openapi.json. */
const struct api_route *api_routes(size_t *count);

/* ---- query.c ---- */
/* Splits and percent-decodes a raw query ("a=b&c=%20d"; '+' is a plus). allowed: api_route.params. 0, or -1 with a
 * sentence in why: too long, too many, unknown or repeated name, bad escape, NUL, not UTF-8, value too long. */
int api_query_parse(struct api_query *query, const char *raw, const char *allowed, char *why, size_t why_cap);
/* The value of a parameter, NULL when it was not given. */
const char *api_param(const struct api_call *call, const char *name);
/* A decimal number in a parameter: 0 (number left alone when it was not given), or -1 after replying 400. */
int api_param_number(struct api_call *call, const char *name, uint64_t min, uint64_t max, uint64_t *number);
/* True when name is one of the names, which one space separates. */
bool api_listed(const char *names, const char *name);
/* True when every byte is well-formed UTF-8 and none is a control character. */
bool api_text_ok(const char *text, size_t len);

/* ---- reply.c: each call is answered exactly once ---- */
/* json is stolen; NULL (memory) becomes a 500. */
void api_reply(struct api_call *call, int status, json_t *json);
/* 200 with {name: items, "next": ...}: of the items (stolen) those that the query asks for, `limit` (all) behind the one whose key is
 * `after` (the first); next: what to ask after for the rest, null: there is none. 400 when no item has that key. */
void api_reply_page(struct api_call *call, const char *name, json_t *items, const char *key);
/* reason: positive. The detail may be "". */
void api_refuse(struct api_call *call, int reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with another status than the reason's own. */
void api_refuse_status(struct api_call *call, int status, int reason, const char *detail);
/* A failed store call (rc negative): the reason, with store_error() as the detail where it helps. */
void api_refuse_store(struct api_call *call, int rc, const char *what);

/* What to do about a reason. problem.c */
const char *api_remedy(int reason);

/* ---- match.c ---- */
/* After a GET: its ETag, and 304 when the caller has that state. */
void api_tag(struct api_call *call, const struct api_route *route);
/* Calls the handler of a change, if If-Match and If-None-Match hold; those of one thing one after the other. */
void api_change(struct api_call *call, const struct api_route *route);

/* ---- body.c ---- */
/* The body as a JSON object whose fields all stand in allowed (one space between). The caller json_decref()s.
 * NULL after replying 400. */
json_t *api_body(struct api_call *call, const char *allowed);
/* A text field: 0 and *text ("" for null, left alone when absent), or -1 after replying 400. */
int api_body_text(struct api_call *call, const json_t *body, const char *field, size_t len_max,
                  const char **text);

/* ---- scope.c ---- */
/* May the caller do what the route does with things of the product? 0: with what is of none. */
bool api_in_scope(const struct api_call *call, int64_t product_id);
/* The same; false after replying: 403 when he may see them, else 404 with the sentence, as if they were not there. */
bool api_reaches(struct api_call *call, int64_t product_id, const char *missing);
/* May he do so with all of them, whatever they are? */
bool api_sees_all(const struct api_call *call);
/* The dispatcher's question, before the handler. False after replying. */
bool api_scope_allows(struct api_call *call, const struct api_route *route);

/* ---- devices.c ---- */
/* The device that {id} means, in any spelling, as current as a running server knows it. False after replying. */
bool api_load_device(struct api_call *call, struct model_device *device);
/* The same in two steps, for many: what the server has written behind, once; then each. */
void api_flush_devices(struct api_call *call);
bool api_load_device_unflushed(struct api_call *call, struct model_device *device);

/* The session of the request's cookie, whose token is still good; a request that changes something must prove that it comes
 * from our page, too. 0; -MOLT_UNAUTHORIZED: there is none; or the store failed. */
int api_session_find(struct api_call *call);
/* Answers with the device. */
void api_reply_device(struct api_call *call, const struct model_device *device);
/* Puts the body's fields into the device. False after replying. */
bool api_apply_settings(struct api_call *call, const json_t *body, struct model_device *device);
/* Are they the same in what operators say? */
bool api_same_settings(const struct model_device *a, const struct model_device *b);
/* The product that a device is made in: what the body says, or the only one that he may make any in. False after replying. */
bool api_new_product(struct api_call *call, const json_t *body, int64_t *id);
/* Saves the device and tells the server. False after replying. */
bool api_save_device(struct api_call *call, const struct model_device *device);
/* Puts the body's fields into the device that {id} means; *now: as it is then. False after replying. */
bool api_set_device(struct api_call *call, const json_t *body, struct model_device *now);

/* Puts group, tags, attributes and pin of a body into the device. False after replying. labels.c */
bool api_apply_labels(struct api_call *call, const json_t *body, struct model_device *device);
/* Adds the same to the device's JSON, and how it stands with its rollout. labels.c */
void shape_labels(json_t *json, const struct model_device *device);

/* Calls row for every device behind the id `after` ("": for all) in id order until it answers non-zero. The store is
 * free for others between chunks, so a device that changes meanwhile is seen as it was or as it is. 0, or the store's
 * failure. */
typedef int (*api_device_row)(void *ctx, const struct model_device *device);
int api_each_device(struct api_call *call, const char *after, api_device_row row, void *ctx);
/* The same, from the replica when there is one: to show, never to change anything by. rows: read at a time, 1 to STORE_DEVICES_MAX. */
int api_list_devices(struct api_call *call, const char *after, uint32_t rows, api_device_row row, void *ctx);

/* The same for counts, in a running server's memory when there is one and in any order, of those that are wished for (NULL: all), those
 * that are alike together, which a million of them are counted by in no time. In the store there is no such way: then each device is
 * told of alone, and whether it is meant is the row's to say. */
int api_each_kind(struct api_call *call, const struct census_wish *wish, const struct census_ages *ages,
                  census_row row, void *ctx);
/* Likewise each device that is meant by itself, with further filters to ask; in the store, too. The wish has no part. */
int api_each_meant(struct api_call *call, const struct census_wish *wish, const struct census_also *also,
                   census_meant each, void *ctx);

/* A filter in a text field, made canonical; "" when absent or null. False after replying 400. rollout_body.c */
bool api_body_filter(struct api_call *call, const json_t *body, const char *field,
                     char out[MODEL_FILTER_LEN]);
/* What the query says of an encrypted file: options->sealed = out, or NULL when it says nothing. False after replying. sealed.c */
struct publish_sealed;
struct publish_options;
bool api_read_sealed(struct api_call *call, struct publish_sealed *out, struct publish_options *options);
/* Sets all devices that the filter matches, as PATCH /devices. none: what a 404 says when it matches none; NULL: that is no
 * failure. Replies. fleet.c */
void api_set_devices(struct api_call *call, const char *filter, const json_t *body, const char *none);
/* Deletes the devices and their tokens, all or none. False after replying. fleet.c */
bool api_forget(struct api_call *call, const char (*ids)[MODEL_ID_LEN], size_t count);
/* The {id} of the path as a row id, 0 when it is none. releases.c */
int64_t api_row_id(const struct api_call *call);

/* Unix milliseconds. */
int64_t api_now_ms(void);

/* ---- handlers ---- */
void api_releases_list(struct api_call *call);
void api_releases_publish(struct api_call *call);
void api_release_get(struct api_call *call);
void api_release_yank(struct api_call *call);
void api_release_unyank(struct api_call *call);
void api_release_patch(struct api_call *call);
void api_product_patch(struct api_call *call);
void api_rollouts_list(struct api_call *call);
void api_rollouts_create(struct api_call *call);
void api_rollout_get(struct api_call *call);
void api_rollout_approve(struct api_call *call);
void api_rollout_pause(struct api_call *call);
void api_rollout_resume(struct api_call *call);
void api_rollout_next(struct api_call *call);
void api_rollout_abort(struct api_call *call);
void api_products_list(struct api_call *call);
void api_keys_list(struct api_call *call);
void api_keys_add(struct api_call *call);
void api_keys_remove(struct api_call *call);
void api_devices_list(struct api_call *call);
void api_device_get(struct api_call *call);
void api_device_patch(struct api_call *call);
void api_device_delete(struct api_call *call);
void api_device_put(struct api_call *call);
void api_devices_patch(struct api_call *call);
void api_devices_post(struct api_call *call);
void api_devices_delete(struct api_call *call);
void api_device_retry(struct api_call *call);
void api_devices_retry(struct api_call *call);
void api_device_attempts(struct api_call *call);
void api_device_log(struct api_call *call);
void api_device_why(struct api_call *call);
void api_tokens_list(struct api_call *call);
void api_tokens_create(struct api_call *call);
void api_token_get(struct api_call *call);
void api_user_get(struct api_call *call);
void api_group_get(struct api_call *call);
void api_token_delete(struct api_call *call);
void api_inspect(struct api_call *call);
void api_status(struct api_call *call);
void api_server(struct api_call *call);
void api_trends(struct api_call *call);
void api_rollout_progress(struct api_call *call);
void api_rollout_preview(struct api_call *call);
void api_overview(struct api_call *call);
void api_device_counts(struct api_call *call);
void api_session_get(struct api_call *call);
void api_session_begin(struct api_call *call);
void api_session_end(struct api_call *call);
void api_session_oidc(struct api_call *call);
void api_account_get(struct api_call *call);
void api_account_password(struct api_call *call);
void api_account_totp_begin(struct api_call *call);
void api_account_totp_confirm(struct api_call *call);
void api_account_totp_off(struct api_call *call);
void api_account_sessions_end(struct api_call *call);
void api_audit_list(struct api_call *call);
void api_audit_verify(struct api_call *call);
void api_users_list(struct api_call *call);
void api_users_create(struct api_call *call);
void api_user_patch(struct api_call *call);
void api_user_delete(struct api_call *call);
void api_events(struct api_call *call);
void api_openapi(struct api_call *call);
void api_metrics(struct api_call *call);
void api_nodes_list(struct api_call *call);
void api_node_delete(struct api_call *call);
void api_settings(struct api_call *call);
void api_product_get(struct api_call *call);
void api_devices_csv(struct api_call *call);
void api_groups_list(struct api_call *call);
void api_group_patch(struct api_call *call);
void api_group_delete(struct api_call *call);
void api_filters_list(struct api_call *call);
void api_filter_get(struct api_call *call);
void api_filter_put(struct api_call *call);
void api_filter_delete(struct api_call *call);
void api_webhooks_list(struct api_call *call);
void api_webhooks_create(struct api_call *call);
void api_webhook_get(struct api_call *call);
void api_webhook_patch(struct api_call *call);
void api_webhook_delete(struct api_call *call);
void api_webhook_deliveries(struct api_call *call);
void api_webhook_test(struct api_call *call);
void api_healthz(struct api_call *call);
void api_readyz(struct api_call *call);

#endif
