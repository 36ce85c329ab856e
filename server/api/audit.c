/* audit.c - the audit log: what goes in before each call that may change something, and how it ended before it is answered; and GET
 * /audit, which lists, exports and verifies. Must never write a password, code or token. Tests: test/unit/api_audit_test.c. */
#include "audit.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "molt_reason.h"
#include "shapes.h"

#define PAGE_DEFAULT 100
#define PAGE_MAX     1000
#define VALUE_SHOWN  120 /* characters of a query's value */

/* ---- writing ---- */

static bool may_change(const struct api_call *call, const struct api_route *route)
{
    return route != NULL && strcmp(route->method, "GET") != 0 && (route->flags & API_NOT_NOTED) == 0 &&
           call->who.name[0] != '\0';
}

/* Whoever comes too often fills no log. */
static bool is_noted(const struct api_call *call, const struct api_route *route)
{
    return may_change(call, route) && call->response->status != 429;
}

static void add(char *out, size_t cap, const char *text)
{
    const size_t len = strlen(out);
    snprintf(out + len, cap - len, "%s", text);
}

static void hide_secrets(json_t *body)
{
    static const char *const secrets[] = {"password", "new_password", "code", "token",
                                          "secret",   "pem",          "state"};
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++)
        if (json_is_string(json_object_get(body, secrets[i])))
            json_object_set_new(body, secrets[i], json_string("***"));
}

static void describe_file(const struct api_request *request, char *out, size_t cap)
{
    uint8_t sha256[32];
    char text[64], hex[65];
    if (EVP_Digest(request->body, request->body_len, sha256, NULL, EVP_sha256(), NULL) != 1) return;
    for (size_t i = 0; i < sizeof sha256; i++)
        snprintf(hex + 2 * i, 3, "%02x", sha256[i]);
    snprintf(text, sizeof text, "%zu bytes, sha256 ", request->body_len);
    add(out, cap, text);
    add(out, cap, hex);
}

static void describe_json(const struct api_request *request, char *out, size_t cap)
{
    json_t *body = json_loadb(request->body, request->body_len, JSON_REJECT_DUPLICATES, NULL);
    hide_secrets(body);
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    add(out, cap, text != NULL ? text : "a body that is no JSON");
    free(text);
    json_decref(body);
}

/* What was made: its id or name. */
static void describe_answer(const struct api_call *call, char *out, size_t cap)
{
    static const char *const names[] = {"id", "release", "name"};
    const struct api_response *response = call->response;
    if (response->status != 201 || response->body == NULL) return;
    json_t *answer = json_loadb(response->body, response->body_len, 0, NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const json_t *value = json_object_get(answer, names[i]);
        char *text =
            json_is_string(value) || json_is_integer(value) ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
        if (text == NULL) continue;
        add(out, cap, out[0] != '\0' ? " -> " : "-> ");
        add(out, cap, names[i]);
        add(out, cap, " ");
        add(out, cap, text);
        free(text);
        break;
    }
    json_decref(answer);
}

static void describe(const struct api_call *call, const struct api_route *route, char *out, size_t cap)
{
    for (int i = 0; i < call->query.count; i++) {
        char one[VALUE_SHOWN + 64];
        const char *name = call->query.text + call->query.params[i].name;
        const char *value = call->query.text + call->query.params[i].value;
        snprintf(one, sizeof one, "%.32s=%.*s%s ", name, VALUE_SHOWN, value,
                 strlen(value) > VALUE_SHOWN ? "..." : "");
        add(out, cap, one);
    }
    if (call->request->body_len > 0 && (route->flags & API_FILE_BODY) != 0)
        describe_file(call->request, out, cap);
    else if (call->request->body_len > 0)
        describe_json(call->request, out, cap);
    describe_answer(call, out, cap);
}

static void name_product(const struct api_call *call, char product[MODEL_NAME_LEN])
{
    struct store_rules rules;
    product[0] = '\0';
    if (call->audit_id <= 0 || store_load_rules(call->api->store, &rules) < 0) return;
    snprintf(product, MODEL_NAME_LEN, "%s", shape_product_name(&rules, call->audit_id));
    store_free_rules(&rules);
}

