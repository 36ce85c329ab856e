/* packs_disk.c - packs as files: <format>-<kind>-<base>-<image>-<content>, digests in hex. Must never believe a file
 * that is not what its name says. Tests: test/unit/packs_test.c. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "packs_parts.h"
#include "util/text.h"

/* Of the files that this server makes: another codec or a better encoder makes the old ones worthless. */
#define FORMAT    "3"
#define TEMP_NAME "new"

/* One file of the folder. */
struct found {
    struct pack_key key;
    struct model_artifact file;
    int64_t used_ns;
};

static void name_of(const struct pack_key *key, const uint8_t sha256[32], char out[PACKS_NAME_LEN])
{
    char base[65], image[65], content[65];
    molt_hex_encode(key->base, 32, base);
    molt_hex_encode(key->image, 32, image);
    molt_hex_encode(sha256, 32, content);
    (void)snprintf(out, PACKS_NAME_LEN, FORMAT "-%d-%s-%s-%s", (int)key->kind, base, image, content);
}

/* "-" and 64 hex digits at text. */
static bool read_digest(const char *text, uint8_t out[32])
{
    static const char digits[] = "0123456789abcdef";
    if (*text++ != '-') return false;
    for (int i = 0; i < 64; i++) {
        const char *digit = text[i] != '\0' ? strchr(digits, text[i]) : NULL;
        if (digit == NULL) return false;
        out[i / 2] = (uint8_t)(out[i / 2] << 4 | (digit - digits));
    }
    return true;
}

static bool parse_name(const char *name, struct found *found)
{
    const size_t head = strlen(FORMAT "-1");
    if (strlen(name) != head + 3 * 65 || strncmp(name, FORMAT "-", head - 1) != 0) return false;
    int kind = name[head - 1] - '0';
    if (kind < 1 || kind > PACKS_KIND_MAX) return false;
    found->key.kind = (enum packs_kind)kind;
    return read_digest(name + head, found->key.base) && read_digest(name + head + 65, found->key.image) &&
           read_digest(name + head + 130, found->file.sha256);
}

int packs_folder_open(const char *data_dir)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/" PACKS_FOLDER, data_dir);
    if (n < 0 || (size_t)n >= sizeof path) return -MOLT_STORE_FAILED;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) return -MOLT_STORE_FAILED;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 ? fd : -MOLT_STORE_FAILED;
}

static bool digests(const uint8_t *data, size_t len, struct model_artifact *artifact)
{
    artifact->len = (uint32_t)len;
    return EVP_Digest(data, len, artifact->sha256, NULL, EVP_sha256(), NULL) == 1 &&
           EVP_Digest(data, len, artifact->md5, NULL, EVP_md5(), NULL) == 1;
}

static bool read_all(int fd, uint8_t *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t got = pread(fd, data + at, len - at, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        at += (size_t)got;
    }
    return true;
}

/* Hashes the file; false when it is not what its name says. */
static bool check_file(struct packs *packs, const char *name, struct found *found)
{
    struct stat st;
    struct model_artifact is;
    bool good = false;
    int fd = openat(packs->folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return false;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= PACKS_FILE_MAX) {
        uint8_t *data = malloc((size_t)st.st_size);
        good = data != NULL && read_all(fd, data, (size_t)st.st_size) &&
               digests(data, (size_t)st.st_size, &is) && memcmp(is.sha256, found->file.sha256, 32) == 0;
        free(data);
    }
    (void)close(fd);
    if (!good) return false;
    found->file = is;
    found->used_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    return true;
}

static int by_use(const void *a, const void *b)
{
    const struct found *left = a, *right = b;
    return left->used_ns < right->used_ns ? -1 : left->used_ns > right->used_ns;
}

static size_t read_folder(struct packs *packs, DIR *dir, struct found **out)
{
    size_t count = 0, cap = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL && !atomic_load(&packs->stop);) {
        struct found found = {0};
        if (entry->d_name[0] == '.') continue;
        if (!parse_name(entry->d_name, &found) || !check_file(packs, entry->d_name, &found)) {
            (void)unlinkat(packs->folder_fd, entry->d_name, 0);
            continue;
        }
        if (count == cap) {
            struct found *more = realloc(*out, (cap = 2 * cap + 64) * sizeof *more);
            if (more == NULL) break;
            *out = more;
        }
        (*out)[count++] = found;
    }
    return count;
}

void packs_load(struct packs *packs)
{
    int fd = openat(packs->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct found *found = NULL;
    if (dir == NULL) {
        if (fd >= 0) (void)close(fd);
        return;
    }
    size_t count = read_folder(packs, dir, &found);
    (void)closedir(dir);
    if (count > 0) qsort(found, count, sizeof *found, by_use);
    pthread_rwlock_wrlock(&packs->lock);
    for (size_t i = 0; i < count; i++)
        (void)pack_table_set(packs->table, &found[i].key, PACK_READY, &found[i].file);
    pthread_rwlock_unlock(&packs->lock);
    free(found);
}

/* Says when the file was used. By the clock itself: what the kernel writes by itself stands still for some ms, and then
 * two files could not be told apart after a restart. */
static void stamp(int fd)
{
    struct timespec times[2];
    (void)clock_gettime(CLOCK_REALTIME, &times[0]);
    times[1] = times[0];
    (void)futimens(fd, times);
}

int packs_save(struct packs *packs, const struct pack_key *key, const struct packs_file *file,
               struct model_artifact *artifact)
{
    char name[PACKS_NAME_LEN];
    if (!digests(file->data, file->len, artifact)) return -MOLT_STORE_FAILED;
    name_of(key, artifact->sha256, name);
    int fd = openat(packs->folder_fd, TEMP_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool good = fd >= 0;
    for (size_t at = 0; good && at < file->len;) {
        ssize_t put = write(fd, file->data + at, file->len - at);
        if (put < 0 && errno == EINTR) continue;
        good = put > 0;
        at += good ? (size_t)put : 0;
    }
    if (good) stamp(fd);
    if (fd >= 0 && close(fd) != 0) good = false;
    good = good && renameat(packs->folder_fd, TEMP_NAME, packs->folder_fd, name) == 0;
    if (!good) (void)unlinkat(packs->folder_fd, TEMP_NAME, 0);
    return good ? 0 : -MOLT_STORE_FAILED;
}

void packs_delete(struct packs *packs, const struct pack_entry *entry)
{
    char name[PACKS_NAME_LEN];
    name_of(&entry->key, entry->file.sha256, name);
    (void)unlinkat(packs->folder_fd, name, 0);
}

int packs_file_open(struct packs *packs, const struct pack_entry *entry)
{
    char name[PACKS_NAME_LEN];
    name_of(&entry->key, entry->file.sha256, name);
    int fd = openat(packs->folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0) stamp(fd); /* for the order after a restart */
    return fd;
}
