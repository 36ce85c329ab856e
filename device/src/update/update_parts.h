/* update_parts.h - what update.c, ungzip.c and unpack.c share. Not for users of the library. */
#ifndef MOLT_UPDATE_PARTS_H
#define MOLT_UPDATE_PARTS_H

#include "update.h"

enum update_state {
    ST_SEARCH,    /* looks into the log for the next thing that an earlier try may have left */
    ST_REHASH,    /* reads it back, through all checks */
    ST_RESUME,    /* makes the decoder what it was then */
    ST_TAKE,      /* wants bytes, sends them through decoder and image check, fills the page */
    ST_PREPARE,   /* looks whether the page's place may be written */
    ST_ERASE,     /* erases ahead */
    ST_WRITE,     /* programs the page */
    ST_LOG,       /* notes a whole sector */
    ST_JUDGE,     /* all came: is it what was announced, and a whole image? */
    ST_READ_BACK, /* the same checks over what the flash holds now: is it what came? */
    ST_VERIFIED,
    ST_COMMIT, /* the one change to what the next boot runs */
    ST_READY,
    ST_DEAD,
};

/* A decoder, as the engine sees it. Functions give 0 or a refusal. */
struct molt_unpacker {
    int (*begin)(struct molt_update *u);
    int (*some)(
        struct molt_update *u); /* from the input to the page, or past it, and through the image check */
    /* On from u->good, a flash operation at a time: sets received, resumed_at and skip, and the state ST_LOG when it is
     * done. */
    int (*resume)(struct molt_update *u);
    /* Adds to a record of what is stored from where it can go on; false: from nowhere yet. */
    bool (*place)(const struct molt_update *u, struct molt_log_record *record);
    int cut_short; /* the refusal of a file that ends before its end */
    bool small;    /* of packs it takes deltas with few rows only (pack/predict.h, MOLT_PACK_ROWS) */
};

/* Keeps port_err; gives -reason. */
int update_flash_failed(struct molt_update *u, int port_err, int reason);

/* A decoder gave len bytes at out, which is the end of the page unless it was `direct`: on with them, unless flash has them
 * already (skip). 0, or a refusal. */
int update_decoded(struct molt_update *u, const uint8_t *out, uint32_t len);

/* Reads what was stored, len bytes from `at` on. 0, or -MOLT_FLASH_READ. */
int update_read_stored(struct molt_update *u, uint32_t at, uint8_t *dst, uint32_t len);

#endif