/* Who did what; how it ended is not said yet. NULL: memory is short. */
static struct store_audit *entry_of(struct api_call *call, const struct api_route *route)
{
    struct store_audit *entry = calloc(1, sizeof *entry);
    const char *path = call->request->path, *from = call->request->from;
    const size_t prefix = strncmp(path, API_PREFIX, sizeof API_PREFIX - 1) == 0 ? sizeof API_PREFIX - 1 : 0;
    if (entry == NULL) return NULL;
    snprintf(entry->who, sizeof entry->who, "%s", call->who.name);
    snprintf(entry->from, sizeof entry->from, "%s", from != NULL ? from : "command line");
    snprintf(entry->action, sizeof entry->action, "%s %s", route->method, path + prefix);
    describe(call, route, entry->detail, sizeof entry->detail);
    name_product(call, entry->product);
    return entry;
}

bool audit_begin(struct api_call *call, const struct api_route *route)
{
    if (!may_change(call, route) || (route->flags & API_OPEN) != 0) return true;
    struct store_audit *entry = entry_of(call, route);
    int rc = entry != NULL ? store_audit_begin(call->api->store, entry, &call->audit_open) : -MOLT_NO_MEMORY;
    free(entry);
    if (rc < 0)
        api_refuse_status(call, 503, -rc,
                          "nothing was done: it could not be noted in the audit log; is the disk full?");
    return rc == 0;
}

void audit_call(struct api_call *call, const struct api_route *route)
{
    if (!is_noted(call, route)) {
        if (call->audit_open != 0) (void)store_audit_forget(call->api->store, call->audit_open);
        return;
    }
    struct store_audit *entry = entry_of(call, route);
    int rc = -MOLT_NO_MEMORY;
    if (entry != NULL) {
        entry->status = call->response->status;
        if (call->reason != 0 && entry->status >= 400)
            snprintf(entry->reason, sizeof entry->reason, "%s", molt_reason_id(call->reason));
        rc = store_audit_end(call->api->store, call->audit_open, entry);
    }
    const struct api_hooks *hooks = &call->api->hooks;
    if (rc == 0 && hooks->audited != NULL) hooks->audited(hooks->ctx, entry);
    free(entry);
    if (rc == 0 || call->response->status >= 500) return;
    const bool was_done = call->response->status < 300;
    free(call->response->body);
    call->response->body = NULL;
    call->response->set_cookie[0] = '\0';
    api_refuse_status(call, 500, -rc,
                      was_done ? "it was done, and could not be written into the audit log"
                               : "it was refused, and that could not be written into the audit log");
}

/* ---- reading ---- */

struct listing {
    const struct api_call *call;
    const struct store_rules *rules;
    const char *who, *product, *q; /* NULL: any */
    uint64_t limit;
    json_t *entries;
    int64_t last;
    bool more;
};

static bool is_visible(const struct listing *listing, const struct store_audit *entry)
{
    if (api_sees_all(listing->call)) return true;
    for (uint32_t i = 0; i < listing->rules->product_count; i++)
        if (strcmp(listing->rules->products[i].name, entry->product) == 0)
            return api_in_scope(listing->call, listing->rules->products[i].id);
    return false;
}

static bool matches(const struct listing *listing, const struct store_audit *entry)
{
    const char *q = listing->q;
    if (listing->who != NULL && strcmp(listing->who, entry->who) != 0) return false;
    if (listing->product != NULL && strcmp(listing->product, entry->product) != 0) return false;
    return q == NULL || strstr(entry->action, q) != NULL || strstr(entry->detail, q) != NULL ||
           strstr(entry->who, q) != NULL || strstr(entry->from, q) != NULL ||
           strstr(entry->reason, q) != NULL;
}

static json_t *entry_json(const struct store_audit *entry)
{
    return json_pack("{s:I, s:I, s:s, s:s, s:s, s:o, s:s, s:I, s:o, s:o}", "seq", (json_int_t)entry->seq,
                     "at_ms", (json_int_t)entry->at_ms, "who", entry->who, "from", entry->from, "action",
                     entry->action, "product", shape_text(entry->product), "detail", entry->detail, "status",
                     (json_int_t)entry->status, "reason", shape_text(entry->reason), "hash",
                     shape_hex(entry->hash, 32));
}

