/* unpack.c - the engine's way with packs: is it for this device, what it refers back to, on to the right frame.
 * Must never let a pack refer to what was not checked. Tests: test/unit/update_pack_test.c, test/powercut/pack_test.c. */
#include "update_parts.h"

#include <string.h>

#include "../util/bytes.h"
#include "../util/crc.h"

#define UNPACK_LEN 24u /* bytes that a step unpacks: each may cost a read, together less than a sector */

/* What a pack refers back to is read from flash, or from the page that is not yet there. */
static int read_base(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    struct molt_update *u = ctx;
    const struct molt_flash *flash = u->flash;
    uint8_t *to = dst;
    int rc = flash->read(flash->ctx, u->target.base_off + off, dst, len);
    if ((u->job.pack->flags & MOLT_PACK_BODY_ONLY) != 0 && off < MOLT_PACK_BASE_HEAD)
        memset(to, 0, molt_min32(len, MOLT_PACK_BASE_HEAD - off));
    for (uint32_t i = 2; i < 4 && (u->job.pack->flags & MOLT_PACK_MASKS_HEADER) != 0; i++) {
        if (i >= off && i - off < len) to[i - off] = 0;
    }
    return rc;
}

static int read_output(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    struct molt_update *u = ctx;
    const struct molt_flash *flash = u->flash;
    uint8_t *to = dst;
    uint32_t stored = off < u->written ? molt_min32(len, u->written - off) : 0;
    int rc = stored > 0 ? flash->read(flash->ctx, u->target.off + off, to, stored) : 0;
    for (uint32_t i = 2; i < 4 && u->target.patch_header; i++) {
        if (i >= off && i - off < stored) to[i - off] = u->original[i - 2];
    }
    if (stored < len) memcpy(to + stored, u->page + (off + stored - u->written), len - stored);
    return rc;
}

static int begin_pack(struct molt_update *u)
{
    const struct molt_pack_io io = {u, read_base, read_output};
    if (u->job.pack == NULL || u->job.image_len == 0) return -MOLT_ARG;
    molt_pack_begin(u->job.pack, &io);
    return 0;
}

/* First its header, then skip_to_frame(). */
static int resume_pack(struct molt_update *u)
{
    u->received = u->resumed_at = 0;
    u->state = ST_LOG;
    return begin_pack(u);
}

/* Any place: it begins again with the frame. */
static bool place_in_pack(const struct molt_update *u, struct molt_log_record *record)
{
    (void)u;
    (void)record;
    return true;
}

/* The header came: is it for this device? Nothing is erased yet. */
static int check_pack(struct molt_update *u)
{
    const struct molt_pack *pack = u->job.pack;
    if (pack->out_len != u->job.image_len) return -MOLT_LENGTH_MISMATCH;
    if (pack->base_len == 0) return 0;
    const uint8_t *running = u->job.running_digest;
    if (running == NULL || pack->base_len > u->target.base_cap) return -MOLT_PACK_BASE;
    if (memcmp(pack->base_digest, running, MOLT_SHA256_LEN) != 0) return -MOLT_PACK_BASE;
    uint32_t head = molt_min32(pack->base_len, MOLT_PACK_BASE_HEAD), crc = 0;
    for (uint32_t at = 0; at < head; at += MOLT_PAGE_LEN) { /* the page holds nothing yet */
        uint32_t len = molt_min32(MOLT_PAGE_LEN, head - at);
        int rc = read_base(u, at, u->page, len);
        if (rc < 0) return update_flash_failed(u, rc, MOLT_FLASH_READ);
        crc = molt_crc32_lsb(crc, u->page, len);
    }
    return crc == pack->base_head_crc ? 0 : -MOLT_PACK_BASE;
}

/* Behind the header of a pack whose first part flash has: on to the frame that what is missing begins in. */
static int skip_to_frame(struct molt_update *u)
{
    struct molt_pack *pack = u->job.pack;
    uint32_t stored = u->good.stored;
    if (stored == 0) return 0;
    if (stored > pack->out_len) return -MOLT_BAD_PACK;
    uint32_t frame = (stored == pack->out_len ? stored - 1 : stored) >> pack->frame_log2;
    uint32_t at = frame > 0 ? molt_pack_resume(pack, frame) : 0;
    u->skip = stored;
    if (at == 0) return 0; /* in the first one: all comes again, and is not stored again */
    if (at >= u->job.file_len) return -MOLT_BAD_PACK;
    u->skip = stored - (frame << pack->frame_log2);
    u->received = u->resumed_at = at;
    u->in_len = u->in_used = 0;
    u->decode_more = false;
    return 0;
}

static int unpack_some(struct molt_update *u)
{
    const uint8_t *in = u->in + u->in_used;
    uint8_t *out = u->page + u->fill;
    size_t in_len = u->in_len - u->in_used, out_len = 0;
    uint32_t cap = molt_min32(UNPACK_LEN, MOLT_PAGE_LEN - u->fill);
    if (u->decoded) return -MOLT_BAD_PACK; /* bytes behind the pack */
    if (u->skip > 0) cap = molt_min32(cap, u->skip);

    int rc = molt_pack_step(u->job.pack, &in, &in_len, out, cap, &out_len);
    if (rc == -MOLT_FLASH_READ) return update_flash_failed(u, u->job.pack->port_err, MOLT_FLASH_READ);
    if (rc < 0) return rc;
    u->in_used = (uint32_t)(in - u->in);
    u->decoded = rc == MOLT_PACK_END;
    u->decode_more = rc == MOLT_PACK_HEAD || (rc == MOLT_PACK_MORE && out_len == cap);
    if (rc == MOLT_PACK_HEAD) {
        rc = check_pack(u);
        return rc < 0 ? rc : skip_to_frame(u);
    }
    return update_decoded(u, out, (uint32_t)out_len);
}

const struct molt_unpacker molt_unpacker = {.begin = begin_pack,
                                            .some = unpack_some,
                                            .resume = resume_pack,
                                            .place = place_in_pack,
                                            .cut_short = -MOLT_BAD_PACK,
                                            .small = MOLT_PACK_ROWS < MOLT_PACK_ROWS_ALL};
