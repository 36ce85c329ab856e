/* otadata_fuzz.c - two sectors of anything as otadata, and slots of anything: every question has a bounded answer, an update
 * goes to a slot that does not run, and after the commit the records select it.
 * The first byte: bit 0 mends the records' CRC, bits 1 and 2 are the running slot (3: factory), bits 3 to 5 choose what is done. */
#include "ram_flash.h"

#include "molt_reason.h"
#include "ports/bearssl.h"
#include "slots/esp32_otadata.h"
#include "util/bytes.h"

#define OTADATA_OFF 0xE000u
#define SLOT_OFF    0x10000u
#define SLOT_LEN    0x10000u
#define SLOTS       3u
#define ROW_LEN     32u
#define STEPS_MAX   200

static void put_row(unsigned row, uint8_t type, uint8_t subtype, uint32_t off, uint32_t len)
{
    uint8_t *p = ram_flash + MOLT_PARTITION_TABLE_OFFSET + row * ROW_LEN;
    memset(p, 0, ROW_LEN);
    p[0] = 0xAA;
    p[1] = 0x50;
    p[2] = type;
    p[3] = subtype;
    molt_store32le(p + 4, off);
    molt_store32le(p + 8, len);
}

static void mend(uint8_t *raw)
{
    struct molt_otadata_entry entry;
    molt_otadata_decode(raw, &entry);
    molt_otadata_encode(raw, entry.seq, entry.state);
}

/* Two records of 32 bytes, then bytes for the beginning of each slot. */
static void fill(const uint8_t *data, size_t size, bool mended)
{
    ram_fill(0, 0, data, 0);
    put_row(0, 1, 0, OTADATA_OFF, 0x2000);
    for (unsigned i = 0; i < SLOTS; i++)
        put_row(1 + i, 0, (uint8_t)(0x10 + i), SLOT_OFF + i * SLOT_LEN, SLOT_LEN);
    for (unsigned i = 0; i < 2 && size >= MOLT_OTADATA_ENTRY_LEN; i++, size -= MOLT_OTADATA_ENTRY_LEN) {
        uint8_t *raw = ram_flash + OTADATA_OFF + i * MOLT_SECTOR;
        memcpy(raw, data, MOLT_OTADATA_ENTRY_LEN);
        data += MOLT_OTADATA_ENTRY_LEN;
        if (mended) mend(raw);
    }
    size_t each = size / SLOTS < SLOT_LEN ? size / SLOTS : SLOT_LEN;
    for (unsigned i = 0; i < SLOTS; i++)
        memcpy(ram_flash + SLOT_OFF + i * SLOT_LEN, data + i * each, each);
}

/* The slot that the bootloader would try first: of the sound record with the largest number. */
static unsigned selected(void)
{
    uint32_t best = 0;
    unsigned slot = MOLT_OTA_NO_SLOT;
    for (unsigned i = 0; i < 2; i++) {
        struct molt_otadata_entry entry;
        molt_otadata_decode(ram_flash + OTADATA_OFF + i * MOLT_SECTOR, &entry);
        bool counts = entry.crc_ok && entry.seq != 0xFFFFFFFFu && entry.state != MOLT_OTADATA_INVALID &&
                      entry.state != MOLT_OTADATA_ABORTED;
        if (!counts || (slot != MOLT_OTA_NO_SLOT && entry.seq <= best)) continue;
        best = entry.seq;
        slot = (best - 1) % SLOTS;
    }
    return slot;
}

static void update(struct molt_esp32_otadata *ota)
{
    struct molt_target target;
    int rc = ota->slots.ops->target(&ota->slots, 0x4000, 0, MOLT_RAW, &target), steps = 0;
    FUZZ_CHECK(rc == 0 || rc == -MOLT_TRIAL_PENDING);
    if (rc != 0) return;
    FUZZ_CHECK(target.slot < SLOTS && target.slot != ota->running_slot);
    FUZZ_CHECK(target.off == SLOT_OFF + target.slot * SLOT_LEN && target.cap <= SLOT_LEN);
    while ((rc = ota->slots.ops->commit_step(&ota->slots, &target, 0x4000)) == MOLT_MORE)
        FUZZ_CHECK(++steps < STEPS_MAX);
    FUZZ_CHECK(rc == MOLT_DONE || rc == -MOLT_BAD_PARTITIONS);
    if (rc == MOLT_DONE) FUZZ_CHECK(selected() == target.slot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    uint8_t choice = data[0], running = choice >> 1 & 3, digest[MOLT_SHA256_LEN];
    struct molt_esp32_otadata ota;
    struct molt_hash hash;
    struct molt_boot_state state;
    int rc, steps = 0;
    fill(data + 1, size - 1, (choice & 1) != 0);
    rc = molt_esp32_otadata_begin(&ota, &ram_port, &molt_bearssl_sha256,
                                  running < SLOTS ? running : MOLT_OTA_NO_SLOT);
    FUZZ_CHECK(rc == 0);
    FUZZ_CHECK(ota.slots.ops->state(&ota.slots, &state) == 0);
    FUZZ_CHECK(ota.slots.ops->room(&ota.slots) <= SLOT_LEN);
    if ((choice & 8) != 0) {
        while ((rc = ota.slots.ops->identity_step(&ota.slots, &hash, digest)) == MOLT_MORE)
            FUZZ_CHECK(++steps < STEPS_MAX);
        FUZZ_CHECK(rc == MOLT_DONE || rc == -MOLT_BAD_SEGMENT || rc == -MOLT_NO_SLOT);
    }
    if ((choice & 16) != 0) {
        while ((rc = ota.slots.ops->confirm_step(&ota.slots)) == MOLT_MORE)
            FUZZ_CHECK(++steps < STEPS_MAX);
        FUZZ_CHECK(rc == MOLT_DONE);
        FUZZ_CHECK(ota.slots.ops->state(&ota.slots, &state) == 0 && !state.on_trial);
    } else if ((choice & 32) != 0) {
        while ((rc = ota.slots.ops->reject_step(&ota.slots)) == MOLT_MORE)
            FUZZ_CHECK(++steps < STEPS_MAX);
        FUZZ_CHECK(rc == MOLT_DONE || rc == -MOLT_NO_ROLLBACK);
        if (rc == MOLT_DONE) FUZZ_CHECK(selected() != ota.running_slot);
        return 0;
    }
    update(&ota);
    return 0;
}
