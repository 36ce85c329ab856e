/* update.c - the whole life of an update: take, check, store, read back, commit.
 * Must never erase before the head has passed, nor commit what did not read back as it came.
 * Tests: test/unit/update_test.c, test/property/power_cut_test.c. */
#include "update_parts.h"

#include <assert.h>
#include <string.h>

#include "../util/bytes.h"
#include "../util/crc.h"
#include "../util/secret.h"

#define SCRATCH_LEN 128u /* bytes of decoded image on the stack at once */
#define HEAD_ENCODED                                                                                         \
    64u /* bytes of image that one page of gzip gives for sure, and all that eboot's format needs */

enum state {
    ST_SEARCH,    /* looks into the log for the next thing that an earlier try may have left */
    ST_REHASH,    /* reads it back, through all checks */
    ST_REFILL,    /* gives the decoder its window again */
    ST_TAKE,      /* wants bytes, sends them through decoder and image check, fills the page */
    ST_PREPARE,   /* looks whether the page's place may be written */
    ST_ERASE,     /* erases ahead */
    ST_WRITE,     /* programs the page */
    ST_LOG,       /* notes a whole sector */
    ST_JUDGE,     /* all came: is it what was announced, and a whole image? */
    ST_READ_BACK, /* the same checks over what the flash holds now */
    ST_COMPARE,   /* is it what came? */
    ST_VERIFIED,
    ST_COMMIT, /* the one change to what the next boot runs */
    ST_READY,
    ST_DEAD,
};

/* ---- the way of a byte: input buffer -> decoder -> image check, and into the page unless it is there
 * ---- */

int update_flash_failed(struct molt_update *u, int port_err, int reason)
{
    u->port_err = port_err;
    return -reason;
}

static bool has_input(const struct molt_update *u)
{
    return u->in_used < u->in_len || u->inflate_more;
}

static bool all_received(const struct molt_update *u)
{
    return u->received == u->job.file_len;
}

/* Bytes that wait in the page. */
static uint32_t page_fill(const struct molt_update *u)
{
    return u->direct ? u->in_len : u->fill;
}

static bool page_is_due(const struct molt_update *u)
{
    uint32_t fill = page_fill(u);
    if (fill == MOLT_PAGE_LEN) return u->direct ? !has_input(u) : true;
    return fill > 0 && all_received(u) && !has_input(u);
}

/* In what the boot stage unpacks, byte 2 cannot be made the device's own; a board wired for DOUT does not start in
 * QIO mode. */
static bool brings_other_flash_mode(const struct molt_update *u)
{
    return u->target.keep_encoded && u->image_fed >= HEAD_ENCODED &&
           u->image.info.flash_mode != u->target.header_byte2;
}

static void hash_some(struct molt_update *u, const void *data, uint32_t len)
{
    u->hash.ops->update(&u->hash.state, data, len);
}

int update_check_image(struct molt_update *u, const uint8_t *data, uint32_t len)
{
    /* what the boot stage unpacks must not reach into its own source */
    uint32_t room = u->target.keep_encoded ? u->target.off : u->target.cap;
    if (len > room - u->image_fed) return -MOLT_NO_SPACE;
    if (u->job.signed_digest != NULL && len > u->job.image_len - u->image_fed) return -MOLT_LENGTH_MISMATCH;
    if (u->job.signed_digest != NULL) hash_some(u, data, len);
    u->image_fed += len;
    if (u->job.is_fs) { /* all that is to be known of it is its digest */
        u->image.hash.ops->update(&u->image.hash.state, data, len);
        return 0;
    }
    int rc = molt_image_feed(&u->image, data, len);
    return rc == 0 && brings_other_flash_mode(u) ? -MOLT_FLASH_MODE : rc;
}

