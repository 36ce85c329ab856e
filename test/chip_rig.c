/* chip_rig.c - see chip_rig.h. Must never assert what a boot stage decided: that is the tests' business. */
#include "chip_rig.h"

#include "cmocka_all.h"

#include <stdlib.h>
#include <zlib.h>

#include "host/image_build.h"
#include "ports/bearssl.h"

struct rig_blob rig_image(enum molt_chip chip, uint32_t size, uint32_t seed, uint32_t flash_size)
{
    struct rig_blob b = {NULL, 0};
    const struct image_build spec = {.chip = chip,
                                     .size = size,
                                     .seed = seed,
                                     .flash_size = flash_size,
                                     .flash_mode = 2,
                                     .version = "2.0.0"};
    if (image_build(&spec, &b.data, &b.len) != 0) abort();
    return b;
}

struct rig_blob rig_gzip(const struct rig_blob *in, int window_bits)
{
    return rig_gzip_blocks(in, window_bits, (uint32_t)in->len);
}

struct rig_blob rig_gzip_blocks(const struct rig_blob *in, int window_bits, uint32_t block)
{
    z_stream z = {0};
    size_t cap = in->len + in->len / 8 + 1024;
    struct rig_blob out = {malloc(cap), 0};
    if (out.data == NULL) abort();
    if (deflateInit2(&z, 9, Z_DEFLATED, window_bits + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK) abort();
    z.next_in = in->data;
    z.next_out = out.data;
    z.avail_out = (uInt)cap;
    for (size_t left = in->len; left > block; left -= block) {
        z.avail_in = block;
        if (deflate(&z, Z_BLOCK) != Z_OK || z.avail_in != 0) abort();
    }
    z.avail_in = (uInt)(in->data + in->len - z.next_in);
    if (deflate(&z, Z_FINISH) != Z_STREAM_END) abort();
    out.len = z.total_out;
    deflateEnd(&z);
    return out;
}

struct rig_blob rig_fs(uint32_t size, uint32_t seed)
{
    struct rig_blob b = {malloc(size), size};
    if (b.data == NULL) abort();
    for (uint32_t i = 0; i < size; i++) {
        seed = seed * 1664525u + 1013904223u;
        b.data[i] = (uint8_t)(seed >> 24);
    }
    memcpy(b.data + 8, "littlefs", 8);
    return b;
}

void rig_sha256(const struct rig_blob *blob, uint8_t digest[MOLT_SHA256_LEN])
{
    struct molt_hash hash = {.ops = &molt_bearssl_sha256};
    hash.ops->init(&hash.state);
    hash.ops->update(&hash.state, blob->data, blob->len);
    hash.ops->finish(&hash.state, digest);
}

struct rig_file rig_raw(const struct rig_blob *image)
{
    return (struct rig_file){.data = image->data, .len = (uint32_t)image->len, .encoding = MOLT_RAW};
}

struct rig_file rig_gz(const struct rig_blob *gz, const struct rig_blob *image)
{
    return (struct rig_file){.data = gz->data,
                             .len = (uint32_t)gz->len,
                             .image_len = image == NULL ? 0 : (uint32_t)image->len,
                             .encoding = MOLT_GZIP};
}

void rig_open(struct rig *rig, const struct sim_layout *layout, enum molt_chip chip, uint32_t write_unit)
{
    memset(rig, 0, sizeof *rig);
    rig->layout = *layout;
    rig->chip = layout->is_esp32 ? chip : MOLT_CHIP_ESP8266;
    rig->rollback = true;
    const struct sim_flash_config config = {.size = layout->flash_size, .write_unit = write_unit};
    assert_int_equal(sim_flash_open(&rig->flash, &config), 0);
    sim_rtc_power_on(&rig->rtc);
}

void rig_close(struct rig *rig)
{
    sim_flash_close(&rig->flash);
}

void rig_factory(struct rig *rig, const uint8_t *image, size_t len)
{
    uint32_t off = 0;
    if (rig->layout.is_esp32) {
        uint8_t table[MOLT_PARTITION_TABLE_LEN], record[MOLT_OTADATA_ENTRY_LEN];
        struct molt_partitions p;
        sim_partition_table(rig->layout.partitions, rig->layout.partition_count, table);
        sim_flash_program(&rig->flash, MOLT_PARTITION_TABLE_OFFSET, table, sizeof table);
        assert_int_equal(molt_partitions_parse(table, rig->layout.flash_size, &p), 0);
        molt_otadata_encode(record, 1, MOLT_OTADATA_UNDEFINED);
        sim_flash_program(&rig->flash, p.otadata_off, record, sizeof record);
        off = p.slot_off[0];
    }
    sim_flash_program(&rig->flash, off, image, (uint32_t)len);
    rig_reset(rig);
}

void rig_reset(struct rig *rig)
{
    rig->booted = false;
    if (rig->layout.is_esp32) {
        const struct esp32_boot boot = {.chip = rig->chip, .revision = 100, .rollback = rig->rollback};
        esp32_boot_run(&rig->flash.port, &boot, &rig->esp32_result);
        rig->booted = rig->esp32_result.booted;
        if (!rig->booted) return;
        rig->off = rig->esp32_result.off;
        uint8_t slot = (uint8_t)rig->esp32_result.index;
        int rc = molt_esp32_otadata_begin(&rig->ota, &rig->flash.port, &molt_bearssl_sha256, slot);
        assert_int_equal(rc, 0);
        rig->slots = &rig->ota.slots;
    } else if (sim_molt_boot_is_there(&rig->flash.port)) {
        struct sim_molt_boot_result result = {.rc = -1};
        for (int i = 0; i < 8 && result.rc < 0; i++)
            sim_molt_boot_run(&rig->flash.port, &rig->rtc,
                              rig->powered ? MOLT_BOOT_POWER_ON : MOLT_BOOT_RESET, &result);
        rig->powered = false;
        rig->booted = result.started;
        rig->off = 0;
        int rc = molt_boot_slots_begin(&rig->molt_boot, &rig->flash.port, &molt_bearssl_sha256);
        assert_int_equal(rc, 0);
        rig->molt_boot.reserved = rig->reserved;
        rig->slots = &rig->molt_boot.slots;
    } else {
        sim_eboot_run(&rig->flash.port, &rig->rtc, &rig->eboot_result);
        rig->booted = rig->eboot_result.started;
        rig->off = 0;
        const struct molt_rtc rtc = sim_rtc_port(&rig->rtc);
        molt_esp8266_eboot_begin(&rig->eboot, &rig->flash.port, &molt_bearssl_sha256, &rtc,
                                 rig->layout.fs_start, false);
        rig->eboot.reserved = rig->reserved;
        rig->slots = &rig->eboot.slots;
    }
}

void rig_power_cycle(struct rig *rig)
{
    sim_rtc_power_on(&rig->rtc);
    sim_flash_power_up(&rig->flash);
    rig->powered = true;
    rig_reset(rig);
}

bool rig_runs(const struct rig *rig, const uint8_t *image, size_t len)
{
    const uint8_t *there = rig->flash.bytes + rig->off;
    if (!rig->booted || memcmp(there, image, 2) != 0) return false;
    if (rig->layout.is_esp32 && memcmp(there + 2, image + 2, 2) != 0) return false;
    return memcmp(there + 4, image + 4, len - 4) == 0;
}

/* But molt-boot's slots write a state twice and read it back in one step, and when its log is full erase the other sector and
 * write the record there, too (slots/molt_boot.h). */
static void expect_one_operation(const struct rig *rig, const struct sim_flash_count *a,
                                 const struct sim_flash_count *b)
{
    uint64_t written = b->writes - a->writes, erased = b->erases - a->erases;
    uint64_t read = b->read_bytes - a->read_bytes;
    if (rig->slots->exchanges && rig->update.written > 0 && rig->update.checked == rig->update.written) {
        assert_true(written + erased <= (erased > 0 ? 5 : 2));
        return;
    }
    assert_true(written + erased + (read > 0 ? 1 : 0) <= 1);
    assert_true(read <= MOLT_SECTOR);
}

struct molt_job rig_job(struct rig *rig, const struct rig_file *file)
{
    struct molt_job job = {
        .slots = rig->slots,
        .hash = &molt_bearssl_sha256,
        .expect = {.chip = rig->chip, .chip_revision = 100, .flash_size = rig->layout.flash_size},
        .encoding = file->encoding,
        .file_len = file->len,
        .image_len = file->image_len,
        .has_digest = file->digest != NULL,
        .unpacker = file->encoding == MOLT_GZIP ? &molt_ungzip : NULL,
        .inflate = &rig->inflate,
        .window = rig->window,
        .window_len = file->window_len != 0 ? file->window_len : (uint32_t)sizeof rig->window,
        .running_digest = file->running_digest,
        .failed_digest = file->failed_digest,
        .image_digest = file->image_digest,
        .etag = file->etag,
        .fresh = file->fresh,
    };
    if (file->digest != NULL) memcpy(job.digest, file->digest, sizeof job.digest);
    return job;
}

int rig_update(struct rig *rig, const struct rig_file *file, uint32_t piece)
{
    struct molt_update *u = &rig->update;
    const struct molt_job job = rig_job(rig, file);
    uint64_t changes = rig->flash.count.writes + rig->flash.count.erases;
    int rc = molt_begin(u, &job);
    assert_int_equal(rig->flash.count.writes + rig->flash.count.erases, changes);
    if (rc < 0) return rc;
    for (uint64_t steps = 0; steps < 1000000; steps++) {
        const struct sim_flash_count before = rig->flash.count;
        rc = molt_step(u);
        expect_one_operation(rig, &before, &rig->flash.count);
        if (rc == MOLT_READY || rc < 0) return rc;
        if (rc != MOLT_NEED_DATA) continue;
        assert_true(u->need_len > 0 && u->need_offset == u->received);
        assert_true(u->need_offset + u->need_len <= file->len);
        uint32_t n = piece == 0 || piece > u->need_len ? u->need_len : piece, taken = 0;
        assert_int_equal(molt_feed(u, file->data + u->need_offset, n, &taken), 0);
        assert_int_equal(taken, n);
        rig->fetched += n;
    }
    fail_msg("no end in a million steps");
    return 0;
}

int rig_run(struct rig *rig, int (*step)(struct molt_slots *))
{
    for (int i = 0; i < 10000; i++) {
        const struct sim_flash_count before = rig->flash.count;
        int rc = step(rig->slots);
        expect_one_operation(rig, &before, &rig->flash.count);
        if (rc != MOLT_MORE) return rc;
    }
    fail_msg("no end in 10000 steps");
    return 0;
}