static int list_row(void *ctx, const struct store_audit *entry)
{
    struct listing *listing = ctx;
    if (!is_visible(listing, entry) || !matches(listing, entry)) return 0;
    if (json_array_size(listing->entries) == listing->limit) {
        listing->more = true;
        return 1;
    }
    json_t *json = entry_json(entry);
    if (json == NULL) /* a row that was changed so that it is no text any more: verifying tells */
        json = json_pack("{s:I, s:I, s:s, s:s, s:s, s:n, s:s, s:I, s:n, s:o}", "seq", (json_int_t)entry->seq,
                         "at_ms", (json_int_t)entry->at_ms, "who", "", "from", "", "action", "", "product",
                         "detail", "damaged", "status", (json_int_t)entry->status, "reason", "hash",
                         shape_hex(entry->hash, 32));
    json_array_append_new(listing->entries, json);
    listing->last = entry->seq;
    return 0;
}

/* False after replying. */
static bool read_seq(struct api_call *call, const char *name, int64_t *seq)
{
    uint64_t number = (uint64_t)*seq;
    if (api_param_number(call, name, 0, (uint64_t)INT64_MAX, &number) < 0) return false;
    *seq = (int64_t)number;
    return true;
}

void api_audit_list(struct api_call *call)
{
    struct store_rules rules;
    struct listing listing = {.call = call, .rules = &rules, .limit = PAGE_DEFAULT};
    int64_t before = INT64_MAX, after = 0;
    const bool forwards = api_param(call, "after") != NULL;
    if (api_param_number(call, "limit", 1, PAGE_MAX, &listing.limit) < 0 ||
        !read_seq(call, "before", &before) || !read_seq(call, "after", &after))
        return;
    if (forwards && api_param(call, "before") != NULL) {
        api_refuse(call, MOLT_REQUEST_INVALID, "%s",
                   "'after' goes forwards and 'before' backwards: give one");
        return;
    }
    listing.who = api_param(call, "who");
    listing.product = api_param(call, "product");
    listing.q = api_param(call, "q");
    int rc = store_load_rules(call->api->store, &rules);
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return;
    }
    listing.entries = json_array();
    rc = forwards ? store_each_audit_after(call->api->store, after, list_row, &listing)
                  : store_each_audit_before(call->api->store, before, list_row, &listing);
    store_free_rules(&rules);
    if (rc == 0) {
        api_reply(call, 200,
                  json_pack("{s:o, s:o}", "entries", listing.entries, "next",
                            listing.more ? json_integer(listing.last) : json_null()));
        return;
    }
    json_decref(listing.entries);
    api_refuse_store(call, rc, "");
}

/* "17:0f3a..." False after replying. */
static bool read_expected(struct api_call *call, struct store_audit_head *head)
{
    const char *text = api_param(call, "expect"), *colon = strchr(text, ':');
    const size_t digits = strspn(text, "0123456789");
    bool good = colon == text + digits && digits > 0 && digits <= 18 && strlen(colon + 1) == 64 &&
                strspn(colon + 1, "0123456789abcdef") == 64;
    head->seq = 0;
    for (size_t i = 0; good && i < digits; i++)
        head->seq = head->seq * 10 + (text[i] - '0');
    for (size_t i = 0; good && i < 32; i++) {
        unsigned byte;
        good = sscanf(colon + 1 + 2 * i, "%2x", &byte) == 1;
        head->hash[i] = (uint8_t)byte;
    }
    if (!good || head->seq == 0)
        api_refuse(call, MOLT_REQUEST_INVALID, "%s",
                   "'expect' is a number, a colon and 64 hex digits, as `molt audit verify` prints the end");
    return good && head->seq > 0;
}

void api_audit_verify(struct api_call *call)
{
    struct store_audit_head head;
    struct store_audit_verdict verdict;
    const bool expects = api_param(call, "expect") != NULL;
    if (expects && !read_expected(call, &head)) return;
    int rc = store_audit_verify(call->api->store, expects ? &head : NULL, &verdict);
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return;
    }
    const bool good = verdict.bad_seq == 0;
    api_reply(call, 200,
              json_pack("{s:b, s:I, s:o, s:s, s:{s:I, s:o}}", "good", good, "entries",
                        (json_int_t)verdict.entries, "bad",
                        good ? json_null() : json_integer(verdict.bad_seq), "why", verdict.why, "end", "seq",
                        (json_int_t)verdict.head.seq, "hash", shape_hex(verdict.head.hash, 32)));
}
