/* oidc.c - the conversation with an OpenID provider. Must never follow a redirect, use a state twice, or take an address that the
 * provider has not verified. Tests: test/unit/oidc_test.c, test/e2e/oidc. */
#include "oidc.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "molt_reason.h"
#include "oidc_token.h"

#define ANSWER_MAX    (256u * 1024)
#define PENDING_MS    600000
#define KEY_LEN       65
#define ENDPOINT_LEN  512
#define REDIRECT_LEN  512
#define CHALLENGE_LEN 44

struct pending {
    int64_t since_ms; /* 0: free */
    char state[OIDC_STATE_LEN], nonce[KEY_LEN], verifier[KEY_LEN], redirect[REDIRECT_LEN];
};

struct oidc {
    pthread_mutex_t lock;
    char issuer[ENDPOINT_LEN], client_id[256], secret[256];
    struct pending pending[OIDC_PENDING];
};

struct answer {
    char *text;
    size_t len;
};

static int fail(char why[OIDC_WHY_LEN], int rc, const char *what, const char *detail)
{
    snprintf(why, OIDC_WHY_LEN, "%s%s%.160s", what, detail[0] != '\0' ? ": " : "", detail);
    return rc;
}

/* https, or http that does not leave this machine. */
static bool is_safe(const char *url)
{
    if (strncmp(url, "https://", 8) == 0) return url[8] != '\0';
    return strncmp(url, "http://127.0.0.1:", 17) == 0 || strncmp(url, "http://localhost:", 17) == 0;
}

static bool random_hex(char out[KEY_LEN])
{
    uint8_t bytes[32];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) return false;
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

struct oidc *oidc_new(const char *issuer, const char *client_id, const char *secret, char why[OIDC_WHY_LEN])
{
    struct oidc *oidc = calloc(1, sizeof *oidc);
    const bool fits = strlen(issuer) < sizeof oidc->issuer && strlen(client_id) < sizeof oidc->client_id &&
                      strlen(secret) < sizeof oidc->secret && client_id[0] != '\0';
    if (oidc == NULL || !fits || !is_safe(issuer)) {
        free(oidc);
        (void)fail(why, 0, "an issuer begins with https:// and has a client", "");
        return NULL;
    }
    pthread_mutex_init(&oidc->lock, NULL);
    snprintf(oidc->issuer, sizeof oidc->issuer, "%s", issuer);
    snprintf(oidc->client_id, sizeof oidc->client_id, "%s", client_id);
    snprintf(oidc->secret, sizeof oidc->secret, "%s", secret);
    return oidc;
}

void oidc_free(struct oidc *oidc)
{
    if (oidc == NULL) return;
    pthread_mutex_destroy(&oidc->lock);
    OPENSSL_cleanse(oidc, sizeof *oidc);
    free(oidc);
}

/* ---- asking ---- */

static size_t take(char *bytes, size_t one, size_t count, void *ctx)
{
    struct answer *answer = ctx;
    const size_t len = one * count;
    if (len > ANSWER_MAX - answer->len) return 0;
    memcpy(answer->text + answer->len, bytes, len);
    answer->len += len;
    return len;
}

/* GET, or POST of a form with the client's secret. NULL with why: no JSON object came, or an error. */
static json_t *ask(const struct oidc *oidc, const char *url, const char *form, char why[OIDC_WHY_LEN])
{
    struct answer answer = {.text = malloc(ANSWER_MAX)};
    CURL *curl = answer.text != NULL ? curl_easy_init() : NULL;
    json_t *json = NULL;
    long status = 0;
    if (curl != NULL) {
        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https"); /* is_safe() says when http */
        curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)OIDC_WAIT_S);
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
        if (form != NULL) curl_easy_setopt(curl, CURLOPT_POSTFIELDS, form);
        if (form != NULL && oidc->secret[0] != '\0') {
            char *id = curl_easy_escape(curl, oidc->client_id, 0),
                 *secret = curl_easy_escape(curl, oidc->secret, 0);
            curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
            curl_easy_setopt(curl, CURLOPT_USERNAME, id != NULL ? id : "");
            curl_easy_setopt(curl, CURLOPT_PASSWORD, secret != NULL ? secret : "");
            curl_free(id);
            curl_free(secret);
        }
        const CURLcode rc = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        if (rc == CURLE_OK && status == 200)
            json = json_loadb(answer.text, answer.len, JSON_REJECT_DUPLICATES, NULL);
        if (json == NULL)
            (void)fail(why, 0, "the provider does not answer as one",
                       rc != CURLE_OK ? curl_easy_strerror(rc) : url);
        curl_easy_cleanup(curl);
    }
    if (answer.text != NULL) OPENSSL_cleanse(answer.text, answer.len);
    free(answer.text);
    return json;
}

