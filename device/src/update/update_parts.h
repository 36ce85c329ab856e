/* update_parts.h - what update.c and unpack.c share. Not for users of the library. */
#ifndef MOLT_UPDATE_PARTS_H
#define MOLT_UPDATE_PARTS_H

#include "update.h"

struct molt_unpacker {
    void (*begin)(struct molt_update *u); /* from the pack's header on */
    int (*some)(struct molt_update
                    *u); /* from the input buffer to the page, through the image check; 0 or a refusal */
};

/* Keeps port_err; gives -reason. */
int update_flash_failed(struct molt_update *u, int port_err, int reason);

/* The next len bytes of the image: 0, or a refusal. */
int update_check_image(struct molt_update *u, const uint8_t *data, uint32_t len);

#endif
