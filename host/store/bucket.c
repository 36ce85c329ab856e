/* bucket.c - puts and gets objects of an S3-compatible store by presigned URLs, with libcurl. Must never take bytes for an
 * artifact that have another digest, nor wait for ever. Tests: test/e2e/s3_test.sh. */
#include "bucket.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bucket_keys.h"
#include "parts.h"

#define NAME_LEN     256
#define OWN_S        300u /* how long a URL of our own is good */
#define CONNECT_S    10L
#define TRANSFER_S   600L
#define SLOWEST      1000L /* bytes a second, over ... */
#define SLOW_FOR_S   30L
#define ANSWER_LEN   2048u /* of an error's XML */
#define CACHE_HEADER "Cache-Control: public, max-age=31536000, immutable"

struct bucket {
    char scheme[8], host[NAME_LEN], region[64];
    char path[NAME_LEN]; /* "/bucket/prefix" */
    pthread_mutex_t lock;
    struct bucket_keys keys; /* guarded by it: they may be renewed */
};

/* ---- what it is ---- */

static const char *from_environment(const char *first, const char *second)
{
    const char *value = getenv(first);
    if (value == NULL || value[0] == '\0') value = second != NULL ? getenv(second) : NULL;
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool keep(char *out, size_t cap, const char *text)
{
    const int len = snprintf(out, cap, "%s", text);
    return len >= 0 && (size_t)len < cap;
}

/* Characters of which none needs an escape, in a URL or in its signature. */
static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        const char c = *text;
        const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && strchr("/._-", c) == NULL) return false;
    }
    return true;
}

static int read_place(struct bucket *bucket, const char *url)
{
    if (strncmp(url, "s3://", 5) != 0 || url[5] == '/' || url[5] == '\0' || !is_plain(url + 5) ||
        strstr(url + 5, "//") != NULL)
        return store_fail(
            MOLT_ARG, "a bucket is named by s3://BUCKET or s3://BUCKET/PREFIX, of letters, digits and . _ -");
    bool fits = keep(bucket->path, sizeof bucket->path, url + 4);
    size_t len = strlen(bucket->path);
    if (fits && bucket->path[len - 1] == '/') bucket->path[len - 1] = '\0';
    return fits ? 0 : store_fail(MOLT_ARG, "the bucket's name is too long");
}

static int read_endpoint(struct bucket *bucket)
{
    const char *region = from_environment("AWS_REGION", "AWS_DEFAULT_REGION");
    const char *endpoint = from_environment("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL");
    char aws[NAME_LEN];
    if (!keep(bucket->region, sizeof bucket->region, region != NULL ? region : "us-east-1"))
        return store_fail(MOLT_ARG, "AWS_REGION is too long");
    (void)snprintf(aws, sizeof aws, "https://s3.%s.amazonaws.com", bucket->region);
    if (endpoint == NULL) endpoint = aws;
    const char *host = strstr(endpoint, "://");
    const bool http = strncmp(endpoint, "http://", 7) == 0, https = strncmp(endpoint, "https://", 8) == 0;
    if (host == NULL || (!http && !https) || !keep(bucket->host, sizeof bucket->host, host + 3))
        return store_fail(MOLT_ARG, "AWS_ENDPOINT_URL begins with http:// or https://");
    memcpy(bucket->scheme, https ? "https" : "http", https ? 6 : 5);
    size_t len = strlen(bucket->host);
    if (len > 0 && bucket->host[len - 1] == '/') bucket->host[--len] = '\0';
    return len > 0 && strpbrk(bucket->host, "/?#@ ") == NULL
               ? 0
               : store_fail(MOLT_ARG, "AWS_ENDPOINT_URL is http(s)://HOST[:PORT] and nothing more");
}