static const char *text_at(const json_t *json, const char *field)
{
    const char *text = json_string_value(json_object_get(json, field));
    return text != NULL ? text : "";
}

/* What the provider says of itself. NULL with why. */
static json_t *discover(const struct oidc *oidc, char why[OIDC_WHY_LEN])
{
    char url[ENDPOINT_LEN + 64];
    const size_t len = strlen(oidc->issuer);
    snprintf(url, sizeof url, "%.*s/.well-known/openid-configuration",
             (int)(len > 0 && oidc->issuer[len - 1] == '/' ? len - 1 : len), oidc->issuer);
    json_t *json = ask(oidc, url, NULL, why);
    if (json == NULL) return NULL;
    if (strcmp(text_at(json, "issuer"), oidc->issuer) == 0 &&
        is_safe(text_at(json, "authorization_endpoint")) && is_safe(text_at(json, "token_endpoint")) &&
        is_safe(text_at(json, "jwks_uri")))
        return json;
    (void)fail(why, 0, "the provider is another one than its address says, or is not on https", "");
    json_decref(json);
    return NULL;
}

/* ---- begin ---- */

/* BASE64URL(SHA256(verifier)), RFC 7636. */
static bool challenge_of(const char *verifier, char out[CHALLENGE_LEN])
{
    uint8_t sha256[32];
    unsigned char text[48];
    if (EVP_Digest(verifier, strlen(verifier), sha256, NULL, EVP_sha256(), NULL) != 1) return false;
    EVP_EncodeBlock(text, sha256, sizeof sha256); /* 44 characters, the last one padding */
    for (size_t i = 0; i < CHALLENGE_LEN - 1; i++)
        out[i] = (char)(text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
    out[CHALLENGE_LEN - 1] = '\0';
    return true;
}

static void add_query(CURL *curl, char *url, size_t cap, const char *name, const char *value)
{
    char *escaped = curl_easy_escape(curl, value, 0);
    const size_t len = strlen(url);
    snprintf(url + len, cap - len, "%c%s=%s", strchr(url, '?') == NULL ? '?' : '&', name,
             escaped != NULL ? escaped : "");
    curl_free(escaped);
}

static void remember(struct oidc *oidc, const struct pending *made)
{
    pthread_mutex_lock(&oidc->lock);
    struct pending *place = &oidc->pending[0]; /* a free one is of 0 */
    for (size_t i = 1; i < OIDC_PENDING; i++)
        if (oidc->pending[i].since_ms < place->since_ms) place = &oidc->pending[i];
    *place = *made;
    pthread_mutex_unlock(&oidc->lock);
}

int oidc_begin(struct oidc *oidc, const char *redirect, int64_t now_ms, char url[OIDC_URL_LEN],
               char state[OIDC_STATE_LEN], char why[OIDC_WHY_LEN])
{
    struct pending made = {.since_ms = now_ms};
    char challenge[CHALLENGE_LEN];
    if (strlen(redirect) >= REDIRECT_LEN || (strncmp(redirect, "https://", 8) != 0 && !is_safe(redirect)))
        return fail(why, -MOLT_ARG, "the dashboard's own address must be https, or on this machine", "");
    json_t *provider = discover(oidc, why);
    if (provider == NULL) return -MOLT_CONNECT;
    CURL *curl = curl_easy_init();
    snprintf(made.redirect, sizeof made.redirect, "%s", redirect);
    const bool ok = curl != NULL && random_hex(made.state) && random_hex(made.nonce) &&
                    random_hex(made.verifier) && challenge_of(made.verifier, challenge);
    if (ok) {
        snprintf(url, OIDC_URL_LEN, "%.*s", ENDPOINT_LEN, text_at(provider, "authorization_endpoint"));
        add_query(curl, url, OIDC_URL_LEN, "response_type", "code");
        add_query(curl, url, OIDC_URL_LEN, "client_id", oidc->client_id);
        add_query(curl, url, OIDC_URL_LEN, "redirect_uri", redirect);
        add_query(curl, url, OIDC_URL_LEN, "scope", "openid email");
        add_query(curl, url, OIDC_URL_LEN, "state", made.state);
        add_query(curl, url, OIDC_URL_LEN, "nonce", made.nonce);
        add_query(curl, url, OIDC_URL_LEN, "code_challenge", challenge);
        add_query(curl, url, OIDC_URL_LEN, "code_challenge_method", "S256");
        memcpy(state, made.state, OIDC_STATE_LEN);
        remember(oidc, &made);
    }
    curl_easy_cleanup(curl);
    json_decref(provider);
    OPENSSL_cleanse(&made, sizeof made);
    return ok ? 0 : fail(why, -MOLT_NO_MEMORY, "memory or randomness is short", "");
}

/* ---- finish ---- */

/* Takes the login out, so that it is good once. */
static bool recall(struct oidc *oidc, const char *state, int64_t now_ms, struct pending *out)
{
    bool found = false;
    pthread_mutex_lock(&oidc->lock);
    for (size_t i = 0; strlen(state) == OIDC_STATE_LEN - 1 && i < OIDC_PENDING; i++) {
        struct pending *one = &oidc->pending[i];
        if (one->since_ms == 0 || CRYPTO_memcmp(one->state, state, OIDC_STATE_LEN) != 0) continue;
        found = now_ms - one->since_ms <= PENDING_MS;
        *out = *one;
        OPENSSL_cleanse(one, sizeof *one);
    }
    pthread_mutex_unlock(&oidc->lock);
    return found;
}

static json_t *exchange(const struct oidc *oidc, const char *endpoint, const struct pending *login,
                        const char *code, char why[OIDC_WHY_LEN])
{
    char form[4096] = "?"; /* so that add_query() joins with '&' */
    CURL *curl = curl_easy_init();
    if (curl == NULL) return NULL;
    add_query(curl, form, sizeof form, "grant_type", "authorization_code");
    add_query(curl, form, sizeof form, "code", code);
    add_query(curl, form, sizeof form, "redirect_uri", login->redirect);
    add_query(curl, form, sizeof form, "client_id", oidc->client_id);
    add_query(curl, form, sizeof form, "code_verifier", login->verifier);
    curl_easy_cleanup(curl);
    json_t *json = ask(oidc, endpoint, form + 2, why);
    OPENSSL_cleanse(form, sizeof form);
    return json;
}

/* The address, if the provider says that it is his. */
static int take_name(const json_t *claims, char name[STORE_ACCOUNT_LEN], char why[OIDC_WHY_LEN])
{
    const char *email = text_at(claims, "email");
    if (email[0] == '\0' || !json_is_true(json_object_get(claims, "email_verified")))
        return fail(why, -MOLT_UNAUTHORIZED, "the provider has no verified e-mail address of you", "");
    size_t len = strnlen(email, STORE_ACCOUNT_LEN);
    if (len == STORE_ACCOUNT_LEN) return fail(why, -MOLT_UNAUTHORIZED, "your e-mail address is too long", "");
    for (size_t i = 0; i <= len; i++)
        name[i] = (char)(email[i] >= 'A' && email[i] <= 'Z' ? email[i] | 0x20 : email[i]);
    return 0;
}

int oidc_finish(struct oidc *oidc, const char *state, const char *code, int64_t now_ms,
                char name[STORE_ACCOUNT_LEN], char why[OIDC_WHY_LEN])
{
    struct pending login;
    const char *bad = "";
    if (!recall(oidc, state, now_ms, &login))
        return fail(why, -MOLT_UNAUTHORIZED, "this login is unknown, too old, or was used; begin again", "");
    json_t *provider = discover(oidc, why);
    json_t *tokens =
        provider != NULL ? exchange(oidc, text_at(provider, "token_endpoint"), &login, code, why) : NULL;
    json_t *jwks = tokens != NULL ? ask(oidc, text_at(provider, "jwks_uri"), NULL, why) : NULL;
    int rc = jwks != NULL ? 0 : -MOLT_CONNECT;
    if (rc == 0) {
        const struct oidc_expected expected = {oidc->issuer, oidc->client_id, login.nonce, now_ms};
        json_t *claims = oidc_claims(text_at(tokens, "id_token"), jwks, &expected, &bad);
        rc = claims != NULL ? take_name(claims, name, why)
                            : fail(why, -MOLT_UNAUTHORIZED, "the provider's token is refused", bad);
        json_decref(claims);
    }
    json_decref(jwks);
    json_decref(tokens);
    json_decref(provider);
    OPENSSL_cleanse(&login, sizeof login);
    return rc;
}
