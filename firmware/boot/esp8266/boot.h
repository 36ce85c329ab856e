/* boot.h - molt-boot's core: what an ESP8266 does between reset and the start of its firmware. Portable C99 without
 * a C library; the chip (chip.c), the simulator and the tests run this same code.
 *
 *     rc = molt_boot_run(&boot, cause, rtc, &app);
 *     if (rc < 0) reset the chip: the next try goes on where this one stopped
 *     else load the image at app + 0x1000 and jump
 *
 * Format of everything in flash, all states and what a reset in each of them does: doc/boot.md. */
#ifndef MOLT_BOOT_H
#define MOLT_BOOT_H

#include "second.h"
#include "slots/boot_record.h"

/* Why the chip was reset, as far as it matters. */
enum molt_boot_cause {
    MOLT_BOOT_POWER_ON,   /* power came (back): says nothing about the firmware */
    MOLT_BOOT_DEEP_SLEEP, /* a timer woke it: the firmware wanted it so, nothing is counted */
    MOLT_BOOT_RESET,      /* everything else: crash, watchdog, restart, reset pin */
};

#define MOLT_BOOT_INTERRUPTIONS_MAX 3u /* power cuts that a trial may suffer before it ends */

/* RTC memory of eboot's command: 32 words. */
#define MOLT_BOOT_RTC_WORDS 32u

/* args[3] and args[4] of a raw copy to 0 that shall replace the boot stage too ("moltREPL"). Without them sector 0
 * of an ordinary .bin is left out, or it would bring eboot and its brick window back. */
#define MOLT_BOOT_REPLACE_0 0x746C6F6Du
#define MOLT_BOOT_REPLACE_1 0x4C504552u

/* What the caller lends. */
struct molt_boot {
    const struct molt_flash *flash;     /* its is_blank is not used */
    uint8_t work[2 * MOLT_BOOT_SECTOR]; /* 4-aligned by what stands before */
    struct molt_boot_keep keep;         /* as it was left; for tests and the simulator */
    /* A second stage is code: put copies len bytes (a multiple of 4) to offset at of the memory that it runs in; start
     * calls what was put. */
    void (*second_put)(uint32_t at, const void *data, uint32_t len);
    int (*second_start)(const struct molt_second_call *call);
};

/* One boot up to the choice of the application. rtc: eboot's command, cleared when it was taken. *app: flash
 * offset of the application's image minus 0x1000, 0 but for a LOAD_APP command. Returns 0, or a negative reason
 * (-MOLT_FLASH_*): then nothing may be started, for the application may be half moved; reset and try again. */
int molt_boot_run(struct molt_boot *boot, enum molt_boot_cause cause, uint32_t rtc[MOLT_BOOT_RTC_WORDS],
                  uint32_t *app);

/* ---- parts of the core ---- */

/* The moves of a swap, numbered from 0; doc/boot.md shows them. Their number: */
uint32_t molt_boot_moves_total(const struct molt_boot_record *record);
/* Does move number index, or undoes it. May be done again after a cut as long as no other move was begun. 0,
 * MOLT_BOOT_NOT_NEEDED (nothing was done: undoing this one would only put the new image back), -MOLT_FLASH_*. */
#define MOLT_BOOT_NOT_NEEDED 1
int molt_boot_move(struct molt_boot *boot, uint32_t index, bool undo);

/* Where the sectors of an image's body lie. */
enum molt_boot_place {
    MOLT_BOOT_AT_APP,      /* where it runs */
    MOLT_BOOT_AT_STAGE,    /* staged, nothing moved */
    MOLT_BOOT_AT_EXCHANGE, /* the old image after the last move */
};
/* True when the body of an image of len bytes has this CRC there. *rc is -MOLT_FLASH_READ when it cannot be read. */
bool molt_boot_intact(struct molt_boot *boot, enum molt_boot_place place, uint32_t len, uint32_t crc,
                      int *rc);

/* True when the new image there is the one that was committed: by its CRC, then by the second stage, when there is one.
 * place: MOLT_BOOT_AT_APP or _AT_STAGE. *rc as above. A second stage that is damaged or cannot be read agrees to
 * nothing. */
bool molt_boot_new_intact(struct molt_boot *boot, enum molt_boot_place place, int *rc);

/* Asks the second stage (second.h) for `what`, of the file at off: what it says; 1 when there is none that is sound. */
int molt_boot_ask_second(struct molt_boot *boot, uint32_t what, uint32_t off);

/* Copies one sector and reads it back, at most three times. -MOLT_FLASH_*. */
int molt_boot_copy_sector(struct molt_boot *boot, uint32_t dest, uint32_t source);

/* A command of a stock sketch in RTC memory. True when there is one. */
bool molt_boot_stock_command(const uint32_t rtc[MOLT_BOOT_RTC_WORDS]);
/* Executes it. 1: it copied over the application; 0: it did not; negative: a flash error on the way. */
int molt_boot_stock_run(struct molt_boot *boot, const uint32_t rtc[MOLT_BOOT_RTC_WORDS], uint32_t *app);

#endif
