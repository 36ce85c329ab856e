/* log.h - how far an update has come, in two sectors of flash: the *scratch* store. What it says is never believed,
 * only tried: the engine reads back what should be there and compares the CRC before it goes on from there.
 *
 * A record is 32 bytes, complete in itself, and programmed once. A torn or rotten one fails its CRC and is not there.
 * The sectors are filled one after the other; the one that is erased next never holds the newest record of the job
 * that writes. Losing the whole log costs a download, nothing else.
 *
 *     0  erased, in sectors (16 bits)   2  bytes 2 and 3 as they came   4  tag of the job, 8 bytes   12 stored
 *     16 CRC-32 of it   20 block_at   24 block_out   28 CRC-32 of bytes 0 to 27 from 0xFFFFFFFF */
#ifndef MOLT_LOG_H
#define MOLT_LOG_H

#include "../molt_port.h"
#include "../molt_reason.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOLT_LOG_RECORD_LEN 32u /* a multiple of every write unit */
#define MOLT_LOG_SECTORS    2u
#define MOLT_LOG_LEN        (MOLT_LOG_SECTORS * MOLT_SECTOR)
#define MOLT_LOG_TAG_LEN    8u

/* One state of one job that is durable in flash. */
struct molt_log_record {
    uint32_t stored; /* bytes of the stored form; > 0 */
    uint32_t crc;    /* CRC-32 (molt_crc32_lsb from 0) of them, as flash holds them */
    /* gzip that is stored decoded: the last block header at or before stored begins at this bit of the
     * file; a file of 512 MB and more has none ... */
    uint32_t block_at;
    uint32_t block_out;  /* ... and gives the bytes from here on */
    uint32_t erased;     /* end of the part that was erased for the job, a multiple of MOLT_SECTOR */
    uint8_t original[2]; /* header bytes 2 and 3 as they came, where flash holds the device's own */
};

/* Caller-allocated, all private. */
struct molt_log {
    const struct molt_flash *flash;
    uint32_t off;
    uint32_t tag[MOLT_LOG_TAG_LEN / 4];
    uint32_t after, at, nearest;     /* of the search; nearest: `stored` of what was found, 0: nothing yet */
    uint32_t newest;                 /* largest `stored` seen of the job */
    uint32_t used[MOLT_LOG_SECTORS]; /* bytes of each sector that are not blank */
    uint8_t current;                 /* the sector that is written to */
};

/* Works on MOLT_LOG_LEN bytes of flash from off, a multiple of MOLT_SECTOR. tag: names the job; copied. */
void molt_log_begin(struct molt_log *log, const struct molt_flash *flash, uint32_t off,
                    const uint8_t tag[MOLT_LOG_TAG_LEN]);

/* Looks for the job's record with the smallest `stored` above after. Reads at most 128 bytes a call. 1: call again,
 * with the same record; 0: found, it is set; -MOLT_NOT_FOUND; -MOLT_FLASH_READ. A first search (after = 0) must end before the first
 * record is written. */
void molt_log_search(struct molt_log *log, uint32_t after);
int molt_log_search_step(struct molt_log *log, struct molt_log_record *record);

/* Writes a record. At most one flash operation a call. 1: call again; 0: it is durable; -MOLT_FLASH_ERASE,
 * -MOLT_FLASH_WRITE: the log should not be used any more. */
int molt_log_append_step(struct molt_log *log, const struct molt_log_record *record);

#ifdef __cplusplus
}
#endif
#endif
