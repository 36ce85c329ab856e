/* states.h - all flash states that power cuts can lead to. A run from a state to its end is watched operation by
 * operation; what a cut there would leave, in five ways, are further states, until there are no new ones. (The boot
 * stage has its own, closure.h, on a flash so small that states can be copied.)
 *
 *     states_open(&s, &flash, sectors_of_the_log, tag);
 *     states_add_current(&s);                    // where it all begins
 *     while (states_next(&s)) { live(); states_done(&s, fetched, erases); }
 *
 * Then: what one cut costs at most (thrifty), and how many operations without a cut always get on (live). */
#ifndef MOLT_TEST_STATES_H
#define MOLT_TEST_STATES_H

#include "log/log.h"
#include "sim/flash.h"

#define STATES_SECTORS_MAX 1024
#define STATES_PAIRS       65536u

struct states_way { /* how a state was first reached */
    uint32_t from;
    uint16_t operation; /* from 1; 0: a first state */
    uint8_t tear;
};

struct states_edge {
    uint32_t from, to;
    uint16_t whole;   /* operations that were done before the cut */
    uint32_t fetched; /* bytes of the file that had come before the cut */
};

struct states_pair { /* of sectors, by number, and their hash */
    uint64_t key, hash;
};

struct states {
    struct sim_flash *flash;
    struct sim_flash work;
    uint32_t sectors;    /* of the flash */
    uint32_t log_sector; /* the first of the two of the log; 0: there is none */
    uint8_t tag[MOLT_LOG_TAG_LEN];
    /* Another job that uses the same log later: 0, or the byte of flash that is second_mark from then on. Its future does
     * not depend on the first one's records, nor the other way round. */
    uint32_t second_at;
    uint8_t second_mark, second_tag[MOLT_LOG_TAG_LEN];
    /* Two neighbours that are told apart by what they mean: entries as boot_view.h has them, and what to compare. */
    uint32_t keep_sector; /* the first of them; 0: there are none */
    size_t (*keep_view)(const uint8_t *first, const uint8_t *second, uint8_t *out);
    uint32_t max;                  /* more states are a failure */
    bool only_run;                 /* the run is not cut any more, its cost alone is wanted */
    uint32_t apart_off, apart_len; /* what is done there is not cut: it has a test of its own */
    bool watching;                 /* false: operations are done, and not cut */
    const uint64_t *fetched;       /* bytes fetched so far, by whom feeds the engine */
    /* for the test to read */
    uint32_t count, done, current;
    uint16_t operations; /* of the run so far, while watching */
    uint64_t cuts;
    struct states_way *way;
    struct states_edge *edges;
    uint32_t edge_count;
    uint32_t *cost; /* by state: bytes fetched by a run without a cut */
    /* ---- private ---- */
    uint32_t edge_cap, state_cap, run_edge, pool_count, pool_cap, table_cap, seen_cap;
    uint64_t fetched_before;
    uint8_t *pool;
    uint64_t *pool_hash;
    uint32_t *table, *seen_state, *vectors;
    uint64_t *seen;
    struct states_pair log_pairs[STATES_PAIRS], keep_pairs[STATES_PAIRS];
    uint32_t now[STATES_SECTORS_MAX]; /* what each sector is after the next power-up */
    bool dirty[STATES_SECTORS_MAX];
};

void states_open(struct states *s, struct sim_flash *flash, uint32_t log_off,
                 const uint32_t tag[MOLT_LOG_TAG_LEN / 4], const uint64_t *fetched);
void states_close(struct states *s);

/* The flash as it is now, after a power-up, is a state to begin with. */
void states_add_current(struct states *s);

/* Puts the next state into the flash, as it is after the power came back. False: all have been seen. */
bool states_next(struct states *s);

/* Something outside of the flash that is kept in this sector has changed (a blob). */
void states_touched(struct states *s, uint32_t off);

/* The run from it is over. */
void states_done(struct states *s);

/* Puts state i into the flash. */
void states_load(struct states *s, uint32_t i);

/* Prints "7c12u" and so on: the cuts that lead to state i, first to last, as states_replay takes them. */
void states_print_way(const struct states *s, uint32_t i);

/* The largest number of bytes that one cut made come again: over all edges, cost(to) + fetched - cost(from). */
int64_t states_worst_refetch(const struct states *s, uint32_t *edge);

/* The smallest n such that, when n operations are always done between two cuts, the end is always reached. */
uint16_t states_live_operations(const struct states *s);

#endif
