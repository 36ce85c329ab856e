/* update.c - the whole life of an update: take, check, store, read back, commit.
 * Must never erase before the head has passed, nor commit what did not read back as it came.
 * Tests: test/unit/update_test.c, test/property/power_cut_test.c. */
#include "update.h"

#include <assert.h>
#include <string.h>

#include "../util/bytes.h"

#define SCRATCH_LEN 128u /* bytes of decoded image on the stack at once */

enum state {
    ST_TAKE,      /* wants bytes, sends them through decoder and image check, fills the page */
    ST_PREPARE,   /* looks whether the page's place may be written */
    ST_ERASE,     /* erases ahead */
    ST_WRITE,     /* programs the page */
    ST_JUDGE,     /* all came: is it what was announced, and a whole image? */
    ST_READ_BACK, /* the same checks over what the flash holds now */
    ST_COMPARE,   /* is it what came? */
    ST_COMMIT,    /* the one change to what the next boot runs */
    ST_READY,
    ST_DEAD,
};

/* ---- the way of a byte: input buffer -> decoder -> image check, and into the page unless it is there
 * ---- */

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

static int check_image(struct molt_update *u, const uint8_t *data, uint32_t len)
{
    /* what the boot stage unpacks must not reach into its own source */
    uint32_t room = u->target.keep_encoded ? u->target.off : u->target.cap;
    if (len > room - u->image_fed) return -MOLT_NO_SPACE;
    u->image_fed += len;
    return molt_image_feed(&u->image, data, len);
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

    int rc = molt_inflate_step(&u->inflate, &in, &in_len, out, cap, &out_len);
    if (rc < 0) return rc;
    u->in_used = (uint32_t)(in - buffer);
    u->inflate_end = rc == MOLT_INFLATE_END;
    u->inflate_more = !u->inflate_end && out_len == cap;
    if (!u->direct) u->fill += (uint32_t)out_len;
    return check_image(u, out, (uint32_t)out_len);
}

static int take_some(struct molt_update *u)
{
    if (u->inflating) return inflate_some(u);
    uint32_t at = u->in_used;
    u->in_used = u->in_len; /* raw input always lies in the page */
    return check_image(u, u->page + at, u->in_len - at);
}

static int want_data(struct molt_update *u)
{
    uint32_t cap = u->direct ? MOLT_PAGE_LEN : MOLT_FEED_LEN;
    if (!u->direct) u->in_len = u->in_used = 0;
    u->need_offset = u->received;
    u->need_len = molt_min32(cap - u->in_len, u->job.file_len - u->received);
    return MOLT_NEED_DATA;
}

static int finish_checks(struct molt_update *u)
{
    if (u->inflating && !u->inflate_end) return -MOLT_BAD_GZIP;
    return molt_image_finish(&u->image);
}

static int start_checks(struct molt_update *u)
{
    u->in_len = u->in_used = u->fill = u->image_fed = 0;
    u->inflate_more = u->inflate_end = false;
    molt_image_begin(&u->image, &u->job.expect, u->job.hash);
    u->file_hash.ops = u->job.hash;
    u->file_hash.ops->init(&u->file_hash.state);
    return u->inflating ? molt_inflate_begin(&u->inflate, u->job.window, u->job.window_len) : 0;
}

/* ---- one flash operation each ---- */

static int flash_failed(struct molt_update *u, int port_err, int reason)
{
    u->port_err = port_err;
    return -reason;
}

/* Refuses to go on to flash with an image that has not shown its head. */
static int head_has_passed(struct molt_update *u)
{
    if (u->written > 0 || u->image_fed >= MOLT_IMAGE_HEAD_LEN) return 0;
    if (!all_received(u)) return -MOLT_BAD_GZIP; /* only compressed bytes can fill a page with less */
    int rc = finish_checks(u);
    return rc < 0 ? rc : -MOLT_IMAGE_TRUNCATED;
}

static bool place_is_free(const struct molt_update *u)
{
    return u->written + page_fill(u) <= u->erased;
}

