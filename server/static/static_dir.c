/* static_dir.c - what the files of `--static DIR` are worth. Must never let a number or an image through that was
 * not verified as a pair, and never keep a lock while it reads. Tests: test/e2e/static_dir_test.c. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "static_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../log.h"
#include "host/publish.h"
#include "manifest/manifest.h"
#include "static_name.h"
#include "static_state.h"

#define BUCKETS     4096
#define ENTRIES_MAX 100000
#define VERSION_MAX 256 /* bytes of a .version file */
#define RECHECK_MS  250 /* a file that just changed is read again, but not for every poll */

struct entry {
    struct entry *next;
    char stem[STATIC_STEM_LEN];
    struct static_key version_key, bin_key; /* the state of the files that the rest was made from */
    struct static_key suit_key; /* ... and by_suit: of the .suit, without which the .bin is nothing */
    bool by_suit, is_sealed;
    bool settled;            /* false: look again, a change may have gone unseen */
    int64_t read_ms;         /* monotonic time of the last reading */
    struct static_pair pair; /* what counts, as remembered */
    bool has_bin;
    uint8_t bin_sha256[32]; /* of the file as it is */
    uint32_t tag_code;
    struct model_image image;
    struct static_answer answer;
};

struct static_dir {
    int fd;
    char root[PATH_MAX];
    struct store *store;
    struct static_state *state;
    pthread_mutex_t lock;    /* the table and what is in it */
    pthread_mutex_t reading; /* one refresh at a time: bounded memory */
    uint32_t count;
    struct entry *buckets[BUCKETS];
};

