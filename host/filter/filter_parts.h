/* filter_parts.h - the compiled form and the table of fields, shared by parse.c, match.c and print.c. */
#ifndef MOLT_HOST_FILTER_PARTS_H
#define MOLT_HOST_FILTER_PARTS_H

#include "filter.h"

enum filter_kind { FILTER_TEST = 1, FILTER_NOT, FILTER_AND, FILTER_OR, FILTER_NOTHING };
enum filter_op { FILTER_EQ = 1, FILTER_NE, FILTER_LT, FILTER_LE, FILTER_GT, FILTER_GE, FILTER_LIKE };

/* How the value of a field is written and compared. */
enum filter_type {
    FILTER_WORDS,     /* text: = != ~ */
    FILTER_NUMBER,    /* a whole number, K and M mean 1024 and 1048576 bytes */
    FILTER_AGE,       /* 90s, 15m, 36h, 7d: how long ago; never: longer than any */
    FILTER_TAG,       /* any of several words: = != ~ */
    FILTER_ATTRIBUTE, /* numbers when both sides are, else text */
    FILTER_TRUTH,     /* yes or no: = != */
};

#define FILTER_FIELDS(F)                                                                                     \
    F(ID, "id", WORDS)                                                                                       \
    F(PRODUCT, "product", WORDS)                                                                             \
    F(CHANNEL, "channel", WORDS)                                                                             \
    F(GROUP, "group", WORDS)                                                                                 \
    F(TAG, "tag", TAG)                                                                                       \
    F(CHIP, "chip", WORDS)                                                                                   \
    F(CLIENT, "client", WORDS)                                                                               \
    F(VERSION, "version", WORDS)                                                                             \
    F(CODE, "code", NUMBER)                                                                                  \
    F(CORE, "core", WORDS)                                                                                   \
    F(RESULT, "result", WORDS)                                                                               \
    F(STATE, "state", WORDS)                                                                                 \
    F(REASON, "reason", WORDS)                                                                               \
    F(ADDRESS, "address", WORDS)                                                                             \
    F(FLASH, "flash", NUMBER)                                                                                \
    F(LAYOUT, "layout", WORDS)                                                                               \
    F(FS, "fs", NUMBER)                                                                                      \
    F(SLOT, "slot", NUMBER)                                                                                  \
    F(SIZE, "size", NUMBER)                                                                                  \
    F(SEEN, "seen", AGE)                                                                                     \
    F(KNOWN, "known", AGE)                                                                                   \
    F(HELD, "held", TRUTH)                                                                                   \
    F(VERIFIED, "verified", TRUTH)                                                                           \
    F(PIN, "pin", NUMBER)                                                                                    \
    F(ROLLOUT, "rollout", NUMBER)                                                                            \
    F(ATTR, "attr.", ATTRIBUTE)

#define FILTER_AS_ENUM(symbol, name, type) FILTER_F_##symbol,
enum filter_field { FILTER_FIELDS(FILTER_AS_ENUM) FILTER_FIELD_COUNT };

struct filter_field_info {
    const char *name;
    enum filter_type type;
};
extern const struct filter_field_info filter_fields[FILTER_FIELD_COUNT];

/* A whole decimal number of at most 18 digits: nothing else in the len bytes. */
bool filter_number(const char *text, size_t len, int64_t *number);

#endif