/* Sectors that need no erase are passed over: less wear, and less time without a whole slot. */
static bool pass_blank_sector(struct molt_update *u)
{
    const struct molt_flash *flash = u->job.slots->flash;
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
    for (unsigned i = 1; i < MOLT_ERASE_SIZES && flash->erase_sizes[i] != 0; i++) {
        uint32_t size = flash->erase_sizes[i];
        if (off % size == 0 && u->erased + size <= end) len = size;
    }
    int rc = flash->erase(flash->ctx, off, len);
    if (rc < 0) return flash_failed(u, rc, MOLT_FLASH_ERASE);
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
    if (rc < 0) return flash_failed(u, rc, MOLT_FLASH_WRITE);
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
    if (rc < 0) return flash_failed(u, rc, MOLT_FLASH_READ);
    if (u->checked == 0 && u->target.patch_header) {
        if (u->page[2] != u->target.header_byte2 || u->page[3] != u->target.header_byte3)
            return -MOLT_FLASH_VERIFY;
        u->page[2] = u->original[0];
        u->page[3] = u->original[1];
    }
    if (u->direct) u->file_hash.ops->update(&u->file_hash.state, u->page, len);
    u->checked += len;
    u->in_len = len;
    u->in_used = 0;
    return 0;
}

/* ---- verdicts ---- */

static bool is_image(const struct molt_update *u, const uint8_t *identity)
{
    return identity != NULL && memcmp(identity, u->image.info.digest, MOLT_SHA256_LEN) == 0;
}

/* The last word on what came; then the same checks start over, from flash. */
static int judge(struct molt_update *u)
{
    uint8_t digest[MOLT_SHA256_LEN];
    int rc = finish_checks(u);
    u->file_hash.ops->finish(&u->file_hash.state, digest);
    if (u->job.has_digest && memcmp(digest, u->job.digest, sizeof digest) != 0) return -MOLT_DIGEST_MISMATCH;
    if (rc < 0) return rc;
    if (u->job.image_len != 0 && u->image_fed != u->job.image_len) return -MOLT_LENGTH_MISMATCH;
    if (is_image(u, u->job.running_digest)) return -MOLT_SAME_DIGEST;
    if (is_image(u, u->job.failed_digest)) return -MOLT_FAILED_BEFORE;
    memcpy(u->digest, u->direct ? digest : u->image.info.digest, sizeof digest);

    u->inflating = u->target.keep_encoded;
    return start_checks(u);
}

static int compare(struct molt_update *u)
{
    uint8_t digest[MOLT_SHA256_LEN];
    int rc = finish_checks(u);
    u->file_hash.ops->finish(&u->file_hash.state, digest);
    if (rc < 0) return -MOLT_FLASH_VERIFY;
    const uint8_t *got = u->direct ? digest : u->image.info.digest;
    return memcmp(got, u->digest, sizeof digest) == 0 ? 0 : -MOLT_FLASH_VERIFY;
}

static int commit(struct molt_update *u)
{
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
    if (unit == 0 || unit > MOLT_WRITE_UNIT_MAX || (unit & (unit - 1)) != 0) return false;
    if (flash->erase_sizes[0] != MOLT_SECTOR) return false;
    if (job->encoding == MOLT_RAW) return job->image_len == 0 || job->image_len == job->file_len;
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
    u->inflating = job->encoding == MOLT_GZIP;
    u->direct = !u->inflating || u->target.keep_encoded;
    rc = start_checks(u);
    if (rc == 0) u->state = ST_TAKE;
    return rc;
}

int molt_feed(struct molt_update *u, const void *data, uint32_t len, uint32_t *taken)
{
    *taken = 0;
    if (u->state != ST_TAKE || u->need_len == 0) return -MOLT_STATE;
    if (len == 0) return -MOLT_ARG;
    uint32_t n = molt_min32(len, u->need_len);
    memcpy((u->direct ? u->page : u->in) + u->in_len, data, n);
    u->file_hash.ops->update(&u->file_hash.state, data, n);
    u->in_len += n;
    u->received += n;
    u->need_offset += n;
    u->need_len -= n;
    *taken = n;
    return 0;
}

static int step(struct molt_update *u, enum state *next)
{
    int rc = 0;
    switch (*next) {
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
        rc = head_has_passed(u);
        if (rc < 0) break;
        if (place_is_free(u)) {
            *next = ST_WRITE;
        } else if (!pass_blank_sector(u)) {
            *next = ST_ERASE;
        }
        break;
    case ST_ERASE:
        rc = erase_ahead(u);
        *next = ST_PREPARE;
        break;
    case ST_WRITE:
        rc = write_page(u);
        *next = ST_TAKE;
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
        *next = ST_COMMIT;
        break;
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
