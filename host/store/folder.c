/* folder.c - the data folder: made once, held by one process at a time.
 * Must never wait for a lock, and never loosen the permissions of a folder that is there.
 * Tests: test/unit/store_test.c. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parts.h"

int folder_sync(int dir_fd)
{
    if (fsync(dir_fd) != 0) return store_fail(MOLT_STORE_FAILED, "cannot sync a folder: %s", strerror(errno));
    return 0;
}

void folder_give(int at, const char *folder, int fd)
{
    struct stat st;
    /* a failure is no worse than before: whoever cannot read it says so */
    if (geteuid() == 0 && fstatat(at, folder, &st, 0) == 0 && st.st_uid != 0)
        (void)!fchown(fd, st.st_uid, st.st_gid);
}

static int sync_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return store_fail(MOLT_STORE_FAILED, "cannot open %s: %s", path, strerror(errno));
    int rc = folder_sync(fd);
    close(fd);
    return rc;
}

/* Makes path[0..len) when it is missing; its parent is there. */
static int make_one(char *path, size_t len)
{
    char kept = path[len];
    path[len] = '\0';
    int rc = 0;
    if (mkdir(path, 0700) == 0) {
        char *slash = strrchr(path, '/');
        if (slash == NULL) {
            rc = sync_path(".");
        } else if (slash == path) {
            rc = sync_path("/");
        } else {
            *slash = '\0';
            rc = sync_path(path);
            *slash = '/';
        }
    } else if (errno != EEXIST) {
        rc = store_fail(MOLT_STORE_FAILED, "cannot make %s: %s", path, strerror(errno));
    }
    path[len] = kept;
    return rc;
}

int folder_make(const char *path)
{
    char copy[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof copy) {
        return store_fail(MOLT_STORE_FAILED, "the data folder's path is empty or too long");
    }
    memcpy(copy, path, len + 1);
    while (len > 1 && copy[len - 1] == '/')
        copy[--len] = '\0';
    for (size_t i = 1; i <= len; i++) {
        if (copy[i] != '/' && copy[i] != '\0') continue;
        if (copy[i - 1] == '/') continue;
        int rc = make_one(copy, i);
        if (rc < 0) return rc;
    }
    return 0;
}

int folder_lock(const char *path, int *lock_fd)
{
    char name[PATH_MAX], text[24] = "";
    int len = snprintf(name, sizeof name, "%s/lock", path);
    if (len < 0 || (size_t)len >= sizeof name) {
        return store_fail(MOLT_STORE_FAILED, "the data folder's path is too long");
    }
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return store_fail(MOLT_STORE_FAILED, "cannot open %s: %s", name, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int error = errno;
        ssize_t got = pread(fd, text, sizeof text - 1, 0);
        text[got > 0 ? got : 0] = '\0';
        long pid = strtol(text, NULL, 10);
        close(fd);
        if (error != EWOULDBLOCK) {
            return store_fail(MOLT_STORE_FAILED, "cannot lock %s: %s", name, strerror(error));
        }
        if (pid <= 0) return store_fail(MOLT_STATE, "%s is in use by another process", path);
        return store_fail(MOLT_STATE, "%s is in use by process %ld", path, pid);
    }
    folder_give(AT_FDCWD, path, fd);
    /* The pid is for the message above only; that it cannot be written says that nothing else can. */
    len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len) {
        close(fd);
        return store_fail(MOLT_STORE_FAILED, "cannot write %s: %s", name, strerror(errno));
    }
    *lock_fd = fd;
    return 0;
}

int folder_instance(const char *path, char instance[33])
{
    char name[PATH_MAX];
    uint8_t random[16];
    int len = snprintf(name, sizeof name, "%s/instance", path);
    if (len < 0 || (size_t)len >= sizeof name)
        return store_fail(MOLT_STORE_FAILED, "the data folder's path is too long");
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return store_fail(MOLT_STORE_FAILED, "cannot open %s: %s", name, strerror(errno));
    folder_give(AT_FDCWD, path, fd);
    memset(instance, 0, 33);
    int rc = 0;
    if (pread(fd, instance, 32, 0) != 32) {
        if (RAND_bytes(random, sizeof random) != 1) rc = store_fail(MOLT_INTERNAL, "no random numbers");
        for (size_t i = 0; i < sizeof random; i++)
            snprintf(instance + 2 * i, 3, "%02x", random[i]);
        if (rc == 0 && pwrite(fd, instance, 32, 0) != 32)
            rc = store_fail(MOLT_STORE_FAILED, "cannot write %s: %s", name, strerror(errno));
    }
    close(fd);
    return rc;
}