int bucket_open(const char *url, struct bucket **out)
{
    struct bucket *bucket = calloc(1, sizeof *bucket);
    *out = NULL;
    if (bucket == NULL) return store_fail(MOLT_NO_MEMORY, "out of memory");
    pthread_mutex_init(&bucket->lock, NULL);
    int rc = read_place(bucket, url);
    if (rc == 0) rc = read_endpoint(bucket);
    if (rc == 0) rc = bucket_keys_load(&bucket->keys);
    if (rc == 0 && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        rc = store_fail(MOLT_INTERNAL, "libcurl cannot start");
    if (rc == 0)
        *out = bucket;
    else
        bucket_close(bucket);
    return rc;
}

void bucket_close(struct bucket *bucket)
{
    if (bucket == NULL) return;
    pthread_mutex_destroy(&bucket->lock);
    OPENSSL_cleanse(bucket, sizeof *bucket);
    free(bucket);
}

/* ---- requests ---- */

struct transfer {
    const uint8_t *send; /* PUT */
    size_t send_len, sent;
    int fd; /* GET: where the bytes go */
    EVP_MD_CTX *digest;
    bool written_badly;
    const atomic_bool *stop;
    CURL *curl;
    char answer[ANSWER_LEN]; /* of an error */
    size_t answer_len;
};

static size_t give(char *out, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    size_t len = size * count, left = t->send_len - t->sent;
    if (len > left) len = left;
    memcpy(out, t->send + t->sent, len);
    t->sent += len;
    return len;
}

static bool write_file(struct transfer *t, const char *bytes, size_t len)
{
    if (EVP_DigestUpdate(t->digest, bytes, len) != 1) return false;
    for (size_t at = 0; at < len;) {
        ssize_t put = write(t->fd, bytes + at, len - at);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return false;
        at += (size_t)put;
    }
    return true;
}

static size_t take(char *bytes, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    const size_t len = size * count;
    long status = 0;
    (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200 && t->digest != NULL) {
        t->written_badly = !write_file(t, bytes, len);
        return t->written_badly ? 0 : len;
    }
    const size_t room = sizeof t->answer - 1 - t->answer_len, kept = len < room ? len : room;
    memcpy(t->answer + t->answer_len, bytes, kept);
    t->answer_len += kept;
    return len;
}

static int shall_stop(void *ctx, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now)
{
    const struct transfer *t = ctx;
    (void)total, (void)now, (void)up_total, (void)up_now;
    return t->stop != NULL && atomic_load(t->stop);
}

/* "SignatureDoesNotMatch" out of the XML of an error; "" when there is none. */
static void code_of(const struct transfer *t, char out[64])
{
    const char *begin = strstr(t->answer, "<Code>");
    const size_t len = begin != NULL ? strcspn(begin + 6, "<") : 0;
    out[0] = '\0';
    if (begin != NULL) (void)snprintf(out, 64, "%.*s", len < 63 ? (int)len : 63, begin + 6);
}

static int outcome(const struct bucket *bucket, const struct transfer *t, CURLcode code, const char *why)
{
    char said[64];
    long status = 0;
    (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->written_badly)
        return store_fail(MOLT_STORE_FAILED, "cannot write an artifact: %s", strerror(errno));
    if (code != CURLE_OK)
        return store_fail(MOLT_STORE_FAILED, "the bucket at %s cannot be reached: %s", bucket->host,
                          why[0] != '\0' ? why : curl_easy_strerror(code));
    if (status == 200) return 0;
    code_of(t, said);
    if (status == 404 && strcmp(said, "NoSuchBucket") != 0)
        return store_fail(MOLT_NOT_FOUND, "the bucket has no such object");
    return store_fail(MOLT_STORE_FAILED, "the bucket at %s says %ld %s", bucket->host, status, said);
}

static void path_of(const struct bucket *bucket, const uint8_t sha256[32], char out[NAME_LEN + 80])
{
    char hex[65];
    for (size_t i = 0; i < 32; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", sha256[i]);
    (void)snprintf(out, NAME_LEN + 80, "%s/%s", bucket->path, hex);
}

static void set_up(struct transfer *t, const char *method, const char *url, char *why,
                   struct curl_slist *headers)
{
    (void)curl_easy_setopt(t->curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(t->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(t->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, why);
    (void)curl_easy_setopt(t->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
    (void)curl_easy_setopt(t->curl, CURLOPT_TIMEOUT, TRANSFER_S);
    (void)curl_easy_setopt(t->curl, CURLOPT_LOW_SPEED_LIMIT, SLOWEST);
    (void)curl_easy_setopt(t->curl, CURLOPT_LOW_SPEED_TIME, SLOW_FOR_S);
    (void)curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, take);
    (void)curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, t);
    (void)curl_easy_setopt(t->curl, CURLOPT_XFERINFOFUNCTION, shall_stop);
    (void)curl_easy_setopt(t->curl, CURLOPT_XFERINFODATA, t);
    (void)curl_easy_setopt(t->curl, CURLOPT_NOPROGRESS, 0L);
    if (strcmp(method, "HEAD") == 0) (void)curl_easy_setopt(t->curl, CURLOPT_NOBODY, 1L);
    if (strcmp(method, "PUT") != 0) return;
    (void)curl_easy_setopt(t->curl, CURLOPT_UPLOAD, 1L);
    (void)curl_easy_setopt(t->curl, CURLOPT_READFUNCTION, give);
    (void)curl_easy_setopt(t->curl, CURLOPT_READDATA, t);
    (void)curl_easy_setopt(t->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->send_len);
    (void)curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, headers);
}

/* Headers of an object; "Expect:" saves a round trip. NULL: memory was short. */
static struct curl_slist *object_headers(void)
{
    static const char *const lines[] = {"Content-Type: application/octet-stream", CACHE_HEADER, "Expect:"};
    struct curl_slist *list = NULL;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct curl_slist *longer = curl_slist_append(list, lines[i]);
        if (longer == NULL) curl_slist_free_all(list);
        if (longer == NULL) return NULL;
        list = longer;
    }
    return list;
}

static int presign(struct bucket *bucket, const char *method, const char *path, int64_t now_s,
                   uint32_t expires_s, char out[S3_URL_LEN])
{
    pthread_mutex_lock(&bucket->lock);
    bucket_keys_renew(&bucket->keys);
    const struct s3_signer signer = {
        .scheme = bucket->scheme,
        .host = bucket->host,
        .region = bucket->region,
        .access_key = bucket->keys.access_key,
        .secret_key = bucket->keys.secret_key,
        .session_token = bucket->keys.session_token[0] != '\0' ? bucket->keys.session_token : NULL,
    };
    int rc = s3_presign(&signer, method, path, now_s, expires_s, out);
    pthread_mutex_unlock(&bucket->lock);
    return rc;
}

/* *len (may be NULL): the length that the answer announces. */
static int run(struct bucket *bucket, const char *method, const uint8_t sha256[32], struct transfer *t,
               uint64_t *len)
{
    char path[NAME_LEN + 80], url[S3_URL_LEN], why[CURL_ERROR_SIZE] = "";
    path_of(bucket, sha256, path);
    int rc = presign(bucket, method, path, (int64_t)time(NULL), OWN_S, url);
    if (rc < 0) return rc;
    struct curl_slist *headers = object_headers();
    t->curl = curl_easy_init();
    if (t->curl == NULL || headers == NULL) {
        rc = store_fail(MOLT_NO_MEMORY, "out of memory");
    } else {
        curl_off_t announced = -1;
        set_up(t, method, url, why, headers);
        const CURLcode code = curl_easy_perform(t->curl);
        rc = outcome(bucket, t, code, why);
        (void)curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
        if (len != NULL) *len = announced > 0 ? (uint64_t)announced : 0;
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(t->curl);
    return rc;
}

int bucket_put(struct bucket *bucket, const uint8_t sha256[32], const void *data, size_t len)
{
    struct transfer t = {.send = data, .send_len = len, .fd = -1};
    int rc = run(bucket, "PUT", sha256, &t, NULL);
    return rc == -MOLT_NOT_FOUND ? -MOLT_STORE_FAILED : rc;
}

int bucket_get(struct bucket *bucket, const uint8_t sha256[32], int fd, const atomic_bool *stop)
{
    uint8_t digest[32];
    struct transfer t = {.fd = fd, .digest = EVP_MD_CTX_new(), .stop = stop};
    if (t.digest == NULL || EVP_DigestInit_ex(t.digest, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(t.digest);
        return store_fail(MOLT_NO_MEMORY, "out of memory");
    }
    int rc = run(bucket, "GET", sha256, &t, NULL);
    bool good = EVP_DigestFinal_ex(t.digest, digest, NULL) == 1 && memcmp(digest, sha256, sizeof digest) == 0;
    EVP_MD_CTX_free(t.digest);
    if (rc == 0 && !good)
        return store_fail(MOLT_DIGEST_MISMATCH, "an object in the bucket is damaged: it has another digest "
                                                "than its name; delete it and publish again");
    return rc;
}

int bucket_look(struct bucket *bucket, const uint8_t sha256[32], uint64_t *len)
{
    struct transfer t = {.fd = -1};
    return run(bucket, "HEAD", sha256, &t, len);
}

int bucket_link(struct bucket *bucket, const uint8_t sha256[32], int64_t now_s, uint32_t expires_s,
                char out[S3_URL_LEN])
{
    char path[NAME_LEN + 80];
    path_of(bucket, sha256, path);
    return presign(bucket, "GET", path, now_s, expires_s, out);
}
