/* intern.h - byte strings kept once, however many refer to them: a fleet of a million devices has few firmwares, boards
 * and labels. Thread-safe. A string lives as long as somebody holds a reference. */
#ifndef MOLT_SERVER_INTERN_H
#define MOLT_SERVER_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct intern;

/* gone (may be NULL) is called with a string that nobody refers to any more, before its bytes are freed; it may use
 * other pools, but not this one. NULL: memory is short. */
struct intern *intern_new(void (*gone)(void *ctx, const void *bytes, size_t len), void *ctx);
void intern_free(struct intern *pool); /* without calling gone */

/* A reference to the string; made (may be NULL): it was not there. len up to 65535. 0: memory is short. */
uint32_t intern_put(struct intern *pool, const void *bytes, size_t len, bool *made);
/* Gives a reference back; 0 is none. */
void intern_drop(struct intern *pool, uint32_t ref);
/* Until intern_unpin() every string that was there, or comes, stays, referred to or not: for who looks at many of them in passing.
 * May be nested. What nobody refers to then goes with the last intern_unpin(). */
void intern_pin(struct intern *pool);
void intern_unpin(struct intern *pool);
/* The bytes, aligned as by malloc; valid while a reference is held, or the pool pinned. Takes no lock. */
const void *intern_get(const struct intern *pool, uint32_t ref, size_t *len);

/* Two numbers (which: 0 or 1) that the caller keeps with a string while a reference is held, 0 at first. Any thread may set
 * either at any time; who reads both may get one of an earlier and one of a later time. */
uint64_t intern_note(const struct intern *pool, uint32_t ref, unsigned which);
void intern_set_note(struct intern *pool, uint32_t ref, unsigned which, uint64_t note);

/* Above every reference so far. */
uint32_t intern_limit(struct intern *pool);

struct intern_stats {
    uint64_t count, bytes; /* strings; memory for them, with what it takes to find them */
};
void intern_stats(struct intern *pool, struct intern_stats *out);

#endif
