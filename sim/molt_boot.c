/* molt_boot.c - runs molt-boot's core as a virtual chip does after a reset.
 * Must never decide anything itself. Tests: test/unit/molt_boot_test.c, test/e2e/molt_boot_sim_test.sh. */
#include "molt_boot.h"

#include <string.h>

#include "host/molt_boot_image.h"

/* The second stage comes from flash as code for the chip, checked by its CRC; here its C runs instead, when it is that code. */
static uint32_t second[MOLT_BOOT_SECOND_MAX / 4];

static void second_put(uint32_t at, const void *data, uint32_t len)
{
    memcpy(second + at / 4, data, len);
}

static int second_start(const struct molt_second_call *call)
{
    uint32_t check_len, in_place_len;
    const uint32_t *check = molt_boot_second(&check_len),
                   *in_place = molt_boot_second_in_place(&in_place_len);
    const uint32_t len = call->record->second_len;
    if (len == check_len && memcmp(second, check, len) == 0) return molt_second_check(call);
    if (len == in_place_len && memcmp(second, in_place, len) == 0) return molt_second_in_place(call);
    return -MOLT_INTERNAL; /* it crashes */
}

bool sim_molt_boot_is_there(const struct molt_flash *flash)
{
    uint32_t keep_off;
    return molt_boot_keep_off(flash, &keep_off) == 0 && keep_off != 0;
}

void sim_molt_boot_run(const struct molt_flash *flash, struct sim_rtc *rtc, enum molt_boot_cause cause,
                       struct sim_molt_boot_result *result)
{
    struct molt_boot boot;
    uint32_t words[MOLT_BOOT_RTC_WORDS], app;
    memset(&boot, 0, sizeof boot);
    memset(result, 0, sizeof *result);
    memcpy(words, rtc->bytes, sizeof words);
    boot.flash = flash;
    boot.second_put = second_put;
    boot.second_start = second_start;
    result->rc = molt_boot_run(&boot, cause, words, &app);
    memcpy(rtc->bytes, words, sizeof words);
    result->found = boot.keep.found;
    result->state = boot.keep.found ? boot.keep.state : 0;
    if (result->rc < 0) return;
    /* The loader is eboot's; it finds no command for a copy any more. */
    struct sim_rtc loader;
    struct sim_eboot_result loaded;
    sim_rtc_power_on(&loader);
    const struct molt_eboot_command load = {.action = MOLT_EBOOT_LOAD_APP, .source = app};
    if (app != 0) molt_eboot_command_encode(loader.bytes, &load);
    sim_eboot_run(flash, &loader, &loaded);
    result->started = loaded.started;
}
