/* report.h - a visit in words, or as the JSON object that scripts rely on. */
#ifndef MOLT_CLI_DOCTOR_REPORT_H
#define MOLT_CLI_DOCTOR_REPORT_H

#include "visit.h"

/* Verdict line, at most three findings, the clients; verbose: all findings and the notes. what: address or file. */
void report_words(const struct visit *visit, const char *what, bool verbose);

/* {"verdict", "clients": {name: {"works", "code", "text", "tls", "tls_text", "variants": [{"when", "works", "code",
 * "text"}]}}, "findings": [{"cause", "where", "evidence", "remedy"}], "anchors": [{"from",
 * "name", "pem"}]} */
void report_json(const struct visit *visit);

/* What --dry-run says: the requests that would be sent, byte by byte. */
void report_requests(const struct visit *visit);

#endif
