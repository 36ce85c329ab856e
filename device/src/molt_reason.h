/* molt_reason.h - the one list of reasons: numbers, ids and sentences.
 *
 * A molt function that can fail returns 0 (MOLT_OK) or a positive progress code on success, and the
 * negative of a reason on failure:
 *
 *     int rc = molt_image_feed(&image, data, len);
 *     if (rc < 0) log("%s", molt_reason_id(-rc));      // "wrong-chip"
 *
 * Numbers are stable: they travel in check-ins and lie in databases. The list is molt_reason.def. */
#ifndef MOLT_REASON_H
#define MOLT_REASON_H

#ifdef __cplusplus
extern "C" {
#endif

enum molt_reason {
    MOLT_OK = 0,
#define MOLT_REASON(symbol, number, id, who, sentence) MOLT_##symbol = (number),
#include "molt_reason.def"
#undef MOLT_REASON
    MOLT_REASON_MAX = 255 /* the largest that a check-in carries; those from 300 on are the doctor's */
};

/* Who can do something about a reason. */
enum molt_who {
    MOLT_WHO_NOBODY,   /* not a problem */
    MOLT_WHO_RETRY,    /* mends itself, by trying again */
    MOLT_WHO_MAKER,    /* who builds the firmware */
    MOLT_WHO_OPERATOR, /* who runs the server */
    MOLT_WHO_NETWORK,  /* something between device and server */
    MOLT_WHO_HARDWARE, /* the device's hardware or its factory set-up */
    MOLT_WHO_CALLER    /* a bug in the calling program */
};

/* The kebab-case id of a reason (not negated), "ok" for 0, "unknown-reason" for a number not in the
 * list. The string is static. Never fails. */
const char *molt_reason_id(int reason);

/* One sentence for people. Static. A build with MOLT_NO_SENTENCES defined (small devices) returns "". */
const char *molt_reason_sentence(int reason);

/* Who can act on the reason; MOLT_WHO_NOBODY for 0 and for unknown numbers. */
enum molt_who molt_reason_who(int reason);

/* The number of an id, or -1 when no reason has it. id: NUL-terminated. */
int molt_reason_from_id(const char *id);

#ifdef __cplusplus
}
#endif
#endif
