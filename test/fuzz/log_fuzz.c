/* log_fuzz.c - two sectors of anything as a progress log: what is found is sound and in order, and what is written behind
 * it is found. The first byte says whether every record gets the job's tag and a right CRC, and how many are written. */
#include "ram_flash.h"

#include "log/log.h"
#include "util/bytes.h"
#include "util/crc.h"

#define LOG_OFF 0x8000u
#define TAG_AT  4u
#define CRC_AT  28u

static const uint8_t tag[MOLT_LOG_TAG_LEN] = "the tag";

static void mend(void)
{
    for (uint32_t at = LOG_OFF; at < LOG_OFF + MOLT_LOG_LEN; at += MOLT_LOG_RECORD_LEN) {
        uint8_t *raw = ram_flash + at;
        if (ram_is_blank(NULL, at, MOLT_LOG_RECORD_LEN)) continue;
        memcpy(raw + TAG_AT, tag, sizeof tag);
        molt_store32le(raw + CRC_AT, molt_crc32_lsb(0xFFFFFFFFu, raw, CRC_AT));
    }
}

static int search(struct molt_log *log, uint32_t after, struct molt_log_record *record)
{
    int rc;
    unsigned steps = 0;
    molt_log_search(log, after);
    while ((rc = molt_log_search_step(log, record)) > 0)
        FUZZ_CHECK(++steps <= MOLT_LOG_LEN / MOLT_LOG_RECORD_LEN);
    FUZZ_CHECK(rc == 0 || rc == -MOLT_NOT_FOUND);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    uint8_t choice = data[0];
    struct molt_log log;
    struct molt_log_record record = {0};
    ram_fill(LOG_OFF, MOLT_LOG_LEN, data + 1, size - 1);
    if ((choice & 1) != 0) mend();

    molt_log_begin(&log, &ram_port, LOG_OFF, tag);
    uint32_t newest = 0;
    while (search(&log, newest, &record) == 0) {
        FUZZ_CHECK(record.stored > newest && record.block_out <= record.stored);
        FUZZ_CHECK(record.erased % MOLT_SECTOR == 0);
        newest = record.stored;
    }
    for (unsigned i = 0; i < (choice >> 1 & 3) && newest < UINT32_MAX - MOLT_SECTOR; i++) {
        const struct molt_log_record next = {.stored = newest + MOLT_SECTOR, .crc = i, .block_at = i * 5};
        int rc, steps = 0;
        while ((rc = molt_log_append_step(&log, &next)) > 0)
            FUZZ_CHECK(++steps <= 2);
        FUZZ_CHECK(rc == 0 && search(&log, newest, &record) == 0);
        FUZZ_CHECK(record.stored == next.stored && record.crc == i && record.block_at == next.block_at);
        newest = next.stored;
    }
    return 0;
}
