/* flash.c - the virtual NOR flash behind struct molt_flash.
 * Must never be more forgiving than a chip: an update that works here must work there.
 * Tests: test/unit/flash_test.c. */
#include "flash.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE_MAX_BYTES (256u << 20)

static int breach(struct sim_flash *flash, const char *what, uint32_t off, uint32_t len)
{
    flash->count.violations++;
    if (!flash->count_violations) {
        fprintf(stderr, "virtual flash: %s (offset 0x%" PRIx32 ", %" PRIu32 " bytes)\n", what, off, len);
        abort();
    }
    return SIM_FLASH_VIOLATION;
}

static bool inside(const struct sim_flash *flash, uint32_t off, uint32_t len)
{
    return off <= flash->port.size && len <= flash->port.size - off;
}

static int ask_hook(struct sim_flash *flash, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    return flash->hook == NULL ? 0 : flash->hook(flash->hook_ctx, op, off, len);
}

static int flash_read(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    struct sim_flash *flash = ctx;
    if (!inside(flash, off, len)) return breach(flash, "read outside the flash", off, len);
    int rc = ask_hook(flash, SIM_FLASH_READ, off, len);
    if (rc < 0) return rc;
    memcpy(dst, flash->bytes + off, len);
    flash->count.reads++;
    flash->count.read_bytes += len;
    return 0;
}

static int flash_write(void *ctx, uint32_t off, const void *src, uint32_t len)
{
    struct sim_flash *flash = ctx;
    uint32_t unit = flash->port.write_unit;
    if (!inside(flash, off, len)) return breach(flash, "write outside the flash", off, len);
    if (len == 0 || off % unit != 0 || len % unit != 0) {
        return breach(flash, "write not in whole write units", off, len);
    }
    for (uint32_t u = off / unit; u < (off + len) / unit; u++) {
        if (flash->programmed[u]) {
            return breach(flash, "write unit programmed twice without an erase", u * unit, unit);
        }
    }
    flash->writing = src;
    int rc = ask_hook(flash, SIM_FLASH_WRITE, off, len);
    flash->writing = NULL;
    if (rc < 0) return rc;
    memcpy(flash->bytes + off, src, len);
    memset(flash->programmed + off / unit, 1, len / unit);
    flash->count.writes++;
    flash->count.written_bytes += len;
    return 0;
}

static bool is_erase_size(const struct sim_flash *flash, uint32_t len)
{
    for (size_t i = 0; i < MOLT_ERASE_SIZES; i++) {
        if (len != 0 && flash->port.erase_sizes[i] == len) return true;
    }
    return false;
}

static void blank(struct sim_flash *flash, uint32_t off, uint32_t len)
{
    uint32_t unit = flash->port.write_unit;
    memset(flash->bytes + off, 0xFF, len);
    memset(flash->programmed + off / unit, 0, len / unit);
    if (flash->any_unstable) memset(flash->unstable + off / unit, 0, len / unit);
}

static int flash_erase(void *ctx, uint32_t off, uint32_t len)
{
    struct sim_flash *flash = ctx;
    if (!inside(flash, off, len)) return breach(flash, "erase outside the flash", off, len);
    if (!is_erase_size(flash, len) || off % len != 0) {
        return breach(flash, "erase that is not one aligned erase size", off, len);
    }
    int rc = ask_hook(flash, SIM_FLASH_ERASE, off, len);
    if (rc < 0) return rc;
    blank(flash, off, len);
    flash->count.erases++;
    flash->count.erased_bytes += len;
    return 0;
}

static bool flash_is_blank(void *ctx, uint32_t off, uint32_t len)
{
    struct sim_flash *flash = ctx;
    uint32_t unit = flash->port.write_unit;
    if (!inside(flash, off, len) || off % unit != 0 || len % unit != 0) {
        return breach(flash, "blank check outside the flash or not in whole write units", off, len) == 0;
    }
    if (ask_hook(flash, SIM_FLASH_READ, off, len) < 0) return false;
    flash->count.reads++;
    flash->count.read_bytes += len;
    for (uint32_t u = off / unit; u < (off + len) / unit; u++) {
        if (flash->programmed[u]) return false;
    }
    return true;
}

static bool geometry_is_sound(const struct molt_flash *port)
{
    uint32_t unit = port->write_unit;
    if (port->size == 0 || port->size > SIZE_MAX_BYTES || port->size % MOLT_SECTOR != 0) return false;
    if (unit == 0 || unit > MOLT_WRITE_UNIT_MAX || (unit & (unit - 1)) != 0) return false;
    if (port->erase_sizes[0] != MOLT_SECTOR) return false;
    for (size_t i = 1; i < MOLT_ERASE_SIZES && port->erase_sizes[i] != 0; i++) {
        if (port->erase_sizes[i] <= port->erase_sizes[i - 1] || port->erase_sizes[i] % MOLT_SECTOR != 0) {
            return false;
        }
    }
    return true;
}

/* Maps the file shared, so that a killed process leaves exactly what a reset chip would find. */
static int map_file(struct sim_flash *flash, const char *path)
{
    bool created = false;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        created = fd >= 0;
    }
    if (fd < 0) return -errno;
    struct stat st;
    int rc = 0;
    if (created && ftruncate(fd, (off_t)flash->port.size) < 0) rc = -errno;
    if (rc == 0 && fstat(fd, &st) < 0) rc = -errno;
    if (rc == 0 && (!S_ISREG(st.st_mode) || st.st_size != (off_t)flash->port.size)) rc = -EINVAL;
    if (rc == 0) {
        void *map = mmap(NULL, flash->port.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED) {
            rc = -errno;
        } else {
            flash->bytes = map;
            flash->in_file = true;
            if (created) memset(flash->bytes, 0xFF, flash->port.size);
        }
    }
    close(fd);
    return rc;
}

