/* inplace.c - a delta applied over its own base (inplace.h). Must never write the image before the whole pack was decoded
 * and found to give what was signed. Tests: test/unit/inplace_test.c, test/powercut/inplace_test.c. */
#include "inplace.h"

#include <string.h>

#include "../util/bytes.h"
#include "../util/secret.h"

#define FRAME_LOG2 15u
#define WRITES_MAX 3u /* tries for a sector */

static int read_flash(struct molt_in_place *ip, uint32_t off, void *dst, uint32_t len)
{
    const struct molt_flash *flash = ip->job->flash;
    uint8_t *to = dst;
    while (len > 0) {
        uint32_t skip = off & 3u, n = molt_min32(len, sizeof ip->words - skip);
        int rc = flash->read(flash->ctx, off - skip, ip->words, (skip + n + 3u) & ~3u);
        if (rc < 0) return rc;
        memcpy(to, (const uint8_t *)ip->words + skip, n);
        to += n;
        off += n;
        len -= n;
    }
    return 0;
}

/* ---- what the decoder reads ---- */

static int read_base(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    struct molt_in_place *ip = ctx;
    uint8_t *to = dst;
    while (len > 0) {
        uint32_t n = molt_min32(len, MOLT_SECTOR - off % MOLT_SECTOR);
        int rc = 0;
        if (off < MOLT_SECTOR)
            memset(to, 0, n); /* the boot stage's */
        else if (ip->is_writing && off < ip->frame_end)
            rc = read_flash(ip, ip->job->ring_off + off % MOLT_IN_PLACE_RING, to, n);
        else
            rc = read_flash(ip, off, to, n);
        if (rc < 0) return rc;
        to += n;
        off += n;
        len -= n;
    }
    return 0;
}

static int read_output(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    const struct molt_in_place *ip = ctx;
    uint8_t *to = dst;
    for (uint32_t i = 0; i < len; i++)
        to[i] = ip->window[(off + i) % MOLT_PACK_REACH];
    return 0;
}

/* One step of the decoder into out, which goes on in the window; as molt_pack_step(). */
static int decode_some(struct molt_in_place *ip, uint8_t *out, uint32_t cap, uint32_t *made)
{
    size_t len = 0;
    uint32_t at = ip->pack.total_out;
    *made = 0;
    if (ip->in_len == 0 && ip->pack_at < ip->job->pack_len) {
        uint32_t n = molt_min32(sizeof ip->buf, ip->job->pack_len - ip->pack_at);
        if (read_flash(ip, ip->job->pack_off + ip->pack_at, ip->buf, n) < 0) return -MOLT_FLASH_READ;
        ip->pack_at += n;
        ip->in = ip->buf;
        ip->in_len = n;
    }
    size_t had = ip->in_len;
    int rc = molt_pack_step(&ip->pack, &ip->in, &ip->in_len, out, cap, &len);
    for (uint32_t i = 0; i < len; i++)
        ip->window[(at + i) % MOLT_PACK_REACH] = out[i];
    *made = (uint32_t)len;
    bool is_cut = rc == MOLT_PACK_MORE && len == 0 && had == 0 && cap > 0;
    return is_cut ? -MOLT_BAD_PACK : rc;
}

static bool overlap(uint32_t a, uint32_t a_len, uint32_t b, uint32_t b_len)
{
    return a < b + b_len && b < a + a_len;
}

/* Is it a pack for this, and is there room? */
static int check_head(const struct molt_in_place *ip)
{
    const struct molt_in_place_job *job = ip->job;
    const struct molt_pack *pack = &ip->pack;
    const uint32_t flags = MOLT_PACK_IN_PLACE | MOLT_PACK_BODY_ONLY;
    if ((pack->flags & flags) != flags || pack->frame_log2 != FRAME_LOG2) return -MOLT_BAD_PACK;
    uint32_t image =
        molt_round_up(pack->out_len > pack->base_len ? pack->out_len : pack->base_len, MOLT_SECTOR);
    uint32_t size = job->flash->size;
    if (job->pack_off >= size || job->pack_len > size - job->pack_off || job->ring_off % MOLT_SECTOR != 0 ||
        job->ring_off >= size || MOLT_IN_PLACE_RING > size - job->ring_off)
        return -MOLT_NO_SPACE;
    if (overlap(0, image, job->pack_off, job->pack_len) ||
        overlap(0, image, job->ring_off, MOLT_IN_PLACE_RING) ||
        overlap(job->ring_off, MOLT_IN_PLACE_RING, job->pack_off, job->pack_len))
        return -MOLT_NO_SPACE;
    return 0;
}

/* Reads the header and goes to the beginning of a frame; 1: behind the last one. */
static int begin(struct molt_in_place *ip, const struct molt_in_place_job *job, uint32_t frame)
{
    const struct molt_pack_io io = {ip, read_base, read_output};
    uint32_t made;
    int rc;
    ip->job = job;
    ip->pack_at = 0;
    ip->in_len = 0;
    ip->is_writing = ip->is_resumed = false;
    molt_pack_begin(&ip->pack, &io);
    do {
        rc = decode_some(ip, (uint8_t *)ip->sector, MOLT_SECTOR, &made);
    } while (rc == MOLT_PACK_MORE);
    if (rc != MOLT_PACK_HEAD) return rc < 0 ? rc : -MOLT_BAD_PACK;
    rc = check_head(ip);
    if (rc < 0 || frame == 0) return rc;
    if (frame == ip->pack.frames) return 1;
    ip->pack_at = molt_pack_resume(&ip->pack, frame);
    ip->in_len = 0;
    if (ip->pack_at == 0) return -MOLT_BAD_PACK;
    for (uint32_t i = 0; i < MOLT_PACK_REACH; i += MOLT_SECTOR) { /* the frame before: what it may refer to */
        uint32_t from = ((frame - 1) << FRAME_LOG2) + i;
        if (read_flash(ip, from, ip->window + i, MOLT_SECTOR) < 0) return -MOLT_FLASH_READ;
    }
    return 0;
}

