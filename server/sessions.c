/* sessions.c - the table of sessions. Must never say by its time how much of a guessed key was right, nor keep a token longer
 * than its session. Tests: test/unit/sessions_test.c. */
#include "sessions.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "molt_reason.h"

struct entry {
    char cookie[SESSIONS_KEY_LEN]; /* "": free */
    int64_t used_ms;
    struct session session;
};

struct sessions {
    pthread_mutex_t lock;
    struct entry entries[SESSIONS_MAX];
};

static bool random_key(char key[SESSIONS_KEY_LEN])
{
    unsigned char bytes[32];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) return false;
    for (size_t i = 0; i < sizeof bytes; i++)
        (void)snprintf(key + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

bool sessions_key_is(const char *key, const char *is)
{
    unsigned char differ = 0;
    if (strlen(key) != SESSIONS_KEY_LEN - 1 || strlen(is) != SESSIONS_KEY_LEN - 1) return false;
    for (size_t i = 0; i < SESSIONS_KEY_LEN - 1; i++)
        differ |= (unsigned char)(key[i] ^ is[i]);
    return differ == 0;
}

struct sessions *sessions_new(void)
{
    struct sessions *sessions = calloc(1, sizeof *sessions);
    if (sessions != NULL) pthread_mutex_init(&sessions->lock, NULL);
    return sessions;
}

void sessions_free(struct sessions *sessions)
{
    if (sessions == NULL) return;
    pthread_mutex_destroy(&sessions->lock);
    OPENSSL_cleanse(sessions, sizeof *sessions);
    free(sessions);
}

static void clear(struct entry *entry)
{
    OPENSSL_cleanse(entry, sizeof *entry);
}

static bool is_over(const struct entry *entry, int64_t now_ms)
{
    return entry->cookie[0] != '\0' &&
           (now_ms - entry->used_ms > SESSIONS_IDLE_MS || now_ms - entry->session.since_ms > SESSIONS_MAX_MS);
}

/* The lock is held. NULL: there is none. */
static struct entry *find(struct sessions *sessions, const char *cookie, int64_t now_ms)
{
    struct entry *found = NULL;
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        struct entry *entry = &sessions->entries[i];
        if (is_over(entry, now_ms)) clear(entry);
        if (sessions_key_is(entry->cookie, cookie)) found = entry;
    }
    return found;
}

int sessions_begin(struct sessions *sessions, const struct session *whose, int64_t now_ms,
                   char cookie[SESSIONS_KEY_LEN], struct session *out)
{
    struct entry made = {.used_ms = now_ms, .session = *whose};
    made.session.since_ms = now_ms;
    if ((whose->token[0] != '\0') == (whose->account_id != 0) || !random_key(made.cookie) ||
        !random_key(made.session.csrf))
        return -MOLT_ARG;
    pthread_mutex_lock(&sessions->lock);
    struct entry *place = &sessions->entries[0]; /* a free one was used at 0 */
    for (size_t i = 1; i < SESSIONS_MAX; i++)
        if (sessions->entries[i].used_ms < place->used_ms) place = &sessions->entries[i];
    *place = made;
    pthread_mutex_unlock(&sessions->lock);
    memcpy(cookie, made.cookie, SESSIONS_KEY_LEN);
    *out = made.session;
    clear(&made);
    return 0;
}

bool sessions_find(struct sessions *sessions, const char *cookie, int64_t now_ms, struct session *out)
{
    pthread_mutex_lock(&sessions->lock);
    struct entry *entry = find(sessions, cookie, now_ms);
    if (entry != NULL) {
        entry->used_ms = now_ms;
        *out = entry->session;
    }
    pthread_mutex_unlock(&sessions->lock);
    return entry != NULL;
}

void sessions_end(struct sessions *sessions, const char *cookie)
{
    pthread_mutex_lock(&sessions->lock);
    struct entry *entry = find(sessions, cookie, 0 /* none is idle */);
    if (entry != NULL) clear(entry);
    pthread_mutex_unlock(&sessions->lock);
}

uint32_t sessions_end_account(struct sessions *sessions, int64_t account_id)
{
    uint32_t ended = 0;
    pthread_mutex_lock(&sessions->lock);
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        if (sessions->entries[i].session.account_id != account_id) continue;
        clear(&sessions->entries[i]);
        ended++;
    }
    pthread_mutex_unlock(&sessions->lock);
    return ended;
}

uint32_t sessions_count_account(struct sessions *sessions, int64_t account_id, int64_t now_ms)
{
    uint32_t count = 0;
    pthread_mutex_lock(&sessions->lock);
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        count +=
            sessions->entries[i].session.account_id == account_id && !is_over(&sessions->entries[i], now_ms);
    pthread_mutex_unlock(&sessions->lock);
    return count;
}

void sessions_renew(struct sessions *sessions, const char *cookie, int64_t epoch)
{
    pthread_mutex_lock(&sessions->lock);
    struct entry *entry = find(sessions, cookie, 0 /* none is over */);
    if (entry != NULL) entry->session.epoch = epoch;
    pthread_mutex_unlock(&sessions->lock);
}
