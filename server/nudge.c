/* nudge.c - see nudge.h. Must never hold up who changes the rules, nor say anything of a device.
 * Tests: test/e2e/nudge_test.sh (Debian's mosquitto), test/unit/nudge_test.c. */
#include "nudge.h"

#include <inttypes.h>
#include <mosquitto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "nudge_parts.h"

#define KEEPALIVE_S     60
#define RECONNECT_MAX_S 60

struct said { /* of one product */
    char product[MODEL_NAME_LEN];
    uint64_t generation;
};

struct nudge {
    struct nudge_url url;
    struct mosquitto *client;
    pthread_mutex_t lock;
    bool connected; /* guarded by lock, as all below */
    struct said *said;
    size_t count, capacity;
};

/* ---- the address ---- */

static bool take(const char *from, size_t len, char *out, size_t cap)
{
    if (len >= cap) return false;
    memcpy(out, from, len);
    out[len] = '\0';
    return true;
}

/* HOST[:PORT], [v6] in brackets. */
static bool take_host(const char *at, size_t len, struct nudge_url *out)
{
    const char *colon = NULL;
    for (size_t i = 0; i < len; i++) {
        if (at[i] == ']') colon = NULL;
        if (at[i] == ':') colon = at + i;
    }
    size_t host = colon != NULL ? (size_t)(colon - at) : len;
    if (host > 1 && at[0] == '[' && at[host - 1] == ']') {
        at++;
        host -= 2;
    }
    if (host == 0 || !take(at, host, out->host, sizeof out->host)) return false;
    if (colon == NULL) return true;
    char *end;
    long port = strtol(colon + 1, &end, 10);
    if (port < 1 || port > 65535 || end == colon + 1 || (*end != '\0' && *end != '/')) return false;
    out->port = (int)port;
    return true;
}

bool nudge_url_parse(const char *text, struct nudge_url *out)
{
    *out = (struct nudge_url){.port = 1883, .prefix = "molt"};
    if (strncmp(text, "mqtts://", 8) == 0) {
        out->tls = true;
        out->port = 8883;
        text += 8;
    } else if (strncmp(text, "mqtt://", 7) == 0) {
        text += 7;
    } else {
        return false;
    }
    size_t len = strcspn(text, "/");
    const char *path = text + len, *sign = memchr(text, '@', len);
    if (sign != NULL) {
        const char *colon = memchr(text, ':', (size_t)(sign - text));
        const char *user_end = colon != NULL ? colon : sign;
        if (!take(text, (size_t)(user_end - text), out->user, sizeof out->user)) return false;
        if (colon != NULL &&
            !take(colon + 1, (size_t)(sign - colon - 1), out->password, sizeof out->password))
            return false;
        len -= (size_t)(sign + 1 - text);
        text = sign + 1;
    }
    if (!take_host(text, len, out)) return false;
    if (path[0] == '\0' || path[1] == '\0') return true;
    return strpbrk(path + 1, "+#") == NULL && path[strlen(path) - 1] != '/' &&
           take(path + 1, strlen(path + 1), out->prefix, sizeof out->prefix);
}

/* ---- what is said ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    for (int i = 0; i < 64; i += 8)
        hash = (hash ^ (value >> i & 0xFF)) * 0x100000001B3u;
    return hash;
}

uint64_t nudge_generation(const struct store_rules *rules, const struct model_product *product)
{
    uint64_t hash = mix(mix(0xCBF29CE484222325u, product->stopped), product->rollouts_only);
    hash = mix(mix(hash, product->approval), (uint64_t)product->downgrade);
    for (uint32_t i = 0; i < rules->release_count; i++) {
        const struct model_release *release = &rules->releases[i];
        if (release->product_id != product->id) continue;
        hash = mix(mix(mix(hash, (uint64_t)release->id), release->yanked), release->required);
        hash = mix(hash, release->image_count);
    }
    for (uint32_t i = 0; i < rules->rollout_count; i++) {
        const struct model_rollout *rollout = &rules->rollouts[i];
        if (rollout->product_id != product->id) continue;
        hash = mix(mix(mix(hash, (uint64_t)rollout->id), (uint64_t)rollout->status), rollout->phase);
    }
    return hash;
}

/* With the lock held. The answer of the broker is not waited for; a message that is lost is sent again at the next connection. */
static void send_one(struct nudge *nudge, const struct said *said)
{
    char topic[256], text[24];
    int len = snprintf(topic, sizeof topic, "%s/%s/generation", nudge->url.prefix, said->product);
    if (!nudge->connected || len < 0 || (size_t)len >= sizeof topic) return;
    len = snprintf(text, sizeof text, "%016" PRIx64, said->generation);
    (void)mosquitto_publish(nudge->client, NULL, topic, len, text, 1, true);
}