/* Step 1. */
static int check_job(struct molt_in_place *ip, const struct molt_in_place_job *job)
{
    uint8_t digest[MOLT_SHA256_LEN];
    uint32_t made;
    int rc = begin(ip, job, 0);
    if (rc < 0) return rc;
    ip->sum.ops = job->hash;
    job->hash->init(&ip->sum.state);
    do {
        rc = decode_some(ip, (uint8_t *)ip->sector, MOLT_SECTOR, &made);
        if (rc >= 0) job->hash->update(&ip->sum.state, ip->sector, made);
    } while (rc == MOLT_PACK_MORE);
    if (rc < 0) return rc;
    job->hash->finish(&ip->sum.state, digest);
    bool is_whole = ip->pack_at == job->pack_len && ip->in_len == 0; /* nothing behind its end */
    if (!is_whole) return -MOLT_BAD_PACK;
    return molt_same_bytes(digest, job->digest, sizeof digest) == MOLT_YES ? 0 : -MOLT_DIGEST_MISMATCH;
}

/* ---- writing ---- */

static bool holds(struct molt_in_place *ip, uint32_t off, const uint8_t *data, int *rc)
{
    uint8_t is[64];
    for (uint32_t at = 0; at < MOLT_SECTOR; at += sizeof is) {
        *rc = read_flash(ip, off + at, is, sizeof is);
        if (*rc < 0 || memcmp(is, data + at, sizeof is) != 0) return false;
    }
    return true;
}

/* The sector in ip->sector to off, and read back. */
static int write_sector(struct molt_in_place *ip, uint32_t off)
{
    const struct molt_flash *flash = ip->job->flash;
    int rc = 0;
    for (uint32_t i = 0; i < WRITES_MAX; i++) {
        if (flash->erase(flash->ctx, off, MOLT_SECTOR) < 0) return -MOLT_FLASH_ERASE;
        if (flash->write(flash->ctx, off, ip->sector, MOLT_SECTOR) < 0) return -MOLT_FLASH_WRITE;
        if (holds(ip, off, (const uint8_t *)ip->sector, &rc)) return 0;
        if (rc < 0) return -MOLT_FLASH_READ;
    }
    return -MOLT_FLASH_VERIFY;
}

/* The old content of a frame's sectors into the ring. */
static int save_frame(struct molt_in_place *ip, uint32_t frame)
{
    uint32_t off = frame << FRAME_LOG2, end = molt_min32(off + MOLT_PACK_REACH, ip->pack.base_len);
    for (; off < end; off += MOLT_SECTOR) {
        if (off == 0) continue;
        if (read_flash(ip, off, ip->sector, MOLT_SECTOR) < 0) return -MOLT_FLASH_READ;
        int rc = write_sector(ip, ip->job->ring_off + off % MOLT_IN_PLACE_RING);
        if (rc < 0) return rc;
    }
    return 0;
}

/* The output's next sector into ip->sector. */
static int decode_sector(struct molt_in_place *ip, uint32_t len)
{
    memset(ip->sector, 0xFF, sizeof ip->sector);
    for (uint32_t fill = 0; fill < len;) {
        uint32_t made;
        int rc = decode_some(ip, (uint8_t *)ip->sector + fill, len - fill, &made);
        fill += made;
        if (rc < 0) return rc;
        if (rc == MOLT_PACK_END && fill < len) return -MOLT_BAD_PACK;
    }
    return 0;
}

/* Behind the frame's last byte: its CRC. */
static int end_frame(struct molt_in_place *ip, uint32_t frame)
{
    while (ip->pack.item == frame) {
        uint32_t made, at = ip->pack_at;
        size_t left = ip->in_len;
        int rc = decode_some(ip, NULL, 0, &made);
        if (rc < 0) return rc;
        if (ip->pack.item == frame && at == ip->pack_at && left == ip->in_len) return -MOLT_BAD_PACK;
    }
    return 0;
}

static int write_frame(struct molt_in_place *ip, uint32_t frame)
{
    uint32_t off = frame << FRAME_LOG2, end = molt_min32(off + MOLT_PACK_REACH, ip->pack.out_len);
    ip->is_writing = true;
    ip->frame_end = off + MOLT_PACK_REACH;
    for (; off < end; off += MOLT_SECTOR) {
        int same = 0, rc = decode_sector(ip, molt_min32(MOLT_SECTOR, end - off));
        if (rc < 0) return rc;
        if (off == 0 || (!ip->is_resumed && holds(ip, off, (const uint8_t *)ip->sector, &same))) continue;
        if (same < 0) return -MOLT_FLASH_READ;
        rc = write_sector(ip, off);
        if (rc < 0) return rc;
    }
    ip->is_resumed = false;
    return end_frame(ip, frame);
}

int molt_in_place_run(struct molt_in_place *ip, const struct molt_in_place_job *job, uint32_t done)
{
    int rc = done == 0 ? check_job(ip, job) : 0;
    if (rc == 0) rc = begin(ip, job, done / 2);
    if (rc == 1) return 0; /* all is done */
    ip->is_resumed = done % 2 != 0;
    for (uint32_t frame = done / 2; rc == 0 && frame < ip->pack.frames; frame++) {
        if (2 * frame == done) {
            rc = save_frame(ip, frame);
            if (rc == 0) rc = job->note(job->ctx, ++done);
        }
        if (rc == 0) rc = write_frame(ip, frame);
        if (rc == 0) rc = job->note(job->ctx, ++done);
    }
    return rc;
}
