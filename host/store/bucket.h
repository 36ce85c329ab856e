/* bucket.h - artifacts in a bucket of an S3-compatible store (AWS, MinIO, SeaweedFS, Ceph, Garage), for several nodes to share.
 * Private to host/store; others go through store.h.
 *
 * One object an artifact, named by its SHA-256, written once: any number of nodes may share a bucket. Every request is a
 * presigned URL (Signature Version 4, query form, path-style addresses), so that what a device is redirected to and what the
 * server itself does are signed by the same code. The source of the form: AWS, "Authenticating Requests: Using Query
 * Parameters", whose example is a test. */
#ifndef MOLT_HOST_STORE_BUCKET_H
#define MOLT_HOST_STORE_BUCKET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bucket;

/* What signs. Texts are borrowed. */
struct s3_signer {
    const char *scheme, *host; /* "https", "s3.example.org:9000" */
    const char *region;
    const char *access_key, *secret_key;
    const char *session_token; /* NULL: none */
};
/* The URL of a request that whoever has it may make for expires_s seconds from now_s (Unix time) on. path: "/bucket/key", of
 * characters that need no escape. -MOLT_ARG: a text is too long for out; -MOLT_INTERNAL: OpenSSL failed. */
#define S3_URL_LEN 4096
int s3_presign(const struct s3_signer *signer, const char *method, const char *path, int64_t now_s,
               uint32_t expires_s, char out[S3_URL_LEN]);

/* url: "s3://BUCKET[/PREFIX]". The rest comes from the environment, by the names that AWS's tools have: AWS_REGION
 * (or AWS_DEFAULT_REGION; us-east-1), AWS_ENDPOINT_URL_S3 (or AWS_ENDPOINT_URL; AWS itself), keys: bucket_keys.h. Asks nobody. -MOLT_ARG with a sentence in store_error(). */
int bucket_open(const char *url, struct bucket **out);
void bucket_close(struct bucket *bucket);

/* Each may take a minute, and is for a thread that has time; any number of threads at once. -MOLT_STORE_FAILED: store_error() says what the bucket said. */
/* Writes the object, with headers that let caches keep it for ever. */
int bucket_put(struct bucket *bucket, const uint8_t sha256[32], const void *data, size_t len);
/* Writes the object's bytes to fd and compares them with the digest. -MOLT_NOT_FOUND; -MOLT_DIGEST_MISMATCH: it is damaged. stop
 * (may be NULL): becomes true when the caller wants it ended. */
int bucket_get(struct bucket *bucket, const uint8_t sha256[32], int fd, const atomic_bool *stop);
/* 0 when it is there; -MOLT_NOT_FOUND. *len: its length. */
int bucket_look(struct bucket *bucket, const uint8_t sha256[32], uint64_t *len);
/* A URL for everybody that gives the object for expires_s seconds. */
int bucket_link(struct bucket *bucket, const uint8_t sha256[32], int64_t now_s, uint32_t expires_s,
                char out[S3_URL_LEN]);

#endif
