/* static_file.c - safe reading below one folder. Must never open what lies outside of it, whatever the path or the
 * links say, nor believe a file that changed while it was read. Tests: test/e2e/static_dir_test.c. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "static_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "molt_reason.h"

#define FRESH_S 1 /* covers file systems that keep whole seconds, and the kernel's tick */

static void key_of(const struct stat *st, struct static_key *key)
{
    *key = (struct static_key){.present = S_ISREG(st->st_mode),
                               .dev = (uint64_t)st->st_dev,
                               .ino = (uint64_t)st->st_ino,
                               .size = (uint64_t)st->st_size,
                               .mtime_s = st->st_mtim.tv_sec,
                               .ctime_s = st->st_ctim.tv_sec,
                               .mtime_ns = st->st_mtim.tv_nsec,
                               .ctime_ns = st->st_ctim.tv_nsec};
}

bool static_key_equal(const struct static_key *a, const struct static_key *b)
{
    if (!a->present || !b->present) return a->present == b->present;
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime_s == b->mtime_s &&
           a->ctime_s == b->ctime_s && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

bool static_key_is_fresh(const struct static_key *key)
{
    struct timespec now;
    if (!key->present || clock_gettime(CLOCK_REALTIME, &now) != 0) return key->present;
    int64_t newest = key->mtime_s > key->ctime_s ? key->mtime_s : key->ctime_s;
    return now.tv_sec - newest <= FRESH_S;
}

bool static_stem_ok(const char *stem)
{
    size_t len = 0;
    bool at_start = true;
    for (; stem[len] != '\0'; len++) {
        unsigned char c = (unsigned char)stem[len];
        if (c < 0x20 || c == 0x7f || c == '\\' || len + 1 >= STATIC_STEM_LEN) return false;
        if (at_start && (c == '.' || c == '/')) return false;
        at_start = c == '/';
    }
    return !at_start;
}

static bool join(const char *stem, const char *suffix, char *out, size_t cap)
{
    int n = snprintf(out, cap, "%s%s", stem, suffix);
    return n > 0 && (size_t)n < cap;
}

void static_stat(int dir_fd, const char *stem, const char *suffix, struct static_key *out)
{
    char path[STATIC_STEM_LEN + 16];
    struct stat st;
    memset(out, 0, sizeof *out);
    if (join(stem, suffix, path, sizeof path) && fstatat(dir_fd, path, &st, 0) == 0) key_of(&st, out);
}

/* Opens a path that holds no symbolic link, one component after the other, so that none can be slipped in. */
static int open_plain(int dir_fd, char *path)
{
    int at = dup(dir_fd);
    char *save = NULL, *part = strtok_r(path, "/", &save);
    while (at >= 0 && part != NULL) {
        char *next_part = strtok_r(NULL, "/", &save);
        int flags = next_part != NULL ? O_DIRECTORY : O_NONBLOCK | O_NOCTTY;
        int next = openat(at, part, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | flags);
        (void)close(at);
        at = next;
        part = next_part;
    }
    return at;
}

int static_open(int dir_fd, const char *root, const char *stem, const char *suffix)
{
    char path[PATH_MAX], resolved[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s%s", root, stem, suffix);
    if (!static_stem_ok(stem) || n < 0 || (size_t)n >= sizeof path) return -MOLT_NOT_FOUND;
    if (realpath(path, resolved) == NULL) return -MOLT_NOT_FOUND;
    size_t root_len = strlen(root);
    if (strncmp(resolved, root, root_len) != 0 || (resolved[root_len] != '/' && root_len > 1))
        return -MOLT_NOT_FOUND;
    int fd = open_plain(dir_fd, resolved + root_len);
    struct stat st;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) return fd;
    if (fd >= 0) (void)close(fd);
    return -MOLT_NOT_FOUND;
}

static int read_all(int fd, uint8_t *data, size_t want, size_t *got)
{
    *got = 0;
    while (*got < want) {
        ssize_t n = pread(fd, data + *got, want - *got, (off_t)*got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -MOLT_STORE_FAILED;
        if (n == 0) break;
        *got += (size_t)n;
    }
    return 0;
}

int static_read(int fd, size_t max, uint8_t **data, size_t *len, struct static_key *key)
{
    struct stat before, after;
    struct static_key first;
    *data = NULL;
    *len = 0;
    if (fstat(fd, &before) != 0) return -MOLT_STORE_FAILED;
    key_of(&before, &first);
    *key = first;
    if (first.size > max) return -MOLT_FILE_TOO_LARGE;
    uint8_t *bytes = malloc((size_t)first.size + 1);
    if (bytes == NULL) return -MOLT_NO_MEMORY;
    int rc = read_all(fd, bytes, (size_t)first.size, len);
    if (rc == 0 && fstat(fd, &after) != 0) rc = -MOLT_STORE_FAILED;
    if (rc == 0) {
        key_of(&after, key);
        if (*len != first.size || !static_key_equal(&first, key)) rc = -MOLT_BIN_CHANGING;
    }
    if (rc != 0) {
        free(bytes);
        return rc;
    }
    *data = bytes;
    return 0;
}

int static_parse_version(const uint8_t *text, size_t len, uint32_t *code)
{
    size_t at = 0;
    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) at = 3;
    while (at < len && (text[at] == ' ' || (text[at] >= '\t' && text[at] <= '\r')))
        at++;
    if (at < len && (text[at] == 'v' || text[at] == 'V')) at++;
    uint64_t value = 0;
    size_t start = at;
    for (; at < len && text[at] >= '0' && text[at] <= '9'; at++) {
        value = value * 10 + (uint64_t)(text[at] - '0');
        if (value > INT32_MAX) return -MOLT_VERSION_MALFORMED;
    }
    if (at == start || value == 0) return -MOLT_VERSION_MALFORMED;
    *code = (uint32_t)value;
    return 0;
}
