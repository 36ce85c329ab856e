/* inplace.h - writes a new image over the running one, out of a delta that was staged before: for an ESP8266 whose flash
 * has no room for two images. The caller runs it where nothing of the image is executed: a second stage of molt-boot.
 *
 * What there is in flash (all offsets are multiples of MOLT_SECTOR, the parts do not overlap):
 *
 *     0 ... the image, later the new one; its first sector is the boot stage's and is neither read nor written
 *     ring  MOLT_IN_PLACE_RING bytes: the old content of what is being overwritten
 *     pack  the pack, as it came (made with pack_job.in_place)
 *
 * The output is cut into frames of MOLT_PACK_REACH bytes (32 KB). A frame refers back by at most so much: into the output,
 * of which so much is kept in RAM, and into the base, of which so much and the frame itself are kept in the ring. So
 *
 *     1. the whole pack is decoded without writing anything, and its SHA-256 compared with the digest that was signed;
 *     2. for each frame: its old sectors are copied into the ring; that is noted; it is decoded and its sectors are erased
 *        and written; that is noted.
 *
 * A cut in between costs one frame: everything that it needs is in flash, in the ring or before it. After the first write
 * there is no way back, and nothing but a flash that fails can stop it.
 *
 *     rc = molt_in_place_run(&work, &job, done);      // done: what was noted last, 0 at first
 *     0: the new image is in place, whole and read back
 *     -MOLT_FLASH_*, -MOLT_BAD_PACK with done > 0: reset, and again from what was noted last
 *     any other, done 0: nothing was changed; the old image runs
 *
 * No heap, no recursion. Tests: test/unit/inplace_test.c, test/powercut/inplace_test.c. */
#ifndef MOLT_IN_PLACE_H
#define MOLT_IN_PLACE_H

#include "../pack/pack.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOLT_IN_PLACE_RING (2u * MOLT_PACK_REACH)

struct molt_in_place_job {
    /* read in multiples of 4 bytes at multiples of 4, into word-aligned memory */
    const struct molt_flash *flash;
    const struct molt_hash_ops *hash;
    uint32_t pack_off, pack_len, ring_off;
    /* that the whole new file must have, its first sector included: as signed */
    uint8_t digest[MOLT_SHA256_LEN];
    /* Notes how far it got, durably when it returns; 0 or a negative reason. Numbers rise: 2 f + 1 when the ring holds what
     * frame f needs, 2 f + 2 when frame f is written. */
    int (*note)(void *ctx, uint32_t done);
    void *ctx;
};

/* Caller-allocated: some 45 KB. Private. */
struct molt_in_place {
    const struct molt_in_place_job *job;
    uint32_t pack_at;   /* bytes of the pack read */
    uint32_t frame_end; /* of the frame that is decoded: what lies before it comes from the ring */
    bool is_writing;
    bool is_resumed; /* the frame may be half written, so that what looks right may not stay so */
    const uint8_t *in;
    size_t in_len;
    struct molt_hash sum;
    uint32_t words[16]; /* bytes of flash */
    uint8_t buf[64];    /* bytes of the pack */
    uint32_t sector[MOLT_SECTOR / 4];
    uint8_t window[MOLT_PACK_REACH];
    struct molt_pack pack;
};

/* Steps 1 and 2, from what was noted last. Step 1 refuses with -MOLT_BAD_PACK (also: not made for this), -MOLT_DIGEST_MISMATCH,
 * -MOLT_NO_SPACE (ring or pack lie in the way of the new image) or -MOLT_FLASH_READ. */
int molt_in_place_run(struct molt_in_place *ip, const struct molt_in_place_job *job, uint32_t done);

#ifdef __cplusplus
}
#endif
#endif
