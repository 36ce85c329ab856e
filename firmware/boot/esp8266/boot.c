/* boot.c - molt-boot's decisions: install, trial, going back. One function a phase; doc/boot.md has the table.
 * Must never start an application that is not whole. Tests: test/powercut/boot_test.c, test/unit/molt_boot_test.c. */
#include "boot.h"

#define KEEP_GOING 1 /* the phase changed: look again */

static uint32_t with_moves(uint32_t state, enum molt_boot_phase phase, uint32_t moves)
{
    return (state & 0xFFF00000u) | (uint32_t)phase << 16 | moves;
}

static uint32_t with_verdict(uint32_t state, enum molt_boot_phase phase, enum molt_boot_verdict verdict)
{
    return (state & 0xFF00FFFFu) | (uint32_t)phase << 16 | (uint32_t)verdict << 20;
}

/* Both images must be what libmolt saw when it committed, or nothing is touched. */
static int begin_install(struct molt_boot *boot)
{
    struct molt_boot_keep *keep = &boot->keep;
    const struct molt_boot_record *r = &keep->record;
    int rc;
    bool ok = molt_boot_new_intact(boot, MOLT_BOOT_AT_STAGE, &rc);
    if (ok) ok = molt_boot_intact(boot, MOLT_BOOT_AT_APP, r->old_len, r->old_crc, &rc);
    if (rc < 0) return rc;
    if (!ok) return molt_boot_keep_finish(keep, with_moves(keep->state, MOLT_PHASE_REFUSED, 0));
    rc = molt_boot_keep_append(keep, with_moves(keep->state, MOLT_PHASE_SWAP, 0));
    return rc < 0 ? rc : KEEP_GOING;
}

static int swap(struct molt_boot *boot)
{
    struct molt_boot_keep *keep = &boot->keep;
    const uint32_t total = molt_boot_moves_total(&keep->record);
    int rc;
    for (uint32_t moves = molt_boot_moves(keep->state); moves < total; moves++) {
        rc = molt_boot_move(boot, moves, false);
        if (rc == -MOLT_FLASH_VERIFY) goto back; /* a bad sector: everything before it can be undone */
        if (rc == 0) rc = molt_boot_keep_append(keep, with_moves(keep->state, MOLT_PHASE_SWAP, moves + 1));
        if (rc < 0) return rc;
    }
    if (molt_boot_new_intact(boot, MOLT_BOOT_AT_APP, &rc))
        return molt_boot_keep_append(keep, with_moves(keep->state, MOLT_PHASE_TRIAL, total) + (1u << 24));
    if (rc < 0) return rc;
back:
    rc = molt_boot_keep_append(keep, with_verdict(keep->state, MOLT_PHASE_REVERT, MOLT_BOOT_BY_DAMAGE));
    return rc < 0 ? rc : KEEP_GOING;
}

/* A boot without a confirm since the last one: counted, or the end of the trial. */
static int trial(struct molt_boot *boot, enum molt_boot_cause cause)
{
    struct molt_boot_keep *keep = &boot->keep;
    const bool power = cause == MOLT_BOOT_POWER_ON;
    enum molt_boot_verdict verdict = MOLT_BOOT_BY_NONE;
    if (power && molt_boot_interruptions(keep->state) >= MOLT_BOOT_INTERRUPTIONS_MAX)
        verdict = MOLT_BOOT_BY_POWER;
    if (!power && molt_boot_tries(keep->state) >= keep->record.tries) verdict = MOLT_BOOT_BY_FAILURE;
    if (power && verdict == MOLT_BOOT_BY_NONE) {
        int rc;
        if (!molt_boot_new_intact(boot, MOLT_BOOT_AT_APP, &rc)) verdict = MOLT_BOOT_BY_DAMAGE;
        if (rc < 0) return rc;
    }
    if (verdict == MOLT_BOOT_BY_NONE)
        return molt_boot_keep_append(keep, keep->state + (power ? 1u << 28 : 1u << 24));
    int rc = molt_boot_keep_append(keep, with_verdict(keep->state, MOLT_PHASE_REVERT, verdict));
    return rc < 0 ? rc : KEEP_GOING;
}

