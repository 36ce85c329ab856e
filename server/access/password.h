/* password.h - passwords as argon2id texts (libsodium's crypto_pwhash_str, its interactive limits: 64 MiB, two passes), which carry
 * their salt and cost. Thread-safe. Tests: test/unit/password_test.c. */
#ifndef MOLT_SERVER_PASSWORD_H
#define MOLT_SERVER_PASSWORD_H

#include <stdbool.h>

#include "host/store/access.h"

#define PASSWORD_MIN 10u
#define PASSWORD_MAX 128u
/* that are computed at the same time; more are refused, so that nobody fills memory by logging in */
#define PASSWORD_AT_ONCE 2

/* Long enough, not too long, and not the name. */
bool password_ok(const char *name, const char *password);
/* 0; -MOLT_SERVER_BUSY: PASSWORD_AT_ONCE are at it; -MOLT_NO_MEMORY. */
int password_hash(const char *password, char out[STORE_PASSWORD_LEN]);
/* hash "": that of nobody, which takes as long as any other. *outdated (may be NULL): right, and to be hashed anew. 0;
 * -MOLT_UNAUTHORIZED: wrong; -MOLT_SERVER_BUSY. */
int password_check(const char *hash, const char *password, bool *outdated);

#endif
