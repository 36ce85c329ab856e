/* skins.c - the router of the device plane: takes a request apart, lets a worker check what blocks (a credential, a
 * changed file), then hands it to its skin. Must never block the loop nor answer twice. Tests: test/e2e/skins_test.c. */
#include "fetch.h"
#include "host/store/clock.h"
#include "server/watch/counters.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUSY_AT_DEFAULT  4000
#define GUESSES_A_MINUTE 60 /* wrong tokens from one address */
#define LOGS_A_MINUTE    60 /* texts of devices from one address */

void skins_set(struct skins *skins, const struct skins_live *live)
{
    atomic_store(&skins->enrol, (unsigned)live->enrol);
    atomic_store(&skins->checkin_interval_s, live->checkin_interval_s);
    atomic_store(&skins->ddi_interval_s, live->ddi_interval_s);
    throttle_exempt(skins->guesses, live->exempt, live->exempt_count);
    throttle_exempt(skins->logs, live->exempt, live->exempt_count);
    throttle_set(skins->polls, live->device_per_minute);
    atomic_store(&skins->polls_limited, live->device_per_minute != 0);
    atomic_store(&skins->busy_at, live->busy_at != 0 ? live->busy_at : BUSY_AT_DEFAULT);
}

uint64_t skins_in_flight(const struct skins *skins)
{
    return atomic_load_explicit(&skins->in_flight, memory_order_relaxed);
}

struct skins *skins_new(const struct skins_options *options)
{
    struct skins *skins = calloc(1, sizeof *skins);
    if (skins == NULL) return NULL;
    skins->options = *options;
    pthread_mutex_init(&skins->lock, NULL);
    pthread_cond_init(&skins->none_waits, NULL);
    skins->credentials = credential_cache_new();
    skins->files = open_files_new(options->store, options->packs);
    skins->ddi_files = ddi_files_new();
    const bool bucket = store_has_bucket(options->store);
    if (bucket) skins->fetch = fetch_new(skins);
    skins->guesses = throttle_new(GUESSES_A_MINUTE);
    skins->logs = throttle_new(LOGS_A_MINUTE);
    skins->polls = throttle_new(0);
    const struct skins_live live = {.enrol = options->enrol,
                                    .checkin_interval_s = options->checkin_interval_s,
                                    .ddi_interval_s = options->ddi_interval_s,
                                    .busy_at = options->busy_at};
    if (skins->guesses != NULL && skins->logs != NULL && skins->polls != NULL) skins_set(skins, &live);
    if (skins->guesses != NULL && skins->logs != NULL && skins->polls != NULL && skins->credentials != NULL &&
        skins->files != NULL && skins->ddi_files != NULL && (!bucket || skins->fetch != NULL))
        return skins;
    skins_free(skins);
    return NULL;
}

void skins_free(struct skins *skins)
{
    if (skins == NULL) return;
    fetch_free(skins->fetch);
    credential_cache_free(skins->credentials);
    throttle_free(skins->guesses);
    throttle_free(skins->logs);
    throttle_free(skins->polls);
    open_files_free(skins->files);
    ddi_files_free(skins->ddi_files);
    pthread_cond_destroy(&skins->none_waits);
    pthread_mutex_destroy(&skins->lock);
    free(skins);
}

bool skin_wait_begin(struct skins *skins)
{
    pthread_mutex_lock(&skins->lock);
    bool ok = !skins->stopping;
    if (ok) skins->waiting++;
    pthread_mutex_unlock(&skins->lock);
    return ok;
}

void skin_wait_end(struct skins *skins)
{
    pthread_mutex_lock(&skins->lock);
    if (--skins->waiting == 0) pthread_cond_broadcast(&skins->none_waits);
    pthread_mutex_unlock(&skins->lock);
}

void skins_stop(struct skins *skins)
{
    pthread_mutex_lock(&skins->lock);
    skins->stopping = true;
    pthread_mutex_unlock(&skins->lock);
    fetch_stop(skins->fetch);
    pthread_mutex_lock(&skins->lock);
    while (skins->waiting != 0)
        pthread_cond_wait(&skins->none_waits, &skins->lock);
    pthread_mutex_unlock(&skins->lock);
}