/* With the lock held. NULL: memory is short. */
static struct said *said_of(struct nudge *nudge, const char *product)
{
    for (size_t i = 0; i < nudge->count; i++)
        if (strcmp(nudge->said[i].product, product) == 0) return &nudge->said[i];
    if (nudge->count == nudge->capacity) {
        size_t capacity = nudge->capacity != 0 ? 2 * nudge->capacity : 8;
        struct said *grown = realloc(nudge->said, capacity * sizeof *grown);
        if (grown == NULL) return NULL;
        nudge->said = grown;
        nudge->capacity = capacity;
    }
    struct said *one = &nudge->said[nudge->count++];
    *one = (struct said){.generation = 0};
    snprintf(one->product, sizeof one->product, "%s", product);
    return one;
}

void nudge_rules(struct nudge *nudge, const struct store_rules *rules)
{
    if (nudge == NULL) return;
    pthread_mutex_lock(&nudge->lock);
    for (uint32_t i = 0; i < rules->product_count; i++) {
        struct said *said = said_of(nudge, rules->products[i].name);
        uint64_t generation = nudge_generation(rules, &rules->products[i]);
        if (said == NULL || said->generation == generation) continue;
        said->generation = generation;
        send_one(nudge, said);
    }
    pthread_mutex_unlock(&nudge->lock);
}

/* ---- the connection; both are called by the library's thread ---- */

static void on_connect(struct mosquitto *client, void *ctx, int rc)
{
    struct nudge *nudge = ctx;
    (void)client;
    log_event("event=mqtt state=%s%s%s", rc == 0 ? "connected" : "refused",
              rc == 0 ? "" : " error=", rc == 0 ? "" : mosquitto_connack_string(rc));
    if (rc != 0) return;
    pthread_mutex_lock(&nudge->lock);
    nudge->connected = true;
    for (size_t i = 0; i < nudge->count; i++) /* a broker that was started anew may have forgotten */
        send_one(nudge, &nudge->said[i]);
    pthread_mutex_unlock(&nudge->lock);
}

static void on_disconnect(struct mosquitto *client, void *ctx, int rc)
{
    struct nudge *nudge = ctx;
    (void)client;
    pthread_mutex_lock(&nudge->lock);
    bool was = nudge->connected;
    nudge->connected = false;
    pthread_mutex_unlock(&nudge->lock);
    if (was && rc != 0) log_event("event=mqtt state=lost");
}

static int fail(struct nudge *nudge, char *err, size_t cap, const char *what)
{
    snprintf(err, cap, "--mqtt: %s", what);
    nudge_close(nudge);
    return -1;
}

int nudge_open(struct nudge **out, const char *url, char *err, size_t err_cap)
{
    struct nudge *nudge = calloc(1, sizeof *nudge);
    *out = NULL;
    if (nudge == NULL) return fail(nudge, err, err_cap, "out of memory");
    pthread_mutex_init(&nudge->lock, NULL);
    mosquitto_lib_init();
    if (!nudge_url_parse(url, &nudge->url))
        return fail(nudge, err, err_cap, "wants mqtt://[USER:PASSWORD@]HOST[:PORT][/PREFIX], or mqtts://");
    nudge->client = mosquitto_new(NULL, true, nudge);
    if (nudge->client == NULL) return fail(nudge, err, err_cap, "out of memory");
    mosquitto_connect_callback_set(nudge->client, on_connect);
    mosquitto_disconnect_callback_set(nudge->client, on_disconnect);
    mosquitto_reconnect_delay_set(nudge->client, 1, RECONNECT_MAX_S, true);
    const char *user = nudge->url.user[0] != '\0' ? nudge->url.user : NULL;
    const char *password = nudge->url.password[0] != '\0' ? nudge->url.password : NULL;
    if (mosquitto_username_pw_set(nudge->client, user, password) != MOSQ_ERR_SUCCESS)
        return fail(nudge, err, err_cap, "out of memory");
    if (nudge->url.tls &&
        mosquitto_tls_set(nudge->client, NULL, "/etc/ssl/certs", NULL, NULL, NULL) != MOSQ_ERR_SUCCESS)
        return fail(nudge, err, err_cap, "the system has no certificates of authorities (/etc/ssl/certs)");
    /* when nobody is there, the thread tries again */
    (void)mosquitto_connect_async(nudge->client, nudge->url.host, nudge->url.port, KEEPALIVE_S);
    if (mosquitto_loop_start(nudge->client) != MOSQ_ERR_SUCCESS)
        return fail(nudge, err, err_cap, "no thread can be made");
    *out = nudge;
    return 0;
}

void nudge_close(struct nudge *nudge)
{
    if (nudge == NULL) return;
    if (nudge->client != NULL) {
        mosquitto_disconnect(nudge->client);
        mosquitto_loop_stop(nudge->client, false);
        mosquitto_destroy(nudge->client);
    }
    mosquitto_lib_cleanup();
    pthread_mutex_destroy(&nudge->lock);
    free(nudge->said);
    free(nudge);
}