static int revert(struct molt_boot *boot)
{
    struct molt_boot_keep *keep = &boot->keep;
    const struct molt_boot_record *r = &keep->record;
    const uint32_t total = molt_boot_moves_total(r);
    uint32_t moves = molt_boot_moves(keep->state);
    int rc;
    if (moves > total) moves = total;
    if (moves == total && !molt_boot_intact(boot, MOLT_BOOT_AT_EXCHANGE, r->old_len, r->old_crc, &rc)) {
        if (rc < 0) return rc;
        return molt_boot_keep_finish(keep, with_moves(keep->state, MOLT_PHASE_STUCK, moves));
    }
    while (moves > 0) {
        moves--;
        rc = molt_boot_move(boot, moves, true);
        if (rc == MOLT_BOOT_NOT_NEEDED) continue;
        if (rc == 0) rc = molt_boot_keep_append(keep, with_moves(keep->state, MOLT_PHASE_REVERT, moves));
        if (rc < 0) return rc;
    }
    if (!molt_boot_intact(boot, MOLT_BOOT_AT_APP, r->old_len, r->old_crc, &rc))
        return rc < 0 ? rc : -MOLT_FLASH_VERIFY;
    return molt_boot_keep_finish(keep, with_moves(keep->state, MOLT_PHASE_ROLLED_BACK, 0));
}

/* The second stage writes the new image over the old one. There is no way back: what cannot go on is tried again. */
static int in_place(struct molt_boot *boot)
{
    struct molt_boot_keep *keep = &boot->keep;
    int rc = molt_boot_ask_second(boot, MOLT_SECOND_IN_PLACE, 0);
    if (rc < 0) return rc;
    if (rc > 0 && molt_boot_moves(keep->state) > 0) return -MOLT_FLASH_VERIFY;
    return molt_boot_keep_finish(
        keep, with_moves(keep->state, rc == 0 ? MOLT_PHASE_WRITTEN : MOLT_PHASE_REFUSED, 0));
}

/* What was written last before a power cut may read otherwise next time. So before anything is built on what was
 * read it is written again; twice, because the first slot may have been begun before and only look blank. A newer
 * record that was begun in the other sector cannot come to life later: one is begun only when this log is full, and
 * then the first of these writes erases it. */
static int make_sure(struct molt_boot_keep *keep)
{
    int rc = molt_boot_keep_append(keep, keep->state);
    return rc < 0 ? rc : molt_boot_keep_append(keep, keep->state);
}

static int run_record(struct molt_boot *boot, enum molt_boot_cause cause)
{
    struct molt_boot_keep *keep = &boot->keep;
    int rc;
    if (molt_boot_phase(keep->state) >= MOLT_PHASE_CONFIRMED) return molt_boot_keep_finish(keep, keep->state);
    if (molt_boot_phase(keep->state) == MOLT_PHASE_TRIAL && cause == MOLT_BOOT_DEEP_SLEEP) return 0;
    rc = make_sure(keep);
    if (rc == 0) rc = KEEP_GOING;
    for (bool first = true; rc == KEEP_GOING; first = false) {
        switch (molt_boot_phase(keep->state)) {
        case MOLT_PHASE_INSTALL:
            rc = begin_install(boot);
            break;
        case MOLT_PHASE_SWAP:
            rc = swap(boot);
            break;
        case MOLT_PHASE_TRIAL:
            rc = first ? trial(boot, cause) : 0;
            break;
        case MOLT_PHASE_REVERT:
            rc = revert(boot);
            break;
        case MOLT_PHASE_IN_PLACE:
            rc = in_place(boot);
            break;
        default: /* a phase that this molt-boot does not know */
            rc = 0;
        }
    }
    return rc;
}

static bool is_moving(const struct molt_boot_keep *keep)
{
    uint32_t phase = molt_boot_phase(keep->state);
    return keep->found && phase < MOLT_PHASE_CONFIRMED && phase != MOLT_PHASE_TRIAL;
}

int molt_boot_run(struct molt_boot *boot, enum molt_boot_cause cause, uint32_t rtc[MOLT_BOOT_RTC_WORDS],
                  uint32_t *app)
{
    uint32_t keep_off;
    boot->keep.found = false;
    *app = 0;
    int rc = molt_boot_keep_off(boot->flash, &keep_off);
    if (rc == 0 && keep_off != 0) rc = molt_boot_keep_open(&boot->keep, boot->flash, keep_off);
    if (rc < 0) return rc;
    if (molt_boot_stock_command(rtc)) {
        if (!is_moving(&boot->keep)) { /* else the source is no longer what it was: the install goes first */
            rc = molt_boot_stock_run(boot, rtc, app);
            if (rc == 1 && boot->keep.found && molt_boot_phase(boot->keep.state) == MOLT_PHASE_TRIAL)
                rc =
                    molt_boot_keep_finish(&boot->keep, with_moves(boot->keep.state, MOLT_PHASE_CONFIRMED, 0));
            rtc[0] = rtc[1] = 0;
            return rc < 0 ? rc : 0;
        }
        rtc[0] = rtc[1] = 0;
    }
    return boot->keep.found ? run_record(boot, cause) : 0;
}
