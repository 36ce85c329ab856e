/* examine_serial.c - boot logs of both chips, line by line. Must never keep more than one line.
 * Tests: test/e2e/doctor/files_test.sh. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cause.h"
#include "examine.h"
#include "molt_reason.h"

#define LINES_MAX 1000000u

struct log_line {
    const char *text;
    int reason; /* 0: worth a note only */
    bool fatal;
    const char *meaning;
};

/* Texts that stand anywhere in a line; the first that fits wins. */
static const struct log_line lines[] = {
    {"Brownout detector was triggered", MOLT_BROWNOUT, true, "the supply dipped"},
    {"Image requires efuse blk rev", MOLT_IMAGE_MERGED, true,
     "a bootloader or merged image lies in an application slot"},
    {"mismatch chip ID", MOLT_WRONG_CHIP, true, "the image in the slot was built for another chip"},
    {"Checksum failed. Calculated", MOLT_IMAGE_TRUNCATED, true, "the image in the slot is cut or shifted"},
    {"has invalid magic byte", MOLT_BOOT_FAILED, true, "the slot is empty or half-written"},
    {"No bootable app partitions", MOLT_BOOT_FAILED, true, "no slot holds a whole image"},
    {"invalid header: 0xffffffff", MOLT_BOOT_FAILED, true,
     "the flash is blank where the bootloader should be"},
    {"Failed to verify partition table", MOLT_BAD_PARTITIONS, true,
     "the partition table is damaged or missing"},
    {"Set actual ota_seq=", MOLT_OTADATA_ERASED, false, "first start after otadata was erased"},
    {"Failed to allocate memory", MOLT_TLS_MEMORY, true, "not enough memory in one piece"},
    {"-0x7F00", MOLT_TLS_MEMORY, true, "mbedTLS could not allocate its buffers"},
    {"-32512", MOLT_TLS_MEMORY, true, "mbedTLS could not allocate its buffers"},
    {"-0x7180", MOLT_TLS_MEMORY, true, "mbedTLS: a record could not be read, usually for want of memory"},
    {"0x1506", MOLT_TRIAL_PENDING, true, "esp_ota_begin refuses: the running image is not confirmed"},
    {"Soft WDT reset", MOLT_WATCHDOG, true, "the sketch did not yield for 3 s"},
    {"Task watchdog got triggered", MOLT_WATCHDOG, true, "a task did not yield"},
    {"rst cause:4", MOLT_WATCHDOG, true, "the hardware watchdog restarted the chip"},
    {"rst cause:1", 0, false, "power on"},
    {"rst cause:2", 0, false, "reset pin"},
    {"rst cause:3", 0, false, "software restart"},
};

static void show(struct visit *visit, const char *line, const char *meaning)
{
    char shown[160];
    visit_note(visit, "%s: %s", visit_bytes(shown, sizeof shown, (const uint8_t *)line, strlen(line), 100),
               meaning);
}

/* "boot mode:(1,6)": strap pins as they were at reset. */
static void read_boot_mode(struct visit *visit, const char *line)
{
    const char *at = strstr(line, "boot mode:(");
    if (at == NULL || !isdigit((unsigned char)at[11])) return;
    int mode = at[11] - '0';
    if (mode == 1) {
        visit_find(visit, MOLT_BOOT_STRAP, true, "log",
                   "boot mode:(%d,...): UART download, GPIO0 was low at reset", mode);
        visit_foretell(visit, CLIENT_ESP8266, 11, stock_error_text(STOCK_ESP8266, 11));
    } else if (mode != 3)
        visit_find(visit, MOLT_BOOT_STRAP, true, "log", "boot mode:(%d,...): not 3, the straps are wrong",
                   mode);
    else
        show(visit, line, "started from flash");
}

