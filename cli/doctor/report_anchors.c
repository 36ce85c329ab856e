/* report_anchors.c - what a sketch may trust, as text that can be pasted into it. Must never print what OpenSSL did not write.
 * Tests: test/e2e/doctor/lab_test.py. */
#include <stdio.h>

#include "report_parts.h"

static void print_lines(const char *pem)
{
    fputs(pem, stdout); /* base64 and dashes */
}

static void print_certificate(const struct anchor *anchor, unsigned number)
{
    printf("// %u. %s (%s), %d days left\n", number, anchor->name, anchor->from, anchor->days);
    printf("static const char anchor%u[] PROGMEM = R\"PEM(\n", number);
    print_lines(anchor->pem);
    puts(")PEM\";");
}

static void print_key(const struct anchor *anchor)
{
    puts("// the server's own key: it goes on working when a renewal keeps the key");
    puts("static const char key[] PROGMEM = R\"PEM(");
    print_lines(anchor->pem);
    puts(")PEM\";");
    puts("BearSSL::PublicKey known(key); client.setKnownKey(&known);                   // ESP8266");
}

void report_anchors(const struct visit *visit)
{
    unsigned certificates = 0;
    if (visit->anchor_count == 0) return;
    puts("\nWhat a sketch may trust, to be pasted; one of them is enough:\n");
    for (unsigned i = 0; i < visit->anchor_count; i++) {
        if (!visit->anchors[i].is_key) print_certificate(&visit->anchors[i], ++certificates);
    }
    if (certificates > 0) {
        puts("BearSSL::X509List anchors(anchor1); client.setTrustAnchors(&anchors);        // ESP8266, with "
             "the clock set");
        puts("client.setCACert(anchor1);                                                   // ESP32");
        puts("esp_http_client_config_t config = {.url = URL, .cert_pem = anchor1};         // ESP-IDF");
    } else {
        puts(visit->anchors_by_name
                 ? "// The root is neither sent nor on this machine: take it from your certificate authority."
                 : "// Certificates do not help here, as the name in the address does not fit. A key or a "
                   "fingerprint does:");
    }
    for (unsigned i = 0; i < visit->anchor_count; i++) {
        if (visit->anchors[i].is_key) print_key(&visit->anchors[i]);
    }
    if (visit->fingerprint[0] != '\0')
        printf("client.setFingerprint(\"%s\"); // ESP8266, until the certificate is renewed\n",
               visit->fingerprint);
}

json_t *report_anchors_json(const struct visit *visit)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < visit->anchor_count; i++) {
        const struct anchor *anchor = &visit->anchors[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "from", anchor->from, "name", anchor->name,
                                              "pem", anchor->pem));
    }
    return list;
}
