/* api_fuzz.c - any bytes as a request to the API: "t" (trusted) or "u", then method, path and query, a line each, the
 * rest is the body. Always one JSON answer, never a 5xx, and nothing but 401 for who has no token. */
#define _XOPEN_SOURCE 700 /* nftw */
#include <ftw.h>
#include <jansson.h>
#include <string.h>

#include "fuzz.h"
#include "server/api/api.h"

#define LINE_MAX_LEN 4096

static char folder[] = "/tmp/molt-fuzz-api-XXXXXX";
static struct store *store;

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static void close_store(void)
{
    store_close(store);
    (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void open_store(void)
{
    char error[256] = "";
    struct model_device device = {.id = "5ccf7fc602e2"};
    FUZZ_CHECK(mkdtemp(folder) != NULL);
    FUZZ_CHECK(store_open(folder, true, &store, error, sizeof error) == 0);
    FUZZ_CHECK(store_save_devices(store, &device, 1) == 0);
    FUZZ_CHECK(atexit(close_store) == 0);
}

/* The next line as a string, as the HTTP front hands it over: without NUL inside. */
static void line(const uint8_t **data, size_t *size, char out[LINE_MAX_LEN])
{
    const uint8_t *end = *size > 0 ? memchr(*data, '\n', *size) : NULL;
    size_t len = end != NULL ? (size_t)(end - *data) : *size,
           keep = len < LINE_MAX_LEN ? len : LINE_MAX_LEN - 1;
    if (keep > 0) memcpy(out, *data, keep);
    out[keep] = '\0';
    *data += len + (end != NULL);
    *size -= len + (end != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char who[LINE_MAX_LEN], method[LINE_MAX_LEN], path[LINE_MAX_LEN], query[LINE_MAX_LEN];
    if (store == NULL) open_store();
    struct api api = {.store = store};
    line(&data, &size, who);
    line(&data, &size, method);
    line(&data, &size, path);
    line(&data, &size, query);
    bool trusted = who[0] == 't';
    struct api_request request = {
        .method = method, .path = path, .query = query, .trusted = trusted, .body = data, .body_len = size};
    struct api_response response;
    api_handle(&api, &request, &response);
    FUZZ_CHECK(response.body != NULL && response.status >= 200 && response.status < 500);
    if (strcmp(response.content_type, "text/plain; charset=utf-8") == 0) { /* /healthz, /readyz */
        free(response.body);
        return 0;
    }
    json_t *json = json_loadb(response.body, response.body_len, 0, NULL);
    FUZZ_CHECK(json_is_object(json));
    const bool open = strcmp(path, "/api/v1/openapi.json") == 0 || strcmp(path, "/api/v1/session") == 0;
    if (!trusted && !open) FUZZ_CHECK(response.status == 401);
    if (response.status >= 400) FUZZ_CHECK(json_is_string(json_object_get(json, "reason")));
    json_decref(json);
    free(response.body);
    return 0;
}
