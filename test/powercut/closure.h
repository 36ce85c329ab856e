/* closure.h - a tiny flash whose power goes at every operation, any number of times, and the set of all states that
 * this can lead to. Each operation that is cut leaves one of five things: nothing done, half of it, noise, all of
 * it, or something unstable, which reads otherwise at each further power-up until it is erased.
 *
 *     struct closure c = {.size = ..., .run = one_power_up, ...};
 *     closure_start(&c, flash, 0);  closure_explore(&c);  // asserts nothing itself: run does
 *
 * A state is visited once. Failures print the way to it as one line; closure_replay walks such a line. */
#ifndef MOLT_TEST_CLOSURE_H
#define MOLT_TEST_CLOSURE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "molt_port.h"

#define CLOSURE_SIZE_MAX  5120u
#define CLOSURE_UNSTABLE  2 /* most regions that may be unstable at once */
#define CLOSURE_UNIT      4u
#define CLOSURE_WRITE_MAX 256u
#define CLOSURE_NEXT_MAX  8

enum closure_tear { TEAR_BEFORE, TEAR_HALF, TEAR_NOISE, TEAR_AFTER, TEAR_UNSTABLE, TEAR_COUNT };

struct closure_unstable {
    uint16_t off, len;
    uint8_t variant[3][CLOSURE_WRITE_MAX]; /* before, after, noise */
};

struct closure_state {
    uint8_t bytes[CLOSURE_SIZE_MAX];
    uint8_t programmed[CLOSURE_SIZE_MAX / CLOSURE_UNIT];
    struct closure_unstable unstable[CLOSURE_UNSTABLE];
    uint8_t unstable_count;
    uint8_t actor; /* who runs next: the test's own numbers */
};

struct closure;

/* Runs state->actor on c->flash until it is done. *next: actors that may run after it (each is explored). */
typedef void (*closure_run)(struct closure *c, uint8_t actor, uint8_t next[CLOSURE_NEXT_MAX], size_t *count);
/* Writes the part of c->now (may be read through c->flash) that tells states apart into out; equal must mean the
 * same future. */
typedef size_t (*closure_canonical)(struct closure *c, uint8_t *out);

struct closure {
    /* set by the test */
    const char *name;
    uint32_t size, sector;
    closure_run run;
    closure_canonical canonical; /* at most CLOSURE_SIZE_MAX bytes */
    uint8_t power_actor;         /* who runs after a power cut */
    uint32_t powers_up;          /* bit mask of actors before whose run unstable regions are read anew */
    uint32_t states_max;         /* more is a failure */
    uint8_t unstable_max;        /* 1 or 2: when more would be unstable, the oldest settles as it reads */
    void (*after_operation)(struct closure *c); /* NULL: none; for measuring */
    /* for the test to read */
    struct molt_flash flash;
    struct closure_state *now; /* the flash as it is */
    uint32_t operations;       /* of the run so far */
    uint32_t states;
    uint64_t cuts;
    /* ---- private ---- */
    struct closure_node *nodes; /* how each state was reached */
    struct closure_state **queue;
    uint32_t queue_head, queue_len, queue_cap;
    uint64_t *seen;
    uint32_t seen_cap;
    uint32_t current_node;
    uint8_t current_variant;
    struct closure_state live;
    bool recording;
    uint32_t cut_at; /* replay: operation to cut at, 0 none */
    enum closure_tear cut_tear;
    jmp_buf cut_out;
};

/* Makes c->flash, for what must be done to the first state. */
void closure_open(struct closure *c);
/* Adds a first state. actor runs first. */
void closure_start(struct closure *c, struct closure_state *state);
/* Visits everything. */
void closure_explore(struct closure *c);
/* Fails with the way to the present state. */
void closure_fail(struct closure *c, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
/* Goes to a state without exploring from it. */
void closure_rewind(struct closure *c, const struct closure_state *first);
/* Runs c->now->actor, reading the given variant, and cuts the power at that operation (0: never). True when it was
 * cut before it was done: c->now is what that left, and the power actor is next. */
bool closure_cut(struct closure *c, unsigned variant, uint32_t operation, enum closure_tear tear);
/* Walks a line that closure_fail printed, from the given first state. Fails as it did, or returns. */
void closure_replay(struct closure *c, const struct closure_state *first, const char *line);
void closure_end(struct closure *c);

#endif
