/* tally.h - private to server/api: how often each of many texts was seen, in bounded memory. */
#ifndef MOLT_SERVER_API_TALLY_H
#define MOLT_SERVER_API_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#define TALLY_MAX  256 /* different texts; what else comes is counted together */
#define TALLY_TEXT 136 /* bytes of a text with its NUL, longer ones are cut */

struct tally_entry {
    char text[TALLY_TEXT];
    uint64_t count; /* 0: free */
};

struct tally {
    struct tally_entry entries[2 * TALLY_MAX];
    uint32_t used;
    uint64_t total, other; /* all that was added; and of it, what found no place */
};

void tally_add(struct tally *tally, const char *text, uint64_t times);
/* Sorts the entries by falling count, then by text, to the front. Nothing may be added afterwards. */
void tally_sort(struct tally *tally);

#endif
