/* bare_port_test.c - the port of bare_port.c updates itself: run by sketches_test.sh against a real `molt serve`.
 * usage: sdk-bare_port IMAGE URL: prints "boot CODE" and each reason; 0 once version 2 says that it is up to date. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bare_port.h"
#include "host/facts.h"
#include "sim/eboot.h"

#define FS_START 0x200000u

static struct sim_rtc rtc;
static int last;

static void report(void *ctx, int reason)
{
    (void)ctx;
    last = reason;
    printf("%s\n", molt_reason_id(reason));
}

/* From reset to restart, or to the end. */
static void live(const char *url, uint32_t code)
{
    static struct molt_agent agent;
    static struct molt_esp8266_eboot slots;
    static struct molt_keep keep;
    const struct molt_rtc rtc_port = sim_rtc_port(&rtc);
    molt_esp8266_eboot_begin(&slots, &bare_flash, &bare_sha256, &rtc_port, FS_START, false);
    slots.reserved = MOLT_KEEP_LEN;
    molt_keep_begin(&keep, &bare_flash, FS_START - MOLT_KEEP_LEN);
    const struct molt_agent_config config = {
        .slots = &slots.slots,
        .hash = &bare_sha256,
        .url = url,
        .mac = {0x5C, 0xCF, 0x7F, 0xBA, 0x4E, 0x01},
        .expect = {.chip = MOLT_CHIP_ESP8266,
                   .chip_revision = MOLT_REVISION_UNKNOWN,
                   .flash_size = sizeof bare_memory},
        .product = "lamp",
        .version_code = code,
        .fs_start = FS_START,
        .keep = &keep,
        .report = report,
    };
    if (molt_agent_begin(&agent, &config) != 0) exit(2);
    while (bare_turn(&agent)) {
        if (last == MOLT_UP_TO_DATE) exit(code == 2 ? 0 : 1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    memset(bare_memory, 0xFF, sizeof bare_memory);
    FILE *file = fopen(argv[1], "rb");
    if (file == NULL || fread(bare_memory, 1, FS_START, file) == 0) return 2;
    fclose(file);
    for (;;) {
        struct sim_eboot_result boot;
        char code[16] = "";
        sim_eboot_run(&bare_flash, &rtc, &boot);
        if (!boot.started || !facts_tag(bare_memory, FS_START / 2, "code", code, sizeof code)) return 1;
        printf("boot %s\n", code);
        live(argv[2], (uint32_t)strtoul(code, NULL, 10));
    }
}
