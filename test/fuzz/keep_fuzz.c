/* keep_fuzz.c - two sectors of anything as a keep store: what is loaded is sound, and what is saved then is loaded again.
 * The first byte says whether every record gets a right CRC, and how often is saved. */
#include "ram_flash.h"

#include "keep/keep.h"
#include "util/bytes.h"
#include "util/crc.h"

#define KEEP_OFF  0x8000u
#define SERIAL_AT 4u
#define CRC_AT    (MOLT_KEEP_RECORD_LEN - 4u)

static void mend(void)
{
    for (uint32_t at = KEEP_OFF; at < KEEP_OFF + MOLT_KEEP_LEN; at += MOLT_KEEP_RECORD_LEN) {
        uint8_t *raw = ram_flash + at;
        if (ram_is_blank(NULL, at, MOLT_KEEP_RECORD_LEN)) continue;
        raw[SERIAL_AT + 3] &= 0x7F; /* no flash stands as many saves as it takes to use the numbers up */
        molt_store32le(raw + CRC_AT, molt_crc32_lsb(0xFFFFFFFFu, raw, CRC_AT));
    }
}

static void load(struct molt_keep *keep)
{
    int rc;
    unsigned steps = 0;
    molt_keep_begin(keep, &ram_port, KEEP_OFF);
    while ((rc = molt_keep_load_step(keep)) > 0)
        FUZZ_CHECK(++steps <= MOLT_KEEP_LEN / MOLT_KEEP_RECORD_LEN);
    FUZZ_CHECK(rc == 0 && keep->is_loaded);
    FUZZ_CHECK(keep->data.failed_count <= MOLT_KEEP_FAILED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    struct molt_keep keep, again;
    ram_fill(KEEP_OFF, MOLT_KEEP_LEN, data + 1, size - 1);
    if ((data[0] & 1) != 0) mend();

    load(&keep);
    for (unsigned i = 0; i < (data[0] >> 1 & 31); i++) {
        const struct molt_keep_image image = {.code = i + 1, .digest = {0x5A, (uint8_t)i}};
        keep.data.sequence++;
        molt_keep_add_failed(&keep, &image);
        FUZZ_CHECK(molt_keep_has_failed(&keep, 0, image.digest));
        int rc, steps = 0;
        while ((rc = molt_keep_save_step(&keep)) > 0)
            FUZZ_CHECK(++steps <= 16);
        FUZZ_CHECK(rc == 0);
        load(&again);
        FUZZ_CHECK(again.data.sequence == keep.data.sequence && again.data.boots == keep.data.boots);
        FUZZ_CHECK(again.data.failed_count == keep.data.failed_count);
        FUZZ_CHECK(molt_keep_has_failed(&again, 0, image.digest));
    }
    return 0;
}
