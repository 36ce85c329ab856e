/* walk.h - how long is the image that lies in flash? Internal to slots. */
#ifndef MOLT_SLOTS_WALK_H
#define MOLT_SLOTS_WALK_H

#include "slots.h"

/* Follows the segment headers of the image at off, whose header has header_len bytes (8: ESP8266; 24: ESP32
 * family) and whose partition has cap bytes. At most 17 reads, 160 bytes in all. *end: bytes from off to
 * the end of the last segment; header: as read. Returns 0, -MOLT_BAD_SEGMENT (no image, or one that
 * leaves cap) or -MOLT_FLASH_READ. */
#define MOLT_WALK_HEADER_MAX 24u
int molt_walk_segments(struct molt_slots *slots, uint32_t off, uint32_t cap, uint32_t header_len,
                       uint8_t header[MOLT_WALK_HEADER_MAX], uint32_t *end);

/* Reads len bytes; a failure is kept in slots->port_err. 0 or -MOLT_FLASH_READ. */
int molt_slots_read(struct molt_slots *slots, uint32_t off, void *dst, uint32_t len);

/* Hashes the next piece, at most a sector, of flash from *pos to end; moves *pos. 0 or -MOLT_FLASH_READ. */
int molt_slots_hash_some(struct molt_slots *slots, struct molt_hash *hash, uint32_t *pos, uint32_t end);

#endif
