/* artifacts.c - files by their SHA-256 in <data>/artifacts/<2 hex>/<64 hex>.
 * Must never show a file under its name before all of its bytes are on the disk.
 * Tests: test/unit/store_test.c, test/e2e/store_kill_test.c. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bucket.h"
#include "nodes.h"
#include "parts.h"

#define TEMP_PREFIX "new-" /* no artifact folder has this name: theirs are two hex digits */
#define COMPARE_LEN 65536u

struct names {
    char folder[3];
    char file[68]; /* "ab/" + 64 hex digits */
};

static void name_artifact(const uint8_t sha256[32], struct names *names)
{
    static const char hex[] = "0123456789abcdef";
    char *to = names->file + 3;
    for (size_t i = 0; i < 32; i++) {
        *to++ = hex[sha256[i] >> 4];
        *to++ = hex[sha256[i] & 15];
    }
    *to = '\0';
    memcpy(names->folder, names->file + 3, 2);
    names->folder[2] = '\0';
    memcpy(names->file, names->folder, 2);
    names->file[2] = '/';
}

/* What a killed process left half-written has no row and no name: it is only waste. */
static int remove_torn(struct store *store)
{
    int fd = openat(store->artifacts_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        if (fd >= 0) close(fd);
        return store_fail(MOLT_STORE_FAILED, "cannot read the artifact folder: %s", strerror(errno));
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strncmp(entry->d_name, TEMP_PREFIX, strlen(TEMP_PREFIX)) == 0) unlinkat(fd, entry->d_name, 0);
    }
    closedir(dir);
    return 0;
}

static int open_folder(struct store *store, int at, const char *path)
{
    store->artifacts_fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->artifacts_fd >= 0) return 0;
    return store_fail(MOLT_STORE_FAILED, "cannot open the artifact folder %s: %s", path, strerror(errno));
}

/* Makes the folder when it is missing. */
static int make_folder(int at, const char *name)
{
    if (mkdirat(at, name, 0700) != 0) {
        if (errno == EEXIST) return 0;
        return store_fail(MOLT_STORE_FAILED, "cannot make the artifact folder %s: %s", name, strerror(errno));
    }
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return store_fail(MOLT_STORE_FAILED, "cannot open the artifact folder %s: %s", name, strerror(errno));
    folder_give(at, ".", fd);
    close(fd);
    return 0;
}

int artifacts_open(struct store *store, const struct store_place *place, const char *shared)
{
    if (shared != NULL) return open_folder(store, AT_FDCWD, shared);
    int data_fd = open(place->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (data_fd < 0)
        return store_fail(MOLT_STORE_FAILED, "cannot open %s: %s", place->data_dir, strerror(errno));
    int rc = make_folder(data_fd, "artifacts");
    if (rc == 0) rc = folder_sync(data_fd); /* molt.db and lock are in it too */
    if (rc == 0) rc = open_folder(store, data_fd, "artifacts");
    close(data_fd);
    return rc == 0 && !place->read_only ? remove_torn(store) : rc;
}

static bool same_content(int fd, const uint8_t *data, size_t len)
{
    uint8_t buf[COMPARE_LEN];
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != len) return false;
    for (size_t at = 0; at < len;) {
        ssize_t got = pread(fd, buf, sizeof buf, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0 || (size_t)got > len - at || memcmp(buf, data + at, (size_t)got) != 0) return false;
        at += (size_t)got;
    }
    return true;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t put = write(fd, data + at, len - at);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return store_fail(MOLT_STORE_FAILED, "cannot write an artifact: %s", strerror(errno));
        at += (size_t)put;
    }
    return 0;
}

