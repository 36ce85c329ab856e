/* troubleshooting.c - prints doc/troubleshooting.md from the doctor's table. Must never know a fact of its own.
 * The committed page is compared with it by the test doctor-page; to renew it: troubleshooting > doc/troubleshooting.md */
#include <stdio.h>

#include "cli/doctor/cause.h"
#include "molt_reason.h"
#include "sim/stock_update.h"

static const char *const titles[] = {
    [DOCTOR_NETWORK] = "Reaching the server",
    [DOCTOR_TLS] = "TLS",
    [DOCTOR_HTTP] = "The server's answer",
    [DOCTOR_VERSION] = "The version file",
    [DOCTOR_BIN] = "The file",
    [DOCTOR_BOOT] = "Boot logs and flash dumps",
    [DOCTOR_FLEET] = "Devices of a molt server",
};

/* A cell: a bar would end it, and "<" would begin a tag. */
static void cell(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|' || *text == '<') putchar('\\');
        putchar(*text);
    }
}

/* Every number of one platform with the library's text. */
static void print_codes(enum stock_platform platform, const char *title)
{
    static const char *const reaches[] = {[CODE_SERVER] = "the server's answer",
                                          [CODE_FILE] = "the device's flash",
                                          [CODE_LOG] = "the device",
                                          [CODE_NEVER] = "nothing that update() does"};
    printf("\n### %s\n\n| number | text | made by | when | cause |\n|---|---|---|---|---|\n", title);
    for (size_t i = 0; doctor_code_at(i) != NULL; i++) {
        const struct doctor_code *code = doctor_code_at(i);
        if (code->platform != platform) continue;
        printf("| %d | ", code->number);
        cell(stock_error_text(platform, code->number));
        printf(" | %s | ", reaches[code->reach]);
        cell(code->when);
        printf(" | %s |\n", molt_reason_id(code->reason));
    }
}

int main(void)
{
    puts("# Troubleshooting\n\n"
         "Everything that [`molt doctor`](doctor.md) can name: the symptom first, then what it means, how "
         "the doctor\n"
         "finds it and what to do. Numbers below 0 are what `ESPhttpUpdate.getLastError()` and\n"
         "`httpUpdate.getLastError()` say; \"error n\" is a positive one. This page is made from\n"
         "[`causes.def`](../cli/doctor/causes.def) by `tools/troubleshooting.c`.");
    int group = -1;
    for (size_t i = 0; doctor_cause_at(i) != NULL; i++) {
        const struct doctor_cause *cause = doctor_cause_at(i);
        if ((int)cause->group != group) {
            group = (int)cause->group;
            printf("\n## %s\n\n| symptom | on | cause | found by | what to do |\n|---|---|---|---|---|\n",
                   titles[group]);
        }
        fputs("| ", stdout);
        cell(cause->symptom);
        printf(" | %s | **%s**: ", cause->platform, molt_reason_id(cause->reason));
        cell(molt_reason_sentence(cause->reason));
        fputs(" | ", stdout);
        cell(cause->probe);
        fputs(" | ", stdout);
        cell(cause->remedy);
        puts(" |");
    }
    puts(
        "\n## The numbers that a sketch prints\n\n"
        "`molt doctor URL` foretells what a server's answer makes, `molt doctor FILE` what the device's "
        "flash "
        "makes, and\n"
        "`molt doctor --serial` explains all of them. What `update()` cannot come to is said with the reason "
        "from its source.\n"
        "This part is made from [`codes.def`](../cli/doctor/codes.def) and "
        "[`stock_codes.def`](../sim/stock_codes.def).");
    print_codes(STOCK_ESP8266, "ESP8266: ESPhttpUpdate");
    print_codes(STOCK_ESP32, "ESP32: HTTPUpdate, and esp32FOTA where it is named");
    return 0;
}
