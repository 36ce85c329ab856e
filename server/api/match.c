/* match.c - entity tags: a GET says which state it shows, and a change with If-Match is made to that state or not at all (RFC 9110).
 * Must never let a change through whose condition does not hold, nor two such changes at once. Tests: test/unit/api_match_test.c. */
#include "call.h"

#include <openssl/sha.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "molt_reason.h"

/* Things that change by themselves (a device asks, a rollout goes on): the tag is of what people set, so that it lasts. */
static const struct {
    const char *path, *fields;
} set_by_people[] = {
    {API_PREFIX "/devices/{id}", "id product channel chip held group tags attributes pin"},
    {API_PREFIX "/rollouts/{id}", "id status phase note approved_by"},
    {API_PREFIX "/users/{id}", "name roles disabled password totp"},
};

static pthread_mutex_t changes = PTHREAD_MUTEX_INITIALIZER;

static const char *fields_of(const char *path)
{
    for (size_t i = 0; i < sizeof set_by_people / sizeof set_by_people[0]; i++) {
        if (strcmp(set_by_people[i].path, path) == 0) return set_by_people[i].fields;
    }
    return NULL;
}

static void hash(const void *data, size_t len, char out[API_ETAG_LEN])
{
    unsigned char digest[32];
    SHA256(data, len, digest);
    int n = snprintf(out, API_ETAG_LEN, "\"");
    for (int i = 0; i < 12; i++)
        n += snprintf(out + n, API_ETAG_LEN - (size_t)n, "%02x", digest[i]);
    (void)snprintf(out + n, API_ETAG_LEN - (size_t)n, "\"");
}

static void hash_fields(const struct api_response *response, const char *fields, char out[API_ETAG_LEN])
{
    json_t *body = json_loadb(response->body, response->body_len, 0, NULL);
    const char *name;
    void *next;
    json_t *value;
    json_object_foreach_safe(body, next, name, value)
    {
        if (!api_listed(fields, name)) json_object_del(body, name);
    }
    char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    if (text != NULL) hash(text, strlen(text), out);
    free(text);
    json_decref(body);
}

/* The tag stands in the list, "a", "b", or the list is "*". A weak one matches nothing. */
static bool listed(const char *list, const char *etag)
{
    const size_t len = strlen(etag);
    if (strcmp(list, "*") == 0) return true;
    while (*list != '\0') {
        size_t n = strcspn(list, ",");
        const char *one = list;
        size_t one_len = n;
        while (one_len > 0 && (*one == ' ' || *one == '\t'))
            one++, one_len--;
        while (one_len > 0 && (one[one_len - 1] == ' ' || one[one_len - 1] == '\t'))
            one_len--;
        if (one_len == len && memcmp(one, etag, len) == 0) return true;
        list += n + (list[n] == ',');
    }
    return false;
}

void api_tag(struct api_call *call, const struct api_route *route)
{
    struct api_response *response = call->response;
    const char *fields = fields_of(route->path);
    if (response->status != 200 || response->body == NULL || response->watches) return;
    if (strcmp(route->method, "GET") != 0 || strcmp(response->content_type, "application/json") != 0) return;
    if (fields != NULL) {
        hash_fields(response, fields, response->etag);
        return;
    }
    hash(response->body, response->body_len, response->etag);
    if (call->request->if_none_match == NULL || !listed(call->request->if_none_match, response->etag)) return;
    free(response->body);
    response->body = NULL;
    response->body_len = 0;
    response->status = 304;
}

static bool can_be_read(const char *path)
{
    size_t count;
    const struct api_route *routes = api_routes(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(routes[i].path, path) == 0 && strcmp(routes[i].method, "GET") == 0) return true;
    }
    return false;
}

/* What the change is made to: what a GET of the same path shows; else "/api/v1/rollouts/7/pause" is cut to "/api/v1/rollouts/7". */
static void base_path(const struct api_call *call, const struct api_route *route, char out[API_PATH_LEN])
{
    const char *brace = strstr(route->path, "{id}");
    size_t len = brace != NULL && !can_be_read(route->path) ? (size_t)(brace - route->path) + strlen(call->id)
                                                            : strlen(call->request->path);
    (void)snprintf(out, API_PATH_LEN, "%.*s", (int)len, call->request->path);
}

/* The tag of what the change is made to, as its caller sees it; "" when there is no such thing for him. */
static void current(struct api_call *call, const struct api_route *route, char out[API_ETAG_LEN])
{
    char path[API_PATH_LEN];
    struct api_request get = *call->request;
    struct api_response response;
    base_path(call, route, path);
    get.method = "GET";
    get.path = path;
    get.query = "";
    get.if_match = get.if_none_match = NULL;
    get.body = NULL;
    get.body_len = 0;
    api_handle(call->api, &get, &response);
    memcpy(out, response.etag, API_ETAG_LEN);
    free(response.body);
}

/* False after replying. */
static bool holds(struct api_call *call, const struct api_route *route)
{
    const struct api_request *request = call->request;
    char etag[API_ETAG_LEN];
    const bool must = (route->flags & API_MUST_MATCH) != 0;
    if (request->if_match == NULL && request->if_none_match == NULL && !must) return true;
    current(call, route, etag);
    if (request->if_none_match != NULL && etag[0] != '\0' && listed(request->if_none_match, etag)) {
        api_refuse_status(call, 412, MOLT_CHANGED,
                          "it is there already, and If-None-Match says that it must not be");
        return false;
    }
    if (request->if_match != NULL && (etag[0] == '\0' || !listed(request->if_match, etag))) {
        api_refuse_status(call, 412, MOLT_CHANGED,
                          etag[0] != '\0' ? "its ETag is another one by now"
                                          : "it is not there, or has no ETag");
        return false;
    }
    if (must && request->if_match == NULL && etag[0] != '\0') {
        api_refuse_status(call, 428, MOLT_MATCH_NEEDED, "it is there already");
        return false;
    }
    return true;
}

void api_change(struct api_call *call, const struct api_route *route)
{
    const struct api_request *request = call->request;
    const bool one_at_a_time = (strstr(route->path, "{id}") != NULL && (route->flags & API_FILE_BODY) == 0) ||
                               request->if_match != NULL || request->if_none_match != NULL;
    if (one_at_a_time) pthread_mutex_lock(&changes);
    if (holds(call, route)) route->handle(call);
    if (one_at_a_time) pthread_mutex_unlock(&changes);
}
