/* log.c - the progress log: 32-byte records in two sectors, written behind each other.
 * Must never erase the sector with the newest record of its job, nor fail an update. Tests: test/unit/log_test.c,
 * test/powercut. */
#include "log.h"

#include <string.h>

#include "../util/bytes.h"
#include "../util/crc.h"

#define CHUNK    (4u * MOLT_LOG_RECORD_LEN)
#define CRC_INIT 0xFFFFFFFFu

/* The words of a record in flash. */
enum word { HEAD, TAG, TAG_2, STORED, CRC, BLOCK_AT, BLOCK_OUT, BODY, OWN_CRC = BODY, WORDS };

void molt_log_begin(struct molt_log *log, const struct molt_flash *flash, uint32_t off,
                    const uint8_t tag[MOLT_LOG_TAG_LEN])
{
    memset(log, 0, sizeof *log);
    log->flash = flash;
    log->off = off;
    molt_load_words(log->tag, tag, MOLT_LOG_TAG_LEN / 4);
}

static uint32_t crc_of(const uint8_t *raw)
{
    return molt_crc32_lsb(CRC_INIT, raw, 4 * BODY);
}

static void encode(const struct molt_log *log, const struct molt_log_record *record,
                   uint8_t raw[MOLT_LOG_RECORD_LEN])
{
    const uint32_t original = record->original[0] | (uint32_t)record->original[1] << 8;
    const uint32_t words[BODY] = {record->erased / MOLT_SECTOR | original << 16,
                                  log->tag[0],
                                  log->tag[1],
                                  record->stored,
                                  record->crc,
                                  record->block_at,
                                  record->block_out};
    molt_store_words(raw, words, BODY);
    molt_store32le(raw + 4 * OWN_CRC, crc_of(raw));
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
    molt_load_words(words, raw, WORDS);
    const uint32_t stored = words[STORED], head = words[HEAD];
    if (words[TAG] != log->tag[0] || words[TAG_2] != log->tag[1]) return;
    if (words[OWN_CRC] != crc_of(raw) || stored == 0 || words[BLOCK_OUT] > stored) return;
    if (stored >= log->newest) { /* what is written next goes behind it */
        log->newest = stored;
        log->current = (uint8_t)sector;
    }
    if (stored <= log->after || (log->nearest != 0 && stored >= log->nearest)) return;
    log->nearest = stored;
    *record = (struct molt_log_record){.stored = stored,
                                       .crc = words[CRC],
                                       .block_at = words[BLOCK_AT],
                                       .block_out = words[BLOCK_OUT],
                                       .erased = (head & 0xFFFFu) * MOLT_SECTOR,
                                       .original = {(uint8_t)(head >> 16), (uint8_t)(head >> 24)}};
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
