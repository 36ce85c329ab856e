/* eboot.c - what Arduino's eboot does to flash and RTC memory, step for step.
 * Must never check more than the real one: its gaps are what updates have to survive.
 * Tests: test/unit/eboot_test.c, test/unit/update_test.c. */
#include "eboot.h"

#include <stddef.h>
#include <string.h>
#include <zlib.h>

#include "util/bytes.h"

void sim_rtc_power_on(struct sim_rtc *rtc)
{
    memset(rtc->bytes, 0x5A, sizeof rtc->bytes);
}

static int rtc_write(void *ctx, const uint8_t *data, uint32_t len)
{
    struct sim_rtc *rtc = ctx;
    if (len > sizeof rtc->bytes) return -1;
    memcpy(rtc->bytes, data, len);
    return 0;
}

struct molt_rtc sim_rtc_port(struct sim_rtc *rtc)
{
    return (struct molt_rtc){.ctx = rtc, .write = rtc_write};
}

/* SPIRead and friends of the ROM: an address beyond the flash fails. */
static bool read_ok(const struct molt_flash *flash, uint32_t off, void *dst, uint32_t len)
{
    return off <= flash->size && len <= flash->size - off && flash->read(flash->ctx, off, dst, len) == 0;
}

static bool erase_ok(const struct molt_flash *flash, uint32_t off)
{
    return off < flash->size && flash->erase(flash->ctx, off, MOLT_SECTOR) == 0;
}

static bool write_ok(const struct molt_flash *flash, uint32_t off, const uint8_t *src)
{
    return off < flash->size && flash->write(flash->ctx, off, src, MOLT_SECTOR) == 0;
}

/* The staged gzip file, read a sector at a time to wherever the decoder gets: eboot knows no end of it. */
struct gzip_source {
    const struct molt_flash *flash;
    z_stream z;
    uint32_t next; /* flash offset of the next sector to read */
    uint8_t sector[MOLT_SECTOR];
    size_t arena_used;
    max_align_t
        arena[48 * 1024 / sizeof(max_align_t)]; /* of the decoder: nothing is lost when the power is cut */
};

static void *arena_take(void *ctx, unsigned count, unsigned size)
{
    struct gzip_source *gz = ctx;
    size_t units = ((size_t)count * size + sizeof gz->arena[0] - 1) / sizeof gz->arena[0];
    size_t left = sizeof gz->arena / sizeof gz->arena[0] - gz->arena_used;
    if (units > left) return NULL;
    void *p = gz->arena + gz->arena_used;
    gz->arena_used += units;
    return p;
}

static void arena_give(void *ctx, void *p)
{
    (void)ctx;
    (void)p;
}

static bool gzip_refill(struct gzip_source *gz)
{
    bool ok = read_ok(gz->flash, gz->next, gz->sector, MOLT_SECTOR);
    if (!ok) memset(gz->sector, 0xFF, MOLT_SECTOR); /* uzlib's callback ignores the read's result */
    gz->next += MOLT_SECTOR;
    gz->z.next_in = gz->sector;
    gz->z.avail_in = MOLT_SECTOR;
    return ok;
}

static int gzip_byte(struct gzip_source *gz)
{
    if (gz->z.avail_in == 0) gzip_refill(gz);
    gz->z.avail_in--;
    return *gz->z.next_in++;
}

/* The header as uzlib reads it: magic, method, flags; optional fields skipped. */
static bool gzip_header(struct gzip_source *gz)
{
    uint8_t fixed[10];
    for (size_t i = 0; i < sizeof fixed; i++)
        fixed[i] = (uint8_t)gzip_byte(gz);
    if (fixed[0] != 0x1F || fixed[1] != 0x8B || fixed[2] != 8 || (fixed[3] & 0xE0) != 0) return false;
    if (fixed[3] & 4) { /* extra field */
        int extra = gzip_byte(gz);
        extra |= gzip_byte(gz) << 8;
        while (extra-- > 0)
            gzip_byte(gz);
    }
    for (int text = 8; text <= 16; text <<= 1) { /* name, comment */
        for (uint32_t n = 0; (fixed[3] & text) != 0 && gzip_byte(gz) != 0; n++) {
            if (n > gz->flash->size) return false;
        }
    }
    if (fixed[3] & 2) {
        gzip_byte(gz);
        gzip_byte(gz);
    }
    return true;
}

/* Fills want bytes of out. Fewer when the stream ends early: the rest of the buffer is what it was. */
static bool gzip_inflate(struct gzip_source *gz, uint8_t *out, uint32_t want)
{
    gz->z.next_out = out;
    gz->z.avail_out = want;
    while (gz->z.avail_out > 0) {
        if (gz->z.avail_in == 0 && !gzip_refill(gz))
            return false; /* endless garbage ends at the flash's end */
        int rc = inflate(&gz->z, Z_NO_FLUSH);
        if (rc == Z_STREAM_END) return true;
        if (rc != Z_OK && rc != Z_BUF_ERROR) return false;
    }
    return true;
}

