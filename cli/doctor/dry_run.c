/* dry_run.c - everything that the doctor can send to an address, step by step, without sending it: the same functions write
 * their requests, and the wire keeps them to itself. Must never open a connection. Tests: test/e2e/doctor/dry_run_test.py. */
#include <stdio.h>
#include <string.h>

#include "visit.h"

static void step(struct visit *visit, const char *title)
{
    visit->wire.dry_title = title;
}

static void handshakes(struct visit *visit, const char *url)
{
    static const uint32_t sizes[] = {512, 1024, 2048, 4096};
    struct stock_place at;
    if (!answer_split(url, &at) || !at.tls) return;
    step(visit, "certificates and records, then twice more for resumption: handshakes as BearSSL's");
    visit->wire.tls = WIRE_BEARSSL;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        visit->wire.mfln = sizes[i];
        (void)wire_open(&visit->wire, at.host, at.port, true);
    }
    visit->wire.mfln = 0;
    step(visit, "other versions; and plain HTTP when all of them fail");
    visit->wire.tls = WIRE_TLS13;
    (void)wire_open(&visit->wire, at.host, at.port, true);
    visit->wire.tls = WIRE_TLS_OLD;
    (void)wire_open(&visit->wire, at.host, at.port, true);
    visit_ask_plain(visit, &at);
}

static void first_questions(struct visit *visit)
{
    step(visit, "is it a molt server, which can answer without recording? Then all that follows goes below "
                "molt-doctor/");
    visit_rehearse(visit);
    step(visit, "whose image it is, when --chip is not given: the first bytes");
    visit_guess_family(visit);
}

static void requests_of_family(struct visit *visit)
{
    if (visit->version_url[0] != '\0') {
        step(visit, "the sketch, for its version file");
        visit_version(visit);
    }
    step(visit, "the .bin as the patient's client asks for it, to its last byte; up to three times more when "
                "its first byte is late");
    visit_bin(visit);
    step(visit, "HTTP/1.1, HEAD, a range, and getAvailableVersion() of an ESP8266");
    visit_methods(visit);
    visit_play(visit);
}

/* What only some answers lead to. */
static void second_questions(struct visit *visit)
{
    char head[STOCK_REQUEST_MAX];
    struct stock_place parts;
    const bool esp32 = visit->family == PATIENT_ESP32;
    if (!answer_split(visit->bin_url, &parts)) return;
    visit->wire.tls = esp32 ? WIRE_MBEDTLS : WIRE_BEARSSL;
    stock_update_request(esp32 ? &visit->patient.esp32 : &visit->patient.esp8266, &parts, NULL, false, head);
    step(visit, "when a page came in place of the file: a name that cannot exist");
    (void)visit_answers_everything(visit);
    step(visit, "when the status is an error: the same as HTTP/1.1, and with another User-Agent");
    (void)visit_status_with(visit, visit->bin_url, head, "HTTP/1.0", "HTTP/1.1");
    (void)visit_status_with(visit, visit->bin_url, head, "User-Agent: ESP", "User-Agent: Mozilla/5.0 ESP");
    step(visit, "when it redirects: what follows the Location, up to eleven times, and once more as each "
                "stock client");
    (void)visit_ask_redirected(visit, visit->bin_url);
    stock_redirected_request(&visit->patient.esp8266, &parts, head);
    (void)answer_get(&visit->wire, visit->bin_url, head, true);
    stock_redirected_request(&visit->patient.esp32, &parts, head);
    (void)answer_get(&visit->wire, visit->bin_url, head, true);
    if (visit->version_url[0] != '\0') {
        step(visit, "when a slash may be missing: the version file behind one");
        (void)visit_ask_slashed(visit);
    }
    step(visit, "when nothing was answered: a connection over which nothing is sent, and a TLS handshake");
    visit->wire.tls = WIRE_BEARSSL;
    (void)wire_open(&visit->wire, parts.host, parts.port, true);
}

void visit_dry_run(struct visit *visit, const char *url)
{
    handshakes(visit, url);
    if (visit->manifest_url[0] != '\0') {
        step(visit, "the list of builds; all that follows is for the image that it names");
        (void)visit_manifest(visit);
        return;
    }
    first_questions(visit);
    const enum patient_family family = visit->family;
    for (int one = PATIENT_ESP8266; one <= PATIENT_ESP32; one++) {
        if (family != PATIENT_ANY && (int)family != one) continue;
        visit->family = (enum patient_family)one;
        if (family == PATIENT_ANY && visit->wire.dry_log != NULL)
            fprintf(visit->wire.dry_log, "---- when it is an image for an %s ----\n\n",
                    one == PATIENT_ESP32 ? "ESP32" : "ESP8266");
        requests_of_family(visit);
        second_questions(visit);
    }
    visit->family = family;
}
