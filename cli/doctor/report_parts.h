/* report_parts.h - what report.c leaves to other files. Private to cli/doctor. */
#ifndef MOLT_CLI_DOCTOR_REPORT_PARTS_H
#define MOLT_CLI_DOCTOR_REPORT_PARTS_H

#include <jansson.h>

#include "visit.h"

/* Prints the anchors as lines of a sketch; nothing when there are none. */
void report_anchors(const struct visit *visit);

/* [{"from", "name", "pem"}], the best first; the caller's. */
json_t *report_anchors_json(const struct visit *visit);

#endif