/* One call of the decoder: into the page when that is what is stored, else only for the check. */
static int inflate_some(struct molt_update *u)
{
    uint8_t scratch[SCRATCH_LEN];
    uint8_t *out = u->direct ? scratch : u->page + u->fill;
    uint32_t cap = u->direct ? SCRATCH_LEN : molt_min32(SCRATCH_LEN, MOLT_PAGE_LEN - u->fill);
    const uint8_t *buffer = u->direct ? u->page : u->in, *in = buffer + u->in_used;
    size_t in_len = u->in_len - u->in_used, out_len = 0;
    if (u->inflate_end) return -MOLT_BAD_GZIP; /* bytes behind the member */
    if (u->skip > 0) cap = molt_min32(cap, u->skip);

    int rc = molt_inflate_step(&u->inflate, &in, &in_len, out, cap, &out_len);
    if (rc < 0) return rc;
    u->in_used = (uint32_t)(in - buffer);
    u->inflate_end = rc == MOLT_INFLATE_END;
    u->inflate_more = !u->inflate_end && out_len == cap;
    if (u->skip > 0) { /* flash has it, and it was checked there */
        u->skip -= (uint32_t)out_len;
        return 0;
    }
    if (!u->direct) u->fill += (uint32_t)out_len;
    return update_check_image(u, out, (uint32_t)out_len);
}

static int take_some(struct molt_update *u)
{
    if (u->unpacking) return u->job.unpacker->some(u);
    if (u->inflating) return inflate_some(u);
    uint32_t at = u->in_used;
    u->in_used = u->in_len; /* raw input always lies in the page */
    return update_check_image(u, u->page + at, u->in_len - at);
}

static int want_data(struct molt_update *u)
{
    uint32_t cap = u->direct ? MOLT_PAGE_LEN : MOLT_FEED_LEN;
    if (!u->direct) u->in_len = u->in_used = 0;
    u->need_offset = u->received;
    u->need_len = molt_min32(cap - u->in_len, u->job.file_len - u->received);
    return MOLT_NEED_DATA;
}

/* Is it complete? digest: of the file, or of the image when it is signed. */
static int finish_checks(struct molt_update *u, uint8_t digest[MOLT_SHA256_LEN])
{
    u->hash.ops->finish(&u->hash.state, digest);
    if (u->inflating && !u->inflate_end) return -MOLT_BAD_GZIP;
    if (u->unpacking && !u->inflate_end) return -MOLT_BAD_PACK;
    if (!u->job.is_fs) return molt_image_finish(&u->image);
    u->image.hash.ops->finish(&u->image.hash.state, u->image.info.digest);
    return 0;
}

static int start_checks(struct molt_update *u)
{
    u->in_len = u->in_used = u->fill = u->image_fed = 0;
    u->inflate_more = u->inflate_end = false;
    u->checked = u->crc = u->skip = 0;
    molt_image_begin_as(&u->image, u->job.slots->ops->format, &u->job.expect, u->job.hash);
    u->hash.ops = u->job.hash;
    u->hash.ops->init(&u->hash.state);
    u->proven = MOLT_NO;
    if (u->unpacking) u->job.unpacker->begin(u);
    return u->inflating ? molt_inflate_begin(&u->inflate, u->job.window, u->job.window_len) : 0;
}

/* ---- one flash operation each ---- */

/* Refuses to go on to flash with an image that has not shown its head. */
static int head_has_passed(struct molt_update *u)
{
    if (u->written > 0) return 0;
    if (u->job.is_fs)
        return u->job.slots->ops->look(u->page, page_fill(u), u->direct ? u->job.file_len : u->job.image_len);
    if (u->image_fed >= (u->target.keep_encoded ? HEAD_ENCODED : MOLT_IMAGE_HEAD_LEN)) return 0;
    if (!all_received(u)) return -MOLT_BAD_GZIP; /* only compressed bytes can fill a page with less */
    uint8_t digest[MOLT_SHA256_LEN];
    int rc = finish_checks(u, digest);
    return rc < 0 ? rc : -MOLT_IMAGE_TRUNCATED;
}

static bool place_is_free(const struct molt_update *u)
{
    return u->written + page_fill(u) <= u->erased;
}

