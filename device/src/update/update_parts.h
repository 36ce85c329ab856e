/* update_parts.h - what update.c, ungzip.c and unpack.c share. Not for users of the library. */
#ifndef MOLT_UPDATE_PARTS_H
#define MOLT_UPDATE_PARTS_H

#include "update.h"

/* A decoder, as the engine sees it. Functions give 0 or a refusal. */
struct molt_unpacker {
    int (*begin)(struct molt_update *u);
    int (*some)(
        struct molt_update *u); /* from the input to the page, or past it, and through the image check */
    int (*resume)(struct molt_update *u); /* on from u->good: sets received and skip */
    int cut_short;                        /* the refusal of a file that ends before its end */
};

extern const struct molt_unpacker update_ungzip;

/* Keeps port_err; gives -reason. */
int update_flash_failed(struct molt_update *u, int port_err, int reason);

/* A decoder gave len bytes at out, which is the end of the page unless it was `direct`: on with them, unless flash has them
 * already (skip). 0, or a refusal. */
int update_decoded(struct molt_update *u, const uint8_t *out, uint32_t len);

/* The next len bytes of the image: 0, or a refusal. */
int update_check_image(struct molt_update *u, const uint8_t *data, uint32_t len);

#endif
