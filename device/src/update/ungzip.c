/* ungzip.c - the engine's way with gzip: into the page where the image is stored, else only through the image check.
 * Must never go on from a block header that the log did not name. Tests: test/unit/update_test.c, test/powercut/engine_test.c. */
#include "update_parts.h"

#include "../util/bytes.h"
#include "../util/crc.h"

#define SCRATCH_LEN 128u /* bytes of decoded image on the stack at once */

static int ungzip_begin(struct molt_update *u)
{
    const struct molt_job *job = &u->job;
    if (job->window == NULL || job->inflate == NULL) return -MOLT_ARG;
    return molt_inflate_begin(job->inflate, job->window, job->window_len);
}

/* One call of the decoder. */
static int ungzip_some(struct molt_update *u)
{
    uint8_t scratch[SCRATCH_LEN];
    uint8_t *out = u->direct ? scratch : u->page + u->fill;
    uint32_t cap = u->direct ? SCRATCH_LEN : molt_min32(SCRATCH_LEN, MOLT_PAGE_LEN - u->fill);
    const uint8_t *buffer = u->direct ? u->page : u->in, *in = buffer + u->in_used;
    size_t in_len = u->in_len - u->in_used, out_len = 0;
    if (u->decoded) return -MOLT_BAD_GZIP; /* bytes behind the member */
    if (u->skip > 0) cap = molt_min32(cap, u->skip);

    int rc = molt_inflate_step(u->job.inflate, &in, &in_len, out, cap, &out_len);
    if (rc < 0) return rc;
    u->in_used = (uint32_t)(in - buffer);
    u->decoded = rc == MOLT_INFLATE_END;
    u->decode_more = !u->decoded && out_len == cap;
    return update_decoded(u, out, (uint32_t)out_len);
}

/* At the last block header that the log knows. What flash holds before it fills the window and gives the CRC. */
static int ungzip_resume(struct molt_update *u)
{
    const struct molt_log_record *good = &u->good;
    const struct molt_job *job = &u->job;
    uint32_t at = u->refilled & (job->window_len - 1);
    uint32_t len = molt_min32(molt_min32(good->block_out - u->refilled, job->window_len - at), MOLT_SECTOR);
    if (len > 0) {
        int rc = update_read_stored(u, u->refilled, job->window + at, len);
        u->block_crc = molt_crc32_lsb(u->block_crc, job->window + at, len);
        u->refilled += len;
        return rc;
    }
    const struct molt_inflate_block block = {good->block_at / 8, good->block_at & 7u, good->block_out};
    if (block.in == 0 || block.in >= job->file_len)
        return -MOLT_BAD_GZIP; /* no such record was ever written */
    u->received = u->resumed_at = block.in;
    u->skip = good->stored - block.out;
    u->state = ST_LOG;
    return molt_inflate_resume(job->inflate, job->window, job->window_len, &block, u->block_crc);
}

static bool ungzip_place(const struct molt_update *u, struct molt_log_record *record)
{
    const struct molt_inflate_block *block = &u->job.inflate->block;
    record->block_at = block->in * 8 + block->bit;
    record->block_out = block->out;
    return block->in > 0 && u->job.file_len <= UINT32_MAX / 8;
}

const struct molt_unpacker molt_ungzip = {.begin = ungzip_begin,
                                          .some = ungzip_some,
                                          .resume = ungzip_resume,
                                          .place = ungzip_place,
                                          .cut_short = -MOLT_BAD_GZIP};
