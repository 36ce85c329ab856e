/* packs_make.c - one pack out of two artifacts. Must never hand out a pack that does not give back the image.
 * Tests: test/unit/packs_test.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/pack/pack.h"
#include "packs_parts.h"

static int read_artifact(struct packs *packs, const uint8_t sha256[32], struct packs_file *file)
{
    struct stat st;
    int fd = store_artifact_open(packs->store, sha256), rc = -MOLT_STORE_FAILED;
    if (fd < 0) return fd;
    if (fstat(fd, &st) == 0 && st.st_size > 0) rc = st.st_size <= PACKS_FILE_MAX ? 0 : -MOLT_FILE_TOO_LARGE;
    file->len = rc == 0 ? (size_t)st.st_size : 0;
    file->data = rc == 0 ? malloc(file->len) : NULL;
    if (rc == 0 && file->data == NULL) rc = -MOLT_NO_MEMORY;
    for (size_t at = 0; rc == 0 && at < file->len;) {
        ssize_t got = pread(fd, file->data + at, file->len - at, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) rc = -MOLT_STORE_FAILED;
        at += got > 0 ? (size_t)got : 0;
    }
    (void)close(fd);
    return rc;
}

static bool goes_on(void *ctx, uint64_t done, uint64_t total)
{
    struct packs *packs = ctx;
    (void)done;
    (void)total;
    return !atomic_load(&packs->stop);
}

static int make_pack(struct packs *packs, enum packs_kind kind, const struct packs_file *base,
                     const struct packs_file *image, struct packs_file *file)
{
    struct packs_file again = {0};
    struct pack_job job = {.data = image->data, .len = image->len, .progress = goes_on, .ctx = packs};
    if (kind != PACKS_WHOLE) {
        job.base = base->data;
        job.base_len = base->len;
        job.body_only = kind == PACKS_BODY || kind == PACKS_SMALL_BODY;
        job.small = kind == PACKS_SMALL || kind == PACKS_SMALL_BODY;
        job.in_place = kind == PACKS_IN_PLACE;
    }
    bool detools = kind == PACKS_DETOOLS;
    int rc = detools ? pack_detools(&job, &file->data, &file->len)
                     : pack_encode(&job, &file->data, &file->len, NULL);
    if (rc == 0 && detools)
        rc = pack_detools_apply(file->data, file->len, job.base, job.base_len, &again.data, &again.len);
    else if (rc == 0)
        rc = pack_decode(file->data, file->len, job.base, job.base_len, &again.data, &again.len);
    if (rc == 0 && (again.len != image->len || memcmp(again.data, image->data, image->len) != 0))
        rc = -MOLT_INTERNAL;
    free(again.data);
    return rc;
}

int packs_make(struct packs *packs, const struct pack_key *key, struct packs_file *file)
{
    struct packs_file base = {0}, image = {0};
    int rc = read_artifact(packs, key->image, &image);
    if (rc == 0 && key->kind != PACKS_WHOLE) rc = read_artifact(packs, key->base, &base);
    if (rc == 0) rc = make_pack(packs, key->kind, &base, &image, file);
    if (rc == 0 && file->len >= image.len) rc = -MOLT_FILE_TOO_LARGE; /* as noise is */
    free(base.data);
    free(image.data);
    if (rc < 0) {
        free(file->data);
        *file = (struct packs_file){0};
    }
    return rc;
}
