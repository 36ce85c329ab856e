/* examine.h - the doctor's examinations: an address, a file, a boot log. Each fills a visit; report.h prints it. */
#ifndef MOLT_CLI_DOCTOR_EXAMINE_H
#define MOLT_CLI_DOCTOR_EXAMINE_H

#include <stdio.h>

#include "visit.h"

struct examine_options {
    struct patient_facts patient;
    int timeout_ms; /* for each wait */
    bool dry_run;   /* ask nothing: visit->plays[].request say what would be sent */
};

/* What the address is: a .version, a .bin, a manifest (.json), or a base address with the MAC of the patient.
 * 0, or -1 with err set when the options do not go together (usage). */
int examine_url(struct visit *visit, const struct examine_options *options, const char *url, char err[200]);

/* A file's bytes: image, gzip, flash dump, partition table, otadata, manifest. As examine_url(). */
int examine_file(struct visit *visit, const struct examine_options *options, const uint8_t *data, size_t len,
                 char err[200]);

/* A boot log, read to its end (at most 16 MiB). */
void examine_serial(struct visit *visit, FILE *log);

#endif