static struct http_slice exchange_header(const void *request, const char *name)
{
    return http_header(request, name, 0);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Who it is, for the kinds that are known by path and headers. A name in the path and a MAC in the header are a device
 * of a group: many sketches ask for "/fw/lamp.bin". */
static bool identify(struct ask *ask)
{
    const struct device_path *where = &ask->where;
    client_read(exchange_header, ask->x, &ask->client);
    if (where->kind == DEVICE_PATH_JSON && ask->client.mac_id[0] == '\0')
        (void)skin_list_id(ask, ask->client.mac_id);
    ask->by_header = !where->is_mac && ask->client.mac_id[0] != '\0';
    const char *id = ask->by_header ? ask->client.mac_id : where->id;
    bool is_file = where->kind == DEVICE_PATH_BIN || where->kind == DEVICE_PATH_SUIT;
    if (is_file && where->id[0] == '\0' && !ask->by_header) return false;
    memcpy(ask->id, id, sizeof ask->id);
    if (ask->by_header) memcpy(ask->group, where->id, sizeof ask->group);
    ask->kind = where->kind == DEVICE_PATH_VERSION ? ASK_VERSION_FILE
                : where->kind == DEVICE_PATH_SUIT  ? ASK_MANIFEST
                : where->kind == DEVICE_PATH_JSON  ? ASK_LIST
                                                   : ASK_IMAGE;
    return id[0] != '\0';
}

/* Takes the doctor's folder out of the path. Check-ins and artifacts have no rehearsal: the doctor asks for none. */
static bool take_rehearsal(struct ask *ask)
{
    char *at = strstr(ask->path, SKIN_REHEARSAL);
    if (at == NULL) return true;
    const size_t len = strlen(SKIN_REHEARSAL);
    ask->rehearsed = true;
    memmove(at + 1, at + len, strlen(at + len) + 1);
    if (strcmp(at, "/health") == 0) {
        http_respond_text(ask->x, 200, SKIN_REHEARSAL_REPLY);
        return false;
    }
    if (!ends_with(ask->path, MOLT_CHECKIN_PATH) && !ends_with(ask->path, SKIN_LOG) &&
        strstr(ask->path, SKIN_ARTIFACT) == NULL)
        return true;
    skin_not_found(ask, "not found\n");
    return false;
}

static bool refuse_method(struct ask *ask, const char *allow)
{
    struct http_response response = {.status = 405, .headers = allow};
    http_respond(ask->x, &response);
    return false;
}

/* Fills ask from the request; false when it was answered. */
static bool take_apart(struct ask *ask)
{
    enum http_method method = http_method(ask->x);
    bool decoded = http_path_decode(ask->x, ask->path, sizeof ask->path);
    bool own = decoded && strstr(ask->path, "/molt") != NULL; /* one look instead of five at each poll */
    if (own && !take_rehearsal(ask)) return false;
    if (!decoded || !device_path_parse(ask->path, &ask->where)) {
        skin_not_found(ask, "not found\n");
        return false;
    }
    if (own && ends_with(ask->where.rest, SKIN_CHECKIN_PATH)) {
        ask->kind = ASK_CHECKIN;
        if (method != HTTP_M_POST) return refuse_method(ask, "Allow: POST\r\n");
        return skin_checkin_read(ask);
    }
    if (method == HTTP_M_POST && ends_with(ask->where.rest, SKIN_LOG)) {
        ask->kind = ASK_LOG;
        return skin_log_read(ask);
    }
    if (skin_ddi_is_meant(ask)) {
        ask->kind = ASK_DDI;
        return true;
    }
    if (method != HTTP_M_GET && method != HTTP_M_HEAD) return refuse_method(ask, "Allow: GET, HEAD\r\n");
    if (strcmp(ask->where.rest, "/health") == 0) {
        http_respond_text(ask->x, 200, "ok\n");
        return false;
    }
    if (own && strstr(ask->where.rest, SKIN_ARTIFACT) != NULL) {
        ask->kind = ASK_ARTIFACT;
        return skin_artifact_read(ask);
    }
    if (own && skin_pack_is_meant(ask)) {
        ask->kind = ASK_PACK;
        return true;
    }
    if (skin_rauc_is_meant(ask)) {
        ask->kind = ASK_RAUC;
        return true;
    }
    if (ask->where.product[0] != '\0' && strcmp(ask->where.rest, "/install.json") == 0) {
        ask->kind = ASK_INSTALL;
        return true;
    }
    if (identify(ask)) return true;
    skin_not_found(ask, "not found\n");
    return false;
}

/* What a token says of this device. A product's token counts for the devices of it, and for those that have none yet: who holds
 * the token of one product can do nothing to the devices of another. */
static void judge_credential(struct ask *ask, const struct credential *credential)
{
    const enum credential_verdict verdict = credential->verdict;
    int64_t product = 0;
    ask->verified = verdict == CREDENTIAL_GOOD;
    if ((verdict != CREDENTIAL_GATEWAY && verdict != CREDENTIAL_ENROL) || ask->id[0] == '\0') return;
    (void)devices_peek(ask->skins->options.devices, ask->id, skin_take_product, &product);
    if (product != 0 && product != credential->product_id) return;
    ask->verified = verdict == CREDENTIAL_GATEWAY;
    ask->admitted = true;
    ask->token_product = credential->product_id;
}

/* A certificate of the operator's own authority names the device: no token is needed then. */
static bool has_certificate(const struct ask *ask)
{
    char name[MODEL_NAME_LEN], id[MODEL_ID_LEN];
    if (!ask->skins->options.certificates || ask->id[0] == '\0' ||
        !http_tls_client(ask->x, name, sizeof name))
        return false;
    return device_id_parse(name, strlen(name), id, NULL) && strcmp(id, ask->id) == 0;
}

/* False when the store must be asked about the token. */
static bool credential_is_known(struct ask *ask)
{
    if (ask->token_checked) return true;
    ask->token_checked = true;
    if (has_certificate(ask)) {
        ask->verified = true;
        return true;
    }
    if (ask->where.token[0] != '\0') {
        memcpy(ask->token, ask->where.token, sizeof ask->token);
    } else {
        struct http_slice authorization = http_header(ask->x, "authorization", 0);
        if (authorization.len == 0 || !credential_token(authorization, ask->token, sizeof ask->token))
            return true;
    }
    const struct credential known =
        credential_recall(ask->skins->credentials, ask->token, ask->id, ask->now_ms);
    judge_credential(ask, &known);
    return known.verdict != CREDENTIAL_UNKNOWN;
}

static enum credential_verdict verdict_of(const struct store_token *token, const char *id)
{
    switch (token->kind) {
    case STORE_TOKEN_DEVICE:
        return id[0] != '\0' && strcmp(token->device_id, id) == 0 ? CREDENTIAL_GOOD : CREDENTIAL_BAD;
    case STORE_TOKEN_GATEWAY:
        return CREDENTIAL_GATEWAY;
    case STORE_TOKEN_ENROL:
        return CREDENTIAL_ENROL;
    case STORE_TOKEN_ADMIN:
        break;
    }
    return CREDENTIAL_BAD;
}

static void check_token(void *ctx, struct http_exchange *x)
{
    struct ask *ask = ctx;
    struct store_token token;
    struct credential found = {CREDENTIAL_BAD, 0};
    int rc = store_token_find(ask->skins->options.store, ask->token, &token);
    if (rc == 0) found = (struct credential){verdict_of(&token, ask->id), token.product_id};
    if (found.verdict == CREDENTIAL_BAD && (rc == 0 || rc == -MOLT_UNAUTHORIZED))
        (void)throttle_take(ask->skins->guesses, http_peer(x), ask->now_ms);
    judge_credential(ask, &found);
    /* a store that cannot be asked says nothing about the token */
    if (rc == 0 || rc == -MOLT_UNAUTHORIZED)
        credential_remember(ask->skins->credentials, ask->token, ask->id, &found, ask->now_ms);
}

/* Whoever sent many wrong tokens lately is not told whether this one is right. */
static bool may_guess(struct ask *ask)
{
    if (throttle_has(ask->skins->guesses, http_peer(ask->x), ask->now_ms)) return true;
    counters_add(COUNTER_LIMITED_TOKEN);
    struct http_response response = {.status = 429,
                                     .headers = "Retry-After: 60\r\nCache-Control: no-store\r\n"};
    http_respond(ask->x, &response);
    return false;
}

/* The path without its suffix, as the folder knows it. */
static void file_name(const struct ask *ask, char out[SKIN_PATH_LEN])
{
    static const char *const suffixes[] = {
        [DEVICE_PATH_VERSION] = ".version", [DEVICE_PATH_BIN] = ".bin", [DEVICE_PATH_SUIT] = ".suit"};
    size_t len = strlen(ask->where.rest) - strlen(suffixes[ask->where.kind]);
    memcpy(out, ask->where.rest, len);
    out[len] = '\0';
}

/* False when a worker must read files. */
static bool file_is_known(struct ask *ask)
{
    struct static_dir *dir = ask->skins->options.static_dir;
    bool named = ask->kind == ASK_MANIFEST || ask->kind == ASK_VERSION_FILE ||
                 (ask->kind == ASK_IMAGE && ask->where.kind == DEVICE_PATH_BIN);
    if (ask->static_checked || dir == NULL || !named) return true;
    ask->static_checked = true;
    char name[SKIN_PATH_LEN];
    file_name(ask, name);
    if (ask->kind == ASK_MANIFEST) return false; /* read anew each time: it is small */
    enum static_lookup found = static_dir_peek(dir, name, &ask->file);
    ask->is_static = found == STATIC_KNOWN;
    return found != STATIC_STALE;
}

static void read_file(void *ctx, struct http_exchange *x)
{
    struct ask *ask = ctx;
    char name[SKIN_PATH_LEN];
    (void)x;
    file_name(ask, name);
    ask->is_static = static_dir_refresh(ask->skins->options.static_dir, name, &ask->file) == STATIC_KNOWN;
    if (ask->kind == ASK_MANIFEST && ask->is_static)
        ask->manifest_len =
            static_dir_manifest(ask->skins->options.static_dir, name, &ask->file, ask->manifest);
}

static void read_ddi_file(void *ctx, struct http_exchange *x)
{
    (void)x;
    skin_ddi_read(ctx);
}

/* Does the request tell how an attempt ended? */
static bool reports(const struct ask *ask)
{
    if (ask->kind == ASK_CHECKIN) return ask->said.result != 0;
    return ask->kind == ASK_DDI && http_method(ask->x) != HTTP_M_GET && http_method(ask->x) != HTTP_M_HEAD;
}

static void serve(struct ask *ask)
{
    _Static_assert(COUNTER_POLL_LOG == (enum counter)ASK_LOG,
                   "the counters stand in the order of enum ask_kind");
    if (!ask->rehearsed) counters_add((enum counter)ask->kind);
    if (skin_behind(ask->skins) && reports(ask)) {
        skin_ask_again(ask); /* what it reports would be taken for an older attempt's end */
        return;
    }
    switch (ask->kind) {
    case ASK_VERSION_FILE:
        skin_version_file(ask);
        break;
    case ASK_IMAGE: {
        bool head = http_method(ask->x) == HTTP_M_HEAD && ask->client.mode != CLIENT_MODE_VERSION;
        bool ranged = skin_range_of(ask->x).present;
        if (head || ranged || ask->client.kind == MODEL_CLIENT_IDF)
            skin_esp_https_ota(ask);
        else
            skin_httpupdate(ask);
        break;
    }
    case ASK_MANIFEST:
        skin_manifest(ask);
        break;
    case ASK_CHECKIN:
        skin_checkin(ask);
        break;
    case ASK_ARTIFACT:
        skin_artifact(ask);
        break;
    case ASK_PACK:
        skin_pack(ask);
        break;
    case ASK_DDI:
        skin_ddi(ask);
        break;
    case ASK_RAUC:
        skin_rauc(ask);
        break;
    case ASK_LIST:
        skin_list(ask);
        break;
    case ASK_INSTALL:
        skin_install(ask);
        break;
    case ASK_LOG:
        skin_log(ask);
        break;
    }
}

static void proceed_waited(void *ctx, struct http_exchange *x);

/* A copy of ask that outlives the handler. NULL: it was answered. */
static struct ask *keep(struct ask *ask)
{
    if (ask->on_heap) return ask;
    struct ask *kept = malloc(sizeof *kept);
    if (kept == NULL) {
        skin_nothing_new(ask);
        return NULL;
    }
    *kept = *ask;
    kept->on_heap = true;
    kept->where.rest = kept->path + (ask->where.rest - ask->path);
    return kept;
}

/* Lets a worker do the work. */
static void wait_for(struct ask *ask, void (*work)(void *ctx, struct http_exchange *x))
{
    struct ask *kept = keep(ask);
    if (kept != NULL) http_work(kept->x, work, proceed_waited, kept);
}

static void read_fetched(void *ctx, struct http_exchange *x)
{
    http_work(x, read_ddi_file, proceed_waited, ctx);
}

/* The file of a DDI job, which may have to come from the bucket first. */
static void wait_for_ddi_file(struct ask *ask)
{
    struct ask *kept = keep(ask);
    if (kept == NULL) return;
    int fd =
        kept->skins->fetch != NULL ? store_artifact_here(kept->skins->options.store, kept->ddi.sha256) : -1;
    if (fd >= 0) (void)close(fd);
    if (fd != -MOLT_NOT_FOUND ||
        !fetch_wait(kept->skins->fetch, kept->x, kept->ddi.sha256, read_fetched, kept))
        http_work(kept->x, read_ddi_file, proceed_waited, kept);
}

/* Answers, or lets a worker find out first what the answer needs. False when a worker has ask now. */
/* A device that asks too often is told to wait, before anything is looked at for it. */
static bool may_ask(struct ask *ask)
{
    struct skins *skins = ask->skins;
    if (ask->on_heap || ask->rehearsed || ask->id[0] == '\0') return true; /* asked already, or nobody's */
    if (!atomic_load_explicit(&skins->polls_limited, memory_order_relaxed)) return true;
    if (throttle_take(skins->polls, ask->id, ask->now_ms)) return true;
    struct http_response response = {.status = 429,
                                     .headers = "Retry-After: 60\r\nCache-Control: no-store\r\n"};
    counters_add(COUNTER_LIMITED_DEVICE);
    http_respond(ask->x, &response);
    return false;
}

static bool proceed(struct ask *ask)
{
    if (!may_ask(ask)) return true;
    if (!credential_is_known(ask)) {
        if (!may_guess(ask)) return true;
        wait_for(ask, check_token);
        return false;
    }
    if (!skin_enrols(ask)) return true;
    if (!file_is_known(ask)) {
        wait_for(ask, read_file);
        return false;
    }
    if (ask->kind == ASK_DDI && skin_ddi_must_read(ask)) {
        wait_for_ddi_file(ask);
        return false;
    }
    serve(ask);
    return true;
}

static void proceed_waited(void *ctx, struct http_exchange *x)
{
    (void)x;
    if (proceed(ctx)) free(ctx);
}

void skins_handle(void *ctx, struct http_exchange *x)
{
    struct ask ask;
    memset(&ask, 0, offsetof(struct ask, path));
    ask.skins = ctx;
    ask.x = x;
    ask.now_ms = clock_now_ms();
    if (!take_apart(&ask)) return;
    if (ask.id[0] != '\0') devices_expect(ask.skins->options.devices, ask.id);
    (void)proceed(&ask);
}
