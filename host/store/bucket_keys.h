/* bucket_keys.h - the keys of a bucket, out of the environment or out of a file that somebody renews. Private to bucket.c.
 *
 * AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN come first, as for AWS's own tools. Without them the file of
 * AWS_SHARED_CREDENTIALS_FILE is read (profile AWS_PROFILE, "default"), and read again whenever it has changed: so keys of a role,
 * which expire, need no restart. The form of the file: AWS, "Configuration and credential file settings". */
#ifndef MOLT_HOST_STORE_BUCKET_KEYS_H
#define MOLT_HOST_STORE_BUCKET_KEYS_H

#include <sys/stat.h>

struct bucket_keys {
    char access_key[160], secret_key[160], session_token[1400]; /* "": none */
    const char *file;                                           /* NULL: they are of the environment */
    struct stat read;                                           /* the file as it was when they were read */
};
/* -MOLT_ARG with a sentence in store_error(): there are none. */
int bucket_keys_load(struct bucket_keys *keys);
/* Reads the file again if it changed. What cannot be read leaves the keys as they are, and is tried again at the next call. */
void bucket_keys_renew(struct bucket_keys *keys);

#endif
