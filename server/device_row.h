/* device_row.h - a device as the table keeps it: two cache lines of its own; what many devices have in common (board, firmware,
 * product, how the last attempt ended) and the words of its labels are kept once for all of them.
 * Everything of struct model_device survives the way there and back; new fields need nothing here, unless each device has
 * another value, which then belongs into struct device_row. */
#ifndef MOLT_SERVER_DEVICE_ROW_H
#define MOLT_SERVER_DEVICE_ROW_H

#include "host/model.h"
#include "intern.h"

#define DEVICE_ROW_TEXT 16u /* bytes of an id kept in the row, with its NUL */
#define DEVICE_ROW_LABELS                                                                                    \
    8u /* tags and attributes kept in the row; two less where attempt_ms is there, too */
#define DEVICE_ROW_LIST 255u /* label_count: they are more, and labels[0] refers to a list of them */

enum device_address { ADDRESS_NONE, ADDRESS_V4, ADDRESS_V6, ADDRESS_TEXT };

struct device_row {
    uint32_t next;                   /* slab.h */
    uint32_t dirty_next, dirty_prev; /* devices_parts.h */
    uint32_t state;                  /* reference into the pool; 0: no device is in the row */
    char id[DEVICE_ROW_TEXT];
    int64_t last_seen_ms, announced_ms, last_reason_ms;
    uint8_t dirty;     /* enum dirty */
    bool has_row : 1;  /* the store has a row of it */
    bool may_have : 1; /* ... or is just getting one */
    bool long_id : 1;  /* id holds a reference to a text */
    bool unassigned : 1;
    bool queued : 1;                /* for the log of results */
    bool timed : 1;                 /* the last two labels are the attempt's time */
    uint8_t address_kind;           /* enum device_address */
    uint8_t label_count, tag_count; /* the tags come first */
    uint8_t address[16];
    int64_t first_seen_ms, rollout_ms;
    uint32_t labels[DEVICE_ROW_LABELS]; /* references to words */
};

struct device_pools {
    struct intern *states, *labels, *words, *texts;
};
bool device_pools_open(struct device_pools *pools); /* false: memory is short */
void device_pools_close(struct device_pools *pools);
uint64_t device_pools_bytes(const struct device_pools *pools);

bool device_row_is(const struct device_pools *pools, const struct device_row *row, const char *id);
void device_row_id(const struct device_pools *pools, const struct device_row *row, char id[MODEL_ID_LEN]);
/* address: instead of the one in the row; NULL: that one. */
void device_row_read(const struct device_pools *pools, const struct device_row *row, const char *address,
                     struct model_device *device);
/* References to the words of its labels, the tags first; valid while the row is. */
const uint32_t *device_row_labels(const struct device_pools *pools, const struct device_row *row,
                                  size_t *count, size_t *tag_count);
/* Its address as text into out, of cap bytes that are zero. */
void device_row_address(const struct device_pools *pools, const struct device_row *row, char *out,
                        size_t cap);
/* What all rows of the state have in common; the rest is zero. */
void device_row_common(const struct device_pools *pools, uint32_t state, struct model_device *device);
/* Takes everything over but the id. False: memory is short, the row is as it was. */
bool device_row_write(struct device_pools *pools, struct device_row *row, const struct model_device *device);
/* The first write of a zeroed row: the id, too. */
bool device_row_make(struct device_pools *pools, struct device_row *row, const struct model_device *device);
/* last_seen_ms and address only. */
void device_row_saw(struct device_pools *pools, struct device_row *row, const char *address, int64_t now_ms);
/* Gives back what the row refers to. */
void device_row_drop(struct device_pools *pools, struct device_row *row);

#endif
