/* log.c - the progress log: 32-byte records in two sectors, written behind each other.
 * Must never erase the sector with the newest record of its job, nor fail an update. Tests: test/unit/log_test.c,
 * test/powercut. */
#include "log.h"

#include <string.h>

#include "../util/bytes.h"
#include "../util/crc.h"

#define CHUNK     (4u * MOLT_LOG_RECORD_LEN)
#define BODY_LEN  (MOLT_LOG_RECORD_LEN - 4u)
#define WORDS_AT  12u
#define WORDS     5u /* the last one is the CRC */
#define CRC_INIT  0xFFFFFFFFu
#define AHEAD_MAX 255u

void molt_log_begin(struct molt_log *log, const struct molt_flash *flash, uint32_t off,
                    const uint8_t tag[MOLT_LOG_TAG_LEN])
{
    memset(log, 0, sizeof *log);
    log->flash = flash;
    log->off = off;
    memcpy(log->tag, tag, sizeof log->tag);
}

static void encode(const struct molt_log *log, const struct molt_log_record *record,
                   uint8_t raw[MOLT_LOG_RECORD_LEN])
{
    uint32_t stored_end = molt_round_up(record->stored, MOLT_SECTOR);
    uint32_t ahead = record->erased > stored_end ? (record->erased - stored_end) / MOLT_SECTOR : 0;
    raw[0] = (uint8_t)molt_min32(ahead, AHEAD_MAX);
    raw[1] = record->block_bit;
    raw[2] = record->original[0];
    raw[3] = record->original[1];
    memcpy(raw + 4, log->tag, MOLT_LOG_TAG_LEN);
    const uint32_t words[WORDS - 1] = {record->stored, record->crc, record->block_in, record->block_out};
    molt_store_words(raw + WORDS_AT, words, WORDS - 1);
    molt_store32le(raw + BODY_LEN, molt_crc32_lsb(CRC_INIT, raw, BODY_LEN));
}

void molt_log_search(struct molt_log *log, uint32_t after)
{
    log->after = after;
    log->at = 0;
    log->nearest = 0;
}

static void look_at(struct molt_log *log, const uint8_t *raw, uint32_t sector, struct molt_log_record *record)
{
    uint32_t words[WORDS];
    if (memcmp(raw + 4, log->tag, MOLT_LOG_TAG_LEN) != 0) return;
    molt_load_words(words, raw + WORDS_AT, WORDS);
    if (words[WORDS - 1] != molt_crc32_lsb(CRC_INIT, raw, BODY_LEN)) return;
    uint32_t stored = words[0], block_out = words[3];
    if (stored == 0 || block_out > stored) return;
    if (stored >= log->newest) { /* what is written next goes behind it */
        log->newest = stored;
        log->current = (uint8_t)sector;
    }
    if (stored <= log->after || (log->nearest != 0 && stored >= log->nearest)) return;
    log->nearest = stored;
    *record = (struct molt_log_record){.stored = stored,
                                       .crc = words[1],
                                       .erased = molt_round_up(stored, MOLT_SECTOR) + raw[0] * MOLT_SECTOR,
                                       .original = {raw[2], raw[3]},
                                       .block_bit = raw[1] & 7u,
                                       .block_in = words[2],
                                       .block_out = block_out};
}

int molt_log_search_step(struct molt_log *log, struct molt_log_record *record)
{
    uint8_t chunk[CHUNK];
    const struct molt_flash *flash = log->flash;
    if (log->at == MOLT_LOG_LEN) {
        bool is_full = log->used[log->current] == MOLT_SECTOR;
        if (log->newest == 0 && is_full) log->current ^= 1u; /* this job has written nothing yet */
        return log->nearest != 0 ? 0 : -MOLT_NOT_FOUND;
    }
    uint32_t at = log->at, sector = at / MOLT_SECTOR;
    log->at += CHUNK;
    if (flash->is_blank(flash->ctx, log->off + at, CHUNK)) return 1;
    if (flash->read(flash->ctx, log->off + at, chunk, CHUNK) < 0) return -MOLT_FLASH_READ;
    if (log->used[sector] < at % MOLT_SECTOR + CHUNK) log->used[sector] = at % MOLT_SECTOR + CHUNK;
    for (uint32_t i = 0; i < CHUNK; i += MOLT_LOG_RECORD_LEN)
        look_at(log, chunk + i, sector, record);
    return 1;
}

int molt_log_append_step(struct molt_log *log, const struct molt_log_record *record)
{
    const struct molt_flash *flash = log->flash;
    uint8_t raw[MOLT_LOG_RECORD_LEN];
    if (log->used[log->current] == MOLT_SECTOR) { /* full: the other one; it is erased unless it is blank */
        uint8_t other = log->current ^ 1u;
        if (log->used[other] != 0) {
            if (flash->erase(flash->ctx, log->off + other * MOLT_SECTOR, MOLT_SECTOR) < 0)
                return -MOLT_FLASH_ERASE;
            log->used[other] = 0;
        }
        log->current = other;
        return 1;
    }
    encode(log, record, raw);
    uint32_t at = log->off + log->current * MOLT_SECTOR + log->used[log->current];
    log->used[log->current] += MOLT_LOG_RECORD_LEN;
    if (flash->write(flash->ctx, at, raw, sizeof raw) < 0) return -MOLT_FLASH_WRITE;
    return 0;
}
