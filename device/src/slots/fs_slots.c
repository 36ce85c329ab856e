/* fs_slots.c - where a file system's image goes, and the copy of a staged one over the old, resumable at each sector.
 * Must never write to the file system before what replaces it was read back, unless it is told to write in place.
 * Tests: test/unit/agent_fs_test.c, test/powercut/fs_test.c. */
#include "fs_slots.h"

#include <string.h>

#include "../util/bytes.h"
#include "walk.h"

#define CHECK_LEN 128u

enum phase { BEGIN = 0, SEARCH, ERASE, READ, WRITE, NOTE, CHECK, FIND };

static struct molt_fs_slots *self(struct molt_slots *slots)
{
    return (struct molt_fs_slots *)slots; /* slots is its first member */
}

/* ---- where ---- */

static bool meets(const struct molt_fs_slots *fs, uint32_t off, uint32_t end)
{
    return off < fs->off + fs->len && fs->off < end;
}

static int place_in(struct molt_fs_slots *fs, struct molt_target *target)
{
    struct molt_target log;
    if (!fs->may_overwrite) return -MOLT_FS_IN_PLACE;
    int rc = fs->app->ops->target(fs->app, MOLT_LOG_LEN, MOLT_LOG_LEN, MOLT_RAW, &log);
    memset(target, 0, sizeof *target);
    target->off = fs->off;
    target->cap = fs->len;
    target->in_place = true;
    if (rc < 0) return rc == -MOLT_NO_SPACE ? 0 : rc;
    target->scratch_off = log.scratch_off != 0 ? log.scratch_off : log.off;
    return meets(fs, target->scratch_off, target->scratch_off + MOLT_LOG_LEN) ? -MOLT_BAD_PARTITIONS : 0;
}

static int fs_target(struct molt_slots *slots, uint32_t file_len, uint32_t image_len,
                     enum molt_encoding encoding, struct molt_target *target)
{
    struct molt_fs_slots *fs = self(slots);
    const uint32_t need = encoding == MOLT_RAW ? file_len : image_len;
    struct molt_target staged;
    if (need == 0 || need > fs->len) return -MOLT_NO_SPACE;
    int rc = fs->app->ops->target(fs->app, need, need, MOLT_RAW, &staged);
    slots->port_err = fs->app->port_err;
    if (rc < 0 && rc != -MOLT_NO_SPACE) return rc;
    if (rc < 0 || staged.scratch_off == 0) return place_in(fs, target);
    if (meets(fs, staged.off, staged.off + staged.cap)) return -MOLT_BAD_PARTITIONS;
    memset(target, 0, sizeof *target);
    target->off = staged.off;
    target->cap = staged.cap;
    target->scratch_off = staged.scratch_off;
    return 0;
}

static uint32_t fs_room(struct molt_slots *slots)
{
    return self(slots)->len;
}

/* ---- the copy: erase, pieces, a record; then all of it is compared ---- */

static int give_up(struct molt_fs_slots *fs, int port_err, int reason)
{
    fs->slots.port_err = port_err;
    fs->phase = BEGIN;
    return -reason;
}

/* Records of another round are not this copy's: what they say of the file system was true then. */
static void open_log(struct molt_fs_slots *fs, uint32_t len)
{
    uint8_t tag[MOLT_LOG_TAG_LEN] = {'f', 's', ' ', fs->round};
    molt_store32le(tag + 4, len);
    molt_log_begin(&fs->log, fs->slots.flash, fs->staged.scratch_off, tag);
    molt_log_search(&fs->log, 0);
    fs->copied = fs->checked = 0;
}

static int search(struct molt_fs_slots *fs, uint32_t len)
{
    int rc = molt_log_search_step(&fs->log, &fs->found);
    if (rc > 0) return rc;
    if (rc == -MOLT_FLASH_READ) return give_up(fs, 0, MOLT_FLASH_READ);
    if (fs->can_resume && fs->log.newest <= molt_round_up(len, MOLT_SECTOR)) fs->copied = fs->log.newest;
    fs->phase = fs->copied > 0 ? NOTE : ERASE; /* the record that is built on is written again: it may rot */
    return MOLT_MORE;
}

static int copy_piece(struct molt_fs_slots *fs)
{
    const struct molt_flash *flash = fs->slots.flash;
    int rc;
    if (fs->phase == READ) {
        rc = flash->read(flash->ctx, fs->staged.off + fs->copied, fs->piece, sizeof fs->piece);
        if (rc < 0) return give_up(fs, rc, MOLT_FLASH_READ);
        fs->phase = WRITE;
        return MOLT_MORE;
    }
    rc = flash->write(flash->ctx, fs->off + fs->copied, fs->piece, sizeof fs->piece);
    if (rc < 0) return give_up(fs, rc, MOLT_FLASH_WRITE);
    fs->copied += sizeof fs->piece;
    fs->phase = fs->copied % MOLT_SECTOR == 0 ? NOTE : READ;
    return MOLT_MORE;
}

/* A log that cannot be written costs a longer way after a cut, not the copy. */
static int note(struct molt_fs_slots *fs, uint32_t len)
{
    const struct molt_log_record record = {.stored = fs->copied, .erased = fs->copied};
    int rc = fs->can_resume ? molt_log_append_step(&fs->log, &record) : 0;
    if (rc <= 0) fs->phase = fs->copied < len ? ERASE : CHECK;
    return MOLT_MORE;
}