/* Behind a resume's first sector the log vouches for what is erased; it is looked at nevertheless. Elsewhere blank is
 * never taken for erased: a cut erase can read as blank now and as noise after the next power-up. */
static bool pass_erased_sector(struct molt_update *u)
{
    const struct molt_flash *flash = u->job.slots->flash;
    if (u->erased <= u->good.stored || u->erased >= u->good.erased) return false;
    if (!flash->is_blank(flash->ctx, u->target.off + u->erased, MOLT_SECTOR)) return false;
    u->erased += MOLT_SECTOR;
    return true;
}

static int erase_ahead(struct molt_update *u)
{
    const struct molt_flash *flash = u->job.slots->flash;
    uint32_t stored = u->direct ? u->job.file_len : u->job.image_len;
    uint32_t end = stored == 0 ? u->target.cap : molt_round_up(stored, MOLT_SECTOR);
    uint32_t off = u->target.off + u->erased, len = MOLT_SECTOR;
    bool is_resuming = u->erased < u->good.erased; /* what lies behind is erased: this sector alone */
    for (unsigned i = 1; !is_resuming && i < MOLT_ERASE_SIZES && flash->erase_sizes[i] != 0; i++) {
        uint32_t size = flash->erase_sizes[i];
        if ((off & (size - 1)) == 0 && u->erased + size <= end) len = size;
    }
    int rc = flash->erase(flash->ctx, off, len);
    if (rc < 0) return update_flash_failed(u, rc, MOLT_FLASH_ERASE);
    u->erased += len;
    return 0;
}

static int write_page(struct molt_update *u)
{
    const struct molt_flash *flash = u->job.slots->flash;
    uint32_t fill = page_fill(u), padded = molt_round_up(fill, flash->write_unit);
    memset(u->page + fill, 0xFF, padded - fill);
    if (u->written == 0 && u->target.patch_header) {
        u->original[0] = u->page[2];
        u->original[1] = u->page[3];
        u->page[2] = u->target.header_byte2;
        u->page[3] = u->target.header_byte3;
    }
    int rc = flash->write(flash->ctx, u->target.off + u->written, u->page, padded);
    if (rc < 0) return update_flash_failed(u, rc, MOLT_FLASH_WRITE);
    u->crc = molt_crc32_lsb(u->crc, u->page, fill);
    u->written += fill;
    u->fill = 0;
    if (u->direct) u->in_len = u->in_used = 0;
    return 0;
}

static int read_back(struct molt_update *u)
{
    const struct molt_flash *flash = u->job.slots->flash;
    uint32_t len = molt_min32(MOLT_PAGE_LEN, u->written - u->checked);
    int rc = flash->read(flash->ctx, u->target.off + u->checked, u->page, len);
    if (rc < 0) return update_flash_failed(u, rc, MOLT_FLASH_READ);
    u->crc = molt_crc32_lsb(u->crc, u->page, len);
    if (u->checked == 0 && u->target.patch_header) {
        if (u->page[2] != u->target.header_byte2 || u->page[3] != u->target.header_byte3)
            return -MOLT_FLASH_VERIFY;
        u->page[2] = u->original[0];
        u->page[3] = u->original[1];
    }
    if (u->direct && u->job.signed_digest == NULL) hash_some(u, u->page, len);
    u->checked += len;
    u->in_len = len;
    u->in_used = 0;
    return 0;
}

/* ---- going on after a cut: what the log names is read back through all checks before it counts ---- */

static void hash_u32(const struct molt_hash_ops *ops, void *state, uint32_t value)
{
    uint8_t raw[4];
    molt_store32le(raw, value);
    ops->update(state, raw, sizeof raw);
}