static void mark_programmed_units(struct sim_flash *flash)
{
    uint32_t unit = flash->port.write_unit;
    for (uint32_t i = 0; i < flash->port.size; i++) {
        if (flash->bytes[i] != 0xFF) flash->programmed[i / unit] = 1;
    }
}

int sim_flash_open(struct sim_flash *flash, const struct sim_flash_config *config)
{
    memset(flash, 0, sizeof *flash);
    flash->port = (struct molt_flash){
        .ctx = flash,
        .size = config->size,
        .write_unit = config->write_unit == 0 ? 4 : config->write_unit,
        .erase_sizes = {MOLT_SECTOR, 8 * MOLT_SECTOR, 16 * MOLT_SECTOR},
        .read = flash_read,
        .write = flash_write,
        .erase = flash_erase,
        .is_blank = flash_is_blank,
    };
    if (config->erase_sizes[0] != 0) {
        memcpy(flash->port.erase_sizes, config->erase_sizes, sizeof flash->port.erase_sizes);
    }
    if (!geometry_is_sound(&flash->port)) return -EINVAL;

    int rc = 0;
    flash->programmed = calloc(flash->port.size / flash->port.write_unit, 1);
    flash->unstable = calloc(flash->port.size / flash->port.write_unit, 1);
    if (flash->programmed == NULL || flash->unstable == NULL) rc = -ENOMEM;
    if (rc < 0) {
        /* nothing to map */
    } else if (config->path != NULL) {
        rc = map_file(flash, config->path);
    } else {
        flash->bytes = malloc(flash->port.size);
        if (flash->bytes == NULL) rc = -ENOMEM;
        if (rc == 0) memset(flash->bytes, 0xFF, flash->port.size);
    }
    if (rc < 0) {
        sim_flash_close(flash);
        return rc;
    }
    mark_programmed_units(flash);
    return 0;
}

void sim_flash_close(struct sim_flash *flash)
{
    free(flash->programmed);
    free(flash->unstable);
    if (flash->in_file) {
        munmap(flash->bytes, flash->port.size);
    } else {
        free(flash->bytes);
    }
    memset(flash, 0, sizeof *flash);
}

void sim_flash_program(struct sim_flash *flash, uint32_t off, const void *data, uint32_t len)
{
    if (!inside(flash, off, len) || off % MOLT_SECTOR != 0) {
        breach(flash, "programming outside the flash or not from a sector's start", off, len);
        return;
    }
    uint32_t unit = flash->port.write_unit;
    blank(flash, off, (len + (MOLT_SECTOR - 1)) / MOLT_SECTOR * MOLT_SECTOR);
    if (len == 0) return;
    memcpy(flash->bytes + off, data, len);
    memset(flash->programmed + off / unit, 1, (len + unit - 1) / unit);
}

static void noise(struct sim_flash *flash, uint32_t off, uint32_t len, uint32_t seed)
{
    uint32_t unit = flash->port.write_unit, state = (seed ^ off) * 2654435761u + 1;
    for (uint32_t i = 0; i < len; i++) {
        state = state * 1664525u + 1013904223u;
        flash->bytes[off + i] = (uint8_t)(state >> 24);
        flash->programmed[(off + i) / unit] = 1;
    }
}

static void do_whole(struct sim_flash *flash, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    if (op == SIM_FLASH_ERASE) {
        blank(flash, off, len);
    } else {
        memcpy(flash->bytes + off, flash->writing, len);
        memset(flash->programmed + off / flash->port.write_unit, 1, len / flash->port.write_unit);
    }
}

void sim_flash_cut(struct sim_flash *flash, enum sim_flash_tear tear, enum sim_flash_op op, uint32_t off,
                   uint32_t len, uint32_t seed)
{
    uint32_t unit = flash->port.write_unit, half = len / 2 / unit * unit;
    if (op == SIM_FLASH_READ) return;
    switch (tear) {
    case SIM_TEAR_BEFORE:
        break;
    case SIM_TEAR_HALF:
        if (half > 0) do_whole(flash, op, off, half);
        break;
    case SIM_TEAR_NOISY:
        if (op == SIM_FLASH_ERASE) {
            blank(flash, off, half);
            noise(flash, off + half, len - half, seed);
        } else {
            noise(flash, off, half > 0 ? half : len, seed);
        }
        break;
    case SIM_TEAR_AFTER:
        do_whole(flash, op, off, len);
        break;
    case SIM_TEAR_UNSTABLE:
        do_whole(flash, op, off, len);
        memset(flash->unstable + (off + half) / unit, 1, (len - half) / unit);
        flash->any_unstable = true;
        break;
    }
}

void sim_flash_copy(struct sim_flash *to, const struct sim_flash *from)
{
    const uint32_t size = from->port.size, units = size / from->port.write_unit;
    assert(to->port.size == size && to->port.write_unit == from->port.write_unit);
    memcpy(to->bytes, from->bytes, size);
    memcpy(to->programmed, from->programmed, units);
    memcpy(to->unstable, from->unstable, units);
    to->any_unstable = from->any_unstable;
}

void sim_flash_power_up(struct sim_flash *flash)
{
    uint32_t unit = flash->port.write_unit;
    if (!flash->any_unstable) return;
    flash->any_unstable = false;
    for (uint32_t u = 0; u < flash->port.size / unit; u++) {
        if (!flash->unstable[u]) continue;
        flash->unstable[u] = 0;
        noise(flash, u * unit, unit, 7);
    }
}
