/* nearest.h - what a mistyped word probably meant: for "did you mean ...?". */
#ifndef MOLT_HOST_NEAREST_H
#define MOLT_HOST_NEAREST_H

/* Of `count` names: the one that differs from the word by the fewest letters, at most two; NULL: none is that near. */
const char *nearest_name(const char *word, const char *const *names, int count);

#endif