/* What makes a job the same job. Uses the hash, which begins later. */
static void name_job(struct molt_update *u, uint8_t digest[MOLT_SHA256_LEN])
{
    const struct molt_job *job = &u->job;
    const struct molt_hash_ops *ops = job->hash;
    void *state = &u->hash.state;
    ops->init(state);
    hash_u32(ops, state, job->file_len);
    hash_u32(ops, state, job->image_len);
    hash_u32(ops, state, (uint32_t)job->encoding | (job->has_digest ? 0x100u : 0) | (u->direct ? 0x200u : 0));
    hash_u32(ops, state, u->target.off);
    hash_u32(ops, state, u->target.header_byte2 | (uint32_t)u->target.header_byte3 << 8);
    if (job->has_digest) ops->update(state, job->digest, MOLT_SHA256_LEN);
    if (!job->has_digest) ops->update(state, job->etag, strlen(job->etag));
    if (job->signed_digest != NULL) ops->update(state, job->signed_digest, MOLT_SHA256_LEN);
    ops->finish(state, digest);
}

static void open_log(struct molt_update *u)
{
    const struct molt_job *job = &u->job;
    uint8_t digest[MOLT_SHA256_LEN];
    bool is_named = job->has_digest || (job->etag != NULL && job->etag[0] != '\0');
    /* what was decoded before a cut is not there to be hashed again: the image's own digest must do */
    bool is_sure = u->direct || !job->has_digest || job->image_digest != NULL || job->signed_digest != NULL;
    u->can_resume = u->target.scratch_off != 0 && is_named && is_sure;
    if (!u->can_resume) return;
    name_job(u, digest);
    molt_log_begin(&u->log, job->slots->flash, u->target.scratch_off, digest);
    molt_log_search(&u->log, 0);
}

/* Reads on to the next record, or starts over to end at the last good one. */
static int rehash_from(struct molt_update *u, bool over)
{
    if (over) {
        u->inflating = u->target.keep_encoded;
        u->unpacking = false;
        int rc = start_checks(u);
        if (rc < 0) return rc;
    }
    u->written = u->next.stored;
    memcpy(u->original, u->next.original, sizeof u->original);
    return 0;
}

static bool is_gzip_decoded(const struct molt_update *u)
{
    return !u->direct && u->job.encoding == MOLT_GZIP;
}

static bool record_fits(const struct molt_update *u)
{
    const struct molt_log_record *r = &u->next;
    uint32_t len = u->direct ? u->job.file_len : u->target.cap;
    if (r->stored > len || r->erased > molt_round_up(u->target.cap, MOLT_SECTOR)) return false;
    if (r->stored % MOLT_SECTOR != 0 && u->direct && r->stored != len) return false;
    return !is_gzip_decoded(u) || (r->block_in > 0 && r->block_in < u->job.file_len);
}

/* No more records: from here on bytes are taken. */
static int resume(struct molt_update *u)
{
    u->next = u->good;
    u->written = u->checked = u->good.stored;
    u->erased = molt_round_up(u->good.stored, MOLT_SECTOR);
    u->inflating = u->job.encoding == MOLT_GZIP;
    u->received = u->good.stored;
    u->checked = 0;
    u->in_len = u->in_used = 0;
    if (u->job.encoding == MOLT_PACK) { /* first its header, then skip_to_frame() */
        u->unpacking = u->unhashed = true;
        u->received = 0;
        u->job.unpacker->begin(u);
    } else if (!u->direct) {
        const struct molt_inflate_block block = {u->good.block_in, u->good.block_bit, u->good.block_out};
        int rc = molt_inflate_resume(&u->inflate, u->job.window, u->job.window_len, &block, u->block_crc);
        if (rc < 0) return rc;
        u->received = block.in;
        u->skip = u->good.stored - block.out;
        u->unhashed = true;
    }
    u->resumed_at = u->received;
    return 0;
}

static int begin_fresh(struct molt_update *u)
{
    memset(&u->good, 0, sizeof u->good);
    u->written = u->erased = u->received = 0;
    u->inflating = u->job.encoding == MOLT_GZIP;
    u->unpacking = u->job.encoding == MOLT_PACK;
    return start_checks(u);
}