static int check(struct molt_fs_slots *fs, uint32_t len)
{
    uint8_t there[CHECK_LEN];
    const uint32_t n = molt_min32(len - fs->checked, CHECK_LEN);
    if (n == 0) {
        fs->phase = BEGIN;
        return MOLT_DONE;
    }
    int rc = molt_slots_read(&fs->slots, fs->off + fs->checked, there, n);
    if (rc == 0) rc = molt_slots_read(&fs->slots, fs->staged.off + fs->checked, fs->piece, n);
    if (rc < 0) return give_up(fs, fs->slots.port_err, MOLT_FLASH_READ);
    if (memcmp(there, fs->piece, n) != 0) return give_up(fs, 0, MOLT_FLASH_VERIFY);
    fs->checked += n;
    return MOLT_MORE;
}

int molt_fs_copy_step(struct molt_fs_slots *fs, uint32_t len)
{
    const struct molt_flash *flash = fs->slots.flash;
    int rc;
    switch ((enum phase)fs->phase) {
    case BEGIN:
    case FIND:
        if (len == 0 || len > fs->len || fs->staged.cap < len) return -MOLT_ARG;
        open_log(fs, len);
        fs->phase = SEARCH;
        return MOLT_MORE;
    case SEARCH:
        return search(fs, len);
    case ERASE:
        rc = flash->erase(flash->ctx, fs->off + fs->copied, MOLT_SECTOR);
        if (rc < 0) return give_up(fs, rc, MOLT_FLASH_ERASE);
        fs->phase = READ;
        return MOLT_MORE;
    case READ:
    case WRITE:
        return copy_piece(fs);
    case NOTE:
        return note(fs, len);
    case CHECK:
        break;
    }
    return check(fs, len);
}

int molt_fs_find_step(struct molt_fs_slots *fs, uint32_t len, const uint8_t digest[MOLT_SHA256_LEN])
{
    uint8_t found[MOLT_SHA256_LEN];
    if (fs->phase != FIND) {
        int rc = fs_target(&fs->slots, len, len, MOLT_RAW, &fs->staged);
        if (rc < 0) return rc;
        if (fs->staged.in_place) return -MOLT_NOT_FOUND;
        fs->hash.ops = fs->slots.hash;
        fs->hash.ops->init(&fs->hash.state);
        fs->hashed = fs->staged.off;
        fs->phase = FIND;
        return MOLT_MORE;
    }
    int rc = molt_slots_hash_some(&fs->slots, &fs->hash, &fs->hashed, fs->staged.off + len);
    if (rc < 0) return give_up(fs, fs->slots.port_err, MOLT_FLASH_READ);
    if (fs->hashed < fs->staged.off + len) return MOLT_MORE;
    fs->hash.ops->finish(&fs->hash.state, found);
    fs->phase = BEGIN;
    return memcmp(found, digest, sizeof found) == 0 ? MOLT_DONE : -MOLT_NOT_FOUND;
}

/* ---- molt_slots_ops ---- */

static int fs_commit_step(struct molt_slots *slots, const struct molt_target *target, uint32_t stored_len)
{
    struct molt_fs_slots *fs = self(slots);
    if (target->in_place) return MOLT_DONE;
    fs->staged = *target;
    return molt_fs_copy_step(fs, stored_len);
}

static int nothing_to_confirm(struct molt_slots *slots)
{
    (void)slots;
    return MOLT_DONE;
}

static int nothing_to_go_back_to(struct molt_slots *slots)
{
    (void)slots;
    return -MOLT_NO_ROLLBACK;
}

static int fs_state(struct molt_slots *slots, struct molt_boot_state *state)
{
    (void)slots;
    memset(state, 0, sizeof *state);
    return 0;
}

/* The product writes to its file system: no hash over it says what was installed. The keep store does. */
static int fs_identity_step(struct molt_slots *slots, struct molt_hash *hash, uint8_t digest[MOLT_SHA256_LEN])
{
    (void)slots;
    (void)hash;
    memset(digest, 0, MOLT_SHA256_LEN);
    return -MOLT_STATE;
}

static int fs_look(const uint8_t *head, uint32_t head_len, uint32_t file_len)
{
    enum molt_file_kind kind = molt_image_classify(head, head_len, file_len);
    if (kind == MOLT_FILE_LITTLEFS || kind == MOLT_FILE_SPIFFS || kind == MOLT_FILE_FAT) return 0;
    return -(kind == MOLT_FILE_TEXT ? MOLT_IMAGE_TEXT : MOLT_IMAGE_UNKNOWN);
}

static const struct molt_slots_ops fs_ops = {
    .format = &molt_image_plain,
    .target = fs_target,
    .commit_step = fs_commit_step,
    .confirm_step = nothing_to_confirm,
    .reject_step = nothing_to_go_back_to,
    .state = fs_state,
    .identity_step = fs_identity_step,
    .room = fs_room,
    .look = fs_look,
};

int molt_fs_slots_begin(struct molt_fs_slots *fs, struct molt_slots *app, uint32_t off, uint32_t len)
{
    const uint32_t size = app->flash->size;
    memset(fs, 0, sizeof *fs);
    if (off % MOLT_SECTOR != 0 || len % MOLT_SECTOR != 0 || off == 0 || len == 0 || off > size ||
        len > size - off)
        return -MOLT_ARG;
    fs->slots = (struct molt_slots){.ops = &fs_ops, .flash = app->flash, .hash = app->hash};
    fs->app = app;
    fs->off = off;
    fs->len = len;
    return 0;
}
