/* rollout_table.h - the counts of all rollouts, kept while devices change: a device's row leaves one rollout's counts and
 * enters another's. For many threads, without a lock; what is read may be between two moves of other devices. */
#ifndef MOLT_SERVER_ROLLOUT_TABLE_H
#define MOLT_SERVER_ROLLOUT_TABLE_H

#include "rollout.h"

struct rollout_table;

struct rollout_table *rollout_table_new(void); /* NULL: memory is short */
void rollout_table_free(struct rollout_table *table);

/* What of a device's row is counted. */
struct rollout_mark {
    int64_t rollout_id, ms;
    uint32_t node; /* whose slot an open offer takes */
    bool open, counts;
    enum model_outcome outcome;
};
struct rollout_mark rollout_mark_of(const struct model_device *device);
/* NULL: the device was not there before, or is gone after. */
void rollout_table_move(struct rollout_table *table, const struct rollout_mark *before,
                        const struct rollout_mark *after);

/* ---- one of several servers ---- */
/* Which one; before any device is counted. From then on nothing is open but in slots, of which there are none at first. */
void rollout_table_serve(struct rollout_table *table, uint32_t node);
void rollout_table_set_slots(struct rollout_table *table, int64_t rollout_id, uint32_t slots);
/* True once slots were set: who opens offers must do so one after the other. */
bool rollout_table_has_slots(const struct rollout_table *table);

/* All zero for a rollout that offered nothing yet. */
void rollout_table_read(const struct rollout_table *table, int64_t rollout_id, struct rollout_counts *out);

#endif
