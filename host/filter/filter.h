/* filter.h - the filter language over devices: `product = door and (tag = canary or seen > 30d)`. One parser for the
 * API, the command line and rollouts. The grammar and the fields are described in doc/filters.md.
 *
 * A filter is compiled once into a fixed amount of memory and then matched without allocation. Text is hostile: its
 * length, nesting and number of tests are bounded; a glob takes at most pattern x text steps. */
#ifndef MOLT_HOST_FILTER_H
#define MOLT_HOST_FILTER_H

#include <stddef.h>

#include "../model.h"

#define FILTER_TEXT_MAX  512 /* bytes of a filter's text, with its NUL */
#define FILTER_NODES_MAX 64  /* tests, and, or, not together */
#define FILTER_DEPTH_MAX 16  /* of brackets and `not` in one another */
#define FILTER_VALUE_MAX 65  /* bytes of one value, with its NUL */

/* One step of the compiled form; children stand before their parents. Private to host/filter. */
struct filter_node {
    uint8_t kind, field, op;
    uint8_t left;         /* and, or: the left child; the right one is the node before */
    uint16_t value, name; /* offsets into pool: the value as written; the attribute's name */
    int64_t number;       /* of number fields: the value */
    bool is_number;       /* attributes: the value is one */
};

struct filter {
    uint32_t count; /* 0: matches every device */
    uint32_t pool_len;
    struct filter_node nodes[FILTER_NODES_MAX];
    char pool[FILTER_TEXT_MAX]; /* values and names, each NUL-terminated */
};

/* What a device is matched against besides its own row. */
struct filter_subject {
    const struct model_device *device;
    const char *product; /* its product's name, "" when it has none */
    int64_t now_ms;      /* Unix time: the ages of `seen` and `known` count from it */
};

/* Compiles text ("" or blanks: matches every device). 0, or -1 with a sentence and the position in error. The filter is
 * then one that matches nothing. */
int filter_parse(struct filter *filter, const char *text, char *error, size_t error_cap);

/* Is it one of those that the filter names? */
bool filter_match(const struct filter *filter, const struct filter_subject *subject);

/* ---- for who matches many devices, which have few words and much in common: each is looked at once ----
 * The answer of a test is a bit, at the place of its node. Begin with filter_test() of a device without labels, change it by each of
 * a device's words, and let filter_decide() say what comes of it: the same as filter_match(). */

/* Which tests ask what. */
struct filter_asks {
    uint64_t all, tags, attributes;
    uint64_t id, address, times; /* what is each device's own: id; address; seen, known */
};
void filter_asks(const struct filter *filter, struct filter_asks *out);

/* The answers of those tests. */
uint64_t filter_test(const struct filter *filter, const struct filter_subject *subject, uint64_t which);

/* What one word does to them. */
struct filter_word {
    uint64_t tag;          /* tests that the tag turns; of a device's tags one is enough */
    uint64_t named, holds; /* tests that ask for an attribute of its name; those of them that it passes */
};
/* word: a tag, or "name=value"; both are looked at. */
void filter_word(const struct filter *filter, const char *word, struct filter_word *out);

bool filter_decide(const struct filter *filter, uint64_t answers);

/* Writes the filter as text with no more brackets than needed; parsing that yields the same filter. Returns the text's
 * length without NUL, or -1 when cap is too small (FILTER_TEXT_MAX is enough for what filter_parse() took). */
int filter_print(const struct filter *filter, char *out, size_t cap);

/* ---- words: the tags and attributes of a device, as the filter reads them ---- */

/* A tag, a group, or an attribute's name: 1 to 32 of a-z A-Z 0-9 . _ -, the first no dash or dot. */
bool filter_word_ok(const char *word, size_t len);

#endif