static int search(struct molt_update *u, enum state *next)
{
    int rc = molt_log_search_step(&u->log, &u->next);
    if (rc > 0) return 0;
    if (rc == 0 && !u->job.fresh && record_fits(u)) {
        *next = ST_REHASH;
        return rehash_from(u, u->good.stored == 0);
    }
    if (rc == -MOLT_FLASH_READ) u->can_resume = false;
    if (u->good.stored == 0 || u->job.fresh) {
        *next = ST_TAKE;
        return begin_fresh(u);
    }
    *next = is_gzip_decoded(u) ? ST_REFILL : ST_LOG;
    u->refilled = u->good.block_out - molt_min32(u->good.block_out, u->job.window_len);
    return resume(u);
}

/* The block header's place among what was just read: the decoder needs the CRC up to there. */
static void note_block_crc(struct molt_update *u, uint32_t before, uint32_t at)
{
    uint32_t ahead = u->next.block_out - at;
    if (!is_gzip_decoded(u) || u->next.block_out < at || ahead > u->checked - at) return;
    u->block_crc = molt_crc32_lsb(before, u->page, ahead);
}

/* What does not read back as it was is not there, nor is what comes behind it. */
static int not_there(struct molt_update *u, enum state *next)
{
    if (u->good.stored == 0 ||
        u->next.stored == u->good.stored) { /* the good part went bad while it was read */
        *next = ST_TAKE;
        return begin_fresh(u);
    }
    u->next = u->good;
    return rehash_from(u, true);
}

static int rehash(struct molt_update *u, enum state *next)
{
    if (has_input(u)) return take_some(u) < 0 ? not_there(u, next) : 0;
    if (u->checked < u->next.stored) {
        uint32_t before = u->crc, at = u->checked;
        if (read_back(u) < 0) return not_there(u, next);
        note_block_crc(u, before, at);
        return 0;
    }
    if (u->crc != u->next.crc) return not_there(u, next);
    if (u->next.stored == u->good.stored) { /* the second time, after a bad one */
        *next = is_gzip_decoded(u) ? ST_REFILL : ST_LOG;
        u->refilled = u->good.block_out - molt_min32(u->good.block_out, u->job.window_len);
        return resume(u);
    }
    u->good = u->next;
    molt_log_search(&u->log, u->good.stored);
    *next = ST_SEARCH;
    return 0;
}

static int refill(struct molt_update *u, enum state *next)
{
    const struct molt_flash *flash = u->job.slots->flash;
    uint32_t at = u->refilled & (u->job.window_len - 1), left = u->good.block_out - u->refilled;
    uint32_t len = molt_min32(molt_min32(left, u->job.window_len - at), MOLT_SECTOR);
    if (len == 0) {
        *next = ST_LOG;
        return 0;
    }
    int rc = flash->read(flash->ctx, u->target.off + u->refilled, u->job.window + at, len);
    if (rc < 0) return update_flash_failed(u, rc, MOLT_FLASH_READ);
    u->refilled += len;
    return 0;
}

/* After a whole sector, and at the end: what is durable now. */
static bool is_worth_a_record(struct molt_update *u)
{
    bool is_end = all_received(u) && !has_input(u);
    if (!u->can_resume || u->skip > 0 || (u->written % MOLT_SECTOR != 0 && !is_end)) return false;
    bool has_block = is_gzip_decoded(u);
    if (has_block && u->inflate.block.in == 0) return false;
    u->next = (struct molt_log_record){
        .stored = u->written,
        .crc = u->crc,
        .erased = u->erased,
        .original = {u->original[0], u->original[1]},
        .block_in = has_block ? u->inflate.block.in : 0,
        .block_bit = has_block ? u->inflate.block.bit : 0,
        .block_out = has_block ? u->inflate.block.out : 0,
    };
    return true;
}

/* A log that cannot be written is given up; the update is not. */
static void note(struct molt_update *u, enum state *next)
{
    int rc = molt_log_append_step(&u->log, &u->next);
    if (rc < 0) u->can_resume = false;
    if (rc <= 0) *next = ST_TAKE;
}

/* ---- verdicts ---- */

static bool is_image(const struct molt_update *u, const uint8_t *identity)
{
    return identity != NULL && memcmp(identity, u->image.info.digest, MOLT_SHA256_LEN) == 0;
}

