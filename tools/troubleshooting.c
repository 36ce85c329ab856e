/* troubleshooting.c - prints doc/troubleshooting.md from the doctor's table. Must never know a fact of its own.
 * The committed page is compared with it by the test doctor-page; to renew it: troubleshooting > doc/troubleshooting.md */
#include <stdio.h>

#include "cli/doctor/cause.h"
#include "molt_reason.h"

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
    return 0;
}
