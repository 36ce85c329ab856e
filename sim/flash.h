/* flash.h - a virtual NOR flash that is stricter than a real one, in RAM or in a file that persists.
 *
 *     struct sim_flash flash;
 *     if (sim_flash_open(&flash, &(struct sim_flash_config){.size = 4u << 20}) < 0) ...;
 *     sim_flash_program(&flash, 0x1000, image, len);   // the factory's programmer
 *     molt_begin(..., &flash.port, ...);               // what libmolt sees
 *     sim_flash_close(&flash);
 *
 * Rules, checked at every call of the port: a write is aligned to the write unit and a multiple of it, each
 * write unit is programmed once per erase (also with 0xFF), an erase is one aligned erase size, nothing
 * leaves the flash. A breach prints what was broken and aborts, unless count_violations is set. */
#ifndef MOLT_SIM_FLASH_H
#define MOLT_SIM_FLASH_H

#include "molt_port.h"

/* What a power cut leaves of the operation that it comes into. */
enum sim_flash_tear {
    SIM_TEAR_BEFORE, /* nothing of it was done */
    SIM_TEAR_HALF,   /* its first half was done */
    SIM_TEAR_NOISY,  /* write: its first half is noise; erase: its first half is blank, the rest noise */
    SIM_TEAR_AFTER,  /* all of it was done */
    SIM_TEAR_UNSTABLE, /* it looks done, and its second half is noise after the power-up that follows the next one */
};
#define SIM_TEARS 5

enum sim_flash_op { SIM_FLASH_READ, SIM_FLASH_WRITE, SIM_FLASH_ERASE };

struct sim_flash_config {
    uint32_t size;                          /* bytes, a multiple of MOLT_SECTOR, at most 256 MiB */
    uint32_t write_unit;                    /* bytes; 0: 4 */
    uint32_t erase_sizes[MOLT_ERASE_SIZES]; /* all 0: 4096, 32768, 65536 */
    const char *path; /* NULL: in RAM. Else a file of exactly size bytes, created blank when missing;
                                               every change is in it at once, also when the process dies */
};

/* Operations through the port that were let through, and what they moved. is_blank counts as a read. */
struct sim_flash_count {
    uint64_t reads, writes, erases;
    uint64_t read_bytes, written_bytes, erased_bytes;
    uint64_t violations;
};

/* Called before each operation of the port. 0: carry on; negative: the operation fails with that number and
 * does nothing. May longjmp (a power cut). */
typedef int (*sim_flash_hook)(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len);

struct sim_flash {
    struct molt_flash port;       /* pass &flash.port to the library */
    uint8_t *bytes;               /* size bytes, readable at will; change them by sim_flash_program */
    struct sim_flash_count count; /* may be reset by the caller */
    sim_flash_hook hook;          /* NULL: none */
    void *hook_ctx;
    const uint8_t *writing; /* in a hook, of a write: the bytes to be written */
    bool count_violations;  /* a breach fails the operation with SIM_FLASH_VIOLATION instead of aborting */
    /* ---- private ---- */
    uint8_t *programmed; /* one byte a write unit: 1 when written since its last erase */
    uint8_t *unstable;   /* one byte a write unit: 1 when it is noise after the next power-up */
    bool any_unstable, in_file;
};

#define SIM_FLASH_VIOLATION (-1000)

/* Opens a flash; all 0xFF when new. From a file, units that are not all 0xFF count as programmed.
 * Returns 0 or a negative errno (-EINVAL: a file of another size, or a geometry against the rules above).
 * flash must not move while it is open: the port points to it. */
int sim_flash_open(struct sim_flash *flash, const struct sim_flash_config *config);

/* Ends it. Safe on a zeroed struct. */
void sim_flash_close(struct sim_flash *flash);

/* What a programmer on the bench does: erases the sectors touched, then writes; no hook, no counters.
 * off: a multiple of MOLT_SECTOR; the rest of the last sector becomes blank. */
void sim_flash_program(struct sim_flash *flash, uint32_t off, const void *data, uint32_t len);

/* What a power cut inside an operation leaves; for a hook, before it longjmps. A read leaves nothing. seed picks the
 * noise. */
void sim_flash_cut(struct sim_flash *flash, enum sim_flash_tear tear, enum sim_flash_op op, uint32_t off,
                   uint32_t len, uint32_t seed);

/* to, open with from's size and write unit, then holds what from holds, and as unstably. Its hook and counters stay. */
void sim_flash_copy(struct sim_flash *to, const struct sim_flash *from);

/* The power comes back: what a SIM_TEAR_UNSTABLE before the last power-up left turns to noise. */
void sim_flash_power_up(struct sim_flash *flash);

#endif
