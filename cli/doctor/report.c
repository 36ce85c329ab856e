/* report.c - what the doctor says. Must never print a byte of the network's to a terminal as it came.
 * Tests: test/e2e/doctor/lab_test.py. */
#include "report.h"

#include <stdio.h>
#include <string.h>

#include "../output.h"
#include "../text.h"
#include "cause.h"
#include "molt_reason.h"
#include "report_parts.h"

#define FINDINGS_SHOWN 3

static bool any_played(const struct visit *visit)
{
    for (int i = 0; i < CLIENT_COUNT; i++) {
        if (visit->plays[i].played) return true;
    }
    return false;
}

static const char *remedy_of(int reason)
{
    const struct doctor_cause *cause = doctor_cause_of(reason);
    return cause != NULL ? cause->remedy : "";
}

/* said: the verdict line has the sentence already. */
static void print_finding(const struct finding *finding, unsigned number, bool said)
{
    char text[400];
    printf("\n%u. %s%s%s\n", number, molt_reason_id(finding->reason), said ? "" : ": ",
           said ? "" : molt_reason_sentence(finding->reason));
    output_field("   seen", text_printable(text, sizeof text, finding->evidence));
    output_field("   in", finding->where);
    output_field("   what to do", remedy_of(finding->reason));
}

/* "HTTP error: connection failed; TLS 56: Expected server name ..." */
static void print_text(char out[400], const struct client_play *play)
{
    if (play->tls != 0)
        snprintf(out, 400, "%s%sTLS %d: %s", play->text, play->text[0] != '\0' ? "; " : "", play->tls,
                 play->tls_text);
    else
        snprintf(out, 400, "%s", play->text);
}

static void print_variants(struct output_table *table, const struct client_play *play, bool verbose)
{
    for (unsigned i = 0; i < play->variant_count; i++) {
        const struct client_variant *variant = &play->variants[i];
        char code[16], text[300];
        if (variant->minor && !verbose) continue;
        snprintf(code, sizeof code, "%d", variant->code);
        snprintf(text, sizeof text, "%s%s(when: %s)", variant->text, variant->text[0] != '\0' ? " " : "",
                 variant->when);
        output_table_row(table, OUTPUT_PLAIN,
                         (const char *const[]){"", variant->works ? "yes" : "no", code, text});
    }
}

static void print_clients(const struct visit *visit, bool verbose)
{
    static const char *const titles[] = {"CLIENT", "WORKS", "CODE", "PRINTS"};
    struct output_table *table = output_table_new(titles, 4);
    if (table == NULL) return;
    for (int i = 0; i < CLIENT_COUNT; i++) {
        const struct client_play *play = &visit->plays[i];
        char code[16], text[400];
        if (!play->played || !play->relevant) continue;
        snprintf(code, sizeof code, "%d", play->code);
        print_text(text, play);
        output_table_row(
            table, play->works ? OUTPUT_PLAIN : OUTPUT_BAD,
            (const char *const[]){client_name((enum client_id)i), play->works ? "yes" : "no", code, text});
        if (verbose || !play->works) print_variants(table, play, verbose);
    }
    putchar('\n');
    output_table_print(table, stdout);
}

/* Line by line: the newlines are ours, the rest may not be. */
static void print_text_lines(const char *text)
{
    char line[8400], piece[2100];
    while (*text != '\0') {
        const size_t len = strcspn(text, "\n");
        snprintf(piece, sizeof piece, "%.*s", (int)(len < 2000 ? len : 2000), text);
        puts(text_printable(line, sizeof line, piece));
        text += len + (text[len] == '\n');
    }
}

static void print_notes(const struct visit *visit)
{
    if (visit->note_count > 0) putchar('\n');
    for (unsigned i = 0; i < visit->note_count; i++)
        print_text_lines(visit->notes[i]);
}

/* The device would not trust the server: what it may trust is part of the answer. */
static bool trust_failed(const struct visit *visit)
{
    for (unsigned i = 0; i < visit->finding_count; i++) {
        const int reason = visit->findings[i].reason;
        if (reason == MOLT_CERT_CHAIN || reason == MOLT_CERT_IP || reason == MOLT_CERT_NAME) return true;
    }
    return false;
}

void report_words(const struct visit *visit, const char *what, bool verbose)
{
    char shown[300];
    const unsigned count = visit->finding_count;
    const unsigned limit = verbose || count < FINDINGS_SHOWN ? count : FINDINGS_SHOWN;
    text_printable(shown, sizeof shown, what);
    if (!visit_works(visit) && count > 0)
        printf("%s: does not work: %s\n", shown, molt_reason_sentence(visit->findings[0].reason));
    else
        printf("%s: %s\n", shown,
               visit_works(visit) ? count > 0 ? "works, but see below" : "works" : "does not work");
    if (answer_status(&visit->bin) == 304) puts("The server answers 304: nothing new for this device.");
    for (unsigned i = 0; i < limit; i++)
        print_finding(&visit->findings[i], i + 1, i == 0 && !visit_works(visit));
    if (count > limit) printf("\n%u more with --verbose\n", count - limit);
    if (any_played(visit)) print_clients(visit, verbose);
    if (verbose || trust_failed(visit)) report_anchors(visit);
    if (verbose) print_notes(visit);
}

static json_t *variants_json(const struct client_play *play)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < play->variant_count; i++) {
        const struct client_variant *variant = &play->variants[i];
        char text[200];
        json_array_append_new(list, json_pack("{s:s, s:b, s:i, s:s}", "when", variant->when, "works",
                                              variant->works, "code", variant->code, "text",
                                              text_printable(text, sizeof text, variant->text)));
    }
    return list;
}

void report_json(const struct visit *visit)
{
    json_t *clients = json_object(), *findings = json_array();
    for (int i = 0; i < CLIENT_COUNT; i++) {
        const struct client_play *play = &visit->plays[i];
        if (!play->played) continue;
        char text[200];
        json_object_set_new(
            clients, client_name((enum client_id)i),
            json_pack("{s:b, s:i, s:s, s:i, s:s, s:o}", "works", play->works, "code", play->code, "text",
                      text_printable(text, sizeof text, play->text), "tls", play->tls, "tls_text",
                      play->tls_text != NULL ? play->tls_text : "", "variants", variants_json(play)));
    }
    for (unsigned i = 0; i < visit->finding_count; i++) {
        const struct finding *finding = &visit->findings[i];
        char evidence[400];
        json_array_append_new(findings,
                              json_pack("{s:s, s:s, s:s, s:s}", "cause", molt_reason_id(finding->reason),
                                        "where", finding->where, "evidence",
                                        text_printable(evidence, sizeof evidence, finding->evidence),
                                        "remedy", remedy_of(finding->reason)));
    }
    json_t *json = json_pack("{s:s, s:o, s:o, s:o}", "verdict", visit_works(visit) ? "works" : "fails",
                             "clients", clients, "findings", findings, "anchors", report_anchors_json(visit));
    output_json(json);
    json_decref(json);
}

void report_requests(const struct visit *visit)
{
    print_text_lines(visit->dry_text != NULL ? visit->dry_text : "");
    puts("Nothing was sent. Each wait has an end, and a connection brings at most 17 MiB.");
}