/* MOLT_YES when what went through the checks is what was signed, or nothing needs to be. */
static uint32_t is_as_signed(const struct molt_update *u, const uint8_t digest[MOLT_SHA256_LEN])
{
    if (u->job.signed_digest == NULL) return MOLT_YES;
    if (u->image_fed != u->job.image_len) return MOLT_NO;
    return molt_same_bytes(digest, u->job.signed_digest, MOLT_SHA256_LEN);
}

/* What must be the same when it is read back: all of it where that was hashed, else the image. */
static const uint8_t *proof(const struct molt_update *u, const uint8_t digest[MOLT_SHA256_LEN])
{
    return u->direct || u->job.signed_digest != NULL ? digest : u->image.info.digest;
}

/* The last word on what came; then the same checks start over, from flash. */
static int judge(struct molt_update *u)
{
    uint8_t digest[MOLT_SHA256_LEN];
    int rc = finish_checks(u, digest);
    bool is_file = u->job.signed_digest == NULL && !u->unhashed; /* that was hashed, from its first byte on */
    if (u->job.has_digest && is_file && memcmp(digest, u->job.digest, sizeof digest) != 0)
        return -MOLT_DIGEST_MISMATCH;
    if (rc < 0) return rc;
    if (u->job.image_len != 0 && u->image_fed != u->job.image_len) return -MOLT_LENGTH_MISMATCH;
    if (is_as_signed(u, digest) != MOLT_YES) return -MOLT_DIGEST_MISMATCH;
    if (u->job.image_digest != NULL && !is_image(u, u->job.image_digest)) return -MOLT_DIGEST_MISMATCH;
    if (is_image(u, u->job.running_digest)) return -MOLT_SAME_DIGEST;
    if (is_image(u, u->job.failed_digest)) return -MOLT_FAILED_BEFORE;
    memcpy(u->digest, proof(u, digest), sizeof digest);

    u->inflating = u->target.keep_encoded;
    u->unpacking = false;
    return start_checks(u);
}

static int compare(struct molt_update *u)
{
    uint8_t digest[MOLT_SHA256_LEN];
    if (finish_checks(u, digest) < 0) return -MOLT_FLASH_VERIFY;
    u->proven = is_as_signed(u, digest);
    if (u->proven != MOLT_YES) return -MOLT_FLASH_VERIFY;
    return memcmp(proof(u, digest), u->digest, sizeof digest) == 0 ? 0 : -MOLT_FLASH_VERIFY;
}

static int commit(struct molt_update *u)
{
    if (u->proven != MOLT_YES) return -MOLT_FLASH_VERIFY; /* looked at twice: a fault must strike twice */
    int rc = u->job.slots->ops->commit_step(u->job.slots, &u->target, u->written);
    if (rc < 0) u->port_err = u->job.slots->port_err;
    return rc;
}

/* ---- the machine ---- */

static bool job_is_sound(const struct molt_job *job)
{
    if (job->slots == NULL || job->hash == NULL || job->file_len == 0) return false;
    const struct molt_flash *flash = job->slots->flash;
    uint32_t unit = flash->write_unit;
    if (job->is_fs != (job->slots->ops->look != NULL)) return false;
    if (unit == 0 || unit > MOLT_WRITE_UNIT_MAX || (unit & (unit - 1)) != 0) return false;
    if (flash->erase_sizes[0] != MOLT_SECTOR) return false;
    if (job->signed_digest != NULL && job->image_len == 0) return false;
    if (job->encoding == MOLT_RAW) return job->image_len == 0 || job->image_len == job->file_len;
    if (job->encoding == MOLT_PACK) return job->pack != NULL && job->unpacker != NULL && job->image_len != 0;
    return job->encoding == MOLT_GZIP && job->window != NULL;
}