static struct entry **bucket_of(struct static_dir *dir, const char *stem)
{
    uint32_t hash = 2166136261u; /* FNV-1a; who writes the folder is trusted not to attack its own table */
    for (const char *c = stem; *c != '\0'; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    return &dir->buckets[hash % BUCKETS];
}

static struct entry *find(struct static_dir *dir, const char *stem)
{
    struct entry *entry = *bucket_of(dir, stem);
    while (entry != NULL && strcmp(entry->stem, stem) != 0)
        entry = entry->next;
    return entry;
}

static int64_t monotonic_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void insert(struct static_dir *dir, struct entry *entry)
{
    struct entry **bucket = bucket_of(dir, entry->stem);
    entry->next = *bucket;
    *bucket = entry;
    dir->count++;
}

/* A line of the state file: an entry that knows its pair and has read nothing yet. */
static void remember(void *ctx, const char *stem, const struct static_pair *pair)
{
    struct static_dir *dir = ctx;
    struct entry *entry = find(dir, stem);
    if (entry == NULL && dir->count < ENTRIES_MAX && (entry = calloc(1, sizeof *entry)) != NULL) {
        (void)snprintf(entry->stem, sizeof entry->stem, "%s", stem);
        insert(dir, entry);
    }
    if (entry != NULL) entry->pair = *pair;
}

int static_dir_open(struct static_dir **out, const char *folder, const char *state_path, struct store *store)
{
    struct static_dir *dir = calloc(1, sizeof *dir);
    *out = NULL;
    if (dir == NULL) return -MOLT_NO_MEMORY;
    dir->store = store;
    dir->fd = realpath(folder, dir->root) != NULL ? open(dir->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (dir->fd < 0) {
        free(dir);
        return -MOLT_NOT_FOUND;
    }
    pthread_mutex_init(&dir->lock, NULL);
    pthread_mutex_init(&dir->reading, NULL);
    dir->state = static_state_open(state_path, remember, dir);
    if (dir->state == NULL) {
        static_dir_close(dir);
        return -MOLT_STORE_FAILED;
    }
    *out = dir;
    return 0;
}

void static_dir_close(struct static_dir *dir)
{
    if (dir == NULL) return;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct entry *entry = dir->buckets[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            if (entry->answer.rules != NULL) rules_holder_free(entry->answer.rules);
            free(entry->image.md5_variants);
            free(entry);
        }
    }
    static_state_close(dir->state);
    pthread_mutex_destroy(&dir->lock);
    pthread_mutex_destroy(&dir->reading);
    (void)close(dir->fd);
    free(dir);
}

/* Which stem in the folder a name means; false when there is neither file. */
static bool locate(struct static_dir *dir, const char *name, char stem[STATIC_STEM_LEN],
                   struct static_key *version, struct static_key *bin)
{
    for (unsigned i = 0; i < 2 * STATIC_SPELLINGS; i++) {
        if (!static_name(name, i, stem)) continue;
        static_stat(dir->fd, stem, ".version", version);
        static_stat(dir->fd, stem, ".bin", bin);
        if (version->present || bin->present) return true;
    }
    return false;
}

static bool suit_is_as_it_was(struct static_dir *dir, const struct entry *entry)
{
    struct static_key suit;
    if (!entry->by_suit) return true;
    static_stat(dir->fd, entry->stem, ".suit", &suit);
    return static_key_equal(&entry->suit_key, &suit);
}

enum static_lookup static_dir_peek(struct static_dir *dir, const char *name, struct static_answer *out)
{
    struct static_key version, bin;
    char stem[STATIC_STEM_LEN];
    if (name[0] != '/' || !locate(dir, name, stem, &version, &bin)) return STATIC_NONE;
    enum static_lookup result = STATIC_STALE;
    pthread_mutex_lock(&dir->lock);
    const struct entry *entry = find(dir, stem);
    if (entry != NULL && entry->read_ms != 0 && static_key_equal(&entry->version_key, &version) &&
        static_key_equal(&entry->bin_key, &bin) && suit_is_as_it_was(dir, entry) &&
        (entry->settled || monotonic_ms() - entry->read_ms < RECHECK_MS)) {
        *out = entry->answer;
        result = STATIC_KNOWN;
    }
    pthread_mutex_unlock(&dir->lock);
    return result;
}

/* Keeps the verified image as artifacts. The same file as before costs nothing. */
static int keep_image(struct static_dir *dir, const struct entry *old, const struct facts *facts,
                      const uint8_t *content, size_t len, struct entry *next)
{
    next->has_bin = true;
    next->tag_code = facts->has_tag ? facts->tag_code : 0;
    memcpy(next->bin_sha256, facts->sha256, sizeof next->bin_sha256);
    if (old != NULL && old->has_bin && memcmp(old->bin_sha256, facts->sha256, sizeof facts->sha256) == 0) {
        next->image = old->image;
        return 0;
    }
    next->image = (struct model_image){.chip = facts->image.chip};
    int rc = publish_image(dir->store, content, len, facts, &next->image);
    if (rc != 0) next->has_bin = false;
    return rc;
}

/* Reads the .suit into out (MOLT_STATEMENT_MAX bytes). Its length, 0: there is none. */
static size_t read_suit(struct static_dir *dir, const char *stem, uint8_t *out, struct static_key *key)
{
    uint8_t *data = NULL;
    size_t len = 0;
    int fd = static_open(dir->fd, dir->root, stem, ".suit");
    memset(key, 0, sizeof *key);
    if (fd < 0) return 0;
    if (static_read(fd, MOLT_STATEMENT_MAX, &data, &len, key) != 0) len = 0;
    (void)close(fd);
    if (len > 0) memcpy(out, data, len);
    free(data);
    return len;
}

/* Is it a statement of an encrypted application of file_len bytes, or of more that were packed? */
static bool is_statement_of_sealed(const uint8_t *data, size_t len, size_t file_len)
{
    struct molt_manifest manifest;
    size_t end = molt_manifest_end(data, len);
    return end > 0 && molt_manifest_read(data, end, &manifest) == 0 &&
           manifest.component[0].encryption != NULL && file_len > 0 && file_len <= manifest.component[0].size;
}

/* Keeps what is no image, when it is an encrypted one. Returns 0, or refusal. */
static int keep_sealed(struct static_dir *dir, const uint8_t *data, size_t len, int refusal,
                       struct entry *next)
{
    uint8_t suit[MOLT_STATEMENT_MAX];
    next->by_suit = true;
    size_t suit_len = read_suit(dir, next->stem, suit, &next->suit_key);
    if (!is_statement_of_sealed(suit, suit_len, len)) return refusal;
    next->image = (struct model_image){.chip = MOLT_CHIP_UNKNOWN};
    int rc = store_artifact_put(dir->store, data, len, &next->image.raw);
    if (rc != 0) return -rc;
    memcpy(next->bin_sha256, next->image.raw.sha256, sizeof next->bin_sha256);
    next->has_bin = next->is_sealed = true;
    return 0;
}

/* Reads and verifies the .bin into next. Returns 0, or why it does not count (positive). */
static int read_bin(struct static_dir *dir, const struct entry *old, struct entry *next)
{
    int fd = static_open(dir->fd, dir->root, next->stem, ".bin");
    if (fd < 0) {
        memset(&next->bin_key, 0, sizeof next->bin_key);
        return MOLT_NOT_FOUND;
    }
    uint8_t *data = NULL, *inflated = NULL;
    size_t len = 0, inflated_len = 0;
    int rc = static_read(fd, FACTS_FILE_MAX, &data, &len, &next->bin_key);
    (void)close(fd);
    if (rc != 0) return -rc;
    struct facts facts;
    facts_read(data, len, &facts, &inflated, &inflated_len);
    if (!facts.is_image)
        rc = keep_sealed(dir, data, len, facts.refusal != 0 ? facts.refusal : MOLT_IMAGE_UNKNOWN, next);
    else if (facts.image.chip == MOLT_CHIP_UNKNOWN)
        rc = keep_sealed(dir, data, len, MOLT_IMAGE_FILESYSTEM, next);
    else
        rc = -keep_image(dir, old, &facts, inflated != NULL ? inflated : data,
                         inflated != NULL ? inflated_len : len, next);
    free(data);
    free(inflated);
    return rc;
}

/* Reads the number of the .version file. Returns 0, or why there is none (positive). */
static int read_version(struct static_dir *dir, struct entry *next, uint32_t *code)
{
    int fd = static_open(dir->fd, dir->root, next->stem, ".version");
    if (fd < 0) {
        memset(&next->version_key, 0, sizeof next->version_key);
        return MOLT_NOT_FOUND;
    }
    uint8_t *text = NULL;
    size_t len = 0;
    int rc = static_read(fd, VERSION_MAX, &text, &len, &next->version_key);
    (void)close(fd);
    if (rc == 0) rc = static_parse_version(text, len, code);
    free(text);
    return rc == -MOLT_FILE_TOO_LARGE ? MOLT_VERSION_MALFORMED : -rc;
}

static const enum molt_chip chips[] = {
#define MOLT_CHIP(symbol, number, name, image_chip_id) MOLT_CHIP_##symbol,
#include "molt_chip.def"
#undef MOLT_CHIP
};

/* For the chip of the image; one whose chip nobody sees is for each: its manifest says to the device whether it is meant. */
static bool add_images(const struct entry *entry, struct model_release *release)
{
    uint32_t count = entry->is_sealed ? sizeof chips / sizeof chips[0] : 1;
    uint32_t variants = entry->image.md5_variant_count;
    uint8_t(*md5_variants)[16] = variants != 0 ? malloc(variants * sizeof *md5_variants) : NULL;
    release->images = calloc(count, sizeof *release->images);
    if (release->images == NULL || (variants != 0 && md5_variants == NULL)) {
        free(release->images);
        free(md5_variants);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct model_image *image = &release->images[i];
        *image = entry->image;
        if (entry->is_sealed) image->chip = chips[i];
        image->id = release->id;
        image->release_id = release->id;
        image->md5_variants = md5_variants; /* an encrypted one, of which there are many, has none */
    }
    if (variants != 0) memcpy(md5_variants, entry->image.md5_variants, variants * sizeof *md5_variants);
    release->image_count = count;
    return true;
}

/* One product, one release, its image: what decide() needs. NULL when memory is short. */
static struct rules *make_rules(const struct entry *entry)
{
    struct store_rules data = {.generation = 1, .product_count = 1, .release_count = 1};
    data.products = calloc(1, sizeof *data.products);
    data.releases = calloc(1, sizeof *data.releases);
    if (data.products == NULL || data.releases == NULL) {
        free(data.products);
        free(data.releases);
        return NULL;
    }
    struct model_product *product = data.products;
    struct model_release *release = data.releases;
    product->id = STATIC_PRODUCT_ID;
    (void)snprintf(product->name, sizeof product->name, "static");
    release->id = STATIC_RELEASE_ID(entry->answer.code);
    release->product_id = STATIC_PRODUCT_ID;
    release->code = entry->answer.code;
    (void)snprintf(release->version, sizeof release->version, "%u", entry->answer.code);
    (void)snprintf(release->channel, sizeof release->channel, "%s", MODEL_CHANNEL_DEFAULT);
    if (!add_images(entry, release)) {
        free(data.products);
        free(data.releases);
        return NULL;
    }
    return rules_build(&data);
}

/* The number that counts for the verified .bin, when the .version file says file_code (0: it says none). */
static uint32_t count_code(struct static_dir *dir, struct entry *next, uint32_t file_code, int *reason)
{
    struct static_pair *pair = &next->pair;
    uint32_t code = file_code != 0 ? file_code : pair->code;
    if (pair->code != 0 && code > pair->code &&
        memcmp(pair->sha256, next->bin_sha256, sizeof pair->sha256) == 0) {
        code = pair->code;
        *reason = MOLT_VERSION_WITHOUT_IMAGE;
    }
    if (next->tag_code != 0 && code > next->tag_code) { /* the image itself says that it is older */
        code = next->tag_code;
        *reason = MOLT_VERSION_WITHOUT_IMAGE;
    }
    if (code != 0 && code != pair->code) {
        pair->code = code;
        memcpy(pair->sha256, next->bin_sha256, sizeof pair->sha256);
        if (!static_state_append(dir->state, next->stem, pair))
            log_event("event=static-state-not-written name=%s", next->stem);
    }
    return code;
}

/* Reads what changed since old (NULL: all) into next. */
static void examine(struct static_dir *dir, const struct entry *old, struct entry *next)
{
    uint32_t file_code = 0;
    if (old != NULL) next->pair = old->pair;
    next->read_ms = monotonic_ms();
    int version_rc = read_version(dir, next, &file_code);
    int bin_rc = read_bin(dir, old, next);
    if (bin_rc != 0 && bin_rc != MOLT_NOT_FOUND && old != NULL && old->has_bin) {
        /* the new file is not whole (yet): the last verified one goes on counting */
        next->has_bin = true;
        next->is_sealed = old->is_sealed;
        next->image = old->image;
        next->tag_code = old->tag_code;
        memcpy(next->bin_sha256, old->bin_sha256, sizeof next->bin_sha256);
    }
    bool fresh = static_key_is_fresh(&next->bin_key) || static_key_is_fresh(&next->version_key) ||
                 static_key_is_fresh(&next->suit_key);
    next->settled = !fresh && bin_rc != MOLT_BIN_CHANGING && version_rc != MOLT_BIN_CHANGING;
    next->answer = (struct static_answer){.sealed = next->is_sealed};
    if (version_rc == MOLT_VERSION_MALFORMED) next->answer.reason = MOLT_VERSION_MALFORMED;
    if (next->has_bin) next->answer.code = count_code(dir, next, file_code, &next->answer.reason);
    if (next->has_bin && next->answer.code == 0 && version_rc == MOLT_NOT_FOUND) {
        next->answer.code = next->tag_code != 0 ? next->tag_code : 1; /* a .bin alone is served, too */
    }
    if (bin_rc == MOLT_NOT_FOUND) {
        next->answer.reason = MOLT_VERSION_WITHOUT_IMAGE;
    } else if (bin_rc != 0) {
        bool may_mend = (fresh && bin_rc != MOLT_FILE_TOO_LARGE) || bin_rc == MOLT_BIN_CHANGING;
        next->answer.reason = may_mend ? MOLT_BIN_CHANGING : MOLT_BIN_REFUSED;
        next->answer.bin_refusal = bin_rc;
    }
}

/* Puts next into the table in place of old; the rules of the old one live on in the same holder. */
static void install(struct static_dir *dir, struct entry *old, struct entry *next)
{
    struct rules_holder *holder = old != NULL ? old->answer.rules : NULL;
    struct rules *rules = next->has_bin && next->answer.code != 0 ? make_rules(next) : NULL;
    if (rules != NULL && holder != NULL)
        rules_swap(holder, rules);
    else if (rules != NULL)
        holder = rules_holder_new(rules);
    next->answer.rules = holder;
    if (rules == NULL) next->answer.code = 0; /* no file any more: the holder is kept, the number is gone */
    pthread_mutex_lock(&dir->lock);
    if (old != NULL) {
        if (old->image.md5_variants != next->image.md5_variants) free(old->image.md5_variants);
        next->next = old->next;
        *old = *next;
        free(next);
    } else {
        insert(dir, next);
    }
    pthread_mutex_unlock(&dir->lock);
}

static void log_change(const struct entry *old, const struct entry *next)
{
    const struct static_answer *now = &next->answer;
    if (old != NULL && old->answer.reason == now->reason && old->answer.code == now->code &&
        old->answer.bin_refusal == now->bin_refusal)
        return;
    log_event("event=static-file name=%s code=%u reason=%s%s%s", next->stem, now->code,
              molt_reason_id(now->reason), now->bin_refusal != 0 ? " bin=" : "",
              now->bin_refusal != 0 ? molt_reason_id(now->bin_refusal) : "");
}

static enum static_lookup refresh_locked(struct static_dir *dir, const char *name, struct static_answer *out)
{
    struct static_key version, bin;
    char stem[STATIC_STEM_LEN];
    if (!locate(dir, name, stem, &version, &bin)) return STATIC_NONE;
    pthread_mutex_lock(&dir->lock);
    struct entry *old = find(dir, stem);
    bool full = old == NULL && dir->count >= ENTRIES_MAX;
    pthread_mutex_unlock(&dir->lock);
    struct entry *next = full ? NULL : calloc(1, sizeof *next);
    if (next == NULL) return STATIC_NONE;
    (void)snprintf(next->stem, sizeof next->stem, "%s", stem);
    examine(dir, old, next);
    log_change(old, next);
    install(dir, old, next);
    pthread_mutex_lock(&dir->lock);
    *out = find(dir, stem)->answer;
    pthread_mutex_unlock(&dir->lock);
    return STATIC_KNOWN;
}

enum static_lookup static_dir_refresh(struct static_dir *dir, const char *name, struct static_answer *out)
{
    if (name[0] != '/') return STATIC_NONE;
    pthread_mutex_lock(&dir->reading);
    enum static_lookup result =
        static_dir_peek(dir, name, out); /* another thread may have read it meanwhile */
    if (result == STATIC_STALE) result = refresh_locked(dir, name, out);
    pthread_mutex_unlock(&dir->reading);
    return result;
}

/* Is it the statement of this very file? Who signed it is the device's question: the folder knows no keys. */
static bool is_manifest_of(const struct static_answer *answer, const uint8_t *data, size_t len)
{
    struct molt_manifest manifest;
    size_t end = molt_manifest_end(data, len);
    if (answer->rules == NULL || end == 0 || molt_manifest_read(data, end, &manifest) < 0) return false;
    const struct rules *rules = rules_acquire(answer->rules);
    const struct model_artifact *raw = &rules->data.releases[0].images[0].raw;
    bool same = answer->sealed
                    ? is_statement_of_sealed(data, len, raw->len)
                    : raw->len == manifest.component[0].size &&
                          memcmp(raw->sha256, manifest.component[0].digest, sizeof raw->sha256) == 0;
    rules_release_ref(answer->rules, rules);
    return same;
}

size_t static_dir_manifest(struct static_dir *dir, const char *name, const struct static_answer *answer,
                           uint8_t *out)
{
    struct static_key version, bin, suit;
    char stem[STATIC_STEM_LEN];
    if (name[0] != '/' || !locate(dir, name, stem, &version, &bin)) return 0;
    size_t len = read_suit(dir, stem, out, &suit);
    return len > 0 && is_manifest_of(answer, out, len) ? len : 0;
}
