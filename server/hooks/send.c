/* send.c - one delivery: signed, sent by libcurl, judged. Must never connect to an address that is not public unless it was allowed, nor
 * follow where an answer points. Tests: test/unit/hooks_test.c, test/e2e/webhook_test.py. */
#include "parts.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define CONNECT_S    5L
#define TOTAL_S      10L
#define ANSWER_MAX   65536 /* bytes of an answer that are read before it is cut */
#define SECRET_BEGIN "whsec_"

size_t hook_key(const char *secret, unsigned char out[HOOK_KEY_MAX + 8])
{
    const size_t begin = strlen(SECRET_BEGIN), len = strlen(secret);
    if (len < begin || memcmp(secret, SECRET_BEGIN, begin) != 0) return 0;
    const char *text = secret + begin;
    const size_t digits = len - begin;
    if (digits % 4 != 0 || digits < 24 || digits > 88) return 0;
    int n = EVP_DecodeBlock(out, (const unsigned char *)text, (int)digits);
    for (size_t i = digits; n > 0 && i > digits - 2 && text[i - 1] == '='; i--)
        n--;
    return n >= 16 && n <= HOOK_KEY_MAX ? (size_t)n : 0;
}

void hook_sign(const unsigned char *key, size_t key_len, const char *id, int64_t timestamp, const char *body,
               char out[HOOK_SIGNATURE_LEN])
{
    char text[STORE_HOOK_BODY_LEN + 80];
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;
    int n = snprintf(text, sizeof text, "%s.%lld.%s", id, (long long)timestamp, body);
    out[0] = '\0';
    if (n < 0 || (size_t)n >= sizeof text) return;
    if (HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text, (size_t)n, mac, &mac_len) == NULL)
        return;
    memcpy(out, "v1,", 3);
    (void)EVP_EncodeBlock((unsigned char *)out + 3, mac, (int)mac_len);
}

bool hook_may_reach(const char *address, const struct net *allow, size_t count)
{
    static const char *const closed[] = {
        "0.0.0.0/8",     "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24",    "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"};
    static const char *const open6 = "2000::/3"; /* all that is given out; what is not is no receiver */
    static const char *const closed6[] = {"2001::/23", "2001:db8::/32", "2002::/16"};
    struct net net;
    if (net_list_has(allow, count, address)) return true;
    if (net_read("0.0.0.0/0", &net) && net_list_has(&net, 1, address)) {
        for (size_t i = 0; i < sizeof closed / sizeof closed[0]; i++) {
            if (!net_read(closed[i], &net) || net_list_has(&net, 1, address)) return false;
        }
        return true;
    }
    if (!net_read(open6, &net) || !net_list_has(&net, 1, address)) return false;
    for (size_t i = 0; i < sizeof closed6 / sizeof closed6[0]; i++) {
        if (!net_read(closed6[i], &net) || net_list_has(&net, 1, address)) return false;
    }
    return true;
}

struct sending {
    const struct net *allow;
    size_t allow_count, got;
    char refused[INET6_ADDRSTRLEN];
};

/* Asked with the address that the name led to, for each that is tried: no name can hide where it goes. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct sending *s = ctx;
    char address[INET6_ADDRSTRLEN] = "";
    struct sockaddr_storage copy;
    (void)purpose;
    memset(&copy, 0, sizeof copy);
    if (to->addrlen > sizeof copy) return CURL_SOCKET_BAD;
    memcpy(&copy, &to->addr, to->addrlen);
    const void *bytes = to->family == AF_INET ? (const void *)&((const struct sockaddr_in *)&copy)->sin_addr
                        : to->family == AF_INET6
                            ? (const void *)&((const struct sockaddr_in6 *)&copy)->sin6_addr
                            : NULL;
    if (bytes == NULL || inet_ntop(to->family, bytes, address, sizeof address) == NULL)
        return CURL_SOCKET_BAD;
    if (!hook_may_reach(address, s->allow, s->allow_count)) {
        memcpy(s->refused, address, sizeof s->refused);
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static size_t swallow(char *data, size_t size, size_t count, void *ctx)
{
    struct sending *s = ctx;
    (void)data;
    s->got += size * count;
    return s->got > ANSWER_MAX ? 0 : size * count;
}

static struct curl_slist *headers_of(const struct store_hook *hook, const struct store_delivery *delivery)
{
    unsigned char key[HOOK_KEY_MAX + 8];
    const size_t key_len = hook_key(hook->secret, key);
    const int64_t now = (int64_t)time(NULL);
    char id[40], signature[HOOK_SIGNATURE_LEN], line[160];
    struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");
    (void)snprintf(id, sizeof id, "msg_%lld", (long long)delivery->id);
    hook_sign(key, key_len, id, now, delivery->body, signature);
    (void)snprintf(line, sizeof line, "webhook-id: %s", id);
    list = curl_slist_append(list, line);
    (void)snprintf(line, sizeof line, "webhook-timestamp: %lld", (long long)now);
    list = curl_slist_append(list, line);
    (void)snprintf(line, sizeof line, "webhook-signature: %s", signature);
    return curl_slist_append(list, line);
}

static void judge(const struct sending *s, CURLcode rc, struct store_delivery *delivery)
{
    delivery->error[0] = '\0';
    if (s->refused[0] != '\0')
        (void)snprintf(delivery->error, sizeof delivery->error,
                       "%s is no public address; --webhook-allow %s would allow it", s->refused, s->refused);
    else if (rc != CURLE_OK && delivery->status == 0)
        (void)snprintf(delivery->error, sizeof delivery->error, "%s", curl_easy_strerror(rc));
    else if (delivery->status < 200 || delivery->status > 299)
        (void)snprintf(delivery->error, sizeof delivery->error, "answered %u%s", (unsigned)delivery->status,
                       delivery->status / 100 == 3 ? "; redirects are not followed" : "");
}

bool hook_send(const struct store_hook *hook, struct store_delivery *delivery, const struct net *allow,
               size_t allow_count)
{
    struct sending s = {.allow = allow, .allow_count = allow_count};
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = headers_of(hook, delivery);
    long status = 0;
    delivery->status = 0;
    if (curl == NULL || headers == NULL) {
        (void)snprintf(delivery->error, sizeof delivery->error, "out of memory");
        curl_slist_free_all(headers);
        curl_easy_cleanup(curl);
        return false;
    }
    curl_easy_setopt(curl, CURLOPT_URL, hook->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, TOTAL_S);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "molt/" MOLT_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, delivery->body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(delivery->body));
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &s);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, swallow);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &s);
    CURLcode rc = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    delivery->status = (uint32_t)status;
    judge(&s, rc, delivery);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return delivery->error[0] == '\0';
}