/* "@cp:0", "@cp:B0", "@cp:6", "e:2", "v0008ed90", "~ld": what eboot prints. */
static void read_eboot(struct visit *visit, const char *line)
{
    static const char *const results[10] = {"copied",
                                            "not aligned",
                                            "erase failed",
                                            "read failed",
                                            "write failed",
                                            "no gzip header",
                                            "the gzip data is damaged",
                                            "?",
                                            "?",
                                            "verification failed"};
    const char *at = strstr(line, "cp:");
    if (at != NULL && (at == line || at[-1] == '@')) {
        at += 3;
        if (*at == 'B') at++;
        if (isdigit((unsigned char)*at) && *at != '0')
            visit_find(visit, MOLT_COPY_FAILED, true, "log", "cp:%c: %s", *at, results[*at - '0']);
        else if (*at == '0')
            show(visit, line, "the update was copied");
    } else if (line[0] == 'e' && line[1] == ':' && isdigit((unsigned char)line[2])) {
        visit_find(visit, MOLT_COPY_FAILED, true, "log", "%.8s: the boot stage could not load the sketch",
                   line);
    } else if (strncmp(line, "~ld", 3) == 0) {
        show(visit, line, "a start without an update");
    } else if (line[0] == 'v' && strspn(line + 1, "0123456789abcdef") == 8) {
        unsigned long word = strtoul(line + 1, NULL, 16);
        if (word > 0x1000 && word <= 16u << 20)
            visit_note(visit, "%.9s: the installed sketch has %lu bytes", line, word);
        else
            show(visit, line, "the installed sketch was built by a core before 2.6");
    }
}

static void found_code(struct visit *visit, const struct doctor_code *code, const char *line)
{
    char shown[140];
    visit_find(visit, code->reason, true, "log", "%s: the sketch printed %s%d on an %s: %s",
               visit_bytes(shown, sizeof shown, (const uint8_t *)line, strlen(line), 100),
               code->number > 0 ? "error " : "", code->number,
               code->platform == STOCK_ESP8266 ? "ESP8266" : "ESP32", code->when);
}

/* A number in brackets behind "rror": "Error (-106)", "HTTP_UPDATE_FAILD Error (-1)". 0: there is none. */
static int number_in(const char *line)
{
    const char *at = strstr(line, "rror");
    if (at == NULL) return 0;
    at = strpbrk(at, "([");
    if (at == NULL || (at[1] != '-' && !isdigit((unsigned char)at[1]))) return 0;
    return (int)strtol(at + 1, NULL, 10);
}

/* What getLastErrorString() says tells number and platform; else the number alone, when it means one thing only. */
static bool read_sketch(struct visit *visit, const char *line)
{
    const int number = number_in(line);
    const struct doctor_code *by_number = NULL;
    for (size_t i = 0; doctor_code_at(i) != NULL; i++) {
        const struct doctor_code *code = doctor_code_at(i);
        const char *text = stock_error_text(code->platform, code->number);
        if (text[0] != '\0' && strstr(line, text) != NULL && (number == 0 || number == code->number)) {
            found_code(visit, code, line);
            return true;
        }
        if (code->number == number && code->number < 0 && by_number == NULL) by_number = code;
    }
    if (by_number != NULL) found_code(visit, by_number, line);
    return by_number != NULL;
}

static void read_line(struct visit *visit, const char *line, unsigned *crashes)
{
    if (strncmp(line, "Exception (", 11) == 0 || strstr(line, "Guru Meditation Error") != NULL) {
        if (++*crashes == 3)
            visit_find(visit, MOLT_CRASH_LOOP, true, "log", "three crashes, the last: %.80s", line);
        show(visit, line, "a crash");
    }
    read_boot_mode(visit, line);
    read_eboot(visit, line);
    if (read_sketch(visit, line)) return;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (strstr(line, lines[i].text) == NULL) continue;
        if (lines[i].reason != 0)
            visit_find(visit, lines[i].reason, lines[i].fatal, "log", "%.120s: %s", line, lines[i].meaning);
        else
            show(visit, line, lines[i].meaning);
        break;
    }
}

void examine_serial(struct visit *visit, FILE *log)
{
    char line[512];
    unsigned crashes = 0;
    visit_begin(visit);
    wire_begin(&visit->wire, 1, 16384);
    for (unsigned i = 0; i < LINES_MAX && fgets(line, sizeof line, log) != NULL; i++) {
        for (size_t len = strlen(line); len > 0 && isspace((unsigned char)line[len - 1]); len--)
            line[len - 1] = '\0';
        const char *text = line;
        while (isspace((unsigned char)*text))
            text++;
        if (*text != '\0') read_line(visit, text, &crashes);
    }
    if (visit->finding_count == 0 && crashes > 0)
        visit_find(visit, MOLT_CRASHED, true, "log", "%u crashes", crashes);
}
