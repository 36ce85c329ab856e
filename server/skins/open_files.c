/* open_files.c - a small table of open artifacts. Must never close one that is being sent. Artifacts are
 * content-addressed and never change, so an open one is never stale. Tests: test/e2e/skins_test.c. */
#include "open_files.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOTS 128

struct slot {
    uint8_t sha256[32];
    int fd; /* 0: free (descriptor 0 is never an artifact) */
    uint32_t users;
    uint64_t used_at;
};

struct open_files {
    struct store *store;
    struct packs *packs;
    pthread_mutex_t lock;
    uint64_t clock;
    struct slot slots[SLOTS];
};

struct open_files *open_files_new(struct store *store, struct packs *packs)
{
    struct open_files *files = calloc(1, sizeof *files);
    if (files == NULL) return NULL;
    files->store = store;
    files->packs = packs;
    pthread_mutex_init(&files->lock, NULL);
    return files;
}

void open_files_free(struct open_files *files)
{
    if (files == NULL) return;
    for (size_t i = 0; i < SLOTS; i++) {
        if (files->slots[i].fd > 0) (void)close(files->slots[i].fd);
    }
    pthread_mutex_destroy(&files->lock);
    free(files);
}

static int open_checked(struct open_files *files, const struct model_artifact *artifact)
{
    int fd = store_artifact_here(files->store, artifact->sha256);
    struct stat st;
    if (fd == -MOLT_NOT_FOUND) fd = packs_open_content(files->packs, artifact->sha256);
    if (fd < 0) return fd;
    if (fstat(fd, &st) == 0 && st.st_size == (off_t)artifact->len) return fd;
    (void)close(fd);
    return -MOLT_STORE_FAILED;
}

int open_files_get(struct open_files *files, const struct model_artifact *artifact)
{
    pthread_mutex_lock(&files->lock);
    struct slot *oldest = NULL;
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &files->slots[i];
        if (slot->fd > 0 && memcmp(slot->sha256, artifact->sha256, sizeof slot->sha256) == 0) {
            slot->users++;
            slot->used_at = ++files->clock;
            int fd = slot->fd;
            pthread_mutex_unlock(&files->lock);
            return fd;
        }
        if (slot->users == 0 && (oldest == NULL || slot->used_at < oldest->used_at)) oldest = slot;
    }
    int fd = open_checked(files, artifact);
    if (fd > 0 && oldest != NULL) { /* else it is not kept: open_files_put() closes it */
        if (oldest->fd > 0) (void)close(oldest->fd);
        *oldest = (struct slot){.fd = fd, .users = 1, .used_at = ++files->clock};
        memcpy(oldest->sha256, artifact->sha256, sizeof oldest->sha256);
    }
    pthread_mutex_unlock(&files->lock);
    return fd;
}

void open_files_put(struct open_files *files, int fd)
{
    pthread_mutex_lock(&files->lock);
    bool kept = false;
    for (size_t i = 0; i < SLOTS && !kept; i++) {
        if (files->slots[i].fd != fd) continue;
        files->slots[i].users--;
        kept = true;
    }
    if (!kept) (void)close(fd);
    pthread_mutex_unlock(&files->lock);
}
