/* nearest.c - the edit distance of two short words (nearest.h). Must never look at more than 32 letters of a stranger's word.
 * Tests: test/unit/args_test.c. */
#include "nearest.h"

#include <string.h>

/* Damerau-free edit distance of two short words, capped: more than `cap` is `cap` + 1. */
static int distance(const char *a, const char *b, int cap)
{
    enum { LEN_MAX = 32 };
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > LEN_MAX || b_len > LEN_MAX) return cap + 1;
    int row[LEN_MAX + 1];
    for (size_t j = 0; j <= b_len; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= a_len; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= b_len; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_len] > cap ? cap + 1 : row[b_len];
}

const char *nearest_name(const char *word, const char *const *names, int count)
{
    const char *best = NULL;
    int best_distance = strlen(word) < 4 ? 2 : 3; /* one or two slips are a typo, more is another word */
    for (int i = 0; i < count; i++) {
        int d = distance(word, names[i], best_distance);
        if (d < best_distance) best_distance = d, best = names[i];
    }
    return best;
}