/* Erases and writes one sector, but leaves eboot's own alone when it would not change. */
static enum sim_eboot_copy put_sector(const struct molt_flash *flash, uint32_t dest, const uint8_t *data,
                                      bool *sector0_same)
{
    uint8_t there[MOLT_SECTOR];
    if (dest == 0) {
        if (!read_ok(flash, dest, there, MOLT_SECTOR)) return SIM_EBOOT_WRITE;
        *sector0_same = memcmp(there, data, MOLT_SECTOR) == 0;
        if (*sector0_same) return SIM_EBOOT_COPIED;
    }
    if (!erase_ok(flash, dest)) return SIM_EBOOT_ERASE;
    return write_ok(flash, dest, data) ? SIM_EBOOT_COPIED : SIM_EBOOT_WRITE;
}

static enum sim_eboot_copy copy_sectors(const struct molt_flash *flash, const struct molt_eboot_command *cmd,
                                        struct gzip_source *gz, int32_t left, bool *sector0_same)
{
    uint8_t buffer[MOLT_SECTOR] = {0};
    for (uint32_t done = 0; left > 0; done += MOLT_SECTOR, left -= (int32_t)MOLT_SECTOR) {
        if (gz == NULL) {
            if (!read_ok(flash, cmd->source + done, buffer, MOLT_SECTOR)) return SIM_EBOOT_READ;
        } else {
            uint32_t want = molt_min32((uint32_t)left, MOLT_SECTOR);
            if (!gzip_inflate(gz, buffer, want)) return SIM_EBOOT_INFLATE;
            memset(buffer + want, 0xFF, MOLT_SECTOR - want);
        }
        enum sim_eboot_copy rc = put_sector(flash, cmd->dest + done, buffer, sector0_same);
        if (rc != SIM_EBOOT_COPIED) return rc;
    }
    return SIM_EBOOT_COPIED;
}

static enum sim_eboot_copy copy_raw(const struct molt_flash *flash, const struct molt_eboot_command *cmd,
                                    bool *sector0_same)
{
    if (cmd->source % MOLT_SECTOR != 0 || cmd->dest % MOLT_SECTOR != 0) return SIM_EBOOT_ALIGNMENT;
    uint8_t magic[4] = {0};
    read_ok(flash, cmd->source, magic, sizeof magic);
    if (magic[0] != 0x1F || magic[1] != 0x8B) {
        return copy_sectors(flash, cmd, NULL, (int32_t)molt_round_up(cmd->len, MOLT_SECTOR), sector0_same);
    }
    uint8_t isize[4] = {0}; /* the length is believed, as the last four bytes of exactly len say it */
    read_ok(flash, cmd->source + cmd->len - 4, isize, sizeof isize);

    struct gzip_source gz = {.flash = flash, .next = cmd->source};
    if (!gzip_header(&gz)) return SIM_EBOOT_GZIP_HEADER;
    gz.z.zalloc = arena_take;
    gz.z.zfree = arena_give;
    gz.z.opaque = &gz;
    if (inflateInit2(&gz.z, -15) != Z_OK) return SIM_EBOOT_INFLATE;
    return copy_sectors(flash, cmd, &gz, (int32_t)molt_load32le(isize), sector0_same);
}

/* Walks the segments as the loader does. 0, or the digit behind "e:". */
static int load_app(const struct molt_flash *flash, uint32_t base, uint32_t *entry)
{
    uint8_t header[8], segment[8];
    uint32_t pos = base + MOLT_ESP8266_APP_OFFSET;
    if (!read_ok(flash, pos, header, sizeof header)) return 1;
    pos += 8;
    for (unsigned i = 0; i < header[1]; i++) {
        if (!read_ok(flash, pos, segment, sizeof segment)) return 2;
        uint32_t address = molt_load32le(segment), len = molt_load32le(segment + 4);
        bool loads = address < 0x40000000u || (address >= 0x40100000u && address < 0x4010C000u) ||
                     address >= 0x60000000u;
        pos += 8;
        if (loads && (pos > flash->size || len > flash->size - pos)) return 3;
        pos += len;
    }
    *entry = molt_load32le(header + 4);
    return 0;
}

void sim_eboot_run(const struct molt_flash *flash, struct sim_rtc *rtc, struct sim_eboot_result *result)
{
    struct molt_eboot_command cmd;
    uint32_t app = 0;
    *result = (struct sim_eboot_result){.copy = SIM_EBOOT_NO_COPY};
    result->had_command = molt_eboot_command_decode(rtc->bytes, &cmd);
    if (result->had_command) {
        if (cmd.action == MOLT_EBOOT_COPY_RAW) {
            result->copy = copy_raw(flash, &cmd, &result->sector0_same);
            if (result->copy == SIM_EBOOT_COPIED) app = cmd.dest;
        } else if (cmd.action == MOLT_EBOOT_LOAD_APP) {
            app = cmd.source;
        }
        memset(rtc->bytes, 0, 8); /* cleared after the copy, in every case; a failed copy resets: app 0 */
    }
    result->load_error = load_app(flash, app, &result->entry);
    if (result->load_error != 0 && app != 0) { /* the chip resets, and the command is gone */
        result->load_error = load_app(flash, 0, &result->entry);
    }
    result->started = result->load_error == 0;
}
