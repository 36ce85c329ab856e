/* ungzip.c - the engine's way with gzip: into the page where the image is stored, else only through the image check.
 * Must never go on from a block header that the log did not name. Tests: test/unit/update_test.c, test/powercut/engine_test.c. */
#include "update_parts.h"

#include "../util/bytes.h"

#define SCRATCH_LEN 128u /* bytes of decoded image on the stack at once */

static int ungzip_begin(struct molt_update *u)
{
    return u->job.window == NULL ? -MOLT_ARG
                                 : molt_inflate_begin(&u->inflate, u->job.window, u->job.window_len);
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

    int rc = molt_inflate_step(&u->inflate, &in, &in_len, out, cap, &out_len);
    if (rc < 0) return rc;
    u->in_used = (uint32_t)(in - buffer);
    u->decoded = rc == MOLT_INFLATE_END;
    u->decode_more = !u->decoded && out_len == cap;
    return update_decoded(u, out, (uint32_t)out_len);
}

/* At the last block header that the log knows: flash holds the window before it, and what was stored behind it. */
static int ungzip_resume(struct molt_update *u)
{
    const struct molt_log_record *good = &u->good;
    const struct molt_inflate_block block = {good->block_in, good->block_bit, good->block_out};
    u->refilled = block.out - molt_min32(block.out, u->job.window_len);
    u->received = block.in;
    u->skip = good->stored - block.out;
    return molt_inflate_resume(&u->inflate, u->job.window, u->job.window_len, &block, u->block_crc);
}

const struct molt_unpacker update_ungzip = {
    .begin = ungzip_begin, .some = ungzip_some, .resume = ungzip_resume, .cut_short = -MOLT_BAD_GZIP};
