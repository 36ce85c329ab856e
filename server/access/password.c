/* password.c - hashing and checking passwords. Must never say by its time whether there is such a user, nor run so often at once
 * that the server's memory is at a stranger's will. Tests: test/unit/password_test.c. */
#include "password.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <string.h>

#include "molt_reason.h"

_Static_assert(crypto_pwhash_STRBYTES <= STORE_PASSWORD_LEN, "a hash fits");

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool ready;
static char nobody[crypto_pwhash_STRBYTES]; /* of a password that nobody knows */
static atomic_int running;

static void begin(void)
{
    unsigned char random[32];
    char text[sizeof random * 2 + 1];
    if (sodium_init() < 0) return;
    randombytes_buf(random, sizeof random);
    sodium_bin2hex(text, sizeof text, random, sizeof random);
    ready = crypto_pwhash_str(nobody, text, strlen(text), crypto_pwhash_OPSLIMIT_INTERACTIVE,
                              crypto_pwhash_MEMLIMIT_INTERACTIVE) == 0;
    sodium_memzero(text, sizeof text);
}

static int enter(void)
{
    pthread_once(&once, begin);
    if (!ready) return -MOLT_NO_MEMORY;
    if (atomic_fetch_add(&running, 1) < PASSWORD_AT_ONCE) return 0;
    atomic_fetch_sub(&running, 1);
    return -MOLT_SERVER_BUSY;
}

static void leave(void)
{
    atomic_fetch_sub(&running, 1);
}

bool password_ok(const char *name, const char *password)
{
    const size_t len = strnlen(password, PASSWORD_MAX + 1);
    return len >= PASSWORD_MIN && len <= PASSWORD_MAX && strcmp(name, password) != 0;
}

int password_hash(const char *password, char out[STORE_PASSWORD_LEN])
{
    memset(out, 0, STORE_PASSWORD_LEN);
    int rc = enter();
    if (rc < 0) return rc;
    rc = crypto_pwhash_str(out, password, strlen(password), crypto_pwhash_OPSLIMIT_INTERACTIVE,
                           crypto_pwhash_MEMLIMIT_INTERACTIVE);
    leave();
    return rc == 0 ? 0 : -MOLT_NO_MEMORY;
}

int password_check(const char *hash, const char *password, bool *outdated)
{
    char text[crypto_pwhash_STRBYTES] = {0}; /* libsodium wants it whole */
    if (outdated != NULL) *outdated = false;
    int rc = enter();
    if (rc < 0) return rc;
    const bool known = hash[0] != '\0' && strnlen(hash, sizeof text) < sizeof text;
    memcpy(text, known ? hash : nobody, strnlen(known ? hash : nobody, sizeof text - 1));
    const bool right = crypto_pwhash_str_verify(text, password, strlen(password)) == 0;
    leave();
    if (!right || !known) return -MOLT_UNAUTHORIZED;
    if (outdated != NULL)
        *outdated = crypto_pwhash_str_needs_rehash(text, crypto_pwhash_OPSLIMIT_INTERACTIVE,
                                                   crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0;
    return 0;
}