int artifact_temp(struct store *store, char name[ARTIFACT_TEMP_LEN])
{
    const unsigned node = store_node_id(store); /* others may write into the same folder */
    snprintf(name, ARTIFACT_TEMP_LEN, TEMP_PREFIX "%u-%ld-%u", node, (long)getpid(),
             atomic_fetch_add(&store->temp, 1u));
    int fd = openat(store->artifacts_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return store_fail(MOLT_STORE_FAILED, "cannot create an artifact: %s", strerror(errno));
    folder_give(store->artifacts_fd, ".", fd);
    return fd;
}

static int sync_names(struct store *store, const struct names *names)
{
    int fd = openat(store->artifacts_fd, names->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return store_fail(MOLT_STORE_FAILED, "cannot open an artifact folder: %s", strerror(errno));
    int rc = folder_sync(fd);
    close(fd);
    return rc == 0 ? folder_sync(store->artifacts_fd) : rc;
}

/* Order is the design: bytes durable, then the name, then the name durable. */
int artifact_name(struct store *store, int fd, const char *name, const uint8_t sha256[32], int rc)
{
    struct names names;
    name_artifact(sha256, &names);
    if (rc == 0 && fsync(fd) != 0)
        rc = store_fail(MOLT_STORE_FAILED, "cannot sync an artifact: %s", strerror(errno));
    if (close(fd) != 0 && rc == 0)
        rc = store_fail(MOLT_STORE_FAILED, "cannot close an artifact: %s", strerror(errno));
    if (rc == 0) rc = make_folder(store->artifacts_fd, names.folder);
    if (rc == 0 && renameat(store->artifacts_fd, name, store->artifacts_fd, names.file) != 0)
        rc = store_fail(MOLT_STORE_FAILED, "cannot name an artifact: %s", strerror(errno));
    if (rc < 0) unlinkat(store->artifacts_fd, name, 0);
    return rc == 0 ? sync_names(store, &names) : rc;
}

static int write_new(struct store *store, const uint8_t sha256[32], const uint8_t *data, size_t len)
{
    char temp[ARTIFACT_TEMP_LEN];
    int fd = artifact_temp(store, temp);
    return fd >= 0 ? artifact_name(store, fd, temp, sha256, write_all(fd, data, len)) : fd;
}

int store_artifact_put(struct store *store, const void *data, size_t len, struct model_artifact *artifact)
{
    if (len == 0 || len > UINT32_MAX) return store_fail(MOLT_ARG, "an artifact has 1 to 4294967295 bytes");
    if (EVP_Digest(data, len, artifact->sha256, NULL, EVP_sha256(), NULL) != 1 ||
        EVP_Digest(data, len, artifact->md5, NULL, EVP_md5(), NULL) != 1) {
        return store_fail(MOLT_INTERNAL, "cannot hash an artifact");
    }
    artifact->len = (uint32_t)len;

    struct names names;
    name_artifact(artifact->sha256, &names);
    int fd = openat(store->artifacts_fd, names.file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool there = fd >= 0 && same_content(fd, data, len);
    if (fd >= 0) close(fd);
    int rc = there ? 0 : write_new(store, artifact->sha256, data, len);
    /* Also when it was there: who wrote it may not have got as far as this. */
    if (rc == 0) rc = sync_names(store, &names);
    return rc == 0 && store->bucket != NULL ? bucket_put(store->bucket, artifact->sha256, data, len) : rc;
}

int store_artifact_here(struct store *store, const uint8_t sha256[32])
{
    struct names names;
    name_artifact(sha256, &names);
    int fd = openat(store->artifacts_fd, names.file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0) return fd;
    if (errno == ENOENT) return store_fail(MOLT_NOT_FOUND, "there is no artifact %s", names.file + 3);
    return store_fail(MOLT_STORE_FAILED, "cannot open artifact %s: %s", names.file + 3, strerror(errno));
}

int store_artifact_open(struct store *store, const uint8_t sha256[32])
{
    int fd = store_artifact_here(store, sha256);
    if (fd != -MOLT_NOT_FOUND || store->bucket == NULL) return fd;
    int rc = store_artifact_fetch(store, sha256, NULL);
    return rc == 0 ? store_artifact_here(store, sha256) : rc;
}

int artifact_present(struct store *store, const struct model_artifact *artifact)
{
    struct names names;
    struct stat st;
    name_artifact(artifact->sha256, &names);
    if (fstatat(store->artifacts_fd, names.file, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) ||
        st.st_size != artifact->len) {
        return store_fail(MOLT_NOT_FOUND, "artifact %s was not stored", names.file + 3);
    }
    return 0;
}

/* ---- all of them ---- */

/* Calls use with the file's bytes. */
static int with_file(int fd, int (*use)(void *ctx, const void *data, size_t len), void *ctx)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return store_fail(MOLT_STORE_FAILED, "an artifact is no plain file");
    if (st.st_size == 0) return store_fail(MOLT_STORE_FAILED, "an artifact is empty");
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return store_fail(MOLT_STORE_FAILED, "cannot read an artifact: %s", strerror(errno));
    int rc = use(ctx, data, (size_t)st.st_size);
    munmap(data, (size_t)st.st_size);
    return rc;
}

static int compare_file(void *ctx, const void *data, size_t len)
{
    const struct model_artifact *artifact = ctx;
    uint8_t sha256[32];
    if (EVP_Digest(data, len, sha256, NULL, EVP_sha256(), NULL) != 1)
        return store_fail(MOLT_INTERNAL, "cannot hash an artifact");
    struct names names;
    name_artifact(artifact->sha256, &names);
    return len == artifact->len && memcmp(sha256, artifact->sha256, sizeof sha256) == 0
               ? 0
               : store_fail(MOLT_STORE_FAILED, "artifact %s is damaged", names.file + 3);
}

int artifact_with(struct store *store, const uint8_t sha256[32],
                  int (*use)(void *ctx, const void *data, size_t len), void *ctx)
{
    int fd = store_artifact_open(store, sha256);
    if (fd < 0) return fd;
    int rc = with_file(fd, use, ctx);
    close(fd);
    return rc;
}

int artifact_verify(struct store *store, const struct model_artifact *artifact)
{
    struct model_artifact wanted = *artifact;
    return artifact_with(store, artifact->sha256, compare_file, &wanted);
}

struct walk {
    int (*each)(void *ctx, const uint8_t sha256[32], const void *data, size_t len);
    void *ctx;
    uint8_t sha256[32];
};

static int give_file(void *ctx, const void *data, size_t len)
{
    const struct walk *walk = ctx;
    return walk->each(walk->ctx, walk->sha256, data, len);
}

static bool read_name(const char *name, uint8_t sha256[32])
{
    static const char hex[] = "0123456789abcdef";
    if (strlen(name) != 64) return false;
    for (size_t i = 0; i < 64; i++) {
        const char *digit = strchr(hex, name[i]);
        if (digit == NULL) return false;
        sha256[i / 2] = (uint8_t)(sha256[i / 2] << 4 | (digit - hex));
    }
    return true;
}

static int walk_folder(struct store *store, const char *name, struct walk *walk)
{
    int fd = openat(store->artifacts_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    int rc = 0;
    if (dir == NULL) {
        if (fd >= 0) close(fd);
        return store_fail(MOLT_STORE_FAILED, "cannot read an artifact folder: %s", strerror(errno));
    }
    for (struct dirent *entry; rc >= 0 && (entry = readdir(dir)) != NULL;) {
        if (!read_name(entry->d_name, walk->sha256)) continue;
        int file = store_artifact_here(store, walk->sha256);
        rc = file < 0 ? file : with_file(file, give_file, walk);
        if (file >= 0) close(file);
    }
    closedir(dir);
    return rc;
}

int artifacts_each(struct store *store,
                   int (*each)(void *ctx, const uint8_t sha256[32], const void *data, size_t len), void *ctx)
{
    struct walk walk = {.each = each, .ctx = ctx};
    for (unsigned i = 0; i < 256; i++) {
        char name[3];
        struct stat st;
        snprintf(name, sizeof name, "%02x", i);
        if (fstatat(store->artifacts_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
        int rc = walk_folder(store, name, &walk);
        if (rc < 0) return rc;
    }
    return 0;
}