int molt_begin(struct molt_update *u, const struct molt_job *job)
{
    memset(u, 0, sizeof *u);
    u->state = ST_DEAD;
    if (!job_is_sound(job)) return -MOLT_ARG;
    u->job = *job;
    int rc = job->slots->ops->target(job->slots, job->file_len, job->image_len, job->encoding, &u->target);
    if (rc < 0) {
        u->port_err = job->slots->port_err;
        return rc;
    }
    if (u->target.in_place && !job->may_overwrite) return -MOLT_FS_IN_PLACE;
    u->direct = job->encoding == MOLT_RAW || u->target.keep_encoded;
    u->target.signed_digest = u->target.keep_encoded ? NULL : job->signed_digest;
    open_log(u);
    rc = begin_fresh(u);
    if (rc == 0) u->state = u->can_resume ? ST_SEARCH : ST_TAKE;
    return rc;
}

int molt_feed(struct molt_update *u, const void *data, uint32_t len, uint32_t *taken)
{
    *taken = 0;
    if (u->state != ST_TAKE || u->need_len == 0) return -MOLT_STATE;
    if (len == 0) return -MOLT_ARG;
    uint32_t n = molt_min32(len, u->need_len);
    memcpy((u->direct ? u->page : u->in) + u->in_len, data, n);
    if (u->job.signed_digest == NULL) hash_some(u, data, n);
    u->in_len += n;
    u->received += n;
    u->need_offset += n;
    u->need_len -= n;
    *taken = n;
    return 0;
}

static int prepare(struct molt_update *u, enum state *next)
{
    int rc = head_has_passed(u);
    if (rc < 0) return rc;
    if (place_is_free(u)) {
        *next = ST_WRITE;
    } else if (!pass_erased_sector(u)) {
        *next = ST_ERASE;
    }
    return 0;
}

static int step(struct molt_update *u, enum state *next)
{
    int rc = 0;
    switch (*next) {
    case ST_SEARCH:
        rc = search(u, next);
        break;
    case ST_REHASH:
        rc = rehash(u, next);
        break;
    case ST_REFILL:
        rc = refill(u, next);
        break;
    case ST_TAKE:
        if (page_is_due(u)) {
            *next = ST_PREPARE;
        } else if (has_input(u)) {
            rc = take_some(u);
        } else if (!all_received(u)) {
            return want_data(u);
        } else {
            *next = ST_JUDGE;
        }
        break;
    case ST_PREPARE:
        rc = prepare(u, next);
        if (rc < 0 || *next != ST_ERASE || !u->target.in_place || u->told) break;
        u->told = true;
        return MOLT_OVERWRITES; /* and then erases */
    case ST_ERASE:
        rc = erase_ahead(u);
        *next = ST_PREPARE;
        break;
    case ST_WRITE:
        rc = write_page(u);
        *next = is_worth_a_record(u) ? ST_LOG : ST_TAKE;
        break;
    case ST_LOG:
        note(u, next);
        break;
    case ST_JUDGE:
        rc = judge(u);
        *next = ST_READ_BACK;
        break;
    case ST_READ_BACK:
        if (has_input(u)) {
            rc = take_some(u) < 0 ? -MOLT_FLASH_VERIFY : 0; /* it was right when it came */
        } else if (u->checked < u->written) {
            rc = read_back(u);
        } else {
            *next = ST_COMPARE;
        }
        break;
    case ST_COMPARE:
        rc = compare(u);
        *next = u->job.hold ? ST_VERIFIED : ST_COMMIT;
        break;
    case ST_VERIFIED:
        *next = ST_COMMIT;
        return MOLT_VERIFIED;
    case ST_COMMIT:
        rc = commit(u);
        if (rc == MOLT_DONE) *next = ST_READY;
        break;
    case ST_READY:
        return MOLT_READY;
    case ST_DEAD:
        return -MOLT_STATE;
    }
    return rc < 0 ? rc : MOLT_MORE;
}

int molt_step(struct molt_update *u)
{
    enum state next = (enum state)u->state;
    assert(u->checked <= u->written && u->written <= u->target.cap);
    u->need_len = 0;
    int rc = step(u, &next);
    u->state = rc < 0 ? ST_DEAD : next;
    return rc;
}
