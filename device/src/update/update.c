/* update.c - the whole life of an update: take, check, store, read back, commit.
 * Must never erase before the head has passed, nor commit what did not read back as it came.
 * Tests: test/unit/update_test.c, test/property/power_cut_test.c. */
#include "update_parts.h"

#include <assert.h>
#include <string.h>

#include "../util/bytes.h"
#include "../util/crc.h"
#include "../util/secret.h"

/* bytes of image that one page of gzip gives for sure, and all that eboot's format needs */
#define HEAD_ENCODED 64u

/* ---- the way of a byte: input buffer -> decoder -> image check, and into the page unless it is there
 * ---- */

int update_flash_failed(struct molt_update *u, int port_err, int reason)
{
    u->port_err = port_err;
    return -reason;
}

static bool has_input(const struct molt_update *u)
{
    return u->in_used < u->in_len || u->decode_more;
}

static bool all_received(const struct molt_update *u)
{
    return u->received == u->job.file_len;
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

/* The next len bytes of the image: 0, or a refusal. */
static int check_image(struct molt_update *u, const uint8_t *data, uint32_t len)
{
    /* what the boot stage unpacks must not reach into its own source */
    uint32_t room = u->target.keep_encoded ? u->target.off : u->target.cap;
    if (len > room - u->image_fed) return -MOLT_NO_SPACE;
    if (u->job.signed_digest != NULL) {
        if (len > u->job.image_len - u->image_fed) return -MOLT_LENGTH_MISMATCH;
        hash_some(u, data, len);
    }
    u->image_fed += len;
    int rc = molt_image_feed(&u->image, data, len);
    return rc == 0 && brings_other_flash_mode(u) ? -MOLT_FLASH_MODE : rc;
}

int update_decoded(struct molt_update *u, const uint8_t *out, uint32_t len)
{
    if (u->skip > 0) { /* flash has it, and it was checked there */
        u->skip -= len;
        return 0;
    }
    if (!u->direct) u->fill += len;
    return check_image(u, out, len);
}

static int take_some(struct molt_update *u)
{
    if (u->decoder != NULL) return u->decoder->some(u);
    uint32_t at = u->in_used;
    u->in_used = u->in_len; /* what is stored as it comes always lies in the page */
    return check_image(u, u->page + at, u->in_len - at);
}

static int want_data(struct molt_update *u)
{
    if (!u->direct) u->in_len = u->in_used = 0;
    u->need_offset = u->received;
    u->need_len =
        molt_min32(u->direct ? MOLT_PAGE_LEN - u->in_len : MOLT_FEED_LEN, u->job.file_len - u->received);
    return MOLT_NEED_DATA;
}

/* Is it complete? digest: of the file, or of the image when it is signed. */
static int finish_checks(struct molt_update *u, uint8_t digest[MOLT_SHA256_LEN])
{
    u->hash.ops->finish(&u->hash.state, digest);
    if (u->decoder != NULL && !u->decoded) return u->decoder->cut_short;
    return molt_image_finish(&u->image);
}

/* Over what comes, or over what flash holds: that is decoded only where the boot stage will do so. */
static int start_checks(struct molt_update *u, bool from_flash)
{
    u->in_len = u->in_used = u->fill = u->image_fed = 0;
    u->decode_more = u->decoded = false;
    u->checked = u->crc = u->skip = 0;
    molt_image_begin_as(&u->image, u->job.slots->ops->format, &u->job.expect, u->job.hash);
    u->hash.ops = u->job.hash;
    u->hash.ops->init(&u->hash.state);
    u->proven = MOLT_NO;
    u->decoder = from_flash && !u->target.keep_encoded ? NULL : u->job.unpacker;
    return u->decoder != NULL ? u->decoder->begin(u) : 0;
}

/* ---- one flash operation each ---- */

/* Refuses to go on to flash with an image that has not shown its head. */
static int head_has_passed(struct molt_update *u)
{
    const struct molt_slots_ops *ops = u->job.slots->ops;
    if (u->written > 0) return 0;
    if (ops->look != NULL) return ops->look(u->page, u->fill, u->direct ? u->job.file_len : u->job.image_len);
    if (u->image_fed >= (u->target.keep_encoded ? HEAD_ENCODED : MOLT_IMAGE_HEAD_LEN)) return 0;
    if (!all_received(u)) return -MOLT_BAD_GZIP; /* only compressed bytes can fill a page with less */
    uint8_t digest[MOLT_SHA256_LEN];
    int rc = finish_checks(u, digest);
    return rc < 0 ? rc : -MOLT_IMAGE_TRUNCATED;
}

static bool place_is_free(const struct molt_update *u)
{
    return u->written + u->fill <= u->erased;
}

/* Behind a resume's first sector the log vouches for what is erased; it is looked at nevertheless. Elsewhere blank is
 * never taken for erased: a cut erase can read as blank now and as noise after the next power-up. */
static bool pass_erased_sector(struct molt_update *u)
{
    const struct molt_flash *flash = u->flash;
    if (u->erased <= u->good.stored || u->erased >= u->good.erased) return false;
    if (!flash->is_blank(flash->ctx, u->target.off + u->erased, MOLT_SECTOR)) return false;
    u->erased += MOLT_SECTOR;
    return true;
}

static int erase_ahead(struct molt_update *u)
{
    const struct molt_flash *flash = u->flash;
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
    const struct molt_flash *flash = u->flash;
    uint32_t fill = u->fill, padded = molt_round_up(fill, flash->write_unit);
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

int update_read_stored(struct molt_update *u, uint32_t at, uint8_t *dst, uint32_t len)
{
    const struct molt_flash *flash = u->flash;
    int rc = flash->read(flash->ctx, u->target.off + at, dst, len);
    return rc < 0 ? update_flash_failed(u, rc, MOLT_FLASH_READ) : 0;
}

static int read_back(struct molt_update *u)
{
    uint32_t len = molt_min32(MOLT_PAGE_LEN, u->written - u->checked);
    int rc = update_read_stored(u, u->checked, u->page, len);
    if (rc < 0) return rc;
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

/* What makes a job the same job. Uses the hash, which begins later. */
static void name_job(struct molt_update *u, uint8_t digest[MOLT_SHA256_LEN])
{
    const struct molt_job *job = &u->job;
    const uint32_t words[] = {job->file_len, job->image_len,
                              (uint32_t)job->encoding | (job->has_digest ? 0x100u : 0) |
                                  (u->direct ? 0x200u : 0),
                              u->target.off, u->target.header_byte2 | (uint32_t)u->target.header_byte3 << 8};
    uint8_t raw[sizeof words];
    molt_store_words(raw, words, (unsigned)(sizeof words / sizeof words[0]));
    u->hash.ops = job->hash;
    u->hash.ops->init(&u->hash.state);
    hash_some(u, raw, sizeof raw);
    if (job->has_digest) hash_some(u, job->digest, MOLT_SHA256_LEN);
    if (!job->has_digest) hash_some(u, job->etag, (uint32_t)strlen(job->etag));
    if (job->signed_digest != NULL) hash_some(u, job->signed_digest, MOLT_SHA256_LEN);
    u->hash.ops->finish(&u->hash.state, digest);
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
    molt_log_begin(&u->log, u->flash, u->target.scratch_off, digest);
    molt_log_search(&u->log, 0);
}

/* Reads on to the next record, or starts over to end at the last good one. */
static int rehash_from(struct molt_update *u, bool over)
{
    int rc = over ? start_checks(u, true) : 0;
    u->state = ST_REHASH;
    u->written = u->next.stored;
    memcpy(u->original, u->next.original, sizeof u->original);
    return rc;
}

static bool record_fits(const struct molt_update *u)
{
    const struct molt_log_record *r = &u->next;
    uint32_t len = u->direct ? u->job.file_len : u->target.cap;
    if (r->stored > len || r->erased > molt_round_up(u->target.cap, MOLT_SECTOR)) return false;
    return r->stored % MOLT_SECTOR == 0 || !u->direct || r->stored == len;
}

/* No more records: from here on bytes are taken. */
static void resume(struct molt_update *u)
{
    u->next = u->good;
    u->written = u->good.stored;
    u->erased = molt_round_up(u->good.stored, MOLT_SECTOR);
    u->checked = 0;
    u->in_len = u->in_used = u->fill = 0;
    if (u->direct) {
        u->received = u->resumed_at = u->written;
        u->state = ST_LOG;
        return;
    }
    u->unhashed = true;
    u->decoder = u->job.unpacker;
    u->state = ST_RESUME;
}

static int begin_fresh(struct molt_update *u)
{
    u->state = ST_TAKE;
    memset(&u->good, 0, sizeof u->good);
    u->written = u->erased = u->received = 0;
    return start_checks(u, false);
}

static int search(struct molt_update *u)
{
    int rc = molt_log_search_step(&u->log, &u->next);
    if (rc > 0) return 0;
    if (rc == 0 && !u->job.fresh && record_fits(u)) return rehash_from(u, u->good.stored == 0);
    if (rc == -MOLT_FLASH_READ) u->can_resume = false;
    if (u->good.stored == 0 || u->job.fresh) return begin_fresh(u);
    resume(u);
    return 0;
}

/* What does not read back as it was is not there, nor is what comes behind it. */
static int not_there(struct molt_update *u)
{
    /* the good part may have gone bad while it was read */
    if (u->good.stored == 0 || u->next.stored == u->good.stored) return begin_fresh(u);
    u->next = u->good;
    return rehash_from(u, true);
}

static int rehash(struct molt_update *u)
{
    if (has_input(u)) return take_some(u) < 0 ? not_there(u) : 0;
    if (u->checked < u->next.stored) return read_back(u) < 0 ? not_there(u) : 0;
    if (u->crc != u->next.crc) return not_there(u);
    if (u->next.stored == u->good.stored) { /* the second time, after a bad one */
        resume(u);
        return 0;
    }
    u->good = u->next;
    molt_log_search(&u->log, u->good.stored);
    u->state = ST_SEARCH;
    return 0;
}

/* After a whole sector, and at the end: what is durable now. */
static bool is_worth_a_record(struct molt_update *u)
{
    bool is_end = all_received(u) && !has_input(u);
    if (!u->can_resume || u->skip > 0 || (u->written % MOLT_SECTOR != 0 && !is_end)) return false;
    u->next = (struct molt_log_record){
        .stored = u->written,
        .crc = u->crc,
        .erased = u->erased,
        .original = {u->original[0], u->original[1]},
    };
    return u->direct || u->job.unpacker->place(u, &u->next);
}

/* A log that cannot be written is given up; the update is not. */
static void note(struct molt_update *u)
{
    int rc = molt_log_append_step(&u->log, &u->next);
    if (rc < 0) u->can_resume = false;
    if (rc <= 0) u->state = ST_TAKE;
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
    u->state = ST_READ_BACK;
    return start_checks(u, true);
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
    if (rc == MOLT_DONE) u->state = ST_READY;
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
    if (job->signed_digest != NULL && job->image_len == 0) return false;
    if (job->encoding != MOLT_RAW) return job->unpacker != NULL; /* which looks at the rest when it begins */
    return job->image_len == 0 || job->image_len == job->file_len;
}

int molt_begin(struct molt_update *u, const struct molt_job *job)
{
    memset(u, 0, sizeof *u);
    u->state = ST_DEAD;
    u->job = *job;
    if (job->encoding == MOLT_RAW) u->job.unpacker = NULL;
    job = &u->job;
    if (!job_is_sound(job)) return -MOLT_ARG;
    u->flash = job->slots->flash;
    int rc = job->slots->ops->target(job->slots, job->file_len, job->image_len, job->encoding, &u->target);
    if (rc < 0) {
        u->port_err = job->slots->port_err;
        return rc;
    }
    u->direct = job->encoding == MOLT_RAW || u->target.keep_encoded;
    u->target.signed_digest = u->target.keep_encoded ? NULL : job->signed_digest;
    open_log(u);
    rc = begin_fresh(u);
    if (u->can_resume) u->state = ST_SEARCH;
    if (rc < 0) u->state = ST_DEAD;
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
    if (u->direct) u->fill = u->in_len;
    u->received += n;
    u->need_offset += n;
    u->need_len -= n;
    *taken = n;
    return 0;
}

static int take(struct molt_update *u)
{
    if (has_input(u) && (u->direct || u->fill < MOLT_PAGE_LEN)) return take_some(u);
    if (u->fill == MOLT_PAGE_LEN || (u->fill > 0 && all_received(u))) {
        u->state = ST_PREPARE;
    } else if (all_received(u)) {
        u->state = ST_JUDGE;
    } else {
        return want_data(u);
    }
    return 0;
}

static int prepare(struct molt_update *u)
{
    int rc = head_has_passed(u);
    if (rc < 0) return rc;
    if (place_is_free(u)) {
        u->state = ST_WRITE;
    } else if (!pass_erased_sector(u)) {
        u->state = ST_ERASE;
        if (u->target.in_place && !u->told) {
            u->told = true;
            return MOLT_OVERWRITES; /* and then erases */
        }
    }
    return 0;
}

static int read_back_all(struct molt_update *u)
{
    if (has_input(u)) return take_some(u) < 0 ? -MOLT_FLASH_VERIFY : 0; /* it was right when it came */
    if (u->checked < u->written) return read_back(u);
    u->state = u->job.hold ? ST_VERIFIED : ST_COMMIT;
    return compare(u);
}

static int step(struct molt_update *u)
{
    int rc;
    switch ((enum update_state)u->state) {
    case ST_SEARCH:
        return search(u);
    case ST_REHASH:
        return rehash(u);
    case ST_RESUME:
        return u->decoder->resume(u);
    case ST_TAKE:
        return take(u);
    case ST_PREPARE:
        return prepare(u);
    case ST_ERASE:
        u->state = ST_PREPARE;
        return erase_ahead(u);
    case ST_WRITE:
        rc = write_page(u);
        u->state = is_worth_a_record(u) ? ST_LOG : ST_TAKE;
        return rc;
    case ST_LOG:
        note(u);
        return 0;
    case ST_JUDGE:
        return judge(u);
    case ST_READ_BACK:
        return read_back_all(u);
    case ST_VERIFIED:
        u->state = ST_COMMIT;
        return MOLT_VERIFIED;
    case ST_COMMIT:
        return commit(u);
    case ST_READY:
        return MOLT_READY;
    default:
        return -MOLT_STATE;
    }
}

int molt_step(struct molt_update *u)
{
    assert(u->checked <= u->written && u->written <= u->target.cap);
    u->need_len = 0;
    int rc = step(u);
    if (rc < 0) u->state = ST_DEAD;
    return rc == 0 ? MOLT_MORE : rc;
}
