/* walk.c - reading an image that lies in flash: its length, its hash.
 * Must never believe a length: every step stays inside the partition. Tests: test/unit/otadata_test.c,
 * test/unit/eboot_slots_test.c. */
#include "walk.h"

#include "../util/bytes.h"

#define SEGMENTS_MAX 16u
#define HASH_BUF_LEN 128u

int molt_slots_read(struct molt_slots *slots, uint32_t off, void *dst, uint32_t len)
{
    int rc = slots->flash->read(slots->flash->ctx, off, dst, len);
    if (rc == 0) return 0;
    slots->port_err = rc;
    return -MOLT_FLASH_READ;
}

int molt_walk_segments(struct molt_slots *slots, uint32_t off, uint32_t cap, uint32_t header_len,
                       uint8_t header[MOLT_WALK_HEADER_MAX], uint32_t *end)
{
    uint8_t segment[8];
    if (header_len > cap) return -MOLT_BAD_SEGMENT;
    int rc = molt_slots_read(slots, off, header, header_len);
    if (rc < 0) return rc;
    if (header[0] != 0xE9 || header[1] == 0 || header[1] > SEGMENTS_MAX) return -MOLT_BAD_SEGMENT;
    uint32_t pos = header_len;
    for (unsigned i = 0; i < header[1]; i++) {
        if (sizeof segment > cap - pos) return -MOLT_BAD_SEGMENT;
        rc = molt_slots_read(slots, off + pos, segment, sizeof segment);
        if (rc < 0) return rc;
        pos += (uint32_t)sizeof segment;
        uint32_t len = molt_load32le(segment + 4);
        if (len > cap - pos) return -MOLT_BAD_SEGMENT;
        pos += len;
    }
    *end = pos;
    return 0;
}

int molt_slots_hash_some(struct molt_slots *slots, struct molt_hash *hash, uint32_t *pos, uint32_t end)
{
    uint8_t buf[HASH_BUF_LEN];
    uint32_t stop = molt_min32(end, *pos + MOLT_SECTOR);
    while (*pos < stop) {
        uint32_t n = molt_min32(stop - *pos, sizeof buf);
        int rc = molt_slots_read(slots, *pos, buf, n);
        if (rc < 0) return rc;
        hash->ops->update(&hash->state, buf, n);
        *pos += n;
    }
    return 0;
}
